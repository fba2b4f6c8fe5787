"MLflow 3 at work, in its own environment: reads lines of JSON and answers with one each. `_pairs.Mlflow` starts it."
from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow  # pyright: ignore[reportMissingImports] - it is installed in an environment of its own
from _samples import sample
from mlflow.entities import Metric, Param, RunStatus  # pyright: ignore[reportMissingImports] - see above
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # pyright: ignore[reportMissingImports] - see above

STORE = Path(sys.argv[1])


def version() -> str: return mlflow.__version__


def record(params: dict[str, object], metrics: dict[str, float]) -> float:
    "One run through the fluent API, in seconds."
    began = time.perf_counter()
    mlflow.start_run()
    mlflow.log_params(params)
    mlflow.log_metrics(metrics)
    mlflow.end_run()
    return time.perf_counter() - began


def log(name: str, times: int) -> float:
    "Seconds a value, in a loop."
    with mlflow.start_run():
        began = time.perf_counter()
        for step in range(times): mlflow.log_metric(name, step / times, step)
        return (time.perf_counter() - began) / times


def fill(runs: int) -> int:
    "Bring the store to so many runs, through its own batches; how many there are."
    store, draw = SqlAlchemyStore(f"sqlite:///{STORE}", str(STORE.parent)), random.Random(0)
    there = len(store.search_runs(["0"], "", 1, max_results=50_000)) if STORE.exists() else 0
    for _ in range(there, runs):
        run = store.create_run("0", "bench", 0, [], None).info.run_id
        params, metrics, status = sample(draw)
        values = [Metric(name, value, 0, 0) for name, value in metrics.items()]
        store.log_batch(run, values, [Param(name, str(value)) for name, value in params.items()], [])
        ended = "FINISHED" if status == "succeeded" else "FAILED"
        store.update_run_info(run, RunStatus.from_string(ended), 1, None)
    return runs


def search(where: str, order_by: list[str], limit: int) -> list[Any]:
    "Seconds, and how many were found."
    began = time.perf_counter()
    runs = mlflow.MlflowClient().search_runs(["0"], where, max_results=limit, order_by=order_by)
    return [time.perf_counter() - began, len(runs)]


if __name__ == "__main__":
    answers = sys.stdout
    sys.stdout = sys.stderr  # what MLflow prints is no answer
    mlflow.set_tracking_uri(f"sqlite:///{STORE}")
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(globals()[request["what"]](**request["how"])), file=answers, flush=True)
