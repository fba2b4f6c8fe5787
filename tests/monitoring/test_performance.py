"Performance: what is worse depends on the metric, and is said only when the intervals are apart."
from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from mlops_nb.base.errors import BadTable
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.models.metrics import LOWER_IS_BETTER, METRICS
from mlops_nb.models.model import Model
from mlops_nb.models.targets import Task
from mlops_nb.monitoring.performance import (
    Interval,
    Performance,
    is_worse,
    join_labels,
    measure_batch,
    performance_breaches,
)
from mlops_nb.monitoring.thresholds import Thresholds
from mlops_nb.serving.batches import Batch, Batches
from serving_support import a_line, add_version, train, two_classes

HIGHER = sorted({metric for metrics in METRICS.values() for metric in metrics} - LOWER_IS_BETTER)


def around(value: float, half: float = 0.01) -> Interval:
    return {"value": value, "low": value - half, "high": value + half}


UNDEFINED: Interval = {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("metric", sorted(LOWER_IS_BETTER))
def test_loss_is_worse_when_it_rises(metric: str) -> None:
    assert is_worse(metric, around(0.6), around(0.5)) and not is_worse(metric, around(0.4), around(0.5))


@pytest.mark.parametrize("metric", HIGHER)
def test_score_is_worse_when_it_falls(metric: str) -> None:
    assert is_worse(metric, around(0.4), around(0.5)) and not is_worse(metric, around(0.6), around(0.5))


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
def test_intervals_that_touch_show_nothing(metric: str) -> None:
    assert not any(is_worse(metric, around(0.5 + shift), around(0.5)) for shift in (-0.015, 0.0, 0.015))


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
def test_what_is_undefined_is_not_worse(metric: str) -> None:
    assert not is_worse(metric, UNDEFINED, around(0.5)) and not is_worse(metric, around(0.5), UNDEFINED)


def breaches_of(task: Task, measured: dict[str, float], evaluated: dict[str, float]) -> list[tuple[str, float, float]]:
    "Metric, value and threshold of each breach."
    performance = Performance(
        label="may", version=1, n=100, base_rate=0.5,
        metrics={name: around(value) for name, value in measured.items()})
    breaches = performance_breaches(
        performance, {name: around(value) for name, value in evaluated.items()}, task=task, model="m@1")
    return [(breach.what, breach.value, round(breach.threshold, 3)) for breach in breaches]


def test_breach_of_a_binary_model_is_of_its_loss_or_of_its_ranking() -> None:
    evaluated = {"log_loss": 0.5, "roc_auc": 0.7}
    assert breaches_of("binary", {"log_loss": 0.5, "roc_auc": 0.7}, evaluated) == []
    assert breaches_of("binary", {"log_loss": 0.4, "roc_auc": 0.8}, evaluated) == []  # better in both
    assert breaches_of("binary", {"log_loss": 0.6, "roc_auc": 0.7}, evaluated) == [("log_loss", 0.6, 0.51)]
    assert breaches_of("binary", {"log_loss": 0.5, "roc_auc": 0.6}, evaluated) == [("roc_auc", 0.6, 0.69)]


def test_breach_of_other_models_is_of_their_primary_metric() -> None:
    assert breaches_of("regression", {"rmse": 2.0, "r2": 0.9}, {"rmse": 1.0, "r2": 0.5}) == [("rmse", 2.0, 1.01)]
    assert breaches_of("regression", {"rmse": 0.5, "r2": 0.1}, {"rmse": 1.0, "r2": 0.9}) == []
    assert breaches_of("multiclass", {"log_loss": 0.9, "accuracy": 0.2}, {"log_loss": 0.9, "accuracy": 0.9}) == []


def test_version_without_an_evaluation_breaches_nothing() -> None:
    assert breaches_of("binary", {"log_loss": 9.0, "roc_auc": 0.1}, {}) == []


@pytest.fixture(scope="module")
def model() -> Model: return train(two_classes().drop(columns="row"), trained_on=("learned@1",))


def score(home: Home, table: pd.DataFrame, model: Model) -> Batch:
    add_version(home, "m", model)
    Datasets(home).add("rows", table.drop(columns="y"))
    return Batches(home).score("m", "rows", label="may")


def test_labels_that_agree_measure_better_than_labels_that_contradict(home: Home, model: Model) -> None:
    table = two_classes(500, seed=1)
    batch = score(home, table, model)
    right = measure_batch(batch, table, key=["row"], model=model)
    wrong = measure_batch(batch, table.assign(y=1 - table.y), key=["row"], model=model)
    assert right and wrong and (right["label"], right["version"], right["n"]) == ("may", 1, 500)
    assert right["base_rate"] == table.y.mean() and wrong["base_rate"] == pytest.approx(1 - table.y.mean())
    assert (right["metrics"]["roc_auc"]["value"] or 0) > 0.8 > 0.2 > (wrong["metrics"]["roc_auc"]["value"] or 1)
    assert is_worse("log_loss", wrong["metrics"]["log_loss"], right["metrics"]["log_loss"])


def test_labels_belong_to_their_rows_whatever_their_order(home: Home, model: Model) -> None:
    table = two_classes(500, seed=1)
    batch = score(home, table, model)
    ordered, shuffled = (
        measure_batch(batch, labels, key=["row"], model=model)
        for labels in (table, table.sample(frac=1, random_state=0)))
    assert ordered == shuffled


def test_nothing_is_measured_before_enough_labels_have_come(home: Home, model: Model) -> None:
    table = two_classes(100, seed=1)
    batch = score(home, table, model)
    few, enough = table.assign(y=table.y.where(table.row < 49)), table.head(50)
    assert measure_batch(batch, few, key=["row"], model=model) is None
    assert measure_batch(batch, table.head(0), key=["row"], model=model) is None
    assert measure_batch(batch, enough, key=["row"], model=model) is not None
    assert measure_batch(batch, few, key=["row"], model=model, thresholds=Thresholds(min_labelled=0.4)) is not None


def test_rows_that_the_model_learned_from_are_not_measured(home: Home, model: Model) -> None:
    table = two_classes(100, seed=1)
    batch = score(home, table, model)
    learned = replace(model, trained_on=(batch.dataset,))
    assert measure_batch(batch, table, key=["row"], model=learned) is None


def test_label_that_the_batch_had_already_is_not_used() -> None:
    "The rows of a batch may hold a target, such as a guess; what counts is the label that has come."
    predictions = pd.DataFrame({"row": [1, 2], "y": [0, 0], "prediction": [0.5, 0.5]})
    joined = join_labels(predictions, pd.DataFrame({"row": [2, 1], "y": [1, 0]}), key=["row"], target="y")
    assert joined.set_index("row").y.to_dict() == {1: 0, 2: 1}


@pytest.mark.parametrize("key, says", [([], "and none are in both"), (["id"], "and id are in both")])
def test_key_has_to_be_in_both(key: list[str], says: str) -> None:
    with pytest.raises(BadTable, match=says): join_labels(a_line(5), a_line(5), key=key, target="y")


def test_key_that_does_not_identify_a_row_is_refused() -> None:
    twice = pd.concat([a_line(5), a_line(5)])
    with pytest.raises(pd.errors.MergeError, match="not a one-to-one merge"):
        join_labels(a_line(5), twice, key=["row"], target="y")
