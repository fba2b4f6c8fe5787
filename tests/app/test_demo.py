"The demo as a person meets it: interrupted, taken up, finished; then what it left is looked at by every command."
import json, signal, subprocess
from pathlib import Path

import pytest

from support import command, start
from mlops_nb.app.workspace import Workspace

pytestmark = pytest.mark.slow


def run(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess, subprocess.CompletedProcess]:
    "A quick demo that was interrupted after its first steps and called again; a second one tried beside it."
    folder = tmp_path_factory.mktemp("demo")
    first = start("demo", "--quick", "--dir", "here", cwd=folder, stdout=subprocess.PIPE, text=True)
    for line in first.stdout:
        if "validate flights" in line: break
    beside = run(folder, "demo", "--quick", "--dir", "here")
    first.send_signal(signal.SIGINT)
    first.stdout.read()
    assert first.wait(60) == 130
    again = run(folder, "demo", "--quick", "--dir", "here")
    return folder / "here", beside, again


def test_second_demo_in_the_folder_is_told_who_is_at_work(lived):
    _, beside, _ = lived
    assert (beside.returncode, len(beside.stderr.strip().splitlines())) == (1, 1)
    assert "another demo (process" in beside.stderr


def test_interrupted_demo_is_taken_up(lived):
    folder, _, again = lived
    assert again.returncode == 0, again.stdout + again.stderr
    assert "kept" in again.stdout and "ROC AUC by month" in again.stdout and "mlops-nb runs ls" in again.stdout
    steps = [r.step for r in Workspace(folder).runs.search("status = succeeded") if r.step]
    assert len(steps) == len(set(steps))


def test_other_size_in_the_folder_is_refused(lived):
    done = run(lived[0], "demo", "--dir", ".")
    assert (done.returncode, "holds a quick demo" in done.stderr) == (2, True)


def test_broken_copy_is_refused_with_a_line_for_each_breach(lived):
    out = lived[2].stdout + "".join(lived[1].stdout)
    for words in "dest", "carrier", "distance": assert any(line.strip().startswith(f"refused: {words}") for line in out.splitlines()), out


def test_listings_speak_json(lived):
    folder = lived[0]
    runs = json.loads(run(folder, "runs", "ls", "--json").stdout)
    assert {"id", "notebook", "status", "params", "metrics"} <= runs[0].keys() and {"succeeded", "failed"} <= {r["status"] for r in runs}
    model = json.loads(run(folder, "model", "show", "late-arrival@production", "--json").stdout)
    assert model["name"] == "late-arrival" and "production" in model["aliases"] and model["metrics"]["roc_auc"] > 0.6
    for words in ("data", "ls"), ("model", "ls"), ("model", "history", "late-arrival"), ("audit", "ls"), ("monitor", "ls", "late-arrival"):
        assert json.loads(run(folder, *words, "--json").stdout), words


def test_trail_verifies_and_every_promotion_has_its_gates(lived):
    assert run(lived[0], "audit", "verify").returncode == 0
    promotions = [event for event in Workspace(lived[0]).models.history("late-arrival") if event.action == "promote"]
    assert promotions and all({gate["outcome"] for gate in event.detail["gates"]} == {"pass"} for event in promotions)


def test_production_is_what_the_trail_says(lived):
    ws = Workspace(lived[0])
    last = ws.models.placed("late-arrival", "production").detail["to"]
    assert ws.models["late-arrival@production"].version == last


def test_features_never_hold_what_is_known_later(lived):
    model = Workspace(lived[0]).models["late-arrival@production"].load()
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late"} & {*model.signature, *(column.name for column in model.encoding)}


def test_every_run_was_mirrored_to_wandb(lived):
    ws = Workspace(lived[0])
    mirrored = {path.name for path in ws.home.folder.glob("wandb/offline-run-*")}
    steps = [r.id for r in ws.runs.search("status = succeeded") if r.step]
    assert [id for id in steps if not any(id in name for name in mirrored)] == []


@pytest.mark.browser
def test_report_and_pages_open_without_a_network(lived, chromium):
    page = chromium.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((lived[0] / "report.html").as_uri())
    assert page.locator(".js-plotly-plot").count() >= 3
    assert page.get_by_text("What continuous training was worth").is_visible()
    page.locator("tr", has_text="evaluate").locator("a[href^='runs/']").first.click()
    page.locator("h1", has_text="evaluate").wait_for()
    assert page.locator(".js-plotly-plot").count() == 2
    assert errors == [] and [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
