"What goes wrong: two hundred notebooks of which many do, kernels that hang, memory and disks that are used up."
from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import RunFailed
from mlops_nb.runs.execution import Execution
from mlops_nb.runs.executors import Ended, Local
from mlops_nb.runs.fork_server import shutdown
from mlops_nb.runs.jobs import RunOptions
from mlops_nb.runs.statuses import RunStatus
from runs_support import NotebookWriter, executed_cells, processes_below
from support import command, wait_for

FIRST = "from mlops_nb import current_run\ncurrent_run().log(n=n); print('begun', n)"
LIMIT_S = {"warm": 2, "fresh": 10}  # a fresh kernel is seconds away from its first cell when the machine is busy


@dataclass(frozen=True, kw_only=True)
class Kind:
    "A notebook's second cell, and how a run of it ends."
    cell: str
    status: RunStatus
    error: str | None = None
    logs: bool = True  # a kernel that is killed at once may not have written what it logged


KINDS = {
    "fine": Kind(cell="print('done')", status="succeeded"),
    "raises": Kind(cell="raise ValueError(f'no {n}')", status="failed", error="ValueError"),
    "exits": Kind(cell="import os; os._exit(3)", status="failed", error="DeadKernelError", logs=False),
    "killed": Kind(
        cell="import os, signal; os.kill(os.getpid(), signal.SIGKILL)", status="failed", error="DeadKernelError",
        logs=False),
    "hangs": Kind(
        cell="import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        status="timeout", error="CellTimeoutError"),
    "waits": Kind(cell="import threading; threading.Event().wait()", status="timeout", error="CellTimeoutError"),
}


def options(kind: str, kernel: str) -> RunOptions:
    "One that hangs has a limit for its cell, one that waits has a limit for the whole run."
    limits = {"hangs": {"timeout_s": LIMIT_S[kernel]}, "waits": {"run_timeout_s": LIMIT_S[kernel] + 1}}
    return RunOptions(kernel="warm" if kernel == "warm" else "fresh", **limits.get(kind, {}))


def mixed(number: int) -> list[str]:
    "So many kinds in a random order, each at least once, most of them fine."
    draw = random.Random(7)
    kinds = [*KINDS, *draw.choices(list(KINDS), [12, 3, 1, 1, 1, 1], k=number - len(KINDS))]
    draw.shuffle(kinds)
    return kinds


@pytest.fixture(autouse=True)
def no_process_left(no_wandb_copies: None) -> Iterator[None]:
    "A fork server ends with the last of its kernels: once it is calls to, nothing is left of any run."
    before = processes_below()
    yield
    shutdown()
    wait_for(lambda: processes_below() <= before, what="the end of every kernel")


@pytest.mark.slow
@pytest.mark.parametrize("kernel, number", [("warm", 200), ("fresh", 12)])
def test_every_one_of_many_mixed_runs_is_accounted_for(
    ws: Workspace, write_notebook: NotebookWriter, kernel: str, number: int,
) -> None:
    "Four at a time: each ends as it must, with its own cells and nobody else's, and the ones beside it go on."
    kinds, execution = mixed(number), Execution(ws.home)  # without copies for W&B
    files = {
        name: write_notebook(f"{name}.ipynb", FIRST, kind.cell, parameters="n: int = 0")
        for name, kind in KINDS.items()}
    first = execution.prepare(files["fine"], {"n": -1}, options=options("fine", kernel))
    execution.execute(first)  # imports, which the limits of the others are not meant for
    jobs = [execution.prepare(files[kind], {"n": n}, options=options(kind, kernel)) for n, kind in enumerate(kinds)]
    calls: list[tuple[int, bool]] = []
    def on_job(position: int, end: Ended | None) -> None: calls.append((position, end is not None))
    ended = Local(4).execute(execution, jobs, on_job=on_job)
    assert sorted(calls) == sorted((position, is_end) for position in range(number) for is_end in (False, True))
    assert [isinstance(end, RunFailed) for end in ended] == [kind != "fine" for kind in kinds]
    runs = [run for run in ws.runs.search(order_by="id") if run.id != first.id]
    assert [run.id for run in runs] == [job.id for job in jobs]
    for n, (name, run) in enumerate(zip(kinds, runs, strict=True)):
        kind, error = KINDS[name], run.error or {"ename": None, "cell": None}
        assert (run.status, error["ename"], run.params) == (kind.status, kind.error, {"n": n}), (name, run.error)
        assert kind.error is None or error["cell"] == 3, (name, error)  # below parameters, injected ones and the first
        (begun,) = [cell for cell in executed_cells(ws, run) if cell.source == FIRST]
        assert begun.outputs[0].text == f"begun {n}\n"
        if kind.logs: assert run.metrics == {"n": n}


@pytest.mark.slow
def test_memory_that_is_used_up_fails_the_run_and_names_the_cell(
    ws: Workspace, write_notebook: NotebookWriter,
) -> None:
    takes = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\nheld = bytearray(8 << 30)"
    with pytest.raises(RunFailed, match="cell 1: MemoryError"):
        ws.runs.run(write_notebook("a.ipynb", "print('one')", takes))
    assert ws.runs.search()[0].status == "failed"


@pytest.mark.slow
def test_disk_that_fills_during_a_run_is_one_line_and_a_failed_run(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    "The executed notebook grows over what the disk takes: here, over what the process may write to a file."
    write_notebook("a.ipynb", "print('one')", "print('x' * 3_000_000)", "print('three')")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))"
    python, _, program, *_ = command()
    words = [python, "-c", f"{limit}; {program}", "run", "a.ipynb"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "the file would be too large" in done.stderr
    run = ws.runs.search()[0]
    assert run.error and (run.status, run.error["ename"]) == ("failed", "StorageError")
    assert executed_cells(ws, run)[0].outputs[0].text == "one\n"
