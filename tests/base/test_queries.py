"The query language: whatever is typed is read as it is meant, or refused in one line."
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter
from mlops_nb.base.queries import OPERATORS, Condition, holds, read_conditions

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,9}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="'"), max_size=12)
EXAMPLE = "rows > 9"


@given(st.lists(st.tuples(NAMES, st.sampled_from(OPERATORS), VALUES), min_size=1, max_size=4))
def test_quoted_values_are_read_as_written(terms: list[tuple[str, str, str]]) -> None:
    query = " and ".join(f"{name} {operator} '{value}'" for name, operator, value in terms)
    assert [(each.name, each.operator, each.value) for each in read_conditions(query, EXAMPLE)] == terms


@given(st.text(max_size=40))
def test_whatever_is_typed_is_conditions_or_one_line(text: str) -> None:
    try: conditions = read_conditions(text, EXAMPLE)
    except BadParameter as error: assert "\n" not in str(error) and EXAMPLE in str(error)
    else: assert all(isinstance(condition, Condition) for condition in conditions)


@pytest.mark.parametrize(("query", "table", "name"), [
    ("metrics.auc > 0.5", "metrics", "auc"),
    ("metricsauc > 0.5", "", "metricsauc"),
    ("params.n-jobs = 2", "params", "n-jobs"),
])
def test_a_table_is_what_stands_before_the_dot(query: str, table: str, name: str) -> None:
    (condition,) = read_conditions(query, EXAMPLE)
    assert (condition.table, condition.name) == (table, name)


@pytest.mark.parametrize("query", [
    "rows", "rows >", "rows > 1 or rows < 3", "rows > 1 and", "rows > 1 rows < 3", "> 3",
])
def test_what_is_no_condition_is_refused(query: str) -> None:
    with pytest.raises(BadParameter, match="is no condition: write FIELD OPERATOR VALUE"):
        read_conditions(query, EXAMPLE)


@pytest.mark.parametrize(("query", "met"), [
    ("rows = 10", True), ("rows < 9", False), ("rows > 9.5", True), ("rows = ten", False), ("rows = '10'", False),
    ("late = true", True), ("late = FALSE", False), ("owner = ada", False), ("tags != raw", False),
    ("tags != old", True), ("metrics.auc >= 0.75", True), ("metrics.rmse > 0", False), ("name ~ LIGH", True),
])
def test_a_record_meets_what_it_says(query: str, met: bool) -> None:
    record = {
        "name": "flights", "rows": 10, "late": True, "owner": None, "tags": ["raw", "new"], "metrics": {"auc": 0.75}}
    (condition,) = read_conditions(query, EXAMPLE)
    assert holds(condition, record) is met
