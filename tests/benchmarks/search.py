"`runs.search` over 100,000 recorded runs; MLflow 3 over 5,000."
from __future__ import annotations

import hashlib
import inspect
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from _pairs import CACHE, Line, Mlflow, at_most, in_turns, show
from _samples import NOTEBOOKS, sample

RUNS, PEER_RUNS, TIMES, LIMIT_S = 100_000, 5_000, 7, 0.06
AT_ONCE = 5_000  # runs that are written with one statement a table


class Search(NamedTuple):
    "What is asked of us, and the same of MLflow."
    query: str
    order_by: str
    peer_query: str
    peer_order: str


SEARCHES = [
    Search(
        "metrics.log_loss < 0.5 and params.num_leaves = 63", "metrics.log_loss",
        "metrics.log_loss < 0.5 and params.num_leaves = '63'", "metrics.log_loss ASC"),
    Search("status = failed", "-id", "attributes.status = 'FAILED'", "attributes.start_time DESC"),
    Search(
        "params.dataset = flights and params.lambda_l2 = 10 and status = succeeded", "-metrics.roc_auc",
        "params.dataset = 'flights' and params.lambda_l2 = '10' and attributes.status = 'FINISHED'",
        "metrics.roc_auc DESC"),
    Search(
        "metrics.roc_auc > 0.85 and metrics.train_s < 1", "-created",
        "metrics.roc_auc > 0.85 and metrics.train_s < 1", "attributes.start_time DESC"),
    Search("", "-metrics.accuracy", "", "metrics.accuracy DESC"),
]


def rows_of(draw: random.Random, position: int) -> dict[str, list[dict[str, Any]]]:
    "The rows of one run, by table."
    from mlops_nb.base.core import iso, new_id
    params, metrics, status = sample(draw)
    id, begun = f"{position:06d}-{new_id()}", datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=10 * position)
    ended = iso(begun + timedelta(seconds=metrics["train_s"]))
    run = dict(
        id=id, notebook=draw.choice(NOTEBOOKS), kind="batch", status=status, step=None, source=None, executed=None,
        author=draw.choice(["ada", "grace", "alan"]), host="bench", pid=1, created=iso(begun), started=iso(begun),
        ended=ended, heartbeat=ended, environment=None, code=None, tags={"sweep": f"{position // 24}"},
        error={"cell": 3, "ename": "ValueError", "evalue": "a message"} if status == "failed" else None)
    def number(value: object) -> float | None: return float(value) if isinstance(value, int | float) else None
    values = [dict(run_id=id, name=name, value=value) for name, value in metrics.items()]
    return {
        "runs": [run],
        "params": [dict(run_id=id, name=name, value=value, number=number(value)) for name, value in params.items()],
        "metrics": values,
        "metric_history": [value | dict(step=0, time=ended) for value in values],
    }


def fill(file: Path) -> None:
    "Write the runs in one transaction, as they would stand there after years."
    from mlops_nb.base import schema as db
    from mlops_nb.base.store import Store
    draw, store = random.Random(0), Store(file)
    with store.write() as connection:
        for start in range(0, RUNS, AT_ONCE):
            runs = [rows_of(draw, position) for position in range(start, start + AT_ONCE)]
            for table in db.runs, db.params, db.metrics, db.metric_history:
                connection.execute(table.insert(), [row for run in runs for row in run[table.name]])
    store.close()


def stored() -> Path:
    "The workspace's folder, made once for these samples and this schema."
    from mlops_nb.base import schema as db
    samples = inspect.getsource(sys.modules["_samples"])
    made_from = samples + inspect.getsource(rows_of) + inspect.getsource(fill) + Path(db.__file__).read_text()
    folder = CACHE / f"search-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}"
    if not (folder / ".mlops" / "store.db").is_file():
        print(f"recording {RUNS:,} runs in {folder}, once", file=sys.stderr)
        (folder / ".mlops").mkdir(parents=True, exist_ok=True)
        fill(folder / ".mlops" / "writing.db")
        for part in (folder / ".mlops").glob("writing.db*"):
            part.rename(part.with_name(part.name.replace("writing", "store")))
    return folder


def compared(search: Search, mlflow: Mlflow) -> Line:
    "One search, by us and by MLflow in turns."
    from mlops_nb.app.workspace import Workspace
    records = Workspace(stored()).runs
    def ours() -> float:
        began = time.perf_counter()
        runs = records.search(search.query, order_by=search.order_by, limit=100)
        took = time.perf_counter() - began
        assert runs and all(len(run.params) == 10 and len(run.metrics) == 5 for run in runs)
        return took
    def peer() -> float:
        return mlflow.ask("search", where=search.peer_query, order_by=[search.peer_order], limit=100)[0]
    ours()
    peer()
    ours_s, peer_s = in_turns(TIMES, ours, peer)
    return at_most(f"{search.query or 'all'}, by {search.order_by}", ours_s, LIMIT_S, peer_s)


def main() -> None:
    stored()
    file = CACHE / "mlflow-search.db"
    with Mlflow(file) as mlflow:
        print(f"{mlflow.ask('fill', runs=PEER_RUNS):,} runs in {file}", file=sys.stderr)
        lines = [compared(search, mlflow) for search in SEARCHES]
        title = f"100 of {RUNS:,} runs found, median of {TIMES}; MLflow: of {PEER_RUNS:,}"
        show(title, f"MLflow {mlflow.version}", lines)


if __name__ == "__main__": main()
