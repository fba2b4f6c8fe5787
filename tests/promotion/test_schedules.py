"Promotions that were asked for ahead: decided when they are due, by the policy of then."
from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mlops_nb.base.core import now
from mlops_nb.base.errors import BadParameter
from mlops_nb.base.project import Home
from mlops_nb.promotion.aliases import rollback
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote, promote_due
from mlops_nb.promotion.schedules import scheduled
from mlops_nb.registry.model_versions import Models
from promotion_support import register_small

HOUR = timedelta(hours=1)


@pytest.fixture
def waiting(home: Home) -> Home:
    "Two versions; the second is to be promoted in an hour."
    for rounds in 2, 3: register_small(home, rounds)
    Policies(home).set("m", Policy())
    promote(home, "m@2", at=now() + HOUR, comment="in the morning")
    return home


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    "Two hours from now."
    moment = now() + 2 * HOUR
    monkeypatch.setattr("mlops_nb.promotion.promotion.now", lambda: moment)


def test_time_is_told_with_its_zone_and_lies_ahead(waiting: Home) -> None:
    with pytest.raises(BadParameter, match="name the time zone"): promote(waiting, "m@1", at=datetime(2050, 1, 1))
    with pytest.raises(BadParameter, match="is past: leave it out to promote now"):
        promote(waiting, "m@1", at=now() - HOUR)
    with pytest.raises(BadParameter, match="an emergency does not wait"):
        promote(waiting, "m@1", at=now() + HOUR, override="quick")


def test_nothing_moves_before_its_time(waiting: Home) -> None:
    assert promote_due(waiting) == [] and Models(waiting).get("m@production") is None


def test_last_one_for_an_alias_counts(waiting: Home) -> None:
    assert not promote(waiting, "m@1", at=now() + HOUR).promoted
    assert [event.subject for event in scheduled(waiting)] == ["m@1"]


@pytest.mark.usefixtures("later")
def test_what_is_due_is_decided_once(waiting: Home) -> None:
    assert [(decision.candidate, decision.promoted) for decision in promote_due(waiting)] == [("m@2", True)]
    assert Models(waiting)["m@production"].version == 2
    assert scheduled(waiting) == [] == promote_due(waiting)


@pytest.mark.usefixtures("later")
def test_what_is_due_is_decided_by_the_policy_of_then(waiting: Home) -> None:
    Policies(waiting).set("m", Policy(approvals=1))
    decision, = promote_due(waiting)
    assert not decision.promoted and "0 of 1 approvals" in decision.reason
    assert decision.comment.endswith("in the morning") and scheduled(waiting) == []


def test_rollback_ends_what_waits(waiting: Home) -> None:
    third = register_small(waiting, 4).ref
    promote(waiting, "m@1")
    promote(waiting, third)
    assert [event.subject for event in scheduled(waiting, "m")] == ["m@2"]
    rollback(waiting, "m")
    assert scheduled(waiting, "m") == []
