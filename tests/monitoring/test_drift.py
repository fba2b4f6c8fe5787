"Drift: in either direction, beyond chance, of what the model leans on; and of nothing else."
from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.models.model import Model
from mlops_nb.monitoring.drift import ColumnDrift, Drift, drift, feature_breaches, prediction_breaches
from mlops_nb.monitoring.thresholds import Thresholds
from mlops_nb.serving.batches import Batches
from serving_support import add_version, train


def row(**changed: Any) -> ColumnDrift:
    return cast("ColumnDrift", {"column": "x", "psi": 0.4, "psi_critical_value": 0.01, "importance": 0.5} | changed)


@pytest.mark.parametrize("changed, breaches", [
    ({}, True),
    ({"psi": 0.26}, True), ({"psi": 0.25}, False), ({"psi": 0.24}, False),      # over the threshold, not at it
    ({"importance": 0.05}, True), ({"importance": 0.049}, False),               # from the share on
    ({"psi_critical_value": 0.39}, True), ({"psi_critical_value": 0.41}, False),  # chance alone explains it
])
def test_feature_breaches_over_its_threshold_and_over_chance(changed: dict[str, float], breaches: bool) -> None:
    assert bool(feature_breaches([row(**changed)])) == breaches


def test_stricter_thresholds_breach_more() -> None:
    drifted = row(psi=0.2, importance=0.01)
    assert feature_breaches([drifted]) == [] == prediction_breaches(drifted)
    breach, = feature_breaches([drifted], Thresholds(feature_psi=0.1, min_importance=0.0))
    assert (breach.kind, breach.what, breach.value, breach.threshold) == ("feature drift", "x", 0.2, 0.1)
    breach, = prediction_breaches(drifted, Thresholds(prediction_psi=0.1))
    assert (breach.kind, breach.what, breach.value, breach.threshold) == ("prediction drift", "prediction", 0.2, 0.1)


def test_each_threshold_is_of_its_own_kind() -> None:
    drifted = row(psi=0.4)
    assert feature_breaches([drifted], Thresholds(prediction_psi=0.1, feature_psi=0.5)) == []
    assert prediction_breaches(drifted, Thresholds(prediction_psi=0.5, feature_psi=0.1)) == []


def table(rows: int = 1200, *, seed: int = 0) -> pd.DataFrame:
    "y depends on x alone; noise is there too."
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pd.DataFrame({"x": x, "noise": rng.normal(size=rows), "y": 2 * x})


@pytest.fixture(scope="module")
def model() -> Model: return train(table())


def drift_of(home: Home, model: Model, **columns: Any) -> Drift:
    "Of a batch of rows like those of training, with some columns changed."
    add_version(home, "line", model)
    Datasets(home).add("rows", table(600, seed=1).drop(columns="y").assign(**columns))
    return drift(Batches(home).score("line", "rows"), model)


@pytest.mark.parametrize("shift", [-1.5, 1.5])
def test_drift_is_seen_in_either_direction(home: Home, model: Model, shift: float) -> None:
    drifted = drift_of(home, model, x=lambda rows: rows.x + shift)
    assert [breach.what for breach in drifted.breaches] == ["x", "prediction"]
    assert drifted.features[0]["column"] == "x" and drifted.features[0]["psi"] > 0.25
    assert all(breach.value > breach.threshold for breach in drifted.breaches)


def test_rows_like_those_of_training_do_not_drift(home: Home, model: Model) -> None:
    assert drift_of(home, model).breaches == []


def test_feature_that_the_model_hardly_uses_may_drift(home: Home, model: Model) -> None:
    drifted = drift_of(home, model, noise=9.0)
    by_name = {column["column"]: column for column in drifted.features}
    assert by_name["noise"]["psi"] > 0.25 and by_name["noise"]["drift"]
    assert by_name["noise"].get("importance", 1) < 0.05 < by_name["x"].get("importance", 0)
    assert drifted.breaches == []


def test_feature_that_is_missing_has_drifted(home: Home, model: Model) -> None:
    drifted = drift_of(home, model, x=np.nan)
    assert drifted.breaches[0].what == "x" and drifted.features[0]["missing_current"] == 1.0


def test_predictions_may_drift_while_no_single_feature_does() -> None:
    steady, drifted = row(psi=0.1), row(column="prediction", psi=0.6)
    breaches = [*feature_breaches([steady]), *prediction_breaches(drifted)]
    assert [breach.kind for breach in breaches] == ["prediction drift"]
