"Comparisons: a shift is seen, chance is not, and nothing is shown that should not be."
from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings

from data_tables import tables
from mlops_nb.base.errors import BadTable, NotFound
from mlops_nb.data.comparisons import ProfileComparison, compare_profiles
from mlops_nb.data.profiles import Profile, profile


def of(values: Any) -> Profile:
    return profile(pd.DataFrame({"x": values}))


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(tables(least=1))
def test_a_table_is_at_no_distance_from_itself(table: pd.DataFrame) -> None:
    column, = compare_profiles(profile(table), profile(table)).columns
    assert (column.psi, column.jensen_shannon, column.new_categories, column.drift) == (0.0, 0.0, (), False)
    assert all(measure.value == 0 for measure in column.statistics)


@pytest.mark.parametrize("reference, current", [
    ([2013.0] * 50, [2014.0] * 50), ([0] * 50, [1] * 50),                   # a constant that moves
    ([0, 1] * 25, [0] * 49 + [1]),                                          # few values
    ([0.0] * 990 + list(range(1, 31)), [0.0] * 500 + list(range(1, 501))),  # mostly zeros
    (list(range(-30, 1)) + [1.0] * 990, list(range(-30, 2)) * 10),          # mostly its maximum
    (list(range(100)), [None] * 50 + list(range(50, 100))),                 # missing
    (list(range(100)), [np.inf] * 100), (list(range(100)), [-1e300] * 100),
    (["UA"] * 50, ["HA"] * 50), ([True] * 50, [False] * 50), ([None] * 50, ["UA"] * 50)])
def test_a_shift_is_seen(reference: list[Any], current: list[Any]) -> None:
    before = of(reference)
    now = profile(pd.DataFrame({"x": current}), before.kinds if before["x"].count else None)
    column = compare_profiles(before, now)["x"]
    assert column.psi > .25 and column.drift


def draw(rng: np.random.Generator, n: int, *, shift: float = 0.0) -> pd.DataFrame:
    "Far values, rare categories, and one column that no shift moves."
    return pd.DataFrame({
        "x": rng.normal(shift, size=n), "far": rng.lognormal(shift, size=n),
        "c": rng.choice(list("abcdefghijklmnopqrst"), n), "yes": rng.random(n) < 0.3 + shift / 4,
    })


@pytest.mark.slow
@pytest.mark.parametrize("rows", [8, 20, 60, 200])
def test_a_small_window_of_the_same_source_has_not_drifted(rows: int) -> None:
    rng = np.random.default_rng(rows)
    reference = profile(draw(rng, 20_000))
    windows = [profile(draw(rng, rows), reference.kinds) for _ in range(40)]
    drifted = sum(len(compare_profiles(reference, window).drifted) for window in windows)
    assert drifted <= 0.03 * 40 * len(reference.columns)


def test_a_small_window_of_another_source_has_drifted() -> None:
    rng = np.random.default_rng(0)
    reference = profile(draw(rng, 20_000))
    shifted = compare_profiles(reference, profile(draw(rng, 60, shift=1.5), reference.kinds))
    assert [column.column for column in shifted.drifted] == ["x", "far", "yes"]


def test_many_rows_of_the_same_source_in_another_form_have_not_drifted() -> None:
    rng = np.random.default_rng(0)
    reference, window = draw(rng, 200_000), draw(rng, 50_000)
    now = profile(pa.Table.from_pandas(window, preserve_index=False))
    assert compare_profiles(profile(reference), now).drifted == ()


def test_new_categories_need_a_complete_reference() -> None:
    thousand, more = (of([f"c{i:04}" for i in range(n)]) for n in (1000, 1001))
    seen = of(["z", "c1000", "z", "c0000"])
    assert compare_profiles(thousand, seen)["x"].new_categories == ("z", "c1000")
    kept = Profile.from_dict(more.asdict())
    assert compare_profiles(kept, seen)["x"].new_categories == () and kept["x"].other == 1


@pytest.mark.parametrize("values", [[1, 2], [True, False], pd.Series([1, 2]).astype("category"), [None, None]])
def test_a_number_may_come_as_another_dtype(values: Any) -> None:
    reference = of([1.0, 2.0, 3.0])
    current = profile(pd.DataFrame({"x": values}), reference.kinds)
    assert compare_profiles(reference, current)["x"].kind == "numeric"


@pytest.mark.parametrize("values", [[7, 12], [7.0, None], pd.Series([7, None], dtype="Int64")])
def test_codes_that_happen_to_be_numbers_are_still_codes(values: Any) -> None:
    reference = of(["7", "B2", "12"] * 10)
    current = profile(pd.DataFrame({"x": values}), reference.kinds)
    assert compare_profiles(reference, current)["x"].new_categories == ()
    with pytest.raises(BadTable, match="x is categorical in the reference, and numeric here"):
        compare_profiles(reference, of(values))


def test_what_cannot_be_compared_is_refused_with_a_reason() -> None:
    x = of([1, 2])
    for other, message in (
        (profile(pd.DataFrame({"y": [1]})), "the table lacks x"),
        (of(pd.Series([], dtype=int)), "a table without rows"),
        (x.without_values(["x"]), "the values of column x are hidden")):
        with pytest.raises(BadTable, match=message): compare_profiles(x, other)
    with pytest.raises(NotFound, match="no column 'y'; there are: x"): compare_profiles(x, x)["y"]


def test_the_table_has_a_row_a_column_by_falling_psi() -> None:
    before, now = (profile(pd.DataFrame({"a": [1] * 50, "b": b, "c": "v"})) for b in ([1] * 50, [2] * 50))
    table = compare_profiles(before, now).table()
    assert list(table.column) == ["b", "a", "c"] and table.psi.is_monotonic_decreasing
    assert {"psi_critical_value", "jensen_shannon", "Kolmogorov-Smirnov", "Wasserstein", "chi-square"} <= set(table)
    nothing = ProfileComparison(rows_reference=1, rows_current=1, columns=())
    assert nothing.table().empty and nothing.worst() == []


@pytest.fixture
def people() -> ProfileComparison:
    before, now = ([f"<i>{name}" for name in names] for names in (["Ada", "Alan"], ["Ada", "Grace"]))
    return compare_profiles(of(before), of(now))


def test_markup_in_names_and_values_is_escaped(people: ProfileComparison) -> None:
    page = people._repr_html_()
    assert "<i>" not in page and "Never seen before: &lt;i&gt;Grace" in page


def test_what_tells_about_persons_is_in_no_comparison(people: ProfileComparison) -> None:
    hidden = people.without_values(["x"])
    shown = hidden._repr_html_() + repr(hidden) + str(hidden.asdict()) + hidden.table().to_csv()
    assert not any(name in shown for name in ("Ada", "Alan", "Grace"))
    assert (hidden["x"].psi, hidden["x"].statistics) == (people["x"].psi, people["x"].statistics)
