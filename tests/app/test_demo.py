"The demo as a person meets it: interrupted, resumed, finished."
from __future__ import annotations

import pytest

from app_support import Demo

pytestmark = pytest.mark.slow


def test_interrupted_demo_says_so_by_its_status(demo: Demo) -> None: assert demo.interrupted == 130


def test_second_demo_in_the_folder_is_told_who_is_at_work(demo: Demo) -> None:
    assert demo.beside.returncode == 1
    (line,) = demo.beside.stderr.strip().splitlines()
    assert line.startswith("mlops-nb: another demo (process ")


def test_interrupted_demo_is_resumed(demo: Demo) -> None:
    assert demo.resumed.returncode == 0, demo.resumed.stdout + demo.resumed.stderr
    for words in "kept", "ROC AUC by month", "mlops-nb runs ls": assert words in demo.resumed.stdout
    steps = [run.step for run in demo.ws.runs.search("status = succeeded") if run.step]
    assert len(steps) == len(set(steps))


def test_other_size_in_the_folder_is_refused(demo: Demo) -> None:
    done = demo.type("demo", "--dir", ".")
    assert done.returncode == 2
    assert "holds a quick demo: call it with --quick" in done.stderr


def test_broken_copy_is_refused_with_a_line_for_each_breach(demo: Demo) -> None:
    lines = [line.strip() for line in demo.resumed.stdout.splitlines()]
    for column in "dest", "carrier", "distance":
        assert any(line.startswith(f"refused: {column}") for line in lines), demo.resumed.stdout
