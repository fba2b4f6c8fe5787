"What several test files of pipelines need besides fixtures."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from mlops_nb.pipelines.declarations import pipeline
from mlops_nb.pipelines.steps import step

RUN = "from mlops_nb import current_run\nrun = current_run()"  # the first lines of a notebook that records something

WriteNotebook: TypeAlias = Callable[..., Path]
WritePipeline: TypeAlias = Callable[..., str]
RanAgain: TypeAlias = Callable[..., tuple[bool, str | None]]
Cli: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
CliJson: TypeAlias = Callable[..., Any]


@pipeline
def one_step(n: int = 1):
    step("a", n=n)
