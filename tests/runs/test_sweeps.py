"A sweep equals separate runs, cell for cell; what it shares is work and nothing else."
from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import BadParameter, RunFailed
from mlops_nb.runs.executors import Ended
from mlops_nb.runs.records import RunRecord
from mlops_nb.runs.sweeps import SWEEP, parallel_coordinates, values
from runs_support import NotebookWriter, executed_cells, is_alive, processes_below
from support import ByHand, start, wait_for

PARAMETERS = "rate: float = 0.1  # shrinkage\nrows: int = 5"
LOG_RATE = "from mlops_nb import current_run\ncurrent_run().log(rate=rate)"


def succeeded(ended: Sequence[Ended]) -> list[RunRecord]:
    runs = [run for run in ended if isinstance(run, RunRecord)]
    assert len(runs) == len(ended), ended
    return runs


def comparable_cells(ws: Workspace, run: RunRecord) -> list[tuple[str, int, str]]:
    "Source and outputs of the code cells, without the remark of when parameters were injected."
    return [
        (cell.source.partition("\n# Parameters")[0], cell.execution_count, json.dumps(cell.outputs, sort_keys=True))
        for cell in executed_cells(ws, run)]


# ---- what is shared

DETERMINISTIC = [
    "import logging, random, sys\nimport numpy as np\nrandom.seed(1); np.random.seed(1)\n"
    "logging.basicConfig(stream=sys.stdout, level=20, force=True)",
    "table = np.random.rand(rows)\nprint('made', len(table))\ntable.round(3)",
    "params = dict(rate=rate, rows=rows)\nprint(params)",
    "from IPython.display import display, HTML\ndisplay(HTML('<b>shared</b>'))",
    "def predict(x): return x * rate\nlogging.getLogger().info('after the fork')",
    "print(predict(table).sum().round(6), random.random(), np.random.rand())\ntable[0] = rate",
    "table.round(3).tolist()",
]


@pytest.mark.slow
def test_sweep_of_a_deterministic_notebook_equals_separate_runs(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", *DETERMINISTIC, parameters=PARAMETERS)
    over, fixed = {"rate": [0.1, 0.5, 2.0]}, {"rows": 4}
    shared = succeeded(ws.runs.sweep(notebook, over, fixed=fixed, jobs=2))
    separate = succeeded(ws.runs.sweep(notebook, over, fixed=fixed, share=False))
    assert [run.params for run in shared] == [run.params for run in separate]
    assert [comparable_cells(ws, run) for run in shared] == [comparable_cells(ws, run) for run in separate]
    tags = [cell.metadata.tags for cell in executed_cells(ws, shared[1])]
    assert ["shared" in names for names in tags] == [False, False, True, True, False, True, False, False, False]
    assert len({run.tags[SWEEP] for run in shared}) == 1


@pytest.mark.slow
def test_shared_cells_run_once_and_are_recorded_for_every_point(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    ws.datasets.add("t", pd.DataFrame({"x": [1, 2]}))
    shared = (
        "from mlops_nb import current_run\nrun = current_run()\nwith open('ran', 'a') as file: file.write('x')\n"
        "data = run.use('t').read()\nrun.log(rows=len(data)); run.save('note', 'kept'); run.tag(made='here')")
    own = "run.log(rate=rate); run.save('own', str(rate))"
    notebook = write_notebook("a.ipynb", shared, own, parameters=PARAMETERS)
    rates = [0.1, 0.2, 0.3]
    runs = succeeded(ws.runs.sweep(notebook, {"rate": rates}))
    assert (tmp_path / "ran").read_text() == "x"
    for run, rate in zip(runs, rates, strict=True):
        assert run.metrics == {"rows": 2.0, "rate": rate} and run.inputs == ("t@1",) and run.tags["made"] == "here"
        assert (run.output("note").read_text(), run.output("own").read_text()) == ("kept", str(rate))
        assert ws.runs.history(run.id) == [("rows", 0, 2.0), ("rate", 0, rate)]


@pytest.mark.slow
def test_training_goes_on_after_openmp_was_at_work_in_the_shared_cells(
    ws: Workspace, write_notebook: NotebookWriter,
) -> None:
    shared = (
        "import lightgbm, numpy as np\nx = np.random.default_rng(0).random((2000, 5)); y = x[:, 0]\n"
        "how = {'verbose': -1, 'num_threads': 2, 'deterministic': True, 'seed': 0}\n"
        "lightgbm.train(how, lightgbm.Dataset(x, y), 5)\ndata = lightgbm.Dataset(x, y).construct()")
    own = (
        "from mlops_nb import current_run\nmodel = lightgbm.train(how | {'learning_rate': rate}, data, 10)\n"
        "current_run().log(error=float(np.mean((model.predict(x) - y) ** 2)))")
    notebook, over = write_notebook("a.ipynb", shared, own, parameters=PARAMETERS), {"rate": [0.05, 0.2]}
    together = succeeded(ws.runs.sweep(notebook, over, timeout_s=60))
    separate = succeeded(ws.runs.sweep(notebook, over, share=False))
    assert [run.metrics for run in together] == [run.metrics for run in separate]
    assert together[0].metrics != together[1].metrics


@pytest.mark.slow
def test_kernel_that_cannot_be_forked_means_separate_runs_and_says_so(
    ws: Workspace, write_notebook: NotebookWriter, caplog: pytest.LogCaptureFixture,
) -> None:
    thread = "threading.Thread(target=threading.Event().wait, name='mine', daemon=True).start()"
    notebook = write_notebook("a.ipynb", f"import threading\n{thread}", LOG_RATE, parameters=PARAMETERS)
    runs = succeeded(ws.runs.sweep(notebook, {"rate": [0.1, 0.2]}))
    assert [run.metrics for run in runs] == [{"rate": 0.1}, {"rate": 0.2}]
    assert "the points run separately, because the kernel cannot be forked: it has threads (mine)" in caplog.text


@pytest.mark.slow
def test_parameter_without_a_default_may_be_varied(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("bowl.ipynb", "assert x", parameters="x: float  # in [-5, 5]")
    assert [run.params["x"] for run in succeeded(ws.runs.sweep(notebook, {"x": [1.0, 2.0]}))] == [1, 2]


# ---- what fails

@pytest.mark.slow
def test_point_that_fails_stops_no_other(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", "x = 1", "assert rate < 0.5, 'too steep'\nx / rate", parameters=PARAMETERS)
    first, failed, third = ws.runs.sweep(notebook, {"rate": [0.1, 0.9, 0.2]}, jobs=2)
    assert isinstance(failed, RunFailed) and "too steep" in str(failed)
    assert [run.status for run in succeeded([first, third])] == ["succeeded", "succeeded"]


@pytest.mark.slow
def test_shared_cell_that_fails_is_the_failure_of_every_point(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    once = "with open('ran', 'a') as file: file.write('x')"
    notebook = write_notebook("a.ipynb", once, "1 / 0", "rate", parameters=PARAMETERS)
    ended = ws.runs.sweep(notebook, {"rate": [0.1, 0.2]})
    assert all("cell 3: ZeroDivisionError" in str(failure) for failure in ended)
    assert (tmp_path / "ran").read_text() == "x"
    runs = ws.runs.search(order_by="id")
    assert [(run.status, run.params["rate"]) for run in runs] == [("failed", 0.1), ("failed", 0.2)]
    assert [(run.error or {}).get("ename") for run in runs] == ["ZeroDivisionError"] * 2
    assert any("rate = 0.2" in cell.source for cell in executed_cells(ws, runs[1]))


@pytest.mark.parametrize("over, how, says", [
    ({"rate": [0.1, 7.0]}, {}, "rate does not take 7"), ({"rat": [1]}, {}, "no parameter 'rat'"),
    ({}, {}, "at least one parameter"), ({"rate": []}, {}, "at least one value"),
    ({"rate": [0.1]}, {"kernel": "cold"}, "kernel='cold': warm or fresh"),
    ({"token": ["a", "b"]}, {}, "token is a secret: it is given once, and not varied"),
])
def test_point_that_is_not_allowed_is_refused_before_the_first_runs(
    ws: Workspace, write_notebook: NotebookWriter, over: dict[str, list[object]], how: dict[str, Any], says: str,
) -> None:
    parameters = "from mlops_nb import Secret\nrate: float = 0.1  # in (0, 1]\ntoken: Secret = ''"
    notebook = write_notebook("a.ipynb", "rate", parameters=parameters)
    with pytest.raises(BadParameter, match=says): ws.runs.sweep(notebook, over, **how)
    assert ws.runs.list() == []


@pytest.mark.slow
@pytest.mark.parametrize("sent, status", [(signal.SIGINT, "cancelled"), (signal.SIGKILL, "lost")])
def test_stopped_sweep_leaves_no_process_and_true_statuses(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path, sent: int, status: str,
) -> None:
    waits = "open('here', 'w').close()\nimport threading; threading.Event().wait(100 if rate > 0.1 else 0)"
    write_notebook("a.ipynb", "x = 1", waits, parameters=PARAMETERS)
    words = "sweep", "a.ipynb", "--over", "rate=0.1,0.2,0.3", "-j", "1"
    process = start(*words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    def second_is_at_work() -> bool: return [run.status for run in ws.runs.list()] == ["queued", "running", "succeeded"]
    wait_for(second_is_at_work, what="the second point at work")
    below = processes_below(process.pid)
    process.send_signal(sent)
    process.wait(30)
    wait_for(lambda: not any(map(is_alive, below)), 30, "the end of every process")
    assert [run.status for run in ws.runs.search(order_by="id")] == ["succeeded", status, status]


# ---- by hand, and drawn

@pytest.mark.slow
def test_sweep_by_hand(cli_json: Callable[..., Any], write_notebook: NotebookWriter) -> None:
    write_notebook("a.ipynb", LOG_RATE, parameters=PARAMETERS)
    runs = cli_json("sweep", "a.ipynb", "--over", "rate=log:0.01..1:3", "-p", "rows", "7", "-j", "2")
    rates = [0.01, 0.1, 1.0]
    assert [(run["params"], run["metrics"]) for run in runs] == [({"rate": x, "rows": 7}, {"rate": x}) for x in rates]


@pytest.mark.parametrize("words, says", [
    (["--over", "rate=log:1..0:3"], "LOW below HIGH"), (["--over", "rate=1,2", "-p", "rate", "3"], "both varied"),
])
def test_sweep_by_hand_that_cannot_be_is_refused(
    by_hand: ByHand, write_notebook: NotebookWriter, words: list[str], says: str,
) -> None:
    write_notebook("a.ipynb", LOG_RATE, parameters=PARAMETERS)
    refused = by_hand("sweep", "a.ipynb", *words)
    assert refused.code == 2 and says in refused.err


@pytest.mark.parametrize("text", ["log:0..1:3", "lin:1..0:3", "lin:0..1:1", "lin:0..1", "log:a..b:3", "lin:0..1:2.5"])
def test_spread_that_is_none_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(BadParameter, match=f"write {text[:3]}:LOW..HIGH:NUMBER"): values(text)


@pytest.mark.slow
def test_runs_are_drawn_by_the_parameters_in_which_they_differ(ws: Workspace, write_notebook: NotebookWriter) -> None:
    declared = "rate: float = 0.1\nkind: str = 'a'\nrows: int = 5"
    notebook = write_notebook("a.ipynb", LOG_RATE, parameters=declared)
    ended = ws.runs.sweep(notebook, {"rate": [0.01, 1.0], "kind": ["a", "b"]}, jobs=2)
    kind, rate, metric = parallel_coordinates(ended, "rate").to_dict()["data"][0]["dimensions"]
    assert (kind["label"], rate["label"], metric["label"]) == ("kind", "rate", "rate")
    assert (kind["values"], kind["ticktext"]) == ([0, 1, 0, 1], ["a", "b"])
    assert rate["ticktext"] == ["0.01", "0.1", "1"] and metric["values"] == [0.01, 0.01, 1.0, 1.0]
    with pytest.raises(BadParameter, match="none of the runs logged 'nosuch'"): parallel_coordinates(ended, "nosuch")


@pytest.mark.slow
def test_page_marks_the_cells_that_were_shared(ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path) -> None:
    from mlops_nb.base.pages import write_page
    notebook = write_notebook("a.ipynb", "import random\ndrawn = random.random()", "rate", parameters=PARAMETERS)
    first, second = succeeded(ws.runs.sweep(notebook, {"rate": [0.1, 0.2]}))
    page = write_page(ws.artifacts.path(second.executed or ""), tmp_path / "a.html", "a").read_text()
    assert f"ran once for the 2 points of sweep {first.tags[SWEEP]}, in run {first.id}" in page
    assert "seems to draw random numbers without a seed" in page
    nbformat.validate(nbformat.reads(ws.artifacts.bytes(second.executed or "").decode(), as_version=4))
