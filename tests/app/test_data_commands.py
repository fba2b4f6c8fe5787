"`mlops-nb data …`: each command in this process, as a terminal sees it."
from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from app_support import Typed

ROWS = pd.DataFrame({"n": [1.0, -5.0, None, 7.0], "code": ["a", "x", "a", "b"]})


@pytest.fixture
def data(typed: Typed) -> Typed:
    "Type `mlops-nb data WORDS` in the workspace's folder, where `t.csv` lies."
    ROWS.to_csv("t.csv", index=False)
    return partial(typed, "data")


def test_expectations_are_drafted_edited_kept_and_held_against_a_version(data: Typed, tmp_path: Path) -> None:
    assert data("add", "t", "t.csv").out == "t@1: 4 rows, 2 columns\n"
    draft = data("expect", "t", "--like", "t").out
    (tmp_path / "t.yaml").write_text(draft.replace("min: -11.0", "min: 0, policy: quarantine"))
    assert data("expect", "t", "--file", "t.yaml").out.startswith("# t@1\n")
    assert data("expect", "t").out.splitlines()[1] == "  n: {type: number, min: 0, max: 13.0, policy: quarantine}"
    validated = data("validate", "t")
    assert validated.status == 0
    breach, outcome = validated.out.splitlines()
    assert breach == "quarantine: n: 1 row below 0 (e.g. -5.0)"
    assert outcome.startswith("quarantined: 4 rows")


def test_table_is_added_against_expectations(data: Typed, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("columns:\n  n: {min: 0, policy: quarantine}\n  code: {type: string}\n")
    data("add", "t", "t.csv")
    data("expect", "t", "--file", "t.yaml")
    added = data("add", "t", "t.csv", "--against", "t", "--append")
    assert (added.status, added.out) == (0, "t@2: 7 rows, 2 columns\n")
    assert added.err == "quarantine: n: 1 row below 0 (e.g. -5.0)\n"
    ROWS.drop(columns="code").to_csv("bad.csv", index=False)
    refused = data("add", "u", "bad.csv", "--against", "t")
    assert (refused.status, refused.err) == (2, "mlops-nb: code: the column is missing\n")  # `n` has rows to quarantine


def test_names_of_persons_are_not_drafted(data: Typed) -> None:
    data("add", "t", "t.csv", "--pii", "code")
    assert data("expect", "t", "--like", "t").out.splitlines()[-1] == "  code: {type: string, nullable: false}"


def test_versions_are_listed_by_name_and_by_query(data: Typed) -> None:
    data("add", "t", "t.csv", "--tag", "raw")
    data("add", "t", "t.csv", "--append", "--description", "twice")
    data("add", "u", "t.csv")
    def listed(*words: str) -> list[str]:
        return [f"{version['name']}@{version['version']}" for version in json.loads(data("ls", *words, "--json").out)]
    assert listed() == ["t@2", "u@1"]
    assert listed("t") == ["t@1", "t@2"]
    assert listed("--where", "tags = raw and columns = code") == ["t@1", "t@2"]
    assert listed("t", "--where", "description ~ TWICE") == ["t@2"]
    assert listed("t@1") == ["t@1", "t@2"]
    assert listed("t@1", "--where", "description ~ TWICE") == ["t@2"]
    assert data("ls", "--where", "colour = red").err.startswith("mlops-nb: 'colour' is no field: there are name, ")
    assert data("ls").out.splitlines()[1].split()[:3] == ["t@2", "8", "2"]


def test_difference_of_two_versions_is_told(data: Typed) -> None:
    data("add", "t", "t.csv")
    ROWS.assign(n=[1.0, 5.0, None, 7.0], gate="A1").to_csv("t.csv", index=False)
    data("add", "t", "t.csv")
    lines = data("diff", "t@1", "t@2", "--key", "code", "--key", "n").out.splitlines()
    assert lines[:2] == ["new column: gate string", "rows: 1 added, 1 removed, 0 changed, 3 the same"]
    assert json.loads(data("diff", "t@1", "t@2", "--json").out)["added"] == 1
