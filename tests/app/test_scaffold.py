"`mlops-nb init`: a stranger's table becomes a project whose notebooks run and whose model can be promoted."
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from app_support import OF_WHOEVER_STARTED, Printed, Typed, type_words
from mlops_nb.app.workspace import Workspace

JOBS = "train", "evaluate", "promote", "score", "monitor"


def with_holes(table: pd.DataFrame, name: str, rng: np.random.Generator) -> None:
    table.loc[rng.random(len(table)) < 0.1, name] = None


def customers(n: int = 400) -> pd.DataFrame:
    "Numbers, text, sentences, dates, booleans, an identifier, and holes in some of them."
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "Customer Id": range(n), "age": rng.normal(40, 10, n),
        "city, (home)": rng.choice(["Berlin", "Köln", 'a "b"'], n),
        "joined": pd.date_range("2020-01-01", periods=n, freq="6h").astype(str),
        "note": [" ".join(rng.choice(["good", "late", "fast", "broken"], 5)) for _ in range(n)],
        "vip": rng.choice([True, False], n)})
    table["spend"] = table.age / 10 + table.note.str.count("broken") + rng.normal(0, 0.3, n)
    for name in "age", "city, (home)": with_holes(table, name, rng)
    return table


def above_median(spend: pd.Series) -> list[object]:
    middle = spend.median()
    return ["yes" if value > middle else "no" for value in spend]


def in_three(spend: pd.Series) -> list[object]:
    low, high = np.quantile(spend, [1 / 3, 2 / 3])
    return [("low", "middle", "high")[int(value > low) + int(value > high)] for value in spend]


def as_it_is(spend: pd.Series) -> list[object]: return list(spend)


TARGETS: dict[str, Callable[[pd.Series], list[object]]] = {
    "binary": above_median, "multiclass": in_three, "regression": as_it_is}


@contextlib.contextmanager
def terminal_in(folder: Path) -> Iterator[None]:
    "Work in a folder, as somebody does whose environment says nothing of another; and nothing is copied to W&B."
    with pytest.MonkeyPatch.context() as patch:
        for name in OF_WHOEVER_STARTED: patch.delenv(name, raising=False)
        patch.setenv("WANDB_MODE", "disabled")
        patch.chdir(folder)
        yield


@dataclass(frozen=True, kw_only=True)
class Project:
    "A project that was laid out, and what its jobs printed."
    task: str
    folder: Path
    table: Path                    # the file that it was made of
    laid_out: Printed
    jobs: dict[str, Printed]

    @property
    def ws(self) -> Workspace: return Workspace(self.folder)


@pytest.fixture(scope="module", params=TARGETS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    "Each in a folder of another name: this process can import only one package of a name."
    folder, task = tmp_path_factory.mktemp("project"), str(request.param)
    table = customers()
    rows = table.assign(target=TARGETS[task](pd.Series(table.spend))).drop(columns="spend")
    file = folder / ("Customers 2020.parquet" if task == "regression" else "Customers 2020.csv")
    if task == "regression": rows.to_parquet(file)
    else: rows.to_csv(file, index=False)
    mine = folder / f"mine_{task}"
    with terminal_in(folder): laid_out = type_words("init", mine.name, "--data", str(file), "--target", "target")
    with terminal_in(mine): jobs = {job: type_words("run", job) for job in JOBS}
    return Project(task=task, folder=mine, table=file, laid_out=laid_out, jobs=jobs)


@pytest.mark.slow
def test_project_is_laid_out_and_says_what_to_type(project: Project) -> None:
    assert project.laid_out.status == 0, project.laid_out
    first, change, *commands = project.laid_out.out.splitlines()
    assert first.startswith("customers-2020@1: 400 rows, 7 columns; target is to be predicted")
    assert first.endswith("because each row has its own value: Customer Id")
    assert [change, *commands] == [f"cd {project.folder.name}", *(f"mlops-nb run {job}" for job in JOBS)]


@pytest.mark.slow
def test_every_job_runs_at_once(project: Project) -> None:
    assert {job: printed.status for job, printed in project.jobs.items()} == dict.fromkeys(JOBS, 0), project.jobs


@pytest.mark.slow
def test_model_is_in_production_and_knows_no_identifier(project: Project) -> None:
    version = project.ws.models["customers-2020@production"]
    assert version.task == project.task
    assert "Customer Id" not in version.load().importance().index


@pytest.mark.slow
def test_model_in_production_scores_the_file(project: Project) -> None:
    with terminal_in(project.folder):
        scored = type_words("score", "customers-2020@production", str(project.table), "-o", "out.csv")
    assert scored.status == 0, scored.err
    assert "prediction" in pd.read_csv(project.folder / "out.csv")


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "t.csv": lambda: pd.DataFrame({"x": [1, 2], "y": [2, 3]}),
    "ids.csv": lambda: pd.DataFrame({"id": range(60), "y": [0, 1] * 30}),
    "times.csv": lambda: pd.DataFrame({"x": [0.5, 1] * 30, "when": pd.date_range("2020", periods=60)}),
    "p.csv": lambda: pd.DataFrame({"prediction": [0.5] * 60, "y": [0, 1] * 30}),
}


@pytest.mark.parametrize("file, target, says", [
    ("nosuch.csv", "y", "is not a file"),
    ("t.csv", "z", "has no column 'z'"),
    ("t.csv", "y", "too few"),
    ("ids.csv", "y", "no column to learn from"),
    ("times.csv", "when", "holds times"),
    ("p.csv", "y", "a column 'prediction'"),
])
def test_what_cannot_become_a_project_is_one_line_and_leaves_nothing(
    typed: Typed, tmp_path: Path, file: str, target: str, says: str,
) -> None:
    if file in TABLES: TABLES[file]().to_csv(tmp_path / file, index=False)
    printed = typed("init", "mine", "--data", file, "--target", target)
    assert printed.status == 2
    (line,) = printed.err.strip().splitlines()
    assert says in line
    assert not (tmp_path / "mine").exists()


@pytest.mark.slow
def test_small_table_with_odd_names_comes_into_production(typed: Typed, tmp_path: Path) -> None:
    "In a folder that is named as a module of the standard library."
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"class": rng.normal(size=200), "größe (m²)": rng.choice(["a", "b", "c"], 200)})
    table["vip"] = pd.Series(rng.random(200) < 0.5, dtype=object).mask(rng.random(200) < 0.2, None)
    table["is it\n'y'?"] = ["yes" if value > 0 else "no" for value in table["class"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    assert typed("init", "json", "--data", "t.csv", "--target", "is it\n'y'?").status == 0
    assert (tmp_path / "json" / "project_json").is_dir()
    with terminal_in(tmp_path / "json"): done = {job: type_words("run", job) for job in JOBS[:3]}
    assert [printed.status for printed in done.values()] == [0, 0, 0], done
    ws = Workspace(tmp_path / "json")
    assert ws.models["t@production"].load().signature["vip"] == "boolean"
    assert "prediction" in ws.score("t@production", table.assign(vip=True))  # without holes
