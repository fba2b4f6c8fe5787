"The writer: what it buffers is written once, by whoever logged it; no store holds up another; heartbeats go on."
from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from mlops_nb.base import schema as db
from mlops_nb.base.errors import StorageError
from mlops_nb.base.project import Home
from mlops_nb.runs import writer
from mlops_nb.runs.records import RunRecords
from mlops_nb.runs.run import begin_run
from mlops_nb.runs.statuses import end_run
from mlops_nb.runs.writer import Batch
from support import wait_for


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    "A workspace of which every write fails, until `monkeypatch` takes that back."
    home, write = Home(tmp_path / "broken"), writer.write_batch
    def write_or_fail(other: Home, batch: Batch) -> None:
        if other is home: raise StorageError("the disk is full")
        write(other, batch)
    monkeypatch.setattr(writer, "write_batch", write_or_fail)
    return home


def heartbeat(home: Home, id: str) -> str:
    return home.store.rows(sa.select(db.runs.c.heartbeat).filter_by(id=id))[0]["heartbeat"]


def test_store_that_cannot_be_written_holds_up_no_other(
    ws: Workspace, broken: Home, monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = begin_run(broken, "a.ipynb"), begin_run(ws.home, "a.ipynb")
    first.log(loss=1)
    second.log(loss=2)
    assert second.record.metrics == {"loss": 2}
    with pytest.raises(StorageError, match="the disk is full"): _ = first.record
    monkeypatch.undo()
    assert first.record.metrics == {"loss": 1}  # nothing was lost meanwhile


def test_heartbeats_go_on_while_another_store_cannot_be_written(
    ws: Workspace, broken: Home, monkeypatch: pytest.MonkeyPatch,
) -> None:
    "A run that is at work must not count as lost because of somebody else's disk."
    monkeypatch.setattr(writer, "BEAT_S", 0.05)
    begin_run(broken, "a.ipynb").log(loss=1)
    run = begin_run(ws.home, "a.ipynb")
    first = heartbeat(ws.home, run.id)
    wait_for(lambda: heartbeat(ws.home, run.id) > first, 10, "the next heartbeat")


@pytest.mark.slow
def test_heartbeat_that_cannot_be_written_keeps_no_other_from_being(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "BEAT_S", 0.05)
    away = begin_run(Home(tmp_path / "away"), "a.ipynb")
    monkeypatch.setattr(away.home.store, "write", lambda: (_ for _ in ()).throw(StorageError("the server is away")))
    run = begin_run(ws.home, "a.ipynb")
    first = heartbeat(ws.home, run.id)
    wait_for(lambda: heartbeat(ws.home, run.id) > first, 10, "the next heartbeat")
    writer.stop_heartbeat(away.id)


def test_whoever_has_a_run_at_work_is_told_when_somebody_else_ends_it(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "BEAT_S", 0.05)
    run, told = begin_run(ws.home, "a.ipynb"), threading.Event()
    writer.start_heartbeat(ws.home.store, run.id, on_gone=told.set)
    with ws.home.store.write() as connection: assert end_run(connection, run.id, "cancelled")
    assert told.wait(10)


PROGRAM = """
import json, os, sys
from mlops_nb.base.project import Home
from mlops_nb.runs import writer
from mlops_nb.runs.run import begin_run
home = Home(sys.argv[1])
run = begin_run(home, "a.ipynb")
print(run.id)
"""


@pytest.fixture
def history(tmp_path: Path) -> Callable[[str], list[tuple[str, int, float]]]:
    "What was logged by a run of a Python process that has ended by itself."
    def of_program(code: str) -> list[tuple[str, int, float]]:
        command = [sys.executable, "-c", PROGRAM + code, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "Exception ignored" not in done.stderr, done.stderr
        return [(name, step, value) for name, step, value in RunRecords(Home(tmp_path)).history(done.stdout.split()[0])]
    return of_program


def test_process_that_ends_has_written_what_it_logged(history: Callable[[str], list[tuple[str, int, float]]]) -> None:
    assert history("run.log(loss=1)\nrun.log(loss=2)") == [("loss", 0, 1.0), ("loss", 1, 2.0)]


@pytest.mark.slow
def test_child_of_a_fork_writes_what_it_logged_and_nothing_of_its_parents(
    history: Callable[[str], list[tuple[str, int, float]]],
) -> None:
    code = """
run.log(parent=1)
child = os.fork()
if not child:
    run.log(child=2)
    writer.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    assert history(code) == [("parent", 0, 1.0), ("child", 0, 2.0)]


@pytest.mark.slow
def test_fork_while_nothing_can_be_written_loses_nothing_and_stops_nobody(
    history: Callable[[str], list[tuple[str, int, float]]],
) -> None:
    "What the parent could not write before it forked stays with the parent, and neither of the two waits for ever."
    code = """
def fails(home, batch): raise OSError("the disk is full")
write, writer.write_batch = writer.write_batch, fails
run.log(parent=1)
child = os.fork()
writer.write_batch = write
if not child:
    run.log(child=2)
    writer.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
run.log(parent=3)
"""
    assert sorted(history(code)) == [("child", 0, 2.0), ("parent", 0, 1.0), ("parent", 1, 3.0)]


def test_metric_is_its_last_value_and_the_history_has_all(ws: Workspace) -> None:
    run = begin_run(ws.home, "a.ipynb")
    for value in 3.0, 1.0, 2.0: run.log(loss=value)
    run.log({"loss": 0.5}, step=10)
    assert run.record.metrics == {"loss": 0.5}
    assert ws.runs.history(run.id) == [("loss", 0, 3.0), ("loss", 1, 1.0), ("loss", 2, 2.0), ("loss", 10, 0.5)]


def test_what_was_logged_does_not_wait_for_the_environment(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    "Which takes long to read on a busy machine, and may fail; it is tried again, and nothing is written twice."
    def fails(*given: object) -> str: raise StorageError("the disk is full")
    monkeypatch.setattr(writer, "environment_artifact", fails)
    run = begin_run(ws.home, "a.ipynb")
    run.log(loss=1)
    with pytest.raises(StorageError, match="the disk is full"): writer.flush(ws.home.store.url)
    logged = sa.select(db.metric_history.c.value).filter_by(run_id=run.id)
    assert ws.home.store.rows(logged) == [{"value": 1.0}]
    monkeypatch.undo()
    assert run.record.environment and ws.home.store.rows(logged) == [{"value": 1.0}]


def test_run_that_began_knows_its_environment_and_its_commit(ws: Workspace, tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    for words in ["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]:
        subprocess.run([*git, *words], check=True)
    run = begin_run(ws.home, "a.ipynb").record
    assert run.code and run.code["dirty"] is False and len(run.code["commit"]) == 40
    assert run.environment and "papermill" in json.loads(ws.artifacts.bytes(run.environment))["packages"]
