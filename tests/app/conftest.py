"A terminal in a workspace's folder; and the demo, which several files look at once it is over."
from __future__ import annotations

import signal
import subprocess

import pytest

from app_support import Demo, Typed, own_environment, run_process, type_words
from mlops_nb.app.workspace import Workspace
from support import start


@pytest.fixture
def typed(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> Typed:
    "Type `mlops-nb WORDS` in the workspace's folder."
    monkeypatch.chdir(ws.root)
    return type_words


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    words = "demo", "--quick", "--dir", "here"
    first = start(*words, cwd=folder, env=own_environment(), stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    for line in first.stdout:
        if "validate flights" in line: break
    beside = run_process(folder, *words)
    first.send_signal(signal.SIGINT)
    first.stdout.read()
    interrupted = first.wait(60)
    return Demo(folder=folder / "here", interrupted=interrupted, beside=beside, resumed=run_process(folder, *words))
