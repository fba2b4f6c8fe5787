"What goes wrong: two hundred notebooks of which many do, kernels that hang, memory and disks that are used up."
import random, subprocess, sys
from collections import Counter

import nbformat
import psutil
import pytest

from support import command
from mlops_nb.base.errors import RunFailed
from mlops_nb.runs.executors import Local

FIRST = "from mlops_nb import current_run\ncurrent_run().log(n=n); print('begun', n)"
ENDS = {"fine": ("print('done')", "succeeded", None),
    "raises": ("raise ValueError(f'no {n}')", "failed", "ValueError"),
    "exits": ("import os; os._exit(3)", "failed", "DeadKernelError"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "failed", "DeadKernelError"),
    "hangs": ("import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)", "timeout", "CellTimeoutError"),
    "waits": ("import threading; threading.Event().wait()", "timeout", "CellTimeoutError")}


def of_kernels() -> list[psutil.Process]:
    "Processes below this one that are a kernel, or what a kernel started."
    return [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE and "serve_forks" not in " ".join(child.cmdline()) and "ipykernel" in " ".join(child.cmdline())]


@pytest.mark.parametrize("kernel, number, limit_s", [("warm", 200, 2), ("fresh", 12, 10)])
def test_every_one_of_many_mixed_runs_is_accounted_for(ws, write_notebook, kernel, number, limit_s):
    "Two at a time: each ends as it must, with its own cells and nobody else's, and the ones beside it go on."
    draw = random.Random(7)
    kinds = [*ENDS, *draw.choices(list(ENDS), [12, 3, 1, 1, 1, 1], k=number - len(ENDS))]
    draw.shuffle(kinds)
    files = {kind: write_notebook(f"{kind}.ipynb", FIRST, cell, parameters="n: int = 0") for kind, (cell, _, _) in ENDS.items()}
    ws.runs.carry_out(first := ws.runs.prepare(files["fine"], {"n": -1}, kernel=kernel))  # imports, which the limits of the others are not meant for
    jobs = [ws.runs.prepare(files[kind], {"n": n}, kernel=kernel, **{"hangs": dict(timeout_s=limit_s), "waits": dict(run_timeout_s=limit_s + 1)}.get(kind, {})) for n, kind in enumerate(kinds)]
    told = []
    ended = Local(2).carry_out(ws.runs, jobs, lambda at, end: told.append((at, end is not None)))
    assert sorted(told) == sorted((at, end) for at in range(number) for end in (False, True))
    assert [isinstance(end, RunFailed) for end in ended] == [kind != "fine" for kind in kinds]
    found = {run.id: run for run in ws.runs.search() if run.id != first.id}
    assert list(found)[::-1] == [job.id for job in jobs]
    for n, (kind, job) in enumerate(zip(kinds, jobs)):
        run, (_, status, error) = found[job.id], ENDS[kind]
        assert (run.status, run.error and run.error["ename"], run.params) == (status, error, {"n": n}), (kind, run.error)
        assert error is None or run.error["cell"] == 3, (kind, run.error)  # below parameters, injected parameters and the first
        (first,) = [cell for cell in nbformat.reads(ws.artifacts.bytes(run.executed).decode(), as_version=4).cells if cell.source == FIRST]
        assert first.outputs[0].text == f"begun {n}\n"
        if kind not in ("exits", "killed"): assert run.metrics == {"n": n}
    assert of_kernels() == []
    assert Counter(kinds).keys() == ENDS.keys()


def test_memory_that_is_used_up_fails_the_run_and_names_the_cell(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "print('one')", "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\nheld = bytearray(8 << 30)")
    with pytest.raises(RunFailed, match="cell 1: MemoryError"): ws.runs.run(notebook)
    assert ws.runs.search()[0].status == "failed"


def test_disk_that_fills_during_a_run_is_one_line_and_a_failed_run(ws, write_notebook, tmp_path):
    "The executed notebook grows over what the disk takes: here, over what the process may write to a file."
    write_notebook("a.ipynb", "print('one')", "print('x' * 3_000_000)", "print('three')")
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY)); {command()[2]}"
    done = subprocess.run([sys.executable, "-c", limited, "run", "a.ipynb"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "the file would be too large" in done.stderr
    run = ws.runs.search()[0]
    assert (run.status, run.error["ename"]) == ("failed", "StorageError")
    assert nbformat.reads(ws.artifacts.bytes(run.executed).decode(), as_version=4).cells[0].outputs[0].text == "one\n"
    assert of_kernels() == []
