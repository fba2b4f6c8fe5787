"Leaks: found where they are, and not where they are not."
from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_nb.base.errors import BadParameter
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.data.leakage import SUSPICIOUS, find_leaks, single_feature_score
from mlops_nb.data.splits import Splits

RNG = np.random.default_rng(0)
ROWS = 3000
LATE, NOISE = pd.Series(RNG.random(ROWS) < 0.3), pd.Series(RNG.normal(size=ROWS))
START = pd.Timestamp("2013-01-01", tz="UTC")
VISITS = pd.DataFrame({
    "customer": [1, 2, 3, 4, 1, 2], "x": [0.1, 0.2, 0.3, 0.4, 0.1, 0.9], "y": [0, 1, 0, 1, 1, 0],
})


@pytest.mark.parametrize("column", [
    LATE.astype(int), LATE.map({True: "late", False: "in time"}), LATE * 60 + NOISE, LATE.astype("category"),
    pd.Series(np.where(LATE, np.nan, 1.0)), LATE.map({True: START, False: START + pd.Timedelta(days=1)}),
    pd.Series(pd.to_timedelta(LATE * 60, unit="min")),
], ids=["number", "word", "with noise", "category", "what is missing", "time", "duration"])
def test_answer_in_other_clothes_is_found(column: pd.Series) -> None:
    assert single_feature_score(column, LATE) >= SUSPICIOUS


@pytest.mark.parametrize("column", [
    NOISE, pd.Series(range(ROWS)), pd.Series([f"row {n}" for n in range(ROWS)]), LATE * 1.0 + NOISE,
    pd.Series([None] * ROWS, dtype="float64"), pd.Series([1] * ROWS),
    pd.Series(np.where(RNG.random(ROWS) < 0.5, np.inf, -np.inf)),
], ids=["noise", "position", "identifier", "a hint", "nothing", "constant", "infinities"])
def test_honest_column_is_not_taken_for_the_answer(column: pd.Series) -> None:
    assert single_feature_score(column, LATE) < SUSPICIOUS


def test_answer_of_a_quantity_is_found() -> None:
    assert single_feature_score(NOISE * 2 + 1, NOISE) > SUSPICIOUS
    assert single_feature_score(pd.Series(RNG.normal(size=ROWS)), NOISE) < 0.3


def test_answer_that_tells_one_of_several_classes_is_found() -> None:
    kind = pd.Series(RNG.choice(["a", "b", "c"], ROWS))
    assert single_feature_score((kind == "b") * 1, kind) > SUSPICIOUS
    assert single_feature_score(NOISE, kind) < 0.6


def test_rows_without_a_label_decide_nothing() -> None:
    labels = LATE.astype("object").where(LATE.index % 2 == 0)
    assert single_feature_score(LATE.where(LATE.index % 2 == 0, ~LATE), labels) == 1.0


def test_copies_across_a_split_are_counted_whatever_their_label() -> None:
    leaks = find_leaks(VISITS.head(4), VISITS.tail(2), target="y").leaks
    assert [(leak.kind, leak.value) for leak in leaks] == [("duplicate rows", 0.5)]


def test_key_on_both_sides_is_found_although_no_row_is() -> None:
    leaks = find_leaks(VISITS.head(4), VISITS.tail(2), key=["customer"]).leaks
    assert [(leak.kind, leak.column, leak.value, leak.sample) for leak in leaks] == [
        ("shared keys", "customer", 1.0, ("1", "2"))]


def test_time_after_the_prediction_is_found() -> None:
    rows = pd.DataFrame({"asked": [START] * 4, "landed": START + pd.to_timedelta([0, 1, 2, 0], unit="h")})
    (leak,) = find_leaks(rows, prediction_time="asked").leaks
    assert (leak.kind, leak.column, leak.value) == ("future", "landed", 0.5)
    assert leak.message == "landed lies after asked in 2 rows: it was not known then"


@pytest.mark.parametrize("columns, reason", [
    ({"target": "gate"}, "no column 'gate' to predict; there are customer, x, y"),
    ({"key": ["gate"]}, "no column 'gate'; there are customer, x, y"),
    ({"prediction_time": "gate"}, "no column 'gate'; there are customer, x, y"),
    ({"prediction_time": "x"}, "x holds no points in time"),
])
def test_column_that_cannot_be_asked_is_named(columns: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadParameter, match=reason): find_leaks(VISITS, VISITS, **columns)


def test_split_looks_for_leaks_from_its_first_part_into_the_others(home: Home) -> None:
    days = START + pd.to_timedelta(VISITS.index, unit="D")
    version = Datasets(home).add("t", pd.concat([VISITS.assign(when=days)] * 3, ignore_index=True))
    by_day = Splits(home).make(version, "by-day", {"train": 0.6, "test": 0.4}, time="when")
    assert [leak.kind for leak in by_day.leaks(key=["customer"]).leaks] == ["shared keys"]
    by_customer = Splits(home).make(version, "by-customer", {"train": 0.5, "test": 0.5}, group="customer")
    assert by_customer.leaks(key=["customer"]).ok


def test_values_that_tell_about_persons_are_in_no_report(home: Home) -> None:
    rows = pd.DataFrame({"who": ["Ada", "Alan"] * 100, "late": [True, False] * 100, "n": 1})
    version = Datasets(home).add("t", rows, pii=["who"])
    split = Splits(home).make(version, "halves", {"train": 0.5, "test": 0.5})
    report = split.leaks(target="late", key=["who"])
    assert [leak.kind for leak in report.leaks] == ["duplicate rows", "shared keys", "answer"]
    shown = f"{report.asdict()} {report._repr_html_()}"
    assert [name for name in ("Ada", "Alan") if name in shown] == []
    assert "('…', 1)" in shown


def test_markup_in_a_value_is_text_in_the_report() -> None:
    rows = pd.DataFrame({"<b>x": LATE.map({True: "<script>", False: "no"}), "late": LATE})
    page = find_leaks(rows, target="late")._repr_html_()
    assert [tag for tag in ("<script>", "<b>x") if tag in page] == []
    assert "&lt;b&gt;x alone predicts late" in page
