"A notebook that imports LightGBM, pandas and scikit-learn and trains for 0.05 s: twenty runs in a row, and two at a time, against papermill's API."
import json, os, sys, time
from pathlib import Path
from statistics import median
from typing import Iterator

from _pairs import at_least, child, in_turns, known, scratch, show

ROUNDS, RUNS = 3, 20

CELLS = [("parameters", "seed: int = 0  # of the table\nnum_leaves: int = 31\nlearning_rate: float = 0.1"),
    (None, "import lightgbm as lgb\nimport numpy as np\nimport pandas as pd\nfrom IPython.display import SVG\nfrom sklearn.metrics import log_loss\nfrom sklearn.model_selection import train_test_split"),
    (None, """\
rng = np.random.default_rng(seed)
table = pd.DataFrame(rng.normal(size=(2000, 8)), columns=[f"x{i}" for i in range(8)])
label = (table.x0 + table.x1 * table.x2 + rng.normal(size=len(table)) > 0).astype(int)
fit, held, fit_label, held_label = train_test_split(table, label, random_state=seed)"""),
    (None, """\
scores = {}
options = {"objective": "binary", "num_leaves": num_leaves, "learning_rate": learning_rate, "verbose": -1, "num_threads": 1, "seed": seed}
model = lgb.train(options, lgb.Dataset(fit, fit_label), 15, valid_sets=[lgb.Dataset(held, held_label)], valid_names=["held"], callbacks=[lgb.record_evaluation(scores)])
print(f"log_loss {log_loss(held_label, model.predict(held)):.4f}")"""),
    (None, """\
points = " ".join(f"{13 * at},{200 * score:.1f}" for at, score in enumerate(scores["held"]["binary_logloss"]))
SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="150"><polyline points="{points}" fill="none" stroke="black"/></svg>')""")]


def write_notebook(path: Path) -> Path:
    import nbformat
    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag]} if tag else {}) for tag, source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}), path)
    return path


def has_figure(executed: str) -> bool: return "image/svg+xml" in json.loads(executed)["cells"][-1]["outputs"][-1]["data"]


def ours(notebook: Path, folder: Path, jobs: int) -> Iterator:
    "Seconds of each run in a row; then of as many once more, now that the fork server is there."
    from mlops_nb import Workspace
    ws, each = Workspace(folder), []
    def work(seeds: range) -> None:
        if jobs > 1: ended = ws.runs.sweep(notebook, {"seed": list(seeds)}, fixed={"num_leaves": 15}, jobs=jobs, share=False)
        else:
            ended = []
            for seed in seeds:
                began = time.perf_counter()
                ended.append(ws.runs.run(notebook, {"seed": seed, "num_leaves": 15}))
                each.append(time.perf_counter() - began)
        assert all(run.status == "succeeded" and run.params["seed"] == seed and has_figure(ws.artifacts.bytes(run.executed)) for seed, run in zip(seeds, ended, strict=True))
    work(range(RUNS))
    yield each[:RUNS]
    began = time.perf_counter()
    work(range(RUNS, 2 * RUNS))
    yield time.perf_counter() - began


def papermill(notebook: Path, folder: Path, _: int) -> Iterator:
    from papermill import execute_notebook
    each = []
    for seed in range(RUNS):
        began, out = time.perf_counter(), folder / f"{seed}.ipynb"
        execute_notebook(str(notebook), str(out), {"seed": seed, "num_leaves": 15}, progress_bar=False, log_output=False)
        each.append(time.perf_counter() - began)
        assert has_figure(out.read_text())
    yield each
    yield sum(each)  # its second round is as its first


def side(name: str, notebook: str, folder: str, jobs: str) -> None:
    "One process: all runs, imports and recording included."
    Path(folder).mkdir()
    began = time.perf_counter()
    work = {"ours": ours, "papermill": papermill}[name](Path(notebook), Path(folder), int(jobs))
    each, total = next(work), time.perf_counter() - began
    print(json.dumps({"total": total, "first": each[:1], "later": each[1:], "again": next(work)}))


def main() -> None:
    with scratch() as folder:
        folder, made = Path(folder), iter(range(1000))
        notebook = write_notebook(folder / "train.ipynb")
        def work(name: str, jobs: int): return lambda: child(__file__, name, notebook, folder / str(next(made)), jobs, folder=folder)
        in_a_row, peer, two = in_turns(ROUNDS, work("ours", 1), work("papermill", 1), work("ours", 2))
    def of(results: list[dict], key: str) -> list[float]: return [found[key] for found in results]
    def each(results: list[dict], key: str) -> list[float]: return [took for found in results for took in found[key]]
    show(f"{RUNS} runs of a notebook, median of {ROUNDS}, W&B copy {os.environ.get('WANDB_MODE', 'as by default')}", "papermill", [
        at_least(f"{RUNS} runs in a row, warm", of(in_a_row, "again"), of(peer, "again"), 8),
        at_least(f"{RUNS} runs, two at a time, warm (papermill in a row)", of(two, "again"), of(peer, "again"), 12),
        at_least(f"{RUNS} runs in a row, from the start of the process", of(in_a_row, "total"), of(peer, "total"), 8),
        at_least(f"{RUNS} runs, two at a time, from the start of the process", of(two, "total"), of(peer, "total"), 12),
        known("the first run", each(in_a_row, "first"), each(peer, "first")),
        known("a later run", each(in_a_row, "later"), each(peer, "later")),
        known("processor time of all processes a run, in a row", [took / 2 / RUNS for took in of(in_a_row, "cpu")], [took / RUNS for took in of(peer, "cpu")]),
        known("processor time of all processes a run, two at a time", [took / 2 / RUNS for took in of(two, "cpu")], [took / RUNS for took in of(peer, "cpu")])])
    print(f"runs per minute, warm: ours {60 * RUNS / median(of(in_a_row, 'again')):.0f} in a row, {60 * RUNS / median(of(two, 'again')):.0f} two at a time; papermill {60 * RUNS / median(of(peer, 'again')):.0f}")


if __name__ == "__main__": side(*sys.argv[1:]) if len(sys.argv) > 1 else main()
