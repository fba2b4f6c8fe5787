"A version's card has what people wrote and what the workspace knows."
from __future__ import annotations

import pytest

from mlops_nb.base.project import Home
from mlops_nb.promotion.cards import model_card
from mlops_nb.registry.registration import describe
from promotion_support import register_small


@pytest.mark.slow
def test_card_has_what_was_written_seen_and_measured(two: Home) -> None:
    describe(two, "tumour", description="malignant or benign", limitations="one hospital")
    card = model_card(two, "tumour@2")
    assert card.startswith("# tumour@2\n\nmalignant or benign\n\n*binary, registered by ")
    assert "## Limitations\n\none hospital" in card
    for part in "| mean radius | number |", "## Evaluated on tumours@1", "| roc_auc |": assert part in card, part


def test_card_of_a_version_that_nobody_described_or_evaluated(home: Home) -> None:
    register_small(home, 2)
    card = model_card(home, "m")
    assert "Nobody has said what it is for." in card and "no recorded dataset, by run" in card
    assert "## Evaluated" not in card and "## Goes by\n\n- mean" in card
