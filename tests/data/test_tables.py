"Reading tables: whatever they come in is read as it was meant, or refused in one line."
from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_nb.base.errors import BadTable
from mlops_nb.data.tables import TableLike, read_table

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
PLAIN = pa.table({"a": [1, 2], "b": ["x", None]})


class Frame:
    "What Polars and others are to us: something that hands over a stream."
    def __init__(self, table: pa.Table): self.table = table
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("data", [
    TABLE, PLAIN, TABLE.astype({"b": "category"}), TABLE.set_index(pd.Index([7, 9])),
    Frame(PLAIN.set_column(1, "b", pa.chunked_array([pa.array(["x", None], pa.string_view())]))),
    Frame(PLAIN.set_column(1, "b", PLAIN["b"].dictionary_encode())), PLAIN.to_reader(),
], ids=["pandas", "arrow", "category", "index", "views", "dictionary", "reader"])
def test_the_same_rows_are_read_from_whatever_holds_them(data: TableLike) -> None:
    assert read_table(data).equals(PLAIN)


def test_relation_of_duckdb_is_a_table() -> None:
    with duckdb.connect() as engine:
        relation = engine.sql("SELECT * FROM (VALUES (1::BIGINT, 'x'), (2, NULL)) AS t(a, b)")
        assert read_table(relation).equals(PLAIN)


def test_decimals_become_floating_point() -> None:
    assert read_table(pa.table({"a": pa.array([Decimal("1.25")])}))["a"].to_pylist() == [1.25]


@pytest.mark.parametrize("table, reason", [
    (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "'a' mixes int, str"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "duplicate column name 'a'"),
    (pd.DataFrame({"a": [[1], [2]]}), "unnest"),
    (pd.DataFrame({"a": [2**70]}), "column 'a'.*make it float64 or text"),
    (pd.DataFrame(index=range(2)), "no columns"),
    ("nosuch.csv", "is not a file"),
    (3, "is no table"),
])
def test_what_is_no_table_is_refused(table: TableLike, reason: str) -> None:
    with pytest.raises(BadTable, match=reason): read_table(table)


def test_files_of_a_pattern_are_one_table_in_order(tmp_path: Path) -> None:
    for number, value in (2, 1.0), (1, 1):
        pd.DataFrame({"file": [number], "x": [value / number]}).to_csv(tmp_path / f"{number}.csv.gz", index=False)
    assert read_table(tmp_path / "?.csv.gz").to_pydict() == {"file": [1, 2], "x": [1.0, 0.5]}


def test_column_without_a_value_in_one_file_takes_its_type_from_another() -> None:
    for number, value in (1, 0.5), (2, None):
        table = pa.Table.from_pandas(pd.DataFrame({"file": [number], "x": [value]}))
        fsspec.filesystem("memory").pipe(f"/bucket/{number}.parquet", _parquet(table))
    assert read_table("memory://bucket/*.parquet").to_pydict() == {"file": [1, 2], "x": [0.5, None]}


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("files, reason", [
    ({"1.csv": "a\n1\n", "2.csv": "b\n1\n"}, r"2.csv has the columns b; .*1.csv has a: add them as different datasets"),
    ({"1.csv": "a\n1\n", "2.parquet": TABLE}, "CSV and other files"),
    ({"1.parquet": TABLE, "2.parquet": TABLE.assign(a="x")}, r"2.parquet: column 'a' is string, in .* it is int64"),
    ({"1.parquet": TABLE, "2.parquet": TABLE[["a"]]}, r"2.parquet has the columns a; .*1.parquet has a, b"),
    ({}, "matches no file"),
])
def test_files_that_do_not_belong_together_are_told_apart(
    tmp_path: Path, files: dict[str, str | pd.DataFrame], reason: str,
) -> None:
    for name, content in files.items():
        if isinstance(content, str): (tmp_path / name).write_text(content)
        else: content.to_parquet(tmp_path / name)
    with pytest.raises(BadTable, match=reason): read_table(str(tmp_path / "[12]*"))


def test_month_without_rows_is_read_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n")
    (tmp_path / "2.csv").write_text("a,b\n1,x\n")
    assert read_table(str(tmp_path / "*.csv")).to_pydict() == {"a": [1], "b": ["x"]}


def test_number_far_down_in_a_csv_file_decides_with_all_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c,d\n" + "1,1,true,007\n" * 700_000 + "2.5,B2,,+8\n")
    table = read_table(tmp_path / "a.csv")
    assert table.schema == pa.schema({"a": pa.float64(), "b": pa.string(), "c": pa.bool_(), "d": pa.int64()})
    assert table.slice(700_000).to_pylist() == [{"a": 2.5, "b": "B2", "c": None, "d": 8}]


def test_csv_dates_are_times_and_words_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("when,word\n2013-01-01 05:15,2013-nothing\n,x\n")
    assert read_table(tmp_path / "a.csv").schema.types == [pa.timestamp("us", "UTC"), pa.string()]


def test_typing_error_in_a_column_of_dates_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("when\n" + "2013-02-28\n" * 20 + "2013-02-30\n")
    with pytest.raises(BadTable, match="column 'when' holds dates, but row 21 has '2013-02-30', which is none"):
        read_table(tmp_path / "a.csv")


def test_booleans_with_gaps_and_a_capital_suffix_are_read(tmp_path: Path) -> None:
    (tmp_path / "A.CSV").write_text("\ufeffa,b\nTrue,x\n,y\nFalse,z\n", encoding="utf-8")
    assert read_table(tmp_path / "A.CSV").to_pydict() == {"a": [True, None, False], "b": ["x", "y", "z"]}


@pytest.mark.parametrize("content, reason", [
    ("Köln,b\n1,2\n".encode("latin-1"), "not UTF-8: save it as UTF-8"),
    (b"a;b\n1;2\n", "separated by ';'"),
    (b"a,a\n1,2\n", "duplicate column name 'a'"),
    (b",Unnamed: 0\n1,2\n", "duplicate column name 'Unnamed: 0'"),
    (b"a,b\n1,2,3\n", "Expected 2 columns, got 3: 1,2,3"),
    (b"", "is empty: its first line has to name the columns"),
    (b"\xff\xfe\x00bad", "not UTF-8"),
])
def test_csv_that_pandas_would_guess_at_is_refused_with_what_to_do(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadTable, match=reason) as refused: read_table(tmp_path / "a.csv")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name, content", [("a.parquet", b"PAR1 cut short"), ("a.txt", b"a"), ("a.csv.gz", b"no gzip")])
def test_broken_file_is_refused_in_one_line_that_names_it(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadTable, match=name) as refused: read_table(tmp_path / name)
    assert "\n" not in str(refused.value)
