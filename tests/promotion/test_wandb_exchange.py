"W&B gets a version as an artifact, with its aliases and the folder that MLflow reads."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_nb.base.project import Home
from mlops_nb.promotion.promotion import promote
from mlops_nb.promotion.wandb_exchange import export_wandb
from promotion_support import register_small
from support import wait_for


def _log_if_whole(folder: Path) -> bytes | None:
    "What W&B's process has written, when the files of the artifact are in it."
    log = b"".join(path.read_bytes() for path in folder.glob("*.wandb"))
    return log if b"MLmodel" in log else None


@pytest.mark.slow
def test_artifact_has_the_aliases_and_the_files(home: Home) -> None:
    for rounds in 2, 3: register_small(home, rounds)
    promote(home, "m@2", to="staging")
    folder = export_wandb(home, "m@staging")
    assert folder is not None and folder.name.startswith("offline-run-")
    log = wait_for(lambda: _log_if_whole(folder), what="all of the artifact in W&B's log")
    for part in b"version-2", b"staging": assert part in log


def test_disabled_wandb_gets_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    register_small(home, 2)
    assert export_wandb(home, "m") is None


@pytest.mark.slow
def test_command_says_where_it_waits(home: Home, cli: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    register_small(home, 2)
    done = cli("model", "export", "m", "--format", "wandb")
    assert done.returncode == 0, done.stderr
    assert "mlops-nb sync uploads it" in done.stdout and list(home.folder.glob("wandb/offline-run-*/*.wandb"))
