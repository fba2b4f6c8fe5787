"Dataset versions: the same rows are the same version, a bad table is refused whole, nothing is seen from the future."
import math, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support import wait_for
from mlops_nb.data import datasets
from mlops_nb.base.artifacts import CorruptArtifact
from mlops_nb.base.errors import BadReference, BadTable, NotFound
from mlops_nb.base.references import parse_reference
from mlops_nb.data.tables import read_table
from mlops_nb.app.workspace import Workspace

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
WIDE = pa.table({"n": [1.5, None, -0.0, float("inf"), 2.0] * 3, "s": ["", None, "ü", "x" * 50, "a"] * 3, "b": [True, None, False, True, True] * 3, "t": pa.array([0, None, 1, 2, 3] * 3, pa.timestamp("us", "UTC")), "i": pa.array(range(15), pa.int8())})


def test_same_rows_are_the_same_version_whatever_they_came_in(ws):
    assert [ws.datasets.add("t", data).ref for data in (TABLE, pa.Table.from_pandas(TABLE), TABLE.astype({"b": "category"}), TABLE.set_index(pd.Index([7, 9])))] == ["t@1"] * 4


@given(st.lists(st.integers(0, 15), max_size=4), st.sampled_from(["zstd", "snappy", "none"]), st.integers(1, 20))
@settings(deadline=None, max_examples=25)
def test_same_rows_are_the_same_version_however_they_are_cut_and_packed(tmp_path_factory, cuts, compression, group):
    ws = Workspace(tmp_path_factory.mktemp("ws"))
    edges = [0, *sorted(cuts), 15]
    pieces = pa.chunked_array([WIDE["s"].combine_chunks().slice(a, b - a) for a, b in zip(edges, edges[1:])], pa.string())
    cut = WIDE.set_column(1, "s", pieces).replace_schema_metadata({"written": "elsewhere"})
    pq.write_table(cut, ws.root / "cut.parquet", compression=compression, row_group_size=group, version="1.0")
    first = ws.datasets.add("t", WIDE)
    assert {ws.datasets.add("t", data).ref for data in (cut, ws.root / "cut.parquet", WIDE.to_reader(max_chunksize=group))} == {first.ref}
    assert first.arrow().equals(WIDE)


def test_any_change_is_another_version(ws):
    changed = [WIDE.slice(0, 14), WIDE.take(list(range(14, -1, -1))), WIDE.rename_columns(["n", "s", "b", "t", "j"]), WIDE.select(["s", "n", "b", "t", "i"]), WIDE.set_column(4, "i", WIDE["i"].cast("int16")), WIDE.set_column(1, "s", pa.chunked_array([["", "", "ü", "x" * 50, "a"] * 3]))]
    assert [ws.datasets.add("t", table).version for table in (WIDE, *changed)] == list(range(1, 8))


class Frame:
    "What Polars and others are to us: something that hands over a stream of views and categories."
    def __init__(self, table: pa.Table): self.table = table
    def __arrow_c_stream__(self, requested_schema=None): return self.table.__arrow_c_stream__(requested_schema)


def test_everything_that_speaks_arrow_is_read(ws):
    import duckdb
    ws.datasets.add("t", TABLE)
    views = pa.table({"a": pa.array([1, 2]), "b": pa.array(["x", None], pa.string_view())})
    categories = pa.table({"a": pa.array([1, 2]), "b": pa.array(["x", None]).dictionary_encode()})
    with duckdb.connect() as engine:
        assert [ws.datasets.add("t", data).ref for data in (Frame(views), Frame(categories), views.to_reader(), engine.sql("SELECT * FROM (VALUES (1::BIGINT, 'x'), (2, NULL)) AS t(a, b)"))] == ["t@1"] * 4


def test_files_by_pattern_and_url_are_one_table_in_the_order_of_their_names(ws, tmp_path):
    import fsspec
    for at in (2, 1): pd.DataFrame({"at": [at], "x": [at / 2 if at > 1 else 1]}).to_csv(tmp_path / f"{at}.csv.gz", index=False)
    assert ws.datasets.add("t", str(tmp_path / "?.csv.gz")).read().to_dict("list") == {"at": [1, 2], "x": [1.0, 1.0]}
    for at in (1, 2):
        with fsspec.open(f"memory://bucket/{at}.parquet", "wb") as file: pd.DataFrame({"at": [at], "x": [None if at > 1 else 0.5]}).to_parquet(file)
    assert ws.datasets.add("u", "memory://bucket/*.parquet").read()["at"].tolist() == [1, 2]


@pytest.mark.parametrize("files, says", [
    ({"1.csv": "a\n1\n", "2.csv": "b\n1\n"}, r"2.csv has the columns b; .*1.csv has a"),
    ({"1.csv": "a\n1\n", "2.parquet": TABLE}, "CSV and other files"),
    ({"1.parquet": TABLE, "2.parquet": TABLE.assign(a="x")}, r"2.parquet: column 'a' is string, in .*1.parquet it is int64"),
    ({}, "matches no file"),
])
def test_files_that_do_not_belong_together_are_told_apart(ws, tmp_path, files, says):
    for name, content in files.items(): content.to_parquet(tmp_path / name) if isinstance(content, pd.DataFrame) else (tmp_path / name).write_text(content)
    with pytest.raises(BadTable, match=says): ws.datasets.add("t", str(tmp_path / "[12]*"))


def test_number_far_down_in_a_csv_file_decides_with_all_others(ws, tmp_path):
    (tmp_path / "a.csv").write_text("a,b,c,d\n" + "1,1,true,007\n" * 700_000 + "2.5,B2,,+8\n")
    version = ws.datasets.add("t", tmp_path / "a.csv")
    assert version.columns == {"a": "double", "b": "string", "c": "bool", "d": "int64"}
    assert version.arrow().slice(700_000).to_pylist() == [{"a": 2.5, "b": "B2", "c": None, "d": 8}]


@pytest.mark.parametrize("table, says", [
    (pd.DataFrame({"a": [1], "c": ["x"]}), "missing 'b'; new 'c'"),
    (pd.DataFrame({"a": ["x"], "b": ["y"]}), "'a' is int64 in t@1, and string here"),
    (pd.DataFrame({"a": [1.5], "b": ["y"]}), "'a' is int64 in t@1, and double here"),
    (pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype="str")}), "no rows to append"),
])
def test_schema_that_changed_under_an_append_is_named_and_nothing_added(ws, table, says):
    ws.datasets.add("t", TABLE)
    with pytest.raises(BadTable, match=says): ws.datasets.append("t", table)
    assert [version.ref for version in ws.datasets.list("t")] == ["t@1"]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
@example([1, 31, 37])
@settings(deadline=None, max_examples=20)
def test_rows_that_come_in_lots_are_the_version_that_they_would_have_been_at_once(tmp_path_factory, lots):
    ws = Workspace(tmp_path_factory.mktemp("ws"))
    table = pd.DataFrame({"z": range(sum(lots)), "a": [f"v{n % 7}" if n % 5 != 2 else None for n in range(sum(lots))]})
    with mock.patch("mlops_nb.data.datasets.BLOCK", 16), mock.patch.object(datasets.in_blocks, "__defaults__", (16,)):
        ends = np.cumsum([0, *lots])
        version = ws.datasets.add("lots", table[:lots[0]])
        for begin, end in zip(ends[1:], ends[2:]): version = ws.datasets.append("lots", table[begin:end])
        assert ws.datasets.add("whole", table).digest == version.digest and ws.datasets.add("lots", table).ref == version.ref
    pd.testing.assert_frame_equal(version.read(), table)
    for ours, whole in zip(version.profile().columns, ws.datasets["whole"].profile().columns): assert _near(ours.asdict(), whole.asdict())


def _near(one, other) -> bool:
    "Equal, with means and deviations up to the rounding of the order in which they were added up."
    if isinstance(one, dict): return one.keys() == other.keys() and all(_near(one[key], other[key]) for key in one)
    return one == other or isinstance(one, float) and math.isclose(one, other, rel_tol=1e-12)


def test_append_shares_files_and_goes_on_from_any_version(ws):
    first = ws.datasets.add("t", TABLE, "small", owner="ada", tags=("x",), pii=("b",))
    second, other = ws.datasets.append("t", TABLE), ws.datasets.append("t@1", TABLE.assign(a=3))
    assert [version._files[0] for version in (second, other)] == [first._files[0]] * 2 and [version.parents for version in (second, other)] == [("t@1",)] * 2
    assert (second.description, second.owner, second.tags, second.pii) == ("small", "ada", ("x",), ("b",))
    assert other.read().a.tolist() == [1, 2, 3, 3]


def test_what_tells_about_persons_is_in_no_page(ws):
    ws.datasets.add("people", pd.DataFrame({"name": ["Ada Lovelace", "Alan Turing"], "age": [36, 41]}), pii=("name",))
    assert "Lovelace" not in ws.datasets["people"]._repr_html_() + ws.datasets._repr_html_() and "41" in ws.datasets["people"]._repr_html_()
    ws.datasets.describe("people", pii=(), tags=("open",))
    assert "Lovelace" in ws.datasets["people"]._repr_html_() and [version.ref for version in ws.datasets.search(tag="open")] == ["people@1"]
    with pytest.raises(BadTable, match="no column 'nick'"): ws.datasets.describe("people", pii=("nick",))


def test_code_of_a_project_is_kept_with_what_was_added_by_hand(ws):
    for words in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]): subprocess.run(["git", "-C", str(ws.root), *words], check=True)
    assert len(ws.datasets.add("t", TABLE).code["commit"]) == 40


def test_killed_in_the_middle_of_a_large_table_leaves_nothing_named(ws, tmp_path):
    program = f"import pyarrow as pa\nfrom mlops_nb.app.workspace import Workspace\ndef rows():\n    for n in range(10**6): yield pa.record_batch({{'n': range(n * 65536, (n + 1) * 65536)}})\nWorkspace({str(ws.root)!r}).datasets.add('t', pa.RecordBatchReader.from_batches(pa.schema({{'n': pa.int64()}}), rows()))"
    process = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: sum(path.stat().st_size for path in (ws.folder / "artifacts").glob(".writing-*")) > 2_000_000, what="a few blocks on the disk")
    process.kill(); process.wait()
    assert ws.datasets.list() == []
    assert ws.datasets.add("t", TABLE).ref == "t@1"


def test_table_larger_than_its_memory_is_kept(ws):
    "A quarter of a gigabyte of numbers passes through a process that grows by far less."
    program = f"""
import resource, pyarrow as pa, numpy as np
from mlops_nb.app.workspace import Workspace
def batches(n):
    for at in range(n): yield pa.record_batch({{'a': np.random.default_rng(at).random(65536), 'b': np.arange(65536) + at}})
def reader(n): return pa.RecordBatchReader.from_batches(pa.schema({{'a': pa.float64(), 'b': pa.int64()}}), batches(n))
ws = Workspace({str(ws.root)!r})
ws.datasets.add('small', reader(20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ws.datasets.add('large', reader(250))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # KB, of 262 MB


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
