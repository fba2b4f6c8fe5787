"What a step made: by tag, version or output, and by nothing else."
from __future__ import annotations

from pathlib import Path

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import NotFound
from mlops_nb.pipelines.step_results import step_result
from mlops_nb.pipelines.steps import step
from pipelines_support import RUN, Cli, WriteNotebook, WritePipeline

MAKES = f"""{RUN}
import pandas as pd
from mlops_nb import Workspace
ws = Workspace()
numbers = ws.datasets.add("numbers", pd.DataFrame({{"x": [1]}}))
ws.datasets.add("added", pd.DataFrame({{"x": [2]}}))
run.tag(numbers=numbers.version, word="hello", other=3)
run.save("table", {{"x": 1}})"""


@pytest.mark.slow
def test_promise_is_kept_by_tag_version_or_output(ws: Workspace, write_notebook: WriteNotebook) -> None:
    write_notebook("a.ipynb", MAKES)
    def flow() -> None: step("a")
    first = ws.pipelines.run(flow)["a"]
    assert ws.datasets[step_result(ws.home, first, "added")].run_id == first.id
    run = ws.pipelines.run(flow, reuse=False)["a"]  # which makes what is there already
    names = "numbers", "added", "word", "other"
    assert [step_result(ws.home, run, name) for name in names] == ["numbers@1", "added@1", "hello", "3"]
    assert Path(step_result(ws.home, run, "table")).read_text() == '{"x": 1}'
    assert run.outputs["table"][2:] in step_result(ws.home, run, "table")  # so that the path changes with the content
    with pytest.raises(NotFound, match="made no 'nosuch'; it made added, numbers, other, table, word"):
        step_result(ws.home, run, "nosuch")


@pytest.mark.slow
def test_promise_that_is_not_kept_fails_its_step_alone(
    cli: Cli, ws: Workspace, write_notebook: WriteNotebook, write_pipeline: WritePipeline,
) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.tag(x=1)")
    write_notebook("b.ipynb", "print(n)", parameters="n: str = ''")
    flow = write_pipeline("""@pipeline
def flow():
    a = step("a")
    step("b", n=a["y"])
    step("b", n=a["x"], name="good")
""")
    done = cli("pipeline", "run", flow)
    assert done.returncode == 2 and "made no 'y'; it made x" in done.stderr and "Traceback" not in done.stderr
    assert [made.state for made in ws.pipelines["flow"].steps] == ["succeeded", "failed", "succeeded"]
