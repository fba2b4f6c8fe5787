"""Two gigabytes of Parquet as a dataset version: how long each verb takes, and how much memory.

Run `python tests/benchmarks/datasets.py`, or with another size: `python tests/benchmarks/datasets.py 0.2`.
"""
from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _pairs import Line, child, scratch, seconds, show

LIMIT = 1 << 30       # bytes that registering may take
GROUP_ROWS = 1 << 20
APPENDED = 1_000_000  # rows
NUMBERS = [f"x{n}" for n in range(8)]
SCHEMA = pa.schema([
    *((name, pa.float64()) for name in NUMBERS), ("id", pa.int64()), ("word", pa.string()),
    ("when", pa.timestamp("us", "UTC")),
])


def group(first: int, rng: np.random.Generator) -> pa.Table:
    "Rows of numbers, words and times, with ids from `first`."
    ids = np.arange(first, first + GROUP_ROWS)
    words = np.array([f"carrier {n}" for n in range(40)], dtype=object)[rng.integers(0, 40, GROUP_ROWS)]
    numbers = {name: rng.normal(size=GROUP_ROWS) for name in NUMBERS}
    times = pa.array(ids * 1_000_000, SCHEMA.field("when").type)
    return pa.table(numbers | {"id": ids, "word": pa.array(words), "when": times}, SCHEMA)


def write(folder: Path, size: float) -> int:
    "Files of that many bytes together; returns their rows."
    rng, rows, written = np.random.default_rng(0), 0, 0
    while written < size:
        file = folder / f"part-{rows:012d}.parquet"
        with pq.ParquetWriter(file, SCHEMA, compression="snappy") as writer:
            for _ in range(3):
                writer.write_table(group(rows, rng))
                rows += GROUP_ROWS
        written += file.stat().st_size
    return rows


def work(what: str, folder: str, data: str) -> dict[str, Any]:
    "What a child process does: what came of it, and its seconds."
    from mlops_nb.app.workspace import Workspace
    datasets, began = Workspace(folder).datasets, time.perf_counter()
    if what == "walk": result: dict[str, Any] = {"rows": sum(batch.num_rows for batch in datasets["big@1"].batches())}
    elif what == "differ":
        difference = datasets.diff("big@1", "big@2", key=["id"])
        result = {"added": difference.added, "same": difference.same}
    else:
        version = datasets.append("big@1", data) if what == "append" else datasets.add("big", data)
        result = {"ref": version.ref, "rows": version.rows}
    return result | {"s": time.perf_counter() - began}


def line(text: str, measured: dict[str, Any], *, limit: int | None = None) -> Line:
    peak = measured["peak"]
    bar, met = (f"<= {limit / 1e6:.0f} MB", peak <= limit) if limit else ("", None)
    return Line(f"{text}: {seconds(measured['s'])}", f"{peak / 1e6:.0f} MB", bar=bar, met=met)


def main(gigabytes: float) -> None:
    with scratch() as name:
        folder = Path(name)
        (folder / "big").mkdir()
        rows = write(folder / "big", gigabytes * 1e9)
        size = sum(file.stat().st_size for file in (folder / "big").iterdir())
        more = folder / "more.parquet"
        pq.write_table(group(rows, np.random.default_rng(1)).slice(0, APPENDED), more)
        def run(what: str, data: Path | str = "-") -> dict[str, Any]:
            return child(__file__, what, folder / "ws", data, folder=folder)
        added = run("add", folder / "big" / "*.parquet")
        again = run("add", folder / "big" / "*.parquet")
        appended, walked, differing = run("append", more), run("walk"), run("differ")
    assert (added["ref"], again["ref"], appended["ref"]) == ("big@1", "big@1", "big@2")
    assert (added["rows"], appended["rows"], walked["rows"]) == (rows, rows + APPENDED, rows)
    assert (differing["added"], differing["same"]) == (APPENDED, rows)
    show("Datasets larger than memory, peak of all memory", "", [
        line(f"register {size / 1e9:.1f} GB, {rows:,} rows", added, limit=LIMIT),
        line("the same again: the same version", again, limit=LIMIT),
        line(f"append {APPENDED:,} rows", appended),
        line("walk through all rows", walked),
        line("differences of the two versions by key", differing),
    ])


if __name__ == "__main__":
    if len(sys.argv) == 4: print(json.dumps(work(*sys.argv[1:])))
    else: main(float(sys.argv[1]) if len(sys.argv) == 2 else 2.0)
