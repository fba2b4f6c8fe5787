"Studies of any notebook: trials are recorded runs, taken up where they were broken off."
import signal, subprocess

import optuna
import pytest

from support import start, wait_for
from mlops_nb.base.errors import BadParameter, RunFailed

PARAMETERS = "x: float  # in [-5, 5]\nkind: str = 'a'  # in {a, b}\nleaves: int = 8"
HEIGHT = "from mlops_nb import current_run\ncurrent_run().log(height=(x - 2) ** 2 + (kind == 'b') + leaves / 100)"


def floats(low: float = -5, high: float = 5) -> dict: return {"x": optuna.distributions.FloatDistribution(low, high)}


def test_best_trial_is_a_recorded_run(ws, write_notebook):
    notebook = write_notebook("bowl.ipynb", HEIGHT, parameters=PARAMETERS)
    best = ws.studies.optimize(notebook, floats() | {"kind": ["a", "b"]}, "height", n_trials=6, fixed={"leaves": 4}, jobs=2)
    study, runs = ws.studies["bowl"], ws.runs.search("tags.study = bowl")
    assert {trial.user_attrs["run"]: trial.params | {"leaves": 4} for trial in study.trials} == {run.id: run.params for run in runs}
    assert {trial.user_attrs["run"]: trial.value for trial in study.trials} == {run.id: run.metrics["height"] for run in runs}
    assert best.id == study.best_trial.user_attrs["run"] and best.metrics["height"] == min(run.metrics["height"] for run in runs)
    assert ws.studies.optimize(notebook, floats(), "height", "maximize", n_trials=2, name="high", jobs=1).metrics["height"] == max(trial.value for trial in ws.studies["high"].trials)


@pytest.mark.parametrize("jobs", [1, 2])
def test_study_that_is_taken_up_draws_as_it_would_have(ws, write_notebook, jobs):
    notebook = write_notebook("bowl.ipynb", HEIGHT, parameters=PARAMETERS)
    for n_trials in 12, 14: ws.studies.optimize(notebook, floats(), "height", n_trials=n_trials, jobs=jobs)
    ws.studies.optimize(notebook, floats(), "height", n_trials=14, name="in-one-go", jobs=jobs)
    drawn = [[trial.params["x"] for trial in ws.studies[name].trials] for name in ("bowl", "in-one-go")]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 14


def test_trial_that_fails_stops_nobody_and_is_no_result(ws, write_notebook):
    notebook = write_notebook("bowl.ipynb", "assert x < 1", HEIGHT, parameters=PARAMETERS)
    ws.studies.optimize(notebook, floats(), "height", n_trials=5, jobs=1)
    states = [trial.state.name for trial in ws.studies["bowl"].trials]
    assert states.count("COMPLETE") == 5 and "FAIL" in states
    assert len(ws.runs.search("status = failed")) == states.count("FAIL")


@pytest.mark.parametrize("space, how, says", [
    (floats(-9), {}, r"in \[-5, 5\]"), ({"y": floats()["x"]}, {}, "no parameter 'y'"), ({}, {}, "at least one"), (floats(), dict(fixed={"x": 1.0}), "both tuned and fixed"),
    (floats() | {"kind": ["a", "c"]}, {}, "in {a, b}"), (floats(), dict(kernel="cold"), "warm or fresh")])
def test_mistakes_are_told_before_anything_runs(ws, write_notebook, space, how, says):
    notebook = write_notebook("bowl.ipynb", HEIGHT, parameters=PARAMETERS)
    with pytest.raises(BadParameter, match=says): ws.studies.optimize(notebook, space, "height", n_trials=2, **how)
    assert ws.runs.search() == []


def test_study_where_nothing_succeeds_ends_and_one_of_another_kind_is_not_mixed_in(ws, write_notebook):
    notebook = write_notebook("bowl.ipynb", HEIGHT, parameters=PARAMETERS)
    with pytest.raises(BadParameter, match="logged no 'depth'; it logged height"): ws.studies.optimize(notebook, floats(), "depth", n_trials=2, name="other", jobs=1)
    assert {trial.state.name for trial in ws.studies["other"].trials} == {"FAIL"}
    ws.studies.optimize(notebook, floats() | {"kind": ["a", "b"]}, "height", n_trials=1, jobs=1)
    with pytest.raises(BadParameter, match="to minimize, not to maximize"): ws.studies.optimize(notebook, floats(), "height", "maximize", n_trials=2)
    with pytest.raises(BadParameter, match="begun with another space"): ws.studies.optimize(notebook, floats() | {"kind": ["a"]}, "height", n_trials=3, jobs=1)
    bad = write_notebook("bad.ipynb", "1 / 0", parameters=PARAMETERS)
    with pytest.raises(RunFailed, match="none of 3 trials of study bad succeeded; .*ZeroDivisionError"): ws.studies.optimize(bad, floats(), "height", n_trials=3, jobs=1)


def test_interrupted_study_goes_on(ws, write_notebook, tmp_path):
    write_notebook("bowl.ipynb", "import pathlib, threading\nif len(list(pathlib.Path().glob('begun-*'))) == 2 and not pathlib.Path('go').exists(): open('here', 'w').close(); threading.Event().wait(100)\nopen(f'begun-{x}', 'w').close()", HEIGHT, parameters=PARAMETERS)
    words = "tune", "bowl.ipynb", "--over", "x=-5..5", "--metric", "height", "-n", "4", "-j", "1"
    process = start(*words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "here").exists, what="the third trial")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert [trial.state.name for trial in ws.studies["bowl"].trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    (tmp_path / "go").touch()
    assert start(*words, cwd=tmp_path).wait(60) == 0
    assert [trial.state.name for trial in ws.studies["bowl"].trials] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_tune_by_hand(cli, cli_json, write_notebook):
    write_notebook("bowl.ipynb", HEIGHT, parameters=PARAMETERS)
    done = cli("tune", "bowl.ipynb", "--over", "leaves=log:2..64", "--over", "kind=a,b", "-p", "x", "1", "--metric", "height", "-n", "3")
    assert done.returncode == 0 and "best run" in done.stdout and done.stderr.count("trial ") == 3
    runs = cli_json("runs", "ls", "--where", "tags.study = bowl")
    assert len(runs) == 3 and all(isinstance(run["params"]["leaves"], int) and run["params"]["x"] == 1 for run in runs)
    assert cli_json("tune", "bowl.ipynb", "--over", "leaves=log:2..64", "--over", "kind=a,b", "-p", "x", "1", "--metric", "height", "-n", "3", "--kernel", "fresh")["metrics"]["height"] == min(run["metrics"]["height"] for run in runs)
    for words, says in (("leaves=log:0..9",), "above 0 for log"), (("leaves=9..2",), "LOW not above HIGH"), (("leaves",), "write NAME=VALUES"), (("kind=c",), "in {a, b}"):
        bad = cli("tune", "bowl.ipynb", "--over", *words, "-p", "x", "1", "--metric", "height")
        assert bad.returncode == 2 and says in bad.stderr and "Traceback" not in bad.stderr


def test_sweep_over_a_parameter_that_has_no_default(ws, cli, write_notebook):
    notebook = write_notebook("bowl.ipynb", HEIGHT, parameters=PARAMETERS)
    assert [run.params["x"] for run in ws.runs.sweep(notebook, {"x": [1.0, 2.0]})] == [1, 2]
    assert cli("sweep", "bowl.ipynb", "--over", "x=1,2").returncode == 0
