"Pipelines by hand: shown, drawn, refused in one line."
from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mlops_nb.app.workspace import Workspace
from pipelines_support import RUN, CliJson, WriteNotebook, WritePipeline
from support import ByHand

DECLARED = """@pipeline
def flow(): step("b", x=step("a")["x"], name="<b>")
@pipeline
def second(n: int = 1): step("a")
"""


@pytest.mark.slow
def test_failed_execution_is_told_shown_and_drawn(
    by_hand: ByHand, write_notebook: WriteNotebook, write_pipeline: WritePipeline, tmp_path: Path,
) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.tag(x=1)")
    write_notebook("b.ipynb", "1 / 0", parameters="x: str = ''")
    ended = by_hand("pipeline", "run", f"{write_pipeline(DECLARED)}:flow")
    failure = "mlops-nb: pipeline flow: step <b>: b.ipynb failed in cell 2: ZeroDivisionError"
    assert ended.code == 1 and ended.err.splitlines()[-1].startswith(failure)
    assert "a: succeeded in" in ended.err and "Traceback" not in ended.err
    shown = by_hand("pipeline", "show", "flow").out
    assert "failed" in shown and "ZeroDivisionError" in shown and "[" not in shown.replace("[]", "")
    assert "<b>  failed" in by_hand("pipeline", "graph", "flow").out
    for name in "g.svg", "g.html": assert by_hand("pipeline", "graph", "flow", "-o", name).code == 0
    root = ElementTree.parse(tmp_path / "g.svg").getroot()
    assert root.get("role") == "img" and "<b> failed, after a" in root.get("aria-label", "")
    assert "<b>&lt;" not in (tmp_path / "g.html").read_text()
    listed = json.loads(by_hand("pipeline", "ls", "--json").out)
    assert [(execution["name"], execution["status"]) for execution in listed] == [("flow", "failed")]


def test_pipeline_that_was_not_run_yet_is_drawn_as_it_waits(
    by_hand: ByHand, write_notebook: WriteNotebook, write_pipeline: WritePipeline,
) -> None:
    for name in "ab": write_notebook(f"{name}.ipynb", "print(1)", parameters="x: str = ''")
    drawn = by_hand("pipeline", "graph", f"{write_pipeline(DECLARED)}:flow")
    assert drawn.code == 0 and "waiting" in drawn.out


@pytest.mark.slow
def test_ended_execution_is_printed_as_json(
    cli_json: CliJson, write_notebook: WriteNotebook, write_pipeline: WritePipeline,
) -> None:
    "By the command as a process: nothing else is on its standard output."
    write_notebook("a.ipynb", "print(1)")
    ended = cli_json("pipeline", "run", f"{write_pipeline(DECLARED)}:second")
    assert (ended["name"], ended["status"]) == ("second", "succeeded")
    assert [(step["name"], step["state"], step["reused"]) for step in ended["steps"]] == [("a", "succeeded", False)]


@pytest.mark.slow
def test_secret_reaches_the_step_and_no_record(
    by_hand: ByHand, ws: Workspace, write_notebook: WriteNotebook, write_pipeline: WritePipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = "from mlops_nb import Secret\ntoken: Secret = ''"
    write_notebook("a.ipynb", f"{RUN}; run.tag(length=len(token))", parameters=declared)
    flow = write_pipeline("from mlops_nb import Secret\n@pipeline\ndef flow(token: Secret): step('a', token=token)")
    monkeypatch.setenv("SHOP_TOKEN", "hunter2" * 3)
    ended = by_hand("pipeline", "run", flow, "-p", "token", "env:SHOP_TOKEN")
    assert ended.code == 0, ended.err
    assert ws.pipelines["flow"].params == {"token": "(secret)"}
    (run,) = ws.runs.list()
    assert (run.tags["length"], run.params) == ("21", {"token": "(secret)"})
    files = [file for file in ws.root.rglob("*") if file.is_file()]
    assert files and [file for file in files if b"hunter2" in file.read_bytes()] == []


@pytest.mark.parametrize("words, says", [
    (("run", "nosuch.py:flow"), "nosuch.py does not exist"),
    (("run", "nosuch.module:flow"), "No module named"),
    (("run", "flow.py:nosuch"), "flow.py has no pipeline 'nosuch'; flow.py declares flow, second"),
    (("run", "flow.py"), "flow.py declares flow, second: write flow.py:NAME"),
    (("run", "broken.py:flow"), "broken.py cannot be imported: SyntaxError"),
    (("run", "flow.py:flow", "-p", "m", "1"), "no parameter 'm'"),
    (("run", "flow.py:flow", "-p", "n", "many"), "allowed is int"),
    (("run", "flow.py:flow", "-p", "n", "11"), "in [1, 10]"),
    (("run", "flow.py:second"), "two steps are named 'x'"),
    (("show", "nosuch"), "mlops-nb pipeline run"),
    (("graph", "flow.py:flow", "-o", "g.png"), ".svg or .html"),
])
def test_what_cannot_be_is_one_line_and_status_2(
    by_hand: ByHand, ws: Workspace, write_notebook: WriteNotebook, write_pipeline: WritePipeline,
    words: tuple[str, ...], says: str,
) -> None:
    write_notebook("a.ipynb", "print(1)")
    write_pipeline("""@pipeline
def flow(
    n: int = 1,  # in [1, 10]
): step("a")
@pipeline
def second(): step("a", name="x"), step("a", name="x")
""")
    write_pipeline("def (", "broken.py")
    refused = by_hand("pipeline", *words)
    assert (refused.code, refused.out) == (2, ""), refused
    assert len(refused.err.strip().splitlines()) == 1 and says in refused.err
    assert ws.runs.search() == []
