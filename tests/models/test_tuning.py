"LightGBM's study: what it found holds in training, and an interruption changes nothing."
from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.features.transforms import identity
from mlops_nb.models.metrics import measure
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import TrainingData, prepare
from mlops_nb.models.tuning import best_params, tune

N = 400
RNG = np.random.default_rng(3)
X = pd.DataFrame(RNG.normal(size=(N, 4)), columns=list("abcd"))
HELD_OUT = np.arange(N) % 4 == 0
TARGETS: dict[str, Any] = {
    "binary": X["a"] * X["b"] + 0.5 * RNG.normal(size=N) > 0,
    "multiclass": np.select([X["a"] + X["b"] > 1, X["a"] > 0], ["z", "m"], "a"),
    "regression": X["a"] * X["b"] + 0.3 * RNG.normal(size=N)}
OPTIONS: dict[str, Any] = {"max_rounds": 60, "seed": 5, "num_threads": 1}


def data_of(task: str) -> TrainingData:
    return prepare(X.assign(target=TARGETS[task]), "target", identity, held_out=HELD_OUT)


@pytest.mark.slow
@pytest.mark.parametrize("task, metric", [
    ("binary", "log_loss"), ("multiclass", "log_loss"), ("regression", "rmse")])
def test_best_parameters_give_training_the_loss_that_the_study_saw(ws: Workspace, task: str, metric: str) -> None:
    study, data = ws.studies.open("s"), data_of(task)
    best: dict[str, Any] = tune(study, data, n_trials=3, **OPTIONS)
    assert best == best_params(ws.studies["s"]) and 1 <= best["rounds"] <= 60
    model = fit(data, seed=5, num_threads=1, **best)
    held_out: Any = data.features[HELD_OUT]
    loss = measure(data.labels[HELD_OUT], model.scores(held_out), model.task)[metric]
    assert loss == pytest.approx(study.best_value, rel=1e-6)  # LightGBM adds up in another order
    assert study.best_value == min(trial.value for trial in study.trials if trial.value is not None)


@pytest.mark.slow
def test_interrupted_trial_leaves_no_trace_in_what_follows(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    data, suggest = data_of("binary"), optuna.Trial.suggest_int

    def interrupted(trial: optuna.Trial, name: str, *args: Any, **options: Any) -> int:
        if trial.number == 1: raise KeyboardInterrupt
        return suggest(trial, name, *args, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(optuna.Trial, "suggest_int", interrupted)
        tune(ws.studies.open("resumed"), data, n_trials=4, **OPTIONS)
    tune(ws.studies.open("resumed"), data, n_trials=4, **OPTIONS)
    tune(ws.studies.open("whole"), data, n_trials=4, **OPTIONS)
    resumed = [trial for trial in ws.studies["resumed"].trials if trial.state.name != "FAIL"]
    whole = ws.studies["whole"].trials
    assert len(ws.studies["resumed"].trials) == 5
    assert [(trial.params, trial.value) for trial in resumed] == [(trial.params, trial.value) for trial in whole]


@pytest.mark.slow
def test_trial_that_falls_behind_is_pruned_and_counts(ws: Workspace) -> None:
    study = ws.studies.open("s")
    tune(study, data_of("binary"), n_trials=12, max_rounds=200, seed=0, num_threads=1)
    states = [trial.state.name for trial in study.trials]
    assert len(states) == 12 and "PRUNED" in states[5:] and set(states[:5]) == {"COMPLETE"}
    pruned = next(trial for trial in study.trials if trial.state.name == "PRUNED")
    assert max(pruned.intermediate_values) >= 30 and "rounds" not in pruned.user_attrs


def test_fixed_parameters_are_not_tuned(ws: Workspace) -> None:
    study = ws.studies.open("s")
    best = tune(study, data_of("binary"), n_trials=1, max_rounds=10, num_threads=1, metric="binary_error")
    assert not {"num_threads", "metric"} & {*best} and best["bagging_freq"] == 1
    assert study.best_value * HELD_OUT.sum() == pytest.approx(round(study.best_value * HELD_OUT.sum()))  # rows in error
