"Declaring: what a graph is, and what is refused before anything runs."
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import BadParameter, MLOpsError, NotFound
from mlops_nb.pipelines.declarations import Pipeline, load_pipeline
from mlops_nb.pipelines.steps import step
from pipelines_support import RUN, WriteNotebook, one_step

(STRAY,) = one_step.steps()


@pytest.mark.parametrize("declare, says", [
    (lambda: (step("a", name="x"), step("b", name="x")), "two steps are named 'x'"),
    (lambda: step("b", data=step("a")), "data=a passes a whole step"),
    (lambda: step("b", data=f"{step('a')['x']}"), r"a\['x'\] is not known before a has run"),
    (lambda: step("a", retries=-1), "retries=-1, backoff_s=1: neither can be below 0"),
    (lambda: step("a", after=STRAY), "step a needs a, which belongs to another pipeline"),
    (lambda: step("a", after="b"), "after='b' is no step, nor what one makes"),  # pyright: ignore - that is the point
    (lambda: None, "declares no step"),
])
def test_graph_that_cannot_be_is_refused(declare: Callable[[], object], says: str) -> None:
    def flow() -> None: declare()
    with pytest.raises(BadParameter, match=says): Pipeline(flow).steps()


def test_steps_of_one_notebook_are_told_apart_and_pipelines_compose() -> None:
    def outer() -> None:
        one_step(n=2)
        step("a")
        step("b", items=[step("c")["x"]])
    steps = Pipeline(outer).steps()
    needs = [(declared.name, [need.name for need in declared.needs]) for declared in steps]
    assert needs == [("a", []), ("a-2", []), ("c", []), ("b", ["c"])]


def test_step_outside_a_pipeline_is_refused() -> None:
    with pytest.raises(BadParameter, match="call it inside a function marked @pipeline"): step("a")


def test_parameters_are_declared_as_a_notebooks_are() -> None:
    def flow(
        month: int,          # that begins, in [1, 12]
        rate: float = 0.5,
        *,
        names: list[str] = ["x"],  # noqa: B006 - it is read, not kept
    ) -> None: step("a")
    given = Pipeline(flow).check({"month": "3", "rate": "1", "names": '["y", "z"]'}, text=True)
    assert given == {"month": 3, "rate": 1.0, "names": ["y", "z"]}
    assert Pipeline(flow).recorded({"month": 3}) == {"month": 3, "rate": 0.5, "names": ["x"]}
    for wrong, says in ({}, "needs a value for month"), ({"month": 13}, r"in \[1, 12\]"), ({"mont": 1}, "did you mean"):
        with pytest.raises(BadParameter, match=says): Pipeline(flow).check(wrong)


def test_parameters_without_a_name_are_refused() -> None:
    def flow(*months: int) -> None: step("a")
    with pytest.raises(BadParameter, match=r"\*months.* has no name that a value could be given by"):
        Pipeline(flow).check({})


def test_file_is_read_anew_even_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "What Python has compiled is told apart from its source by second and size only."
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "anew.py"
    for name in "first", "later":
        file.write_text(f"from mlops_nb import pipeline, step\n@pipeline\ndef flow(): step('{name}')\n")
        os.utime(file, (1, 1))
        assert [declared.name for declared in load_pipeline(f"{file}", tmp_path).steps()] == [name]


@pytest.mark.parametrize("declare, error, says", [
    (lambda: step("nosuch"), NotFound, "step nosuch: there is no notebook 'nosuch'"),
    (lambda: step("a", m=1), BadParameter, "step a: .*no parameter 'm'; it takes n"),
    (lambda: step("a", n="many"), BadParameter, "step a: .*allowed is int"),
    (lambda: step("a", m=step("a")["x"]), BadParameter, "step a-2: .*no parameter 'm'"),
    (lambda: step("a", n=object()), BadParameter, "step a: parameter n does not take"),
])
def test_mistakes_are_told_before_anything_runs(
    ws: Workspace, write_notebook: WriteNotebook, declare: Callable[[], object], error: type[MLOpsError], says: str,
) -> None:
    write_notebook("a.ipynb", "print(n)", parameters="n: int = 1")
    def flow() -> None: declare()
    with pytest.raises(error, match=says): ws.pipelines.run(flow)
    assert ws.runs.search() == [] and ws.pipelines.list() == []


@pytest.mark.slow
def test_parameter_without_a_default_may_be_promised(ws: Workspace, write_notebook: WriteNotebook) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.tag(m=7)")
    write_notebook("b.ipynb", f"{RUN}; run.log(m=m)", parameters="m: int  # in [5, 9]")
    def flow() -> None: step("b", m=step("a")["m"])
    assert ws.pipelines.run(flow)["b"].metrics == {"m": 7.0}
    def lacking() -> None: step("b")
    with pytest.raises(BadParameter, match="needs a value for m"): ws.pipelines.run(lacking)
