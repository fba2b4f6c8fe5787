"What a model says of its training: base rate, profiles, parameters; and that training again is the same to the byte."
from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mlops_nb.data.profiles import profile
from mlops_nb.features.transforms import identity
from mlops_nb.models.metrics import measure
from mlops_nb.models.model import Model
from mlops_nb.models.training import fit, fit_estimator, lightgbm_params
from mlops_nb.models.training_data import TrainingData, prepare

N = 300
RNG = np.random.default_rng(1)
X = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(size=N)})
HELD_OUT = np.arange(N) % 3 == 0


def data_of(target: Any, held_out: np.ndarray = HELD_OUT) -> TrainingData:
    return prepare(X.assign(target=target), "target", identity, held_out=held_out)


def trained(data: TrainingData, **params: Any) -> Model:
    return fit(data, **{"rounds": 20, "num_threads": 1, "min_data_in_leaf": 5, **params})


BINARY = data_of(X["a"] + 0.3 * RNG.normal(size=N) > 0.4)
KINDS = data_of(np.select([X["a"] > 1, X["a"] > 0], ["c", "b"], "a"))
AMOUNTS = data_of(5 * X["a"] - 20)


def test_base_rate_is_that_of_the_training_rows_alone() -> None:
    late = np.where(HELD_OUT, True, np.arange(N) % 4 == 1)  # all rows that are held out, a quarter of the others
    assert trained(data_of(late)).base_rate == (float(late[~HELD_OUT].mean()),) == (0.25,)
    amounts = np.where(HELD_OUT, 1000.0, X["a"])
    assert trained(data_of(amounts)).base_rate == pytest.approx((X["a"][~HELD_OUT].mean(),))  # order of a sum


def test_base_rate_of_many_classes_is_a_share_for_each_in_their_order() -> None:
    kinds = np.select([np.arange(N) % 10 == 1, np.arange(N) % 10 < 4], ["z", "m"], "a")
    shares = [float((kinds[~HELD_OUT] == kind).mean()) for kind in ("a", "m", "z")]
    assert trained(data_of(kinds)).base_rate == pytest.approx(shares) and shares == [0.6, 0.3, 0.1]
    last = np.where(np.arange(N) == 0, "zz", kinds)  # row 0 is held out
    assert trained(data_of(last)).base_rate == pytest.approx([*shares, 0])


@pytest.mark.parametrize("data, metric", [(BINARY, "log_loss"), (KINDS, "log_loss"), (AMOUNTS, "rmse")])
def test_model_beats_the_base_rate_on_rows_held_out(data: TrainingData, metric: str) -> None:
    model, labels = trained(data), data.labels[HELD_OUT]
    scores = model.scores(data.features[HELD_OUT])  # pyright: ignore[reportArgumentType] - rows of a table are one
    constant = np.resize(model.base_rate, scores.shape) if scores.ndim > 1 else np.full(len(labels), model.base_rate[0])
    assert measure(labels, scores, data.task)[metric] < 0.7 * measure(labels, constant, data.task)[metric]


def test_nothing_is_learned_from_labels_held_out() -> None:
    swapped = replace(BINARY, labels=np.where(HELD_OUT, 1 - BINARY.labels, BINARY.labels))
    assert trained(swapped).file == trained(BINARY).file
    others = replace(BINARY, labels=np.where(HELD_OUT, BINARY.labels, 1 - BINARY.labels))
    assert trained(others).file != trained(BINARY).file


def test_training_again_is_the_same_to_the_byte_and_another_seed_is_not() -> None:
    bagging = {"bagging_fraction": 0.5, "bagging_freq": 1}
    first, again, other = (trained(BINARY, seed=seed, **bagging) for seed in (1, 1, 2))
    assert first.file == again.file != other.file


def test_lightgbm_alone_gives_the_same_trees() -> None:
    features, labels = BINARY.matrix(held_out=False)
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "deterministic": True}
    booster = lightgbm.train(params, lightgbm.Dataset(features, labels), 20)
    alone: Any = booster.predict(BINARY.matrix(held_out=True)[0])
    held_out: Any = BINARY.features[HELD_OUT]
    np.testing.assert_array_equal(trained(BINARY).scores(held_out), alone)


def test_profiles_are_of_training_features_and_of_predictions_held_out() -> None:
    model = trained(KINDS)
    assert (model.features_profile.rows, model.predictions_profile.rows) == ((~HELD_OUT).sum(), HELD_OUT.sum())
    held_out: Any = KINDS.features[HELD_OUT]
    predicted = model.frame(model.scores(held_out), held_out.index)[["prediction"]]
    assert model.predictions_profile.asdict() == profile(predicted).asdict()
    assert model.predictions_profile["prediction"].kind == "categorical"
    quantities = trained(AMOUNTS).predictions_profile["prediction"]
    assert quantities.kind == "numeric" and trained(AMOUNTS).features_profile.kinds == {"a": "numeric", "b": "numeric"}


def test_parameters_are_recorded_as_they_were_used() -> None:
    chosen: Any = {"learning_rate": 0.3, "metric": "multi_error", "num_threads": 1}
    model = fit(KINDS, rounds=3, trained_on=("kinds@2",), **chosen)
    assert model.params == {**lightgbm_params(KINDS), **chosen, "rounds": 3}
    assert (model.params["num_class"], model.params["deterministic"], model.trained_on) == (3, True, ("kinds@2",))
    assert "num_class" not in lightgbm_params(BINARY)


def test_categories_are_told_to_lightgbm() -> None:
    "One split parts any set of carriers from the others; by their codes as numbers it would take several."
    carriers = RNG.choice([f"carrier {letter}" for letter in "abcdefgh"], N)
    late = pd.Series(carriers).isin(["carrier a", "carrier d", "carrier f"])
    data = prepare(pd.DataFrame({"carrier": carriers, "late": late}), "late", identity, held_out=HELD_OUT)
    model = trained(data, rounds=1, num_leaves=2, min_data_per_group=1, cat_smooth=0.0, learning_rate=1.0)
    predicted: Any = model.predict(data.features, identity)[0]["prediction"]
    assert predicted.nunique() == 2 and predicted[late].min() > 0.5 > predicted[~late].max()


def test_features_whose_names_lightgbm_cannot_tell_apart_are_trained_on() -> None:
    table = pd.DataFrame({"delay (min)": X["a"], "delay [min]": X["b"], "target": BINARY.labels.astype(bool)})
    model = trained(prepare(table, "target", identity, held_out=HELD_OUT))
    assert model.importance().index.tolist() == ["delay (min)", "delay [min]"]


@pytest.mark.slow
def test_estimator_sees_encoded_training_rows_and_is_recorded() -> None:
    model = fit_estimator(KINDS, LogisticRegression(C=0.5), trained_on=("kinds@1",))
    features, labels = KINDS.matrix(held_out=False)
    expected = LogisticRegression(C=0.5).fit(features, labels.astype(int))
    held_out: Any = KINDS.features[HELD_OUT]
    np.testing.assert_array_equal(model.scores(held_out), expected.predict_proba(KINDS.matrix(held_out=True)[0]))
    assert (model.format, model.params, model.trusted) == ("skops", {"estimator": "LogisticRegression(C=0.5)"}, True)
