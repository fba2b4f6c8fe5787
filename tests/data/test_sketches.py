"Sketches: the same state to the last bit for any partition in any order, and small."
import json
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlops_nb.data import sketches
from mlops_nb.data.sketches import DISTINCT_ERROR, Counts, Numbers, Words, estimated_distinct, hashes_of, keys_of, registers_of, values_of

floats = arrays("float64", st.integers(1, 80), elements=st.floats())


def state(numbers: Numbers) -> tuple:
    return numbers.missing, numbers.below, numbers.above, numbers.low, numbers.high, numbers.counts.bits, numbers.counts.keys.tolist(), numbers.counts.counts.tolist(), numbers.distinct, None if numbers.registers is None else numbers.registers.tolist()


@given(floats)
def test_keys_are_in_the_order_of_the_numbers_and_read_back(values):
    values = values[~np.isnan(values)]
    assert (values_of(keys_of(values)) == values).all()
    assert (np.argsort(keys_of(np.sort(values)), kind="stable") == np.arange(len(values))).all()


@settings(deadline=None, max_examples=300)
@given(st.one_of(floats, arrays("float64", 80, elements=st.floats(0, 1)), arrays("float64", 80, elements=st.integers(0, 200))), st.lists(st.integers(0, 80), max_size=4), st.randoms(), st.sampled_from([4, 16, 64]))
def test_any_partition_in_any_order_gives_the_same_to_the_last_bit(values, cuts, random, limit):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sketches, "LIMIT", limit)
        patched.setattr(sketches._reduced, "__defaults__", (limit,))
        edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
        parts = [Numbers.of(values[a:b]) for a, b in zip(edges, edges[1:])]
        random.shuffle(parts)
        while len(parts) > 1: parts.insert(0, parts.pop(random.randrange(len(parts))).merge(parts.pop(random.randrange(len(parts)))))
        whole = Numbers.of(values)
        assert state(parts[0]) == state(whole) and len(whole.counts.keys) <= limit
        finer = np.unique(keys_of(values[np.isfinite(values)]) & sketches._mask(min(whole.counts.bits + 1, 64)))
        assert whole.counts.exact or len(finer) > limit  # no bit was dropped without need
        assert whole.distinct == len(np.unique(values[~np.isnan(values)])) or not whole.counts.exact


@settings(deadline=None)
@given(floats)
def test_counts_are_those_of_the_values_in_each_interval(values):
    values = np.where(values == 0, 1.0, values)  # an interval of negative numbers ends at -0.0, which 0.0 equals
    numbers, finite = Numbers.of(values), values[np.isfinite(values)]
    assert numbers.count + numbers.missing == len(values) and numbers.counts.total == len(finite)
    for bits in (64, 20, 12, 3):
        counts = numbers.counts.at(bits)
        assert [int(((finite >= low) & (finite <= high)).sum()) for low, high in zip(counts.lows(), counts.highs())] == counts.counts.tolist()


@settings(deadline=None)
@given(floats)
def test_what_is_kept_reads_back(values):
    numbers = Numbers.of(values)
    assert state(Numbers.decode(json.loads(json.dumps(numbers.encode(), allow_nan=False)))) == state(numbers)


@pytest.mark.parametrize("n", [10, 5000, 60_000, 1_000_000])
def test_distinct_values_are_estimated_within_the_error_that_is_stated(n):
    off = [estimated_distinct(registers_of(hashes_of(np.arange(n, dtype=np.uint64) + np.uint64(seed << 32)))) / n - 1 for seed in range(12)]
    assert abs(np.mean(off)) < DISTINCT_ERROR and np.std(off) < 2 * DISTINCT_ERROR


def test_a_profile_of_continuous_columns_stays_small_and_close():
    numbers = reduce(Numbers.merge, (Numbers.of(np.random.default_rng(seed).normal(size=100_000)) for seed in range(10)))
    kept = numbers.settled()
    assert numbers.counts.rank_error < 0.0005 and kept.counts.rank_error < 0.0015 and len(json.dumps(kept.encode())) < 15_000
    assert Counts().merge(kept.counts).bits == kept.counts.bits


texts = st.lists(st.one_of(st.none(), st.text("abcü", max_size=3)), max_size=60)


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), st.randoms())
def test_words_of_parts_are_those_of_the_whole(lists, random):
    whole = Words.of(pa.array([value for values in lists for value in values], pa.string()))
    parts = [Words.of(pa.array(values, pa.string())) for values in lists]
    random.shuffle(parts)
    assert reduce(Words.merge, parts) == whole == Words.decode(json.loads(json.dumps(whole.encode())))
    assert whole.count == sum(value is not None for values in lists for value in values)


def test_frequent_words_of_very_many_are_within_the_error_that_is_stated():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(200_000) < .3, "often", np.char.add("id", rng.integers(0, 100_000, 200_000).astype(str)))
    kept = reduce(lambda a, b: a.merge(b).settled(), (Words.of(pa.array(part.tolist())).settled() for part in np.array_split(values, 4)))
    true = dict(zip(*np.unique(values, return_counts=True)))
    assert kept.count == 200_000 and next(iter(kept.times)) == "often"
    assert all(count <= true[value] <= count + kept.error for value, count in kept.times.items()) and kept.error <= 50
    assert abs(kept.distinct / len(true) - 1) < 4 * DISTINCT_ERROR
