"The demo's report and the pages of its notebooks, in a browser without a network."
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from app_support import Demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]
LOCAL = "file:", "data:", "blob:"


@pytest.fixture
def page(demo: Demo, chromium: Browser) -> Iterator[Page]:
    "The report; no script of it failed, and nothing was asked of a network, when a test is over."
    page = chromium.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((demo.folder / "report.html").as_uri())
    yield page
    assert errors == []
    assert [url for url in asked if not url.startswith(LOCAL)] == []
    page.close()


def test_report_draws_its_plots(page: Page) -> None:
    assert page.locator(".js-plotly-plot").count() >= 3
    assert page.get_by_text("What continuous training was worth").is_visible()


def test_report_leads_to_the_pages_of_the_notebooks(page: Page) -> None:
    page.locator("tr", has_text="evaluate").locator("a[href^='runs/']").first.click()
    page.locator("h1", has_text="evaluate").wait_for()
    assert page.locator(".js-plotly-plot").count() == 2
