"Profiles of tables of every kind of column: one pass, any partition, any form of the table."
from __future__ import annotations

import json
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_tables import tables
from mlops_nb.base.errors import BadTable, NotFound
from mlops_nb.data.column_profiles import QUANTILES, ColumnProfile
from mlops_nb.data.profiles import Profile, profile

EXACT = (
    "kind", "count", "missing", "distinct", "quantiles", "categories", "min", "max", "infinite", "lengths", "gaps",
)


def of(values: Any) -> ColumnProfile:
    return profile(pd.DataFrame({"x": values}))["x"]


def exact_part(column: ColumnProfile) -> dict[str, Any]:
    "The readings that are not rounded."
    return {name: getattr(column, name) for name in EXACT}


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(tables())
def test_a_profile_survives_json(table: pd.DataFrame) -> None:
    known = profile(table)
    assert Profile.from_dict(json.loads(json.dumps(known.asdict(), allow_nan=False))) == known


@settings(deadline=None, max_examples=100)
@given(tables())
def test_every_profile_shows_itself(table: pd.DataFrame) -> None:
    assert "Profile of" in profile(table)._repr_html_()


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(tables(least=1))
def test_the_order_of_rows_does_not_matter(table: pd.DataFrame) -> None:
    assert exact_part(profile(table)["x"]) == exact_part(profile(table.iloc[::-1])["x"])


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(tables(least=1), st.lists(st.integers(0, 60), max_size=3))
def test_parts_add_up_to_the_whole(table: pd.DataFrame, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    whole = profile(table)
    parts = [profile(table.iloc[begin:end], whole.kinds) for begin, end in pairwise(edges) if end > begin]
    together, x = reduce(Profile.merge, parts)["x"], whole["x"]
    assert exact_part(together) == exact_part(x)
    if x.mean is None or x.min is None or x.max is None or abs(x.max - x.min) >= 1e150: return  # squares overflow
    rounding = 1e-9 * max(abs(x.min), abs(x.max))
    assert together.mean == pytest.approx(x.mean, rel=1e-9, abs=rounding)
    assert together.std == (x.std if x.std is None else pytest.approx(x.std, rel=1e-6, abs=rounding))


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    "Every kind of column, in more rows than a slice has."
    rng, n = np.random.default_rng(0), 300_000
    return pd.DataFrame({
        "x": np.where(rng.random(n) < .1, np.nan, rng.normal(size=n)), "n": rng.integers(0, 90, n),
        "word": rng.choice(np.array(["a", "b", None]), n), "yes": rng.random(n) < .5,
        "when": pd.date_range("2013-01-01", periods=n, freq="min", tz="UTC"),
        "took": pd.to_timedelta(rng.integers(0, 9, n), unit="s"),
    })


@pytest.mark.slow
def test_frames_tables_and_batches_have_the_same_profile(flights: pd.DataFrame) -> None:
    arrow = pa.Table.from_pandas(flights, preserve_index=False)
    of_frame = profile(flights)
    for other in profile(arrow), profile(iter(arrow.to_batches(max_chunksize=1000))):
        assert other.rows == of_frame.rows
        assert [exact_part(column) for column in other.columns] == [exact_part(column) for column in of_frame.columns]
        pd.testing.assert_frame_equal(other.correlations(), of_frame.correlations(), atol=1e-9)


def test_correlations_are_those_of_pandas(flights: pd.DataFrame) -> None:
    ours = profile(flights).correlations()
    assert list(ours) == ["x", "n", "took"]
    numbers = flights[["x", "n"]].assign(took=flights.took.dt.total_seconds())
    pd.testing.assert_frame_equal(ours, numbers.corr(), atol=1e-9)


def test_correlations_of_large_numbers_do_not_cancel() -> None:
    small = pd.DataFrame(np.random.default_rng(0).integers(0, 9, (5000, 2)), columns=list("ab"))
    large = (small + 10**15).astype("float64")  # whose mean is known to a tenth
    pd.testing.assert_frame_equal(profile(large).correlations(), small.corr(), atol=1e-4)


def test_correlations_follow_the_columns_that_are_selected() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc"))
    expected = table.reindex(columns=["c", "a"]).corr()
    pd.testing.assert_frame_equal(profile(table).select(["c", "a"]).correlations(), expected, atol=1e-12)
    parts = profile(table[:20]).merge(profile(table.loc[20:, ["c", "b", "a"]]))  # in another order
    pd.testing.assert_frame_equal(parts.correlations(), table.corr(), atol=1e-12)


def test_an_empty_table_has_a_profile() -> None:
    schema = pa.schema({"x": pa.float64(), "word": pa.string()})
    empty = profile(schema.empty_table())
    assert (empty.rows, empty.kinds, empty["x"].mean) == (0, {"x": "numeric", "word": "categorical"}, None)
    assert empty == profile(schema.empty_table().to_pandas().astype({"word": "str"}))


def test_readings_are_those_of_pandas() -> None:
    table = pd.DataFrame({"x": np.random.default_rng(0).gamma(2, 100, 5000)})
    column, described = profile(table)["x"], table.x.describe()
    assert (column.mean, column.std) == pytest.approx((described["mean"], described["std"]))
    assert (column.min, column.max, column.distinct) == (described["min"], described["max"], table.x.nunique())
    exact = {str(share): np.quantile(table.x, share, method="inverted_cdf") for share in QUANTILES}
    assert column.rank_error == 0 and column.quantiles == exact


def test_quantiles_of_many_values_are_within_the_stated_error() -> None:
    x = np.random.default_rng(0).lognormal(size=400_000)
    column = ColumnProfile.from_dict(json.loads(json.dumps(of(x).asdict())))
    assert 0 < column.rank_error < 0.002 and abs(column.distinct / 400_000 - 1) < 4 * column.distinct_error
    for share, value in column.quantiles.items(): assert abs((x <= value).mean() - float(share)) <= column.rank_error


def test_a_profile_of_free_text_stays_small() -> None:
    table = pd.DataFrame({"text": [f"{i}" * 20_000 for i in range(200)]})
    assert len(json.dumps(profile(table).asdict())) < 40_000


@pytest.mark.parametrize("table, message", [
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column is named a"),
    (pa.table([[1], [2]], names=["a", "a"]), "more than one column is named a"),
    (pd.DataFrame([[1]]), "must be text, not 0"),
    (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "must be text"),
    ({"a": [1]}, "a dict is no table"),
    ([1, 2], "int is no batch of rows"),
    ([], "there are no batches"),
    (pd.DataFrame({"b": [1]}), "the table lacks a"),
    ([pa.record_batch({"a": [1]}), pa.record_batch({"b": [1]})], "the table lacks a"),
    (pd.DataFrame({"a": ["far"]}), "a is numeric in the reference, and here of type string"),
    (pd.DataFrame({"a": pd.to_datetime(["2013-01-01"])}), "of type datetime")])
def test_what_cannot_be_profiled_is_refused_with_a_reason(table: Any, message: str) -> None:
    with pytest.raises(BadTable, match=message): profile(table, profile(pd.DataFrame({"a": [1.5]})).kinds)


def test_profiles_of_other_columns_do_not_add_up() -> None:
    x, y = (profile(pd.DataFrame({name: [1, 2]})) for name in "xy")
    with pytest.raises(BadTable, match="x, y is in one of them only"): x.merge(y)
    with pytest.raises(NotFound, match="no column 'y'; there are: x"): x["y"]


def test_a_part_without_values_takes_the_kind_of_the_other() -> None:
    empty, numbers = (profile(pd.DataFrame({"x": values})) for values in ([None, None], [1.5, None]))
    for together in empty.merge(numbers), numbers.merge(empty):
        assert (together["x"].kind, together["x"].count, together["x"].missing) == ("numeric", 1, 3)


@pytest.mark.parametrize("values", [["Ada Lovelace", "Alan Turing", None], [1815.0, 1912.0, None]])
def test_hidden_values_are_nowhere(values: list[Any]) -> None:
    known = profile(pd.DataFrame({"person": values, "n": [1, 2, 3]}))
    hidden = known.without_values(["person"])
    assert (hidden["person"].count, hidden["person"].missing) == (2, 1)
    assert (hidden["person"].categories, hidden["person"].mean, hidden["person"].quantiles) == ({}, None, {})
    assert "person" not in hidden.correlations()
    record = json.dumps(hidden.asdict())
    assert not any(word in record + hidden._repr_html_() for word in ("Ada", "Alan", "1815", "1912"))
    assert Profile.from_dict(json.loads(record)) == hidden
    assert hidden.merge(known)["person"].is_hidden and known.merge(hidden)["person"].is_hidden


def test_markup_in_names_and_values_is_escaped() -> None:
    shown = profile(pd.DataFrame({"<i>n": ["<i>v"], "<i>m": [1]}))
    pages = shown._repr_html_() + "".join(column._repr_html_() for column in shown.columns)
    assert "<i>" not in pages and pages.count("&lt;i&gt;v") >= 3  # most frequent, in a bar, of the column
