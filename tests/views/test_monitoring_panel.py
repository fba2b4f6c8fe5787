"The monitoring panel in JupyterLab, in Chromium."
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_nb.monitoring.monitors import Monitor
from support import wait_for

if TYPE_CHECKING:
    from .conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_drift_is_drawn(lab: Lab) -> None:
    panel = lab.output(1)
    panel.get_by_text("Monitoring of tumour@production").wait_for()
    panel.locator(".js-plotly-plot .bars path").first.wait_for()
    assert panel.get_by_text("Drift by feature (PSI)").first.is_visible()


def test_batch_without_labels_has_no_performance_yet(lab: Lab) -> None:
    lab.output(1).get_by_text("no labels have come yet").first.wait_for()


def test_check_button_checks_the_last_batch(lab: Lab) -> None:
    monitor = Monitor(lab.ws.home, "tumour")
    checked, panel = len(monitor.checks()), lab.output(1)
    panel.get_by_role("button", name="Check last batch").click()
    wait_for(lambda: len(monitor.checks()) == checked + 1, what="another check")
    panel.get_by_text("tumours@1: 0 breaches").first.wait_for()


def test_retraining_without_new_data_says_that_it_would_change_nothing(lab: Lab) -> None:
    runs, panel = len(lab.ws.runs.list("train")), lab.output(1)
    panel.get_by_role("button", name="Retrain").click()
    panel.get_by_text("training again would make the same model").first.wait_for()
    assert len(lab.ws.runs.list("train")) == runs
