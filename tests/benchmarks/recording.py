"Recording one run, and a metric in a loop, against MLflow 3 on SQLite; and that nothing is lost to a SIGKILL one second after the last value."
import json, subprocess, sys, time
from pathlib import Path

from _pairs import Line, Mlflow, at_most, in_turns, known, scratch, show

TIMES, VALUES = 200, 10_000
PARAMS = {"num_leaves": 63, "learning_rate": 0.05, "min_data_in_leaf": 50, "feature_fraction": 0.8, "lambda_l2": 1, "num_rounds": 200, "seed": 7, "month": 5, "dataset": "flights", "objective": "binary"}
METRICS = {"log_loss": 0.48, "roc_auc": 0.79, "accuracy": 0.81, "brier": 0.15, "recall": 0.6, "precision": 0.7, "f1": 0.65, "ece": 0.02, "train_s": 12.5, "rows": 120_000}


def record(home) -> float:
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
    run, each = begin_run(Home(folder), "bench.ipynb", kind="batch", params=PARAMS), []
    began = time.perf_counter()
    for step in range(VALUES): run.log(loss=step / VALUES)
    print(json.dumps({"run": run.id, "each": (time.perf_counter() - began) / VALUES}), flush=True)
    sys.stdin.read()


def killed(folder: Path) -> tuple[float, int]:
    "Seconds a value, and how many values of a process that was killed a second after the last are missing or wrong."
    from mlops_nb.base.project import Home
    from mlops_nb.runs.records import RunRecords
    with subprocess.Popen([sys.executable, __file__, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        try: process.wait(timeout=1)
        except subprocess.TimeoutExpired: process.kill()
    there = {step: value for _, step, value in RunRecords(Home(folder)).history(told["run"])}
    return told["each"], sum(there.get(step) != step / VALUES for step in range(VALUES))


def main() -> None:
    from mlops_nb.base.project import Home
    with scratch() as folder, Mlflow(Path(folder) / "mlflow.db") as mlflow:
        home = Home(folder)
        peer = lambda: mlflow.ask("record", params=PARAMS, metrics=METRICS)
        record(home); peer()  # imports and migrations
        ours, theirs = in_turns(TIMES, lambda: record(home), peer)
        (in_a_row,) = in_turns(TIMES, lambda: record(home))
        loops, its_loops = in_turns(3, lambda: killed(Path(folder)), lambda: mlflow.ask("log", name="loss", times=100))
        lost = sum(missing for _, missing in loops)
        from mlops_nb.runs.records import RunRecords
        found = RunRecords(home).search("status = succeeded")
        assert len(found) == 2 * TIMES + 1 and all(run.params == PARAMS and run.metrics == METRICS for run in found), "a run is not in the store as it was recorded"
        show(f"Recording, median of {TIMES}", f"MLflow {mlflow.version}", [
            at_most("a run with 10 parameters and 10 metrics, in the caller", ours, 1.5e-3, theirs),
            known("the same, one straight after the other", in_a_row, theirs),
            known("the same, slowest of a hundred", [sorted(ours)[int(0.99 * TIMES)]], [sorted(theirs)[int(0.99 * TIMES)]]),
            at_most(f"a metric in a loop of {VALUES:,}", [each for each, _ in loops], 0.05e-3, its_loops),
            Line(f"values lost of {len(loops) * VALUES:,}, SIGKILL a second after the last", str(lost), bar="0", met=not lost)])


if __name__ == "__main__": log_and_wait(sys.argv[1]) if len(sys.argv) > 1 else main()
