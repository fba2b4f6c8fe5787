"Validation: each rule is found where it is broken, and none where it is not."
from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pandera.config
import pytest

from mlops_nb.base.errors import BadParameter, BadTable
from mlops_nb.data.expectations import BreachPolicies, ColumnRule, Expectations, infer
from mlops_nb.data.profiles import profile
from mlops_nb.data.validation import Breach, ValidationOutcome, validate

GOOD = pd.DataFrame({
    "carrier": ["UA", "DL", "B6"], "distance": [1400, 762, 1576], "delay": [3.5, -7.0, np.nan],
    "late": [True, False, False], "scheduled": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-03"]),
})
EXPECTED = infer(GOOD)


def only_breach(table: pd.DataFrame, expectations: Expectations = EXPECTED) -> Breach:
    report = validate(table, expectations)
    assert len(report.breaches) == 1
    json.dumps(report.asdict(), allow_nan=False)
    with pytest.raises(BadTable) as refused: report.require()
    assert str(refused.value) == report.breaches[0].message
    return report.breaches[0]


def test_missing_column_is_found() -> None:
    breach = only_breach(GOOD.drop(columns="distance"))
    assert (breach.column, breach.rule, breach.share) == ("distance", "missing column", 1.0)
    assert breach.message == "distance: the column is missing"


@pytest.mark.parametrize("column, values, count, sample", [
    ("distance", ["1400", "762", "1576"], 3, ("1400", "762", "1576")),
    ("distance", [1400, "n/a", 1576], 1, ("n/a",)),
    ("distance", [1400, 762.5, 1576], 1, (762.5,)),
    ("delay", [True, False, True], 3, (True, False)),
    ("carrier", [1, 2, 3], 3, (1, 2, 3)),
    ("late", [0, 1, 0], 3, (0, 1)),
    ("scheduled", ["2013-01-01", "2013-01-02", "2013-01-03"], 3, ("2013-01-01", "2013-01-02", "2013-01-03")),
    ("carrier", [["UA"], "DL", "B6"], 1, (["UA"],)),
])
def test_wrong_type_is_found(column: str, values: list[Any], count: int, sample: tuple[Any, ...]) -> None:
    table = GOOD.assign(**{column: pd.Series(values).astype(object)})
    breaches = [breach for breach in validate(table, EXPECTED).breaches if breach.rule == "type"]
    assert [(breach.column, breach.count, breach.sample) for breach in breaches] == [(column, count, sample)]


@pytest.mark.parametrize("column, values", [
    ("distance", pd.Series([1400.0, 762.0, 1576.0])),
    ("distance", pd.Series([1400, 762, 1576], dtype="Int16")),
    ("distance", pd.Series([1400, 762, 1576]).astype("category")),
    ("distance", pd.Series([1400, 762.0, Decimal(1576)], dtype=object)),
    ("distance", pd.Series([1400, 762, 1576], dtype="int32[pyarrow]")),
    ("delay", pd.Series([3, -7, None], dtype="Int64")),
    ("delay", pd.Series([None] * 3)),
    ("carrier", pd.Series(["UA", "DL", "B6"]).astype("category")),
    ("carrier", pd.Series(["UA", "DL", "B6"], dtype=object)),
    ("late", pd.Series([True, False, False], dtype="boolean")),
    ("scheduled", pd.Series([date(2013, 1, 1)] * 3)),
    ("scheduled", GOOD.scheduled.dt.tz_localize("UTC")),
])
def test_same_values_in_another_dtype_are_no_breach(column: str, values: pd.Series) -> None:
    assert validate(GOOD.assign(**{column: values}), EXPECTED).breaches == ()


def test_missing_values_are_found() -> None:
    breach = only_breach(GOOD.assign(distance=[1400, None, None]))
    assert (breach.rule, breach.count, breach.share) == ("missing values", 2, 2 / 3)
    assert breach.message == "distance: 2 rows without a value"


@pytest.mark.parametrize("distance, message", [
    (-1400, "distance: 1 row below 355.0 (e.g. -1400)"), (9999, "distance: 1 row above 1983.0 (e.g. 9999)"),
])
def test_value_out_of_range_is_found(distance: int, message: str) -> None:
    breach = only_breach(GOOD.assign(distance=[1400, 762, distance]))
    assert (breach.rule, breach.message, breach.sample) == ("range", message, (distance,))


def test_infinity_is_out_of_range_and_still_json() -> None:
    assert only_breach(GOOD.assign(delay=[np.inf, 0, 0])).sample == ("inf",)


def test_unknown_value_is_found() -> None:
    breach = only_breach(GOOD.assign(carrier=["UA", "XX", "XX"]))
    assert (breach.rule, breach.count, breach.sample) == ("unknown value", 2, ("XX",))
    assert breach.message == "carrier: 2 rows with an unknown value (e.g. 'XX')"


def test_repeated_value_of_a_unique_column_is_found() -> None:
    breach = only_breach(GOOD.assign(distance=[762, 1576, 762]), EXPECTED.change("distance", unique=True))
    assert (breach.column, breach.rule, breach.count, breach.sample) == ("distance", "duplicate key", 1, (762,))


def test_repeated_key_is_found() -> None:
    keyed = replace(EXPECTED, unique_key=("carrier", "scheduled"))
    breach = only_breach(pd.concat([GOOD, GOOD.iloc[[1]]]), keyed)
    assert (breach.column, breach.rule, breach.count) == ("carrier, scheduled", "duplicate key", 1)
    assert breach.sample == (["DL", "2013-01-02 00:00:00"],)


def test_key_without_one_of_its_columns_is_one_breach() -> None:
    keyed = replace(EXPECTED, unique_key=("carrier", "distance"))
    assert only_breach(GOOD.assign(distance=1000).drop(columns="carrier"), keyed).rule == "missing column"


@pytest.mark.parametrize("rows, min_rows", [(0, 1), (3, 4)])
def test_too_few_rows_are_found(rows: int, min_rows: int) -> None:
    breach = only_breach(GOOD.head(rows), replace(EXPECTED, min_rows=min_rows))
    assert (breach.column, breach.rule, breach.count) == (None, "too few rows", rows)


def test_empty_table_is_accepted_where_it_is_expected() -> None:
    assert validate(GOOD.head(0), replace(EXPECTED, min_rows=0)).ok


def test_every_breach_is_reported_at_once_and_the_table_is_left_alone() -> None:
    table = GOOD.assign(carrier=["UA", "XX", None], distance=[-1, 10**6, 762], gate="A1").drop(columns="late")
    table.index = pd.Index([7, 7, 7])
    before = table.copy()
    report = validate(table, replace(EXPECTED, min_rows=10))
    assert [(breach.column, breach.rule) for breach in report.breaches] == [
        ("late", "missing column"), ("carrier", "missing values"), ("carrier", "unknown value"), ("distance", "range"),
        ("distance", "range"), (None, "too few rows")]
    assert report.extra == ("gate",)
    with pytest.raises(BadTable) as refused: report.require()
    assert len(str(refused.value).splitlines()) == 6
    pd.testing.assert_frame_equal(table, before)


def test_table_with_two_columns_of_one_name_is_not_validated() -> None:
    with pytest.raises(BadTable, match="more than one column"): validate(pd.concat([GOOD, GOOD], axis=1), EXPECTED)


def test_range_that_cannot_be_compared_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(BadTable, match="a cannot be checked for below"):
        validate(pd.DataFrame({"a": ["x"]}), Expectations(columns={"a": ColumnRule(min=0)}))


@pytest.mark.parametrize("switch", [{"validation_enabled": False}, {"validation_depth": "SCHEMA_ONLY"}])
def test_pandera_switched_off_does_not_switch_a_gate_off(switch: dict[str, Any]) -> None:
    with pandera.config.config_context(**switch):
        assert only_breach(GOOD.assign(distance=[1400, 762, -1])).rule == "range"


ROWS = pd.DataFrame({
    "n": [1.0, -5.0, None, 7.0], "code": ["a", "x", "a", "b"],
    "when": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-03", None]),
})
POSITIVE, CODES = ColumnRule(type="number", nullable=False, min=0), ColumnRule(type="string", values=("a", "b"))


@pytest.mark.parametrize("table, n, code, outcome, aside", [
    ("refuse", None, None, "refused", []),
    ("warn", None, None, "warned", []),
    ("quarantine", None, None, "quarantined", [1, 2]),
    ("warn", "quarantine", None, "quarantined", [1, 2]),
    ("warn", {"range": "quarantine"}, None, "quarantined", [1]),
    ({"missing values": "quarantine"}, {"range": "warn"}, "warn", "quarantined", [2]),
    ("quarantine", None, "refuse", "refused", [1, 2]),
])
def test_most_specific_policy_decides(
    *, table: BreachPolicies, n: BreachPolicies | None, code: BreachPolicies | None, outcome: ValidationOutcome,
    aside: list[int],
) -> None:
    columns = {"n": replace(POSITIVE, policy=n), "code": replace(CODES, policy=code)}
    report = validate(ROWS, Expectations(columns=columns, policy=table))
    assert report.outcome == outcome
    good, quarantined = report.divide(ROWS)
    assert quarantined.index.tolist() == aside
    assert good.index.tolist() == ROWS.index.difference(aside).tolist()
    if outcome != "refused": assert report.require() is report


def test_breach_shows_the_rows_with_the_column_in_question_first() -> None:
    breach = only_breach(ROWS.filter(items=["code", "n"]).fillna(0), Expectations(columns={"n": POSITIVE}))
    assert [list(row.items()) for row in breach.rows] == [[("row", 1), ("n", -5.0), ("code", "x")]]


def test_drift_beyond_chance_is_a_breach_and_chance_is_none() -> None:
    rng = np.random.default_rng(0)
    def sample(rows: int = 5000, mean: float = 0, kinds: str = "ab") -> pd.DataFrame:
        return pd.DataFrame({"x": rng.normal(mean, size=rows), "kind": rng.choice(list(kinds), rows)})
    near = Expectations(columns={"x": ColumnRule(max_psi=0.1), "kind": ColumnRule(max_psi=0.1)}, reference="t@1")
    reference = profile(sample())
    def drifted(table: pd.DataFrame) -> list[str | None]:
        return [breach.column for breach in validate(table, near, reference=reference).breaches]
    assert drifted(sample()) == []
    assert drifted(sample(rows=200)) == []
    assert drifted(sample(mean=1)) == ["x"]
    assert drifted(sample(kinds="ac")) == ["kind"]


def test_wrong_type_is_a_breach_also_where_drift_is_watched() -> None:
    near = Expectations(columns={"distance": ColumnRule(type="integer", max_psi=0.1)}, reference="t@1")
    report = validate(GOOD.assign(distance="far"), near, reference=profile(GOOD))
    assert [(breach.column, breach.rule) for breach in report.breaches] == [("distance", "type")]


def test_drift_without_the_profile_of_its_reference_is_refused() -> None:
    near = Expectations(columns={"distance": ColumnRule(max_psi=0.1)}, reference="t@1")
    with pytest.raises(BadParameter, match="drift is told from t@1: give its profile"): validate(GOOD, near)
    with pytest.raises(BadParameter, match="t@1 has no column 'distance'"):
        validate(GOOD, near, reference=profile(GOOD[["carrier"]]))


def test_stale_table_is_told_from_a_fresh_one() -> None:
    daily = Expectations(columns={}, time_column="when", max_age="36h")
    moment = datetime(2013, 1, 4, 11, tzinfo=UTC)
    assert validate(ROWS, daily, at=moment).ok
    (breach,) = validate(ROWS, daily, at=moment + timedelta(hours=2)).breaches
    assert breach.message == "when: the latest is 2013-01-03 00:00, 37.0 hours old; allowed are at most 36h"
    with pytest.raises(BadTable, match="holds no points in time"): validate(ROWS.assign(when="soon"), daily)
    with pytest.raises(BadTable, match="when: the column is missing"): validate(ROWS.drop(columns="when"), daily)


PERSONS = pd.DataFrame({
    "name, first": ["ada", None, "grace", "ada"], "age": [200, 30, 40, 50],
    "born": pd.to_datetime(["1815-12-10", "1912-06-23", "1906-12-09", None]),
})


@pytest.mark.parametrize("expectations", [
    Expectations(columns={"name, first": ColumnRule(nullable=False), "age": ColumnRule(max=120)}),
    Expectations(columns={"name, first": ColumnRule(values=("alan",))}),
    Expectations(columns={"name, first": ColumnRule(type="integer")}),
    Expectations(columns={"name, first": ColumnRule(unique=True)}),
    Expectations(columns={"name, first": ColumnRule(), "age": ColumnRule()}, unique_key=("name, first",)),
    Expectations(columns={"name, first": ColumnRule(max_psi=0.0)}, reference="t@1"),
    Expectations(columns={}, time_column="born", max_age="36h"),
], ids=["missing and range", "unknown", "type", "unique", "key", "drift", "stale"])
def test_values_that_tell_about_persons_are_in_no_report(expectations: Expectations) -> None:
    reference = profile(PERSONS.assign(**{"name, first": ["x"] * 4}))
    report = validate(PERSONS, expectations, reference=reference, hidden=["name, first", "born"])
    shown = f"{report.asdict()} {report._repr_html_()}"
    assert not report.ok
    assert [value for value in ("ada", "grace", "1912", "1906") if value in shown] == []


def test_values_of_the_other_columns_are_shown() -> None:
    (breach,) = validate(PERSONS, Expectations(columns={"age": ColumnRule(max=120)}), hidden=["name, first"]).breaches
    assert breach.rows == ({"row": 0, "age": 200, "name, first": "…", "born": "1815-12-10 00:00:00"},)


def test_markup_in_names_and_values_is_escaped() -> None:
    expectations = infer(pd.DataFrame({"<i>n": ["<i>v"]}))
    page = validate(pd.DataFrame({"<i>n": ["<i>w"], "<i>x": [1]}), expectations)._repr_html_()
    assert "<i>" not in page
    assert "&lt;i&gt;w" in page
