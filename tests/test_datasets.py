"Dataset versions: the same rows are the same version, a bad table is refused whole, nothing is seen from the future."
import os
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.artifacts import Artifacts, CorruptArtifact
from mlops_nb.core import BadReference, BadTable, NotFound, parse_reference
from mlops_nb.splits import holdout_mask
from mlops_nb.tables import read_table
from mlops_nb.features import point_in_time
from mlops_nb.workspace import Workspace

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", None]})


def test_same_rows_are_the_same_version_whatever_they_came_in(ws):
    assert [ws.datasets.add("t", data).ref for data in (TABLE, pa.Table.from_pandas(TABLE), TABLE.astype({"b": "category"}), TABLE.set_index(pd.Index([7, 9])))] == ["t@1"] * 4


@pytest.mark.parametrize("table, says", [
    (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "'a' mixes int, str"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "duplicate column name 'a'"),
    (pd.DataFrame({"a": []}), "no rows"),
    (pd.DataFrame({"a": [[1], [2]]}), "unnest"),
    ("nosuch.csv", "is not a file"),
    (3, "is no table"),
])
def test_bad_table_is_refused_and_nothing_is_half_added(ws, table, says):
    with pytest.raises(BadTable, match=says): ws.datasets.add("t", table)
    with pytest.raises(NotFound): ws.datasets["t"]


@pytest.mark.parametrize("name, content", [("a.csv", b""), ("a.csv", b"a,b\n1,2\n3,4,5\n"), ("a.csv", b"\xff\xfe\x00bad"), ("a.parquet", b"PAR1 cut short"), ("a.txt", b"a")])
def test_bad_file_is_refused_in_one_line(ws, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadTable) as refused: ws.datasets.add("t", tmp_path / name)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("content, says", [
    ("Köln,b\n1,2\n".encode("latin-1"), "not UTF-8: save it as UTF-8"),
    (b"a;b\n1;2\n", "separated by ';'"),
    (b"a,a\n1,2\n", "duplicate column name 'a'"),
    (b"a,b\n1,2,3\n", "Expected 2 columns, got 3: 1,2,3"),
])
def test_csv_that_pandas_would_guess_at_is_refused_with_what_to_do(tmp_path, content, says):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadTable, match=says): read_table(tmp_path / "a.csv")


def test_booleans_with_holes_decimals_and_capital_suffixes_are_read(tmp_path):
    (tmp_path / "A.CSV").write_text("\ufeffa,b\nTrue,x\n,y\nFalse,z\n", encoding="utf-8")
    assert read_table(tmp_path / "A.CSV").schema == pa.schema({"a": pa.bool_(), "b": pa.string()})
    assert str(read_table(pa.table({"a": pa.array([Decimal("1.25")])})).schema.types[0]) == "double"


def test_equals_sign_in_a_folder_is_no_column(tmp_path):
    (tmp_path / "year=2020").mkdir()
    TABLE.to_parquet(tmp_path / "year=2020" / "t.parquet")
    (tmp_path / "year=2020" / ".mlops").mkdir()
    version = Workspace(tmp_path / "year=2020").datasets.add("t", tmp_path / "year=2020" / "t.parquet")
    assert list(version.read()) == ["a", "b"]


@pytest.mark.parametrize("name", ["../t", "T", "a b", "", "a/b", "-a", "t@1", "x" * 65])
def test_name_that_could_leave_the_workspace_is_refused(ws, name):
    with pytest.raises(BadReference): ws.datasets.add(name, TABLE)


@given(st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?(@([1-9][0-9]{0,4}|[a-z]{1,9}))?", fullmatch=True))
def test_reference_reads_back_as_it_was_written(text):
    assert parse_reference(str(parse_reference(text))) == parse_reference(text)


def test_changed_byte_is_noticed(ws):
    version = ws.datasets.add("t", TABLE)
    path = ws.artifacts.path(version._files[0])
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptArtifact): Workspace(ws.root).datasets["t"].read()


def _add(job):
    root, number = job
    return Workspace(root).datasets.add("t", pd.DataFrame({"a": [number]})).version


def test_versions_added_at_once_all_exist_in_an_order(ws):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool: numbers = list(pool.map(_add, [(str(ws.root), number) for number in range(8)]))
    assert sorted(numbers) == list(range(1, 9))


def test_csv_dates_are_times_and_words_are_not(tmp_path):
    (tmp_path / "a.csv").write_text("when,word\n2013-01-01 05:15,2013-nothing\n,x\n")
    assert [str(kind) for kind in read_table(tmp_path / "a.csv").schema.types] == ["timestamp[us, tz=UTC]", "string"]


moments = st.integers(0, 40)


@given(st.lists(st.tuples(moments, st.sampled_from("ab")), min_size=1, max_size=20), st.lists(st.tuples(moments, st.sampled_from("ab"), st.integers(0, 9)), max_size=20, unique_by=lambda fact: fact[:2]))
@settings(deadline=None, max_examples=60)
def test_join_is_that_of_a_slow_and_obvious_one(asked, facts):
    "The latest fact of the key strictly before the moment and at most six hours old."
    start = pd.Timestamp("2013-01-01", tz="UTC")
    rows = pd.DataFrame({"t": [start + pd.Timedelta(hours=t) for t, _ in asked], "k": [k for _, k in asked]})
    known = pd.DataFrame({"o": pd.Series([start + pd.Timedelta(hours=t) for t, _, _ in facts], dtype="datetime64[us, UTC]"), "k": pd.Series([k for _, k, _ in facts], dtype="str"), "v": pd.Series([float(v) for *_, v in facts], dtype="float64")})
    slow = []
    for t, k in asked:
        before = [(o, v) for o, key, v in facts if key == k and o < t and t - o <= 6]
        slow.append(float(max(before)[1]) if before else np.nan)
    np.testing.assert_array_equal(point_in_time(rows, known, "t", "o", "k", ["v"]).v.to_numpy(), slow)


@given(st.integers(2, 300), st.integers(5, 95))
def test_rows_held_out_are_the_latest_and_never_on_both_sides(n, share):
    times = pd.Series(pd.date_range("2013-01-01", periods=n, freq="h")).sample(frac=1, random_state=n).reset_index(drop=True)
    mask = holdout_mask(pd.DataFrame({"t": times}), f"{share}%", "t")
    assert times[mask].min() > times[~mask].max()
