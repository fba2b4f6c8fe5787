"Comparisons and listings that show themselves, in JupyterLab, in Chromium."
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_click_on_a_column_shows_its_distributions(lab: Lab) -> None:
    panel = lab.output(2)
    panel.get_by_text("of 31 columns drifted").wait_for()
    listed = panel.locator("select")
    words = listed.locator("option").nth(3).inner_text().split()
    column = " ".join(words[1:words.index("PSI")])
    listed.select_option(index=3)
    panel.locator(".gtitle").get_by_text(column, exact=True).wait_for()
    assert panel.locator("caption").get_by_text(column).is_visible()
    assert panel.get_by_text("Kolmogorov-Smirnov").first.is_visible()


def test_datasets_unfold_to_their_versions(lab: Lab) -> None:
    opened = lab.output(3).locator("details").filter(has_text="tumours").first
    opened.locator("summary").click()
    opened.get_by_text("tumours@1").first.wait_for()


def test_comparison_shows_itself_and_unfolds_by_column(lab: Lab) -> None:
    opened = lab.output(4).locator("details").filter(has_text="PSI").last
    opened.locator("summary").click()
    opened.get_by_text("Wasserstein").first.wait_for()
