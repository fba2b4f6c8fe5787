"Records: what was recorded is read back as it was; a run whose process is gone is said to be lost, once."
from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from mlops_nb.base import schema as db
from mlops_nb.base.core import iso, now
from mlops_nb.base.errors import BadParameter, NotFound
from mlops_nb.runs import writer
from mlops_nb.runs.records import RunRecord
from mlops_nb.runs.run import Run, begin_run
from mlops_nb.runs.statuses import end_run

NO_PROCESS = 2**22  # one more than Linux numbers


def owned_by(ws: Workspace, pid: int, *, host: str = "", silent_s: float = 0) -> RunRecord:
    "A run that another process had at work."
    run = begin_run(ws.home, "a.ipynb", kind="batch")
    writer.stop_heartbeat(run.id)
    heartbeat = iso(now() - timedelta(seconds=silent_s))
    owner = dict(pid=pid, host=host or socket.gethostname(), heartbeat=heartbeat)
    with ws.home.store.write() as connection: connection.execute(sa.update(db.runs).filter_by(id=run.id).values(owner))
    return run.record


@pytest.mark.parametrize("params", [
    {"seed": None}, {"n": 10**400}, {"n": -(2**63)}, {"flag": True, "other": False}, {"text": "größe 'a' \"b\" \\ \n"},
    {"items": [1, None, {"a": []}]}, {"share": 1e-300},
])
def test_parameters_are_read_back_as_they_were(ws: Workspace, params: dict[str, object]) -> None:
    run = begin_run(ws.home, "a.ipynb", params=params).record
    assert run.params == params and list(map(type, run.params.values())) == list(map(type, params.values()))


def test_lost_run_stays_lost(ws: Workspace) -> None:
    "Whoever comes late does not move it again."
    run = begin_run(ws.home, "a.ipynb")
    with ws.home.store.write() as connection:
        assert end_run(connection, run.id, "lost") and not end_run(connection, run.id, "succeeded")
    run.end()
    assert run.record.status == "lost"


@pytest.mark.parametrize("pid, host, silent_s, status", [
    (NO_PROCESS, "", 0, "lost"), (os.getpid(), "", 0, "running"), (NO_PROCESS, "elsewhere", 0, "running"),
    (NO_PROCESS, "elsewhere", 60, "lost"), (1, "", 20, "running"),
], ids=["gone", "at work", "at work elsewhere", "gone elsewhere", "at work, older than its heartbeat"])
def test_whoever_looks_first_says_what_became_of_a_run(
    ws: Workspace, pid: int, host: str, silent_s: float, status: str,
) -> None:
    run = owned_by(ws, pid, host=host, silent_s=silent_s)
    assert [found.status for found in ws.runs.search()] == [status]
    assert ws.runs[run.id].status == status


def test_reused_process_number_is_another_process(ws: Workspace) -> None:
    "This process is younger than the heartbeat says."
    import psutil
    age_s = now().timestamp() - psutil.Process().create_time()
    run = owned_by(ws, os.getpid(), silent_s=age_s + 10)
    assert ws.runs.mark_lost() == [run.id]


@pytest.mark.parametrize("name", ["{id}.ipynb", "{id}-part.ipynb"], ids=["executed", "shared cells"])
def test_lost_run_keeps_what_it_had_executed(ws: Workspace, name: str) -> None:
    run = owned_by(ws, NO_PROCESS)
    (ws.home.make("runs") / name.format(id=run.id)).write_text("so far")
    ws.runs.mark_lost()
    lost = ws.runs[run.id]
    assert lost.executed and ws.artifacts.bytes(lost.executed) == b"so far"
    gone = f"process {NO_PROCESS} on {socket.gethostname()} is gone"
    assert lost.error == {"cell": None, "ename": "Lost", "evalue": gone}


@pytest.fixture
def run(ws: Workspace) -> Run: return begin_run(ws.home, "nbs/fit.ipynb", params={"slope": 2.0, "seed": None})


@pytest.mark.parametrize("content, stored", [
    (b"bytes", b"bytes"), ("größe", "größe".encode()), ({"a": [1]}, b'{"a": [1]}'), ([None], b"[null]"),
])
def test_output_is_kept_as_it_is(run: Run, content: Any, stored: bytes) -> None:
    run.save("it", "what is called so before")
    key = run.save("it", content)
    assert run.record.outputs == {"it": key} and run.record.output("it").read_bytes() == stored


def test_files_and_tables_are_outputs_too(run: Run, tmp_path: Path) -> None:
    import pandas as pd
    table = pd.DataFrame({"x": [1, 2]})
    (tmp_path / "note.txt").write_text("kept")
    run.save("note", tmp_path / "note.txt")
    run.save("table", table)
    assert run.record.output("note").read_text() == "kept"
    pd.testing.assert_frame_equal(pd.read_parquet(run.record.output("table")), table)
    with pytest.raises(NotFound, match="has no output 'model'; it has note, table"): run.record.output("model")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "low", None])
def test_metric_that_is_not_finite_is_refused(run: Run, value: Any) -> None:
    with pytest.raises(BadParameter, match=f"loss={value}: a metric is a finite number"): run.log(rows=3, loss=value)
    assert run.record.metrics == {}


def test_status_that_ends_no_run_is_refused(run: Run) -> None:
    wrong: Any = "running"
    with pytest.raises(BadParameter, match="cancelled, timeout, lost, not as 'running'"): run.end(wrong)


def test_runs_side_by_side_differ_in_the_first_rows(ws: Workspace) -> None:
    runs = [begin_run(ws.home, "fit.ipynb", params={"a": 1, "rate": rate}) for rate in (0.1, 0.2)]
    for each, loss in zip(runs, (0.5, 0.25), strict=True): each.log(rows=3, loss=loss)
    table = ws.runs.compare([each.id for each in runs])
    assert list(table.index) == ["params.rate", "metrics.loss", "params.a", "metrics.rows"]
    assert list(table[runs[1].id]) == [0.2, 0.25, 1, 3.0]


def test_listing_shows_what_tells_runs_apart(ws: Workspace) -> None:
    "The place in a longer job or else the file, its parameters and metrics, each cut to a line."
    run = begin_run(ws.home, "nbs/fit.ipynb", params={"rate": 0.123456, "text": "x" * 200})
    run.log(loss=1 / 3)
    begin_run(ws.home, "nbs/fit.ipynb", step="retrain <b>: train")
    (named, fit) = (found.summary() for found in ws.runs.list())
    assert list(fit) == ["run", "status", "notebook", "started", "s", "params", "metrics"]
    assert (fit["notebook"], named["notebook"]) == ("fit.ipynb", "retrain <b>: train")
    assert str(fit["params"]).startswith("rate=0.1235  text=xxx") and len(str(fit["params"])) == 80
    assert fit["metrics"] == "loss=0.3333"
    html = ws.runs._repr_html_()
    assert "retrain &lt;b&gt;: train" in html and "loss=0.3333" in html
    assert list(ws.runs.list().to_pandas()["params.rate"])[1] == 0.123456
