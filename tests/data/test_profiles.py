"Profiles over tables of every kind of column, and the two distances over any counts."
import json
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from data_tables import COLUMNS, columns, tables
from mlops_nb.base.errors import BadTable
from mlops_nb.data.columns import QUANTILES, ColumnProfile, column_type
from mlops_nb.data.profiles import Profile, bars, bins_of, chi_square, compare, js, ks, profile, psi, wasserstein

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
def test_every_row_is_in_one_bin_of_both_sides(pair):
    reference = profile(pair[0])
    current = profile(pair[1], reference.kinds) if pair[0].x.notna().any() else reference
    for table, column, rows in zip(pair, (reference["x"], current["x"]), bins_of(reference["x"], current["x"])[:2]):
        assert rows.sum() == column.count + column.missing and (column is reference["x"] or column.missing == table.x.isna().sum())
    for counts in bars(reference["x"], current["x"])[1]: assert counts.sum() in (0, reference["x"].count, current["x"].count)


@settings(deadline=None, max_examples=200)
@given(tables(least=1))
def test_the_order_of_rows_does_not_matter(table):
    there, back = profile(table)["x"], profile(table.iloc[::-1])["x"]
    assert (there.distinct, there.quantiles, there.categories, there.missing, there.min, there.max) == (back.distinct, back.quantiles, back.categories, back.missing, back.min, back.max)


@settings(deadline=None, max_examples=200)
@given(tables(least=1))
def test_a_table_is_at_no_distance_from_itself(table):
    column, = compare(profile(table), profile(table)).columns
    assert (column.psi, column.js, column.new_categories, column.drift) == (0.0, 0.0, (), False)
    assert all(statistic.value == 0 for statistic in column.statistics)


@settings(deadline=None, max_examples=150)
@given(tables(least=1), st.lists(st.integers(0, 60), max_size=3))
def test_parts_add_up_to_the_whole(table, cuts):
    whole, edges = profile(table)["x"], [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    parts = [profile(table.iloc[a:b], {"x": whole.kind})["x"] for a, b in zip(edges, edges[1:]) if b > a]
    found = reduce(lambda a, b: a.merge(b), parts)
    assert (found.kind, found.count, found.missing, found.distinct, found.quantiles, found.categories, found.min, found.max, found.infinite, found.lengths) == (whole.kind, whole.count, whole.missing, whole.distinct, whole.quantiles, whole.categories, whole.min, whole.max, whole.infinite, whole.lengths)
    if whole.mean is not None and abs(whole.max - whole.min) < 1e150: assert (found.mean, found.std) == (pytest.approx(whole.mean, rel=1e-9, abs=1e-9 * max(abs(whole.min), abs(whole.max))), whole.std if whole.std is None else pytest.approx(whole.std, rel=1e-6, abs=1e-9 * max(abs(whole.min), abs(whole.max))))


def test_frames_tables_and_batches_have_the_same_profile():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": np.where(rng.random(300_000) < .1, np.nan, rng.normal(size=300_000)), "n": rng.integers(0, 90, 300_000), "word": rng.choice(["a", "b", None], 300_000), "yes": rng.random(300_000) < .5, "when": pd.date_range("2013-01-01", periods=300_000, freq="min", tz="UTC"), "took": pd.to_timedelta(rng.integers(0, 9, 300_000), unit="s")})
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    one, two, three = profile(table), profile(arrow), profile(iter(arrow.to_batches(max_chunksize=1000)))
    for other in (two, three):
        for a, b in zip(one.columns, other.columns): assert (a.kind, a.count, a.missing, a.distinct, a.quantiles, a.categories, a.gaps) == (b.kind, b.count, b.missing, b.distinct, b.quantiles, b.categories, b.gaps)
        np.testing.assert_allclose(one.correlations(), other.correlations(), atol=1e-9)
    np.testing.assert_allclose(one.correlations().loc[["x", "n"], ["x", "n"]], table[["x", "n"]].corr(), atol=1e-9)
    assert {column.column for column in compare(one, three).columns if column.drift} == set()


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
    assert column.rank_error == 0 and column.quantiles == {str(share): np.quantile(table.x, share, method="inverted_cdf") for share in QUANTILES}


def test_quantiles_of_many_values_are_within_the_error_that_is_stated():
    x = np.random.default_rng(0).lognormal(size=400_000)
    column = ColumnProfile.from_dict(json.loads(json.dumps(profile(pd.DataFrame({"x": x}))["x"].asdict())))
    assert 0 < column.rank_error < 0.002 and abs(column.distinct / 400_000 - 1) < 4 * column.distinct_error
    for share, value in column.quantiles.items(): assert abs((x <= value).mean() - float(share)) <= column.rank_error


distributions = st.sampled_from(["normal", "exponential", "few", "constant", "integers", "infinite"])

def sample(name, n, seed):
    rng = np.random.default_rng(seed)
    shift = seed % 3 * .3
    return {"normal": rng.normal(shift, 1, n), "exponential": rng.exponential(1 + shift, n), "few": rng.integers(0, 4 + seed % 3, n) / 2, "constant": np.full(n, seed % 2), "integers": rng.integers(-10**12, 10**12, n), "infinite": np.where(rng.random(n) < .01, np.inf, rng.normal(size=n))}[name].astype("float64")


@settings(deadline=None, max_examples=60)
@given(distributions, st.integers(2, 60_000), st.integers(2, 60_000), st.integers(0, 5), st.integers(6, 11))
def test_statistics_are_scipy_s_within_the_error_that_is_stated(name, n, m, one, two):
    x, y = sample(name, n, one), sample(name, m, two)
    a, b = (profile(pd.DataFrame({"x": values}))["x"].settled().sketch for values in (x, y))
    found, true = ks(a, b), stats.ks_2samp(x, y, method="asymp")
    assert abs(found.value - true.statistic) <= found.error + 1e-12
    if not found.error: assert found.p == pytest.approx(true.pvalue, abs=1e-9)
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if len(x) and len(y): assert abs((w := wasserstein(a, b)).value - stats.wasserstein_distance(x, y)) <= w.error * (1 + 1e-9) + 1e-9 * max(np.abs(x).max(), np.abs(y).max())


@given(arrays("int64", 6, elements=st.integers(0, 1000)), arrays("int64", 6, elements=st.integers(0, 1000)))
def test_chi_square_is_scipy_s(a, b):
    table = np.stack([a, b])[:, a + b > 0]
    if table.shape[1] > 1 and a.any() and b.any():
        true = stats.chi2_contingency(table, correction=False)
        assert chi_square(a, b)[:2] == (pytest.approx(true.statistic), pytest.approx(true.pvalue, abs=1e-12))


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
    column = compare(reference, profile(pd.DataFrame({"x": current}), reference.kinds if reference["x"].count else None)).columns[0]
    assert column.psi > .25 and column.drift


def test_new_categories_are_named_only_when_the_reference_holds_all_of_its_own():
    few, many = pd.DataFrame({"x": [f"c{i:04}" for i in range(1000)]}), pd.DataFrame({"x": [f"c{i:04}" for i in range(1001)]})
    seen = profile(pd.DataFrame({"x": ["z", "c1000", "z", "c0000"]}))
    assert compare(profile(few), seen)["x"].new_categories == ("z", "c1000")
    kept = Profile.from_dict(profile(many).asdict())
    assert compare(kept, seen)["x"].new_categories == () and kept["x"].other == 1


@pytest.mark.parametrize("values", [[1, 2], [True, False], pd.Series([1, 2]).astype("category"), [None, None]])
def test_a_number_may_come_as_another_dtype(values):
    reference = profile(pd.DataFrame({"x": [1.0, 2.0, 3.0]}))
    assert compare(reference, profile(pd.DataFrame({"x": values}), reference.kinds)).columns[0].kind == "numeric"
    if any(value is not None for value in values): assert profile(pa.table({"x": [True, None] if values[0] is True else [1, 2]}), reference.kinds)["x"].kind == "numeric"


def test_codes_that_happen_to_be_numbers_this_month_are_still_codes():
    reference = profile(pd.DataFrame({"gate": ["7", "B2", "12"] * 10}))
    for values in ([7, 12], [7.0, None], pd.Series([7, None], dtype="Int64")): assert compare(reference, profile(pd.DataFrame({"gate": values}), reference.kinds))["gate"].new_categories == ()
    with pytest.raises(BadTable, match="gate is categorical in the reference, and numeric here"): compare(reference, profile(pd.DataFrame({"gate": [7, 12]})))


@pytest.mark.parametrize("table, message", [
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column is named a"),
    (pd.DataFrame([[1]]), "must be text, not 0"),
    (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "must be text"),
    ({"a": [1]}, "a dict is no table"),
    (pd.DataFrame({"b": [1]}), "lacks a"),
    (pd.DataFrame({"a": ["far"]}), "a is numeric in the reference, and here of type string"),
    (pd.DataFrame({"a": pd.to_datetime(["2013-01-01"])}), "of type datetime")])
def test_what_cannot_be_profiled_is_refused_with_a_reason(table, message):
    with pytest.raises(BadTable, match=message): profile(table, profile(pd.DataFrame({"a": [1.5]})).kinds)


def test_profiles_of_other_columns_or_of_nothing_are_not_compared():
    one = profile(pd.DataFrame({"x": [1, 2]}))
    with pytest.raises(BadTable, match="lacks x"): compare(one, profile(pd.DataFrame({"y": [1]})))
    with pytest.raises(BadTable, match="without rows"): compare(one, profile(pd.DataFrame({"x": []}, dtype="int64")))
    with pytest.raises(BadTable, match="y is in one of them only|x, y"): one.merge(profile(pd.DataFrame({"y": [1]})))


def test_markup_in_names_and_values_is_escaped():
    hostile = pd.DataFrame({"<i>n": ["<i>v"], "<i>m": [1]})
    reference = profile(hostile)
    shown = reference._repr_html_() + compare(reference, profile(hostile.replace("<i>v", "<i>w")))._repr_html_()
    assert "<i>" not in shown and "&lt;i&gt;w" in shown


def test_a_profile_of_free_text_stays_small():
    table = pd.DataFrame({"text": [f"{i}" * 20000 for i in range(200)]})
    assert len(json.dumps(profile(table).asdict())) < 40_000
    assert column_type(table.text) == "string"


def test_small_window_of_the_same_source_has_not_moved_and_one_of_another_has():
    "False alarms in few rows: empty bins, far values, rare categories."
    rng = np.random.default_rng(0)
    def draw(n: int, moved: float = 0.0) -> pd.DataFrame: return pd.DataFrame({"x": rng.normal(moved, size=n), "far": rng.lognormal(moved, size=n), "c": rng.choice(list("abcdefghijklmnopqrst"), n), "yes": rng.random(n) < 0.3 + moved / 4})
    reference = profile(draw(20_000))
    alarms = {n: sum(column.drift for _ in range(40) for column in compare(reference, profile(draw(n), reference.kinds)).columns) / 160 for n in (8, 20, 60, 200)}
    assert max(alarms.values()) <= 0.03, alarms
    moved = compare(reference, profile(draw(60, 1.5), reference.kinds))
    assert moved["x"].drift and moved["far"].drift and not moved["c"].drift
