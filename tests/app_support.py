"What the tests of the command line share: a command typed in this process, and the environment of one that is not."
from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlops_nb.app.cli.main import run_command
from mlops_nb.app.workspace import Workspace
from support import command

OF_WHOEVER_STARTED = ("MLOPS_HOME", "MLOPS_STORE", "MLOPS_ARTIFACTS", "MLOPS_RUN", "MLOPS_FORK_SERVER", "WANDB_API_KEY")


class Printed(NamedTuple):
    "What a command printed."
    status: int
    out: str
    err: str


Typed = Callable[..., Printed]


def type_words(*words: str) -> Printed:
    "`mlops-nb WORDS` in this process and its working directory, as a terminal sees it."
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err): status = run_command(words)
    return Printed(status, out.getvalue(), err.getvalue())


def own_environment(**more: str) -> dict[str, str]:
    "The environment without the workspace and the W&B account of whoever started the tests."
    kept = {name: value for name, value in os.environ.items() if name not in OF_WHOEVER_STARTED}
    return kept | {"WANDB_MODE": "offline"} | more


def run_process(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    "`mlops-nb WORDS` as a process of its own."
    return subprocess.run(
        command(*words), cwd=folder, env=own_environment(), capture_output=True, text=True, timeout=600)


@dataclass(frozen=True, kw_only=True)
class Demo:
    "A quick demo that was interrupted after its first steps, and called again."
    folder: Path
    interrupted: int                              # status of the first call
    beside: subprocess.CompletedProcess[str]      # called while the first was at work
    resumed: subprocess.CompletedProcess[str]

    @property
    def ws(self) -> Workspace: return Workspace(self.folder)

    def type(self, *words: str) -> subprocess.CompletedProcess[str]: return run_process(self.folder, *words)
