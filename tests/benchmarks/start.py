"What it costs to start: `mlops-nb --help` and `import mlops_nb`, against papermill and MLflow."
from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from _pairs import at_most, in_turns, known, mlflow_bin, show

TIMES = 15


def start(*command: str) -> Callable[[], float]:
    "A process from its start to its end, in seconds."
    def work() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        return time.perf_counter() - began
    return work


def beside_python(name: str) -> str:
    program = shutil.which(name, path=str(Path(sys.executable).parent))
    if program is None: raise SystemExit(f"{name} is not installed beside {sys.executable}")
    return program


def main() -> None:
    python, peer_python = sys.executable, str(mlflow_bin("python"))
    works = {
        "our help": start(beside_python("mlops-nb"), "--help"),
        "papermill's help": start(beside_python("papermill"), "--help"),
        "MLflow's help": start(str(mlflow_bin("mlflow")), "--help"),
        "our import": start(python, "-c", "import mlops_nb"),
        "papermill's import": start(python, "-c", "import papermill"),
        "MLflow's import": start(peer_python, "-c", "import mlflow"),
        "Python": start(python, "-c", "pass"),
        "MLflow's Python": start(peer_python, "-c", "pass"),
    }
    for work in works.values(): work()  # the first start reads files that the others find in memory
    took = dict(zip(works, in_turns(TIMES, *works.values()), strict=True))
    show(f"Start, median of {TIMES}", "peer", [
        at_most("mlops-nb --help (peer: papermill --help)", took["our help"], 0.4, took["papermill's help"]),
        at_most("mlops-nb --help (peer: mlflow --help)", took["our help"], 0.4, took["MLflow's help"]),
        at_most("import mlops_nb (peer: import papermill)", took["our import"], 0.2, took["papermill's import"]),
        at_most("import mlops_nb (peer: import mlflow)", took["our import"], 0.2, took["MLflow's import"]),
        known("Python alone, in both figures", took["Python"], took["MLflow's Python"]),
    ])


if __name__ == "__main__": main()
