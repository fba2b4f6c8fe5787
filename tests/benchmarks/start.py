"What it costs to start: `mlops-nb --help` and `import mlops_nb`, against papermill and MLflow."
import shutil, subprocess, sys, time
from pathlib import Path

from _pairs import at_most, in_turns, known, mlflow_bin, show

TIMES = 15


def took(*command: str):
    "A process from its start to its end, in seconds."
    def work() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        return time.perf_counter() - began
    return work


def beside_python(name: str) -> str: return shutil.which(name, path=str(Path(sys.executable).parent)) or sys.exit(f"{name} is not installed beside {sys.executable}")


if __name__ == "__main__":
    mlflow, its_python = str(mlflow_bin("mlflow")), str(mlflow_bin("python"))
    works = [took(beside_python("mlops-nb"), "--help"), took(beside_python("papermill"), "--help"), took(mlflow, "--help"),
             took(sys.executable, "-c", "import mlops_nb"), took(sys.executable, "-c", "import papermill"), took(its_python, "-c", "import mlflow"),
             took(sys.executable, "-c", "pass"), took(its_python, "-c", "pass")]
    for work in works: work()  # the first start reads files that the others find in memory
    help_, papermill_help, mlflow_help, import_, papermill_import, mlflow_import, nothing, its_nothing = in_turns(TIMES, *works)
    show(f"Start, median of {TIMES}", "peer", [
        at_most("mlops-nb --help (peer: papermill --help)", help_, 0.4, papermill_help),
        at_most("mlops-nb --help (peer: mlflow --help)", help_, 0.4, mlflow_help),
        at_most("import mlops_nb (peer: import papermill)", import_, 0.2, papermill_import),
        at_most("import mlops_nb (peer: import mlflow)", import_, 0.2, mlflow_import),
        known("Python alone, in both figures", nothing, its_nothing)])
