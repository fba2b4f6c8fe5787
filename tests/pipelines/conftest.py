"What the tests of pipelines share: notebooks' first lines, a file of pipelines, and whether a step ran again."
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_nb.app.workspace import Workspace
from pipelines_support import RanAgain


@pytest.fixture
def write_pipeline(tmp_path: Path) -> Callable[..., str]:
    "Write a file that declares pipelines."
    def write(text: str, name: str = "flow.py") -> str:
        (tmp_path / name).write_text(f"from mlops_nb import pipeline, step\n{text}")
        return name
    return write


@pytest.fixture
def ran_again(ws: Workspace) -> RanAgain:
    "Execute a pipeline: whether its last step ran, and why."
    def execute(flow: Callable[..., object], **params: Any) -> tuple[bool, str | None]:
        last = ws.pipelines.run(flow, **params).steps[-1]
        return not last.reused, last.reason
    return execute
