"The papermill engine: what comes out of a forked kernel is what a fresh one shows, under plain papermill too."
from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.runs.engine import EngineClient, starting_point
from mlops_nb.runs.fork_messages import socket_folder
from mlops_nb.runs.jobs import KernelKind
from runs_support import NotebookWriter, executed_notebook, is_alive, printed
from support import wait_for

PAPERMILL = find_spec("papermill")
assert PAPERMILL is not None and PAPERMILL.origin is not None
EXAMPLES = Path(PAPERMILL.origin).parent / "tests" / "notebooks"
pytestmark = pytest.mark.usefixtures("one_server_for_all")


def outcome(source: Path, folder: Path, engine: str, **options: Any) -> tuple[object, object]:
    "The error that papermill raised, and outputs by cell."
    target, raised = folder / f"{engine}.ipynb", None
    try:
        papermill.execute_notebook(
            source, target, engine_name=engine, progress_bar=False, kernel_name="python3", cwd=folder, **options)
    except Exception as error: raised = type(error).__name__, getattr(error, "ename", None)
    if not target.exists(): return raised, None
    return raised, [
        [{key: value for key, value in output.items() if key not in ("traceback", "metadata")} for output in outputs]
        for outputs in (cell.get("outputs", ()) for cell in nbformat.read(target, 4).cells)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "simple_execute", "no_parameters", "result_no_exec", "sysexit", "sysexit0", "sysexit1", "systemexit", "broken1",
    "broken2", "line_magic_error", "complex_parameters", "report_mode_test", "test_logging",
])
def test_papermills_own_examples_come_out_the_same(name: str, tmp_path: Path) -> None:
    options = {"parameters": {"msg": "hello"}} if name in ("simple_execute", "complex_parameters") else {}
    source = EXAMPLES / f"{name}.ipynb"
    assert outcome(source, tmp_path, "mlops_nb", **options) == outcome(source, tmp_path, "nbclient", **options)


@pytest.mark.slow
def test_papermills_command_line_has_the_engine(tmp_path: Path) -> None:
    "Entry point and all, in a process that knows nothing else of us."
    words = ["--engine", "mlops_nb", str(EXAMPLES / "simple_execute.ipynb"), "out.ipynb", "-p", "msg", "warm"]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", *words, "--no-progress-bar"], cwd=tmp_path, capture_output=True, text=True,
        timeout=120)
    assert done.returncode == 0, done.stderr
    assert "warm" in (tmp_path / "out.ipynb").read_text() and "fresh kernel" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("first", ["papermill", "mlops_nb.runs.engine", "mlops_nb.runs.papermill_engine"])
def test_engine_is_found_whichever_is_imported_first(first: str) -> None:
    program = f"""
import {first}
from papermill.engines import papermill_engines
print(papermill_engines.get_engine("mlops_nb").execute_notebook.__self__.__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "WarmEngine\n", done.stderr


@pytest.mark.slow
def test_widgets_rich_outputs_and_magics_work(ws: Workspace, write_notebook: NotebookWriter) -> None:
    updating = "handle = display(HTML('<i>a</i>'), display_id=True)\nhandle.update(HTML('<i>b</i>'))"
    notebook = write_notebook(
        "a.ipynb", "import ipywidgets\nslider = ipywidgets.IntSlider(value=7); slider",
        f"from IPython.display import HTML, display\n{updating}", "%%timeit -n1 -r1\n1 + 1", "!echo from the shell")
    executed = executed_notebook(ws, ws.runs.run(notebook))
    assert executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert executed.cells[1].outputs[0].data["text/html"] == "<i>b</i>"
    assert "from the shell" in executed.cells[3].outputs[0].text


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or not is_alive(psutil.Process(pid))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["warm", "fresh"])
def test_what_a_notebook_started_ends_with_it(
    ws: Workspace, write_notebook: NotebookWriter, kernel: KernelKind,
) -> None:
    notebook = write_notebook("a.ipynb", "import subprocess\nprint(subprocess.Popen(['sleep', '600']).pid)")
    (pid,) = map(int, printed(ws, ws.runs.run(notebook, kernel=kernel)))
    wait_for(lambda: has_ended(pid), 10, "the end of the process")


@pytest.mark.slow
def test_starting_point_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "Neither its folder nor the kernel that it forked ahead of need, which might make the folder anew."
    folder = socket_folder()  # a short one: the path of a socket has at most 107 bytes
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    source, left = tmp_path / "a.ipynb", []
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]), source)
    options: dict[str, Any] = {"engine_name": "mlops_nb", "progress_bar": False, "kernel_name": "python3"}

    def fork_twice(client: EngineClient) -> None:
        assert client.forked is not None
        kernel = psutil.Process(client.forked.pid)
        before = {child.pid for child in kernel.children()}
        with starting_point(client) as (address, _):
            for _ in range(2): papermill.execute_notebook(source, None, address=address, **options)
        left.extend(child for child in kernel.children() if child.pid not in before)

    papermill.execute_notebook(source, None, at_end=fork_twice, **options)
    assert left == []
    assert [made for made in folder.glob("mlops-nb-*") if not (made / "forks").exists()] == []
