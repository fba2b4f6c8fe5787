"What came from what, asked in both directions; a model made again; a model handed on."
import subprocess
import venv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from mlops_nb.base.errors import BadParameter, NotFound, Refused, RunFailed
from mlops_nb.features.transforms import identity
from mlops_nb.promotion.openlineage import openlineage
from mlops_nb.promotion.policies import Policy
from mlops_nb.runs.run import begin_run
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit, fit_estimator
from mlops_nb.models.training_data import prepare
from mlops_nb.app.workspace import Workspace

TRANSFORM = """
from mlops_nb.features.transforms import transform
@transform(weather='weather')
def with_weather(rows, weather):
    joined = rows.merge(weather, on='hour', how='left').set_index(rows.index)
    return joined[['gate', 'temp']].assign(windy=joined.wind > 10)
"""


@pytest.fixture
def two_models(ws, write_notebook) -> Workspace:
    "Flights and weather, a version of weather derived from another, two models of both, one in production, and a scored batch."
    rng = np.random.default_rng(0)
    (ws.root / "winds.py").write_text(TRANSFORM)
    weather = pd.DataFrame({"hour": range(100), "temp": rng.normal(size=100), "wind": rng.uniform(0, 20, 100), "station": "JFK"})
    ws.datasets.add("raw-weather", weather.assign(junk=1))
    ws.datasets.add("weather", weather, parents=("raw-weather@1",))
    ws.datasets.add("flights", pd.DataFrame({"hour": rng.integers(0, 100, 400), "gate": rng.choice(["A", "B"], 400), "late": rng.random(400) < 0.4}))
    notebook = write_notebook("learn.ipynb", """
import numpy as np
from mlops_nb import Workspace, current_run
from mlops_nb.features.transforms import JoinedTables, load_transform
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import prepare
run, ws = current_run(), Workspace()
function = load_transform('winds:with_weather', ws.root)
rows = run.use(data).read()
prepared = prepare(rows, 'late', function, tables=JoinedTables(run.use).of(function), held_out=np.arange(len(rows)) % 4 == 0)
run.save('model', pack(fit(prepared, rounds=rounds, trained_on=('flights@1', 'weather@1'), num_threads=1), ws.artifacts))
ws.models.register('late', run)
""", parameters="data: str = 'flights'\nrounds: int = 5\nregister_as: str = ''")
    for rounds in 5, 6: ws.runs.run(notebook, {"rounds": rounds})
    ws.models.set_policy("late", Policy())
    ws.models.promote("late@2")
    ws.batches.score("late@production", "flights@1", label="today")
    return ws


def test_impact_names_the_versions_that_serve_and_learned_from_it(two_models):
    ws = two_models
    for reference in "raw-weather@1", "dataset:weather@1", "weather", "weather@1.temp", "weather@1.wind", "flights@1.gate":
        assert [version.ref for version in ws.lineage.impact(reference)] == ["late@2"], reference
    assert ws.lineage.impact("weather@1.station") == [] == ws.lineage.impact("weather", "staging")
    assert {node.name for node in ws.lineage("weather@1.wind", "down")["feature"]} == {"late@1.windy", "late@2.windy"}


def test_graph_goes_both_ways_and_says_what_there_is_not(two_models):
    ws = two_models
    up = ws.lineage("late@production", "up")
    assert {node.name for node in up["dataset"]} == {"flights@1", "weather@1", "raw-weather@1"} and not up["batch"] and len(up["run"]) == 1
    batch = ws.lineage("raw-weather", "down")["batch"]
    assert [node.label for node in batch] == ["today"]
    assert {node.name for node in ws.lineage(f"batch:{batch[0].name}", "up")["dataset"]} >= {"flights@1", "raw-weather@1"}
    assert {node.name for node in ws.lineage("late@2.windy", "up")["column"]} == {"weather@1.hour", "weather@1.wind", "flights@1.hour"}
    assert "late@2" in ws.lineage("late@2")._repr_html_() and "<svg" in ws.lineage("late@2").html()
    for reference, message in ("nosuch", "there is no model, dataset"), ("weather@9", "weather@9"), ("weather@1.nosuch", "has no column 'nosuch': it has hour"), ("late@2.nosuch", "has no feature"):
        with pytest.raises(NotFound, match=message): ws.lineage(reference)


def test_events_are_valid_against_openlineage_types(two_models, cli):
    from openlineage.client import event_v2 as types
    from openlineage.client.serde import Serde
    ws = two_models
    with pytest.raises(RunFailed): ws.runs.run(ws.root / "learn.ipynb", {"data": "nosuch"})
    events = openlineage(ws.home, ws.runs.search())
    assert len(events) == 3 and sorted(event["eventType"] for event in events) == ["COMPLETE", "COMPLETE", "FAIL"]
    for event in events:
        def dataset(kind, said): return kind(namespace=said["namespace"], name=said["name"], facets=_facets(said["facets"]))
        typed = types.RunEvent(eventTime=event["eventTime"], producer=event["producer"], eventType=types.RunState[event["eventType"]], run=types.Run(event["run"]["runId"], _facets(event["run"]["facets"])), job=types.Job(event["job"]["namespace"], event["job"]["name"]),
            inputs=[dataset(types.InputDataset, said) for said in event["inputs"]], outputs=[dataset(types.OutputDataset, said) for said in event["outputs"]])
        again = Serde.to_dict(typed)
        for key in "eventTime", "eventType", "producer": assert again[key] == event[key]
        assert [(one["name"], one["facets"].get("schema", {}).get("fields")) for one in again["inputs"]] == [(one["name"], one["facets"].get("schema", {}).get("fields")) for one in event["inputs"]]
        assert again["run"]["runId"] == event["run"]["runId"]
    done = cli("lineage", "late@2", "--openlineage", "events.jsonl", "--html", "graph.html")
    assert done.returncode == 0 and len((ws.root / "events.jsonl").read_text().splitlines()) == 1 and "<svg" in (ws.root / "graph.html").read_text(), done.stderr


def _facets(said: dict) -> dict:
    "Each facet as the client's own type of it."
    from openlineage.client.facet_v2 import dataset_version_dataset, documentation_dataset, error_message_run, schema_dataset
    kinds = {"schema": lambda f: schema_dataset.SchemaDatasetFacet(fields=[schema_dataset.SchemaDatasetFacetFields(name=one["name"], type=one["type"], fields=[]) for one in f["fields"]]), "version": lambda f: dataset_version_dataset.DatasetVersionDatasetFacet(f["datasetVersion"]),
             "documentation": lambda f: documentation_dataset.DocumentationDatasetFacet(f["description"]), "errorMessage": lambda f: error_message_run.ErrorMessageRunFacet(f["message"], f["programmingLanguage"])}
    for name, facet in said.items(): assert facet["_schemaURL"] == kinds[name](facet)._get_schema(), name
    return {name: kinds[name](facet) for name, facet in said.items()}


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory) -> Path:
    "The interpreter of an environment with MLflow and LightGBM, and without this toolkit."
    folder = tmp_path_factory.mktemp("mlflow")
    venv.create(folder, with_pip=True)
    from importlib.metadata import version
    pinned = [f"{name}=={version(name)}" for name in ("lightgbm", "numpy", "pandas", "scikit-learn", "skops", "pyarrow")]
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "mlflow-skinny", *pinned], check=True, capture_output=True)
    return folder / "bin/python"


def _there(python: Path, code: str, *arguments: object) -> str:
    done = subprocess.run([python, "-c", code, *map(str, arguments)], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(arguments[0])}, cwd=arguments[0])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_mlflow_predicts_the_same_to_the_last_bit_without_this_toolkit_and_its_models_come_in(mlflow, tmp_path, ws):
    rng, n = np.random.default_rng(0), 500
    table = pd.DataFrame({"class": rng.normal(size=n), "größe (m²)": rng.choice(["a", "b", None], n), "day": pd.date_range("2013-01-01", periods=n, freq="7h", tz="UTC"), "words": [" ".join(rng.choice(["red", "blue", "green", "sky", "sea"], 6)) + f" {i}" for i in range(n)], "yes": rng.random(n) < 0.5})
    table.loc[::7, "class"] = np.nan
    for name, target, train in (("binary", (rng.random(n) < 0.3 + 0.4 * table.yes), fit), ("three", rng.choice(["x", "y", "z"], n), fit), ("amount", table["class"].fillna(0) * 3 + rng.normal(size=n), fit), ("forest", rng.choice(["x", "y"], n), fit_estimator)):
        data = prepare(table.assign(target=target), "target", identity, held_out=np.arange(n) % 4 == 0)
        model = fit(data, rounds=8, num_threads=1) if train is fit else fit_estimator(data, make_pipeline(SimpleImputer(), RandomForestClassifier(5, random_state=0)))
        run = begin_run(ws.home, "here")
        run.save("model", pack(model, ws.artifacts))
        ws.models.register(name, run)
        if name == "forest": ws.models.trust("forest@1")
        ws.models.export_mlflow(name, tmp_path / f"{name}-exported")
        data.features.to_parquet(tmp_path / "features.parquet")
        _there(mlflow, "import sys, importlib.util, pandas, mlflow\nassert importlib.util.find_spec('mlops_nb') is None\nmodel = mlflow.pyfunc.load_model(sys.argv[2])\nmodel.predict(pandas.read_parquet('features.parquet')).to_parquet('out.parquet')", tmp_path, tmp_path / f"{name}-exported")
        loaded = ws.models[name].load()
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), loaded.frame(loaded.scores(data.features), data.features.index), check_exact=True, check_dtype=False)
    with pytest.raises(Refused, match="is there and not empty"): ws.models.export_mlflow("binary", tmp_path / "binary-exported")
    given = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "c": rng.choice(["u", "v"], n)})
    given["y"] = (given.a + (given.c == "u") > 0.4).astype(int)
    given.to_parquet(tmp_path / "given.parquet")
    _there(mlflow, "import lightgbm, mlflow.lightgbm, pandas\nrows = pandas.read_parquet('given.parquet').astype({'c': 'category'})\nmodel = lightgbm.train({'objective': 'binary', 'verbosity': -1, 'num_threads': 1}, lightgbm.Dataset(rows[['a', 'b', 'c']], rows.y), 8)\n"
        "mlflow.lightgbm.save_model(model, 'theirs')\npandas.DataFrame({'p': model.predict(rows[['a', 'b', 'c']])}).to_parquet('theirs.parquet')", tmp_path)
    ws.datasets.add("given", given)
    version = ws.models.import_mlflow("theirs", tmp_path / "theirs", "given", "y")
    assert (version.task, version.trained_on) == ("binary", ("given@1",))
    assert (ws.score("theirs", given.drop(columns="y")).prediction.to_numpy() == pd.read_parquet(tmp_path / "theirs.parquet").p.to_numpy()).all()
    with pytest.raises(BadParameter, match="is no LightGBM model"): ws.models.import_mlflow("other", tmp_path / "binary-exported", "given", "y")
    with pytest.raises(BadParameter, match="lacks c"): ws.datasets.add("less", given.drop(columns="c")) and ws.models.import_mlflow("theirs", tmp_path / "theirs", "less", "y")


@pytest.mark.slow
def test_wandb_gets_the_version_as_an_artifact_with_its_aliases(two_models, cli):
    done = cli("model", "export", "late@production", "--format", "wandb")
    assert done.returncode == 0 and "mlops-nb sync uploads it" in done.stdout, done.stderr
    written = next(two_models.folder.glob("wandb/offline-run-*/*.wandb")) if "offline-run" in done.stdout else None
    folder = Path(done.stdout.split("logged to ")[1].split(": mlops-nb")[0])
    log = b"".join(path.read_bytes() for path in folder.glob("*.wandb"))
    assert b"version-2" in log and b"production" in log and b"MLmodel" in log and written
