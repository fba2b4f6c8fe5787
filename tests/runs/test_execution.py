"Execution: one process claims a run, whoever ends it is obeyed, and however it ends the record says so."
from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from mlops_nb.base import schema as db
from mlops_nb.base.errors import BadNotebook, RunFailed
from mlops_nb.runs import execution as module
from mlops_nb.runs import writer
from mlops_nb.runs.execution import RETAKEN, Execution, claim
from mlops_nb.runs.notebook_execution import error_of
from mlops_nb.runs.run import Run
from runs_support import NotebookWriter, executed_cells, printed
from support import wait_for

WAITS = "print('one')", "open('here', 'w').close()\nimport threading; threading.Event().wait(120)", "print('never')"


@pytest.fixture
def ended() -> list[str]: return []


@pytest.fixture
def execution(ws: Workspace, ended: list[str]) -> Execution: return Execution(ws.home, on_end=ended.append)


# ---- who ends a run

@pytest.mark.slow
def test_run_interrupted_by_another_thread_keeps_its_cells(
    ws: Workspace, execution: Execution, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    job = execution.prepare(write_notebook("a.ipynb", *WAITS))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(execution.execute, job)
        wait_for((tmp_path / "here").exists, what="the second cell")
        execution.interrupt()
        with pytest.raises(RunFailed, match="cancelled in cell 1: DeadKernelError"): waiting.result(30)
    run = ws.runs[job.id]
    assert run.status == "cancelled" and printed(ws, run) == ["one"]


@pytest.mark.slow
def test_run_that_somebody_ends_elsewhere_is_ended_here_too(
    ws: Workspace, execution: Execution, write_notebook: NotebookWriter, monkeypatch: pytest.MonkeyPatch,
) -> None:
    "The store is all that the two have in common: the kernel is ended with the next heartbeat."
    monkeypatch.setattr(writer, "BEAT_S", 0.1)
    job = execution.prepare(write_notebook("a.ipynb", *WAITS))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(execution.execute, job)
        wait_for((ws.root / "here").exists, what="the second cell")
        with ws.home.store.write() as connection: assert writer.end_run(connection, job.id, "cancelled")
        with pytest.raises(RunFailed, match="cancelled in cell 1: DeadKernelError"): waiting.result(30)
    assert ws.runs[job.id].status == "cancelled"


@pytest.mark.slow
def test_run_cancelled_before_its_kernel_executes_no_cell(
    ws: Workspace, execution: Execution, write_notebook: NotebookWriter, monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute_cells = module.execute_cells
    def cancelled_meanwhile(*given: Any, **how: Any) -> Any:
        execution.interrupt()
        return execute_cells(*given, **how)
    monkeypatch.setattr(module, "execute_cells", cancelled_meanwhile)
    job = execution.prepare(write_notebook("a.ipynb", "open('ran', 'w').close()"))
    with pytest.raises(RunFailed, match="the kernel was ended before its first cell"): execution.execute(job)
    run = ws.runs[job.id]
    assert run.status == "cancelled" and not (ws.root / "ran").exists()


def test_run_that_was_cancelled_while_it_waited_is_not_begun(
    ws: Workspace, execution: Execution, ended: list[str], write_notebook: NotebookWriter,
) -> None:
    by_name, in_the_store = (execution.prepare(write_notebook("a.ipynb", "print(1)")) for _ in range(2))
    execution.interrupt([by_name.id])
    execution.cancel(in_the_store.id)
    for job in by_name, in_the_store:
        with pytest.raises(RunFailed, match=f"run {job.id} is cancelled: it cannot be executed"): execution.execute(job)
    assert ended == [] and ws.runs[in_the_store.id].started is None


# ---- who executes it

CLAIM = """
import sys
from mlops_nb.base.errors import RunFailed
from mlops_nb.base.project import Home
from mlops_nb.runs.execution import claim
sys.stdin.readline()
try: claim(Home(sys.argv[1]), sys.argv[2])
except RunFailed: print("refused")
else: print("claimed")
"""


@pytest.mark.slow
def test_of_several_processes_one_claims_a_run(
    execution: Execution, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    job = execution.prepare(write_notebook("a.ipynb", "print(1)"))
    words = [sys.executable, "-c", CLAIM, str(tmp_path), job.id]
    processes = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin
        process.stdin.write("now\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sorted(answers) == ["claimed", "refused", "refused", "refused"]


def test_run_of_a_process_that_is_gone_begins_anew_once(
    ws: Workspace, execution: Execution, write_notebook: NotebookWriter,
) -> None:
    "What it had recorded is forgotten; what kills two processes is not tried on a third."
    job = execution.prepare(write_notebook("a.ipynb", "print(1)"), tags={"team": "blue"})
    claim(ws.home, job.id)
    Run(ws.home, job.id).log(before=1)
    writer.flush()
    def lose() -> None:
        with ws.home.store.write() as connection:
            connection.execute(sa.update(db.runs).filter_by(id=job.id).values(pid=2**22))
        ws.runs.mark_lost()
    lose()
    with pytest.raises(RunFailed, match="is lost: it cannot be executed"): claim(ws.home, job.id)
    claim(ws.home, job.id, retake=True)
    run = ws.runs[job.id]
    assert (run.status, run.ended, run.error) == ("running", None, None)
    assert (run.metrics, run.tags) == ({}, {"team": "blue", RETAKEN: "1"}) and ws.runs.history(job.id) == []
    lose()
    with pytest.raises(RunFailed, match="is lost: it cannot be executed a third time"):
        claim(ws.home, job.id, retake=True)


# ---- how it ends

def raises(error: type[BaseException]) -> Callable[[int, int], None]:
    "An `on_cell` that raises at the second cell."
    def on_cell(cell: int, cells: int) -> None:
        if cell == 1: raise error("told to")
    return on_cell


@pytest.mark.slow
@pytest.mark.parametrize("error, status, recorded", [
    (KeyboardInterrupt, "cancelled", None), (SystemExit, "cancelled", None),
    (LookupError, "failed", {"cell": None, "ename": "LookupError", "evalue": "told to"}),
])
def test_whatever_is_raised_beside_the_cells_ends_the_run(
    ws: Workspace, execution: Execution, ended: list[str], write_notebook: NotebookWriter,
    error: type[BaseException], status: str, recorded: dict[str, object] | None,
) -> None:
    job = execution.prepare(write_notebook("a.ipynb", "print('one')", "print('two')"))
    with pytest.raises(error): execution.execute(job, on_cell=raises(error))
    run = ws.runs[job.id]
    assert (run.status, run.error) == (status, recorded)
    assert printed(ws, run) == ["one"] and ended == [job.id]


def test_notebook_whose_kernel_is_not_here_is_a_failed_run_and_one_line(
    ws: Workspace, execution: Execution, write_notebook: NotebookWriter,
) -> None:
    notebook = write_notebook("a.ipynb", "print(1)")
    notebook.write_text(notebook.read_text().replace('"name": "python3"', '"name": "julia-1.12"'))
    job = execution.prepare(notebook)
    with pytest.raises(BadNotebook, match="which is not installed here; jupyter kernelspec list"):
        execution.execute(job)
    run = ws.runs[job.id]
    assert run.error and (run.status, run.error["ename"]) == ("failed", "BadNotebook")


@pytest.mark.slow
def test_job_executes_what_was_recorded_whatever_became_of_the_file(
    ws: Workspace, execution: Execution, write_notebook: NotebookWriter,
) -> None:
    edited, gone = (execution.prepare(write_notebook(f"{name}.ipynb", f"print('{name}')")) for name in "ab")
    write_notebook("a.ipynb", "print('edited')")
    (ws.root / "b.ipynb").unlink()
    assert [printed(ws, execution.execute(job)) for job in (edited, gone)] == [["a"], ["b"]]


@pytest.mark.slow
def test_each_end_is_told_once(
    ws: Workspace, execution: Execution, ended: list[str], write_notebook: NotebookWriter,
) -> None:
    good, bad, elsewhere, lost = (
        execution.prepare(write_notebook("a.ipynb", "1 / n", parameters="n: int = 1"), {"n": n}) for n in (1, 0, 1, 1))
    execution.execute(good)
    with pytest.raises(RunFailed, match="ZeroDivisionError"): execution.execute(bad)
    execution.note_end(elsewhere.id)
    failure = execution.fail(lost, error_of(OSError("no worker")))
    assert ended == [good.id, bad.id, elsewhere.id, lost.id]
    assert failure.id == lost.id and "a.ipynb failed in its kernel: OSError: no worker" in str(failure)
    assert ws.runs[lost.id].status == "failed"


@pytest.mark.slow
def test_part_of_a_notebook_is_executed_and_the_whole_after_it(
    ws: Workspace, execution: Execution, write_notebook: NotebookWriter,
) -> None:
    "One run, claimed by one process in two parts; it ends with the second."
    job = execution.prepare(write_notebook("a.ipynb", "print('one')", "print('two')"))
    part = execution.execute_part(job, threads=1, part={"only": {0}})
    assert part.status == "succeeded" and ws.runs[job.id].status == "running"
    run = execution.execute(job, threads=1)
    assert run.status == "succeeded" and run.tags == {"threads": "1"}
    assert [cell.outputs[0].text for cell in executed_cells(ws, run)] == ["one\n", "two\n"]
