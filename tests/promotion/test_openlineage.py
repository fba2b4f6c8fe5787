"Events are what OpenLineage's own client takes them for."
from __future__ import annotations

from typing import Any

import pytest
from openlineage.client import event_v2 as types
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    documentation_dataset,
    error_message_run,
    schema_dataset,
)
from openlineage.client.serde import Serde

from mlops_nb.base.errors import RunFailed
from mlops_nb.base.project import Home
from mlops_nb.promotion.openlineage import openlineage
from mlops_nb.runs.execution import Execution
from mlops_nb.runs.records import RunRecords
from mlops_nb.runs.runs import Runs

Json = dict[str, Any]


def _schema(facet: Json) -> schema_dataset.SchemaDatasetFacet:
    fields = [schema_dataset.SchemaDatasetFacetFields(**field) for field in facet["fields"]]
    return schema_dataset.SchemaDatasetFacet(fields=fields)


FACETS: dict[str, Any] = {
    "schema": _schema,
    "version": lambda facet: dataset_version_dataset.DatasetVersionDatasetFacet(facet["datasetVersion"]),
    "documentation": lambda facet: documentation_dataset.DocumentationDatasetFacet(facet["description"]),
    "errorMessage": lambda facet: error_message_run.ErrorMessageRunFacet(
        facet["message"], facet["programmingLanguage"]),
}


def _facets(facets: Json) -> Json:
    "Each facet as the client's own type of it, whose schema it says it follows."
    typed = {name: FACETS[name](facet) for name, facet in facets.items()}
    for name, facet in facets.items(): assert facet["_schemaURL"] == typed[name]._get_schema(), name
    return typed


def _typed(event: Json) -> types.RunEvent:
    "An event as the client's own type of it."
    def dataset(kind: Any, described: Json) -> Any:
        return kind(namespace=described["namespace"], name=described["name"], facets=_facets(described["facets"]))
    return types.RunEvent(
        eventTime=event["eventTime"], producer=event["producer"], eventType=types.RunState[event["eventType"]],
        run=types.Run(event["run"]["runId"], _facets(event["run"]["facets"])),
        job=types.Job(event["job"]["namespace"], event["job"]["name"]),
        inputs=[dataset(types.InputDataset, described) for described in event["inputs"]],
        outputs=[dataset(types.OutputDataset, described) for described in event["outputs"]])


def _fields(datasets: list[Json]) -> list[tuple[str, Any]]:
    return [(dataset["name"], dataset["facets"].get("schema", {}).get("fields")) for dataset in datasets]


@pytest.fixture(scope="module")
def events(late: Home) -> list[Json]:
    "Of two runs that succeeded, and one that asked for data that there are not."
    with pytest.raises(RunFailed): Runs(Execution(late)).run(late.root / "learn.ipynb", {"data": "nosuch"})
    return openlineage(late, RunRecords(late).search())


@pytest.mark.slow
def test_each_run_that_ended_is_one_event(events: list[Json]) -> None:
    assert sorted(event["eventType"] for event in events) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert len({event["run"]["runId"] for event in events}) == 3


@pytest.mark.slow
def test_client_reads_and_writes_the_same_event(events: list[Json]) -> None:
    for event in events:
        again = Serde.to_dict(_typed(event))
        for key in "eventTime", "eventType", "producer": assert again[key] == event[key]
        assert again["run"]["runId"] == event["run"]["runId"]
        for side in "inputs", "outputs": assert _fields(again[side]) == _fields(event[side])


def test_event_says_what_was_read_made_and_wrong(events: list[Json]) -> None:
    by_type = {event["eventType"]: event for event in events}
    assert [dataset["name"] for dataset in by_type["COMPLETE"]["inputs"]] == ["flights", "weather"]
    assert [dataset["name"] for dataset in by_type["COMPLETE"]["outputs"]] == ["late"]
    assert "nosuch" in by_type["FAIL"]["run"]["facets"]["errorMessage"]["message"]
