"Front doors: what a workspace hands out does everything that the storeys below can do."
from __future__ import annotations

import pandas as pd
import pytest

from mlops_nb.app.datasets_door import DatasetsDoor
from mlops_nb.app.models_door import ModelsDoor
from mlops_nb.app.workspace import Workspace
from mlops_nb.base.display import Listing
from mlops_nb.base.errors import BadParameter, BadTable, NotFound
from mlops_nb.data.datasets import Datasets
from mlops_nb.data.expectations import ColumnRule, Expectations
from mlops_nb.registry.model_versions import Models

COLLECTIONS = (
    "datasets", "expectations", "features", "runs", "pipelines", "studies", "models", "audit", "batches", "monitors",
)
FLIGHTS = pd.DataFrame({"tail": ["N1", "N2", "N3"], "distance": [1400, 762, 719]})


def _public(kind: type[object]) -> set[str]: return {name for name in dir(kind) if not name.startswith("_")}


def test_datasets_are_offered_with_all_that_they_can_do() -> None:
    assert _public(Datasets) <= _public(DatasetsDoor)


def test_models_are_offered_with_all_that_they_can_do() -> None:
    assert _public(Models) - {"home"} <= _public(ModelsDoor)


@pytest.mark.slow
def test_every_collection_of_a_workspace_speaks_the_one_grammar(ws: Workspace) -> None:
    for name in COLLECTIONS:
        collection = getattr(ws, name)
        for word in "__getitem__", "get", "list", "search", "__iter__": assert hasattr(collection, word), (name, word)
        listed, matching = collection.list(), collection.search()
        assert (type(listed), type(matching), len(listed), len(matching)) == (Listing, Listing, 0, 0), name
        assert isinstance(collection._repr_html_(), str), name


def test_workspace_shows_where_it_is_and_how_much_there_is(ws: Workspace) -> None:
    ws.datasets.add("flights", FLIGHTS)
    assert ws._repr_html_() == f"<b>{ws.root}</b>: 1 datasets, 0 models, 0 runs"
    assert repr(ws) == f"Workspace({str(ws.root)!r})"


def test_datasets_are_added_found_compared_and_split_by_reference(ws: Workspace) -> None:
    first = ws.datasets.add("flights", FLIGHTS, description="New York", tags=["raw"], pii=["tail"], parents=["plan@1"])
    assert (first.parents, first.pii) == (("plan@1",), ("tail",))
    second = ws.datasets.append("flights", FLIGHTS.assign(tail="N4"), owner="ada")
    assert (second.ref, second.rows, second.owner, second.parents) == ("flights@2", 6, "ada", ("flights@1",))
    assert ws.datasets.describe("flights@1", description="three of them").description == "three of them"
    assert ws.datasets.diff("flights@1", "flights@2").added == 3
    with pytest.raises(NotFound, match="there is no dataset 'planes'; there are: flights"): ws.datasets["planes"]
    assert [version.ref for version in ws.datasets] == ["flights@2"]
    assert [version.ref for version in ws.datasets.search("owner = ada")] == ["flights@2"]
    split = ws.datasets.split("flights@1", "thirds", {"train": 2 / 3, "test": 1 / 3}, group="tail", seed=1)
    assert ws.datasets.splits("flights@1") == [split]
    assert "N1" not in ws.datasets._repr_html_()


def test_datasets_are_validated_and_admitted_by_the_name_of_expectations(ws: Workspace) -> None:
    ws.expectations.add("flights", Expectations(columns={"distance": ColumnRule(min=720, policy="quarantine")}))
    version, report = ws.datasets.admit("flights", FLIGHTS, "flights", tags=["raw"])
    assert (version.rows, version.tags, report.outcome) == (2, ("raw",), "quarantined")
    assert ws.datasets.validate("flights@1", "flights").ok
    with pytest.raises(BadTable, match="the column is missing"):
        ws.datasets.admit("flights", FLIGHTS[["tail"]], "flights", append=True)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_limit_below_zero_is_refused(ws: Workspace, name: str) -> None:
    with pytest.raises(BadParameter, match="limit=-1: give a number of records"): getattr(ws, name).search(limit=-1)
