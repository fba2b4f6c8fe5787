"Feature views: what a training set takes from them, what is refused, what a changed function is."
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from airports import CODE, Airports, at_hour
from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import BadParameter, BadReference, BadTable, MLOpsError, NotFound
from mlops_nb.features.feature_views import feature_view


def moments(*hours: float) -> pd.DatetimeIndex: return pd.to_datetime([at_hour(hour) for hour in hours])


def test_training_set_keeps_the_spine(airports: Airports) -> None:
    "Its rows, their order and their index, with nothing from after a row's moment."
    origins = ["JFK", "JFK", "EWR", "LGA", "XXX"]
    spine = pd.DataFrame({"origin": origins, "t": moments(3, 2, 2, 4, 4), "y": range(5)}, index=[9, 9, 7, 5, 3])
    known = airports.features.training_set(spine, [airports.view], time="t")
    pd.testing.assert_frame_equal(known.loc[:, ["origin", "t", "y"]], spine)
    assert list(known) == ["origin", "t", "y", "wind", "sky", "strong", "seen"]  # `unused` was not declared
    assert known.wind.tolist()[:2] == [12.0, 0.1 + 0.2] and known.wind[2:].isna().all()
    assert known.sky.tolist()[2] == "ü" and known.strong.tolist() == [True, False, False, None, None]
    assert known.seen.tolist()[:3] == [at_hour(3), at_hour(1), at_hour(2)]


def test_training_set_reads_the_versions_that_it_is_told(airports: Airports) -> None:
    table = airports.ws.datasets["weather"].read()
    airports.ws.datasets.add("weather", table.assign(wind=1.0))
    spine = pd.DataFrame({"origin": ["JFK"], "t": moments(3)})
    for sources, wind in ({"weather": "weather@1"}, 12.0), (None, 1.0):
        known = airports.features.training_set(spine, [airports.view], time="t", sources=sources)
        assert known.wind.tolist() == [wind]


@pytest.mark.parametrize("spine, says", [
    (pd.DataFrame({"t": moments(1)}), "the spine has no column 'origin'; it has t"),
    (pd.DataFrame({"origin": ["JFK"]}), "the spine has no column 't'; it has origin"),
    (pd.DataFrame({"origin": ["JFK"], "t": ["soon"]}), "the spine's t holds str, and has to hold points in time"),
    (pd.DataFrame({"origin": ["JFK"], "t": moments(1), "sky": ["ü"]}), "sky is a column of the spine and of view"),
    (pd.DataFrame({"origin": [4], "t": moments(1)}), "key origin is int64 in the spine, and string in view airport"),
])
def test_spine_that_does_not_fit_is_one_line(airports: Airports, spine: pd.DataFrame, says: str) -> None:
    with pytest.raises(BadTable, match=says) as refused:
        airports.features.training_set(spine, [airports.view], time="t")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("function, says", [
    (lambda weather: 3, "returned a int: it has to return a DataFrame"),
    (lambda weather: weather.drop(columns="origin"), "returned no column 'origin'; it returned at"),
    (lambda weather: weather.assign(at="soon"), "at holds str, and has to hold points in time"),
    (lambda weather: weather[["origin", "at"]], "returned no feature besides its keys and times"),
])
def test_function_without_values_is_refused(airports: Airports, function: Callable[..., Any], says: str) -> None:
    view = feature_view(entity=["origin"], event_time="at", sources={"weather": ["origin", "at"]})(function)
    with pytest.raises(BadTable, match=says):
        airports.features.training_set(pd.DataFrame({"origin": ["JFK"], "t": moments(1)}), [view], time="t")
    assert airports.features.list() == []


def test_column_that_a_dataset_does_not_have_is_named(airports: Airports) -> None:
    view = feature_view(entity=["origin"], event_time="at", sources={"weather": ["gate"]})(lambda weather: weather)
    with pytest.raises(BadTable, match="weather@1 has no column 'gate'"): airports.features.backfill(view)


@pytest.mark.parametrize("wrong, error, says", [
    ({"entity": []}, BadParameter, "at least one key column"),
    ({"ttl": "-1h"}, BadParameter, "ttl '-1h' is no span of time above 0"),
    ({"ttl": "soon"}, BadParameter, "ttl 'soon' is no span of time above 0"),
    ({"sources": {"../x": []}}, BadReference, "'../x' is no dataset"),
])
def test_declaration_that_cannot_be_is_refused(wrong: dict[str, Any], error: type[MLOpsError], says: str) -> None:
    declared: dict[str, Any] = {"entity": ["origin"], "event_time": "at", "sources": {}}
    with pytest.raises(error, match=says): feature_view(**declared | wrong)


def test_name_that_is_none_is_refused(ws: Workspace) -> None:
    with pytest.raises(NotFound, match="there is no feature view 'nosuch'; there is none yet"): ws.features["nosuch"]
    with pytest.raises(BadReference, match="/x' is no reference"): ws.features["../x"]
    assert ws.features.get("nosuch") is None and ws.features.list() == []


def test_changed_view_is_another_version(airports: Airports) -> None:
    "It is not served under the old number, nor compared with what the old one wrote."
    features = airports.features
    first = features.materialize(airports.view, until=at_hour(4))
    assert features.register(airports.view).ref == "airport@1" == first.view
    airports.write(CODE.replace("> 8", "> 5"))
    with pytest.raises(MLOpsError, match="has changed since airport@1 was registered"): features.parity("airport")
    assert features.register(airports.view).ref == "airport@2"
    with pytest.raises(NotFound, match="the online store has airport@1, and airport@2 is registered"):
        features.parity("airport")
    assert "airport@2" in features.freshness("airport", at=at_hour(4)).behind
    assert [version.ref for version in features.list("airport")] == ["airport@1", "airport@2"]
    assert [version.ref for version in features.search("owner = ada and sources = weather", limit=1)] == ["airport@1"]


def test_markup_in_a_view_is_text(airports: Airports) -> None:
    airports.write(CODE.replace('owner="ada"', 'owner="<script>"'))
    version = airports.features.register(airports.view)
    page = airports.features._repr_html_() + version._repr_html_()
    assert "<script>" not in page and page.count("&lt;script&gt;") == 2


def test_lineage_names_the_columns_that_a_feature_is_made_from(airports: Airports) -> None:
    lineage = airports.features.lineage(airports.view)
    strong = {"strong": ("weather.wind",), "seen": ()}
    assert lineage == {"wind": ("weather.wind",), "sky": ("weather.sky",)} | strong


def test_lineage_of_a_function_that_cannot_do_without_a_column(airports: Airports) -> None:
    "Whatever it raises, all of its features are made from that column."
    def ratios(weather: pd.DataFrame) -> pd.DataFrame:
        share = 1 / int(weather.wind.notna().sum())
        return weather[["origin", "at"]].assign(share=share, clear=weather.sky == "clear")
    sources = {"weather": ["origin", "at", "wind", "sky"]}
    view = feature_view(entity=["origin"], event_time="at", sources=sources)(ratios)
    assert airports.features.lineage(view) == {
        "share": ("weather.wind",), "clear": ("weather.wind", "weather.sky")}
