"A sweep equals separate runs, cell for cell; what it shares is work and nothing else."
import json
import signal
import subprocess

import nbformat
import psutil
import pytest

from support import start, wait_for
from mlops_nb.base.errors import BadParameter, RunFailed
from mlops_nb.runs.sweeps import sweep

PARAMETERS = "rate: float = 0.1  # shrinkage\nrows: int = 5"


def cells_of(ws, run) -> list[tuple]:
    "Source and outputs of an executed notebook's code cells, with what cannot agree between two runs left out."
    notebook = nbformat.reads(ws.artifacts.bytes(run.executed).decode(), as_version=4)
    return [(cell.source.partition("\n# Parameters")[0], cell.execution_count, json.dumps(cell.outputs, sort_keys=True)) for cell in notebook.cells if cell.cell_type == "code"]


DETERMINISTIC = [
    "import logging, random, sys\nimport numpy as np\nrandom.seed(1); np.random.seed(1)\nlogging.basicConfig(stream=sys.stdout, level=20, force=True)",
    "table = np.random.rand(rows)\nprint('made', len(table))\ntable.round(3)",
    "params = dict(rate=rate, rows=rows)\nprint(params)",
    "from IPython.display import display, HTML\ndisplay(HTML('<b>shared</b>'))",
    "def predict(x): return x * rate\nlogging.getLogger().info('after the fork')",
    "print(predict(table).sum().round(6), random.random(), np.random.rand())\ntable[0] = rate",
    "table.round(3).tolist()",
]


def test_sweep_of_a_deterministic_notebook_equals_separate_runs(ws, write_notebook):
    notebook = write_notebook("a.ipynb", *DETERMINISTIC, parameters=PARAMETERS)
    over, fixed = {"rate": [0.1, 0.5, 2.0]}, {"rows": 4}
    shared = sweep(ws.runs, notebook, over, fixed, jobs=2)
    apart = sweep(ws.runs, notebook, over, fixed, share=False)
    assert [run.params for run in shared] == [run.params for run in apart]
    for one, other in zip(shared, apart): assert cells_of(ws, one) == cells_of(ws, other)
    marked = [cell.metadata.tags for cell in nbformat.reads(ws.artifacts.bytes(shared[1].executed).decode(), as_version=4).cells]
    assert ["shared" in tags for tags in marked] == [False, False, True, True, False, True, False, False, False]


def test_shared_cells_run_once_and_are_recorded_for_every_point(ws, write_notebook, tmp_path):
    import pandas as pd
    ws.datasets.add("t", pd.DataFrame({"x": [1, 2]}))
    notebook = write_notebook("a.ipynb", "from mlops_nb import current_run\nrun = current_run()\nwith open('ran', 'a') as file: file.write('x')\ndata = run.use('t').read()\nrun.log(rows=len(data)); run.save('note', 'kept'); run.tag(made='here')",
                              "run.log(rate=rate); run.save('own', str(rate))", parameters=PARAMETERS)
    runs = sweep(ws.runs, notebook, {"rate": [0.1, 0.2, 0.3]})
    assert (tmp_path / "ran").read_text() == "x"
    assert [run.metrics for run in runs] == [{"rows": 2.0, "rate": rate} for rate in (0.1, 0.2, 0.3)]
    assert [(run.inputs, run.tags["made"], run.output("note").read_text(), run.output("own").read_text()) for run in runs] == [(("t@1",), "here", "kept", str(rate)) for rate in (0.1, 0.2, 0.3)]
    assert all(ws.runs.history(run.id) == [("rows", 0, 2.0), ("rate", 0, rate)] for run, rate in zip(runs, (0.1, 0.2, 0.3)))


def test_training_goes_on_after_openmp_was_at_work_in_the_shared_cells(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "import lightgbm, numpy as np\nx = np.random.default_rng(0).random((2000, 5)); y = x[:, 0]\nlightgbm.train({'verbose': -1, 'num_threads': 2}, lightgbm.Dataset(x, y), 5)\ndata = lightgbm.Dataset(x, y).construct()",
                              "from mlops_nb import current_run\nmodel = lightgbm.train({'verbose': -1, 'num_threads': 2, 'learning_rate': rate, 'deterministic': True, 'seed': 0}, data, 10)\ncurrent_run().log(error=float(np.mean((model.predict(x) - y) ** 2)))", parameters=PARAMETERS)
    over = {"rate": [0.05, 0.2]}
    shared, apart = sweep(ws.runs, notebook, over, timeout_s=60), sweep(ws.runs, notebook, over, share=False)
    assert [run.metrics for run in shared] == [run.metrics for run in apart] and shared[0].metrics != shared[1].metrics


def test_kernel_that_cannot_be_forked_means_separate_runs_and_says_so(ws, write_notebook, caplog):
    notebook = write_notebook("a.ipynb", "import threading\nthreading.Thread(target=threading.Event().wait, name='mine', daemon=True).start()", "from mlops_nb import current_run\ncurrent_run().log(rate=rate)", parameters=PARAMETERS)
    runs = sweep(ws.runs, notebook, {"rate": [0.1, 0.2]})
    assert [run.metrics for run in runs] == [{"rate": 0.1}, {"rate": 0.2}]
    assert "the points run separately, because the kernel cannot be forked: it has threads (mine)" in caplog.text


def test_point_that_fails_stops_no_other(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "x = 1", "assert rate < 0.5, 'too steep'\nx / rate", parameters=PARAMETERS)
    ended = sweep(ws.runs, notebook, {"rate": [0.1, 0.9, 0.2]}, jobs=2)
    assert ["too steep" in str(run) if isinstance(run, RunFailed) else run.status for run in ended] == ["succeeded", True, "succeeded"]


def test_shared_cell_that_fails_is_the_failure_of_every_point(ws, write_notebook, tmp_path):
    notebook = write_notebook("a.ipynb", "with open('ran', 'a') as file: file.write('x')", "1 / 0", "rate", parameters=PARAMETERS)
    ended = sweep(ws.runs, notebook, {"rate": [0.1, 0.2]})
    assert all("cell 3: ZeroDivisionError" in str(run) for run in ended) and (tmp_path / "ran").read_text() == "x"
    runs = ws.runs.search(order_by="id")
    assert [(run.status, run.params["rate"], run.error["ename"]) for run in runs] == [("failed", 0.1, "ZeroDivisionError"), ("failed", 0.2, "ZeroDivisionError")]
    assert "rate = 0.2" in ws.artifacts.bytes(runs[1].executed).decode()


def test_point_that_is_not_allowed_is_refused_before_the_first_runs(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "rate", parameters="rate: float = 0.1  # in (0, 1]")
    with pytest.raises(BadParameter, match="rate"): sweep(ws.runs, notebook, {"rate": [0.1, 7.0]})
    assert ws.runs.search() == []


@pytest.mark.parametrize("sent, status", [(signal.SIGINT, "cancelled"), (signal.SIGKILL, "lost")])
def test_stopped_sweep_leaves_no_process_and_true_statuses(ws, write_notebook, tmp_path, sent, status):
    write_notebook("a.ipynb", "x = 1", "open('here', 'w').close()\nimport threading; threading.Event().wait(100 if rate > 0.1 else 0)", parameters=PARAMETERS)
    process = start("sweep", "a.ipynb", "--over", "rate=0.1,0.2,0.3", "-j", "1", cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(ws.runs.search("status = succeeded")) == 1 and len(ws.runs.search("status = running")) == 1, what="the second point at work")
    theirs = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(sent)
    process.wait(30)
    wait_for(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in theirs), 30, "the end of every process")
    assert [run.status for run in ws.runs.search(order_by="id")] == ["succeeded", status, status]


def test_sweep_by_hand(cli, cli_json, write_notebook):
    write_notebook("a.ipynb", "from mlops_nb import current_run\ncurrent_run().log(rate=rate)", parameters=PARAMETERS)
    runs = cli_json("sweep", "a.ipynb", "--over", "rate=log:0.01..1:3", "-p", "rows", "7", "-j", "2")
    assert [(run["params"], run["metrics"]) for run in runs] == [({"rate": rate, "rows": 7}, {"rate": rate}) for rate in (0.01, 0.1, 1.0)]
    assert (bad := cli("sweep", "a.ipynb", "--over", "rate=log:1..0:3")).returncode == 2 and "LOW below HIGH" in bad.stderr
    assert (bad := cli("sweep", "a.ipynb", "--over", "rate=1,2", "-p", "rate", "3")).returncode == 2 and "both varied" in bad.stderr
