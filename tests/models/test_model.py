"A model predicts from raw rows as training would have, tells classes apart by name, and refuses other columns."
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from mlops_nb.base.errors import BadParameter, SignatureMismatch
from mlops_nb.features.transforms import identity, transform
from mlops_nb.models.model import Model
from mlops_nb.models.training import fit, fit_estimator
from mlops_nb.models.training_data import TrainingData, prepare

N = 400
RNG = np.random.default_rng(0)
FLIGHTS = pd.DataFrame({
    "noise": RNG.normal(size=N), "wind": RNG.normal(size=N), "carrier": RNG.choice(["AA", "UA"], N)})
HELD_OUT = np.arange(N) % 4 == 0
LABELS: dict[str, Any] = {  # all of them grow with the wind
    "binary": np.where(FLIGHTS["wind"] > 0, "late", "in time"),
    "multiclass": np.select([FLIGHTS["wind"] > 0.5, FLIGHTS["wind"] > -0.5], ["z storm", "m breeze"], "a calm"),
    "regression": 10 * FLIGHTS["wind"] + 3}
Train = Callable[[TrainingData], Model]


def by_trees(data: TrainingData) -> Model: return fit(data, rounds=30, num_threads=1, min_data_in_leaf=5)


def by_line(data: TrainingData) -> Model:
    line = LinearRegression() if data.task == "regression" else LogisticRegression()
    return fit_estimator(data, make_pipeline(StandardScaler(), line))


def data_of(task: str) -> TrainingData:
    return prepare(FLIGHTS.assign(target=LABELS[task]), "target", identity, held_out=HELD_OUT)


@pytest.fixture(scope="module")
def models() -> dict[str, Model]: return {task: by_trees(data_of(task)) for task in LABELS}


CALM, STORM = {"noise": 0.0, "wind": -3.0, "carrier": "AA"}, {"noise": 0.0, "wind": 3.0, "carrier": "AA"}
CASES = pd.DataFrame([CALM, STORM], index=[41, 7])


def predict(model: Model, rows: Any = CASES) -> Any: return model.predict(rows, identity)[0]


@pytest.mark.slow
@pytest.mark.parametrize("train", [by_trees, by_line])
def test_probability_is_that_of_the_later_class(train: Train) -> None:
    model = train(data_of("binary"))
    predictions = predict(model)
    assert model.classes == ("in time", "late") and list(predictions) == ["prediction"]
    assert predictions["prediction"][41] < 0.05 and predictions["prediction"][7] > 0.95


@pytest.mark.parametrize("train", [by_trees, by_line])
def test_each_class_has_its_own_probability_and_the_likeliest_its_name(train: Train) -> None:
    predictions = predict(train(data_of("multiclass")))
    assert list(predictions) == ["prediction", "p_a calm", "p_m breeze", "p_z storm"]
    assert predictions["prediction"].to_dict() == {41: "a calm", 7: "z storm"}
    assert predictions["p_a calm"][41] > 0.9 and predictions["p_z storm"][7] > 0.9
    assert predictions.drop(columns="prediction").sum(axis=1).tolist() == pytest.approx([1, 1])  # float64 rounding


@pytest.mark.parametrize("train", [by_trees, by_line])
def test_quantity_is_in_the_targets_own_unit_and_sign(train: Train) -> None:
    model = train(data_of("regression"))
    low, high = predict(model)["prediction"]
    assert low < 3 - 15 and high > 3 + 15  # the trees stop at the outermost leaves
    errors = predict(model, FLIGHTS[HELD_OUT])["prediction"] - LABELS["regression"][HELD_OUT]
    assert np.sqrt(np.mean(errors**2)) < 2 and np.std(LABELS["regression"]) > 9


def test_row_alone_is_predicted_as_among_others_in_any_order_of_columns(models: dict[str, Model]) -> None:
    for model in models.values():
        whole = predict(model, FLIGHTS)
        assert whole.index.equals(FLIGHTS.index)
        alone = predict(model, FLIGHTS.loc[[17], ["carrier", "wind", "noise"]].assign(more="columns"))
        pd.testing.assert_frame_equal(alone, whole.loc[[17]], check_exact=True)


def test_features_come_with_the_predictions(models: dict[str, Model]) -> None:
    predictions, features = models["binary"].predict(CASES.assign(more=1), identity)
    assert list(features) == ["noise", "wind", "carrier"] and features.index.equals(predictions.index)


def test_what_is_missing_or_was_never_seen_is_predicted(models: dict[str, Model]) -> None:
    rows = pd.DataFrame([STORM | {"carrier": "XX"}, STORM | {"carrier": None}, STORM | {"noise": None}])
    for model in models.values(): assert predict(model, rows)["prediction"].notna().all()
    unseen, unknown, _ = predict(models["binary"], rows)["prediction"]
    assert unseen == unknown > 0.95


def test_other_columns_are_refused_before_the_transform_sees_them(models: dict[str, Model]) -> None:
    @transform()
    def unreachable(rows: pd.DataFrame) -> pd.DataFrame: raise AssertionError

    with pytest.raises(SignatureMismatch, match="noise is missing; wind is string, must be number"):
        models["binary"].predict(CASES.drop(columns="noise").assign(wind="strong"), unreachable)


def test_transform_that_lost_a_feature_is_told(models: dict[str, Model]) -> None:
    @transform()
    def poorer(rows: pd.DataFrame) -> pd.DataFrame: return rows.drop(columns=["wind", "carrier"])

    with pytest.raises(SignatureMismatch, match=r"no longer makes the feature\(s\) wind, carrier"):
        models["binary"].predict(CASES, poorer)


def test_labels_are_what_training_learned(models: dict[str, Model]) -> None:
    for task, model in models.items():
        np.testing.assert_array_equal(model.labels(pd.Series(LABELS[task])), data_of(task).labels)


def test_label_that_is_no_class_or_no_number_is_missing(models: dict[str, Model]) -> None:
    coded = models["multiclass"].labels(pd.Series(["z storm", "hail", None, "a calm"]))
    assert np.nan_to_num(coded, nan=-1).tolist() == [2, -1, -1, 0]
    numbers = models["regression"].labels(pd.Series(["7.5", "many", None]))
    assert np.nan_to_num(numbers, nan=-1).tolist() == [7.5, -1, -1]


@pytest.mark.parametrize("train", [
    by_trees, by_line, lambda data: fit_estimator(data, RandomForestClassifier(20, random_state=0))])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_importance_is_a_share_by_feature_the_largest_first(train: Train, task: str) -> None:
    importance: Any = train(data_of(task)).importance()
    assert importance.sum() == pytest.approx(1) and set(importance.index) == {"noise", "wind", "carrier"}
    assert importance.index[0] == "wind" and importance["wind"] > 0.6 and importance.is_monotonic_decreasing


def test_importance_adds_up_the_columns_of_a_feature() -> None:
    hours: Any = pd.to_timedelta(RNG.integers(0, 7200, N), unit="h")
    moments = pd.DatetimeIndex(pd.Timestamp("2013-01-01", tz="UTC") + hours)
    early = (moments.hour < 12) & (moments.day_of_week < 5)
    table = pd.DataFrame({"scheduled": moments, "noise": FLIGHTS["noise"], "target": early})
    importance: Any = by_trees(prepare(table, "target", identity, held_out=HELD_OUT)).importance()
    assert list(importance.index) == ["scheduled", "noise"] and importance["scheduled"] > 0.8


def test_estimator_that_says_nothing_of_its_columns_has_no_importance() -> None:
    importance = fit_estimator(data_of("regression"), DummyRegressor()).importance()
    assert importance.to_dict() == {"noise": 0, "wind": 0, "carrier": 0}


def test_classifier_without_probabilities_is_refused() -> None:
    with pytest.raises(BadParameter, match="LinearSVC gives no probabilities: take a classifier with predict_proba"):
        fit_estimator(data_of("binary"), LinearSVC())
