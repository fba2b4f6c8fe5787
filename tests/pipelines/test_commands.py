"Pipelines by hand: shown, drawn, refused in one line."
from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mlops_nb.app.cli.main import main
from mlops_nb.app.workspace import Workspace
from pipelines_support import RUN, Cli, CliJson, WriteNotebook, WritePipeline

DECLARED = """@pipeline
def flow(): step("b", x=step("a")["x"], name="<b>")
@pipeline
def second(n: int = 1): step("a")
"""


def test_command_line_shows_and_draws(
    cli: Cli, cli_json: CliJson, write_notebook: WriteNotebook, write_pipeline: WritePipeline, tmp_path: Path,
) -> None:
    write_notebook("a.ipynb", f"{RUN}; run.tag(x=1)")
    write_notebook("b.ipynb", "1 / 0", parameters="x: str = ''")
    flow = write_pipeline(DECLARED)
    drawn = cli("pipeline", "graph", f"{flow}:flow")
    assert drawn.returncode == 0 and "waiting" in drawn.stdout
    done = cli("pipeline", "run", f"{flow}:flow")
    failure = "mlops-nb: pipeline flow: step <b>: b.ipynb failed in cell 2: ZeroDivisionError"
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith(failure)
    assert "a: succeeded in" in done.stderr and "Traceback" not in done.stderr
    shown = cli("pipeline", "show", "flow").stdout
    assert "failed" in shown and "ZeroDivisionError" in shown and "[" not in shown.replace("[]", "")
    assert "<b>  failed" in cli("pipeline", "graph", "flow").stdout
    assert cli("pipeline", "graph", "flow", "-o", "g.svg").returncode == 0
    root = ElementTree.parse(tmp_path / "g.svg").getroot()
    assert root.get("role") == "img" and "<b> failed, after a" in root.get("aria-label", "")
    assert cli("pipeline", "graph", "flow", "-o", "g.html").returncode == 0
    assert "<b>&lt;" not in (tmp_path / "g.html").read_text()
    assert [(run["name"], run["status"]) for run in cli_json("pipeline", "ls")] == [("flow", "failed")]
    ended = json.loads(cli("pipeline", "run", f"{flow}:second", "--json").stdout)
    assert (ended["status"], ended["steps"][0]["reused"]) == ("succeeded", True)


def test_secret_reaches_the_step_and_no_record(
    cli: Cli, cli_json: CliJson, write_notebook: WriteNotebook, write_pipeline: WritePipeline, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = "from mlops_nb import Secret\ntoken: Secret = ''"
    write_notebook("a.ipynb", f"{RUN}; run.tag(length=len(token))", parameters=declared)
    flow = write_pipeline("from mlops_nb import Secret\n@pipeline\ndef flow(token: Secret): step('a', token=token)")
    monkeypatch.setenv("SHOP_TOKEN", "hunter2" * 3)
    done = cli("pipeline", "run", flow, "-p", "token", "env:SHOP_TOKEN")
    assert done.returncode == 0, done.stderr
    assert cli_json("pipeline", "show", "flow")["params"] == {"token": "(secret)"}
    (run,) = cli_json("runs", "ls")
    assert (run["tags"]["length"], run["params"]) == ("21", {"token": "(secret)"})
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
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
    ws: Workspace, write_notebook: WriteNotebook, write_pipeline: WritePipeline, words: tuple[str, ...], says: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
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
    monkeypatch.chdir(ws.root)
    monkeypatch.setattr(sys, "argv", ["mlops-nb", "pipeline", *words])
    with pytest.raises(SystemExit) as ended: main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, ""), printed.out + printed.err
    assert len(printed.err.strip().splitlines()) == 1 and says in printed.err
    assert ws.runs.search() == []
