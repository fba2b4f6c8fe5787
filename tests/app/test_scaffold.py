"`mlops-nb init`: a stranger's table becomes a project whose notebooks run and whose model can be promoted."
import subprocess

import numpy as np
import pandas as pd
import pytest

from support import command
from mlops_nb.app.workspace import Workspace


def customers(n: int = 400) -> pd.DataFrame:
    "Numbers, text, sentences, dates, booleans, an identifier, and holes in most of them."
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"Customer Id": range(n), "age": rng.normal(40, 10, n), "city, (home)": rng.choice(["Berlin", "Köln", 'a "b"'], n), "joined": pd.date_range("2020-01-01", periods=n, freq="6h").astype(str),
        "note": [" ".join(rng.choice(["good", "late", "fast", "broken"], 5)) for _ in range(n)], "vip": rng.choice([True, False], n)})
    table["spend"] = table.age / 10 + table.note.str.count("broken") + rng.normal(0, 0.3, n)
    for name in "age", "city, (home)": table.loc[rng.random(n) < 0.1, name] = None
    return table


TARGETS = {"binary": lambda t: np.where(t.spend > t.spend.median(), "yes", "no"), "multiclass": lambda t: pd.cut(t.spend, 3, labels=["low", "middle", "high"]).astype(str), "regression": lambda t: t.spend}


@pytest.mark.slow
@pytest.mark.parametrize("task", TARGETS)
def test_project_runs_at_once_and_its_model_can_be_promoted(cli, tmp_path, task):
    table = customers()
    table = table.assign(target=TARGETS[task](table)).drop(columns="spend")
    path = tmp_path / ("Customers 2020.parquet" if task == "regression" else "Customers 2020.csv")
    table.to_parquet(path) if task == "regression" else table.to_csv(path, index=False)
    assert cli("init", "mine", "--data", str(path), "--target", "target").returncode == 0
    project = tmp_path / "mine"
    def run(*words): return subprocess.run(command(*words), cwd=project, capture_output=True, text=True)
    for notebook in "train", "evaluate", "promote", "score", "monitor":
        done = run("run", notebook)
        assert done.returncode == 0, done.stderr
    ws = Workspace(project)
    version = ws.models["customers-2020@production"]
    assert version.task == task and "Customer Id" not in version.load().importance().index
    scored = run("score", "customers-2020@production", str(path), "-o", "out.csv")
    assert scored.returncode == 0 and "prediction" in pd.read_csv(project / "out.csv"), scored.stderr


@pytest.mark.parametrize("words, says", [
    (["--data", "nosuch.csv", "--target", "y"], "is not a file"),
    (["--data", "t.csv", "--target", "z"], "has no column 'z'"),
    (["--data", "t.csv", "--target", "y"], "too few"),
    (["--data", "ids.csv", "--target", "y"], "no column to learn from"),
    (["--data", "times.csv", "--target", "when"], "holds times"),
    (["--data", "p.csv", "--target", "y"], "a column 'prediction'"),
])
def test_what_cannot_become_a_project_is_one_line_and_leaves_nothing(cli, tmp_path, words, says):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,3\n")
    pd.DataFrame({"id": range(60), "y": [0, 1] * 30}).to_csv(tmp_path / "ids.csv", index=False)
    pd.DataFrame({"x": [0.5, 1] * 30, "when": pd.date_range("2020", periods=60)}).to_csv(tmp_path / "times.csv", index=False)
    pd.DataFrame({"prediction": [0.5] * 60, "y": [0, 1] * 30}).to_csv(tmp_path / "p.csv", index=False)
    done = cli("init", "mine", *words)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1) and says in done.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.slow
def test_small_table_with_odd_names_in_a_folder_named_as_a_module_comes_into_production(cli, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"class": rng.normal(size=200), "größe (m²)": rng.choice(["a", "b", "c"], 200), "vip": np.where(rng.random(200) < 0.2, None, rng.random(200) < 0.5)})
    table["is it\n'y'?"] = np.where(table["class"] > 0, "yes", "no")
    table.to_csv(tmp_path / "t.csv", index=False)
    done = cli("init", "json", "--data", "t.csv", "--target", "is it\n'y'?")
    assert done.returncode == 0 and (tmp_path / "json" / "project_json").is_dir(), done.stderr
    for notebook in "train", "evaluate", "promote": assert (done := subprocess.run(command("run", notebook), cwd=tmp_path / "json", capture_output=True, text=True)).returncode == 0, done.stderr
    ws = Workspace(tmp_path / "json")
    assert ws.models["t@production"].load().signature["vip"] == "boolean"
    assert "prediction" in ws.score("t@production", table.assign(vip=True))  # without holes
