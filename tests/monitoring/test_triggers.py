"Continuous training: which breach waits, what retraining runs, and that only the gates move an alias."
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import NotFound, RunFailed
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.models.packages import pack
from mlops_nb.monitoring.checks import Check
from mlops_nb.monitoring.monitors import Monitor
from mlops_nb.monitoring.triggers import due, has_new_data, retrain, retrain_for, retrain_params
from mlops_nb.registry.model_versions import Models
from mlops_nb.registry.registration import register
from mlops_nb.runs.records import RunRecord
from mlops_nb.runs.run import begin_run
from mlops_nb.serving.batches import Batches
from serving_support import a_line, only_x, point, train, two_classes


class Recorder:
    "Takes the place of the kernel: keeps which steps were asked for, and records each as a run that succeeded."

    def __init__(self, home: Home, *, fails: str = "") -> None:
        self.home, self.fails = home, fails
        self.steps: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, step: str, notebook: Path, params: Mapping[str, object]) -> RunRecord:
        self.steps.append((step, notebook.name, dict(params)))
        if self.fails and self.fails in step: raise RunFailed(f"{step} failed")
        run = begin_run(self.home, notebook.name, step=step, params=params)
        if notebook.name == "train.ipynb": run.tag(registered=7)
        run.end()
        return run.record


@pytest.fixture
def champion(home: Home) -> Home:
    "A model that is in production, with the notebooks of its jobs beside the one that trained it."
    for job in "train", "evaluate", "promote": (home.root / f"{job}.ipynb").write_text("{}")
    Datasets(home).add("line", a_line())
    run = begin_run(home, "train.ipynb", params={"data": "line@1", "target": "y", "rounds": 20})
    run.use("line@1")
    run.save("model", pack(train(a_line().drop(columns="row"), trained_on=("line@1",)), home.artifacts))
    run.end()
    register(home, "slope", run)
    point(home, "slope", 1)
    return home


def check(home: Home, label: str, *, shift: float = 0.0, alias: str = "production") -> Check:
    "Of a batch whose x lies around a shift; training's lay around 0."
    data = Datasets(home).add("rows", only_x(300, seed=5, shift=shift))
    Batches(home).score(f"slope@{alias}", data.ref, label=label)
    return Monitor(home, "slope", alias=alias).check(label)


def add_rows(home: Home) -> None: Datasets(home).add("line", a_line(shift=3))


def test_breach_is_due_once_there_is_something_new_to_learn(champion: Home) -> None:
    monitor, breached = Monitor(champion, "slope"), check(champion, "2013-05", shift=3)
    assert breached.breached and not has_new_data(monitor) and due(monitor) is None
    add_rows(champion)
    assert has_new_data(monitor) and due(monitor) == breached


def test_nothing_is_due_without_a_check_or_without_a_breach(champion: Home) -> None:
    add_rows(champion)
    assert due(Monitor(champion, "slope")) is None
    assert not check(champion, "2013-05").breached and due(Monitor(champion, "slope")) is None


def test_breach_that_a_later_check_did_not_confirm_is_not_due(champion: Home) -> None:
    add_rows(champion)
    check(champion, "2013-05", shift=3)
    check(champion, "2013-06")
    assert due(Monitor(champion, "slope")) is None


def test_dataset_that_the_champion_did_not_learn_from_is_no_news(champion: Home) -> None:
    Datasets(champion).add("weather", a_line())
    Datasets(champion).add("weather", a_line(shift=1))
    assert not has_new_data(Monitor(champion, "slope"))


def test_breach_of_staging_is_not_due_in_production(champion: Home) -> None:
    point(champion, "slope", 1, alias="staging")
    add_rows(champion)
    breached = check(champion, "2013-05", shift=3, alias="staging")
    assert due(Monitor(champion, "slope", alias="staging")) == breached
    assert due(Monitor(champion, "slope")) is None


def test_breach_is_retrained_for_once(champion: Home) -> None:
    add_rows(champion)
    monitor, breached, recorder = Monitor(champion, "slope"), check(champion, "2013-05", shift=3), Recorder(champion)
    retrain_for(monitor, breached, execute=recorder)
    assert due(monitor) is None
    another = check(champion, "2013-06", shift=3)
    assert due(monitor) == another


@pytest.mark.slow
@pytest.mark.parametrize("fails", ["train", "evaluate", "promote"])
def test_retraining_that_failed_half_way_is_still_due(champion: Home, fails: str) -> None:
    add_rows(champion)
    monitor, breached = Monitor(champion, "slope"), check(champion, "2013-05", shift=3)
    with pytest.raises(RunFailed): retrain_for(monitor, breached, execute=Recorder(champion, fails=f": {fails}"))
    assert due(monitor) == breached


def test_retraining_runs_the_champions_notebook_on_the_latest_rows(champion: Home) -> None:
    recorder, breached = Recorder(champion), check(champion, "2013-05", shift=3)
    retrain_for(Monitor(champion, "slope"), breached, execute=recorder)
    (first, train_notebook, trained), (_, second, evaluated), (last, third, promoted) = recorder.steps
    assert (train_notebook, second, third) == ("train.ipynb", "evaluate.ipynb", "promote.ipynb")
    assert trained == {"data": "line", "target": "y", "rounds": 20, "register_as": "slope"}
    assert evaluated == {"model": "slope@7", "champion": "slope@1"}
    assert (promoted["model"], promoted["alias"]) == ("slope@7", "production")
    assert str(promoted["comment"]).startswith("2013-05: x drifted")
    assert first == f"retrain slope for check {breached.id}: train" and last.endswith(": promote")


def test_retraining_itself_moves_no_alias(champion: Home) -> None:
    retrain(champion, "slope", execute=Recorder(champion))
    assert Models(champion)["slope@production"].version == 1


def test_retraining_asks_for_the_alias_that_is_watched(champion: Home) -> None:
    point(champion, "slope", 1, alias="staging")
    recorder = Recorder(champion)
    retrain(champion, "slope", alias="staging", execute=recorder)
    assert recorder.steps[-1][2]["alias"] == "staging"


def test_retraining_without_its_notebooks_runs_nothing(champion: Home) -> None:
    (champion.root / "promote.ipynb").unlink()
    recorder = Recorder(champion)
    with pytest.raises(NotFound, match=r"promote\.ipynb is missing"): retrain(champion, "slope", execute=recorder)
    assert recorder.steps == []


def test_only_parameters_that_name_what_was_read_are_freed() -> None:
    params = {"data": "line@1", "other": "rows@1", "comment": "not a Reference@", "rounds": 1, "list": ["line@1"]}
    freed = retrain_params(params, ["line@1"], model="slope")
    assert freed == params | {"data": "line", "register_as": "slope"}


@pytest.mark.slow
def test_candidate_of_a_retraining_is_promoted_by_the_gates_or_not_at_all(ws: Workspace) -> None:
    "With the notebooks that the package ships: labels that x tells win, labels of a coin are refused."
    rows = two_classes(900)
    coin = rows.assign(y=np.random.default_rng(3).integers(0, 2, size=len(rows)))
    ws.datasets.add("answers", coin)
    ws.runs.run(workflow("train"), {"data": "answers@1", "target": "y", "rounds": 30, "register_as": "m"})
    point(ws.home, "m", 1)

    def decided(table: pd.DataFrame) -> bool:
        version = ws.datasets.add("answers", table)
        return retrain(ws.home, "m", step=f"retrain on {version.ref}").read_json("decision")["promoted"]

    assert decided(rows) and ws.models["m@production"].version == 2
    assert not decided(coin.assign(row=coin.row + 1)) and ws.models["m@production"].version == 2
    assert [event.action for event in ws.models.history("m")] == ["promote", "refuse"]
