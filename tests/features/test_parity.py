"Offline, batch and online say the same, and where they do not it is found; the gate that asks; the commands."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from airports import Airports, at_hour
from mlops_nb.promotion.data_gates import feature_parity
from mlops_nb.promotion.gates import Case, run_gates
from mlops_nb.registry.model_versions import ModelVersion
from mlops_nb.runs.run import begin_run

NOW = at_hour(4)


def write_other_wind(airports: Airports) -> None:
    "Change the last bit of JFK's wind in the online store, and lose EWR."
    store = airports.features.online
    there = store.view("airport")
    assert there and there.newest_us
    store.write(there, [(["JFK"], there.newest_us, [12.000000000000002, None, True, None])])


def test_three_ways_agree(airports: Airports) -> None:
    airports.features.materialize(airports.view, until=NOW)
    parity = airports.features.parity("airport")
    assert parity.ok and (parity.keys, parity.values, parity.views) == (3, 12, ("airport@1",))
    assert airports.ws.datasets["features-airport"].parents == ("weather@1",)


def test_newer_rows_do_not_blur_what_was_materialized(airports: Airports) -> None:
    airports.features.materialize(airports.view, until=NOW)
    airports.ws.datasets.add("weather", airports.ws.datasets["weather"].read().assign(wind=1.0))
    assert airports.features.parity("airport").ok
    assert airports.features.freshness("airport", at=NOW).behind == ("weather@2",)


def test_difference_is_found_to_the_last_bit(airports: Airports) -> None:
    airports.features.materialize(airports.view, until=NOW)
    write_other_wind(airports)
    parity = airports.features.parity("airport")
    assert not parity.ok and {row["key"]["origin"] for row in parity.differences} == {"JFK", "EWR"}
    wind = [(row["offline"], row["batch"], row["online"]) for row in parity.differences if row["feature"] == "wind"]
    assert ("12.0", "12.0", "12.000000000000002") in wind


def test_kind_of_a_value_counts(airports: Airports) -> None:
    "1 and True are equal in Python, and are not the same answer."
    airports.features.materialize(airports.view, until=NOW)
    store = airports.features.online
    there, row = store.view("airport"), store.get("airport", {"origin": "JFK"})
    assert there and row.values and row.time_us
    wind, sky, strong, seen = row.values
    store.write(there, [(["JFK"], row.time_us, [wind, sky, int(strong is True), seen])])
    (different,) = [row for row in airports.features.parity("airport").differences if row["key"] == {"origin": "JFK"}]
    assert (different["feature"], different["offline"], different["online"]) == ("strong", "True", "1")


def test_gate_asks_for_the_views_that_a_model_learned_from(airports: Airports, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin_run(airports.ws.home, "a.ipynb")
    candidate = cast(ModelVersion, SimpleNamespace(run_id=run.id, ref="m@1"))
    case = Case(home=airports.ws.home, candidate=candidate, champion=None, evaluation=None)
    assert feature_parity(case).outcome == "pass"
    monkeypatch.setenv("MLOPS_RUN", run.id)
    airports.features.register(airports.view)
    spine = pd.DataFrame({"origin": ["JFK"], "t": [at_hour(3)]})
    airports.features.training_set(spine, ["airport"], time="t")
    monkeypatch.delenv("MLOPS_RUN")
    assert set(run.record.inputs) == {"weather@1", "airport@1"}
    (finding,) = run_gates({"feature_parity": {}}, case)
    assert finding.outcome == "inconclusive" and "features materialize airport" in finding.message
    airports.features.materialize("airport", until=NOW)
    same = "12 values of 3 keys of airport@1 are the same offline, in batch and online"
    finding = feature_parity(case)
    assert (finding.outcome, finding.message) == ("pass", same)
    write_other_wind(airports)
    assert feature_parity(case).outcome == "fail"


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_features_by_hand(airports: Airports, cli: Cli, cli_json: Callable[..., Any]) -> None:
    done = cli("features", "materialize", airports.view, "--until", "2013-01-01T04:00")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "airport@1: the values of 3 keys, known by 2013-01-01T04:00:00\n"
    assert [row["name"] for row in cli_json("features", "ls")] == ["airport"]
    assert "ada" in cli("features", "ls").stdout
    shown = cli_json("features", "show", "airport")
    assert shown["lineage"]["strong"] == ["weather.wind"] and shown["online"]["view"] == "airport@1"


@pytest.mark.slow
@pytest.mark.parametrize("words, says", [
    (("show", "nosuch"), "no feature view 'nosuch'"),
    (("materialize", "nosuch:f"), "feature view nosuch:f: No module named 'nosuch'"),
    (("materialize", "airport", "--until", "soon"), "--until 'soon' is no time"),
])
def test_command_that_cannot_be_is_one_line(cli: Cli, words: tuple[str, ...], says: str) -> None:
    done = cli("features", *words)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
