"Profiles over tables of every kind of column, and the two distances over any counts."
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlops_nb.core import BadTable
from mlops_nb.profiles import Profile, column_type, compare, js, profile, psi

COLUMNS = {
    "float": (st.floats() | st.none(), "float64"),
    "float32": (st.floats(width=32), "float32"),
    "few": (st.sampled_from([0.0, 0.1, 2.0]), "float64"),
    "int": (st.integers(-2**63, 2**63 - 1), "int64"),
    "nullable": (st.integers(0, 2**64 - 1) | st.none(), "UInt64"),
    "arrow": (st.integers(-5, 5) | st.none(), "int64[pyarrow]"),
    "bool": (st.booleans(), "bool"),
    "maybe": (st.booleans() | st.none(), "boolean"),
    "text": (st.text(max_size=5) | st.none(), "str"),
    "long": (st.text("ab", min_size=95, max_size=105), "str"),
    "code": (st.integers(0, 3) | st.none(), "category"),
    "object": (st.none() | st.integers() | st.text(max_size=3), "object"),
    "decimal": (st.decimals(allow_nan=False, allow_infinity=False, places=2) | st.none(), "object"),
    "list": (st.lists(st.integers(), max_size=2), "object"),
    "time": (st.datetimes() | st.none(), "datetime64[us]"),
    "zoned": (st.datetimes(min_value=pd.Timestamp.min.ceil("s").to_pydatetime(), max_value=pd.Timestamp.max.floor("s").to_pydatetime()), "datetime64[ns, UTC]"),
    "date": (st.dates() | st.none(), "object"),
    "duration": (st.timedeltas(min_value=-pd.Timedelta(days=10**5), max_value=pd.Timedelta(days=10**5)), "timedelta64[us]"),
    "nothing": (st.none(), "object"),
}

def columns(name, least=0):
    "Tables of one column `x` of a kind."
    values, dtype = COLUMNS[name]
    return st.lists(values, min_size=least, max_size=60).map(lambda x: pd.DataFrame({"x": pd.Series(x, dtype=dtype)}))

def tables(least=0, but=()): return st.sampled_from([name for name in COLUMNS if name not in but]).flatmap(lambda name: columns(name, least))

pairs = st.sampled_from([name for name in COLUMNS if name != "object"]).flatmap(lambda name: st.tuples(columns(name), columns(name)))  # an object column may turn from numbers to text: refused

counts = arrays("int64", 8, elements=st.integers(0, 10**9)).filter(lambda bins: bins.sum() > 0)


@settings(deadline=None, max_examples=200)
@given(tables())
def test_profile_survives_json(table):
    found = profile(table)
    assert Profile.from_dict(json.loads(json.dumps(found.asdict(), allow_nan=False))) == found
    found._repr_html_()


@settings(deadline=None, max_examples=200)
@given(pairs)
def test_every_row_is_in_one_bin_of_its_own_profile_and_of_another(pair):
    reference = profile(pair[0])
    for table, found in zip(pair, (reference["x"], profile(pair[1], like=reference)["x"])):
        assert found.bins.sum() == found.count + found.missing == len(table)
        assert found.missing == table.x.isna().sum()


@settings(deadline=None, max_examples=200)
@given(pairs)
def test_like_keeps_the_reference_s_bins_and_categories(pair):
    reference = profile(pair[0])
    current = profile(pair[1], like=reference)
    assert (current["x"].kind, current["x"].edges, current["x"].categories) == (reference["x"].kind, reference["x"].edges, reference["x"].categories)
    assert profile(pair[0], like=reference) == reference


@settings(deadline=None, max_examples=200)
@given(tables(least=1))
def test_the_order_of_rows_does_not_matter(table):
    assert profile(table.iloc[::-1]) == profile(table)


@settings(deadline=None, max_examples=200)
@given(tables(least=1))
def test_a_table_is_at_no_distance_from_itself(table):
    reference = profile(table)
    column, = compare(reference, profile(table, like=reference)).columns
    assert (column.psi, column.js, column.new_categories) == (0.0, 0.0, ())


@given(counts, counts)
def test_distances_are_bounded_and_zero_only_for_equal_shares(expected, actual):
    assert psi(expected, expected * 3) == pytest.approx(0, abs=1e-12)  # the same shares up to rounding
    assert psi(expected, actual) >= 0
    assert 0 <= js(expected, actual) <= 1
    assert js(expected, actual) == pytest.approx(js(actual, expected), abs=1e-7)  # the root of a rounding error


@given(counts, counts, counts)
def test_jensen_shannon_is_a_metric(a, b, c):
    assert js(a, c) <= js(a, b) + js(b, c) + 1e-7


def test_jensen_shannon_agrees_with_scipy():
    from scipy.spatial.distance import jensenshannon
    a, b = np.random.default_rng(0).integers(0, 50, (2, 30))
    assert js(a, b) == pytest.approx(jensenshannon(a, b, base=2))


def test_statistics_agree_with_pandas():
    table = pd.DataFrame({"x": np.random.default_rng(0).gamma(2, 100, 5000)})
    column, described = profile(table)["x"], table.x.describe()
    assert (column.mean, column.std, column.min, column.max, column.distinct) == pytest.approx((described["mean"], described["std"], described["min"], described["max"], table.x.nunique()))
    assert len(column.counts) == 20 and set(column.counts) == {250}


def test_distinct_identifiers_beyond_float64_are_told_apart():
    table = pd.DataFrame({"id": np.arange(2**60, 2**60 + 1000), "at": pd.to_datetime(np.arange(10**18, 10**18 + 1000))})
    assert [column.distinct for column in profile(table).columns] == [1000, 1000]


@pytest.mark.parametrize("reference, current", [
    ([2013.0] * 50, [2014.0] * 50), ([0] * 50, [1] * 50),                  # a constant that moves
    ([0, 1] * 25, [0] * 49 + [1]),                                         # few values
    ([0.0] * 990 + list(range(1, 31)), [0.0] * 500 + list(range(1, 501))), # mostly zeros
    (list(range(-30, 1)) + [1.0] * 990, list(range(-30, 2)) * 10),         # mostly its maximum
    (list(range(100)), [None] * 50 + list(range(50, 100))),                # missing
    (list(range(100)), [np.inf] * 100), (list(range(100)), [-1e300] * 100),
    (["UA"] * 50, ["HA"] * 50), ([True] * 50, [False] * 50), ([None] * 50, ["UA"] * 50)])
def test_a_shift_is_seen(reference, current):
    reference = profile(pd.DataFrame({"x": reference}))
    assert compare(reference, profile(pd.DataFrame({"x": current}), like=reference)).columns[0].psi > .25


def test_new_categories_are_named_only_when_the_reference_holds_all_of_its_own():
    few, many = pd.DataFrame({"x": [f"c{i:02}" for i in range(50)]}), pd.DataFrame({"x": [f"c{i:02}" for i in range(51)]})
    seen = pd.DataFrame({"x": ["z", "c50", "z", "c00"]})
    assert profile(seen, like=profile(few))["x"].new_categories == ("z", "c50")
    assert profile(seen, like=profile(many))["x"].new_categories == ()
    assert profile(seen, like=profile(many))["x"].other == 3


@pytest.mark.parametrize("values", [[1, 2], [True, False], pd.Series([1, 2]).astype("category"), [None, None]])
def test_a_number_may_come_as_another_dtype(values):
    reference = profile(pd.DataFrame({"x": [1.0, 2.0, 3.0]}))
    assert profile(pd.DataFrame({"x": values}), like=reference)["x"].kind == "numeric"


@pytest.mark.parametrize("table, message", [
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column is named a"),
    (pd.DataFrame([[1]]), "must be text, not 0"),
    (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "must be text"),
    ({"a": [1]}, "a dict is no table"),
    (pd.DataFrame({"b": [1]}), "lacks a"),
    (pd.DataFrame({"a": ["far"]}), "a is numeric in the reference, and here of type string"),
    (pd.DataFrame({"a": pd.to_datetime(["2013-01-01"])}), "of type datetime")])
def test_what_cannot_be_profiled_is_refused_with_a_reason(table, message):
    with pytest.raises(BadTable, match=message): profile(table, like=profile(pd.DataFrame({"a": [1.5]})))


def test_profiles_on_different_bins_are_not_compared():
    one, two = profile(pd.DataFrame({"x": [1, 2]})), profile(pd.DataFrame({"x": [1, 3]}))
    with pytest.raises(BadTable, match="like=reference"): compare(one, two)
    with pytest.raises(BadTable, match="without rows"): compare(one, profile(pd.DataFrame({"x": []}, dtype="int64"), like=one))


def test_markup_in_names_and_values_is_escaped():
    hostile = pd.DataFrame({"<i>n": ["<i>v"], "<i>m": [1]})
    reference = profile(hostile)
    shown = reference._repr_html_() + compare(reference, profile(hostile.replace("<i>v", "<i>w"), like=reference))._repr_html_()
    assert "<i>" not in shown and "&lt;i&gt;w" in shown


def test_a_profile_of_free_text_stays_small():
    table = pd.DataFrame({"text": [f"{i}" * 20000 for i in range(200)]})
    assert len(json.dumps(profile(table).asdict())) < 10_000
    assert column_type(table.text) == "string"
