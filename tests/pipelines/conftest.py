"What the tests of pipelines share: notebooks' first lines, a file of pipelines, and whether a step ran again."
from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_nb.app.cli.main import main
from mlops_nb.app.workspace import Workspace
from pipelines_support import ByHand, Printed, RanAgain


@pytest.fixture
def write_pipeline(tmp_path: Path) -> Callable[..., str]:
    "Write a file that declares pipelines."
    def write(text: str, name: str = "flow.py") -> str:
        (tmp_path / name).write_text(f"from mlops_nb import pipeline, step\n{text}")
        return name
    return write


@pytest.fixture
def by_hand(ws: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> ByHand:
    "Run `mlops-nb pipeline` in the project folder, in this process: a process of its own takes seconds to start."
    monkeypatch.chdir(ws.root)
    def run(*words: str) -> Printed:
        monkeypatch.setattr(sys, "argv", ["mlops-nb", "pipeline", *words])
        with pytest.raises(SystemExit) as ended: main()
        printed = capsys.readouterr()
        return Printed(code=int(ended.value.code or 0), out=printed.out, err=printed.err)
    return run


@pytest.fixture
def ran_again(ws: Workspace) -> RanAgain:
    "Execute a pipeline: whether its last step ran, and why."
    def execute(flow: Callable[..., object], **params: Any) -> tuple[bool, str | None]:
        last = ws.pipelines.run(flow, **params).steps[-1]
        return not last.reused, last.reason
    return execute
