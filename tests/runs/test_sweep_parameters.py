"A sweep may vary a parameter that has no default."
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops_nb.app.workspace import Workspace
from mlops_nb.runs.records import RunRecord


def test_sweep_over_a_parameter_that_has_no_default(ws: Workspace, write_notebook: Callable[..., Path]) -> None:
    notebook = write_notebook("bowl.ipynb", "assert x", parameters="x: float  # in [-5, 5]")
    ended = ws.runs.sweep(notebook, {"x": [1.0, 2.0]})
    assert [run.params["x"] for run in ended if isinstance(run, RunRecord)] == [1, 2]
