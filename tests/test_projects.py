"`mlops-nb init`: a stranger's table becomes a project whose notebooks run and whose model can be promoted."
import json

import numpy as np
import pandas as pd
import pytest

from mlops_nb.workspace import Workspace


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
    import subprocess
    from conftest import command
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
])
def test_what_cannot_become_a_project_is_one_line_and_leaves_nothing(cli, tmp_path, words, says):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,3\n")
    done = cli("init", "mine", *words)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1) and says in done.stderr
    assert not (tmp_path / "mine").exists()
