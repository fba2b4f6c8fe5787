"Comparing two tables of 1,000,000 rows and 20 columns: ours, both profiles and the comparison from the DataFrames on; Evidently's drift preset; NannyML's univariate drift; and sorting them with NumPy alone."
import json, subprocess, sys, time
from pathlib import Path

from _pairs import CACHE, Line, at_least, child, in_turns, known, scratch, show

ROWS, TIMES, OURS = 1_000_000, 2, 5


def tables():
    "Ten columns of numbers and ten of categories, half of which move."
    import numpy as np, pandas as pd
    rng = np.random.default_rng(0)
    def one(moved: float):
        numbers = {f"n{at}": rng.normal(moved * (at % 2), 1 + at / 10, ROWS) if at < 5 else rng.gamma(2 + moved * (at % 2), 1, ROWS) for at in range(10)}
        words = {f"c{at}": rng.choice([f"v{value}" for value in range(3 + at * 3)], ROWS, p=_shares(3 + at * 3, moved * (at % 2))) for at in range(10)}
        return pd.DataFrame(numbers | words)
    return one(0.0), one(0.1)


def _shares(count: int, tilt: float):
    import numpy as np
    weights = np.arange(1, count + 1) ** -(1.0 + tilt)
    return weights / weights.sum()


def peer_python(name: str) -> Path:
    "The interpreter of a peer's environment, which is made once."
    folder = CACHE / name
    if subprocess.run([str(folder / "bin/python"), "-c", f"import {name}"], capture_output=True).returncode if (folder / "bin/python").is_file() else True:
        print(f"installing {name} into {folder}, once", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin/python"), "-m", "pip", "install", "-q", name, "pyarrow", "pandas<3", "statsmodels"], check=True)  # neither works with pandas 3 yet; NannyML imports statsmodels
    return folder / "bin/python"


def peer(name: str, *files: Path) -> float:
    done = subprocess.run([str(peer_python(name)), str(Path(__file__).parent / "_drift_peers.py"), name, *map(str, files)], capture_output=True, text=True)
    if done.returncode: raise SystemExit(f"{name} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])["s"]


def ours(*files: str) -> None:
    "In a process of its own, so that the memory is this work's."
    import pandas as pd
    from mlops_nb.data.profiles import compare, profile
    reference, current = map(pd.read_parquet, files)
    compare(profile(reference.head(2000)), profile(current.head(2000)))
    times = []
    for _ in range(OURS):
        began = time.perf_counter()
        found = compare(profile(reference), profile(current))
        times.append(time.perf_counter() - began)
    began = time.perf_counter()
    for table in (reference, current):
        for name in table.columns[:10]: table[name].sort_values()
    print(json.dumps({"times": times, "sort": time.perf_counter() - began, "wrong": _wrong(reference, current, found), "size": len(json.dumps(profile(reference).asdict()))}))


def _wrong(reference, current, found) -> list[str]:
    "Statistics that are not SciPy's within the error that is stated."
    import numpy as np
    from scipy import stats
    wrong = []
    for column in found.columns:
        measured = {statistic.name: statistic for statistic in column.statistics}
        x, y = reference[column.column], current[column.column]
        if column.kind == "numeric": true = {"Kolmogorov-Smirnov": stats.ks_2samp(x, y).statistic, "Wasserstein": stats.wasserstein_distance(x, y)}
        else:
            counts = np.array([[(values == word).sum() for word in sorted(set(x) | set(y))] for values in (x.to_numpy(), y.to_numpy())])
            true = {"chi-square": stats.chi2_contingency(counts, correction=False).statistic}
        wrong += [f"{column.column} {name}" for name, value in true.items() if abs(measured[name].value - value) > measured[name].error + 1e-9 * abs(value)]
    return wrong


def main() -> None:
    with scratch() as name:
        folder = Path(name)
        files = [folder / "reference.parquet", folder / "current.parquet"]
        for table, file in zip(tables(), files): table.to_parquet(file)
        for each in ("evidently", "nannyml"): peer_python(each)
        runs, evidently, nannyml = in_turns(TIMES, lambda: child(__file__, *files, folder=folder), lambda: peer("evidently", *files), lambda: peer("nannyml", *files))
        times = [value for run in runs for value in run["times"]]
        wrong = runs[0]["wrong"]
        show(f"Comparing two tables of {ROWS:,} x 20", "peer", [
            at_least("with Evidently's drift preset", times, evidently, 40), at_least("with NannyML's univariate drift", times, nannyml, 10),
            known("with sorting the ten numeric columns of both in pandas", times, [run["sort"] for run in runs]),
            Line(f"memory of the process, the two tables included: {runs[0]['peak'] / 1e6:.0f} MB; a profile as JSON: {runs[0]['size'] / 1e3:.0f} KB", ""),
            Line("statistics that are not SciPy's within their error", ", ".join(wrong) or "none", bar="none", met=not wrong)])


if __name__ == "__main__": ours(*sys.argv[1:]) if len(sys.argv) > 1 else main()
