"What the tests of runs share: one fork server, and W&B as it is to somebody without an account."
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from mlops_nb.runs import wandb_mirror
from mlops_nb.runs.fork_server import shutdown


@pytest.fixture(scope="module")
def one_server_for_all() -> Iterator[None]:
    "The fork server of this process serves all tests of a file, and ends with them."
    yield
    shutdown()


@pytest.fixture
def no_wandb_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    "Runs are not copied for W&B, whose process would live on."
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def no_wandb_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    "No setting of W&B in the environment, and no key."
    for name in os.environ:
        if name.startswith("WANDB_"): monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def own_mirror_process() -> Iterator[None]:
    "The mirror's process keeps the environment that it was started with: one that is this test's own."
    wandb_mirror._process.close()
    yield
    wandb_mirror._process.close()


@pytest.fixture
def executed(tmp_path: Path) -> Path:
    "An executed notebook, as the artifacts keep it."
    path = tmp_path / "objects" / "ab12"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1)")]), path)
    return path
