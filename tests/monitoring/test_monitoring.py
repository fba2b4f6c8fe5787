"Monitors: each alias for itself, labels as they come, every check kept."
from __future__ import annotations

import pandas as pd
import pytest

from mlops_nb.base.errors import BadReference, NotFound
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.models.model import Model
from mlops_nb.monitoring.checks import Checks
from mlops_nb.monitoring.monitors import Monitor, Monitors
from mlops_nb.monitoring.thresholds import Thresholds
from mlops_nb.registry.evaluations import add_evaluation
from mlops_nb.registry.model_versions import Models
from mlops_nb.serving.batches import Batch, Batches
from serving_support import add_version, only_x, point, train, two_classes


@pytest.fixture(scope="module")
def model() -> Model: return train(two_classes().drop(columns="row"))


@pytest.fixture
def served(home: Home, model: Model) -> Home:
    "One version, which is staging and production."
    add_version(home, "m", model)
    for alias in "staging", "production": point(home, "m", 1, alias=alias)
    return home


def score(home: Home, label: str, *, alias: str = "production", shift: float = 0.0, rows: int = 300) -> Batch:
    table = only_x(rows, shift=shift, seed=len(label)).assign(row=range(rows))
    data = Datasets(home).add(f"rows-{alias}", table)
    return Batches(home).score(f"m@{alias}", data.ref, label=label)


def labels_of(home: Home, batch: Batch, *, sign: int = 1) -> pd.DataFrame:
    "Labels that agree with what the model has learned; with the sign -1, that contradict it."
    rows = batch.read()
    return pd.DataFrame({"row": rows.row, "y": (sign * rows.x > 0).astype(int)})


def test_monitor_of_an_alias_sees_no_batch_and_no_check_of_another(served: Home) -> None:
    score(served, "may", shift=3)
    score(served, "may", alias="staging")
    staging, production = Monitors(served)["m@staging"], Monitors(served)["m@production"]
    assert [batch.alias for batch in staging.batches()] == ["staging"]
    production.check()
    assert staging.checks() == []
    steady = staging.check()
    assert not steady.breached and production.checks()[0].breached
    assert [check.alias for check in staging.checks()] == ["staging"] and staging.checks() == [steady]
    assert [check.alias for check in production.checks()] == ["production"]


def test_labels_that_one_alias_has_measured_are_measured_by_the_other_too(served: Home) -> None:
    for alias in "production", "staging": score(served, "may", alias=alias)
    labels = Datasets(served).add("labels", labels_of(served, score(served, "june")))
    measured = [
        Monitor(served, "m", alias=alias).check("may", labels=labels, key=["row"]).report["performance"]
        for alias in ("production", "staging")]
    assert [[row["label"] for row in rows] for rows in measured] == [["june", "may"], ["may"]]


def test_bare_name_means_production_and_a_version_has_no_monitor(served: Home) -> None:
    monitors = Monitors(served)
    assert (monitors["m"].ref, monitors["m@staging"].ref) == ("m@production", "m@staging")
    with pytest.raises(BadReference, match="watches an alias, not a version; write m or m@ALIAS"): monitors["m@1"]


def test_batch_that_was_scored_by_the_number_is_watched_by_no_alias(served: Home) -> None:
    Datasets(served).add("rows", only_x(50))
    Batches(served).score("m@1", "rows", label="may")
    with pytest.raises(NotFound, match="m@production has scored no batch"): Monitor(served, "m").check()


def test_nothing_scored_and_no_such_label_are_told_apart(served: Home) -> None:
    monitor = Monitor(served, "m")
    with pytest.raises(NotFound, match=r"there is none yet \(score one first"): monitor.check()
    score(served, "may")
    with pytest.raises(NotFound, match="has scored no batch 'june'; there are: may"): monitor.check("june")
    assert monitor.checks() == []


def test_last_batch_by_label_is_checked_when_none_is_named(served: Home) -> None:
    for label in "2013-06", "2013-05": score(served, label)
    monitor = Monitor(served, "m")
    assert monitor.check().label == "2013-06" and monitor.check("2013-05").label == "2013-05"


def test_check_without_drift_is_kept_as_one_with_drift_is(served: Home) -> None:
    score(served, "may")
    score(served, "june", shift=3)
    monitor = Monitor(served, "m")
    steady, drifted = monitor.check("may"), monitor.check("june", thresholds=Thresholds(feature_psi=0.5))
    assert (steady.breached, steady.breaches, drifted.breached) == (False, (), True)
    assert [breach.what for breach in drifted.breaches] == ["x", "prediction"]
    assert drifted.report["thresholds"]["feature_psi"] == 0.5
    assert monitor.checks() == [drifted, steady]  # by label: june comes before may
    assert Checks(served)[steady.id] == steady and Monitors(served).search("breached = true") == [drifted]


def test_listing_shows_the_last_check_of_each_alias(served: Home) -> None:
    for label in "2013-05", "2013-06":
        for alias in "production", "staging":
            score(served, label, alias=alias)
            Monitor(served, "m", alias=alias).check(label)
    last = Monitors(served).list()
    assert [(check.alias, check.label) for check in last] == [("production", "2013-06"), ("staging", "2013-06")]
    assert len(Monitors(served).list("m")) == 4 and Checks(served)["m@staging"] == last[1]
    assert list(last[0].summary()) == ["batch", "version", "breaches", "worst", "checked"]


def evaluate_at(home: Home, auc: float) -> None:
    "Let the version have been evaluated at a figure."
    around = {"value": auc, "low": auc - 0.02, "high": auc + 0.02}
    add_evaluation(home, Models(home)["m@1"], dataset="learned@1", report={"metrics": {"roc_auc": around}})


@pytest.mark.parametrize("sign, breaches", [(1, []), (-1, ["roc_auc"])])
def test_only_labels_that_contradict_the_model_breach(
    served: Home, sign: int, breaches: list[str],
) -> None:
    evaluate_at(served, 0.8)
    labels = Datasets(served).add("labels", labels_of(served, score(served, "may"), sign=sign))
    check = Monitor(served, "m").check(labels=labels, key=["row"])
    assert [breach.what for breach in check.breaches if breach.kind == "performance"] == breaches
    assert check.breached == bool(breaches)


def test_performance_is_compared_with_the_evaluation_at_promotion(served: Home) -> None:
    for auc in 0.8, 0.1: evaluate_at(served, auc)
    labels = Datasets(served).add("labels", labels_of(served, score(served, "may"), sign=-1))
    breach, = Monitor(served, "m").check(labels=labels, key=["row"]).breaches
    assert breach.threshold == pytest.approx(0.78) and "m@1 was evaluated at 0.8000" in breach.message


def test_batch_is_measured_once_when_its_labels_have_come(served: Home) -> None:
    batches = [score(served, label) for label in ("2013-05", "2013-06")]
    monitor, datasets = Monitor(served, "m"), Datasets(served)
    assert monitor.check().report["performance"] == []
    few = labels_of(served, batches[0]).head(100)
    assert monitor.check(labels=datasets.add("labels", few), key=["row"]).report["performance"] == []
    labels = datasets.add("labels", labels_of(served, batches[0]))
    first, again = (monitor.check(labels=labels, key=["row"]).report["performance"] for _ in range(2))
    assert [row["label"] for row in first] == ["2013-05", "2013-06"] and again == []
