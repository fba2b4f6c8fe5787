"Every notebook runs from top to bottom, in a process of its own, as a reader would run it."
from __future__ import annotations

import contextlib
import multiprocessing
import os
from pathlib import Path

import pytest

from support import ROOT, notebooks

LIMIT_S = 300
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


@pytest.mark.parametrize("notebook", notebooks())
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
