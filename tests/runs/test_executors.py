"Runs on a real Dask scheduler: they travel through the store, and a killed worker's run is begun once more and recorded once."
import os
import signal
import threading

import psutil
import pytest
import sqlalchemy as sa

from support import wait_for
from mlops_nb.base import schema as db
from mlops_nb.base.errors import NotFound, RunFailed
from mlops_nb.runs.executors import Dask, Local
from mlops_nb.runs.sweeps import sweep

pytestmark = [pytest.mark.dask, pytest.mark.slow]


@pytest.fixture(scope="module")
def scheduler():
    "A scheduler and two workers, each a process of its own."
    from distributed import LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50) as cluster: yield cluster


def test_runs_are_carried_out_by_workers(ws, write_notebook, scheduler):
    notebook = write_notebook("a.ipynb", "import os\nfrom mlops_nb import current_run\ncurrent_run().log(x=2 * n, parent=os.getppid())\n1 / n", parameters="n: int = 1")
    ended = sweep(ws.runs, notebook, {"n": [0, 1, 2, 3]}, executor=Dask(scheduler.scheduler_address))
    assert isinstance(ended[0], RunFailed) and "ZeroDivisionError" in str(ended[0])
    assert [run.metrics["x"] for run in ended[1:]] == [2, 4, 6]
    assert sorted(run.status for run in ws.runs.search()) == ["failed", "succeeded", "succeeded", "succeeded"]
    assert os.getpid() not in {row["pid"] for row in ws.store.rows(sa.select(db.runs.c.pid))}


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


def test_run_of_a_killed_worker_is_begun_once_more_and_recorded_once(ws, write_notebook, scheduler, tmp_path):
    job, begun, ended = ws.runs.prepare(write_notebook("a.ipynb", WAITS_ONCE)), tmp_path / "begun", []
    waiting = threading.Thread(target=lambda: ended.extend(Dask(scheduler.scheduler_address).carry_out(ws.runs, [job])))
    waiting.start()
    wait_for((tmp_path / "again").exists, what="the cell that waits")
    worker = ws.store.rows(sa.select(db.runs.c.pid))[0]["pid"]
    os.kill(worker, signal.SIGKILL)
    waiting.join(120)
    assert [run.status for run in ended] == ["succeeded"]
    assert begun.read_text().split() == [job.id] * 2
    assert [run.id for run in ws.runs.search()] == [job.id] and ws.runs.history(job.id) == [("before", 0, 1.0), ("after", 0, 2.0)]


def test_run_that_kills_every_worker_is_given_up(ws, write_notebook, scheduler):
    notebook = write_notebook("a.ipynb", "import os, psutil, signal\nos.kill(psutil.Process().parent().ppid(), signal.SIGKILL)\nimport threading; threading.Event().wait(60)")
    (ended,) = Dask(scheduler.scheduler_address).carry_out(ws.runs, [ws.runs.prepare(notebook)])
    assert isinstance(ended, RunFailed)
    (run,) = ws.runs.search()
    assert run.status in ("failed", "lost")


def test_cluster_of_a_call_ends_with_it(ws, write_notebook):
    def workers() -> set[int]: return {child.pid for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())}
    before = workers()
    (ended,) = Dask().carry_out(ws.runs, [ws.runs.prepare(write_notebook("a.ipynb", "print(1)"))])
    assert ended.status == "succeeded"
    wait_for(lambda: workers() <= before, 30, "the end of the workers")


def test_no_scheduler_is_one_line(ws, write_notebook):
    job = ws.runs.prepare(write_notebook("a.ipynb", "1"))
    with pytest.raises(NotFound, match="no Dask scheduler answers at tcp://127.0.0.1:9"): Dask("tcp://127.0.0.1:9").carry_out(ws.runs, [job])
    ws.runs.give_up(job.id)


def test_side_by_side_runs_share_the_cores(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "import os, lightgbm, threadpoolctl\nfrom mlops_nb import current_run\ncurrent_run().log(threads=int(os.environ['OMP_NUM_THREADS']))")
    pool = Local(2)
    done = pool.carry_out(ws.runs, [ws.runs.prepare(notebook) for _ in range(3)])
    assert {run.metrics["threads"] for run in done} == {pool.threads} and {run.tags["threads"] for run in done} == {str(pool.threads)}
