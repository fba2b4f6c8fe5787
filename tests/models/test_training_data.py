"Rows become features and labels, and nothing is learned from those that are held out."
from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_nb.base.errors import BadParameter, BadTable
from mlops_nb.features.transforms import Transform, identity, transform
from mlops_nb.models.training_data import TrainingData, prepare

FLIGHTS = pd.DataFrame({
    "carrier": ["UA", "AA", "UA", "B6", "DL", "DL"], "distance": [1400.0, 1089, np.nan, 719, 5000, 10],
    "late": ["yes", "no", None, "no", "yes", "no"]}, index=[9, 8, 7, 6, 5, 4])
HELD_OUT = np.array([False, False, False, False, True, True])


def prepared(table: pd.DataFrame = FLIGHTS, target: str = "late", **options: Any) -> TrainingData:
    return prepare(table, target, identity, **{"held_out": HELD_OUT, **options})


def test_rows_without_a_label_are_dropped_with_their_side_of_the_split() -> None:
    data = prepared()
    assert data.features["carrier"].tolist() == ["UA", "AA", "B6", "DL", "DL"]
    assert data.held_out.tolist() == [False, False, False, True, True]
    assert data.labels.tolist() == [1, 0, 0, 1, 0]


def test_nothing_is_learned_from_rows_held_out() -> None:
    data = prepared()
    assert data.encoding[0].levels == ("AA", "B6", "UA")  # no DL
    assert data.domain == {"carrier": {"categories": ["AA", "B6", "UA"]}, "distance": {"low": 719, "high": 1400}}
    changed = FLIGHTS.assign(carrier=FLIGHTS["carrier"].replace("DL", "XX"), distance=FLIGHTS["distance"] % 5000)
    assert prepared(changed).encoding == data.encoding and prepared(changed).domain == data.domain


def test_matrix_is_one_side_of_the_split_with_the_unknown_missing() -> None:
    data = prepared()
    features, labels = data.matrix(held_out=True)
    assert np.isnan(features[:, 0]).all() and features[:, 1].tolist() == [5000, 10] and labels.tolist() == [1, 0]
    features, labels = data.matrix(held_out=False)
    assert features.tolist() == [[2, 1400], [0, 1089], [1, 719]] and labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize("labels, task, classes, codes", [
    ([True, False, None, False, True, True], "binary", (False, True), [1, 0, 0, 1, 1]),
    (["good", "bad", None, "bad", "good", "bad"], "binary", ("bad", "good"), [1, 0, 0, 1, 0]),
    (["c", "a", None, "b", "a", "c"], "multiclass", ("a", "b", "c"), [2, 0, 1, 0, 2]),
    ([30, 10, None, 20, 10, 30], "multiclass", (10.0, 20.0, 30.0), [2, 0, 1, 0, 2]),
    ([-1, 1, None, 1, -1, 1], "binary", (-1.0, 1.0), [0, 1, 1, 0, 1]),
    ([1.5, -2.5, None, 0.5, 7.5, 3.5], "regression", (), [1.5, -2.5, 0.5, 7.5, 3.5]),
])
def test_labels_are_coded_by_the_order_of_their_values(
    labels: list[object], task: str, classes: tuple[object, ...], codes: list[float],
) -> None:
    data = prepared(FLIGHTS.assign(late=pd.Series(labels, index=FLIGHTS.index)))
    assert (data.task, data.classes, data.labels.tolist()) == (task, classes, codes)


def test_a_class_that_only_the_rows_held_out_have_is_a_class() -> None:
    data = prepared(FLIGHTS.assign(late=["a", "b", None, "a", "c", "b"]))
    assert data.classes == ("a", "b", "c") and data.labels.tolist() == [0, 1, 0, 2, 1]


def test_who_knows_the_task_says_so() -> None:
    ratings = FLIGHTS.assign(late=[1, 2, 3, 4, 5, 5])
    assert prepared(ratings).task == "multiclass"
    data = prepared(ratings, task="regression")
    assert (data.task, data.classes, data.labels.tolist()) == ("regression", (), [1, 2, 3, 4, 5, 5])


def test_no_transform_sees_the_target() -> None:
    seen: list[str] = []

    @transform()
    def watching(rows: pd.DataFrame) -> pd.DataFrame:
        seen.extend(rows.columns)
        return rows

    data = prepare(FLIGHTS, "late", watching, held_out=HELD_OUT)
    assert seen == ["carrier", "distance"] and list(data.signature) == seen


def test_tables_reach_the_transform_by_argument() -> None:
    @transform(airlines="airlines")
    def named(rows: pd.DataFrame, airlines: pd.DataFrame) -> pd.DataFrame:
        return rows[["carrier"]].merge(airlines, on="carrier", how="left").set_index(rows.index)

    airlines = pd.DataFrame({"carrier": ["UA", "AA"], "age": [90, 85]})
    data = prepare(FLIGHTS, "late", named, held_out=HELD_OUT, tables={"airlines": airlines})
    assert data.features["age"].head(2).tolist() == [90, 85] and list(data.signature) == ["carrier", "distance"]


def _only_shuffled() -> Transform:
    @transform()
    def shuffled(rows: pd.DataFrame) -> pd.DataFrame: return rows.iloc[::-1]
    return shuffled


def test_a_transform_that_reorders_rows_is_refused() -> None:
    with pytest.raises(BadTable, match="in their order and with their index"):
        prepare(FLIGHTS, "late", _only_shuffled(), held_out=HELD_OUT)


@pytest.mark.parametrize("table, options, error, says", [
    (FLIGHTS, {"target": "delay"}, BadTable, "no target column 'delay'; it has carrier, distance, late"),
    (FLIGHTS.assign(prediction=0), {}, BadTable, "column 'prediction', which is how predictions are named"),
    (FLIGHTS[["late"]], {}, BadTable, "makes no feature of a table with nothing but the target"),
    (FLIGHTS, {"task": "ranking"}, BadParameter, "'ranking' is none of auto, binary, multiclass, regression"),
    (FLIGHTS, {"task": "regression"}, BadTable, "holds text, which is no quantity"),
    (FLIGHTS.assign(late=[0, 1, 2, 0, 1, 2]), {"task": "binary"}, BadTable, "3 distinct values"),
    (FLIGHTS.assign(late="no"), {}, BadTable, r"1 distinct value\(s\) in 6 rows"),
])
def test_what_cannot_be_learned_is_one_line(
    table: pd.DataFrame, options: dict[str, Any], error: type[Exception], says: str,
) -> None:
    with pytest.raises(error, match=says): prepared(table, **options)
