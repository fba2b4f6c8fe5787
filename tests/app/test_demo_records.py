"What the demo left behind: the trail, the model in production, the listings, the copies for W&B."
from __future__ import annotations

import json

import pytest

from app_support import Demo

pytestmark = pytest.mark.slow

KNOWN_LATER = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late"}  # than a flight is scheduled


def test_runs_are_listed_as_json(demo: Demo) -> None:
    runs = json.loads(demo.type("runs", "ls", "--json").stdout)
    assert {"id", "notebook", "status", "params", "metrics"} <= runs[0].keys()
    assert {"succeeded", "failed"} <= {run["status"] for run in runs}


def test_model_in_production_is_shown_as_json(demo: Demo) -> None:
    model = json.loads(demo.type("model", "show", "late-arrival@production", "--json").stdout)
    assert model["name"] == "late-arrival"
    assert "production" in model["aliases"]
    assert model["metrics"]["roc_auc"] > 0.6  # far from the 0.5 of a guess


@pytest.mark.parametrize("words", [
    ("data", "ls"), ("model", "ls"), ("model", "history", "late-arrival"), ("audit", "ls"),
    ("monitor", "ls", "late-arrival"),
], ids=" ".join)
def test_every_listing_has_entries(demo: Demo, words: tuple[str, ...]) -> None:
    assert len(json.loads(demo.type(*words, "--json").stdout)) > 0


def test_trail_verifies(demo: Demo) -> None: assert demo.type("audit", "verify").returncode == 0


def test_every_promotion_has_its_gates(demo: Demo) -> None:
    promotions = [event for event in demo.ws.models.history("late-arrival") if event.action == "promote"]
    assert promotions
    for event in promotions: assert {gate["outcome"] for gate in event.detail["gates"]} == {"pass"}


def test_production_is_what_the_trail_says(demo: Demo) -> None:
    event = demo.ws.models.alias_event_at("late-arrival")
    assert event is not None
    assert demo.ws.models["late-arrival@production"].version == event.detail["to"]


def test_features_never_hold_what_is_known_later(demo: Demo) -> None:
    model = demo.ws.models["late-arrival@production"].load()
    used = {*model.signature, *(column.name for column in model.encoding)}
    assert not KNOWN_LATER & used


def test_every_step_was_copied_for_wandb(demo: Demo) -> None:
    copied = [path.name for path in demo.ws.home.folder.glob("wandb/offline-run-*")]
    steps = [run.id for run in demo.ws.runs.search("status = succeeded") if run.step]
    assert [id for id in steps if not any(id in name for name in copied)] == []
