"The memory of a process and all that it started."
from __future__ import annotations

import threading
from pathlib import Path

import psutil


class Peak:
    """The largest sum of proportional set sizes (PSS) over a tree of processes, looked at ten times a second: a page
    that several share counts once."""

    def __init__(self, pid: int):
        self._root, self._end, self.bytes, self.processes = psutil.Process(pid), threading.Event(), 0, 0
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.1):
            try: tree = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess: return
            sizes = [_pss(process.pid) for process in tree]
            if sum(sizes) > self.bytes: self.bytes, self.processes = sum(sizes), len(sizes)


def _pss(pid: int) -> int:
    try: text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (OSError, ProcessLookupError): return 0  # it ended meanwhile
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
