"What a page should not show of studies: both databases, trials that failed, studies that Optuna alone made."
from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from mlops_nb.base.errors import BadParameter, BadReference, NotFound
from mlops_nb.base.project import Home
from mlops_nb.models.studies import Studies


@pytest.fixture
def studies(tmp_path: Path) -> Studies: return Studies(Home(tmp_path))


def parabola(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    if trial.number == 1: raise optuna.TrialPruned
    if trial.number == 2: raise ZeroDivisionError
    return (x - 2) ** 2


def test_summary_counts_trials_by_how_they_ended(studies: Studies) -> None:
    study = studies.open("parabola")
    study.optimize(parabola, n_trials=6, catch=ZeroDivisionError)
    study.enqueue_trial({"x": 2.0})
    (summary,) = studies.list()
    assert summary.trials == {"complete": 4, "pruned": 1, "fail": 1, "waiting": 1}
    assert (summary.best_value, summary.best_params) == (study.best_value, study.best_params)
    assert summary.direction == "minimize" and summary.started is not None


def test_study_without_a_complete_trial_has_no_best(studies: Studies) -> None:
    studies.open("empty", direction="maximize")
    (summary,) = studies.list("empty")
    assert (summary.trials, summary.best_value, summary.best_params, summary.started) == ({}, None, {}, None)
    assert "maximize" in studies._repr_html_()


def test_studies_are_found_by_what_they_came_to(studies: Studies) -> None:
    for name, n_trials in ("short", 3), ("long", 8):
        study = studies.open(name)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=n_trials)
    assert [each.name for each in studies.search("trials.complete > 5")] == ["long"]
    by_trials = studies.search("direction = minimize", order_by="-trials.complete")
    assert [each.name for each in by_trials] == ["long", "short"]
    best = min(studies.list(), key=lambda each: each.best_value or 1)
    assert studies.search(order_by="best_value", limit=1) == [best]
    with pytest.raises(BadParameter, match="'loss' is no field: there are name, direction"): studies.search("loss < 1")


def test_study_with_several_objectives_is_listed_without_a_best(studies: Studies) -> None:
    optuna.create_study(storage=studies.open("one")._storage, study_name="two", directions=["minimize", "maximize"])
    studies["two"].optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=1)
    (summary,) = studies.list("two")
    assert (summary.direction, summary.best_value, summary.trials) == ("minimize, maximize", None, {"complete": 1})


@pytest.mark.slow
def test_study_that_is_not_there_is_answered_with_those_that_are(studies: Studies) -> None:
    with pytest.raises(NotFound, match="there is no study 'none'; there is none yet"): studies["none"]
    studies.open("parabola")
    with pytest.raises(NotFound, match="there is no study 'none'; there are: parabola"): studies["none"]
    with pytest.raises(NotFound, match="there is no study 'none'; there are: parabola"): studies.list("none")
    with pytest.raises(BadReference, match="'Über' is no study"): studies.open("Über")
    assert studies.get("none") is None and studies.get("parabola") is not None


@pytest.mark.slow
def test_study_goes_on_in_either_database(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / ".mlops"))
    for n_trials in 2, 3:
        Studies(Home(url)).open("parabola").optimize(lambda trial: trial.suggest_int("x", 0, 9), n_trials)
    assert Studies(Home(url)).list()[0].trials == {"complete": 5}
