"A version reproduced from its record: here, from the command line, and where only its recorded packages are."
from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import nbformat
import numpy as np
import pandas as pd
import pytest

from audit_support import home_at
from mlops_nb.base.errors import Refused
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.registry.audit import Audit
from mlops_nb.registry.model_versions import Models
from mlops_nb.registry.registration import register
from mlops_nb.registry.reproduction import latest_reproduction, reproduce
from mlops_nb.runs.environment import Environment
from mlops_nb.runs.execution import Execution
from mlops_nb.runs.records import RunRecords
from mlops_nb.runs.run import begin_run
from mlops_nb.runs.runs import Runs
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
from mlops_nb.base.project import Home
from mlops_nb.features.transforms import JoinedTables, load_transform
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import prepare
from mlops_nb.registry.registration import register
from mlops_nb.runs.run import current_run
home, run = Home(), current_run()
function = load_transform('winds:with_weather', home.root)
rows, tables = run.use(data).read(), JoinedTables(run.use).of(function)
held_out = np.arange(len(rows)) % 4 == 0
prepared = prepare(rows, 'late', function, tables=tables, held_out=held_out)
model = fit(prepared, rounds=rounds, trained_on=('flights@1', 'weather@1'), num_threads=1)
run.save('model', pack(model, home.artifacts))
if register_as: register(home, register_as, run)
"""


def _write_transform(home: Home, limit: int) -> None:
    (home.root / "winds.py").write_text(TRANSFORM.replace("LIMIT", str(limit)))


def _add_flights(home: Home, seed: int) -> None:
    "The next version of the flights, and of the weather that they are joined with."
    rng = np.random.default_rng(seed)
    weather = {"hour": range(100), "temp": rng.normal(size=100), "wind": rng.uniform(0, 20, 100)}
    hours, gates = rng.integers(0, 100, 400), rng.choice(["A", "B"], 400)
    datasets = Datasets(home)
    datasets.add("weather", pd.DataFrame(weather))
    datasets.add("flights", pd.DataFrame({"hour": hours, "gate": gates, "late": rng.random(400) < 0.4}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Home:
    "A model of flights and weather, trained by a notebook that registered it; both have newer versions since."
    home = home_at(tmp_path_factory.mktemp("reproduction"))
    _write_transform(home, limit=10)
    _add_flights(home, seed=0)
    cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(LEARN)]
    kernelspec = {"name": "python3", "display_name": "python3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, home.root / "learn.ipynb")
    Runs(Execution(home)).execute(home.root / "learn.ipynb", register_as="late")
    _add_flights(home, seed=1)
    return home


@pytest.fixture
def reproduce_command(trained: Home) -> Callable[[], subprocess.CompletedProcess[str]]:
    def run() -> subprocess.CompletedProcess[str]:
        words = command("model", "reproduce", "late")
        return subprocess.run(words, cwd=trained.root, capture_output=True, text=True, timeout=120)
    return run


@pytest.mark.slow
def test_version_is_reproduced_by_the_data_it_read_and_registers_nothing(trained: Home) -> None:
    reproduction = reproduce(trained, "late@1")
    assert reproduction.same and "1 output equal to the byte" in reproduction.explained
    repeated = RunRecords(trained)[reproduction.repeated]
    assert repeated.inputs == ("flights@1", "weather@1") == Models(trained)["late@1"].trained_on
    assert [version.ref for version in Models(trained).list()] == ["late@1"] and Audit(trained).verify() == 1


@pytest.mark.slow
def test_latest_reproduction_is_found_without_another(trained: Home) -> None:
    reproduction = reproduce(trained, "late@1")
    assert latest_reproduction(trained, Models(trained)["late@1"]) == reproduction


@pytest.mark.slow
def test_command_succeeds_when_every_output_is_equal(
    reproduce_command: Callable[[], subprocess.CompletedProcess[str]],
) -> None:
    done = reproduce_command()
    assert done.returncode == 0, done.stderr
    assert "1 output equal to the byte" in done.stdout


@pytest.mark.slow
def test_command_fails_and_explains_a_difference(
    trained: Home, reproduce_command: Callable[[], subprocess.CompletedProcess[str]],
) -> None:
    _write_transform(trained, limit=11)
    done = reproduce_command()
    _write_transform(trained, limit=10)
    assert done.returncode == 1
    changed = "made another model; the code: winds:with_weather is made from another source now"
    assert changed in done.stdout


@pytest.mark.slow
def test_run_without_a_notebook_cannot_be_repeated(trained: Home) -> None:
    run = begin_run(trained, "by hand")
    run.save("model", RunRecords(trained)[Models(trained)["late@1"].run_id].output("model").read_bytes() + b" ")
    register(trained, "hand", run)
    with pytest.raises(Refused, match="recorded no notebook source"): reproduce(trained, "hand")


def _lock(home: Home, reference: str) -> Environment:
    lock = Models(home)[reference].lock()
    assert lock is not None
    return lock


@pytest.mark.slow
def test_version_is_reproduced_in_a_clean_environment(trained: Home) -> None:
    "Every recorded package in its recorded version, installed from the registry; nothing of this environment."
    reproduction = reproduce(trained, "late@1", in_clean_env=True)
    assert reproduction.same, reproduction.explained
    digest = RunRecords(trained)[reproduction.repeated].environment
    assert digest is not None
    installed = json.loads(trained.artifacts.bytes(digest))["packages"]
    assert installed == _lock(trained, "late@1")["packages"]
