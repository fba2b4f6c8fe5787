"One JupyterLab on one workspace, and one page of it in Chromium, for all tests of the panels."
from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace
from mlops_nb.monitoring.monitors import Monitor
from mlops_nb.promotion.promotion import promote
from support import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CELLS = (
    "from mlops_nb import Workspace\nws = Workspace()\nws.promotion_panel('tumour')",
    "ws.monitoring_panel('tumour')",
    """from mlops_nb.data.comparisons import compare_profiles
from mlops_nb.data.profiles import profile
rows = ws.datasets['tumours'].read()
comparison = compare_profiles(profile(rows.head(300)), profile(rows.tail(200) * 1.5))
ws.comparison_panel(comparison)""",
    "ws.datasets",
    "comparison",
)
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
START_LIMIT_S = 120  # JupyterLab and its kernel, on a machine that is busy


@dataclass(frozen=True, kw_only=True)
class Lab:
    "A workspace, and a notebook whose cells show it and have run."
    ws: Workspace
    page: Page

    def output(self, position: int) -> Locator:
        "What a cell shows."
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(position)
        cell.scroll_into_view_if_needed()
        return cell.locator(".jp-Cell-outputArea")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    "Two evaluated versions, the first in production past the gates, with a checked batch."
    folder = tmp_path_factory.mktemp("lab")
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    for version, rounds in (1, 30), (2, 2):
        ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": rounds})
        ws.runs.run(workflow("evaluate"), {"model": f"tumour@{version}"})
        if version == 1: promote(ws.home, "tumour@1", override="there has to be a first one")
    ws.runs.run(workflow("score"), {"model": "tumour@production", "data": "tumours"})
    Monitor(ws.home, "tumour").check()
    return ws


@pytest.fixture(scope="session")
def lab_url(workspace: Workspace) -> Iterator[str]:
    "JupyterLab on the workspace's folder, opened at a notebook with the panels."
    folder = workspace.home.root
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC}), folder / "panels.ipynb")
    url = f"http://127.0.0.1:{free_port()}"
    process = start_lab(folder, url.rpartition(":")[2])
    try:
        wait_for(lambda: answers(f"{url}/api?token=t"), START_LIMIT_S, "JupyterLab")
        yield f"{url}/lab/tree/panels.ipynb?token=t"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="session")
def lab(workspace: Workspace, lab_url: str, chromium: Browser) -> Lab:
    "The notebook in Chromium, its cells run."
    page = chromium.new_page(viewport={"width": 1400, "height": 1600})
    page.set_default_timeout(60_000)
    page.goto(lab_url, timeout=START_LIMIT_S * 1000)
    page.get_by_text("(ipykernel) | Idle").first.wait_for(timeout=START_LIMIT_S * 1000)
    page.get_by_role("menuitem", name="Run").first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_text("Promotion of tumour").first.wait_for()
    return Lab(ws=workspace, page=page)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_lab(folder: Path, port: str) -> subprocess.Popen[bytes]:
    options = (
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=t",
        f"--ServerApp.root_dir={folder}")
    with (folder / "lab.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log, start_new_session=True)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer: return answer.status == 200
    except OSError: return False
