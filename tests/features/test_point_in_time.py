"Joins as of a moment, held against a slow and obvious way."
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.base.errors import BadTable
from mlops_nb.features.point_in_time import as_of, point_in_time

START = pd.Timestamp("2013-01-01", tz="UTC")


def moments(hours: Iterable[float | None]) -> pd.Series:
    "Points in time, in hours after the start; `None` for a missing one."
    times = [pd.NaT if hour is None else START + pd.Timedelta(hours=hour) for hour in hours]
    return pd.Series(times, dtype="datetime64[us, UTC]")


Asked: TypeAlias = list[tuple[tuple[str | None, int], int | None]]
Facts: TypeAlias = list[tuple[tuple[str | None, int], int | None, int | None, int | None]]

keys = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2]))
hours = st.one_of(st.none(), st.integers(0, 20))
asked_rows = st.lists(st.tuples(keys, hours), min_size=1, max_size=15)
fact_rows = st.lists(st.tuples(keys, hours, hours, st.one_of(st.none(), st.integers(0, 9))), max_size=25)
ttls = st.sampled_from([None, 1, 6])


def spine_of(asked: Asked) -> pd.DataFrame:
    return pd.DataFrame({
        "k": pd.Series([k for (k, _), _ in asked], dtype="str"), "g": [g for (_, g), _ in asked],
        "t": moments(hour for _, hour in asked)})


def values_of(facts: Facts) -> pd.DataFrame:
    return pd.DataFrame({
        "k": pd.Series([k for (k, _), *_ in facts], dtype="str"),
        "g": pd.Series([g for (_, g), *_ in facts], dtype="int64"),
        "e": moments(event for _, event, _, _ in facts), "c": moments(created for _, _, created, _ in facts),
        "v": pd.array([value for *_, value in facts], dtype="Int64")})


def hours_of(ttl: int | None) -> str | None: return None if ttl is None else f"{ttl}h"


def slow_join(asked: Asked, facts: Facts, *, late: bool, ttl: int | None) -> list[int | None]:
    "For each row, walk through all facts."
    answers: list[int | None] = []
    for key, moment in asked:
        best, answer = None, None
        for position, (other, event, created, value) in enumerate(facts):
            if key[0] is None or moment is None or event is None or key != other or event > moment: continue
            if ttl is not None and moment - event > ttl: continue
            if late and (created is None or created > moment): continue
            rank = event, created if late else 0, position
            if best is None or rank > best: best, answer = rank, value
        answers.append(answer)
    return answers


@pytest.mark.slow
@given(asked_rows, fact_rows, ttls)
@settings(deadline=None, max_examples=80)
def test_as_of_is_the_slow_join(asked: Asked, facts: Facts, ttl: int | None) -> None:
    values = values_of(facts).drop(columns="c")
    joined = as_of(spine_of(asked), values, keys=["k", "g"], time="t", event_time="e", ttl=hours_of(ttl))
    assert joined["v"].to_pylist() == slow_join(asked, facts, late=False, ttl=ttl)


@pytest.mark.slow
@given(asked_rows, fact_rows, ttls)
@settings(deadline=None, max_examples=80)
def test_as_of_of_late_events_is_the_slow_join(asked: Asked, facts: Facts, ttl: int | None) -> None:
    joined = as_of(
        spine_of(asked), values_of(facts), keys=["k", "g"], time="t", event_time="e", created_time="c",
        ttl=hours_of(ttl))
    assert joined["v"].to_pylist() == slow_join(asked, facts, late=True, ttl=ttl)


def test_centuries_and_many_keys_do_not_overflow() -> None:
    "Key and moment no longer fit into one number of microseconds."
    events = pd.to_datetime(["1700-01-01", "1950-06-01", "2250-01-01"], utc=True).as_unit("us")
    values = pd.DataFrame({
        "k": np.repeat(np.arange(2_000), 3), "e": np.tile(events.to_numpy(), 2_000), "v": np.arange(6_000)})
    spine = pd.DataFrame({
        "k": [0, 1_999, 1_999, 1_000, 5_000],
        "t": pd.to_datetime(["1699-12-31", "1950-06-01", "1950-05-31", "2262-01-01", "2000-01-01"], utc=True)})
    joined = as_of(spine, values, keys=["k"], time="t", event_time="e")
    assert joined["v"].to_pylist() == [None, 5_998, 5_997, 3_002, None]


@pytest.mark.parametrize("asked, known, says", [
    ([4], ["JFK"], "key k is int64 in the spine, and string in the values: convert one of them"),
    (["JFK"], [4], "key k is string in the spine, and int64 in the values: convert one of them"),
    ([1.5], [1], "key k is double in the spine, and int64 in the values: convert one of them"),
])
def test_keys_that_do_not_compare_are_refused(asked: list[object], known: list[object], says: str) -> None:
    spine = pd.DataFrame({"k": asked, "t": moments([1])})
    values = pd.DataFrame({"k": known, "e": moments([0]), "v": 1})
    with pytest.raises(BadTable, match=says): as_of(spine, values, keys=["k"], time="t", event_time="e")


@pytest.mark.parametrize("asked, known", [([None], [1]), ([1], [None]), ([1.0, None], [1, 2]), ([], [1]), ([1], [])])
def test_keys_without_values_find_nothing(asked: list[Any], known: list[Any]) -> None:
    spine = pd.DataFrame({"k": asked, "t": moments([1] * len(asked))})
    values = pd.DataFrame({"k": known, "e": moments([0] * len(known)), "v": np.arange(len(known))})
    joined = as_of(spine, values, keys=["k"], time="t", event_time="e")
    assert joined["v"].to_pylist() == [0 if key == 1 and known[:1] == [1] else None for key in asked]


fact = st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.integers(0, 9))
facts_before = st.lists(fact, max_size=20, unique_by=lambda fact: fact[:2])


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ab")), min_size=1, max_size=20), facts_before)
@settings(deadline=None, max_examples=60)
def test_point_in_time_is_strictly_before(asked: list[tuple[int, str]], facts: list[tuple[int, str, int]]) -> None:
    "At most six hours old."
    rows = pd.DataFrame({"t": moments(hour for hour, _ in asked), "k": [key for _, key in asked]})
    known = pd.DataFrame({
        "o": moments(hour for hour, _, _ in facts), "k": pd.Series([key for _, key, _ in facts], dtype="str"),
        "v": pd.Series([float(value) for *_, value in facts], dtype="float64")})
    slow = []
    for hour, key in asked:
        before = [(at, value) for at, other, value in facts if other == key and at < hour and hour - at <= 6]
        slow.append(float(max(before)[1]) if before else np.nan)
    joined = point_in_time(rows, known, time="t", observed="o", by="k", columns=["v"])
    np.testing.assert_array_equal(joined.v.to_numpy(), slow)


def test_point_in_time_keeps_rows_without_a_moment_and_their_index() -> None:
    rows = pd.DataFrame({"t": moments([3, None, 2]).array, "k": "a"}, index=[5, 5, 1])
    known = pd.DataFrame({"o": moments([2, None]), "k": "a", "v": [1.5, 9.0]})
    joined = point_in_time(rows, known, time="t", observed="o", by="k", columns=["v"])
    assert joined.index.tolist() == [5, 5, 1] and joined.v.fillna(-1).tolist() == [1.5, -1, -1]
