"The panels as a person meets them: in JupyterLab, in Chromium, with the real state behind."
import signal
import socket
import subprocess
import sys
import urllib.request

import nbformat
import pytest

from support import wait_for
from mlops_nb.promotion.policies import Policy
from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HOSTILE = "<img src=x onerror=\"document.title='broken into'\">"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    "A workspace with an evaluated model and a checked batch, and JupyterLab on it."
    folder = tmp_path_factory.mktemp("lab")
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    ws.runs.run(workflow("train"), {"register_as": "tumour"})
    ws.runs.run(workflow("evaluate"), {"model": "tumour@1"})
    ws.models.promote("tumour@1")
    ws.runs.run(workflow("score"), {"model": "tumour@production", "data": "tumours"})
    ws.monitors["tumour"].check()
    ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": 2})
    ws.runs.run(workflow("evaluate"), {"model": "tumour@2"})
    cells = [nbformat.v4.new_code_cell("from mlops_nb import Workspace\nws = Workspace()\nws.promotion_panel('tumour')"), nbformat.v4.new_code_cell("ws.monitoring_panel('tumour')"),
             nbformat.v4.new_code_cell("from mlops_nb.data.comparisons import compare_profiles\nfrom mlops_nb.data.profiles import profile\nrows = ws.datasets['tumours'].read()\ncomparison = compare_profiles(profile(rows.head(300)), profile(rows.tail(200) * 1.5))\nws.comparison_panel(comparison)"), nbformat.v4.new_code_cell("ws.datasets"), nbformat.v4.new_code_cell("comparison")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}), folder / "panels.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "lab.log").open("w")
    process = subprocess.Popen([sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=t", f"--ServerApp.root_dir={folder}"], stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    def up() -> bool:
        try: return urllib.request.urlopen(f"{url}/api?token=t", timeout=2).status == 200
        except OSError: return False
    try:
        wait_for(up, 60, "JupyterLab")
        yield ws, f"{url}/lab/tree/panels.ipynb?token=t"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_panels_show_the_state_and_act_by_the_gates(lab, chromium):
    ws, url = lab
    page = chromium.new_page(viewport={"width": 1400, "height": 1600})
    page.set_default_timeout(60_000)
    page.goto(url)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.get_by_text("(ipykernel) | Idle").first.wait_for()  # the kernel is there
    page.get_by_role("menuitem", name="Run").first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_text("Promotion of tumour").first.wait_for()
    page.locator(".widget-dropdown select").first.select_option("tumour@2")
    page.get_by_placeholder("why, for the audit trail").fill(HOSTILE)
    page.get_by_role("button", name="Promote").click()
    page.get_by_text("tumour@2 is not promoted to production").first.wait_for()  # the weaker one, with the gate's reason
    assert ws.models["tumour@production"].version == 1
    gate = page.locator("details").filter(has_text="better than champion").first
    gate.locator("summary").click()
    gate.locator("svg").first.wait_for()  # the evidence
    page.get_by_text(HOSTILE).first.wait_for()  # in the history, as text
    page.get_by_text("tumour@2", exact=False).first.wait_for()
    for part, inside in ("What changed in the notebook", "rounds"), ("Where it came from", "tumours@1"):
        page.get_by_text(part).first.click()
        page.locator(".widget-accordion, .jupyter-widget-accordion").locator("td, svg text").filter(has_text=inside).first.wait_for()
    page.screenshot(path=ws.root / "promotion.png", full_page=True)
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("somebody else has to approve it").first.wait_for()
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("rejected tumour@2 for production").first.wait_for()
    ws.models.describe("tumour", "what a biopsy says")
    ws.models.set_policy("tumour", Policy(approvals=3))  # from elsewhere, and the panel shows it
    page.get_by_text("its policy demands 3 approvals").first.wait_for()
    page.locator("input[list]").fill("staging")
    page.locator("input[list]").press("Tab")
    page.get_by_role("button", name="Promote").click()
    wait_for(lambda: ws.models.get("tumour@staging"), what="the alias staging")
    assert ws.models["tumour@staging"].version == 2 and page.title() != "broken into"
    page.get_by_text("Monitoring of tumour@production").scroll_into_view_if_needed()
    page.locator(".js-plotly-plot").first.wait_for()
    assert page.get_by_text("Drift by feature (PSI)").first.is_visible()
    page.screenshot(path=ws.root / "panels.png")
    comparison = page.locator(".jp-OutputArea-output").filter(has_text="31 columns moved").first
    comparison.scroll_into_view_if_needed()
    chosen = comparison.locator("select").first
    column = chosen.locator("option").nth(3).inner_text().split()[1:3]
    chosen.select_option(index=3)
    comparison.locator(".gtitle").filter(has_text=" ".join(column).split(" PSI")[0].split("   ")[0].split()[0]).first.wait_for()
    assert comparison.get_by_text("Kolmogorov-Smirnov").first.is_visible()
    page.screenshot(path=ws.root / "comparison.png")
    for what, inside in ("tumours@1", "Versions"), ("PSI", "Wasserstein"):
        opened = page.locator("details").filter(has_text=what).last
        opened.scroll_into_view_if_needed()
        opened.locator("summary").click()
        opened.get_by_text(inside).first.wait_for()
    page.screenshot(path=ws.root / "details.png")
