"Reading a model runs no code that nobody trusts by name; the same estimator is the same bytes."
from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_nb.base.errors import BadParameter, Refused
from mlops_nb.models.model_formats import dump_estimator, read_predictor

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


class Touching:
    "Leaves a file behind when it is read."

    def __init__(self, path: Path) -> None: self.path = path
    def __reduce__(self) -> tuple[Any, ...]: return Path.touch, (self.path,)


def test_pickle_runs_nothing_unless_it_is_trusted(tmp_path: Path) -> None:
    hostile = pickle.dumps(Touching(tmp_path / "ran"))
    with pytest.raises(Refused, match=r"can run any code .* mlops-nb model trust NAME@VERSION"):
        read_predictor(hostile, "pickle")
    assert not (tmp_path / "ran").exists()
    read_predictor(hostile, "pickle", trusted=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("format, error", [("lightgbm", UnicodeDecodeError), ("skops", zipfile.BadZipFile)])
def test_pickle_under_another_name_runs_nothing(tmp_path: Path, format: Any, error: type[Exception]) -> None:
    with pytest.raises(error): read_predictor(pickle.dumps(Touching(tmp_path / "ran")), format, trusted=True)
    assert not (tmp_path / "ran").exists()


def test_types_that_skops_does_not_know_are_named_and_refused() -> None:
    file = dump_estimator(make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, Y))
    with pytest.raises(Refused, match=r"not know to be harmless: numpy\.dtype; look at them"):
        read_predictor(file, "skops")
    estimator: Any = read_predictor(file, "skops", trusted=True)
    assert estimator.predict(X).shape == (60,)


def test_plain_numbers_need_no_trust() -> None:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    estimator: Any = read_predictor(dump_estimator(fitted), "skops")
    np.testing.assert_array_equal(estimator.predict_proba(X), fitted.predict_proba(X))


def test_trees_as_text_predict_the_same() -> None:
    trees = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(X, Y), 5)
    booster: Any = read_predictor(trees.model_to_string().encode(), "lightgbm")
    np.testing.assert_array_equal(booster.predict(X), trees.predict(X))


DUMP = """
import hashlib, sys
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from mlops_nb.models.model_formats import dump_estimator
X = np.random.default_rng(0).normal(size=(60, 3))
forest = RandomForestClassifier(4, random_state=0).fit(X, (X[:, 0] > 0).astype(int))
print(hashlib.sha256(dump_estimator(forest)).hexdigest())
"""


@pytest.mark.slow
def test_same_estimator_is_the_same_bytes_in_every_process() -> None:
    elsewhere = subprocess.run([sys.executable, "-c", DUMP], capture_output=True, text=True, check=True, timeout=60)
    forest = RandomForestClassifier(4, random_state=0).fit(X, Y)
    assert elsewhere.stdout.strip() == hashlib.sha256(dump_estimator(forest)).hexdigest()
    other = RandomForestClassifier(4, random_state=1).fit(X, Y)
    assert dump_estimator(other) != dump_estimator(forest)


def test_estimator_survives_its_renumbering() -> None:
    forest = RandomForestClassifier(12, random_state=0).fit(X, Y)  # more than ten files: names sort otherwise
    estimator: Any = read_predictor(dump_estimator(forest), "skops", trusted=True)
    np.testing.assert_array_equal(estimator.predict_proba(X), forest.predict_proba(X))


def test_unknown_format_is_told() -> None:
    format: Any = "onnx"
    with pytest.raises(BadParameter, match="'onnx' cannot be read: lightgbm, skops or pickle"):
        read_predictor(b"", format)
