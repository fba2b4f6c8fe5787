"Studies of any notebook: trials are recorded runs, resumed where they were interrupted."
from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import BadParameter, RunFailed
from mlops_nb.models.notebook_tuning import TrialEnd, distribution
from mlops_nb.models.studies import Studies
from mlops_nb.runs.execution import Execution
from mlops_nb.runs.jobs import Job
from mlops_nb.runs.notebooks import read_notebook
from mlops_nb.runs.records import RunRecord, RunRecords
from mlops_nb.runs.run import Run
from support import start, wait_for

WriteNotebook = Callable[..., Path]
PARAMETERS = "x: float  # in [-5, 5]\nkind: str = 'a'  # in {a, b}\nleaves: int = 8"
HEIGHT = "from mlops_nb import current_run\ncurrent_run().log(height=(x - 2) ** 2 + (kind == 'b') + leaves / 100)"
ACROSS = {"x": FloatDistribution(-5, 5)}


class Instant:
    "An executor that logs what the notebook would log, without a kernel: for what does not depend on one."

    def __init__(self, jobs: int): self.jobs = jobs

    def execute(
        self, execution: Execution, jobs: Sequence[Job], *, on_job: Any = None, part_of: Any = None,
    ) -> list[RunRecord | RunFailed]:
        for job in jobs:
            run, x = Run(execution.home, job.id), job.params["x"]
            assert isinstance(x, float)
            run.log(height=(x - 2) ** 2)
            run.end()
        return [RunRecords(execution.home)[job.id] for job in jobs]


@pytest.fixture
def bowl(write_notebook: WriteNotebook) -> Path: return write_notebook("bowl.ipynb", HEIGHT, parameters=PARAMETERS)


def states(studies: Studies, name: str = "bowl") -> list[str]:
    return [trial.state.name for trial in studies[name].trials]


@pytest.mark.slow
def test_best_trial_is_a_recorded_run(ws: Workspace, bowl: Path) -> None:
    ends: list[TrialEnd] = []
    best = ws.studies.optimize(
        bowl, {**ACROSS, "kind": ["a", "b"]}, "height", n_trials=4, fixed={"leaves": 4}, jobs=2, on_trial=ends.append)
    study, runs = ws.studies["bowl"], ws.runs.search("tags.study = bowl")
    given = {trial.user_attrs["run"]: trial.params | {"leaves": 4} for trial in study.trials}
    assert given == {run.id: run.params for run in runs}
    values: dict[str, Any] = {trial.user_attrs["run"]: trial.value for trial in study.trials}
    assert values == {run.id: run.metrics["height"] for run in runs}
    assert best.id == study.best_trial.user_attrs["run"] and best.metrics["height"] == min(values.values())
    assert [(end.number, end.value) for end in ends] == [(trial.number, trial.value) for trial in study.trials]


def test_highest_is_found_when_asked_for(ws: Workspace, bowl: Path) -> None:
    best = ws.studies.optimize(bowl, ACROSS, "height", direction="maximize", n_trials=4, executor=Instant(2))
    values: list[Any] = [trial.value for trial in ws.studies["bowl"].trials]
    assert best.metrics["height"] == max(values)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_resumed_study_draws_as_it_would_have(ws: Workspace, bowl: Path, jobs: int) -> None:
    "With more trials than the sampler draws at random, so that what it learned shows."
    for n_trials in 12, 14: ws.studies.optimize(bowl, ACROSS, "height", n_trials=n_trials, executor=Instant(jobs))
    ws.studies.optimize(bowl, ACROSS, "height", n_trials=14, name="in-one-go", executor=Instant(jobs))
    drawn = [[trial.params["x"] for trial in ws.studies[name].trials] for name in ("bowl", "in-one-go")]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 14


def test_seed_decides_what_is_drawn(ws: Workspace, bowl: Path) -> None:
    for name, seed in ("one", 0), ("same", 0), ("other", 1):
        ws.studies.optimize(bowl, ACROSS, "height", n_trials=2, name=name, seed=seed, executor=Instant(1))
    one, same, other = ([trial.params for trial in ws.studies[name].trials] for name in ("one", "same", "other"))
    assert one == same != other


@pytest.mark.slow
def test_trial_that_fails_stops_nobody_and_is_no_result(ws: Workspace, write_notebook: WriteNotebook) -> None:
    notebook = write_notebook("bowl.ipynb", "assert x > -0.8", HEIGHT, parameters=PARAMETERS)
    ws.studies.optimize(notebook, ACROSS, "height", n_trials=3, jobs=1)
    ended = states(ws.studies)
    assert ended.count("COMPLETE") == 3 and "FAIL" in ended
    assert len(ws.runs.search("status = failed")) == ended.count("FAIL")


MISTAKES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"x": FloatDistribution(-9, 5)}, {}, r"in \[-5, 5\]"),
    ({"y": ACROSS["x"]}, {}, "no parameter 'y'"),
    ({}, {}, "at least one parameter to tune"),
    (ACROSS, {"fixed": {"x": 1.0}}, "x is both tuned and fixed"),
    (ACROSS | {"kind": ["a", "c"]}, {}, "in {a, b}"),
    (ACROSS, {"kernel": "cold"}, "warm or fresh"),
    (ACROSS, {"n_trials": 0}, "one trial or more"),
]


@pytest.mark.parametrize("space, options, message", MISTAKES)
def test_mistakes_are_told_before_anything_runs(
    ws: Workspace, bowl: Path, space: dict[str, Any], options: dict[str, Any], message: str,
) -> None:
    given: dict[str, Any] = {"n_trials": 2} | options
    with pytest.raises(BadParameter, match=message): ws.studies.optimize(bowl, space, "height", **given)
    assert ws.runs.search() == []


def test_secret_is_not_tuned(ws: Workspace, write_notebook: WriteNotebook) -> None:
    notebook = write_notebook("secret.ipynb", "1", parameters="from mlops_nb import Secret\nkey: Secret")
    with pytest.raises(BadParameter, match="key is a secret: it is given once, and not tuned"):
        ws.studies.optimize(notebook, {"key": ["a", "b"]}, "height")


@pytest.mark.slow
def test_metric_that_is_not_logged_ends_the_study_with_those_that_are(ws: Workspace, bowl: Path) -> None:
    with pytest.raises(BadParameter, match="logged no 'depth'; it logged height"):
        ws.studies.optimize(bowl, ACROSS, "depth", n_trials=2, executor=Instant(2))
    assert states(ws.studies) == ["FAIL", "FAIL"]


@pytest.mark.slow
def test_study_of_another_kind_is_not_mixed_in(ws: Workspace, bowl: Path) -> None:
    def go_on(space: dict[str, Any], **options: Any) -> None:
        ws.studies.optimize(bowl, space, "height", n_trials=3, executor=Instant(1), **options)
    ws.studies.optimize(bowl, {**ACROSS, "kind": ["a", "b"]}, "height", n_trials=1, executor=Instant(1))
    with pytest.raises(BadParameter, match="study bowl is to minimize, not to maximize"):
        go_on(ACROSS, direction="maximize")
    with pytest.raises(BadParameter, match="study bowl was begun with another space"): go_on({**ACROSS, "kind": ["a"]})
    ws.studies.open("by-hand").optimize(lambda trial: trial.suggest_float("x", -5, 5), n_trials=1)
    with pytest.raises(BadParameter, match="study by-hand has trials that are no runs of a notebook"):
        go_on(ACROSS, name="by-hand")
    assert states(ws.studies) == ["COMPLETE"] and len(ws.runs.search()) == 1


@pytest.mark.slow
def test_study_where_nothing_succeeds_ends(ws: Workspace, write_notebook: WriteNotebook) -> None:
    bad = write_notebook("bad.ipynb", "1 / 0", parameters=PARAMETERS)
    with pytest.raises(RunFailed, match=r"none of 2 trials of study bad succeeded; the last: .*ZeroDivisionError"):
        ws.studies.optimize(bad, ACROSS, "height", n_trials=2, jobs=1)


WAITS_AT_THE_THIRD = """
import pathlib, threading
is_third = len(list(pathlib.Path().glob("begun-*"))) == 2
if is_third and not pathlib.Path("go").exists():
    pathlib.Path("here").touch()
    threading.Event().wait(100)
pathlib.Path(f"begun-{x}").touch()
"""


@pytest.mark.slow
def test_interrupted_study_goes_on(ws: Workspace, write_notebook: WriteNotebook, tmp_path: Path) -> None:
    write_notebook("bowl.ipynb", WAITS_AT_THE_THIRD, HEIGHT, parameters=PARAMETERS)
    words = "tune", "bowl.ipynb", "--over", "x=-5..5", "--metric", "height", "-n", "4", "-j", "1"
    process = start(*words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "here").exists, what="the third trial")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert states(ws.studies) == ["COMPLETE", "COMPLETE", "FAIL"]
    (tmp_path / "go").touch()
    assert start(*words, cwd=tmp_path).wait(60) == 0
    assert states(ws.studies) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


@pytest.mark.slow
def test_tune_by_hand(
    cli: Callable[..., subprocess.CompletedProcess[str]], cli_json: Callable[..., Any], bowl: Path, ws: Workspace,
) -> None:
    space = "--over", "leaves=log:2..64", "--over", "kind=a,b", "-p", "x", "1"
    words = "tune", "bowl.ipynb", *space, "--metric", "height"
    done = cli(*words, "-n", "2")
    assert done.returncode == 0 and "best run" in done.stdout and done.stderr.count("trial ") == 2
    best = cli_json(*words, "-n", "3", "--kernel", "fresh")
    runs = ws.runs.search("tags.study = bowl")
    assert len(runs) == 3 and all(isinstance(run.params["leaves"], int) and run.params["x"] == 1 for run in runs)
    assert best["metrics"]["height"] == min(run.metrics["height"] for run in runs)
    bad = cli("tune", "bowl.ipynb", "--over", "leaves", "--metric", "height")
    assert bad.returncode == 2 and "write NAME=VALUES" in bad.stderr and "Traceback" not in bad.stderr


def test_space_is_read_by_what_the_notebook_declares(bowl: Path) -> None:
    notebook = read_notebook(bowl)
    assert distribution("log:2..64", notebook=notebook, name="leaves") == IntDistribution(2, 64, log=True)
    assert distribution("-1..1.5", notebook=notebook, name="x") == FloatDistribution(-1, 1.5)
    choices: Any = distribution("4,8", notebook=notebook, name="leaves")
    assert choices.choices == (4, 8)


@pytest.mark.parametrize("name, text, message", [
    ("leaves", "log:0..9", "above 0 for log"),
    ("leaves", "9..2", "LOW not above HIGH"),
    ("leaves", "1..2.5", "write LOW..HIGH"),
    ("kind", "c", "in {a, b}"),
])
def test_malformed_space_gets_one_clear_line(bowl: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(BadParameter, match=message): distribution(text, notebook=read_notebook(bowl), name=name)
