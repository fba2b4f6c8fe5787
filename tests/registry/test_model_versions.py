"Versions: registered once, found by all that is known of them, listed by name and number."
from __future__ import annotations

from pathlib import Path

import pytest

from audit_support import home_at
from mlops_nb.base.errors import BadParameter, NotFound
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.registry.audit import Audit
from mlops_nb.registry.evaluations import add_evaluation, evaluations
from mlops_nb.registry.model_versions import Models
from mlops_nb.registry.registration import describe, read_card, register
from mlops_nb.runs.run import begin_run
from registry_support import move_alias, register_small, training_data, tumours


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    "Two models: `other`, whose run says much of itself, and `m`, with two versions."
    home = home_at(tmp_path_factory.mktemp("registry"))
    run = begin_run(home, "nbs/train.ipynb")
    run.use(Datasets(home).add("tumours", tumours()))
    run.save("model", pack(fit(training_data(), rounds=5, num_threads=1), home.artifacts))
    run.log(roc_auc=0.9)
    run.end()
    register(home, "other", run, tags={"team": "ops"})
    for rounds in 6, 7: register_small(home, rounds)
    return home


def _found(home: Home, query: str) -> list[str]: return [version.ref for version in Models(home).search(query)]


@pytest.mark.parametrize("query", [
    "metrics.roc_auc > 0.8", "tags.team = ops", "dataset = tumours", "dataset = tumours@1", "notebook = train",
    "notebook = nbs/train.ipynb", "name = other and version = 1", "name ~ THE and task = binary",
])
def test_version_is_found_by_what_is_known_of_it(home: Home, query: str) -> None:
    assert _found(home, query) == ["other@1"]


def test_version_is_found_by_its_run(home: Home) -> None:
    assert _found(home, f"run = {Models(home)['other'].run_id}") == ["other@1"]


@pytest.mark.parametrize("query", ["metrics.roc_auc > 0.95", "dataset = tumours@2", "tags.team = o", "notebook = rain"])
def test_version_that_does_not_meet_a_condition_is_not_found(home: Home, query: str) -> None:
    assert _found(home, query) == []


def test_feature_that_all_versions_take_finds_all(home: Home) -> None:
    assert _found(home, "feature = 'mean radius'") == ["m@1", "m@2", "other@1"] == _found(home, "")


@pytest.mark.parametrize("query, message", [
    ("size > 3", "'size' is no field of a model version"),
    ("metrics.roc_auc > high", "a metric is compared with a number"),
    ("feature > a", "feature >: only = is understood"),
    ("tags.team ~ o", "tags.NAME only by ="),
])
def test_condition_that_cannot_be_asked_is_explained(home: Home, query: str, message: str) -> None:
    with pytest.raises(BadParameter, match=message): Models(home).search(query)


def test_search_is_ordered_and_cut(home: Home) -> None:
    models = Models(home)
    assert [version.ref for version in models.search(order_by="-created", limit=2)] == ["m@2", "m@1"]
    assert [version.ref for version in models.search(order_by="metrics.roc_auc", limit=1)] == ["other@1"]
    assert [version.ref for version in models.search("task = binary", limit=1)] == ["m@1"]


def test_list_has_the_latest_of_each_or_all_of_one(home: Home) -> None:
    assert [version.ref for version in Models(home).list()] == ["m@2", "other@1"]
    assert [version.ref for version in Models(home).list("m")] == ["m@1", "m@2"]
    with pytest.raises(NotFound, match="there is no model 'n'; there are: m, other"): Models(home).list("n")


def test_same_package_is_the_same_version(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    assert [register_small(home, rounds).version for rounds in (5, 6, 5)] == [1, 2, 1]
    assert [event.subject for event in Audit(home).list(actions=("register",))] == ["m@1", "m@2"]


def test_run_without_a_model_registers_nothing(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    with pytest.raises(NotFound, match=r"made no model: its notebook must save one"):
        register(home, "m", begin_run(home, "here"))
    assert Models(home).list() == []


def test_metric_that_counts_is_that_of_the_latest_evaluation(tmp_path: Path) -> None:
    "An older evaluation that met the condition does not bring its version in."
    home = home_at(tmp_path)
    version = register_small(home, 5)
    for value in 0.9, 0.6:
        run = begin_run(home, "evaluate.ipynb")
        run.log(roc_auc=value)
        run.end()
        add_evaluation(home, version, dataset="tumours@1", report={"roc_auc": value}, run=run.id)
    assert Models(home)["m@1"].metrics == {"roc_auc": 0.6}
    assert _found(home, "metrics.roc_auc > 0.8") == [] and _found(home, "metrics.roc_auc < 0.8") == ["m@1"]
    assert [found.report["roc_auc"] for found in evaluations(home, version)] == [0.6, 0.9]


def test_alias_finds_the_version_that_it_points_to(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    for rounds in 5, 6: register_small(home, rounds)
    move_alias(home, "staging", "m@1")
    assert Models(home)["m@staging"].version == 1 and Models(home)["m@1"].aliases == ("staging",)
    assert _found(home, "alias = staging") == ["m@1"]
    with pytest.raises(NotFound, match="no version of m has that alias; staging is version 1"): Models(home)["m@live"]


def test_words_are_replaced_and_sections_added_and_removed(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    register_small(home, 5)
    describe(home, "m", description="first", owner="ada", limitations="the aged")
    describe(home, "m", description="second", limitations="")
    describe(home, "m@1", tags={"team": "ops", "stage": "try"})
    describe(home, "m@1", tags={"stage": ""})
    assert read_card(home, "m") == {"description": "second", "owner": "ada"}
    assert Models(home)["m@1"].tags == {"team": "ops"}
    assert [event.subject for event in Audit(home).list(actions=("describe",))] == ["m", "m", "m@1", "m@1"]
    with pytest.raises(BadParameter, match="nothing was said"): describe(home, "m")


def test_overview_escapes_what_people_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "<i>ada</i>")
    home = home_at(tmp_path)
    register_small(home, 5)
    move_alias(home, "staging", "m@1")
    page = Models(home)._repr_html_()
    assert "<b>m</b>, 1 version; staging: 1" in page
    assert "&lt;i&gt;ada" in page and "<i>ada" not in page
