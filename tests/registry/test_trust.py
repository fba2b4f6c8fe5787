"Code that a package holds runs only when a person trusts the version; what was not changed needs no trust."
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sklearn.ensemble import RandomForestClassifier

from audit_support import home_at
from mlops_nb.base import schema as db
from mlops_nb.base.errors import Refused
from mlops_nb.base.project import Home
from mlops_nb.features.transforms import load_transform
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit_estimator
from mlops_nb.models.training_data import prepare
from mlops_nb.registry.model_versions import Models, ModelVersion
from mlops_nb.registry.registration import register, trust
from mlops_nb.registry.version_transforms import transform_of
from mlops_nb.runs.run import begin_run
from registry_support import tumours

TRANSFORM = """from mlops_nb.features.transforms import transform

@transform()
def ours(rows): return rows * FACTOR
"""
ROWS = tumours(columns=2).drop(columns="target").head(20)


def _write_transform(home: Home, factor: int) -> None:
    (home.root / "ours_t.py").write_text(TRANSFORM.replace("FACTOR", str(factor)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    "A forest of scikit-learn, on features that a function of the project makes."
    monkeypatch.delitem(sys.modules, "ours_t", raising=False)  # of another test's project
    home, table = home_at(tmp_path), tumours(columns=2)
    _write_transform(home, factor=2)
    function = load_transform("ours_t:ours", home.root)
    data = prepare(table, "target", function, held_out=np.arange(len(table)) % 4 == 0)
    run = begin_run(home, "here")
    run.save("model", pack(fit_estimator(data, RandomForestClassifier(5, random_state=0)), home.artifacts))
    register(home, "forest", run)
    return home


def _features(home: Home, version: ModelVersion) -> pd.DataFrame:
    return transform_of(home, version, version.load())(ROWS)


@pytest.mark.slow
def test_types_that_skops_does_not_know_are_refused(home: Home) -> None:
    features = ROWS * 2
    with pytest.raises(Refused, match=r"types that skops does not know.*Tree"):
        Models(home)["forest"].load().scores(features)
    trusted = trust(home, "forest@1", comment="made here")
    assert len(trusted.load().scores(features)) == len(ROWS)


def test_changed_transform_is_replaced_by_the_stored_one_when_trusted(home: Home) -> None:
    before = _features(home, Models(home)["forest"])
    _write_transform(home, factor=3)
    with pytest.raises(Refused, match=r"ours_t:ours was changed since forest@1 .* mlops-nb model trust forest@1"):
        _features(home, Models(home)["forest"])
    pd.testing.assert_frame_equal(_features(home, trust(home, "forest@1")), before)


def test_missing_transform_is_replaced_by_the_stored_one(home: Home) -> None:
    before = _features(home, Models(home)["forest"])
    (home.root / "ours_t.py").unlink()
    with pytest.raises(Refused, match="mlops-nb model trust forest@1"): _features(home, Models(home)["forest"])
    pd.testing.assert_frame_equal(_features(home, trust(home, "forest@1")), before)


def test_trust_is_given_to_one_version_and_stands_on_the_trail(home: Home) -> None:
    with pytest.raises(Refused, match="trust is given to one version, by its number, such as forest@1"):
        trust(home, "forest")
    trust(home, "forest@1")
    assert Models(home)["forest"].trusted
    with home.store.write() as connection: connection.execute(sa.delete(db.audit).where(db.audit.c.action == "trust"))
    assert not Models(home)["forest"].trusted
