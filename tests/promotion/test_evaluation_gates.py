"Each gate on evaluations, where it passes, where it fails and where it cannot tell; on real runs of the workflows."
from __future__ import annotations

from typing import Any

import pytest

from mlops_nb.base.project import Home
from promotion_support import ask, register_small


@pytest.mark.slow
@pytest.mark.parametrize("gate, options, outcomes", [
    ("beats_base_rate", {}, ("pass", "pass")),
    ("better_than_champion", {}, ("pass", "pass")),
    ("better_than_champion", {"margin": 10.0}, ("pass", "fail")),
    ("no_slice_worse", {}, ("pass", "pass")),
    ("no_slice_collapses", {}, ("pass", "pass")),
    ("absolute_floor", {"roc_auc": 0.9}, ("pass", "pass")),
    ("absolute_floor", {"roc_auc": 0.999}, ("fail", "fail")),
    ("absolute_floor", {"log_loss": 0.3}, ("fail", "pass")),
    ("absolute_floor", {}, ("inconclusive", "inconclusive")),
    ("absolute_floor", {"fame": 1}, ("inconclusive", "inconclusive")),
    ("calibrated", {"at_most": 0.2}, ("fail", "pass")),
    ("calibrated", {"at_most": 0.001}, ("fail", "fail")),
])
def test_weak_champion_and_better_candidate(
    two: Home, gate: str, options: dict[str, Any], outcomes: tuple[str, str],
) -> None:
    weak, better = (ask(two, reference, gate, **options) for reference in ("tumour@1", "tumour@2"))
    assert (weak.outcome, better.outcome) == outcomes


@pytest.mark.parametrize("gate", ["beats_base_rate", "no_slice_collapses", "absolute_floor", "calibrated"])
def test_version_that_was_not_evaluated_does_not_pass(home: Home, gate: str) -> None:
    register_small(home, 2)
    finding = ask(home, "m@1", gate, **({"roc_auc": 0.5} if gate == "absolute_floor" else {}))
    assert finding.outcome == "inconclusive"
    assert finding.message == "m@1 was not evaluated yet: run evaluate.ipynb with model=m@1"
