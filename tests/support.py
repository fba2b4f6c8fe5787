"What several test files need besides fixtures: the command line as a process, waiting for a state, notebooks."
from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import nbformat

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
T = TypeVar("T")


def command(*words: str) -> list[str]:
    "`mlops-nb WORDS` by this Python, whatever is on the path."
    return [sys.executable, "-c", "from mlops_nb.app.cli.main import main; main()", *words]


@dataclass(frozen=True, kw_only=True)
class Printed:
    "How a command ended, and what it printed."
    code: int
    out: str
    err: str


ByHand: TypeAlias = Callable[..., Printed]  # the fixture `by_hand`


def start(*words: str, **options: Any) -> subprocess.Popen[Any]:
    "Start `mlops-nb` as a terminal would: able to be interrupted, even when whoever runs the tests is not."
    interruptible = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - subprocess wants a callable
    return subprocess.Popen(command(*words), preexec_fn=interruptible, **options)


def wait_for(state: Callable[[], T | None], limit_s: float = 60, what: str = "the state that was waited for") -> T:
    "Look until something is true, and return it."
    end = time.monotonic() + limit_s
    while not (value := state()):
        assert time.monotonic() < end, f"{what} did not come about within {limit_s} s"
        time.sleep(0.05)
    return value


def declaring(source: str, *, tags: Sequence[str] = ("parameters",), **metadata: object) -> NotebookNode:
    "A notebook of one cell, which declares its parameters."
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    return nbformat.v4.new_notebook(cells=[cell], metadata=metadata)


def notebooks() -> list[str]:
    "The notebooks that are modules, jobs or lessons, relative to the project folder; the index is a page alone."
    paths = (path for path in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return sorted(path.relative_to(ROOT).as_posix() for path in paths if path.name != "index.ipynb")
