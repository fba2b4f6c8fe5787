"Gates of a project's own: what they may do wrong, and how policies name them."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from mlops_nb.base.errors import NotFound
from mlops_nb.base.project import Home
from mlops_nb.promotion.decisions import RefusedByGates, decide
from mlops_nb.promotion.evidence_plots import Evidence
from mlops_nb.promotion.gates import Case, Finding, failed, find_gate, gate, inconclusive, passed
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote
from mlops_nb.registry.audit import Audit
from promotion_support import ask, register_small


@gate
def odd(case: Case) -> Finding:
    return passed("<script>", measured=[Evidence(name="x", value=1.0)], a=float("nan"), b={float("inf")})


@gate
def loud(case: Case) -> Finding: raise ZeroDivisionError("by nothing")


@gate  # pyright: ignore[reportArgumentType] - what somebody may write
def vague(case: Case) -> tuple[str, str]: return "perhaps", "who knows"


@gate
def wordy(case: Case) -> Finding:
    perhaps: Any = "perhaps"
    return Finding(outcome=perhaps, message="who knows", figures={})


@gate
def unsure(case: Case) -> Finding: return inconclusive("nobody measured it")


@gate
def sure(case: Case) -> Finding: return passed("fine")


@gate(expensive=True)
def long(case: Case) -> Finding: return failed("after an hour")


@pytest.mark.parametrize("name, message", [
    ("loud", "loud is inconclusive: the gate raised ZeroDivisionError: by nothing"),
    ("vague", r"vague is inconclusive: the gate answered \('perhaps', 'who knows'\), which is no finding"),
    ("wordy", "wordy is inconclusive: the gate answered 'perhaps', which is none of pass, fail, inconclusive"),
    ("unsure", "unsure is inconclusive: nobody measured it"),
])
def test_gate_that_cannot_tell_does_not_pass(home: Home, name: str, message: str) -> None:
    candidate = register_small(home, 2)
    Policies(home).set("m", Policy(gates={name: {}}))
    with pytest.raises(RefusedByGates, match=message): promote(home, candidate.ref)


def test_nonsense_figures_are_made_such_that_the_trail_holds_them(home: Home) -> None:
    candidate = register_small(home, 2)
    Policies(home).set("m", Policy(gates={"odd": {}}))
    assert promote(home, candidate.ref).promoted
    event = Audit(home).list("m", ("promote",))[0]
    assert event.detail["gates"][0]["figures"] == {"a": None, "b": "{inf}"}
    assert Audit(home).verify() == 3


def test_message_of_a_gate_is_escaped(home: Home) -> None:
    register_small(home, 2)
    page = ask(home, "m@1", "odd")._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_expensive_gates_are_asked_last_and_only_when_all_others_passed(home: Home) -> None:
    candidate = register_small(home, 2)
    outcomes = {}
    for other in "sure", "unsure":
        Policies(home).set("m", Policy(gates={"long": {}, other: {}}))
        findings = decide(home, candidate, "production").findings
        outcomes[other] = [(finding.gate, finding.outcome) for finding in findings]
    assert outcomes == {
        "sure": [("long", "fail"), ("sure", "pass")], "unsure": [("long", "not run"), ("unsure", "inconclusive")]}


def test_expensive_gate_that_was_not_asked_does_not_promote(home: Home) -> None:
    candidate = register_small(home, 2)
    Policies(home).set("m", Policy(gates={"long": {}}))
    decision = decide(home, candidate, "production", expensive=False)
    assert (decision.promoted, decision.reason) == (False, "long was not asked")


OWN = """
from mlops_nb.promotion.gates import failed, passed

def not_too_many(case, trees: int = 5):
    n = case.candidate.load().predictor.num_trees()
    return passed(f"{n} trees") if n <= trees else failed(f"{n} trees")
"""


@pytest.mark.slow
def test_project_names_a_gate_of_its_own_in_toml(
    home: Home, cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    (home.root / "housegates.py").write_text(OWN)
    register_small(home, 6)
    (home.root / "policy.toml").write_text('[gates."housegates:not_too_many"]\ntrees = 3\n')
    assert cli("model", "policy", "m", "--file", "policy.toml").returncode == 0
    done = cli("model", "promote", "m@1")
    assert done.returncode == 1 and "housegates:not_too_many failed: 6 trees" in done.stderr


def test_gate_that_cannot_be_imported_is_named(home: Home) -> None:
    with pytest.raises(NotFound, match="gate nosuch_module:gate: No module named 'nosuch_module'"):
        find_gate("nosuch_module:gate", root=str(home.root))


def test_gate_of_a_project_takes_the_place_of_a_built_in_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    built_in = find_gate("calibrated")
    def calibrated(case: Case) -> Finding: return passed("by our own measure")
    monkeypatch.setattr("mlops_nb.promotion.gates._gates", {"calibrated": built_in})
    assert find_gate(gate(calibrated).__name__) is calibrated
