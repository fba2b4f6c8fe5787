"Admission: what is refused adds nothing, what is quarantined is not lost, and persons stay hidden on the way."
from __future__ import annotations

import json

import pandas as pd
import pytest
import sqlalchemy as sa

from mlops_nb.base import schema as db
from mlops_nb.base.errors import BadReference, BadTable, NotFound
from mlops_nb.base.project import Home
from mlops_nb.base.provenance import RUN_VARIABLE
from mlops_nb.data.admission import admit, validate_dataset
from mlops_nb.data.datasets import Datasets
from mlops_nb.data.expectation_versions import ExpectationsVersions
from mlops_nb.data.expectations import ColumnRule, Expectations

ROWS = pd.DataFrame({"n": [1.0, -5.0, None, 7.0], "code": ["a", "x", "a", "b"]})
POSITIVE = Expectations(columns={"n": ColumnRule(min=0)})
ASIDE = POSITIVE.change("n", policy="quarantine")


def test_refused_table_adds_nothing(home: Home, datasets: Datasets) -> None:
    ExpectationsVersions(home).add("t", POSITIVE)
    with pytest.raises(BadTable, match="n: 1 row below 0"): admit(home, "t", ROWS, against="t")
    assert datasets.list() == []


def test_rows_that_are_put_aside_are_a_dataset_of_their_own(home: Home, datasets: Datasets) -> None:
    version, report = admit(home, "t", ROWS, against=ASIDE)
    aside = datasets["t-quarantine"]
    assert (version.rows, aside.rows, report.quarantined) == (3, 1, 1)
    assert aside.parents == ("t@1",)
    assert aside.description == "quarantined when t@1 was added: n: 1 row below 0 (e.g. -5.0)"


def test_good_rows_follow_those_of_the_latest_version(home: Home) -> None:
    admit(home, "t", ROWS, against=ASIDE)
    version, _ = admit(home, "t", ROWS, against=ASIDE, append=True)
    assert (version.rows, version.parents) == (6, ("t@1",))


def test_table_of_which_no_row_is_good_is_refused_with_the_reason(home: Home, datasets: Datasets) -> None:
    with pytest.raises(BadTable, match=r"t: all rows would be quarantined; nothing was added: n: 4 rows below 0"):
        admit(home, "t", ROWS.assign(n=-1.0), against=ASIDE)
    assert datasets.list() == []


def test_name_too_long_for_its_quarantine_adds_nothing(home: Home, datasets: Datasets) -> None:
    with pytest.raises(BadReference, match="-quarantine' is no dataset"): admit(home, "x" * 60, ROWS, against=ASIDE)
    assert datasets.list() == []


def test_persons_stay_hidden_on_the_way_in(home: Home, datasets: Datasets) -> None:
    table = pd.DataFrame({"name": ["ada", "grace", "alan"], "age": [200, 40, 30]})
    datasets.add("people", table, pii=["name"])
    old, known = ColumnRule(max=120, policy="quarantine"), ColumnRule(values=("grace",))
    with pytest.raises(BadTable) as refused: admit(home, "people", table, against=Expectations(columns={"name": known}))
    assert str(refused.value) == "name: 2 rows with an unknown value"
    version, report = admit(home, "people", table, against=Expectations(columns={"age": old}), append=True)
    aside = datasets["people-quarantine"]
    assert (version.pii, aside.pii) == (("name",), ("name",))
    pages = f"{version._repr_html_()} {aside._repr_html_()} {datasets._repr_html_()}"
    shown = f"{report.asdict()} {aside.description} {pages}"
    assert [name for name in ("ada", "grace", "alan") if name in shown] == []


def test_columns_that_are_named_now_are_hidden_at_once(home: Home) -> None:
    table = pd.DataFrame({"name": ["ada", "grace"]})
    known = Expectations(columns={"name": ColumnRule(values=("grace",), policy="warn")})
    _, report = admit(home, "people", table, against=known, pii=["name"])
    assert "ada" not in str(report.asdict())


def test_report_is_an_output_of_the_run_at_work(
    home: Home, datasets: Datasets, monkeypatch: pytest.MonkeyPatch,
) -> None:
    datasets.add("t", ROWS)
    run = dict(id="r1", notebook="a.ipynb", kind="batch", status="running", author="ada", host="h", pid=1, created="")
    with home.store.write() as connection: connection.execute(sa.insert(db.runs), run | {"tags": {}})
    monkeypatch.setenv(RUN_VARIABLE, "r1")
    lenient = Expectations(columns={"n": ColumnRule(min=0), "gate": ColumnRule()}, policy={"missing column": "warn"})
    report = validate_dataset(home, "t", against=lenient)
    (output,) = home.store.rows(sa.select(db.run_outputs).filter_by(run_id="r1", name="validation"))
    kept = json.loads(home.artifacts.bytes(output["digest"]))
    assert kept == json.loads(json.dumps(report.asdict()))
    assert [(breach["column"], breach["rule"], breach["policy"]) for breach in kept["breaches"]] == [
        ("gate", "missing column", "warn"), ("n", "range", "refuse")]


def test_expectations_are_one_version_however_often_they_are_added(home: Home) -> None:
    versions = ExpectationsVersions(home)
    added = [versions.add("t", expectations).ref for expectations in (POSITIVE, ASIDE, POSITIVE)]
    assert added == ["t@1", "t@2", "t@1"]
    assert versions["t"].expectations == ASIDE
    with pytest.raises(NotFound, match="versions 1 to 2"): versions["t@3"]
    with pytest.raises(NotFound, match="there is no set of expectations 'u'; there are: t"): versions["u"]


def test_drift_is_told_from_the_version_that_the_expectations_name(home: Home, datasets: Datasets) -> None:
    datasets.add("good", pd.DataFrame({"x": range(1000)}))
    datasets.add("other", pd.DataFrame({"x": range(5000, 6000)}))
    near = Expectations(columns={"x": ColumnRule(max_psi=0.1)}, reference="good@1")
    assert validate_dataset(home, "good", against=near).ok
    assert [breach.rule for breach in validate_dataset(home, "other", against=near).breaches] == ["drift"]
