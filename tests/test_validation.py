"Each rule found where it is broken, none where it is not."
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.core import BadParameter, BadTable
from mlops_nb.expectations import ColumnRule, Expectations, infer
from mlops_nb.validation import validate
from test_profiles import tables

GOOD = pd.DataFrame({"carrier": ["UA", "DL", "B6"], "distance": [1400, 762, 1576], "delay": [3.5, -7.0, np.nan], "late": [True, False, False],
                     "scheduled": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-03"])})
EXPECTED = infer(GOOD)

def only_breach(table, expectations=EXPECTED):
    report = validate(table, expectations)
    assert len(report.breaches) == 1 and not report.ok
    json.dumps(report.asdict(), allow_nan=False)
    assert report.breaches[0].message in str(pytest.raises(BadTable, report.require).value)
    return report.breaches[0]


@settings(deadline=None, max_examples=200)
@given(tables(least=1, but=("object",)), st.sampled_from([0.0, 0.5, 1e300]))
def test_a_clean_table_meets_what_was_inferred_from_it(table, margin):
    expectations = infer(table, margin)
    assert [breach.message for breach in validate(table, expectations).breaches] == []
    assert Expectations.from_dict(json.loads(json.dumps(expectations.asdict(), allow_nan=False))) == expectations
    expectations._repr_html_()


def test_a_missing_column_is_found():
    breach = only_breach(GOOD.drop(columns="distance"))
    assert (breach.column, breach.rule, breach.message, breach.share) == ("distance", "missing column", "distance: the column is missing", 1.0)


@pytest.mark.parametrize("column, values, count, sample", [
    ("distance", ["1400", "762", "1576"], 3, ("1400", "762", "1576")),
    ("distance", [1400, "n/a", 1576], 1, ("n/a",)),
    ("distance", [1400, 762.5, 1576], 1, (762.5,)),
    ("delay", [True, False, True], 3, (True, False)),
    ("carrier", [1, 2, 3], 3, (1, 2, 3)),
    ("late", [0, 1, 0], 3, (0, 1)),
    ("scheduled", ["2013-01-01", "2013-01-02", "2013-01-03"], 3, ("2013-01-01", "2013-01-02", "2013-01-03")),
    ("carrier", [["UA"], "DL", "B6"], 1, (["UA"],))])
def test_a_wrong_type_is_found(column, values, count, sample):
    breaches = [b for b in validate(GOOD.assign(**{column: pd.Series(values).astype(object)}), EXPECTED).breaches if b.rule == "type"]
    assert [(b.column, b.count, b.sample) for b in breaches] == [(column, count, sample)]


@pytest.mark.parametrize("column, values", [
    ("distance", pd.Series([1400.0, 762.0, 1576.0])), ("distance", pd.Series([1400, 762, 1576], dtype="Int16")), ("distance", pd.Series([1400, 762, 1576]).astype("category")),
    ("distance", pd.Series([1400, 762.0, Decimal(1576)], dtype=object)), ("distance", pd.Series([1400, 762, 1576], dtype="int32[pyarrow]")),
    ("delay", pd.Series([3, -7, None], dtype="Int64")), ("delay", pd.Series([None] * 3)), ("carrier", pd.Series(["UA", "DL", "B6"]).astype("category")),
    ("carrier", pd.Series(["UA", "DL", "B6"], dtype=object)), ("late", pd.Series([True, False, False], dtype="boolean")),
    ("scheduled", pd.Series([date(2013, 1, 1)] * 3)), ("scheduled", GOOD.scheduled.dt.tz_localize("UTC"))])
def test_the_same_values_in_another_dtype_are_no_breach(column, values):
    assert validate(GOOD.assign(**{column: values}), EXPECTED).breaches == ()


def test_missing_values_are_found():
    breach = only_breach(GOOD.assign(distance=[1400, None, None]))
    assert (breach.rule, breach.message, breach.count, breach.share) == ("missing values", "distance: 2 rows without a value", 2, 2 / 3)


@pytest.mark.parametrize("distance, message", [(-1400, "distance: 1 row below 355.0 (e.g. -1400)"), (9999, "distance: 1 row above 1983.0 (e.g. 9999)")])
def test_a_value_out_of_range_is_found(distance, message):
    breach = only_breach(GOOD.assign(distance=[1400, 762, distance]))
    assert (breach.rule, breach.message, breach.sample) == ("range", message, (distance,))


def test_an_infinity_is_out_of_range_and_still_json():
    assert only_breach(GOOD.assign(delay=[np.inf, 0, 0])).sample == ("inf",)


def test_an_unknown_value_is_found():
    breach = only_breach(GOOD.assign(carrier=["UA", "XX", "XX"]))
    assert (breach.rule, breach.message, breach.count, breach.sample) == ("unknown value", "carrier: 2 rows with an unknown value (e.g. 'XX')", 2, ("XX",))


def test_a_repeated_value_of_a_unique_column_is_found():
    breach = only_breach(GOOD.assign(distance=[762, 1576, 762]), EXPECTED.change("distance", unique=True))
    assert (breach.column, breach.rule, breach.count, breach.sample) == ("distance", "duplicate key", 1, (762,))


def test_a_repeated_key_is_found():
    breach = only_breach(pd.concat([GOOD, GOOD.iloc[[1]]]), replace(EXPECTED, unique_key=("carrier", "scheduled")))
    assert (breach.column, breach.rule, breach.count, breach.sample) == ("carrier, scheduled", "duplicate key", 1, (["DL", "2013-01-02 00:00:00"],))


def test_a_key_without_one_of_its_columns_is_one_breach():
    assert only_breach(GOOD.assign(distance=1000).drop(columns="carrier"), replace(EXPECTED, unique_key=("carrier", "distance"))).rule == "missing column"


@pytest.mark.parametrize("rows, min_rows", [(0, 1), (3, 4)])
def test_too_few_rows_are_found(rows, min_rows):
    breach = only_breach(GOOD.iloc[:rows], replace(EXPECTED, min_rows=min_rows))
    assert (breach.column, breach.rule, breach.count) == (None, "too few rows", rows)


def test_an_empty_table_is_accepted_where_it_is_expected():
    assert validate(GOOD.iloc[:0], replace(EXPECTED, min_rows=0)).ok


def test_every_breach_of_a_table_is_reported_at_once_and_the_table_is_left_alone():
    table = GOOD.assign(carrier=["UA", "XX", None], distance=[-1, 10**6, 762], gate="A1").drop(columns="late").set_index(pd.Index([7, 7, 7]))
    before = table.copy()
    report = validate(table, replace(EXPECTED, min_rows=10))
    assert [(b.column, b.rule) for b in report.breaches] == [("late", "missing column"), ("carrier", "missing values"), ("carrier", "unknown value"), ("distance", "range"), ("distance", "range"), (None, "too few rows")]
    assert report.extra == ("gate",)
    assert len(str(pytest.raises(BadTable, report.require).value).splitlines()) == 6
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("table, message", [
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column is named a"), (GOOD.iloc[:0], "without rows"), (pd.DataFrame(index=range(3)), "without rows or columns"),
    (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), r"column a mixes types \(int, str\)"), (None, "a NoneType is no table")])
def test_nothing_is_inferred_from_a_bad_table(table, message):
    with pytest.raises(BadTable, match=message): infer(table)


def test_a_table_with_two_columns_of_one_name_is_not_validated():
    with pytest.raises(BadTable, match="more than one column"): validate(pd.concat([GOOD, GOOD], axis=1), EXPECTED)


def test_a_range_that_cannot_be_compared_is_an_error_and_not_a_pass():
    with pytest.raises(BadTable, match="a cannot be checked for below"): validate(pd.DataFrame({"a": ["x"]}), Expectations({"a": ColumnRule(min=0)}))


@pytest.mark.parametrize("rule", [{"type": "int"}, {"type": "string", "min": 0}])
def test_an_impossible_rule_is_refused(rule):
    with pytest.raises(BadParameter): Expectations.from_dict({"columns": {"a": rule}})


def test_a_key_of_columns_without_rules_is_refused():
    with pytest.raises(BadParameter, match="the key holds b"): Expectations({"a": ColumnRule()}, unique_key=("a", "b"))


def test_pandera_switched_off_does_not_switch_a_gate_off():
    import pandera.config
    for switch in ({"validation_enabled": False}, {"validation_depth": "SCHEMA_ONLY"}):
        with pandera.config.config_context(**switch): assert not validate(GOOD.assign(distance=-1), EXPECTED).ok


def test_markup_in_names_and_values_is_escaped():
    expectations = infer(pd.DataFrame({"<i>n": ["<i>v"]}))
    shown = expectations._repr_html_() + validate(pd.DataFrame({"<i>n": ["<i>w"], "<i>x": [1]}), expectations)._repr_html_()
    assert "<i>" not in shown and "&lt;i&gt;w" in shown


def test_a_misspelt_rule_is_named():
    with pytest.raises(BadParameter, match="the rule of a has no .minimum.: write type, nullable, min, max"): Expectations.from_dict({"columns": {"a": {"minimum": 0}}})
