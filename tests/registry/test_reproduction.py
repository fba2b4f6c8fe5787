"A version reproduced from its record: here, from the command line, and where only its recorded packages are."
from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import nbformat
import numpy as np
import pandas as pd
import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import Refused
from mlops_nb.registry.audit import Audit
from mlops_nb.registry.registration import register
from mlops_nb.registry.reproduction import latest_reproduction, reproduce
from mlops_nb.runs.environment import Environment
from mlops_nb.runs.run import begin_run
from support import command

TRANSFORM = """
from mlops_nb.features.transforms import transform

@transform(weather='weather')
def with_weather(rows, weather):
    joined = rows.merge(weather, on='hour', how='left').set_index(rows.index)
    return joined[['gate', 'temp']].assign(windy=joined.wind > LIMIT)
"""
PARAMETERS = "data: str = 'flights'\nrounds: int = 5\nregister_as: str = ''"
LEARN = """
import numpy as np
from mlops_nb import Workspace, current_run
from mlops_nb.features.transforms import JoinedTables, load_transform
from mlops_nb.models.training import fit, pack, prepare
run, ws = current_run(), Workspace()
function = load_transform('winds:with_weather', ws.root)
rows = run.use(data).read()
prepared = prepare(rows, 'late', function, JoinedTables(run.use).of(function), np.arange(len(rows)) % 4 == 0)
model = fit(prepared, rounds=rounds, trained_on=('flights@1', 'weather@1'), num_threads=1)
run.save('model', pack(model, ws.artifacts))
if register_as: ws.models.register(register_as, run)
"""


def _write_transform(ws: Workspace, limit: int) -> None:
    (ws.root / "winds.py").write_text(TRANSFORM.replace("LIMIT", str(limit)))


def _add_flights(ws: Workspace, seed: int) -> None:
    "The next version of the flights, and of the weather that they are joined with."
    rng = np.random.default_rng(seed)
    weather = {"hour": range(100), "temp": rng.normal(size=100), "wind": rng.uniform(0, 20, 100)}
    hours, gates = rng.integers(0, 100, 400), rng.choice(["A", "B"], 400)
    ws.datasets.add("weather", pd.DataFrame(weather))
    ws.datasets.add("flights", pd.DataFrame({"hour": hours, "gate": gates, "late": rng.random(400) < 0.4}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    "A model of flights and weather, trained by a notebook that registered it; both have newer versions since."
    folder = tmp_path_factory.mktemp("reproduction")
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    _write_transform(ws, limit=10)
    _add_flights(ws, seed=0)
    cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(LEARN)]
    kernelspec = {"name": "python3", "display_name": "python3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, folder / "learn.ipynb")
    ws.runs.execute(folder / "learn.ipynb", register_as="late")
    _add_flights(ws, seed=1)
    return ws


@pytest.fixture
def reproduce_command(trained: Workspace) -> Callable[[], subprocess.CompletedProcess[str]]:
    def run() -> subprocess.CompletedProcess[str]:
        words = command("model", "reproduce", "late")
        return subprocess.run(words, cwd=trained.root, capture_output=True, text=True, timeout=120)
    return run


def test_version_is_reproduced_by_the_data_it_read_and_registers_nothing(trained: Workspace) -> None:
    reproduction = reproduce(trained, "late@1")
    assert reproduction.same and "1 output equal to the byte" in reproduction.explained
    repeated = trained.runs[reproduction.repeated]
    assert repeated.inputs == ("flights@1", "weather@1") == trained.models["late@1"].trained_on
    assert [version.ref for version in trained.models.list()] == ["late@1"] and Audit(trained).verify() == 1


def test_latest_reproduction_is_found_without_another(trained: Workspace) -> None:
    made = reproduce(trained, "late@1")
    assert latest_reproduction(trained, trained.models["late@1"]) == made


def test_command_succeeds_when_every_output_is_equal(
    reproduce_command: Callable[[], subprocess.CompletedProcess[str]],
) -> None:
    done = reproduce_command()
    assert done.returncode == 0, done.stderr
    assert "1 output equal to the byte" in done.stdout


def test_command_fails_and_explains_a_difference(
    trained: Workspace, reproduce_command: Callable[[], subprocess.CompletedProcess[str]],
) -> None:
    _write_transform(trained, limit=11)
    done = reproduce_command()
    _write_transform(trained, limit=10)
    assert done.returncode == 1
    changed = "made another model; the code: winds:with_weather is made from another source now"
    assert changed in done.stdout


def test_run_without_a_notebook_cannot_be_repeated(trained: Workspace) -> None:
    run = begin_run(trained, "by hand")
    run.save("model", trained.runs[trained.models["late@1"].run_id].output("model").read_bytes() + b" ")
    register(trained, "hand", run)
    with pytest.raises(Refused, match="recorded no notebook source"): reproduce(trained, "hand")


def _lock(ws: Workspace, reference: str) -> Environment:
    lock = ws.models[reference].lock()
    assert lock is not None
    return lock


@pytest.mark.slow
def test_version_is_reproduced_in_a_clean_environment(trained: Workspace) -> None:
    "Every recorded package in its recorded version, installed from the registry; nothing of this environment."
    reproduction = reproduce(trained, "late@1", in_clean_env=True)
    assert reproduction.same, reproduction.explained
    digest = trained.runs[reproduction.repeated].environment
    assert digest is not None
    installed = json.loads(trained.artifacts.bytes(digest))["packages"]
    assert installed == _lock(trained, "late@1")["packages"]
