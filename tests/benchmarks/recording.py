"Recording a run, and a metric in a loop, against MLflow 3 on SQLite; and that a SIGKILL a second later loses nothing."
from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _pairs import Line, Mlflow, at_most, in_turns, known, scratch, show

if TYPE_CHECKING:
    from mlops_nb.base.project import Home

TIMES, VALUES = 200, 10_000
PARAMS: dict[str, object] = {
    "num_leaves": 63, "learning_rate": 0.05, "min_data_in_leaf": 50, "feature_fraction": 0.8, "lambda_l2": 1,
    "num_rounds": 200, "seed": 7, "month": 5, "dataset": "flights", "objective": "binary",
}
METRICS: dict[str, float] = {
    "log_loss": 0.48, "roc_auc": 0.79, "accuracy": 0.81, "brier": 0.15, "recall": 0.6, "precision": 0.7, "f1": 0.65,
    "ece": 0.02, "train_s": 12.5, "rows": 120_000,
}


def record(home: Home) -> float:  # seconds
    from mlops_nb.runs.run import begin_run
    began = time.perf_counter()
    run = begin_run(home, "bench.ipynb", kind="batch", params=PARAMS)
    run.log(METRICS)
    run.end()
    return time.perf_counter() - began


def log_and_wait(folder: str) -> None:
    "What the killed process does: log, say how long it took, and live on."
    from mlops_nb.base.project import Home
    from mlops_nb.runs.run import begin_run
    run = begin_run(Home(folder), "bench.ipynb", kind="batch", params=PARAMS)
    began = time.perf_counter()
    for step in range(VALUES): run.log(loss=step / VALUES)
    print(json.dumps({"run": run.id, "each": (time.perf_counter() - began) / VALUES}), flush=True)
    sys.stdin.read()


def killed(folder: Path) -> tuple[float, int]:
    "Seconds a value, and how many values of a process that was killed a second after the last are missing or wrong."
    from mlops_nb.base.project import Home
    from mlops_nb.runs.records import RunRecords
    words = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        answer = json.loads(process.stdout.readline())
        try: process.wait(timeout=1)
        except subprocess.TimeoutExpired: process.kill()
    values = {step: value for _, step, value in RunRecords(Home(folder)).history(answer["run"])}
    return answer["each"], sum(values.get(step) != step / VALUES for step in range(VALUES))


def check(home: Home) -> None:
    "Every run is in the store as it was recorded."
    from mlops_nb.runs.records import RunRecords
    runs = RunRecords(home).search("status = succeeded")
    assert len(runs) == 2 * TIMES + 1
    assert all(run.params == PARAMS and run.metrics == METRICS for run in runs)


def slowest_of_a_hundred(seconds: list[float]) -> list[float]: return [sorted(seconds)[int(0.99 * len(seconds))]]


def main() -> None:
    from mlops_nb.base.project import Home
    with scratch() as folder, Mlflow(Path(folder) / "mlflow.db") as mlflow:
        home = Home(folder)
        def ours() -> float: return record(home)
        def peer() -> float: return mlflow.ask("record", params=PARAMS, metrics=METRICS)
        ours()  # imports
        peer()  # imports and migrations
        ours_s, peer_s = in_turns(TIMES, ours, peer)
        (in_a_row_s,) = in_turns(TIMES, ours)
        loops, peer_loops = in_turns(3, lambda: killed(Path(folder)), lambda: mlflow.ask("log", name="loss", times=100))
        lost = sum(missing for _, missing in loops)
        check(home)
        of, sent = f"values lost of {len(loops) * VALUES:,}", "SIGKILL a second after the last"
        show(f"Recording, median of {TIMES}", f"MLflow {mlflow.version}", [
            at_most("a run with 10 parameters and 10 metrics, in the caller", ours_s, 1.5e-3, peer_s),
            known("the same, one straight after the other", in_a_row_s, peer_s),
            known("the same, slowest of a hundred", slowest_of_a_hundred(ours_s), slowest_of_a_hundred(peer_s)),
            at_most(f"a metric in a loop of {VALUES:,}", [each for each, _ in loops], 0.05e-3, peer_loops),
            Line(f"{of}, {sent}", str(lost), bar="0", met=not lost),
        ])


if __name__ == "__main__":
    if len(sys.argv) > 1: log_and_wait(sys.argv[1])
    else: main()
