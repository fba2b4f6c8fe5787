"Runs in threads of this process: side by side they share the cores, and what ends the call ends all of them."
from __future__ import annotations

from pathlib import Path

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import BadParameter, RunFailed
from mlops_nb.runs.executors import Dask, Ended, Local, cores, executor
from mlops_nb.runs.records import RunRecord
from runs_support import NotebookWriter
from support import wait_for


@pytest.mark.slow
def test_side_by_side_runs_share_the_cores(ws: Workspace, write_notebook: NotebookWriter) -> None:
    logging = "current_run().log(threads=int(os.environ['OMP_NUM_THREADS']))"
    notebook = write_notebook("a.ipynb", f"import os\nfrom mlops_nb import current_run\n{logging}")
    pool = Local(2)
    ended = pool.execute(ws.execution, [ws.execution.prepare(notebook) for _ in range(3)])
    runs = [run for run in ended if isinstance(run, RunRecord)]
    assert pool.threads == max(1, cores() // 2)
    assert [run.metrics for run in runs] == [{"threads": pool.threads}] * 3
    assert [run.tags for run in runs] == [{"threads": str(pool.threads)}] * 3


@pytest.mark.slow
def test_one_run_at_a_time_may_have_all_cores(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", "import os\nassert 'OMP_NUM_THREADS' not in os.environ")
    (run,) = Local(1).execute(ws.execution, [ws.execution.prepare(notebook)])
    assert isinstance(run, RunRecord) and run.tags == {}


@pytest.mark.slow
def test_run_that_fails_stops_no_other_and_comes_back_in_its_place(
    ws: Workspace, write_notebook: NotebookWriter,
) -> None:
    notebook = write_notebook("a.ipynb", "1 / n", parameters="n: int = 1")
    jobs = [ws.execution.prepare(notebook, {"n": n}) for n in (1, 0, 2)]
    first, second, third = Local(2).execute(ws.execution, jobs)
    assert isinstance(second, RunFailed) and second.id == jobs[1].id
    assert [run.id for run in (first, third) if isinstance(run, RunRecord)] == [jobs[0].id, jobs[2].id]


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError])
def test_whatever_else_is_raised_ends_the_call_and_every_run(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path, error: type[BaseException],
) -> None:
    "One run has ended, one waits in its cell, one has not begun."
    waits = "if n: open('here', 'w').close()\nimport threading; threading.Event().wait(100 if n else 0)"
    notebook = write_notebook("a.ipynb", waits, parameters="n: int = 0")
    jobs = [ws.execution.prepare(notebook, {"n": n}) for n in (1, 0, 1)]
    def on_job(position: int, ended: Ended | None) -> None:
        if position == 1 and ended is not None:
            wait_for((tmp_path / "here").exists, what="the cell that waits")
            raise error("told to")
    with pytest.raises(error, match="told to"): Local(2).execute(ws.execution, jobs, on_job=on_job)
    assert [ws.runs[job.id].status for job in jobs] == ["cancelled", "succeeded", "cancelled"]


def test_executor_is_named_by_a_text() -> None:
    local, cluster, remote = executor("local", jobs=3), executor("dask"), executor("tls://scheduler:8786")
    assert isinstance(local, Local) and local.jobs == 3
    assert isinstance(cluster, Dask) and cluster.address is None
    assert isinstance(remote, Dask) and remote.address == "tls://scheduler:8786"
    for text in "spark", "http://scheduler", "":
        with pytest.raises(BadParameter, match=f"executor '{text}': local, dask"): executor(text)
