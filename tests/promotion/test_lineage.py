"What came from what, asked in both directions: of versions, columns, features, runs and batches."
from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from mlops_nb.base.errors import BadReference, NotFound
from mlops_nb.base.project import Home
from mlops_nb.features.feature_views import FeatureViews
from mlops_nb.promotion.lineage import LineageOf
from mlops_nb.promotion.lineage_graphs import Lineage, Node
from mlops_nb.registry.model_versions import Models


@pytest.mark.slow
@pytest.mark.parametrize("reference", [
    "raw-weather@1", "dataset:weather@1", "weather", "weather@1.temp", "weather@1.wind", "flights@1.gate"])
def test_impact_names_the_versions_that_serve_and_learned_from_it(late: Home, reference: str) -> None:
    assert [version.ref for version in LineageOf(late).impact(reference)] == ["late@2"]


@pytest.mark.slow
def test_impact_is_of_an_alias_and_of_columns_that_matter(late: Home) -> None:
    impact = LineageOf(late).impact
    assert impact("weather@1.station") == [] == impact("weather", "staging")
    assert impact("weather", "production") == [Models(late)["late@2"]]


def test_column_leads_to_the_features_that_are_made_from_it(late: Home) -> None:
    features = LineageOf(late)("weather@1.wind", "down")["feature"]
    assert {node.name for node in features} == {"late@1.windy", "late@2.windy"}


def test_feature_leads_to_the_columns_that_it_is_made_from(late: Home) -> None:
    columns = LineageOf(late)("late@2.windy", "up")["column"]
    assert {node.name for node in columns} == {"weather@1.hour", "weather@1.wind", "flights@1.hour"}


def test_model_came_from_its_run_and_data_alone(late: Home) -> None:
    up = LineageOf(late)("late@production", "up")
    assert {node.name for node in up["dataset"]} == {"flights@1", "weather@1", "raw-weather@1"}
    assert len(up["run"]) == 1 and not up["batch"]
    assert up.nodes[-1].name == "late@2" and up.nodes[-1].aliases == ("production",)


VIEW = """from mlops_nb import feature_view

@feature_view(entity=["hour"], event_time="hour", sources={"weather": ["hour", "wind"]})
def windy(weather): return weather
"""


def test_graph_holds_the_feature_views(late: Home) -> None:
    (late.root / "windy_views.py").write_text(VIEW)
    FeatureViews(late).register("windy_views:windy")
    assert LineageOf(late)("view:windy@1").nodes == (Node(kind="view", name="windy@1", label="of weather"),)


def test_scored_batch_came_from_model_and_data(late: Home) -> None:
    batch, = LineageOf(late)("raw-weather", "down")["batch"]
    assert batch.label == "today"
    up = LineageOf(late)(f"batch:{batch.name}", "up")
    assert {node.name for node in up["dataset"]} == {"flights@1", "weather@1", "raw-weather@1"}
    assert [node.name for node in up["model"]] == ["late@2"]


def test_run_is_known_by_the_beginning_of_its_identifier(late: Home) -> None:
    run = Models(late)["late@2"].run_id
    assert LineageOf(late)(run[:-1], "up").root == f"run:{run}"


@pytest.mark.parametrize("reference, message", [
    ("nosuch", "there is no model, dataset, feature view, run or batch 'nosuch'"),
    ("weather@9", "there is no model, dataset, feature view, run or batch 'weather@9'"),
    ("model:weather", "there is no model 'weather'"),
    ("weather@1.nosuch", "weather@1 has no column 'nosuch': it has hour"),
    ("late@2.nosuch", "late@2 has no feature 'nosuch': it has gate"),
])
def test_thing_that_is_not_there_is_told_from_those_that_are(late: Home, reference: str, message: str) -> None:
    with pytest.raises(NotFound, match=message): LineageOf(late)(reference)


@pytest.mark.parametrize("reference, message", [
    ("feature:late@2", "'late@2': a feature is written late-arrival@3.temp"),
    ("column:weather", "'weather': a column is written weather@2.temp"),
])
def test_part_without_its_name_is_explained(late: Home, reference: str, message: str) -> None:
    with pytest.raises(BadReference, match=message): LineageOf(late)(reference)


def test_lineage_is_drawn_and_makes_a_page(late: Home) -> None:
    lineage = LineageOf(late)("late@2")
    assert "late@2" in lineage._repr_html_() and "<svg" in lineage.html()


def test_lineage_that_is_too_large_to_draw_is_counted() -> None:
    nodes = tuple(Node(kind="dataset", name=f"<d{number}>@1") for number in range(100))
    page = Lineage(root=nodes[0].id, nodes=nodes, edges=())._repr_html_()
    assert "100 datasets; too many to draw" in page and "<svg" not in page and "<d0>" not in page


@pytest.mark.slow
def test_command_writes_the_page_and_the_events(
    late: Home, run_command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_command("lineage", "late@2", "--openlineage", "events.jsonl", "--html", "graph.html")
    assert done.returncode == 0, done.stderr
    assert len((late.root / "events.jsonl").read_text().splitlines()) == 1
    assert "<svg" in (late.root / "graph.html").read_text()
