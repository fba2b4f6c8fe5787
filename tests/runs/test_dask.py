"Runs on a real Dask scheduler: they travel through the store, and a killed worker's run is begun once more."
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from mlops_nb.base import schema as db
from mlops_nb.base.errors import NotFound, RunFailed
from mlops_nb.runs.executors import Dask, Ended
from mlops_nb.runs.parameter_values import SECRET
from mlops_nb.runs.records import RunRecord
from runs_support import NotebookWriter, printed, processes_below
from support import wait_for

pytestmark = [pytest.mark.dask, pytest.mark.slow]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    "Of a scheduler with two workers, each a process of its own."
    from dask import config
    from distributed import LocalCluster
    leaves_nothing = {"distributed.nanny.pre-spawn-environ": {}}  # in the environment of this process
    with config.set(leaves_nothing):
        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50)
        with cluster: yield str(cluster.scheduler_address)


def test_runs_are_executed_by_workers(ws: Workspace, write_notebook: NotebookWriter, address: str) -> None:
    logs = "from mlops_nb import current_run\ncurrent_run().log(x=2 * n)\n1 / n"
    notebook = write_notebook("a.ipynb", logs, parameters="n: int = 1")
    failed, *succeeded = ws.runs.sweep(notebook, {"n": [0, 1, 2, 3]}, executor=Dask(address))
    assert isinstance(failed, RunFailed) and "ZeroDivisionError" in str(failed)
    assert [run.metrics["x"] for run in succeeded if isinstance(run, RunRecord)] == [2, 4, 6]
    assert [run.status for run in ws.runs.search(order_by="id")] == ["failed", *["succeeded"] * 3]
    assert os.getpid() not in {row["pid"] for row in ws.home.store.rows(sa.select(db.runs.c.pid))}


WAITS_ONCE = """
from pathlib import Path
from mlops_nb import current_run
run = current_run()
run.log(before=1)
with open("begun", "a") as file: file.write(f"{run.id}\\n")
if not Path("again").exists():
    Path("again").touch()
    import threading; threading.Event().wait(300)
run.log(after=2)
"""


def test_run_of_a_killed_worker_is_begun_once_more_and_recorded_once(
    ws: Workspace, write_notebook: NotebookWriter, address: str, tmp_path: Path,
) -> None:
    job, ended = ws.execution.prepare(write_notebook("a.ipynb", WAITS_ONCE)), list[Ended]()
    waiting = threading.Thread(target=lambda: ended.extend(Dask(address).execute(ws.execution, [job])))
    waiting.start()
    wait_for((tmp_path / "again").exists, what="the cell that waits")
    worker = ws.home.store.rows(sa.select(db.runs.c.pid))[0]["pid"]
    os.kill(worker, signal.SIGKILL)
    waiting.join(120)
    assert [run.status for run in ended if isinstance(run, RunRecord)] == ["succeeded"]
    assert (tmp_path / "begun").read_text().split() == [job.id] * 2
    assert [run.id for run in ws.runs.list()] == [job.id]
    assert ws.runs.history(job.id) == [("before", 0, 1.0), ("after", 0, 2.0)]


def test_run_that_kills_every_worker_fails_and_is_tried_no_more(
    ws: Workspace, write_notebook: NotebookWriter, address: str, tmp_path: Path,
) -> None:
    kills = "os.kill(psutil.Process().parent().ppid(), signal.SIGKILL)\nimport threading; threading.Event().wait(60)"
    begins = "import os, psutil, signal\nwith open('begun', 'a') as file: file.write('x')"
    (ended,) = Dask(address).execute(
        ws.execution, [ws.execution.prepare(write_notebook("a.ipynb", f"{begins}\n{kills}"))])
    assert isinstance(ended, RunFailed)
    (run,) = ws.runs.list()
    assert run.status in ("failed", "lost") and (tmp_path / "begun").read_text() == "xx"


def test_secret_travels_to_the_worker_and_is_neither_recorded_nor_logged(
    ws: Workspace, write_notebook: NotebookWriter, address: str,
) -> None:
    from distributed import Client
    parameters = "from mlops_nb import Secret\ntoken: Secret = ''"
    knows = "assert token == ''.join(['hunt', 'er2'])\nprint(token)"
    notebook = write_notebook("a.ipynb", knows, parameters=parameters)
    (run,) = Dask(address).execute(ws.execution, [ws.execution.prepare(notebook, {"token": "hunter2"})])
    assert isinstance(run, RunRecord) and run.params == {"token": SECRET} and printed(ws, run) == [SECRET]
    with Client(address) as client: assert "hunter2" not in str(client.get_worker_logs())


def test_cluster_of_a_call_ends_with_it(ws: Workspace, write_notebook: NotebookWriter) -> None:
    def workers() -> set[psutil.Process]:
        return {process for process in processes_below() if "spawn_main" in " ".join(process.cmdline())}
    before, variables = workers(), dict(os.environ)
    (run,) = Dask().execute(ws.execution, [ws.execution.prepare(write_notebook("a.ipynb", "print(1)"))])
    assert isinstance(run, RunRecord) and run.status == "succeeded"
    wait_for(lambda: workers() <= before, 30, "the end of the workers")
    assert dict(os.environ) == variables  # Dask sets OMP_NUM_THREADS=1 and leaves it


def test_no_scheduler_is_one_line(ws: Workspace, write_notebook: NotebookWriter) -> None:
    job = ws.execution.prepare(write_notebook("a.ipynb", "1"))
    with pytest.raises(NotFound, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        Dask("tcp://127.0.0.1:9", timeout_s=1).execute(ws.execution, [job])
    ws.execution.cancel(job.id)
