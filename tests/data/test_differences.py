"Differences of two versions, held against a slow and obvious way of finding them."
from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter
from mlops_nb.data.datasets import Datasets
from mlops_nb.data.differences import diff

Cells = tuple[str | None, int | None]
KeyedRows = dict[str | None, Cells]

cells = st.tuples(st.sampled_from(["x", "y", None]), st.one_of(st.none(), st.integers(-2, 2)))
keyed_rows = st.dictionaries(st.sampled_from(["a", "b", "c", "d", None]), cells, min_size=1)


def _table(rows: KeyedRows) -> pd.DataFrame:
    words, numbers = [word for word, _ in rows.values()], [number for _, number in rows.values()]
    return pd.DataFrame({
        "key": pd.Series(list(rows), dtype="str"), "word": pd.Series(words, dtype="str"),
        "n": pd.array(numbers, dtype="Int64")})


@pytest.mark.slow
@given(keyed_rows, keyed_rows)
@settings(deadline=None, max_examples=40)
def test_rows_by_key_are_those_of_a_slow_and_obvious_way(
    shared: Datasets, before: KeyedRows, after: KeyedRows,
) -> None:
    difference = diff(shared.add("before", _table(before)), shared.add("after", _table(after)), key=["key"])
    both = before.keys() & after.keys()
    changed = {key for key in both if before[key] != after[key]}
    assert (difference.added, difference.removed) == (len(after.keys() - both), len(before.keys() - both))
    assert (difference.changed, difference.same) == (len(changed), len(both - changed))
    by_column = {
        name: sum(before[key][place] != after[key][place] for key in both) for place, name in enumerate(["word", "n"])}
    assert difference.changes == {name: count for name, count in by_column.items() if count}
    assert list(difference.changes.values()) == sorted(difference.changes.values(), reverse=True)
    assert bool(difference) == (before != after)
    assert len(difference.sample) == difference.added + difference.removed + difference.changed


def test_sample_says_what_became_of_a_row(datasets: Datasets) -> None:
    before = datasets.add("t", pd.DataFrame({"key": ["a", "b"], "n": [1.0, 2.0]}))
    after = datasets.add("t", pd.DataFrame({"key": ["b", "c"], "n": [np.inf, 3.0]}))
    sample = sorted(diff(before, after, key=["key"]).sample, key=lambda row: str(row.key))
    assert json.loads(json.dumps([row.asdict() for row in sample], allow_nan=False)) == [
        {"what": "removed", "key": {"key": "a"}, "values": {}},
        {"what": "changed", "key": {"key": "b"}, "values": {"n": [2.0, "inf"]}},
        {"what": "added", "key": {"key": "c"}, "values": {}}]


def test_without_a_key_rows_are_counted_as_often_identity_there(datasets: Datasets) -> None:
    before = datasets.add("t", pd.DataFrame({"a": [1, 1, 2, None]}))
    difference = diff(before, datasets.add("t", pd.DataFrame({"a": [1, 2, 3, None]})))
    assert (difference.added, difference.removed, difference.same, difference.changed) == (1, 1, 3, 0)


def test_key_that_is_none_is_refused(datasets: Datasets) -> None:
    version = datasets.add("t", pd.DataFrame({"a": [1, 1], "b": [1, 2]}))
    with pytest.raises(BadParameter, match="a does not identify a row of t@1: 2 rows have 1; name more columns"):
        diff(version, version, key=["a"])
    with pytest.raises(BadParameter, match="t@1 has no column 'gate' to tell rows apart by; it has a, b"):
        diff(version, version, key=["gate"])


def test_versions_without_a_common_column_are_refused(datasets: Datasets) -> None:
    before, after = datasets.add("t", pd.DataFrame({"a": [1]})), datasets.add("u", pd.DataFrame({"c": [1]}))
    with pytest.raises(BadParameter, match="t@1 and u@1 have no column in common"): diff(before, after)


def test_times_are_keys_and_values_like_others(datasets: Datasets) -> None:
    hours = pd.date_range("2013-01-01", periods=3, freq="h", tz="UTC")
    before = datasets.add("t", pd.DataFrame({"hour": hours, "seen": hours}))
    after = datasets.add("t", pd.DataFrame({"hour": hours, "seen": [*hours[:2], hours[0]]}))
    difference = diff(before, after, key=["hour"])
    assert difference.changes == {"seen": 1}
    assert str(difference.sample[0].key["hour"]).startswith("2013-01-01 02:00")
    with pytest.raises(BadParameter, match="seen does not identify a row of t@2: 2 rows have 2013-01-01 00:00"):
        diff(after, after, key=["seen"])


@pytest.mark.parametrize("names", [
    ('a "quoted" one', "it's"), ("here", "in_old"), ("x", "X"), ("c0", "old_c1"), ("", " "), ("%s", "{0}"),
])
def test_names_of_columns_are_only_names(datasets: Datasets, names: tuple[str, str]) -> None:
    key, value = names
    before = datasets.add("t", pd.DataFrame({key: [1, 2], value: [3, 4]}))
    difference = diff(before, datasets.add("t", pd.DataFrame({value: [5, 3], key: [2, 1]})), key=[key])
    assert (difference.changed, difference.same, difference.changes) == (1, 1, {value: 1})


def test_markup_is_text(datasets: Datasets) -> None:
    before = datasets.add("t", pd.DataFrame({"<i>key": [1], "said": ["<script>"]}))
    after = datasets.add("t", pd.DataFrame({"<i>key": [1], "said": ["<b>"], "<u>new": [1]}))
    page = diff(before, after, key=["<i>key"])._repr_html_()
    assert [tag for tag in ("<script>", "<i>", "<u>") if tag in page] == []
    assert "&lt;script&gt; → &lt;b&gt;" in page


def test_values_that_tell_about_persons_are_in_no_difference(datasets: Datasets) -> None:
    "Not in the sample, the page, the profiles or the message, whichever version marks them as personal data."
    before = datasets.add("t", pd.DataFrame({"k": [1, 2], "person": ["Ada", "Alan"]}))
    after = datasets.add("t", pd.DataFrame({"k": [1, 2], "person": ["Ada", "Grace"]}), pii=["person"])
    difference = diff(before, after, key=["k"])
    assert difference.changes == {"person": 1}
    assert difference.sample[0].values == {"person": ("…", "…")}
    assert difference.profile["person"].psi > 0
    shown = f"{difference.asdict()} {difference._repr_html_()} {diff(before, after, key=['person']).asdict()}"
    assert [name for name in ("Ada", "Alan", "Grace") if name in shown] == []
    doubled = datasets.append("t@2", after.read())
    with pytest.raises(BadParameter, match="person does not identify a row of t@3: 2 rows have …; name more columns"):
        diff(before, doubled, key=["person"])


def test_schema_changes_are_listed_and_distributions_compared(datasets: Datasets) -> None:
    before = datasets.add("t", pd.DataFrame({"k": range(200), "gone": 1, "kind": 1, "x": range(200)}))
    after = datasets.add("t", pd.DataFrame({"k": range(200), "new": "a", "kind": "a", "x": range(1000, 1200)}))
    difference = diff(before, after, key=["k"])
    assert difference.columns_added == {"new": "string"}
    assert difference.columns_removed == {"gone": "int64"}
    assert difference.types_changed == {"kind": ("int64", "string")}
    assert difference.profile.worst()[0].column == "x"
    assert [column.column for column in difference.profile.columns] == ["k", "x"]
    assert difference.changes == {"kind": 200, "x": 200}
    assert diff(before, after, key=["kind", "k"]).added == 200  # the key was a number and is text
