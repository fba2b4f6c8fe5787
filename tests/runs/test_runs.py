"Recorded runs: what is kept when things go wrong, and that other people's notebooks and tools work unchanged."
from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import BadNotebook, BadParameter, NotFound, RunFailed
from mlops_nb.runs.fork_server import shutdown
from mlops_nb.runs.jobs import KernelKind
from mlops_nb.runs.run import begin_run
from runs_support import NotebookWriter, is_alive, printed, processes_below
from support import start, wait_for


def test_notebook_that_raises_keeps_its_executed_cells(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", "print('one')", "1 / 0", "print('never')")
    with pytest.raises(RunFailed, match="cell 1: ZeroDivisionError") as failure: ws.runs.run(notebook)
    run = ws.runs[failure.value.id]
    assert run.status == "failed"
    assert run.error == {"cell": 1, "ename": "ZeroDivisionError", "evalue": "division by zero"}
    assert printed(ws, run) == ["one"]


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["warm", "fresh"])
def test_killed_kernel_is_a_failed_run_that_names_the_cell(
    ws: Workspace, write_notebook: NotebookWriter, kernel: KernelKind,
) -> None:
    notebook = write_notebook("a.ipynb", "print('one')", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RunFailed, match="SIGKILL: killed by somebody, or out of memory"):
        ws.runs.run(notebook, kernel=kernel)
    (run,) = ws.runs.list()
    assert run.error and (run.status, run.error["cell"]) == ("failed", 1)
    assert printed(ws, run) == ["one"]


@pytest.mark.slow
@pytest.mark.parametrize("limits, says", [
    ({"timeout_s": 1}, "the cell took over 1 s"), ({"run_timeout_s": 2}, "the run took over 2 s"),
])
def test_cell_or_run_over_its_time_is_a_timeout(
    ws: Workspace, write_notebook: NotebookWriter, limits: dict[str, Any], says: str,
) -> None:
    notebook = write_notebook("a.ipynb", "print('one')", "import threading; threading.Event().wait(60)")
    with pytest.raises(RunFailed, match=says): ws.runs.run(notebook, **limits)
    (run,) = ws.runs.list()
    assert run.error and (run.status, run.error["cell"]) == ("timeout", 1)
    assert printed(ws, run) == ["one"]


@pytest.mark.slow
@pytest.mark.parametrize("sent, status, code", [(signal.SIGINT, "cancelled", 130), (signal.SIGKILL, "lost", -9)])
def test_stopped_process_leaves_a_true_status_and_the_executed_cells(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path, sent: int, status: str, code: int,
) -> None:
    "Ctrl-C and kill -9: no process is left behind, the cells so far are kept."
    waits = "open('here', 'w').close()\nimport threading; threading.Event().wait(120)"
    write_notebook("a.ipynb", "print('one')", waits)
    process = start("run", "a.ipynb", cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "here").exists, what="the second cell")
    below = processes_below(process.pid)
    assert len(below) > 1  # the fork server, and the kernel at least
    process.send_signal(sent)
    assert process.wait(30) == code
    wait_for(lambda: not any(map(is_alive, below)), what="the end of every process")
    (run,) = ws.runs.list()
    assert run.status == status
    assert printed(ws, run) == ["one"]


@pytest.mark.parametrize("content, says", [(None, "does not exist"), ("{", "is not JSON")])
def test_what_is_no_notebook_is_refused_before_anything_is_recorded(
    ws: Workspace, tmp_path: Path, content: str | None, says: str,
) -> None:
    if content is not None: (tmp_path / "a.ipynb").write_text(content)
    with pytest.raises(BadNotebook, match=says): ws.runs.run(tmp_path / "a.ipynb")
    assert ws.runs.list() == []


@pytest.mark.slow
def test_parameters_are_checked_before_a_kernel_starts(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", "print(rounds)", parameters="rounds: int = 5  # trees, in [1, 9]")
    for params, says in ({"round": 5}, "rounds"), ({"rounds": "five"}, "does not take 'five'"), ({"rounds": 10}, "9"):
        with pytest.raises(BadParameter, match=says): ws.runs.run(notebook, params)
    assert ws.runs.list() == []
    assert printed(ws, ws.runs.run(notebook, {"rounds": 9})) == ["9"]


def test_default_that_is_none_is_recorded_and_passed(ws: Workspace, write_notebook: NotebookWriter) -> None:
    "As `seed: int | None = None`, which many notebooks declare."
    notebook = write_notebook("a.ipynb", "print(seed)", parameters="seed: int | None = None")
    run = ws.runs.run(notebook)
    assert (run.params, printed(ws, run)) == ({"seed": None}, ["None"])
    assert ws.runs.run(notebook, {"seed": 7}).params == {"seed": 7}


def test_papermill_notebook_without_a_parameters_cell_runs_unchanged(
    ws: Workspace, write_notebook: NotebookWriter,
) -> None:
    run = ws.runs.run(write_notebook("a.ipynb", "print(alpha)"), {"alpha": 0.6})
    assert printed(ws, run) == ["0.6"]


@pytest.mark.slow
def test_workflow_notebook_runs_under_plain_papermill(ws: Workspace, tmp_path: Path) -> None:
    shutil.copy(workflow("train"), tmp_path)
    words = ["train.ipynb", "out.ipynb", "-p", "rounds", "5", "--no-progress-bar"]
    subprocess.run([sys.executable, "-m", "papermill", *words], cwd=tmp_path, check=True, capture_output=True)
    (run,) = ws.runs.list()
    assert (run.kind, run.status, "model" in run.outputs) == ("interactive", "succeeded", True)


@pytest.mark.slow
def test_runs_at_the_same_time_do_not_meet(ws: Workspace, write_notebook: NotebookWriter) -> None:
    logs = "from mlops_nb import current_run\ncurrent_run().log(x=n)\nimport os; print(os.environ['MLOPS_RUN'])"
    notebook = write_notebook("a.ipynb", logs, parameters="n: int = 0")
    with ThreadPoolExecutor(2) as pool: runs = list(pool.map(lambda n: ws.runs.run(notebook, {"n": n}), range(6)))
    assert [run.metrics["x"] for run in runs] == list(range(6))
    assert [printed(ws, run) for run in runs] == [[run.id] for run in runs]


@pytest.mark.slow
@pytest.mark.usefixtures("no_wandb_copies")
def test_warm_kernel_cannot_be_told_from_a_fresh_one(ws: Workspace, write_notebook: NotebookWriter) -> None:
    "No variable, directory, environment or random state of an earlier run; no process is left at the end."
    draws = "print(random.random(), numpy.random.random(), numpy.random.default_rng().random())"
    notebook = write_notebook(
        "a.ipynb", "assert 'left' not in globals()\nleft = 1",
        f"import os, random, numpy\nos.environ['LEFT'] = 'x'; os.chdir('/'); {draws}")
    before = processes_below()
    (first,), (second,) = (printed(ws, ws.runs.run(notebook)) for _ in range(2))
    third = ws.runs.run(write_notebook("b.ipynb", "import os; print(os.environ.get('LEFT'), os.getcwd())"))
    assert not set(first.split()) & set(second.split())
    assert printed(ws, third) == [f"None {ws.root}"]
    shutdown()
    wait_for(lambda: processes_below() <= before, what="the end of every kernel")


@pytest.mark.slow
@pytest.mark.parametrize("step", ["fit", "extract and load", "status = failed and x = 1", "it's \"quoted\"", ""])
def test_step_that_succeeded_is_taken_once(ws: Workspace, write_notebook: NotebookWriter, step: str) -> None:
    "Whatever its name holds: it is no query."
    notebook = write_notebook("a.ipynb", "assert n > 0", parameters="n: int = 1")
    first = ws.runs.once(step, notebook, {"n": 2})
    assert ws.runs.once(step, notebook, {"n": 2}).id == first.id
    assert ws.runs.once(step, notebook, {"n": 3}).id != first.id
    assert ws.runs.once("another", notebook, {"n": 2}).id != first.id


@pytest.mark.slow
def test_step_that_failed_or_whose_notebook_changed_is_taken_again(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    notebook = write_notebook("a.ipynb", "import pathlib; assert pathlib.Path('mended').exists()")
    with pytest.raises(RunFailed, match="AssertionError"): ws.runs.once("fit", notebook)
    (tmp_path / "mended").touch()
    second = ws.runs.once("fit", notebook)
    write_notebook("a.ipynb", "print('another')")
    assert ws.runs.once("fit", notebook).id != second.id
    assert [run.status for run in ws.runs.list()] == ["succeeded", "succeeded", "failed"]


@pytest.mark.slow
def test_run_is_executed_as_it_was_given_and_its_notebook_had_back(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    run = ws.runs.run(write_notebook("a.ipynb", "print('as it was')"), out=tmp_path / "out" / "copy.ipynb")
    write_notebook("a.ipynb", "print('edited since')")
    source = ws.runs.source(run)
    assert source.name == "a.ipynb" and "as it was" in source.read_text()
    assert (tmp_path / "out" / "copy.ipynb").read_bytes() == ws.artifacts.bytes(run.executed or "")
    with pytest.raises(NotFound, match="recorded no notebook"): ws.runs.source(begin_run(ws.home, "by hand").record)


@pytest.mark.slow
def test_reproduction_reads_the_versions_that_the_original_read(
    ws: Workspace, write_notebook: NotebookWriter,
) -> None:
    notebook = write_notebook("a.ipynb", "from mlops_nb import current_run\nprint(current_run().use('t').ref)")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    original = ws.runs.run(notebook)
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert printed(ws, ws.runs.run(notebook)) == ["t@2"]
    assert printed(ws, ws.runs.run(notebook, tags={"reproduces": original.id})) == ["t@1"]


def test_unknown_kernel_is_refused_before_anything_is_recorded(
    ws: Workspace, write_notebook: NotebookWriter,
) -> None:
    cold: Any = "cold"
    with pytest.raises(BadParameter, match="kernel='cold': warm or fresh"):
        ws.runs.run(write_notebook("a.ipynb", "1"), kernel=cold)
    assert ws.runs.list() == []
