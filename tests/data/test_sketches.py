"Counts and sketches: the same state to the last bit for any partition in any order, and small."
from __future__ import annotations

import json
import math
import random
from functools import reduce
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlops_nb.data import counts
from mlops_nb.data.counts import keys_of, values_of
from mlops_nb.data.distinct import DISTINCT_ERROR, HyperLogLog, hash_keys
from mlops_nb.data.sketches import CategoricalSketch, HiddenSketch, NumericSketch, Sketch, decode, encode, hide

floats = arrays("float64", st.integers(1, 80), elements=st.floats())
columns = floats | arrays("float64", 80, elements=st.floats(0, 1)) | arrays("float64", 80, elements=st.integers(0, 200))
texts = st.lists(st.none() | st.text("abcü", max_size=3), max_size=60)


def exact_part(sketch: NumericSketch) -> tuple[object, ...]:
    "What must not depend on the partition: all but the mean and the squares, which are rounded."
    moments = sketch.moments
    ends = sketch.missing, sketch.below, sketch.above, moments.rows, moments.low, moments.high
    return *ends, sketch.counts.bits, sketch.counts.keys.tolist(), sketch.counts.counts.tolist(), sketch.registers


def through_json(sketch: Sketch) -> Sketch:
    return decode(json.loads(json.dumps(encode(sketch), allow_nan=False)))


def merged_at_random(parts: list[NumericSketch], chance: random.Random) -> NumericSketch:
    while len(parts) > 1:
        first, second = (parts.pop(chance.randrange(len(parts))) for _ in range(2))
        parts.insert(0, first.merge(second))
    return parts[0]


@given(floats)
def test_keys_sort_as_numbers_and_read_back(values: np.ndarray) -> None:
    values = np.sort(values[~np.isnan(values)])
    keys = keys_of(values)
    assert (keys[1:] >= keys[:-1]).all()
    assert np.array_equal(values_of(keys), values)


@settings(deadline=None, max_examples=300)
@given(columns, st.lists(st.integers(0, 80), max_size=4), st.randoms(), st.sampled_from([4, 16, 64]))
def test_any_partition_in_any_order_is_the_whole(
    values: np.ndarray, cuts: list[int], chance: random.Random, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(counts, "_COUNTED", limit)
        edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
        whole, parts = NumericSketch.of(values), [NumericSketch.of(values[a:b]) for a, b in pairwise(edges)]
        assert exact_part(merged_at_random(parts, chance)) == exact_part(whole)


@settings(deadline=None, max_examples=300)
@given(columns, st.sampled_from([4, 16, 64]))
def test_no_bit_is_dropped_without_need(values: np.ndarray, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(counts, "_COUNTED", limit)
        kept = NumericSketch.of(values).counts
    assert len(kept.keys) <= limit
    every = counts.count_keys(np.sort(keys_of(values[np.isfinite(values)])))
    assert kept.exact or len(every.at(kept.bits + 1).keys) > limit


@given(floats)
def test_few_distinct_values_are_counted_exactly(values: np.ndarray) -> None:
    sketch = NumericSketch.of(values)
    assert (sketch.distinct, sketch.distinct_error) == (len(np.unique(values[~np.isnan(values)])), 0)


@settings(deadline=None)
@given(floats)
def test_counts_are_those_of_each_interval(values: np.ndarray) -> None:
    values = np.where(values == 0, 1.0, values)  # an interval of negative numbers ends at -0.0, which 0.0 equals
    sketch, finite = NumericSketch.of(values), values[np.isfinite(values)]
    assert sketch.count + sketch.missing == len(values) and sketch.counts.total == len(finite)
    for bits in 64, 20, 12, 3, 0:
        kept = sketch.counts.at(bits)
        ends = zip(kept.lows(), kept.highs(), strict=True)
        assert [int(((finite >= low) & (finite <= high)).sum()) for low, high in ends] == kept.counts.tolist()


@settings(deadline=None)
@given(floats, st.integers(0, 64))
def test_kept_numbers_read_back(values: np.ndarray, bits: int) -> None:
    sketch = NumericSketch.of(values)
    assert through_json(sketch) == sketch
    record = json.loads(json.dumps(counts.encode_counts(sketch.counts.at(bits))))
    assert counts.decode_counts(record) == sketch.counts.at(bits)


def test_a_sum_that_overflows_reads_back() -> None:
    values = np.array([1.7e308, -1.7e308] * 40)
    sketch = NumericSketch.of(values).merge(NumericSketch.of(values[::2])).merge(NumericSketch.of(-values[::2]))
    assert (sketch.moments.mean, sketch.moments.squares) == (math.inf, math.inf)
    assert through_json(sketch) == sketch


@pytest.mark.parametrize("n", [10, 5000, 60_000, 1_000_000])
def test_distinct_values_are_estimated_within_the_stated_error(n: int) -> None:
    seeds = np.arange(12, dtype=np.uint64) << np.uint64(32)
    errors = [HyperLogLog.of(hash_keys(np.arange(n, dtype=np.uint64) + seed)).estimate() / n - 1 for seed in seeds]
    assert abs(np.mean(errors)) < DISTINCT_ERROR and np.std(errors) < 2 * DISTINCT_ERROR


def test_a_continuous_column_stays_small_and_close() -> None:
    generators = map(np.random.default_rng, range(10))
    sketch = reduce(NumericSketch.merge, (NumericSketch.of(rng.normal(size=100_000)) for rng in generators))
    kept = sketch.compact()
    assert sketch.counts.rank_error < 0.0005 and kept.counts.rank_error < 0.0015
    assert len(json.dumps(encode(kept))) < 15_000


def test_kept_numbers_do_not_grow_finer_again() -> None:
    kept = NumericSketch.of(np.random.default_rng(0).normal(size=100_000)).compact()
    assert NumericSketch().merge(kept) == kept


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), st.randoms())
def test_categories_of_parts_are_those_of_the_whole(lists: list[list[str | None]], chance: random.Random) -> None:
    whole = CategoricalSketch.of(pa.array([value for values in lists for value in values], pa.string()))
    parts = [CategoricalSketch.of(pa.array(values, pa.string())) for values in lists]
    chance.shuffle(parts)
    together = reduce(CategoricalSketch.merge, parts)
    assert together == whole and list(together.counts) == list(whole.counts)
    assert whole.count == sum(value is not None for values in lists for value in values)


@settings(deadline=None)
@given(texts)
def test_kept_categories_read_back_in_their_order(values: list[str | None]) -> None:
    sketch = CategoricalSketch.of(pa.array(values, pa.string()))
    again = through_json(sketch)
    assert again == sketch and isinstance(again, CategoricalSketch)
    assert list(again.counts) == list(sketch.counts)


def test_frequent_of_very_many_are_within_the_stated_error() -> None:
    rng = np.random.default_rng(0)
    names = np.char.add("id", rng.integers(0, 100_000, 200_000).astype(str))
    values = np.where(rng.random(200_000) < .3, "often", names)
    parts = [CategoricalSketch.of(pa.array(part.tolist())).compact() for part in np.array_split(values, 4)]
    kept = reduce(lambda a, b: a.merge(b).compact(), parts)
    true = dict(zip(*np.unique(values, return_counts=True), strict=True))
    assert kept.count == 200_000 and next(iter(kept.counts)) == "often"
    assert all(rows <= true[value] <= rows + kept.error for value, rows in kept.counts.items()) and kept.error <= 50
    assert abs(kept.distinct / len(true) - 1) < 4 * DISTINCT_ERROR


def test_the_errors_of_kept_categories_add_up() -> None:
    many = pa.array([f"id{n % 1500}" for n in range(3000)])
    first, second = CategoricalSketch.of(many).compact(), CategoricalSketch.of(many[:1500]).compact()
    assert (first.error, second.error, first.merge(second).error) == (2, 1, 3)


def test_hidden_columns_add_up_to_counts_alone() -> None:
    ada, alan = (hide(CategoricalSketch.of(pa.array([name, None]))) for name in ("Ada", "Alan"))
    assert ada.merge(alan) == HiddenSketch(missing=2, present=2)
    assert encode(ada) == {"missing": 1, "present": 1}
