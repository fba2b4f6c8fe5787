"The promotion panel as a person meets it: in JupyterLab, in Chromium, with the real state behind."
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_nb.promotion.alias_history import history
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote
from mlops_nb.registry.model_versions import Models
from support import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from .conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HOSTILE = "<img src=x onerror=\"document.title='broken into'\">"


def choose(lab: Lab, *, candidate: str, alias: str, comment: str = "") -> Locator:
    "Fill in what is asked for; the panel."
    panel = lab.output(0)
    panel.locator(".widget-dropdown select").select_option(candidate)
    typed = panel.locator("input[list]")
    typed.fill(alias)
    typed.press("Tab")
    panel.get_by_text(f"{alias} is").first.wait_for()
    why = panel.get_by_placeholder("why, for the audit trail")
    why.fill(comment)
    why.press("Tab")
    lab.page.get_by_text("(ipykernel) | Idle").first.wait_for()
    return panel


def test_gates_refuse_a_weaker_version_and_show_why(lab: Lab) -> None:
    panel = choose(lab, candidate="tumour@2", alias="production")
    panel.get_by_role("button", name="Promote").click()
    panel.get_by_text("tumour@2 is not promoted to production").first.wait_for()
    gate = panel.locator("details").filter(has_text="better than champion").first
    gate.locator("summary").click()
    gate.locator("svg").first.wait_for()
    assert Models(lab.ws.home)["tumour@production"].version == 1


def test_asking_the_gates_changes_nothing(lab: Lab) -> None:
    panel, events = choose(lab, candidate="tumour@2", alias="production"), history(lab.ws.home, "tumour")
    panel.get_by_role("button", name="Ask the gates").click()
    panel.get_by_text("tumour@2 may not be promoted to production").first.wait_for()
    assert len(history(lab.ws.home, "tumour")) == len(events)


def test_hostile_comment_is_text_in_the_history(lab: Lab) -> None:
    panel = choose(lab, candidate="tumour@2", alias="shadow", comment=HOSTILE)
    panel.get_by_role("button", name="Promote").click()
    panel.get_by_text("tumour@2 is shadow").first.wait_for()
    panel.get_by_text(HOSTILE).first.wait_for()
    assert lab.page.title() != "broken into"


def test_version_past_the_gates_is_marked(lab: Lab) -> None:
    panel = choose(lab, candidate="tumour@2", alias="production")
    panel.get_by_text("promoted past the gates").first.wait_for()


@pytest.mark.parametrize(("part", "inside"), [
    ("Candidate beside champion", "log loss"),
    ("What changed in the notebook", "rounds"),
    ("Where it came from", "tumours@1"),
])
def test_parts_unfold_and_say_where_a_candidate_differs(lab: Lab, part: str, inside: str) -> None:
    panel = choose(lab, candidate="tumour@2", alias="production")
    fold = panel.locator(".jupyter-widget-Collapse").filter(has_text=part)
    if "Collapse-open" not in (fold.get_attribute("class") or ""): fold.get_by_text(part).click()
    fold.locator("td, svg text").filter(has_text=inside).first.wait_for()


def test_author_cannot_approve(lab: Lab) -> None:
    panel = choose(lab, candidate="tumour@2", alias="production")
    panel.get_by_role("button", name="Approve").click()
    panel.get_by_text("somebody else has to approve it").first.wait_for()


def test_rejection_is_an_event(lab: Lab) -> None:
    panel = choose(lab, candidate="tumour@2", alias="candidate", comment="too few rounds")
    panel.get_by_role("button", name="Reject").click()
    panel.get_by_text("rejected tumour@2 for candidate").first.wait_for()
    last = history(lab.ws.home, "tumour", "candidate")[-1]
    assert (last.action, last.detail["comment"]) == ("reject", "too few rounds")


def test_policy_that_is_set_elsewhere_shows_by_itself(lab: Lab) -> None:
    panel = choose(lab, candidate="tumour@2", alias="challenger")
    panel.get_by_text("its policy demands 1 gate").first.wait_for()
    Policies(lab.ws.home).set("tumour", Policy(approvals=3), alias="challenger")
    panel.get_by_text("its policy demands 3 approvals").first.wait_for()


def test_promote_and_roll_back_move_the_alias(lab: Lab) -> None:
    models = Models(lab.ws.home)
    promote(lab.ws.home, "tumour@1", to="staging")
    panel = choose(lab, candidate="tumour@2", alias="staging")
    panel.get_by_role("button", name="Promote").click()
    wait_for(lambda: models["tumour@staging"].version == 2, what="version 2 in staging")
    panel.get_by_role("button", name="Roll back").click()
    panel.get_by_text("tumour@1 is staging again").first.wait_for()
    assert models["tumour@staging"].version == 1
