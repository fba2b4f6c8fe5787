"Splits: no row on two sides, whatever is split by; recorded once, and the same for all who ask. Leaks: found where they are, and not where they are not."
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter, MLOpsError, NotFound
from mlops_nb.data.leakage import SUSPICIOUS, alone, find_leaks
from mlops_nb.data.splits import assign, holdout_mask
from mlops_nb.app.workspace import Workspace

HALVES = {"train": 0.5, "test": 0.5}
START = pd.Timestamp("2013-01-01", tz="UTC")


def table(n: int, groups: int = 7) -> pd.DataFrame:
    return pd.DataFrame({"t": START + pd.to_timedelta(np.arange(n) % 13, unit="D"), "g": [f"g{at % groups}" for at in range(n)], "y": np.arange(n) % 3 == 0})


@given(st.integers(40, 400), st.lists(st.integers(1, 5), min_size=2, max_size=4), st.sampled_from([{}, {"time": "t"}, {"group": "g"}, {"stratify": "y"}]), st.integers(0, 9))
@settings(deadline=None)
def test_every_row_is_in_one_part_of_about_the_size_asked_for(n, weights, by, seed):
    parts = {f"p{at}": weight / sum(weights) for at, weight in enumerate(weights)}
    rows = table(n)
    try: part = assign(rows, parts, seed=seed, **by)
    except BadParameter as refused: assert "would have no row" in str(refused) and ("time" in by or "group" in by); return
    assert len(part) == n and set(part) == set(range(len(parts)))
    grain = rows[next(iter(by.values()))].value_counts().max() if set(by) & {"time", "group"} else 2
    assert all(abs((part == at).sum() - share * n) <= grain + 1 for at, share in enumerate(parts.values()))
    if "time" in by: assert all(rows.t[part == at].max() < rows.t[part == at + 1].min() for at in range(len(parts) - 1))
    if "group" in by: assert rows.groupby("g").apply(lambda group: len(set(part[group.index]))).max() == 1
    if "stratify" in by: assert all(abs((part[rows.y == y] == at).sum() - share * (rows.y == y).sum()) <= 1 for y in (True, False) for at, share in enumerate(parts.values()))
    assert (assign(rows, parts, seed=seed, **by) == part).all()


def test_order_of_rows_decides_nothing_for_groups_and_the_seed_does():
    rows = table(300, groups=60)
    shuffled = rows.sample(frac=1, random_state=1)
    part = pd.Series(assign(rows, HALVES, group="g"))
    assert (part == pd.Series(assign(shuffled, HALVES, group="g"), shuffled.index).sort_index()).all()
    assert (part != assign(rows, HALVES, group="g", seed=1)).any() and (assign(rows, HALVES) != assign(rows, HALVES, seed=1)).any()
    more = pd.concat([rows, table(30, groups=6).assign(g=lambda t: "new " + t.g)], ignore_index=True)
    assert (assign(more, HALVES, group="g")[:300] == part).mean() > 0.8


def test_rows_that_end_a_part_are_in_the_next():
    rows = table(26)
    assert rows.t[assign(rows, {"train": "2013-01-05", "valid": "2013-01-09T00:00+00:00", "test": None}, time="t") == 1].unique().tolist() == [START + pd.Timedelta(days=day) for day in (4, 5, 6, 7)]


@pytest.mark.parametrize("parts, by, says", [
    (HALVES, dict(time="t", group="g"), "not by t and g at once"), (HALVES, dict(group="gate"), "no column 'gate'"), ({"a": 0.5, "b": 0.6}, {}, "add up to 1"), ({"a": 1.0}, {}, "two to a hundred"),
    ({"a": 0.5, "../b": 0.5}, {}, "is no part"), (HALVES, dict(time="g"), "points in time"), ({"a": "2013-01-02", "b": None}, {}, "only a split by time"), ({"a": "2013-01-05", "b": "2013-01-02", "c": None}, dict(time="t"), "in their order"),
    ({"a": "soon", "b": None}, dict(time="t"), "neither all shares nor moments"), ({"a": "2030-01-01", "b": None}, dict(time="t"), "part b would have no row"), (HALVES, dict(seed=-1), "from 0")])
def test_what_cannot_be_split_is_said_in_one_line(parts, by, says):
    with pytest.raises(MLOpsError, match=says) as refused: assign(table(26), parts, **by)
    assert "\n" not in str(refused.value)


def test_missing_time_cannot_be_placed_and_missing_group_is_a_group():
    rows = table(26)
    with pytest.raises(BadParameter, match="1 rows have no t"): assign(rows.assign(t=rows.t.where(rows.index > 0)), HALVES, time="t")
    part = assign(rows.assign(g=rows.g.where(rows.g != "g1")), HALVES, group="g")
    assert len(set(part[rows.g == "g1"])) == 1


def _split(root):
    return Workspace(root).datasets.split("t", "halves", HALVES).assignment().tolist()


def test_split_is_made_once_whoever_asks(ws):
    ws.datasets.add("t", table(50))
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool: found = list(pool.map(_split, [str(ws.root)] * 8))
    assert all(one == found[0] for one in found) and [split.name for split in ws.datasets.splits("t@1")] == ["halves"]
    split = ws.datasets.split("t", "halves", HALVES)
    assert pd.concat([split.read("train"), split.read("test")]).value_counts().sort_index().equals(table(50).value_counts().sort_index())
    with pytest.raises(BadParameter, match="give another name for .*group=g"): ws.datasets.split("t", "halves", HALVES, group="g")
    with pytest.raises(NotFound, match="has no part 'valid'; it has train, test"): split.read("valid")


@given(st.integers(2, 300), st.integers(5, 95))
def test_rows_held_out_are_the_latest_and_never_on_both_sides(n, share):
    times = pd.Series(pd.date_range("2013-01-01", periods=n, freq="h")).sample(frac=1, random_state=n).reset_index(drop=True)
    mask = holdout_mask(pd.DataFrame({"t": times}), f"{share}%", "t")
    assert times[mask].min() > times[~mask].max()


RNG = np.random.default_rng(0)
LATE = pd.Series(RNG.random(3000) < 0.3)


@pytest.mark.parametrize("column, leaks", [
    (LATE.astype(int), True), (LATE.map({True: "late", False: "in time"}), True), (LATE * 60 + pd.Series(RNG.normal(size=3000)), True), (pd.Series(np.where(LATE, np.nan, 1.0)), True),
    (pd.Series(np.where(LATE, START, START + pd.Timedelta(days=1))), True), (pd.Series(RNG.normal(size=3000)), False), (pd.Series(range(3000)), False), (pd.Series([f"row {n}" for n in range(3000)]), False),
    (LATE * 1.0 + pd.Series(RNG.normal(size=3000)), False), (pd.Series([None] * 3000, dtype="float64"), False), (pd.Series([1] * 3000), False), (pd.Series(np.where(RNG.random(3000) < .5, np.inf, -np.inf)), False)])
def test_answer_in_other_clothes_is_found_and_honest_columns_are_not(column, leaks):
    assert (alone(column, LATE) >= SUSPICIOUS) == leaks


def test_answer_of_a_quantity_and_of_classes_is_found():
    y = pd.Series(RNG.normal(size=3000))
    assert alone(y * 2 + 1, y) > SUSPICIOUS > 0.3 > alone(pd.Series(RNG.normal(size=3000)), y)
    kind = pd.Series(RNG.choice(["a", "b", "c"], 3000))
    assert alone((kind == "b") * 1, kind) > SUSPICIOUS > 0.6 > alone(pd.Series(RNG.normal(size=3000)), kind)


def test_copies_across_a_split_are_counted_whatever_their_label(ws):
    rows = pd.DataFrame({"customer": [1, 2, 3, 4, 1, 2], "x": [.1, .2, .3, .4, .1, .9], "y": [0, 1, 0, 1, 1, 0]})
    report = find_leaks(rows[:4], rows[4:], key=("customer",), target="")
    assert [(leak.kind, leak.value) for leak in report.leaks] == [("shared keys", 1.0)]
    assert [(leak.kind, leak.value) for leak in find_leaks(rows[:4], rows[4:], "y").leaks if leak.kind == "duplicate rows"] == [("duplicate rows", 0.5)]
    ws.datasets.add("t", pd.concat([rows.assign(when=START + pd.to_timedelta(rows.index, unit="D"))] * 3, ignore_index=True))
    split = ws.datasets.split("t", "by-day", {"train": 0.6, "test": 0.4}, time="when")
    assert [leak.kind for leak in split.leaks(key=("customer",)).leaks] == ["shared keys"]
    assert ws.datasets.split("t", "by-customer", HALVES, group="customer").leaks(key=("customer",)).ok


def test_markup_in_a_value_is_text_in_the_report():
    rows = pd.DataFrame({"<b>x": LATE.map({True: "<script>", False: "no"}), "late": LATE})
    assert "<script>" not in find_leaks(rows, target="late")._repr_html_() and "<b>x" not in find_leaks(rows, target="late")._repr_html_()
