"What the benchmark programs share: work done in turns by us and a peer, and the table of what came out."
from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from _memory import Peak

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlops-nb-bench"  # what is made once
HERE = Path(__file__).parent
OF_WHOEVER_STARTED = (
    "MLOPS_HOME", "MLOPS_STORE", "MLOPS_ARTIFACTS", "MLOPS_RUN", "MLOPS_FORK_SERVER", "JPY_SESSION_NAME",
)
for _name in OF_WHOEVER_STARTED: os.environ.pop(_name, None)


def scratch() -> tempfile.TemporaryDirectory[str]:
    "A folder for one program; all that it writes goes there."
    return tempfile.TemporaryDirectory(prefix="mlops-nb-bench-", ignore_cleanup_errors=True)


def in_turns(
    times: int,
    *works: Callable[[], Any],
) -> list[list[Any]]:  # what each gave, in order
    "Do one work after the other, so that a slow moment of the machine meets them all."
    given: list[list[Any]] = [[] for _ in works]
    for turn in range(1, times + 1):
        for work, results in zip(works, given, strict=True): results.append(work())
        if sys.stderr.isatty(): print(f"  round {turn} of {times}", end="\r", file=sys.stderr, flush=True)
    return given


def child(
    program: str | Path,
    *arguments: object,
    folder: Path,  # where it runs
) -> dict[str, Any]:
    """Run a Python program; its last line is what it found, as JSON. Added to that: `process`, its seconds from start
    to end; `cpu`, the processor seconds of its whole tree; `peak`, the largest memory of that tree."""
    began, used = time.perf_counter(), cpu_of_children()
    words = [sys.executable, str(program), *map(str, arguments)]
    with (
        open(folder / "errors", "w+") as errors,
        subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        with Peak(process.pid) as peak: output, _ = process.communicate()
        if process.returncode:
            errors.seek(0)
            what = " ".join([Path(program).name, *words[2:]])
            raise SystemExit(f"{what} ended with status {process.returncode}:\n{errors.read()}")
    measured = {"process": time.perf_counter() - began, "cpu": cpu_of_children() - used, "peak": peak.bytes}
    return json.loads(output.splitlines()[-1]) | measured


def cpu_of_children() -> float: return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


# ---- MLflow

class Mlflow:
    "MLflow 3 in an environment of its own, in a process that is asked by lines of JSON; see `_mlflow_peer.py`."

    def __init__(self, store: Path):  # SQLite file
        words = [mlflow_bin("python"), HERE / "_mlflow_peer.py", store]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.version = self.ask("version")

    def ask(self, what: str, **how: object) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"what": what, "how": how}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line: raise SystemExit(f"the MLflow process ended at {what!r}")
        return json.loads(line)

    def __enter__(self) -> Mlflow: return self

    def __exit__(self, *_: object) -> None: self._process.communicate()


def mlflow_bin(
    name: str,  # python or mlflow
) -> Path:
    "A program of MLflow's environment, which is made once: MLflow wants older versions than we do."
    folder = CACHE / "mlflow"
    if not (folder / "bin/mlflow").is_file():
        print(f"installing MLflow into {folder}, once", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin/python"), "-m", "pip", "install", "-q", "mlflow>=3"], check=True)
    return folder / "bin" / name


# ---- the table

@dataclass(frozen=True)
class Line:
    "One line of the table; what has no bar is shown for knowledge."
    work: str
    ours: str
    peer: str = ""
    ratio: float | None = None  # peer over ours
    bar: str = ""
    met: bool | None = None


def at_least(work: str, ours_s: list[float], peer_s: list[float], times: float) -> Line:
    "A line whose bar is how many times as fast as the peer."
    ratio = median(peer_s) / median(ours_s)
    return Line(work, seconds(median(ours_s)), seconds(median(peer_s)), ratio, f">= {times:g} x", ratio >= times)


def at_most(work: str, ours_s: list[float], limit_s: float, peer_s: list[float] | None = None) -> Line:
    "A line whose bar is a time."
    shown = known(work, ours_s, peer_s)
    return Line(work, shown.ours, shown.peer, shown.ratio, f"<= {seconds(limit_s)}", median(ours_s) <= limit_s)


def known(work: str, ours_s: list[float], peer_s: list[float] | None = None) -> Line:
    "A line without a bar."
    if not peer_s: return Line(work, seconds(median(ours_s)))
    return Line(work, seconds(median(ours_s)), seconds(median(peer_s)), median(peer_s) / median(ours_s))


def seconds(value: float) -> str:
    if value >= 1: return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


MET = {True: "yes", False: "no", None: ""}


def show(title: str, peer: str, lines: list[Line]) -> None:
    "Print the table."
    ratios = ["" if line.ratio is None else f"{line.ratio:.1f}" for line in lines]
    head = "work", "ours", peer, "ratio", "bar", "met"
    rows = [(line.work, line.ours, line.peer, ratio, line.bar, MET[line.met])
            for line, ratio in zip(lines, ratios, strict=True)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(f"\n{title} · {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in head, ["-" * width for width in widths], *rows:
        work, *others = zip(row, widths, strict=True)
        print("  ".join([work[0].ljust(work[1]), *(text.rjust(width) for text, width in others)]).rstrip())
