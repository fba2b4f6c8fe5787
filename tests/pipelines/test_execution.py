"Failing, trying again, side by side; killed, interrupted, two at once."
from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from mlops_nb.base import schema as db
from mlops_nb.base.errors import Busy, NotFound, RunFailed
from mlops_nb.pipelines.declarations import Pipeline, load_pipeline
from mlops_nb.pipelines.steps import step
from pipelines_support import RUN, WriteNotebook, WritePipeline, one_step
from support import start, wait_for

# ---- failing, trying again, side by side

@pytest.mark.slow
def test_failed_step_leaves_other_branches_and_their_results(
    ws: Workspace, write_notebook: WriteNotebook, tmp_path: Path,
) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.tag(x=1)")
    write_notebook("bad.ipynb", "import pathlib; assert pathlib.Path('mended').exists()", parameters="x: str = ''")
    write_notebook("b.ipynb", "print(x)", parameters="x: str = ''")
    def flow() -> None:
        a = step("a")
        bad = step("bad", x=a["x"])
        step("b", x=a["x"], name="other")
        below = step("b", after=bad, name="below")
        step("b", after=[below], x="deep", name="deepest")
    with pytest.raises(RunFailed, match=r"step bad: .*AssertionError.*skipped: below, deepest"): ws.pipelines.run(flow)
    run = ws.pipelines["flow"]
    assert run.status == "failed"
    assert [made.state for made in run.steps] == ["succeeded", "failed", "succeeded", "skipped", "skipped"]
    assert [made.reason for made in run.steps[3:]] == ["bad failed", "below was skipped"]
    assert run["bad"].status == "failed"
    with pytest.raises(NotFound, match="step below has no run: it is skipped"): run["below"]
    (tmp_path / "mended").touch()
    again = ws.pipelines.run(flow)
    assert again.id != run.id and [made.reused for made in again.steps] == [True, False, True, False, False]


@pytest.mark.slow
def test_retries_are_counted_and_wait_twice_as_long_each_time(ws: Workspace, write_notebook: WriteNotebook) -> None:
    tries = "with open('tries', 'a') as file: file.write('x')"
    write_notebook("a.ipynb", tries, "assert len(open('tries').read()) > 2")
    def flow() -> None: step("a", retries=3, backoff_s=0.2)
    tried = ws.pipelines.run(flow).steps[0]
    runs = sorted(ws.runs.search(), key=lambda run: run.id)
    assert [run.status for run in runs] == ["failed", "failed", "succeeded"]
    assert (tried.attempts, tried.run_id) == (3, runs[-1].id)
    pauses = [pd.Timestamp(later.created) - pd.Timestamp(earlier.ended) for earlier, later in pairwise(runs)]
    assert pauses[0].total_seconds() >= 0.2 and pauses[1].total_seconds() >= 0.4


@pytest.mark.slow
@pytest.mark.parametrize("retries, runs", [(0, 1), (1, 2)])
def test_failure_is_final_when_the_retries_are_used_up(
    ws: Workspace, write_notebook: WriteNotebook, retries: int, runs: int,
) -> None:
    write_notebook("a.ipynb", "1 / 0")
    def flow() -> None: step("a", retries=retries, backoff_s=0)
    with pytest.raises(RunFailed, match="ZeroDivisionError"): ws.pipelines.run(flow)
    assert len(ws.runs.search()) == runs


MEET = """
import pathlib, threading
pathlib.Path(f"{me}-is-here").touch()
for _ in range(600):
    if pathlib.Path(f"{other}-is-here").exists(): break
    threading.Event().wait(0.05)
else: raise RuntimeError("the other never came")"""


def test_independent_steps_run_side_by_side(ws: Workspace, write_notebook: WriteNotebook) -> None:
    "Each waits for the other: in a row, neither would end."
    write_notebook("meet.ipynb", MEET, parameters="me: str = ''\nother: str = ''")
    def flow() -> None:
        step("meet", me="a", other="b")
        step("meet", me="b", other="a")
    assert ws.pipelines.run(flow, jobs=2).status == "succeeded"


@pytest.mark.slow
def test_pause_holds_no_place(ws: Workspace, write_notebook: WriteNotebook) -> None:
    "With one job at a time, a step that waits for its retry lets the next one pass, which mends it."
    write_notebook("a.ipynb", "import pathlib; assert pathlib.Path('mended').exists()")
    write_notebook("b.ipynb", "open('mended', 'w').close()")
    def flow() -> None:
        step("a", retries=1, backoff_s=1)
        step("b")
    assert [made.attempts for made in ws.pipelines.run(flow, jobs=1).steps] == [2, 1]


# ---- killed, interrupted, two at once

WAITING = """
import pathlib, threading
pathlib.Path("here").touch()
while not pathlib.Path("go").exists(): threading.Event().wait(0.05)"""
FLOW = """@pipeline
def flow(n: int = 1):
    a = step("a", fresh=True)
    b = step("b", x=a["x"])
    step("c", after=b, n=n)"""


@pytest.fixture
def at_work(
    ws: Workspace, write_notebook: WriteNotebook, write_pipeline: WritePipeline, tmp_path: Path,
) -> Iterator[subprocess.Popen[str]]:
    "A pipeline in a process of its own, in the middle of its second step."
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    write_notebook("a.ipynb", f"{RUN}; run.use('t'); run.tag(x='text')")
    write_notebook("b.ipynb", WAITING, parameters="x: str = ''")
    write_notebook("c.ipynb", "print(n)", parameters="n: int = 1")
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = start("pipeline", "run", write_pipeline(FLOW), cwd=tmp_path, text=True, **streams)
    wait_for((tmp_path / "here").exists, what="the second step")
    yield process
    if process.poll() is None: process.kill()
    process.communicate()


@pytest.fixture
def flow(ws: Workspace) -> Callable[[], Pipeline]:
    "The pipeline of `at_work` as its file declares it now, to be executed in this process."
    return lambda: load_pipeline("flow.py", ws.root)


@pytest.mark.slow
@pytest.mark.parametrize("sent, status, code", [(signal.SIGKILL, "lost", -9), (signal.SIGINT, "cancelled", 130)])
def test_broken_off_pipeline_goes_on_at_its_first_unfinished_step(
    at_work: subprocess.Popen[str], flow: Callable[[], Pipeline], ws: Workspace, tmp_path: Path,
    sent: signal.Signals, status: str, code: int,
) -> None:
    at_work.send_signal(sent)
    assert at_work.wait(30) == code
    before = ws.pipelines["flow"]
    assert before.status == status
    assert [made.state for made in before.steps] == ["succeeded", status, "waiting"]
    assert before["b"].status == status
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))  # what the first step read has moved since
    (tmp_path / "go").touch()
    after = ws.pipelines.run(flow())
    assert (after.id, after.status) == (before.id, "succeeded")
    assert after["a"].id == before["a"].id and after["b"].id != before["b"].id
    ws.pipelines.run(flow())
    assert len(ws.pipelines.list("flow")) == 2  # one that has ended is not resumed


@pytest.mark.slow
def test_resumed_step_runs_again_when_its_code_changed(
    at_work: subprocess.Popen[str], flow: Callable[[], Pipeline], ws: Workspace, write_notebook: WriteNotebook,
    tmp_path: Path,
) -> None:
    at_work.kill()
    at_work.wait(30)
    before = ws.pipelines["flow"]
    write_notebook("a.ipynb", f"{RUN}; run.tag(x='other')")
    (tmp_path / "go").touch()
    after = ws.pipelines.run(flow())
    assert after.id == before.id and after["a"].id != before["a"].id and after["b"].params == {"x": "other"}


@pytest.mark.slow
def test_other_parameters_or_another_graph_begin_a_new_execution(
    at_work: subprocess.Popen[str], flow: Callable[[], Pipeline], ws: Workspace, write_pipeline: WritePipeline,
    tmp_path: Path,
) -> None:
    at_work.kill()
    at_work.wait(30)
    (tmp_path / "go").touch()
    ws.pipelines.run(flow(), n=2)
    write_pipeline(FLOW.replace("after=b, ", "after=[a, b], name='last', "))
    ws.pipelines.run(flow())
    assert sorted(run.status for run in ws.pipelines.list()) == ["lost", "succeeded", "succeeded"]


@pytest.mark.slow
def test_second_process_is_told_that_the_first_is_at_work(
    at_work: subprocess.Popen[str], flow: Callable[[], Pipeline], ws: Workspace, tmp_path: Path,
) -> None:
    with pytest.raises(Busy, match=f"in process {at_work.pid}"): ws.pipelines.run(flow())
    assert ws.pipelines["flow"].status == "running"
    (tmp_path / "go").touch()
    assert at_work.wait(60) == 0
    assert [run.status for run in ws.pipelines.list()] == ["succeeded"]


@pytest.mark.slow
def test_execution_without_a_heartbeat_is_lost_wherever_it_was(ws: Workspace, write_notebook: WriteNotebook) -> None:
    write_notebook("a.ipynb", "print(1)", parameters="n: int = 1")
    id = ws.pipelines.run(one_step).id
    silent = dict(status="running", host="elsewhere", heartbeat="2026-01-01T00:00:00.000000+00:00")
    with ws.home.store.write() as connection: connection.execute(sa.update(db.pipeline_runs).values(**silent))
    assert ws.pipelines[id].status == "lost"
