"Distances: over any counts, and those of SciPy within the error that is stated."
from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon

from data_tables import COLUMNS, columns
from mlops_nb.base.errors import BadParameter
from mlops_nb.data.distances import (
    chi_square,
    common_bins,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    psi_critical_value,
    share_change,
    wasserstein,
)
from mlops_nb.data.histograms import bars
from mlops_nb.data.profiles import profile
from mlops_nb.data.sketches import NumericSketch

binned = arrays("int64", 8, elements=st.integers(0, 10**9)).filter(lambda bins: bins.sum() > 0)
few = arrays("int64", 6, elements=st.integers(0, 1000))

# An object column may turn from numbers to text, which is refused.
pairs = st.sampled_from([name for name in COLUMNS if name != "object"]).flatmap(
    lambda name: st.tuples(columns(name), columns(name)))


@given(binned)
def test_equal_shares_are_at_no_distance(bins: np.ndarray) -> None:
    assert psi(bins, bins * 3) == pytest.approx(0, abs=1e-12)  # the same shares up to rounding
    assert jensen_shannon(bins, bins * 3) == pytest.approx(0, abs=1e-7)  # the root of a rounding error


@given(binned, binned)
def test_distances_are_bounded(expected: np.ndarray, actual: np.ndarray) -> None:
    assert psi(expected, actual) >= 0
    assert 0 <= jensen_shannon(expected, actual) <= 1


@given(binned, binned, binned)
def test_jensen_shannon_is_a_metric(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    assert jensen_shannon(a, b) == pytest.approx(jensen_shannon(b, a), abs=1e-7)
    assert jensen_shannon(a, c) <= jensen_shannon(a, b) + jensen_shannon(b, c) + 1e-7


def test_jensen_shannon_is_that_of_scipy() -> None:
    a, b = np.random.default_rng(0).integers(0, 50, (2, 30))
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2))


def test_bins_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(BadParameter, match="2 and 3 bins cannot be compared"): psi([1, 2], [1, 2, 3])
    with pytest.raises(BadParameter, match="a sample without rows"): jensen_shannon([1, 2], [0, 0])


@pytest.mark.parametrize("rows", [30, 300, 3000])  # drawn, drawn, approximated
def test_chance_exceeds_the_critical_value_once_in_a_hundred_times(rows: int) -> None:
    rng, shares = np.random.default_rng(1), np.array([.4, .3, .2, .1])
    critical = psi_critical_value((shares * 2000).astype(int), rows, p=0.01)
    apart = [psi(rng.multinomial(2000, shares), rng.multinomial(rows, shares)) for _ in range(10_000)]
    assert 0.005 < np.mean(np.array(apart) > critical) < 0.016  # 6 standard deviations of 10,000 draws


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(pairs)
def test_every_row_is_in_one_bin_of_both_sides(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    before, after = pair
    reference = profile(before)
    current = profile(after, reference.kinds)
    bins = common_bins(reference["x"], current["x"])
    assert (bins.expected.sum(), bins.actual.sum()) == (len(before), len(after))
    assert (bins.expected[-1], bins.actual[-1]) == (before.x.isna().sum(), after.x.isna().sum())


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(pairs)
@example((pd.DataFrame({"x": [-np.inf, 1.0, 2.0]}), pd.DataFrame({"x": [-np.inf, np.inf, np.inf, 7.0]})))
def test_every_value_is_in_one_bar(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    reference = profile(pair[0])
    sides = [reference["x"], profile(pair[1], reference.kinds)["x"]]
    drawn = bars(*sides)
    if drawn.labels: assert [rows.sum() for rows in drawn.rows] == [column.count for column in sides]
    else: assert not any(column.numbers.moments.rows for column in sides)  # infinities alone have no place


def sample(name: str, n: int, seed: int) -> np.ndarray:
    rng, shift = np.random.default_rng(seed), seed % 3 * .3
    if name == "normal": return rng.normal(shift, 1, n)
    if name == "exponential": return rng.exponential(1 + shift, n)
    if name == "few": return rng.integers(0, 4 + seed % 3, n) / 2
    if name == "constant": return np.full(n, float(seed % 2))
    if name == "integers": return rng.integers(-10**12, 10**12, n).astype("float64")
    return np.where(rng.random(n) < .01, np.inf, rng.normal(size=n))


samples = st.tuples(
    st.sampled_from(["normal", "exponential", "few", "constant", "integers", "infinite"]),
    st.integers(2, 60_000), st.integers(2, 60_000), st.integers(0, 5), st.integers(6, 11))


@settings(deadline=None, max_examples=60)
@given(samples)
def test_kolmogorov_smirnov_is_that_of_scipy(drawn: tuple[str, int, int, int, int]) -> None:
    name, n, m, first, second = drawn
    x, y = sample(name, n, first), sample(name, m, second)
    ours = kolmogorov_smirnov(NumericSketch.of(x).compact(), NumericSketch.of(y).compact())
    value, p = cast("tuple[float, float]", stats.ks_2samp(x, y, method="asymp"))
    assert abs(ours.value - value) <= ours.error + 1e-12
    if not ours.error: assert ours.p == pytest.approx(p, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(samples)
def test_wasserstein_is_that_of_scipy(drawn: tuple[str, int, int, int, int]) -> None:
    name, n, m, first, second = drawn
    x, y = sample(name, n, first), sample(name, m, second)
    ours = wasserstein(NumericSketch.of(x).compact(), NumericSketch.of(y).compact())
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if not len(x) or not len(y): return
    rounding = 1e-9 * max(np.abs(x).max(), np.abs(y).max())
    assert ours and abs(ours.value - stats.wasserstein_distance(x, y)) <= ours.error * (1 + 1e-9) + rounding


@pytest.mark.parametrize("name", ["normal", "exponential", "integers"])
def test_statistics_of_many_values_are_within_the_stated_error(name: str) -> None:
    x, y = sample(name, 60_000, 0), sample(name, 40_000, 7)
    a, b = NumericSketch.of(x).compact(), NumericSketch.of(y).compact()
    ks, ways = kolmogorov_smirnov(a, b), wasserstein(a, b)
    value, _ = cast("tuple[float, float]", stats.ks_2samp(x, y, method="asymp"))
    assert abs(ks.value - value) <= ks.error + 1e-12 and ks.error < 0.002
    assert ways and abs(ways.value - stats.wasserstein_distance(x, y)) <= ways.error


@given(few, few)
def test_chi_square_is_that_of_scipy(a: np.ndarray, b: np.ndarray) -> None:
    table, ours = np.stack([a, b])[:, a + b > 0], chi_square(a, b)
    if table.shape[1] < 2 or not a.any() or not b.any():
        assert (ours.value, ours.p, ours.cramers_v) == (0, 1, 0)
        return
    value, p, *_ = stats.chi2_contingency(table, correction=False)
    assert (ours.value, ours.p) == (pytest.approx(value), pytest.approx(p, abs=1e-12))
    assert ours.cramers_v == pytest.approx(stats.contingency.association(table, "cramer"))


def test_a_single_missing_value_in_few_rows_is_chance() -> None:
    assert not share_change("missing", before=0, rows_before=1000, now=1, rows_now=20).drift
    assert share_change("missing", before=0, rows_before=1000, now=4, rows_now=20).drift
    many = share_change("missing", before=100, rows_before=10_000, now=300, rows_now=10_000)
    assert many.drift and many.value == pytest.approx(0.02)
