"What the benchmark programs share: work done in turns by us and a peer, and the table of what came out."
from __future__ import annotations

import json, os, resource, subprocess, sys, tempfile, time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Callable

from _memory import Peak

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlops-nb-bench"  # environments and stores that are made once
HERE = Path(__file__).parent
for _name in ("MLOPS_HOME", "MLOPS_STORE", "MLOPS_ARTIFACTS", "MLOPS_RUN", "MLOPS_FORK_SERVER", "JPY_SESSION_NAME"): os.environ.pop(_name, None)


def scratch() -> tempfile.TemporaryDirectory:
    "A folder for one program; all that it writes goes there."
    return tempfile.TemporaryDirectory(prefix="mlops-nb-bench-", ignore_cleanup_errors=True)


def in_turns(
    times: int,
    *works: Callable[[], Any],
) -> list[list[Any]]:  # what each gave, in order
    "Do one work after the other, so that a slow moment of the machine meets them all."
    given: list[list[Any]] = [[] for _ in works]
    for at in range(times):
        for work, results in zip(works, given): results.append(work())
        if sys.stderr.isatty(): print(f"  round {at + 1} of {times}", end="\r", file=sys.stderr, flush=True)
    return given


def child(
    program: str|Path,
    *arguments: object,
    folder: Path,  # where it runs
) -> dict:
    """Run a Python program; its last line is what it found, as JSON. Added to that: `process`, its seconds from start to end;
    `cpu`, the processor seconds of its whole tree; `peak`, the largest memory of that tree."""
    began, used = time.perf_counter(), _cpu_of_children()
    with open(folder / "errors", "w+") as errors, subprocess.Popen([sys.executable, str(program), *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        with Peak(process.pid) as peak: said = process.communicate()[0]
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{Path(program).name} {' '.join(map(str, arguments))} ended with status {process.returncode}:\n{errors.read()}")
    return json.loads(said.splitlines()[-1]) | {"process": time.perf_counter() - began, "cpu": _cpu_of_children() - used, "peak": peak.bytes}


def _cpu_of_children() -> float: return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


class Mlflow:
    "MLflow 3 in an environment of its own, in a process that is asked by lines of JSON; see `_mlflow_peer.py`."

    def __init__(self,
        store: Path,  # SQLite file
    ):
        self._process = subprocess.Popen([str(mlflow_bin("python")), str(HERE / "_mlflow_peer.py"), str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
        self.version = self.ask("version")

    def ask(self, what: str, **how: object) -> Any:
        self._process.stdin.write(json.dumps({"what": what, "how": how}) + "\n"); self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line: raise SystemExit(f"the MLflow process ended at {what!r}")
        return json.loads(line)

    def __enter__(self) -> "Mlflow": return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()


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


@dataclass(frozen=True)
class Line:
    "One line of the table; what has no bar is shown for knowledge."
    work: str
    ours: str
    peer: str = ""
    ratio: float|None = None  # peer over ours
    bar: str = ""
    met: bool|None = None


def at_least(work: str, ours_s: list[float], peer_s: list[float], times: float) -> Line:
    "A line whose bar is how many times as fast as the peer."
    ratio = median(peer_s) / median(ours_s)
    return Line(work, seconds(median(ours_s)), seconds(median(peer_s)), ratio, f">= {times:g} x", ratio >= times)


def at_most(work: str, ours_s: list[float], limit_s: float, peer_s: list[float]|None = None) -> Line:
    "A line whose bar is a time."
    middle = median(ours_s)
    return Line(work, seconds(middle), seconds(median(peer_s)) if peer_s else "", median(peer_s) / middle if peer_s else None, f"<= {seconds(limit_s)}", middle <= limit_s)


def known(work: str, ours_s: list[float], peer_s: list[float]|None = None) -> Line:
    "A line without a bar."
    return Line(work, seconds(median(ours_s)), seconds(median(peer_s)) if peer_s else "", median(peer_s) / median(ours_s) if peer_s else None)


def seconds(value: float) -> str:
    if value >= 1: return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


def show(title: str, peer: str, lines: list[Line]) -> None:
    "Print the table."
    rows = [("work", "ours", peer, "ratio", "bar", "met")] + [(line.work, line.ours, line.peer, f"{line.ratio:.1f}" if line.ratio else "", line.bar, {True: "yes", False: "no", None: ""}[line.met]) for line in lines]
    widths = [max(len(row[at]) for row in rows) for at in range(6)]
    load = os.getloadavg()[0]
    print(f"\n{title} · {os.cpu_count()} cores, load {load:.1f}")
    for at, row in enumerate(rows):
        print("  ".join(text.ljust(width) if not column else text.rjust(width) for column, (text, width) in enumerate(zip(row, widths))).rstrip())
        if not at: print("  ".join("-" * width for width in widths))
