"Every notebook runs from top to bottom, in a process of its own, as a reader would run it."
from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import ROOT, notebooks

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

LIMIT_S = 300
TAKES_SECONDS = re.compile(  # in a cell that is an example
    r"\b(fit|begin_run|current_run|CliRunner|Datasets|Home|Workspace)\(|kernel|papermill|wandb")
# A server process imports these once, and each notebook begins as a fork of it. None starts a thread when imported.
PRELOADED = [
    "nbdev.test", "fastcore.test", "numpy", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.base", "lightgbm",
    "sqlalchemy", "alembic.migration", "nbformat", "plotly.graph_objects", "typer.testing",
]
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(PRELOADED)


def _run(notebook: str, output: Path, environment: dict[str, str]) -> None:
    "In the child: run the notebook's cells, and leave with status 1 when one raises."
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT / "nbs")
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        from nbdev.test import test_nb
        passed, _ = test_nb(ROOT / notebook, basepath=ROOT)
    raise SystemExit(0 if passed else 1)


def _examples(notebook: str) -> str:
    cells = ("".join(cell["source"]) for cell in json.loads((ROOT / notebook).read_text())["cells"])
    return "\n".join(source for source in cells if not source.startswith("#| export"))


def _marked(notebook: str) -> ParameterSet:
    "`slow` when its examples train a model, record a run, add a dataset, or start a kernel."
    slow = [pytest.mark.slow] if TAKES_SECONDS.search(_examples(notebook)) else []
    return pytest.param(notebook, marks=slow, id=notebook)


@pytest.mark.parametrize("notebook", [_marked(notebook) for notebook in notebooks()])
def test_notebook_runs_from_top_to_bottom(notebook: str, tmp_path: Path) -> None:
    environment = dict(os.environ)
    if notebook.startswith("nbs/workflows/"): environment["MLOPS_HOME"] = str(tmp_path / ".mlops")
    output = tmp_path / "output.txt"
    process = processes.Process(target=_run, args=(notebook, output, environment))
    process.start()
    with contextlib.ExitStack() as ending:
        ending.callback(process.kill)
        process.join(LIMIT_S)
        assert process.exitcode == 0, output.read_text()
