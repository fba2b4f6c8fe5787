"Expectations: met by the table they were drafted from, read back as they were written, refused when impossible."
from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_tables import tables
from mlops_nb.base.errors import BadParameter, BadTable
from mlops_nb.data.expectations import BreachPolicies, ColumnRule, Expectations, infer
from mlops_nb.data.validation import validate

GOOD = pd.DataFrame({"carrier": ["UA", "DL", "B6"], "distance": [1400, 762, 1576]})


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(tables(least=1, but=("object",)), st.sampled_from([0.0, 0.5, 1e300]))
def test_table_meets_what_was_inferred_from_it(table: pd.DataFrame, margin: float) -> None:
    expectations = infer(table, margin=margin)
    assert [breach.message for breach in validate(table, expectations).breaches] == []
    assert Expectations.from_dict(json.loads(json.dumps(expectations.asdict(), allow_nan=False))) == expectations
    assert expectations._repr_html_().startswith("<table>")


@pytest.mark.parametrize("table, message", [
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column is named a"),
    (GOOD.iloc[:0], "without rows"),
    (pd.DataFrame(index=range(3)), "without rows or columns"),
    (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), r"column a mixes types \(int, str\)"),
    (None, "a NoneType is no table"),
])
def test_nothing_is_inferred_from_a_bad_table(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(BadTable, match=message): infer(table)


@pytest.mark.parametrize("margin", [-0.1, float("inf"), float("nan")])
def test_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(BadParameter, match="is none: give a number of at least 0"): infer(GOOD, margin=margin)


def test_values_that_tell_about_persons_are_not_drafted() -> None:
    expectations = infer(GOOD, hidden=["carrier", "distance", "not there"])
    assert expectations.columns["carrier"] == ColumnRule(type="string", nullable=False)
    assert expectations.columns["distance"] == ColumnRule(type="integer", nullable=False)


@pytest.mark.parametrize("text, reason", [
    ("columns: {a: {type: int}}", "'int' is no type of a column: write integer"),
    ("columns: {a: {type: string, min: 0}}", "a string column has no range"),
    ("columns: {a: {min: {value: 0}}}", r"min is \{'value': 0\}: write a number"),
    ("columns: {a: {max_psi: low}}", "max_psi is 'low': write a number"),
    ("columns: {a: {nullable: never}}", "nullable is 'never': write true or false"),
    ("columns: {a: {values: UA}}", "values is 'UA': write a list"),
    ("columns: {a: {policy: ignore}}", "'ignore' is no policy: write warn, quarantine, refuse"),
    ("columns: {a: {policy: {colour: warn}}}", "'colour' is no rule"),
    ("columns: {}\npolicy: {drift: quarantine}", "no rows to quarantine; write warn or refuse"),
    ("columns: {a: {}}\nunique_key: [a, b]", "the key holds b, which has no rule"),
    ("columns: {a: {max_psi: 0.1}}", "no reference to be near to"),
    ("columns: {}\nmax_age: 2 days", "time_column and max_age"),
    ("columns: {}\ntime_column: t\nmax_age: long", "no span of time"),
    ("- a", "have columns"),
    ("columns: {a: 3}", "the rule of a is 3"),
    ("columns: {}\nowner: me", "has no 'owner'"),
    ("columns: {a: {minimum: 0}}", "the rule of a has no 'minimum': write type, nullable, min, max"),
    ("a: [1", "are no YAML"),
])
def test_what_nobody_can_mean_is_refused_when_it_is_written(text: str, reason: str) -> None:
    with pytest.raises(BadParameter, match=reason) as refused: Expectations.from_yaml(text)
    assert "\n" not in str(refused.value)


types = st.sampled_from([None, "string", "boolean"])
values = st.none() | st.lists(st.booleans() | st.integers() | st.text(max_size=4), max_size=3).map(tuple)
policies: st.SearchStrategy[BreachPolicies | None] = st.sampled_from([None, "warn", {"type": "quarantine"}])
rules = st.builds(ColumnRule, type=types, nullable=st.booleans(), values=values, policy=policies)


@example({"a": ColumnRule(values=("\x85", "\u2028 b", "c\u2029", "\n", "\t", "\ufeff", " "))}, None)
@given(st.dictionaries(st.text("abc é:'#", min_size=1, max_size=5), rules, max_size=4), st.sampled_from([None, "t@1"]))
def test_yaml_reads_back_as_it_was_written(columns: dict[str, ColumnRule], reference: str | None) -> None:
    expectations = Expectations(columns=columns, reference=reference, policy={"drift": "warn"})
    back = Expectations.from_yaml(expectations.to_yaml())
    assert back == expectations
    assert list(back.columns) == list(columns)


def test_markup_in_a_name_or_value_is_text() -> None:
    page = infer(pd.DataFrame({"<i>n": ["<i>v"]}))._repr_html_()
    assert "<i>" not in page
    assert "&lt;i&gt;v" in page
