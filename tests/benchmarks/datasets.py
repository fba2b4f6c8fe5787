"Registering two gigabytes of Parquet as a dataset version: how long, and how much memory; the same again, appended to, and compared with another version."
import json, sys, time
from pathlib import Path

from _pairs import Line, child, scratch, seconds, show

GIGABYTES, LIMIT = 2.0, 1 << 30


def write(folder: Path) -> tuple[list[Path], int]:
    "Parquet files of numbers, words and times, and their rows."
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    rng, files, rows, per_group = np.random.default_rng(0), [], 0, 1 << 20
    words = np.array([f"carrier {n}" for n in range(40)], dtype=object)
    while sum(file.stat().st_size for file in files) < GIGABYTES * 1e9:
        files.append(folder / f"part-{len(files):03d}.parquet")
        with pq.ParquetWriter(files[-1], pa.schema([(f"x{n}", pa.float64()) for n in range(8)] + [("id", pa.int64()), ("word", pa.string()), ("when", pa.timestamp("us", "UTC"))]), compression="snappy") as writer:
            for _ in range(3):
                numbers = {f"x{n}": rng.normal(size=per_group) for n in range(8)}
                writer.write_table(pa.table(numbers | {"id": np.arange(rows, rows + per_group), "word": pa.array(words[rng.integers(0, 40, per_group)]), "when": pa.array(np.arange(rows, rows + per_group) * 1_000_000, pa.timestamp("us", "UTC"))}, writer.schema))
                rows += per_group
    return files, rows


def work(what: str, folder: str, data: str) -> None:
    "What a child process does: its seconds, and what came of it."
    from mlops_nb.app.workspace import Workspace
    ws, began = Workspace(folder), time.perf_counter()
    if what == "append": version = ws.datasets.append("big@1", data)
    elif what == "walk": version, _ = ws.datasets["big@1"], sum(batch.num_rows for batch in ws.datasets["big@1"].batches())
    elif what == "diff":
        found = ws.datasets.diff("big@1", "big@2", key=("id",))
        print(json.dumps({"s": time.perf_counter() - began, "added": found.added, "same": found.same})); return
    else: version = ws.datasets.add("big", data)
    print(json.dumps({"s": time.perf_counter() - began, "ref": version.ref, "rows": version.rows}))


def main() -> None:
    with scratch() as name:
        folder = Path(name)
        files, rows = write(folder)
        size = sum(file.stat().st_size for file in files)
        lines = []
        (folder / "more").mkdir()
        import pyarrow.parquet as pq
        tail = pq.read_table(files[0]).slice(0, 1_000_000)
        pq.write_table(tail.set_column(tail.column_names.index("id"), "id", [list(range(rows, rows + 1_000_000))]), folder / "more" / "more.parquet")
        for words, what, data in ((f"register {size / 1e9:.1f} GB, {rows:,} rows", "add", folder / "*.parquet"), ("the same again: the same version", "add", folder / "*.parquet"), ("append 1,000,000 rows", "append", folder / "more" / "more.parquet"),
                                  ("walk through all rows", "walk", "-"), ("differences of the two versions by key", "diff", "-")):
            got = child(__file__, what, folder / "ws", data, folder=folder)
            lines.append(Line(f"{words}: {seconds(got['s'])}", f"{got['peak'] / 1e6:.0f} MB", bar=f"<= {LIMIT / 1e6:.0f} MB" if what == "add" else "", met=got["peak"] <= LIMIT if what == "add" else None))
            assert got.get("ref", "big@1") == ("big@2" if what == "append" else "big@1") and (what != "diff" or (got["added"], got["same"]) == (1_000_000, rows)), got
        show("Datasets larger than memory, peak of all memory", "", lines)


if __name__ == "__main__": work(*sys.argv[1:]) if len(sys.argv) > 1 else main()
