"Moving an alias: by its policy or past it, never over somebody else's move, and back."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.base.errors import BadReference, NotFound, Refused
from mlops_nb.base.project import Home
from mlops_nb.promotion import promotion
from mlops_nb.promotion.alias_history import alias_event_at, history
from mlops_nb.promotion.aliases import rollback
from mlops_nb.promotion.approvals import reject
from mlops_nb.promotion.decisions import Decision, RefusedByGates, decide
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote
from mlops_nb.registry.audit import Audit
from mlops_nb.registry.model_versions import Models, ModelVersion
from mlops_nb.registry.registration import register
from mlops_nb.runs.execution import Execution
from mlops_nb.runs.runs import Runs
from promotion_support import register_small


def test_refusal_is_on_the_trail_and_moves_nothing(home: Home) -> None:
    promote(home, register_small(home, 2).ref, to="staging")
    with pytest.raises(RefusedByGates, match=r"signature_holds failed: mean compactness: number \(sent: nothing\)"):
        promote(home, register_small(home, 2, columns=6).ref, to="staging")
    assert Models(home)["m@staging"].version == 1
    assert [event.action for event in history(home, "m")] == ["promote", "refuse"]


def test_alias_is_a_name_when_the_gates_are_asked_and_when_it_is_moved(home: Home) -> None:
    candidate = register_small(home, 2)
    with pytest.raises(BadReference, match="'To Day' is no alias"): decide(home, candidate, "To Day")
    with pytest.raises(BadReference, match="'To Day' is no alias"): promote(home, candidate.ref, to="To Day")


def test_candidate_takes_the_path_that_the_policy_names(home: Home) -> None:
    candidate = register_small(home, 2)
    Policies(home).set("m", Policy(comes_from="staging"))
    with pytest.raises(RefusedByGates, match="m@1 is not staging: promote it to staging first"):
        promote(home, candidate.ref)
    promote(home, candidate.ref, to="staging")
    assert promote(home, candidate.ref).promoted


def test_holder_of_the_alias_is_not_promoted_again(home: Home) -> None:
    candidate = register_small(home, 2)
    for reason in "its one gate passed", "it is staging already":
        assert promote(home, candidate.ref, to="staging").reason == reason
    assert len(history(home, "m")) == 1


def _meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    "Let something happen between the gates' answer and the move."
    def slow(home: Home, candidate: ModelVersion, alias: str, *, expensive: bool = True) -> Decision:
        decision = decide(home, candidate, alias, expensive=expensive)
        monkeypatch.undo()
        happens()
        return decision
    monkeypatch.setattr(promotion, "decide", slow)


def test_alias_that_somebody_moved_meanwhile_is_not_overwritten(
    home: Home, monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, third = (register_small(home, rounds) for rounds in (2, 3, 4))
    promote(home, first.ref, to="staging")
    _meanwhile(monkeypatch, lambda: promote(Home(home.root), third.ref, to="staging"))
    with pytest.raises(Refused, match="m@staging was moved to version 3 by somebody else meanwhile"):
        promote(home, second.ref, to="staging")
    assert Models(home)["m@staging"].version == 3
    assert Audit(home).verify() == 5


def test_policy_that_was_changed_meanwhile_decides_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = register_small(home, 2)
    Policies(home).set("m", Policy())
    _meanwhile(monkeypatch, lambda: Policies(home).set("m", Policy(approvals=1)))
    with pytest.raises(Refused, match="the policy of m@production was changed while the gates were asked"):
        promote(home, candidate.ref)
    assert Models(home).get("m@production") is None


def test_rejection_that_came_meanwhile_is_heard(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = register_small(home, 2)
    Policies(home).set("m", Policy())
    _meanwhile(monkeypatch, lambda: reject(home, candidate.ref, comment="wait"))
    with pytest.raises(Refused, match="m@1 was rejected for production while the gates were asked"):
        promote(home, candidate.ref)


def test_version_that_was_deleted_meanwhile_gets_no_alias(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_nb.registry.registration import delete
    candidate = register_small(home, 2)
    Policies(home).set("m", Policy())
    _meanwhile(monkeypatch, lambda: delete(home, candidate.ref))
    with pytest.raises(Refused, match="m@1 was deleted meanwhile"): promote(home, candidate.ref)


@pytest.fixture
def strict(home: Home) -> Home:
    "Two versions, and a policy that neither meets."
    for rounds in 2, 3: register_small(home, rounds)
    Policies(home).set("m", Policy(gates={"absolute_floor": {"roc_auc": 0.9}}, approvals=1))
    return home


def test_override_without_a_reason_is_none(strict: Home) -> None:
    with pytest.raises(RefusedByGates, match="0 of 1 approvals"): promote(strict, "m@1", override="  ")


def test_emergency_passes_the_gates_and_shows_for_ever(strict: Home) -> None:
    for reference in "m@1", "m@2":
        assert promote(strict, reference, override="prices went wild at night").promoted
    event = alias_event_at(strict, "m", "production")
    assert event is not None
    outcomes = {gate["gate"]: gate["outcome"] for gate in event.detail["gates"]}
    assert (event.action, event.detail["reason"]) == ("override", "prices went wild at night")
    assert outcomes == {"approvals": "fail", "absolute_floor": "inconclusive"}
    assert rollback(strict, "m").version == 1
    assert [event.action for event in history(strict, "m")] == ["policy", "override", "override", "rollback"]


def test_rollback_goes_back_step_by_step_and_no_further(home: Home) -> None:
    for rounds in 2, 3, 4: promote(home, register_small(home, rounds).ref, to="staging")
    assert [rollback(home, "m", "staging").version for _ in range(2)] == [2, 1]
    with pytest.raises(NotFound, match="m@staging never pointed to another version than 1"):
        rollback(home, "m", "staging")


@pytest.mark.slow
def test_history_tells_who_put_what_there_and_on_what_evidence(
    home: Home, cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for rounds in 2, 3:
        promote(home, register_small(home, rounds).ref, to="staging", comment=f"round {rounds}")
    first = history(home, "m", actions=("promote",))[0]
    done = cli("model", "history", "m", "--alias", "staging", "--at", first.time)
    assert done.returncode == 0, done.stderr
    for part in f"m@1 was staging, by promote of {first.actor}", "round 2", "signature": assert part in done.stdout
    done = cli("model", "history", "m", "--alias", "staging", "--at", "2001-01-01T00:00+00:00")
    assert "pointed to no version" in done.stderr


RESTLESS = """
from dataclasses import replace
import numpy as np
from mlops_nb import Workspace, current_run
from mlops_nb.features.transforms import identity
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import prepare
run, ws = current_run(), Workspace()
dataset = run.use('tumours')
rows = dataset.read()
data = prepare(rows, 'benign', identity, held_out=np.random.rand(len(rows)) < 0.25)
run.save('model', pack(fit(data, rounds=40, trained_on=(dataset.ref,), num_threads=1), ws.artifacts))
"""


@pytest.mark.slow
def test_version_is_promoted_when_it_is_evaluated_and_reproducible(home: Home) -> None:
    runs = Runs(Execution(home))
    runs.run(workflow("train"), {"register_as": "tumour"})
    with pytest.raises(RefusedByGates, match="beats_base_rate is inconclusive: tumour@1 was not evaluated yet"):
        promote(home, "tumour@1")
    runs.run(workflow("evaluate"), {"model": "tumour@1"})
    assert {finding.outcome for finding in promote(home, "tumour@1").findings} == {"pass"}


@pytest.mark.slow
def test_training_that_draws_without_a_seed_is_stopped(two: Home, write_notebook: Callable[..., Path]) -> None:
    runs = Runs(Execution(two))
    version = register(two, "restless", runs.run(write_notebook("restless.ipynb", RESTLESS)))
    runs.run(workflow("evaluate"), {"model": version.ref})
    reason = "made another model; nothing that was recorded is different, so the notebook draws numbers without a seed"
    with pytest.raises(RefusedByGates, match=f"reproducible failed: .*{reason}"): promote(two, version.ref)
