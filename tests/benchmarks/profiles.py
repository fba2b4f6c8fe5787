"""Comparing two tables of 1,000,000 rows and 20 columns, from the DataFrames on: our profiles and their comparison;
Evidently's drift preset; NannyML's univariate drift; and sorting the numbers. Our statistics are checked by SciPy's."""
from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from _pairs import CACHE, Line, at_least, child, in_turns, known, scratch, show

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_nb.data.comparisons import ProfileComparison

ROWS, COLUMNS = 1_000_000, 10  # of each table; of numbers and of categories
ROUNDS, TIMES_A_ROUND = 2, 5   # of our comparison; a peer compares once a round


def table(*, seed: int, shift: float) -> pd.DataFrame:
    "Columns of numbers and of categories; a shift moves every second one."
    import numpy as np
    import pandas as pd
    rng = np.random.default_rng(seed)
    shifts = [shift * (position % 2) for position in range(COLUMNS)]
    normal = {f"n{position}": rng.normal(shifts[position], 1 + position / 10, ROWS) for position in range(5)}
    gamma = {f"n{position}": rng.gamma(2 + shifts[position], 1, ROWS) for position in range(5, COLUMNS)}
    categories = {}
    for position in range(COLUMNS):
        values = [f"v{value}" for value in range(3 + position * 3)]
        categories[f"c{position}"] = rng.choice(values, ROWS, p=shares(len(values), tilt=shifts[position]))
    return pd.DataFrame(normal | gamma | categories)


def shares(count: int, *, tilt: float) -> np.ndarray:
    import numpy as np
    weights = np.arange(1, count + 1) ** -(1.0 + tilt)
    return weights / weights.sum()


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ours(*files: str) -> None:
    "Compare in a process of its own, so that the memory is this work's."
    import pandas as pd

    from mlops_nb.data.comparisons import compare_profiles
    from mlops_nb.data.profiles import profile
    reference, current = map(pd.read_parquet, files)

    def compare(rows: int = ROWS) -> ProfileComparison:
        return compare_profiles(profile(reference.head(rows)), profile(current.head(rows)))

    compare(2000)  # imports, and whatever is made at the first use
    print(json.dumps({
        "times": [seconds_of(compare) for _ in range(TIMES_A_ROUND)],
        "sort": seconds_of(lambda: [sort_numbers(rows) for rows in (reference, current)]),
        "wrong": list(wrong_statistics(reference, current, compare())),
        "size": len(json.dumps(profile(reference).asdict())),
    }))


def sort_numbers(rows: pd.DataFrame) -> None:
    for position in range(COLUMNS): cast("pd.Series", rows[f"n{position}"]).sort_values(ascending=True)


def wrong_statistics(reference: pd.DataFrame, current: pd.DataFrame, comparison: ProfileComparison) -> Iterator[str]:
    "Those that are not SciPy's within the error that is stated."
    for column in comparison.columns:
        measured = {measure.name: measure for measure in column.statistics}
        true = true_statistics(cast("pd.Series", reference[column.column]), cast("pd.Series", current[column.column]))
        for name, value in true.items():
            error = measured[name].error + 1e-9 * abs(value)
            if abs(measured[name].value - value) > error: yield f"{column.column} {name}"


def true_statistics(x: pd.Series, y: pd.Series) -> dict[str, float]:
    from scipy import stats
    if x.dtype.kind == "f":
        ks, _ = cast("tuple[float, float]", stats.ks_2samp(x, y))
        return {"Kolmogorov-Smirnov": ks, "Wasserstein": float(stats.wasserstein_distance(x, y))}
    words = sorted(set(x) | set(y))
    rows = [values.value_counts().reindex(words, fill_value=0) for values in (x, y)]
    chi_square, *_ = cast("tuple[float, ...]", stats.chi2_contingency(rows, correction=False))
    return {"chi-square": chi_square}


def peer_python(name: str) -> Path:
    "The interpreter of a peer's environment, which is made once. Neither works with pandas 3 yet."
    python = CACHE / name / "bin/python"
    is_made = python.is_file() and subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode == 0
    if not is_made:
        print(f"installing {name} into {CACHE / name}, once", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE / name)], check=True)
        needed = [name, "pyarrow", "pandas<3", "statsmodels"]  # NannyML imports statsmodels without asking for it
        subprocess.run([python, "-m", "pip", "install", "-q", *needed], check=True)
    return python


def peer(name: str, *files: Path) -> float:
    program = Path(__file__).with_name("_drift_peers.py")
    done = subprocess.run([peer_python(name), program, name, *files], capture_output=True, text=True)
    if done.returncode: raise SystemExit(f"{name} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])["s"]


def main() -> None:
    with scratch() as name:
        folder = Path(name)
        reference, current = folder / "reference.parquet", folder / "current.parquet"
        table(seed=0, shift=0.0).to_parquet(reference)
        table(seed=1, shift=0.1).to_parquet(current)
        for each in "evidently", "nannyml": peer_python(each)
        runs, evidently, nannyml = in_turns(
            ROUNDS, lambda: child(__file__, reference, current, folder=folder),
            lambda: peer("evidently", reference, current), lambda: peer("nannyml", reference, current))
        times = [value for run in runs for value in run["times"]]
        wrong = runs[0]["wrong"]
        memory, size = f"{runs[0]['peak'] / 1e6:.0f} MB", f"{runs[0]['size'] / 1e3:.0f} KB"
        show(f"Comparing two tables of {ROWS:,} x {2 * COLUMNS}", "peer", [
            at_least("with Evidently's drift preset", times, evidently, 40),
            at_least("with NannyML's univariate drift", times, nannyml, 10),
            known("with sorting the numbers of both in pandas", times, [run["sort"] for run in runs]),
            Line(f"memory of the process, the two tables included: {memory}; a profile as JSON: {size}", ""),
            Line("statistics that are not SciPy's within their error", ", ".join(wrong) or "none",
                 bar="none", met=not wrong)])


if __name__ == "__main__":
    files = sys.argv[1:]
    if files: ours(*files)
    else: main()
