"Recorded runs: what is kept when things go wrong, and that other people's notebooks and tools work unchanged."
import shutil, signal, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

import nbformat
import psutil
import pytest

from support import start, wait_for
from mlops_nb.runs.fork_server import shutdown
from mlops_nb.base.errors import BadNotebook, BadParameter, NotFound, RunFailed
from mlops_nb.app.workspace import Workspace, workflow


def outputs(ws: Workspace, id: str) -> list[str]:
    "What the executed cells of a run printed."
    notebook = nbformat.reads(ws.artifacts.bytes(ws.runs[id].executed).decode(), as_version=4)
    return [output.text.strip() for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "stream"]


def test_notebook_that_raises_keeps_its_executed_cells(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "print('one')", "1 / 0", "print('never')")
    with pytest.raises(RunFailed, match="cell 1: ZeroDivisionError"): ws.runs.run(notebook)
    run = ws.runs.search()[0]
    assert (run.status, run.error["cell"], run.error["ename"]) == ("failed", 1, "ZeroDivisionError")
    assert outputs(ws, run.id) == ["one"]


@pytest.mark.parametrize("kernel", ["warm", "fresh"])
def test_killed_kernel_is_a_failed_run_that_names_the_cell(ws, write_notebook, kernel):
    notebook = write_notebook("a.ipynb", "print('one')", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RunFailed, match="SIGKILL: killed by somebody, or out of memory"): ws.runs.run(notebook, kernel=kernel)
    run = ws.runs.search()[0]
    assert (run.status, run.error["cell"]) == ("failed", 1)
    assert outputs(ws, run.id) == ["one"]


def test_cell_over_its_time_is_a_timeout(ws, write_notebook):
    with pytest.raises(RunFailed, match="over 1 s"): ws.runs.run(write_notebook("a.ipynb", "import threading; threading.Event().wait(60)"), timeout_s=1)
    assert ws.runs.search()[0].status == "timeout"


WAITING = ("print('one')", "open('here', 'w').close()\nimport threading; threading.Event().wait(120)")


@pytest.mark.parametrize("sent, status, code", [(signal.SIGINT, "cancelled", 130), (signal.SIGKILL, "lost", -9)])
def test_stopped_process_leaves_a_true_status_and_the_executed_cells(ws, write_notebook, tmp_path, sent, status, code):
    "Ctrl-C and kill -9: no kernel is left behind, the cells so far are kept."
    write_notebook("a.ipynb", *WAITING)
    process = start("run", "a.ipynb", cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "here").exists, what="the second cell")
    kernels = [child for child in psutil.Process(process.pid).children(recursive=True) if any("ipykernel" in word for word in child.cmdline())]
    process.send_signal(sent)
    assert process.wait(30) == code
    wait_for(lambda: not any(kernel.is_running() and kernel.status() != psutil.STATUS_ZOMBIE for kernel in kernels), what="the kernel's end")
    run = ws.runs.search()[0]
    assert run.status == status
    assert outputs(ws, run.id) == ["one"]


def test_lost_run_stays_lost(ws, write_notebook):
    "Whoever comes late does not move it again."
    from mlops_nb.runs.records import end_run
    from mlops_nb.runs.runs import begin
    run = begin(ws, "a.ipynb", "batch")
    with ws.store.write() as connection: assert end_run(connection, run.id, "lost") and not end_run(connection, run.id, "succeeded")
    assert ws.runs[run.id].status == "lost"


@pytest.mark.parametrize("content, says", [(None, "does not exist"), ("", "is not"), ("{", "is not"), ('{"cells": 3}', "is not"), ("[1]", "is not")])
def test_what_is_no_notebook_is_refused_before_anything_is_recorded(ws, tmp_path, content, says):
    if content is not None: (tmp_path / "a.ipynb").write_text(content)
    with pytest.raises(BadNotebook): ws.runs.run(tmp_path / "a.ipynb")
    assert ws.runs.search() == []


def test_parameters_are_checked_before_a_kernel_starts(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "print(rounds)", parameters="rounds: int = 5  # trees, in [1, 9]")
    for given in {"round": 5}, {"rounds": "five"}, {"rounds": 10}:
        with pytest.raises(BadParameter): ws.runs.run(notebook, given)
    assert ws.runs.search() == []
    assert outputs(ws, ws.runs.run(notebook, {"rounds": 9}).id) == ["9"]


def test_papermill_notebook_without_a_parameters_cell_runs_unchanged(ws, write_notebook):
    assert outputs(ws, ws.runs.run(write_notebook("a.ipynb", "print(alpha)"), {"alpha": 0.6}).id) == ["0.6"]


def test_workflow_notebook_runs_under_plain_papermill(ws, tmp_path):
    shutil.copy(workflow("train"), tmp_path)
    subprocess.run([sys.executable, "-m", "papermill", "train.ipynb", "out.ipynb", "-p", "rounds", "5", "--no-progress-bar"], cwd=tmp_path, check=True, capture_output=True)
    run = ws.runs.search()[0]
    assert (run.kind, run.status, "model" in run.outputs) == ("interactive", "succeeded", True)


def test_runs_at_the_same_time_do_not_meet(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "from mlops_nb import current_run\ncurrent_run().log(x=n)\nimport os; print(os.environ['MLOPS_RUN'])", parameters="n: int = 0")
    with ThreadPoolExecutor(2) as pool: runs = list(pool.map(lambda n: ws.runs.run(notebook, {"n": n}), range(6)))
    assert [run.metrics["x"] for run in runs] == list(range(6))
    assert [outputs(ws, run.id) for run in runs] == [[run.id] for run in runs]


def test_warm_kernel_cannot_be_told_from_a_fresh_one(ws, write_notebook):
    "No variable, directory, environment or random state of an earlier run; no process is left at the end."
    notebook = write_notebook("a.ipynb", "assert 'left' not in globals()\nleft = 1", "import os, random, numpy\nos.environ['LEFT'] = 'x'; os.chdir('/'); print(random.random(), numpy.random.random(), numpy.random.default_rng().random())")
    before = set(psutil.Process().children(recursive=True))
    first, second = (outputs(ws, ws.runs.run(notebook).id) for _ in range(2))
    third = outputs(ws, ws.runs.run(write_notebook("b.ipynb", "import os; print(os.environ.get('LEFT'), os.getcwd())")).id)
    assert not set(first[0].split()) & set(second[0].split())
    assert third == [f"None {ws.root}"]
    shutdown()
    wait_for(lambda: {child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE} <= before, what="the end of every kernel")


def test_search_understands_conditions_and_refuses_others(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "from mlops_nb import current_run\nrun = current_run(); run.log(loss=1 / n); run.tag(team='blue')", parameters="n: int = 1\nkind: str = 'a'")
    for n in 1, 2, 4: ws.runs.run(notebook, {"n": n, "kind": "ab"[n % 2]})
    assert [run.params["n"] for run in ws.runs.search("metrics.loss < 0.9 and params.n >= 2", order_by="metrics.loss")] == [4, 2]
    assert [run.params["n"] for run in ws.runs.search("params.kind = b and tags.team = blue")] == [1]
    assert ws.runs.search("tags.team = red") == []
    for wrong in "loss <", "nosuch = 1", "metrics.loss ~ 1":
        with pytest.raises(BadParameter): ws.runs.search(wrong)
    with pytest.raises(NotFound): ws.runs["zzzz"]


def test_step_that_succeeded_is_taken_once(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "print(1)", parameters="n: int = 1")
    first = ws.runs.once("a step", notebook, {"n": 2})
    assert ws.runs.once("a step", notebook, {"n": 2}).id == first.id
    assert ws.runs.once("a step", notebook, {"n": 3}).id != first.id


def test_reproduction_reads_the_versions_that_the_original_read(ws, write_notebook):
    import pandas as pd
    notebook = write_notebook("a.ipynb", "from mlops_nb import current_run\nprint(current_run().use('t').ref)")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    original = ws.runs.run(notebook)
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert outputs(ws, ws.runs.run(notebook).id) == ["t@2"]
    assert outputs(ws, ws.runs.run(notebook, tags={"reproduces": original.id}).id) == ["t@1"]


def test_store_that_cannot_be_written_holds_up_no_other(ws, tmp_path, monkeypatch):
    from mlops_nb.runs import runs as module
    from mlops_nb.base.errors import StorageError
    from mlops_nb.base.project import Home
    from mlops_nb.runs.runs import begin
    broken, write = Home(tmp_path / "broken"), module._write
    def fails(home, **kinds):
        if home is broken: raise StorageError("the disk is full")
        write(home, **kinds)
    first, second = begin(broken, "a.ipynb", "batch"), begin(ws, "a.ipynb", "batch")
    monkeypatch.setattr(module, "_write", fails)
    first.log(loss=1); second.log(loss=2)
    assert second.record.metrics == {"loss": 2}
    with pytest.raises(StorageError): first.record
    monkeypatch.undo()
    assert first.record.metrics == {"loss": 1}  # nothing was lost meanwhile
