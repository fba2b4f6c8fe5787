"Splits: no row on two sides, whatever is split by; recorded once, and the same for all who ask."
from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter, MLOpsError, NotFound
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.data.splits import Parts, Split, Splits, assign, holdout_mask

from .conftest import Processes

HALVES = {"train": 0.5, "test": 0.5}
START = pd.Timestamp("2013-01-01", tz="UTC")


class By(TypedDict, total=False):
    time: str
    group: str
    stratify: str
    seed: int


def _table(rows: int, groups: int = 7) -> pd.DataFrame:
    numbers = np.arange(rows)
    days = START + pd.to_timedelta(numbers % 13, unit="D")
    return pd.DataFrame({"t": days, "g": [f"g{number % groups}" for number in numbers], "y": numbers % 3 == 0})


shares = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(
    lambda weights: {f"p{number}": weight / sum(weights) for number, weight in enumerate(weights)})
tables, seeds = st.integers(40, 400).map(_table), st.integers(0, 9)


@given(tables, shares, seeds)
@settings(deadline=None)
def test_at_random_every_part_has_its_share(table: pd.DataFrame, parts: dict[str, float], seed: int) -> None:
    part = assign(table, parts, seed=seed)
    assert len(part) == len(table)
    assert _is_of_size(part, parts, within=0)


@given(tables, shares)
@settings(deadline=None)
def test_by_time_parts_follow_each_other(table: pd.DataFrame, parts: dict[str, float]) -> None:
    part = _assigned(table, parts, By(time="t"))
    times = [table.t[part == number] for number in range(len(parts))]
    assert all(earlier.max() < later.min() for earlier, later in pairwise(times))
    assert _is_of_size(part, parts, within=table.t.value_counts().max())


@pytest.mark.slow
@given(tables, shares, seeds)
@settings(deadline=None)
def test_by_group_no_group_is_in_two_parts(table: pd.DataFrame, parts: dict[str, float], seed: int) -> None:
    part = _assigned(table, parts, By(group="g", seed=seed))
    assert pd.Series(part).groupby(table.g).nunique().tolist() == [1] * 7
    assert _is_of_size(part, parts, within=table.g.value_counts().max())


def _assigned(table: pd.DataFrame, parts: Parts, by: By) -> np.ndarray:
    try: return assign(table, parts, **by)
    except BadParameter as refused:
        assert "would have no row" in str(refused)  # a share may be less than half a day, or half a group
        reject()


def _is_of_size(part: np.ndarray, parts: dict[str, float], *, within: int) -> bool:
    "Whether every part has its share, up to the rows of one day or group, which stay together."
    sizes = np.bincount(part, minlength=len(parts))
    return all(abs(size - share * len(part)) <= within + 1 for size, share in zip(sizes, parts.values(), strict=True))


@given(tables, shares, seeds)
@settings(deadline=None)
def test_by_stratum_every_part_has_the_shares_of_all(
    table: pd.DataFrame, parts: dict[str, float], seed: int,
) -> None:
    part = assign(table, parts, stratify="y", seed=seed)
    for number, share in enumerate(parts.values()):
        for label, rows in table.y.value_counts().items():
            assert abs((part[table.y == label] == number).sum() - share * rows) <= 1


@pytest.mark.parametrize("by", [By(), By(time="t"), By(group="g"), By(stratify="y")])
def test_same_words_give_the_same_parts(by: By) -> None:
    table = _table(300)
    assert (assign(table, HALVES, **by) == assign(table, HALVES, **by)).all()


def test_seed_decides_for_rows_and_groups() -> None:
    table = _table(300, groups=60)
    assert (assign(table, HALVES) != assign(table, HALVES, seed=1)).any()
    assert (assign(table, HALVES, group="g") != assign(table, HALVES, group="g", seed=1)).any()


def test_groups_keep_their_part_when_rows_move_or_more_come() -> None:
    table = _table(300, groups=60)
    part = pd.Series(assign(table, HALVES, group="g"))
    shuffled = table.sample(frac=1, random_state=1)
    moved = pd.Series(assign(shuffled, HALVES, group="g"), shuffled.index).sort_index()
    assert (part == moved).all()
    others = _table(30, groups=6).assign(g=lambda rows: "new " + rows.g)
    more = pd.concat([table, others], ignore_index=True)
    assert (assign(more, HALVES, group="g")[:300] == part).mean() > 0.8


def test_row_at_the_end_of_a_part_is_in_the_next_in_any_zone() -> None:
    table = _table(26)
    part = assign(table, {"train": "2013-01-05", "valid": "2013-01-09T02:00+02:00", "test": None}, time="t")
    assert table.t[part == 1].dt.day.unique().tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("parts, by, reason", [
    (HALVES, By(time="t", group="g"), "not by t and g at once"),
    (HALVES, By(group="gate"), "no column 'gate'; there are t, g, y"),
    ({"a": 0.5, "b": 0.6}, By(), "add up to 1"),
    ({"a": 1.0}, By(), "two to a hundred"),
    ({}, By(), "two to a hundred"),
    ({"a": 0.5, "../b": 0.5}, By(), "is no part"),
    (HALVES, By(time="g"), "points in time"),
    ({"a": "2013-01-02", "b": None}, By(), "only a split by time"),
    ({"a": "2013-01-05", "b": "2013-01-02", "c": None}, By(time="t"), "in their order"),
    ({"a": "2013-01-05", "b": "2013-01-07"}, By(time="t"), "None for the last"),
    ({"a": "soon", "b": None}, By(time="t"), "neither all shares nor moments"),
    ({"a": 0.5, "b": None}, By(time="t"), "neither all shares nor moments"),
    ({"a": "2030-01-01", "b": None}, By(time="t"), "part b would have no row"),
    (HALVES, By(seed=-1), "from 0"),
])
def test_what_cannot_be_split_is_said_in_one_line(parts: Parts, by: By, reason: str) -> None:
    with pytest.raises(MLOpsError, match=reason) as refused: assign(_table(26), parts, **by)
    assert "\n" not in str(refused.value)


def test_missing_time_cannot_be_placed() -> None:
    table = _table(26)
    with pytest.raises(BadParameter, match="1 rows have no t: a split by time cannot place them"):
        assign(table.assign(t=table.t.where(table.index > 0)), HALVES, time="t")


def test_missing_group_is_a_group() -> None:
    table = _table(26)
    part = assign(table.assign(g=table.g.where(table.g != "g1")), HALVES, group="g")
    assert len(set(part[table.g == "g1"])) == 1


def _split(root: Path) -> list[int]:
    home = Home(root)
    return Splits(home).make(Datasets(home)["t"], "halves", HALVES).assignment().tolist()


@pytest.mark.slow
def test_split_is_made_once_whoever_asks(home: Home, processes: Processes) -> None:
    version = Datasets(home).add("t", _table(50))
    with processes(4) as pool: assignments = list(pool.map(_split, [home.root] * 8))
    assert assignments == [assignments[0]] * 8
    assert [split.name for split in Splits(home).list(version)] == ["halves"]


@pytest.fixture
def halves(home: Home) -> Split:
    return Splits(home).make(Datasets(home).add("t", _table(50)), "halves", HALVES)


def test_parts_together_are_the_version(halves: Split) -> None:
    rows = pd.concat([halves.read("train"), halves.read("test")])
    assert rows.value_counts().sort_index().equals(_table(50).value_counts().sort_index())


def test_part_that_there_is_not_is_named(halves: Split) -> None:
    with pytest.raises(NotFound, match="split halves of t@1 has no part 'valid'; it has train, test"):
        halves.read("valid")


def test_name_stands_for_one_split(home: Home, halves: Split) -> None:
    with pytest.raises(BadParameter, match=r"split halves of t@1 was made with .*: give another name for .*group=g"):
        Splits(home).make(halves._version, "halves", HALVES, group="g")
    with pytest.raises(BadParameter, match="give another name"):
        Splits(home).make(halves._version, "halves", {"test": 0.5, "train": 0.5})  # the other half


@given(st.integers(2, 300), st.integers(5, 95))
def test_rows_held_out_are_the_latest_and_never_on_both_sides(rows: int, share: int) -> None:
    times = pd.Series(pd.date_range("2013-01-01", periods=rows, freq="h"))
    times = times.sample(frac=1, random_state=rows).reset_index(drop=True)
    mask = holdout_mask(pd.DataFrame({"t": times}), f"{share}%", time_column="t")
    assert times[mask].min() > times[~mask].max()


@pytest.mark.parametrize("holdout, time_column, reason", [
    ("a third", None, "write a share such as '25%'"),
    ("1 month", None, "name the time column too"),
    ("25%", "gate", "no time column 'gate'; it has t, g, y"),
    ("2 weeks", "t", "leaves 0 rows to train on and 26 to evaluate on"),
    ("0%", None, "leaves 26 rows to train on and 0 to evaluate on"),
])
def test_holdout_that_leaves_nothing_or_says_nothing_is_refused(
    holdout: str, time_column: str | None, reason: str,
) -> None:
    with pytest.raises(BadParameter, match=reason): holdout_mask(_table(26), holdout, time_column=time_column)
