"A model handed on predicts the same to the last bit without this toolkit; MLflow's own come in."
from __future__ import annotations

import pickle
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops_nb.base.errors import BadParameter, Refused
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.features.transforms import identity
from mlops_nb.models.model import Model
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit, fit_estimator
from mlops_nb.models.training_data import TrainingData, prepare
from mlops_nb.promotion.mlflow_exchange import export_mlflow, import_mlflow
from mlops_nb.registry.model_versions import Models
from mlops_nb.registry.registration import register, trust
from mlops_nb.runs.run import begin_run
from promotion_support import register_small, rows_of
from registry_support import training_data

N = 500


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The interpreter of an environment with MLflow and LightGBM, and without this toolkit."
    folder = tmp_path_factory.mktemp("mlflow")
    venv.create(folder)  # our own pip fills it: one of its own would take longer to make than to use
    python = folder / "bin/python"
    names = "lightgbm", "numpy", "pandas", "scikit-learn", "skops", "pyarrow"
    pinned = [f"{name}=={installed_version(name)}" for name in names]
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", "--no-compile", "mlflow-skinny", *pinned], check=True, capture_output=True)
    return python


def _there(python: Path, code: str, folder: Path) -> None:
    "Execute code in the environment with MLflow, in a folder."
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr


PREDICT = """
import importlib.util, pandas, mlflow
assert importlib.util.find_spec('mlops_nb') is None
model = mlflow.pyfunc.load_model('exported')
model.predict(pandas.read_parquet('features.parquet')).to_parquet('predictions.parquet')
"""


def _rows() -> pd.DataFrame:
    "Columns of every kind, under names that have to be quoted, with holes."
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(["red", "blue", "green", "sky", "sea"], 6)) + f" {row}" for row in range(N)]
    numbers = pd.Series(rng.normal(size=N)).mask(np.arange(N) % 7 == 0)
    with_hole: Any = ["a", "b", None]
    return pd.DataFrame({
        "class": numbers, "größe (m²)": rng.choice(with_hole, N), "words": words, "yes": rng.random(N) < 0.5,
        "day": pd.date_range("2013-01-01", periods=N, freq="7h", tz="UTC")})


def _labels(task: str, rows: pd.DataFrame) -> np.ndarray:
    rng = np.random.default_rng(1)
    if task == "binary": return rng.random(N) < 0.3 + 0.4 * rows["yes"].to_numpy()
    if task == "multiclass": return rng.choice(["x", "y", "z"], N)
    return rows["class"].fillna(0).to_numpy() * 3 + rng.normal(size=N)


def _forest(data: TrainingData) -> Model:
    return fit_estimator(data, make_pipeline(SimpleImputer(), RandomForestClassifier(5, random_state=0)))


def _trees(data: TrainingData) -> Model: return fit(data, rounds=8, num_threads=1)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("task, train", [
    ("binary", _trees), ("multiclass", _trees), ("regression", _trees), ("binary", _forest)])
def test_exported_version_predicts_the_same_to_the_last_bit(
    home: Home, mlflow: Path, task: str, train: Callable[[TrainingData], Model],
) -> None:
    rows = _rows()
    table = rows.assign(target=_labels(task, rows))
    data = prepare(table, "target", identity, held_out=np.arange(N) % 4 == 0)
    run = begin_run(home, "here")
    run.save("model", pack(train(data), home.artifacts))
    register(home, "m", run)
    if train is _forest: trust(home, "m@1")
    export_mlflow(home, "m", home.root / "exported")
    data.features.to_parquet(home.root / "features.parquet")
    _there(mlflow, PREDICT, home.root)
    model = Models(home)["m"].load()
    expected = model.frame(model.scores(data.features), data.features.index)
    predictions = pd.read_parquet(home.root / "predictions.parquet")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True, check_dtype=False)


def test_folder_that_holds_something_is_not_written_to(home: Home) -> None:
    register_small(home, 2)
    export_mlflow(home, "m", home.root / "out")
    with pytest.raises(Refused, match="out is there and not empty: give a new folder"):
        export_mlflow(home, "m", home.root / "out")


def test_pickle_is_not_handed_on(home: Home) -> None:
    model = fit_estimator(training_data(), make_pipeline(SimpleImputer(), LogisticRegression()))
    run = begin_run(home, "here")
    run.save("model", pack(replace(model, file=pickle.dumps(model.predictor), format="pickle"), home.artifacts))
    register(home, "m", run)
    with pytest.raises(Refused, match="m@1 is a pickle, which is not handed on"):
        export_mlflow(home, "m", home.root / "out")


TRAIN = """
import lightgbm, mlflow.lightgbm, pandas
rows = pandas.read_parquet('rows.parquet').astype({'c': 'category'})
params = {'objective': 'binary', 'verbosity': -1, 'num_threads': 1}
model = lightgbm.train(params, lightgbm.Dataset(rows[['a', 'b', 'c']], rows.y), 8)
mlflow.lightgbm.save_model(model, 'theirs')
pandas.DataFrame({'p': model.predict(rows[['a', 'b', 'c']])}).to_parquet('theirs.parquet')
"""


@pytest.fixture(scope="module")
def theirs(mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A folder with a model that MLflow saved, its predictions, and the rows that it learned from."
    folder = tmp_path_factory.mktemp("theirs")
    rows_of(N).to_parquet(folder / "rows.parquet")
    _there(mlflow, TRAIN, folder)
    return folder


@pytest.mark.slow
def test_imported_version_predicts_what_mlflow_predicts(home: Home, theirs: Path) -> None:
    rows = rows_of(N)
    Datasets(home).add("rows", rows)
    version = import_mlflow(home, "theirs", theirs / "theirs", data="rows", target="y")
    assert (version.task, version.trained_on) == ("binary", ("rows@1",))
    predictions, _ = version.load().predict(rows.drop(columns="y"), identity)
    expected = pd.read_parquet(theirs / "theirs.parquet")["p"]
    assert predictions["prediction"].tolist() == expected.tolist()


@pytest.mark.slow
def test_rows_that_do_not_go_with_the_model_are_refused(home: Home, theirs: Path) -> None:
    rows = rows_of(N)
    for table, message in (
        (rows.drop(columns="c"), "lacks c, which the model needs"),
        (rows.assign(c=1.0), "the model learned other columns as categories"),
        (rows.assign(y=np.arange(N) % 3), "the model tells 2 classes apart, and y of rows@3 has 3"),
    ):
        Datasets(home).add("rows", table)
        with pytest.raises(BadParameter, match=message):
            import_mlflow(home, "m", theirs / "theirs", data="rows", target="y")
    assert Models(home).list() == []


def test_folder_without_the_flavour_is_refused(home: Home) -> None:
    register_small(home, 2)
    Datasets(home).add("rows", rows_of(20))
    folder = export_mlflow(home, "m", home.root / "out")
    with pytest.raises(BadParameter, match="is no LightGBM model: its MLmodel names no flavour lightgbm"):
        import_mlflow(home, "other", folder, data="rows", target="y")


def test_pickle_of_mlflow_is_refused(home: Home) -> None:
    folder = home.root / "theirs"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {lightgbm: {data: model.pkl}}")
    (folder / "model.pkl").write_bytes(pickle.dumps("anything"))
    with pytest.raises(Refused, match=r"model\.pkl is not LightGBM's text format but most likely a pickle"):
        import_mlflow(home, "m", folder, data="rows", target="y")
