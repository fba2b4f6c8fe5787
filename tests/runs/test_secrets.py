"A parameter of the type Secret reaches the kernel, and the value is in no file, record or message."
from pathlib import Path

import pytest

from mlops_nb.base.errors import BadParameter, RunFailed
from mlops_nb.runs.parameter_values import SECRET
from mlops_nb.runs.sweeps import sweep

VALUE = "pa'ss\n\"wörd & <b>"
DECLARED = "from mlops_nb import Secret\ntoken: Secret = ''\nrate: float = 0.1"
TELLING = ("import html, json, urllib.parse\nassert len(token) == " + str(len(VALUE)),
    "print(token, repr(token), end=''); print(token[:5], end='', flush=True); print(token[5:])",
    "from IPython.display import HTML, display\ndisplay(HTML(html.escape(token)), metadata={'said': token}); {'token': token, 'json': json.dumps(token), 'url': urllib.parse.quote(token)}",
    "import ipywidgets; ipywidgets.Text(value=token, description=str(rate))")


def in_files(folder: Path) -> list[str]:
    "Files that hold any form of the value's tell-tale parts."
    return [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and any(part in file.read_bytes() for part in ("wörd".encode(), b"w\\u00f6rd", b"w%C3%B6rd", b"pa'ss", b"pa&#x27;ss"))]


@pytest.mark.parametrize("kernel", ["warm", "fresh"])
def test_secret_reaches_the_kernel_and_no_file(ws, write_notebook, kernel):
    notebook = write_notebook("a.ipynb", *TELLING, parameters=DECLARED)
    done = ws.runs.run(notebook, {"token": VALUE, "rate": 0.5}, kernel=kernel)
    assert done.params == {"token": SECRET, "rate": 0.5}
    assert SECRET in ws.artifacts.bytes(done.executed).decode()
    ws.mirror.close()  # it has written what it writes
    assert in_files(ws.root) == []


def test_secret_in_an_error_is_in_no_message(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "raise ValueError(f'cannot log in with {token}')", parameters=DECLARED)
    with pytest.raises(RunFailed) as caught: ws.runs.run(notebook, {"token": VALUE})
    assert SECRET in str(caught.value) and "wörd" not in str(caught.value)
    assert in_files(ws.root) == []


def test_secret_of_a_sweep_reaches_every_point(ws, write_notebook):
    notebook = write_notebook("a.ipynb", *TELLING, parameters=DECLARED)
    ended = sweep(ws.runs, notebook, {"rate": [0.1, 0.2, 0.3]}, {"token": VALUE}, jobs=1)
    assert [(run.status, run.params["token"]) for run in ended] == [("succeeded", SECRET)] * 3
    assert in_files(ws.root) == []
    with pytest.raises(BadParameter, match="token is a secret"): sweep(ws.runs, notebook, {"token": ["a", "b"]})


def test_secret_from_the_environment_by_hand(cli, ws, write_notebook, monkeypatch):
    write_notebook("a.ipynb", *TELLING, "print('done')", parameters=DECLARED)
    monkeypatch.setenv("SHOP_TOKEN", VALUE)
    done = cli("run", "a.ipynb", "-p", "token", "env:SHOP_TOKEN")
    assert done.returncode == 0, done.stderr
    assert "wörd" not in done.stdout + done.stderr and in_files(ws.root) == []
    missing = cli("run", "a.ipynb", "-p", "token", "env:NO_SUCH")
    assert missing.returncode == 2 and "no variable NO_SUCH" in missing.stderr


def test_pipeline_records_no_secret(ws, write_notebook):
    from mlops_nb import Secret, pipeline, step
    write_notebook("a.ipynb", *TELLING, parameters=DECLARED)
    @pipeline
    def flow(token: Secret):
        step("a", token=token)
    done = ws.pipelines.run(flow, token=VALUE)
    assert done.params == {"token": SECRET} and done["a"].params["token"] == SECRET
    assert in_files(ws.root) == []


@pytest.mark.parametrize("word", ["text", "stream", "python", "e"])
def test_secret_that_is_a_word_of_the_notebook_format_leaves_a_notebook(ws, write_notebook, word):
    import nbformat
    notebook = write_notebook("a.ipynb", "print(token); {token: token}", parameters=DECLARED)
    executed = nbformat.reads(ws.artifacts.bytes(ws.runs.run(notebook, {"token": word}).executed).decode(), as_version=4)
    nbformat.validate(executed)
    assert [output.get("text") or output.data["text/plain"] for output in executed.cells[-1].outputs] == [f"{SECRET}\n", f"{{'{SECRET}': '{SECRET}'}}"]
