"Which result holds: until what decides it changes, and not a moment longer."
from __future__ import annotations

from pathlib import Path

import nbformat
import pandas as pd
import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from mlops_nb.base import schema as db
from mlops_nb.base.core import iso, now
from mlops_nb.base.errors import RunFailed
from mlops_nb.pipelines.steps import step
from pipelines_support import RUN, RanAgain, WriteNotebook, one_step

DECLARED = "n: int = 1\ntable: str = 'table.csv'"


@pytest.mark.slow
def test_result_is_reused_until_what_decides_it_changes(
    ws: Workspace, write_notebook: WriteNotebook, ran_again: RanAgain, tmp_path: Path,
) -> None:
    (tmp_path / "helpers.py").write_text("from deeper import VALUE\n")
    (tmp_path / "deeper.py").write_text("VALUE = 1\n")
    (tmp_path / "table.csv").write_text("x\n1\n")
    cells = "import helpers", "print(helpers.VALUE, n)"
    path = write_notebook("a.ipynb", *cells, parameters=DECLARED)
    assert ran_again(one_step) == (True, "it has not run before")
    assert ran_again(one_step) == (False, None)
    assert ran_again(one_step, n=2) == (True, "parameter n changed")
    assert ran_again(one_step, n=1) == (False, None)

    change_what_decides_nothing(path)
    assert ran_again(one_step) == (False, None)

    (tmp_path / "deeper.py").write_text("VALUE = 2\n")
    assert ran_again(one_step) == (True, "module deeper changed")
    (tmp_path / "table.csv").write_text("x\n2\n")
    assert ran_again(one_step) == (True, "file table.csv changed")
    write_notebook("a.ipynb", *cells, "print('more')", parameters=DECLARED)
    assert ran_again(one_step) == (True, "its notebook changed")
    assert ran_again(one_step) == (False, None)
    first = ws.pipelines["one_step"]["a"]
    assert ws.pipelines.run(one_step, reuse=False)["a"].id != first.id


def change_what_decides_nothing(path: Path) -> None:
    "Outputs, counts, metadata and prose."
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="old")]
    notebook.cells[1].execution_count = 7
    notebook.cells[2].metadata["collapsed"] = True
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Another title"))
    notebook.metadata["authors"] = [{"name": "x"}]
    nbformat.write(notebook, path)


@pytest.mark.slow
def test_floating_reference_is_asked_again(ws: Workspace, write_notebook: WriteNotebook, ran_again: RanAgain) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.use(data)", parameters="data: str = 't@latest'")
    def floats() -> None: step("a")
    def pinned() -> None: step("a", data="t@1")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    for flow in floats, pinned: assert ran_again(flow)[0] and not ran_again(flow)[0]
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert ran_again(floats) == (True, "t@latest is no longer version 1")
    assert ran_again(pinned) == (False, None)


@pytest.mark.slow
def test_version_asked_for_loosely_and_exactly_counts_as_loose(
    ws: Workspace, write_notebook: WriteNotebook, ran_again: RanAgain,
) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.use('t'); run.use('t@1')", parameters="n: int = 1")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    assert ran_again(one_step)[0] and not ran_again(one_step)[0]
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert ran_again(one_step) == (True, "t is no longer version 1")


@pytest.mark.slow
def test_version_handed_over_as_an_object_holds_until_its_name_moves(
    ws: Workspace, write_notebook: WriteNotebook, ran_again: RanAgain,
) -> None:
    uses = f"{RUN}\nfrom mlops_nb import Workspace\nrun.use(Workspace().datasets['t'])"
    write_notebook("a.ipynb", uses, parameters="n: int = 1")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    ran_again(one_step)
    ws.datasets.add("other", pd.DataFrame({"x": [1]}))
    assert not ran_again(one_step)[0]
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert ran_again(one_step) == (True, "dataset t has changed")


@pytest.mark.slow
def test_model_alias_that_moved_is_noticed(ws: Workspace, write_notebook: WriteNotebook, ran_again: RanAgain) -> None:
    write_notebook("a.ipynb", "print(model)", parameters="model: str = 'm@production'")
    def floats() -> None: step("a")
    def pinned() -> None: step("a", model="m@1")
    model = dict(name="m", description="", tags={}, card={}, author="", created=iso(now()))
    with ws.home.store.write() as connection: connection.execute(sa.insert(db.models), model)
    register(ws, 1)
    move_production(ws, 1)
    for flow in floats, pinned:
        used = dict(run_id=ws.pipelines.run(flow)["a"].id, kind="model", name="m", version=1)
        with ws.home.store.write() as connection: connection.execute(sa.insert(db.run_inputs), used)
    register(ws, 2)
    assert (ran_again(floats)[0], ran_again(pinned)[0]) == (False, False)
    move_production(ws, 2)
    assert (ran_again(floats)[0], ran_again(pinned)[0]) == (True, False)


def register(ws: Workspace, version: int) -> None:
    row = dict(
        name="m", version=version, package=f"{version}", task="binary", description="", tags={}, author="",
        created=iso(now()))
    with ws.home.store.write() as connection: connection.execute(sa.insert(db.model_versions), row)


def move_production(ws: Workspace, version: int) -> None:
    row = dict(name="m", alias="production", version=version, moved=iso(now()))
    with ws.home.store.write() as connection:
        connection.execute(sa.delete(db.aliases))
        connection.execute(sa.insert(db.aliases), row)


@pytest.mark.slow
def test_result_whose_output_is_gone_does_not_hold(
    ws: Workspace, write_notebook: WriteNotebook, ran_again: RanAgain,
) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.save('x', 'text')", parameters="n: int = 1")
    run = ws.pipelines.run(one_step)["a"]
    ws.artifacts.path(run.outputs["x"]).unlink()
    assert ran_again(one_step) == (True, "output x is no longer stored")


@pytest.mark.slow
def test_failed_run_is_never_reused_and_fresh_steps_neither(
    ws: Workspace, write_notebook: WriteNotebook, ran_again: RanAgain, tmp_path: Path,
) -> None:
    write_notebook("a.ipynb", "import pathlib; assert pathlib.Path('there').exists()")
    def flow() -> None: step("a", fresh=True)
    with pytest.raises(RunFailed): ws.pipelines.run(flow)
    (tmp_path / "there").touch()
    for _ in range(2): assert ran_again(flow) == (True, "it is declared fresh")


@pytest.mark.slow
def test_what_a_step_made_counts_when_it_is_named_in_after(
    ws: Workspace, write_notebook: WriteNotebook, tmp_path: Path,
) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.save('best', open('value').read())")
    write_notebook("b.ipynb", "print(1)")
    def flow() -> None:
        a = step("a", fresh=True)
        step("b", after=a, name="only later")
        step("b", after=a["best"])
    (tmp_path / "value").write_text("1")
    ws.pipelines.run(flow)
    (tmp_path / "value").write_text("2")
    again = ws.pipelines.run(flow).steps
    assert [made.reused for made in again] == [False, True, False]
    assert again[2].reason == "after a['best'] changed"
