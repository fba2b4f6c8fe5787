"The command line: exit statuses, one clear line for what is wrong, JSON for programs."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import sqlalchemy as sa

from app_support import Typed, own_environment
from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace
from mlops_nb.runs.run import begin_run
from support import command


@pytest.mark.parametrize("words, says", [
    (("run", "nosuch.ipynb"), "nosuch.ipynb"),
    (("run", "trian"), "did you mean 'train'? there are evaluate, "),
    (("run", "train", "-p", "num_leafs", "5"), "did you mean 'num_leaves'?"),
    (("run", "train", "-p", "learning_rate", "7"), "(0, 1]"),
    (("run", "train", "-p", "num_leaves", "many"), "allowed is int"),
    (("run", "train", "--kernel", "cold"), "is not one of 'warm', 'fresh'"),
    (("run", "train", "--param=rounds"), "-p rounds: write NAME VALUE"),
    (("sweep", "train", "--over", "num_leaves"), "NAME=VALUE"),
    (("sweep", "train", "--over", "rounds=5,6", "-p", "rounds", "7"), "both varied by --over and fixed by -p"),
    (("data", "show", "flights@99"), "no dataset 'flights'"),
    (("data", "show", "../etc@1"), "name@version"),
    (("model", "show", "nosuch@production"), "no model 'nosuch'"),
    (("model", "promote", "nosuch@1"), "no model 'nosuch'"),
    (("model", "promote", "nosuch@1", "--at", "soon"), "--at 'soon' is no time"),
    (("model", "rollback", "nosuch"), "no model 'nosuch'"),
    (("model", "export", "nosuch", "--format", "onnx"), "mlflow or wandb"),
    (("score", "nosuch@production", "t.csv", "-o", "out.csv"), "t.csv is not a file"),
    (("score", "nosuch@production", "t.csv", "-o", "out.xls"), ".csv or .parquet"),
    (("serve", "nosuch", "--port", "0"), "no model 'nosuch'"),
    (("runs", "show", "zzzz"), "mlops-nb runs ls"),
    (("runs", "ls", "--where", "nonsense"), "is no condition"),
    (("monitor", "check", "nosuch"), "has scored no batch; there is none yet"),
    (("monitor", "ls", "nosuch"), "no model 'nosuch'"),
    (("nosuch",), "No such command 'nosuch'"),
    (("run",), "Missing argument"),
    (("serve", "m", "--port", "99999"), "less than or equal to 65535"),
    (("watch", "--one"), "mlops-nb watch --help"),
], ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_what_cannot_be_is_one_line_and_status_2(typed: Typed, words: tuple[str, ...], says: str) -> None:
    printed = typed(*words)
    assert (printed.status, printed.out) == (2, ""), printed
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("mlops-nb: ") and says in line


Cli = Callable[..., CompletedProcess[str]]
NotebookWriter = Callable[..., Path]


@pytest.mark.slow
def test_notebook_that_raises_is_status_1_and_names_cell_and_error(cli: Cli, write_notebook: NotebookWriter) -> None:
    write_notebook("a.ipynb", "1 / 0")
    done = cli("run", "a.ipynb")
    assert done.returncode == 1
    assert "cell 0: ZeroDivisionError" in done.stderr and "Traceback" not in done.stderr


def test_unexpected_error_is_one_line_and_its_traceback_is_in_the_log(
    ws: Workspace, typed: Typed, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: Workspace) -> Any: raise ZeroDivisionError("by accident")
    monkeypatch.setattr(Workspace, "datasets", property(broken))
    log = ws.home.folder / "mlops.log"
    says = f"mlops-nb: unexpected ZeroDivisionError: by accident (traceback in {log})\n"
    assert typed("data", "ls") == (1, "", says)
    assert "in broken" in log.read_text()


def test_reader_that_has_had_enough_is_no_error(ws: Workspace) -> None:
    for _ in range(100): begin_run(ws.home, "a.ipynb").end()  # more than fits into a pipe's buffer unread
    process = subprocess.Popen(
        command("runs", "ls", "--json"), cwd=ws.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=own_environment())
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize("group", ["runs", "data", "model", "audit"])
def test_listing_of_an_empty_workspace_is_an_empty_array(typed: Typed, group: str) -> None:
    assert typed(group, "ls", "--json") == (0, "[]\n", "")


def test_tampered_trail_is_said_plainly(typed: Typed, ws: Workspace) -> None:
    with ws.audit.writing() as connection: ws.audit.append(connection, "describe", "m@1", description="x")
    assert typed("audit", "verify").status == 0
    with ws.home.store.write() as connection: connection.execute(sa.text("UPDATE audit SET actor = 'nobody'"))
    tampered = typed("audit", "verify")
    assert tampered.status == 1
    assert "audit event 1 (describe m@1" in tampered.err


def test_store_of_a_later_release_is_said_plainly(typed: Typed, ws: Workspace) -> None:
    with ws.home.store.write() as connection:
        connection.execute(sa.text("UPDATE mlops_version SET version_num = '9999'"))
    printed = typed("runs", "ls")
    assert printed.status == 2
    assert "pip install -U mlops_nb" in printed.err


@pytest.mark.slow
def test_signature_mismatch_is_refused_with_every_difference(typed: Typed, ws: Workspace) -> None:
    ws.runs.run(workflow("train"), {"register_as": "tumour"})
    rows = ws.datasets["tumours"].read().drop(columns=["mean radius", "mean area"])
    rows.to_csv(ws.root / "t.csv", index=False)
    printed = typed("score", "tumour@1", "t.csv", "-o", "out.csv")
    assert printed.status == 2
    assert "mean radius is missing; mean area is missing" in printed.err
    assert not (ws.root / "out.csv").exists()
