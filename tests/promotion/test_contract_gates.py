"What callers rely on: the columns that they send, and how soon the answer comes."
from __future__ import annotations

from typing import Any

import pytest

from mlops_nb.base.project import Home
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote
from promotion_support import ask, register_small


@pytest.mark.slow
@pytest.mark.parametrize("options, outcome", [
    ({"p99_ms": 2000.0}, "pass"),
    ({"p99_ms": 0.001}, "fail"),
    ({"p99_ms": 2000.0, "megabytes": 0.0001}, "fail"),
])
def test_candidate_is_as_fast_and_small_as_the_policy_wants(
    two: Home, options: dict[str, Any], outcome: str,
) -> None:
    assert [ask(two, reference, "fast_and_small", **options).outcome for reference in ("tumour@1", "tumour@2")] == [
        outcome, outcome]


def test_candidate_may_ask_for_less_but_not_for_more(home: Home) -> None:
    Policies(home).set("m", Policy())
    promote(home, register_small(home, 2, columns=5).ref)
    assert ask(home, register_small(home, 2, columns=4).ref, "signature_holds").outcome == "pass"
    finding = ask(home, register_small(home, 2, columns=6).ref, "signature_holds")
    assert (finding.outcome, finding.message) == ("fail", "mean compactness: number (sent: nothing)")
