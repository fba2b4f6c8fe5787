"""A notebook that imports LightGBM, pandas and scikit-learn and trains for 0.05 s: twenty runs in a row, and two at a
time, against papermill's API."""
from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from _pairs import at_least, child, in_turns, known, scratch, show

if TYPE_CHECKING:
    from mlops_nb.app.workspace import Workspace
    from mlops_nb.runs.executors import Ended

ROUNDS, RUNS = 3, 20

PARAMETERS = "seed: int = 0  # of the table\nnum_leaves: int = 31\nlearning_rate: float = 0.1"
IMPORTS = """\
import lightgbm as lgb
import numpy as np
import pandas as pd
from IPython.display import SVG
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split"""
DATA = """\
rng = np.random.default_rng(seed)
table = pd.DataFrame(rng.normal(size=(2000, 8)), columns=[f"x{i}" for i in range(8)])
label = (table.x0 + table.x1 * table.x2 + rng.normal(size=len(table)) > 0).astype(int)
fit, held, fit_label, held_label = train_test_split(table, label, random_state=seed)"""
FIT = """\
scores = {}
options = {
    "objective": "binary", "num_leaves": num_leaves, "learning_rate": learning_rate, "verbose": -1, "num_threads": 1,
    "seed": seed}
model = lgb.train(
    options, lgb.Dataset(fit, fit_label), 15, valid_sets=[lgb.Dataset(held, held_label)], valid_names=["held"],
    callbacks=[lgb.record_evaluation(scores)])
print(f"log_loss {log_loss(held_label, model.predict(held)):.4f}")"""
FIGURE = """\
losses = scores["held"]["binary_logloss"]
points = " ".join(f"{13 * at},{200 * score:.1f}" for at, score in enumerate(losses))
line = f'<polyline points="{points}" fill="none" stroke="black"/>'
SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="150">{line}</svg>')"""
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
FIXED = {"num_leaves": 15}


def write_notebook(path: Path) -> Path:
    import nbformat
    cells = [nbformat.v4.new_code_cell(source) for source in (PARAMETERS, IMPORTS, DATA, FIT, FIGURE)]
    cells[0].metadata.tags = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC}), path)
    return path


def has_figure(executed: str | bytes) -> bool:
    return "image/svg+xml" in json.loads(executed)["cells"][-1]["outputs"][-1]["data"]


# ---- the two sides, each a process: they yield the seconds of each run in a row, then those of as many once more

def ours(notebook: Path, folder: Path, jobs: int) -> Iterator[list[float]]:
    "The second round finds the fork server at work; side by side, what is yielded are the seconds of all."
    from mlops_nb.app.workspace import Workspace
    ws = Workspace(folder)
    for seeds in range(RUNS), range(RUNS, 2 * RUNS):
        if jobs == 1: yield run_in_a_row(ws, notebook, seeds)
        else: yield run_side_by_side(ws, notebook, seeds, jobs)


def run_in_a_row(ws: Workspace, notebook: Path, seeds: Sequence[int]) -> list[float]:
    seconds: list[float] = []
    ended: list[Ended] = []
    for seed in seeds:
        began = time.perf_counter()
        ended.append(ws.runs.run(notebook, {"seed": seed, **FIXED}))
        seconds.append(time.perf_counter() - began)
    check(ws, seeds, ended)
    return seconds


def run_side_by_side(ws: Workspace, notebook: Path, seeds: Sequence[int], jobs: int) -> list[float]:
    began = time.perf_counter()
    ended = ws.runs.sweep(notebook, {"seed": seeds}, fixed=FIXED, jobs=jobs, share=False)
    seconds = time.perf_counter() - began
    check(ws, seeds, ended)
    return [seconds]


def check(ws: Workspace, seeds: Sequence[int], ended: Sequence[Ended]) -> None:
    "Every run succeeded with its own seed, and its figure is there."
    from mlops_nb.runs.records import RunRecord
    for seed, run in zip(seeds, ended, strict=True):
        assert isinstance(run, RunRecord) and run.executed and run.status == "succeeded", run
        assert run.params["seed"] == seed and has_figure(ws.artifacts.bytes(run.executed))


def papermill(notebook: Path, folder: Path, _: int) -> Iterator[list[float]]:
    from papermill import execute_notebook
    seconds: list[float] = []
    for seed in range(RUNS):
        began, target = time.perf_counter(), folder / f"{seed}.ipynb"
        execute_notebook(
            str(notebook), str(target), {"seed": seed, **FIXED}, progress_bar=False, log_output=False)
        seconds.append(time.perf_counter() - began)
        assert has_figure(target.read_text())
    yield seconds
    yield seconds  # a second round would be as the first


def side(name: str, notebook: str, folder: str, jobs: str) -> None:
    "One process: all runs, imports and recording included."
    Path(folder).mkdir()
    began = time.perf_counter()
    rounds = {"ours": ours, "papermill": papermill}[name](Path(notebook), Path(folder), int(jobs))
    each, total = next(rounds), time.perf_counter() - began
    print(json.dumps({"total": total, "first": each[:1], "later": each[1:], "again": sum(next(rounds))}))


# ---- the table

Result = dict[str, Any]  # what `side` prints, with what `_pairs.child` adds


def column(results: list[Result], key: str) -> list[float]: return [result[key] for result in results]


def each_of(results: list[Result], key: str) -> list[float]:
    return [seconds for result in results for seconds in result[key]]


def cpu_a_run(results: list[Result], *, rounds: int) -> list[float]:
    return [seconds / rounds / RUNS for seconds in column(results, "cpu")]


def runs_a_minute(results: list[Result]) -> str: return f"{60 * RUNS / median(column(results, 'again')):.0f}"


def main() -> None:
    with scratch() as name:
        folder, folders = Path(name), count()
        notebook = write_notebook(folder / "train.ipynb")
        def work(side: str, jobs: int) -> Callable[[], Result]:
            return lambda: child(__file__, side, notebook, folder / str(next(folders)), jobs, folder=folder)
        one, peer, two = in_turns(ROUNDS, work("ours", 1), work("papermill", 1), work("ours", 2))
    copy = os.environ.get("WANDB_MODE", "as by default")
    again, total, peer_cpu = column(peer, "again"), column(peer, "total"), cpu_a_run(peer, rounds=1)
    show(f"{RUNS} runs of a notebook, median of {ROUNDS}, W&B copy {copy}", "papermill", [
        at_least(f"{RUNS} runs in a row, warm", column(one, "again"), again, 8),
        at_least(f"{RUNS} runs, two at a time, warm (papermill in a row)", column(two, "again"), again, 12),
        at_least(f"{RUNS} runs in a row, from the start of the process", column(one, "total"), total, 8),
        at_least(f"{RUNS} runs, two at a time, from the start of the process", column(two, "total"), total, 12),
        known("the first run", each_of(one, "first"), each_of(peer, "first")),
        known("a later run", each_of(one, "later"), each_of(peer, "later")),
        known("processor time of all processes a run, in a row", cpu_a_run(one, rounds=2), peer_cpu),
        known("processor time of all processes a run, two at a time", cpu_a_run(two, rounds=2), peer_cpu),
    ])
    print(f"runs per minute, warm: ours {runs_a_minute(one)} in a row, {runs_a_minute(two)} two at a time; "
          f"papermill {runs_a_minute(peer)}")


if __name__ == "__main__":
    if len(sys.argv) > 1: side(*sys.argv[1:])
    else: main()
