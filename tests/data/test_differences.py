"Differences of two versions, held against a slow and obvious way of finding them."
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter
from mlops_nb.app.workspace import Workspace

cells = st.tuples(st.sampled_from(["x", "y", None]), st.one_of(st.none(), st.integers(-2, 2)))
tables = st.dictionaries(st.sampled_from(["a", "b", "c", "d", None]), cells, min_size=1)


def frame(rows: dict) -> pd.DataFrame:
    return pd.DataFrame({"key": pd.Series(rows.keys(), dtype="str"), "word": pd.Series([word for word, _ in rows.values()], dtype="str"), "n": pd.array([n for _, n in rows.values()], dtype="Int64")})


@given(tables, tables)
@settings(deadline=None, max_examples=40)
def test_rows_by_key_are_those_of_a_slow_and_obvious_way(tmp_path_factory, before, after):
    ws = Workspace(tmp_path_factory.mktemp("ws"))
    found = ws.datasets.diff(ws.datasets.add("before", frame(before)).ref, ws.datasets.add("after", frame(after)).ref, key=("key",))
    both = before.keys() & after.keys()
    assert (found.added, found.removed) == (len(after.keys() - both), len(before.keys() - both))
    assert (found.changed, found.same) == (sum(before[key] != after[key] for key in both), sum(before[key] == after[key] for key in both))
    assert found.changes == {name: count for name, count in sorted((("word", sum(before[key][0] != after[key][0] for key in both)), ("n", sum(before[key][1] != after[key][1] for key in both))), key=lambda pair: -pair[1]) if count}
    assert bool(found) == (before != after) and len(found.sample) == found.added + found.removed + found.changed


def test_without_a_key_rows_are_counted_as_often_as_they_are_there(ws):
    ws.datasets.add("t", pd.DataFrame({"a": [1, 1, 2, None]}))
    ws.datasets.add("t", pd.DataFrame({"a": [1, 2, 3, None]}))
    found = ws.datasets.diff("t@1", "t@2")
    assert (found.added, found.removed, found.same, found.changed) == (1, 1, 3, 0)


def test_key_that_is_none_is_refused(ws):
    ws.datasets.add("t", pd.DataFrame({"a": [1, 1], "b": [1, 2]}))
    with pytest.raises(BadParameter, match="a does not identify a row of t@1: 2 rows have 1; name more columns"): ws.datasets.diff("t", "t", key=("a",))
    with pytest.raises(BadParameter, match="no column 'gate'"): ws.datasets.diff("t", "t", key=("gate",))
    ws.datasets.add("u", pd.DataFrame({"c": [1]}))
    with pytest.raises(BadParameter, match="no column in common"): ws.datasets.diff("t", "u")


def test_times_are_keys_and_values_like_others(ws):
    hours = pd.date_range("2013-01-01", periods=3, freq="h", tz="UTC")
    ws.datasets.add("t", pd.DataFrame({"hour": hours, "seen": hours}))
    ws.datasets.add("t", pd.DataFrame({"hour": hours, "seen": [*hours[:2], hours[0]]}))
    found = ws.datasets.diff("t@1", "t@2", key=("hour",))
    assert found.changes == {"seen": 1} and found.sample[0]["key"]["hour"].startswith("2013-01-01 02:00")
    with pytest.raises(BadParameter, match="seen does not identify a row of t@2: 2 rows have 2013-01-01 00:00"): ws.datasets.diff("t@2", "t@2", key=("seen",))


def test_odd_names_and_markup_are_only_text(ws):
    before = pd.DataFrame({'a "quoted" one': [1], "it's": ["<script>"], "person": ["Ada"]})
    ws.datasets.add("t", before)
    ws.datasets.add("t", before.assign(**{"it's": "<b>", "person": "Alan"}), pii=("person",))
    found = ws.datasets.diff("t@1", "t@2", key=('a "quoted" one',))
    assert found.changes == {"it's": 1, "person": 1} and "Alan" not in str(found.sample)
    page = found._repr_html_()
    assert "<script>" not in page and "&lt;b&gt;" in page


def test_what_tells_about_persons_is_on_no_page_of_a_difference(ws):
    for name in "Alan", "Grace": ws.datasets.add("people", pd.DataFrame({"k": [1, 2], "person": ["Ada", name]}), pii=("person",))
    found = ws.datasets.diff("people@1", "people@2")
    shown = found._repr_html_() + str(found.asdict())
    assert found.profile["person"].psi > 0 and not any(name in shown for name in ("Ada", "Alan", "Grace"))


def test_schema_changes_are_listed_and_distributions_compared(ws):
    ws.datasets.add("t", pd.DataFrame({"k": range(200), "gone": 1, "kind": 1, "x": range(200)}))
    ws.datasets.add("t", pd.DataFrame({"k": range(200), "new": "a", "kind": "a", "x": range(1000, 1200)}))
    found = ws.datasets.diff("t@1", "t@2", key=("k",))
    assert (found.columns_added, found.columns_removed, found.types_changed) == ({"new": "string"}, {"gone": "int64"}, {"kind": ("int64", "string")})
    assert found.profile.worst()[0].column == "x" and {column.column for column in found.profile.columns} == {"k", "x"}
    assert found.changes == {"kind": 200, "x": 200}
    assert ws.datasets.diff("t@1", "t@2", key=("kind", "k")).added == 200
