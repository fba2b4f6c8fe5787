"`mlops-nb run`, `sweep` and `runs …`: what is executed, shown and reported."
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app_support import Typed
from mlops_nb.app.workspace import Workspace

NotebookWriter = Callable[..., Path]
LOGS = "from mlops_nb import current_run\ncurrent_run().log(loss=0.5)"


@pytest.mark.slow
def test_run_is_shown_with_the_field_names_of_the_python_object(
    typed: Typed, ws: Workspace, write_notebook: NotebookWriter,
) -> None:
    write_notebook("a.ipynb", LOGS, parameters="n: int = 1  # in [1, 9]")
    assert typed("run", "a.ipynb", "-p", "n", "3", "-o", "copy.ipynb").status == 0
    (recorded,) = ws.runs.search()
    run = json.loads(typed("runs", "show", recorded.id, "--json").out)
    assert run == json.loads(json.dumps(recorded.asdict()))
    assert (run["status"], run["params"], run["metrics"]) == ("succeeded", {"n": 3}, {"loss": 0.5})
    assert run["notebook"] == "a.ipynb"
    assert (ws.root / "copy.ipynb").is_file()


def test_parameters_are_shown_and_nothing_is_run(typed: Typed, ws: Workspace, write_notebook: NotebookWriter) -> None:
    write_notebook("a.ipynb", "1 / 0", parameters="n: int = 1  # rounds, in [1, 9]")
    (row,) = json.loads(typed("run", "a.ipynb", "--params", "--json").out)
    assert row == {
        "name": "n", "type": "int", "default": 1, "allowed": "in [1, 9]", "help": "rounds, in [1, 9]"}
    assert "rounds, in" in typed("run", "a.ipynb", "--params").out
    assert ws.runs.search() == []


@pytest.mark.slow
def test_markup_of_a_tag_is_printed_as_it_is(typed: Typed, write_notebook: NotebookWriter) -> None:
    write_notebook("a.ipynb", "from mlops_nb import current_run\ncurrent_run().tag(note='[red]alarm[/red]')")
    assert typed("run", "a.ipynb").out.rstrip().endswith("note=[red]alarm[/red]")


@pytest.mark.slow
def test_sweep_reports_the_points_that_failed(typed: Typed, ws: Workspace, write_notebook: NotebookWriter) -> None:
    write_notebook("a.ipynb", "assert n < 3", parameters="n: int = 1")
    printed = typed("sweep", "a.ipynb", "--over", "n=1,2,3", "-j", "2")
    assert printed.status == 1
    assert printed.err.splitlines()[-1].startswith("mlops-nb: 1 of 3 points did not succeed")
    assert printed.out.startswith("2 of 3 points succeeded")
    assert sorted(run.status for run in ws.runs.search()) == ["failed", "succeeded", "succeeded"]
