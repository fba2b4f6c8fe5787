"What tests of runs look at: the cells of an executed notebook, what they printed, and the processes that are left."
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil

from mlops_nb.app.workspace import Workspace
from mlops_nb.runs.records import RunRecord

if TYPE_CHECKING:
    from nbformat import NotebookNode

NotebookWriter = Callable[..., Path]  # the fixture `write_notebook`


def executed_notebook(ws: Workspace, run: RunRecord) -> NotebookNode:
    "The notebook that a run has executed, as far as it came."
    assert run.executed, f"run {run.id} ({run.status}) kept no executed notebook"
    return nbformat.reads(ws.artifacts.bytes(run.executed).decode(), as_version=4)


def executed_cells(ws: Workspace, run: RunRecord) -> list[Any]:
    "The code cells of a run's executed notebook."
    return [cell for cell in executed_notebook(ws, run).cells if cell.cell_type == "code"]


def printed(ws: Workspace, run: RunRecord) -> list[str]:
    "What the executed cells of a run printed, an item a cell that did."
    outputs = [output for cell in executed_cells(ws, run) for output in cell.outputs]
    return [output.text.strip() for output in outputs if output.output_type == "stream"]


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def processes_below(pid: int | None = None) -> set[psutil.Process]:
    "The processes that one has started, and those that these have; of this one when none is given."
    return {child for child in psutil.Process(pid).children(recursive=True) if is_alive(child)}
