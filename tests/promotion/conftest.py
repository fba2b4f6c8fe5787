"Fixtures of promotion: a home, somebody's login name, and a champion with a better candidate."
from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote
from mlops_nb.runs import writer
from mlops_nb.runs.execution import Execution
from mlops_nb.runs.runs import Runs
from mlops_nb.serving.batches import Batches
from support import command


@pytest.fixture
def home(tmp_path: Path) -> Home:
    "A home in the temporary folder."
    (tmp_path / ".mlops").mkdir(exist_ok=True)
    return Home(tmp_path)


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    "Be somebody from now on."
    return lambda name: monkeypatch.setenv("LOGNAME", name)


def _closed(home: Home) -> Path:
    "The folder of a project that can be copied: all that was recorded is in it."
    writer.flush(home.store.url)
    home.store.close()
    return home.root


@pytest.fixture(scope="session")
def _weak_and_better(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A project with a weak version in production and a better one beside it, both evaluated by the workflows."
    folder = tmp_path_factory.mktemp("tumours")
    (folder / ".mlops").mkdir()
    home = Home(folder)
    runs = Runs(Execution(home))
    for rounds in 2, 60: runs.run(workflow("train"), {"register_as": "tumour", "rounds": rounds})
    runs.run(workflow("evaluate"), {"model": "tumour@1"})
    Policies(home).set("tumour", Policy())
    promote(home, "tumour@1")
    runs.run(workflow("evaluate"), {"model": "tumour@2", "champion": "tumour@1"})
    return _closed(home)


@pytest.fixture(scope="module")
def two(_weak_and_better: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    "`tumour@1` in production, `tumour@2` better than it; a copy for each module, which may change it."
    return Home(shutil.copytree(_weak_and_better, tmp_path_factory.mktemp("two") / "project"))


TRANSFORM = """
from mlops_nb.features.transforms import transform

@transform(weather='weather')
def with_weather(rows, weather):
    joined = rows.merge(weather, on='hour', how='left').set_index(rows.index)
    return joined[['gate', 'temp']].assign(windy=joined.wind > 10)
"""
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
prepared = prepare(rows, 'late', function, tables=tables, held_out=np.arange(len(rows)) % 4 == 0)
model = fit(prepared, rounds=rounds, trained_on=('flights@1', 'weather@1'), num_threads=1)
run.save('model', pack(model, home.artifacts))
register(home, 'late', run)
"""


def _add_data(home: Home) -> None:
    "Flights and weather, which was made from another dataset."
    rng, datasets = np.random.default_rng(0), Datasets(home)
    numbers = {"hour": range(100), "temp": rng.normal(size=100), "wind": rng.uniform(0, 20, 100)}
    weather = pd.DataFrame(numbers).assign(station="JFK")
    datasets.add("raw-weather", weather.assign(junk=1))
    datasets.add("weather", weather, parents=("raw-weather@1",))
    hours, gates = rng.integers(0, 100, 400), rng.choice(["A", "B"], 400)
    datasets.add("flights", pd.DataFrame({"hour": hours, "gate": gates, "late": rng.random(400) < 0.4}))


@pytest.fixture(scope="session")
def _late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A project with flights and weather, and a notebook that trained two models of them."
    folder = tmp_path_factory.mktemp("late")
    (folder / ".mlops").mkdir()
    home = Home(folder)
    (folder / "winds.py").write_text(TRANSFORM)
    _add_data(home)
    parameters = nbformat.v4.new_code_cell(
        "data: str = 'flights'\nrounds: int = 5", metadata={"tags": ["parameters"]})
    kernelspec = {"name": "python3", "display_name": "python3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[parameters, nbformat.v4.new_code_cell(LEARN)], metadata={"kernelspec": kernelspec})
    nbformat.write(notebook, folder / "learn.ipynb")
    for rounds in 5, 6: Runs(Execution(home)).run(folder / "learn.ipynb", {"rounds": rounds})
    Policies(home).set("late", Policy())
    promote(home, "late@2")
    Batches(home).score("late@production", "flights@1", label="today")
    return _closed(home)


@pytest.fixture(scope="module")
def late(_late: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    "`late@1`, `late@2` in production, and a batch that it scored; a copy for each module, which may change it."
    return Home(shutil.copytree(_late, tmp_path_factory.mktemp("late") / "project"))


@pytest.fixture
def run_command(late: Home) -> Callable[..., subprocess.CompletedProcess[str]]:
    "Run `mlops-nb` in the project of the two models."
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*words), cwd=late.root, capture_output=True, text=True, timeout=120)
    return run
