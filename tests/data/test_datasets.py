"Dataset versions: added by many at once, appended to, described, found, and silent about persons."
from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter, BadReference, BadTable, NotFound
from mlops_nb.base.project import Home
from mlops_nb.base.references import parse_reference
from mlops_nb.data.datasets import About, Datasets
from mlops_nb.data.tables import TableLike

from .conftest import Processes

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
PERSONS = pd.DataFrame({"name": ["Ada Lovelace", "Alan Turing"], "age": [36, 41]})


def _add(root: Path, number: int) -> int:
    return Datasets(Home(root)).add("t", pd.DataFrame({"a": [number]})).version


@pytest.mark.slow
def test_versions_added_at_once_all_exist_in_an_order(home: Home, processes: Processes) -> None:
    with processes(4) as pool: numbers = list(pool.map(_add, [home.root] * 8, range(8)))
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_same_rows_added_at_once_are_one_version(url: str, tmp_path: Path) -> None:
    homes = [Home(url, artifacts=tmp_path / "artifacts") for _ in range(4)]
    for home in homes: Datasets(home).list()  # the store is made, and connections are open
    begin = Barrier(len(homes))
    def add(home: Home) -> str:
        begin.wait()
        return Datasets(home).add("t", TABLE).ref
    with ThreadPoolExecutor(len(homes)) as pool: references = list(pool.map(add, homes))
    assert references == ["t@1"] * 4
    for home in homes: home.store.close()


@pytest.mark.parametrize("table, reason", [
    (pd.DataFrame({"a": [1], "c": ["x"]}), "missing 'b'; new 'c'; change them, or add a version of its own"),
    (pd.DataFrame({"a": ["x"], "b": ["y"]}), "'a' is int64 in t@1, and string here"),
    (pd.DataFrame({"a": [1.5], "b": ["y"]}), "'a' is int64 in t@1, and double here"),
    (pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype="str")}), "no rows to append"),
])
def test_schema_that_changed_under_an_append_is_named_and_nothing_added(
    datasets: Datasets, table: pd.DataFrame, reason: str,
) -> None:
    datasets.add("t", TABLE)
    with pytest.raises(BadTable, match=reason): datasets.append("t", table)
    assert [version.ref for version in datasets.list("t")] == ["t@1"]


def test_append_shares_files_and_goes_on_from_any_version(datasets: Datasets) -> None:
    first = datasets.add("t", TABLE)
    second, other = datasets.append("t", TABLE), datasets.append("t@1", TABLE.assign(a=3))
    assert [version.files()[0] for version in (second, other)] == first.files() * 2
    assert [version.parents for version in (second, other)] == [("t@1",), ("t@1",)]
    assert other.read().a.tolist() == [1, 2, 3, 3]


def test_what_people_say_is_carried_over_until_it_is_said_anew(datasets: Datasets) -> None:
    datasets.add("t", TABLE, description="small", owner="ada", tags=["x"], pii=["b"])
    second = datasets.append("t", TABLE, owner="grace")
    assert (second.description, second.owner, second.tags, second.pii) == ("small", "grace", ("x",), ("b",))
    third = datasets.add("t", TABLE[["a"]], tags=[])
    assert (third.owner, third.tags, third.pii) == ("grace", (), ())  # the column with personal data is gone


@pytest.mark.parametrize("about, reason", [
    ({"pii": ["nick"]}, "people has no column 'nick'; it has name, age"),
    ({"tags": "raw"}, "tags is 'raw'"),
    ({"pii": "name"}, "pii is 'name'"),
])
def test_what_nobody_can_mean_is_refused_before_anything_is_stored(
    home: Home, about: About, reason: str,
) -> None:
    with pytest.raises((BadTable, BadParameter), match=reason): Datasets(home).add("people", PERSONS, **about)
    assert list(home.artifacts.digests()) == []


def test_what_tells_about_persons_is_in_no_page(datasets: Datasets) -> None:
    datasets.add("people", PERSONS, pii=["name"])
    pages = datasets["people"]._repr_html_() + datasets._repr_html_()
    assert "Lovelace" not in pages
    assert "41" in pages


def test_version_is_described_anew_and_found_by_it(datasets: Datasets) -> None:
    datasets.add("people", PERSONS, pii=["name"])
    described = datasets.describe("people", pii=[], tags=["open"])
    assert (described.pii, described.tags, described.owner) == ((), ("open",), datasets["people"].author)
    assert "Lovelace" in described._repr_html_()
    with pytest.raises(BadTable, match="people@1 has no column 'nick'"): datasets.describe("people", pii=["nick"])


def test_search_looks_through_all_versions(datasets: Datasets) -> None:
    datasets.add("weather", TABLE, description="Hourly WEATHER", tags=["raw"])
    datasets.add("weather", TABLE.rename(columns={"b": "temp"}), tags=["clean"])
    datasets.add("other", TABLE)
    def found(query: str) -> list[str]: return [version.ref for version in datasets.search(query)]
    assert found("description ~ weather") == ["weather@1", "weather@2"]
    assert found("description ~ weather and tags = raw") == ["weather@1"]
    assert found("columns = temp") == ["weather@2"]
    assert [version.ref for version in datasets.search(order_by="-version", limit=1)] == ["weather@2"]
    with pytest.raises(BadParameter, match="'colour' is no field"): datasets.search("colour = red")


def test_markup_that_people_typed_is_text(datasets: Datasets) -> None:
    version = datasets.add("t", TABLE, description="<script>alert(1)</script>", owner="<b>ada", tags=["<i>"])
    pages = version._repr_html_() + datasets._repr_html_() + datasets.list()._repr_html_()
    assert [tag for tag in ("<script>", "<b>ada", "<i>") if tag in pages] == []
    assert "&lt;script&gt;" in pages


def test_code_of_a_project_is_kept_with_what_was_added_by_hand(home: Home) -> None:
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]
    for words in ["init", "-q"], commit: subprocess.run(["git", "-C", str(home.root), *words], check=True)
    code = Datasets(home).add("t", TABLE).code
    assert code is not None
    assert len(code["commit"]) == 40


@pytest.mark.parametrize("table, reason", [
    (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "'a' mixes int, str"),
    (pd.DataFrame({"a": []}), "no rows"),
    ("nosuch.csv", "is not a file"),
])
def test_bad_table_is_refused_and_nothing_is_half_added(datasets: Datasets, table: TableLike, reason: str) -> None:
    with pytest.raises(BadTable, match=reason): datasets.add("t", table)
    with pytest.raises(NotFound, match="there is no dataset 't'; there is none yet"): datasets["t"]


def test_equals_sign_in_a_folder_is_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "year=2020"
    folder.mkdir()
    TABLE.to_parquet(folder / "t.parquet")
    version = Datasets(Home(folder)).add("t", folder / "t.parquet")
    assert list(version.read()) == ["a", "b"]


def test_column_that_a_version_does_not_have_is_refused_with_those_it_has(datasets: Datasets) -> None:
    version = datasets.add("t", TABLE)
    with pytest.raises(BadTable, match="t@1 has no column 'c'; it has a, b"): version.read(["a", "c"])
    with pytest.raises(BadTable, match="t@1 has no column 'c'; it has a, b"): list(version.batches(["c"]))


@pytest.mark.parametrize("name", ["../t", "T", "a b", "", "a/b", "-a", "t@1", "x" * 65])
def test_name_that_could_leave_the_workspace_is_refused(datasets: Datasets, name: str) -> None:
    with pytest.raises(BadReference): datasets.add(name, TABLE)


@given(st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?(@([1-9][0-9]{0,4}|[a-z]{1,9}))?", fullmatch=True))
def test_reference_reads_back_as_it_was_written(text: str) -> None:
    assert parse_reference(str(parse_reference(text))) == parse_reference(text)
