"Point-in-time joins, held against a slow and obvious one."
from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.features.transforms import point_in_time

START = pd.Timestamp("2013-01-01", tz="UTC")
moments, keys = st.integers(0, 40), st.sampled_from("ab")
facts_of_keys = st.lists(st.tuples(moments, keys, st.integers(0, 9)), max_size=20, unique_by=lambda fact: fact[:2])


@given(st.lists(st.tuples(moments, keys), min_size=1, max_size=20), facts_of_keys)
@settings(deadline=None, max_examples=60)
def test_join_is_that_of_a_slow_and_obvious_one(
    asked: list[tuple[int, str]], facts: list[tuple[int, str, int]],
) -> None:
    "The latest fact of the key strictly before the moment and at most six hours old."
    rows = pd.DataFrame({"t": [START + pd.Timedelta(hours=t) for t, _ in asked], "k": [k for _, k in asked]})
    known = pd.DataFrame({
        "o": pd.Series([START + pd.Timedelta(hours=t) for t, _, _ in facts], dtype="datetime64[us, UTC]"),
        "k": pd.Series([k for _, k, _ in facts], dtype="str"),
        "v": pd.Series([float(v) for *_, v in facts], dtype="float64"),
    })
    slow = []
    for t, k in asked:
        before = [(o, v) for o, key, v in facts if key == k and o < t and t - o <= 6]
        slow.append(float(max(before)[1]) if before else np.nan)
    joined = point_in_time(rows, known, "t", "o", "k", ["v"])
    np.testing.assert_array_equal(joined.v.to_numpy(), slow)
