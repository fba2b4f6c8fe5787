"A parameter of the type Secret reaches the kernel, and the value is in no file, record or message."
from __future__ import annotations

import nbformat
import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import RunFailed
from mlops_nb.runs.jobs import KernelKind
from mlops_nb.runs.parameter_values import SECRET
from mlops_nb.runs.records import RunRecord
from runs_support import NotebookWriter, executed_notebook
from support import ByHand

VALUE = "pa'ss\n\"wörd & <b>"
TRACES = ("wörd".encode(), b"w\\u00f6rd", b"w%C3%B6rd", b"pa'ss", b"pa&#x27;ss")  # of any form of the value
DECLARED = "from mlops_nb import Secret\ntoken: Secret = ''\nrate: float = 0.1"
TELLING = (
    f"import html, json, urllib.parse\nassert len(token) == {len(VALUE)}",
    "print(token, repr(token), end=''); print(token[:5], end='', flush=True); print(token[5:])",
    "from IPython.display import HTML, display\n"
    "display(HTML(html.escape(token)), metadata={'said': token})\n"
    "{'token': token, 'json': json.dumps(token), 'url': urllib.parse.quote(token)}",
    "import ipywidgets; ipywidgets.Text(value=token, description=str(rate))",
)


def telling_files(ws: Workspace) -> list[str]:
    "Files of the project that hold any form of the value, when all has been written."
    ws.mirror.close()
    files = [file for file in ws.root.rglob("*") if file.is_file()]
    assert files
    return [str(file.relative_to(ws.root)) for file in files if any(trace in file.read_bytes() for trace in TRACES)]


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["warm", "fresh"])
def test_secret_reaches_the_kernel_and_no_file(
    ws: Workspace, write_notebook: NotebookWriter, kernel: KernelKind,
) -> None:
    notebook = write_notebook("a.ipynb", *TELLING, parameters=DECLARED)
    done = ws.runs.run(notebook, {"token": VALUE, "rate": 0.5}, kernel=kernel)
    assert done.params == {"token": SECRET, "rate": 0.5}
    assert SECRET in nbformat.writes(executed_notebook(ws, done))
    assert telling_files(ws) == []


@pytest.mark.slow
def test_secret_in_an_error_is_in_no_message(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", "raise ValueError(f'cannot log in with {token}')", parameters=DECLARED)
    with pytest.raises(RunFailed) as caught: ws.runs.run(notebook, {"token": VALUE})
    assert SECRET in str(caught.value) and "wörd" not in str(caught.value)
    assert telling_files(ws) == []


@pytest.mark.slow
def test_secret_of_a_sweep_reaches_every_point(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", *TELLING, parameters=DECLARED)
    ended = ws.runs.sweep(notebook, {"rate": [0.1, 0.2, 0.3]}, fixed={"token": VALUE}, jobs=1)
    runs = [run for run in ended if isinstance(run, RunRecord)]
    assert [(run.status, run.params["token"]) for run in runs] == [("succeeded", SECRET)] * 3
    assert telling_files(ws) == []


def test_secret_from_the_environment_by_hand(
    by_hand: ByHand, ws: Workspace, write_notebook: NotebookWriter, monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_notebook("a.ipynb", *TELLING, "print('done')", parameters=DECLARED)
    monkeypatch.setenv("SHOP_TOKEN", VALUE)
    done = by_hand("run", "a.ipynb", "-p", "token", "env:SHOP_TOKEN")
    assert done.code == 0, done.err
    assert "wörd" not in done.out + done.err and telling_files(ws) == []


def test_secret_that_the_environment_does_not_have_is_named(by_hand: ByHand, write_notebook: NotebookWriter) -> None:
    write_notebook("a.ipynb", "print('done')", parameters=DECLARED)
    missing = by_hand("run", "a.ipynb", "-p", "token", "env:NO_SUCH")
    assert missing.code == 2 and "there is no variable NO_SUCH" in missing.err


@pytest.mark.slow
@pytest.mark.parametrize("word", ["text", "stream", "python", "e"])
def test_secret_that_is_a_word_of_the_notebook_format_leaves_a_notebook(
    ws: Workspace, write_notebook: NotebookWriter, word: str,
) -> None:
    notebook = write_notebook("a.ipynb", "print(token); {token: token}", parameters=DECLARED)
    executed = executed_notebook(ws, ws.runs.run(notebook, {"token": word}))
    nbformat.validate(executed)
    printed, result = executed.cells[-1].outputs
    assert (printed.text, result.data["text/plain"]) == (f"{SECRET}\n", f"{{'{SECRET}': '{SECRET}'}}")
