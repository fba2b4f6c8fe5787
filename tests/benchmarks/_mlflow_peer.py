"MLflow 3 at work, in its own environment: reads a line of JSON, does what it asks for, answers with a line. `_pairs.Mlflow` starts it."
import json, os, random, sys, time
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow
from mlflow.entities import Metric, Param, RunStatus
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from _samples import sample

STORE = Path(sys.argv[1])


def version() -> str: return mlflow.__version__


def record(params: dict, metrics: dict) -> float:
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
        params, metrics, ended = sample(draw)
        store.log_batch(run, [Metric(name, value, 0, 0) for name, value in metrics.items()], [Param(name, str(value)) for name, value in params.items()], [])
        store.update_run_info(run, RunStatus.from_string("FINISHED" if ended == "succeeded" else "FAILED"), 1, None)
    return runs


def search(where: str, order_by: list[str], limit: int) -> list:
    "Seconds, and how many were found."
    began = time.perf_counter()
    found = mlflow.MlflowClient().search_runs(["0"], where, max_results=limit, order_by=order_by)
    return [time.perf_counter() - began, len(found)]


if __name__ == "__main__":
    answers = sys.stdout
    sys.stdout = sys.stderr  # what MLflow prints is no answer
    mlflow.set_tracking_uri(f"sqlite:///{STORE}")
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(globals()[request["what"]](**request["how"])), file=answers, flush=True)
