"What the W&B mirror must hold, must not hold, and must not do to the process that records runs."
from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mlops_nb.base.errors import StorageError
from mlops_nb.runs import wandb_mirror
from mlops_nb.runs.wandb_mirror import THREAD, Mirror, mirror
from mlops_nb.runs.wandb_runs import MirroredRun, NotMirrored
from mlops_nb.runs.wandb_sync import waiting
from support import ROOT
from wandb_support import KEY, recorded, records_of, summary_of

pytestmark = pytest.mark.usefixtures("no_wandb_login")
FINDS_US = os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(autouse=True, scope="module")
def one_process_for_all() -> Iterator[None]:
    wandb_mirror._process.close()
    yield
    wandb_mirror._process.close()


# What it holds

@pytest.mark.slow
def test_offline_mirror_holds_config_and_summary(tmp_path: Path) -> None:
    run = recorded()
    folder = mirror(run, tmp_path / "w")
    assert folder is not None and folder.parent == tmp_path / "w" / "wandb" and folder.name.startswith("offline-run-")
    shown = summary_of(folder)
    assert (shown["config"], shown["state"], shown["exit_code"]) == (run.params, "finished", 0)
    named = [shown[name] for name in ("run_id", "project", "name", "notes")]
    assert named == [run.id, "flights", "train", "as usual"]
    expected = run.metrics | {"status": "succeeded", "started": run.started, "ended": run.ended}
    assert {name: shown["summary"][name] for name in expected} == expected


@pytest.mark.slow
def test_offline_mirror_holds_history_group_and_the_notebook(tmp_path: Path, executed: Path) -> None:
    run = recorded(notebook=executed)
    records = records_of(mirror(run, tmp_path / "w"))
    kinds = [record["type"] for record in records]
    assert kinds.count("history") == 3 and "exit" in kinds
    text = json.dumps(records)
    assert [word for word in ("sweep-1", "train-notebook", "train.ipynb") if word not in text] == []
    assert (tmp_path / "w" / "notebooks" / f"{run.id}.ipynb").read_bytes() == executed.read_bytes()


@pytest.mark.slow
def test_history_is_written_in_the_order_of_its_steps(tmp_path: Path) -> None:
    records = records_of(mirror(recorded(), tmp_path))
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    rows = [{key: item[key] for key in item if key not in ("_timestamp", "_runtime")} for item in items]
    assert rows == [
        {"log_loss": 0.7, "_step": 0}, {"log_loss": 0.6, "_step": 1}, {"log_loss": 0.5, "auc": 0.7, "_step": 2}]


@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout", "lost"])
def test_a_run_that_did_not_succeed_is_a_failed_run_in_wandb(tmp_path: Path, status: str) -> None:
    assert summary_of(mirror(recorded(status=status), tmp_path))["exit_code"] == 1


@pytest.mark.slow
def test_values_that_json_has_no_word_for_are_mirrored(tmp_path: Path) -> None:
    run = recorded(metrics={"loss": float("nan")}, history=[("loss", 0, float("inf"))])
    assert "loss" in json.dumps(records_of(mirror(run, tmp_path)))


def test_mirroring_again_replaces_what_is_not_uploaded(tmp_path: Path) -> None:
    run, other = recorded(id="r1"), recorded(id="r11")
    for each in run, other: mirror(each, tmp_path)
    again = mirror(replace(run, metrics={"auc": 0.9}), tmp_path)
    assert again in waiting(tmp_path) and len(waiting(tmp_path)) == 2
    assert summary_of(again)["summary"]["auc"] == 0.9


# What it must not hold or do

@pytest.mark.slow
def test_nothing_of_the_environment_lands_in_the_folder(
    tmp_path: Path, executed: Path, monkeypatch: pytest.MonkeyPatch, own_mirror_process: None,
) -> None:
    for name in "DATABASE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "WANDB_NOTES", "WANDB_TAGS", "WANDB_NAME":
        monkeypatch.setenv(name, f"planted-{name.lower()}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    mirror(recorded(notebook=executed), tmp_path / "w", mode="offline")
    files = [path for path in (tmp_path / "w").rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files: assert not [word for word in (b"planted-", KEY.encode()) if word in path.read_bytes()], path


RECORDING = """
import os, sys, threading
from mlops_nb.runs.wandb_mirror import Mirror
from mlops_nb.runs.wandb_runs import MirroredRun
before = dict(os.environ), os.getcwd()
def load(id): return MirroredRun(id=id, name="train", project="p", status="succeeded", history=[("auc", 0, 1.0)])
background = Mirror(load, sys.argv[1], mode="offline")
for number in range(3): background.add(f"r{number}")
assert background.close(60) and not background.failed, background.failed
assert (dict(os.environ), os.getcwd()) == before and "wandb" not in sys.modules and threading.active_count() == 1
"""


@pytest.mark.slow
def test_the_process_that_records_is_left_as_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RECORDING, str(tmp_path / "w")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=FINDS_US)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["w"] and len(waiting(tmp_path / "w")) == 3


@pytest.mark.slow
def test_twenty_runs_are_mirrored_by_one_process(tmp_path: Path, executed: Path) -> None:
    for _ in range(20): mirror(recorded(notebook=executed), tmp_path)
    children = [child.cmdline() for child in psutil.Process().children()]
    assert len([words for words in children if any("wandb_runs import serve" in word for word in words)]) == 1
    assert len(waiting(tmp_path)) == 20


@pytest.mark.slow
def test_the_mirror_survives_its_process_being_killed(tmp_path: Path) -> None:
    mirror(recorded(), tmp_path)
    process = wandb_mirror._process._process
    assert process is not None
    process.kill()
    process.wait()
    mirror(recorded(), tmp_path)
    assert len(waiting(tmp_path)) == 2


WAITING = """
import sys
from mlops_nb.runs.wandb_mirror import _process, mirror
from mlops_nb.runs.wandb_runs import MirroredRun
mirror(MirroredRun(id="r1", name="t", project="p", status="succeeded"), sys.argv[1], mode="offline")
print(_process._process.pid, flush=True)
input()
"""


@pytest.mark.slow
def test_the_mirrors_process_ends_when_the_recording_process_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WAITING, str(tmp_path)]
    recorder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=FINDS_US)
    assert recorder.stdout is not None
    process = psutil.Process(int(recorder.stdout.readline()))
    recorder.send_signal(signal.SIGKILL)
    recorder.communicate()
    assert not psutil.wait_procs([process], timeout=20)[1]


# In the background

def load(run_id: str) -> MirroredRun: return recorded(id=run_id)


def mirror_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == THREAD}


def test_nothing_starts_before_the_first_run(tmp_path: Path) -> None:
    before = mirror_threads()
    background = Mirror(load, tmp_path)
    assert mirror_threads() == before and background.close()


def test_disabled_mirror_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mirror_threads()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Mirror(load, tmp_path).add("r1")
    assert mirror_threads() == before and mirror(recorded(), tmp_path) is None and not list(tmp_path.glob("wandb"))


def test_a_failure_is_logged_and_kept_and_stops_no_other_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def load_some(run_id: str) -> MirroredRun:
        if run_id == "gone": raise KeyError(run_id)
        return recorded(id=run_id, notebook=tmp_path / "missing.ipynb" if run_id == "bare" else None)
    done: list[str] = []
    background = Mirror(load_some, tmp_path, on_done=done.append)
    with caplog.at_level(logging.WARNING, wandb_mirror.__name__):
        for run_id in "r1", "gone", "bare", "bad/id", "r2": background.add(run_id)
        assert background.close(60)
    assert done == ["r1", "r2"] and sorted(background.failed) == ["bad/id", "bare", "gone"]
    assert len([record for record in caplog.records if record.name == wandb_mirror.__name__]) == 3
    assert "\n" not in "".join(background.failed.values())


@pytest.mark.slow
def test_adding_returns_at_once_and_closing_stops_waiting_in_time(tmp_path: Path) -> None:
    entered, proceed, before = threading.Event(), threading.Event(), mirror_threads()
    def load_slowly(run_id: str) -> MirroredRun:
        entered.set()
        proceed.wait(60)
        return recorded(id=run_id)
    background = Mirror(load_slowly, tmp_path)
    background.add("r1")
    assert entered.wait(10) and not background.close(timeout_s=0.1)
    (thread,) = mirror_threads() - before
    proceed.set()
    thread.join(60)
    assert not thread.is_alive() and len(waiting(tmp_path)) == 1


@pytest.mark.slow
def test_adding_after_closing_starts_again(tmp_path: Path) -> None:
    background = Mirror(load, tmp_path)
    for run_id in "r1", "r2":
        background.add(run_id)
        assert background.close(60)
    assert len(waiting(tmp_path)) == 2


# What is refused

@pytest.mark.slow
@pytest.mark.parametrize("run_id", ["", "*", "../r1", "a b", "a-b"])
def test_an_id_cannot_reach_other_runs(tmp_path: Path, run_id: str) -> None:
    mirror(recorded(), tmp_path)
    with pytest.raises(NotMirrored, match="its id holds other characters"): mirror(recorded(id=run_id), tmp_path)
    assert len(waiting(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*/file/w"): mirror(recorded(), tmp_path / "file" / "w")
