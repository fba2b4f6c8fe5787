"Many processes at one alias, and one that is killed: one winner, nothing half done, everything on the trail."
from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mlops_nb.base.project import Home
from mlops_nb.promotion.alias_history import alias_event_at, history
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote
from mlops_nb.registry.audit import MOVES, Audit
from mlops_nb.registry.model_versions import Models
from promotion_moves import Job, home_of, move_about
from promotion_support import register_small
from support import wait_for

PROCESSES, MOVES_EACH = 8, 63


@pytest.mark.slow
def test_eight_processes_at_one_alias_leave_a_history_without_gaps(url: str, tmp_path: Path) -> None:
    home = home_of(url, str(tmp_path))
    for rounds in 2, 3, 4: register_small(home, rounds)
    Policies(home).set("m", Policy(), alias="staging")  # nothing but the moves themselves
    promote(home, "m@1", to="staging")
    jobs = [Job(url, str(tmp_path), seed, MOVES_EACH) for seed in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool: list(pool.map(move_about, jobs))
    moves = [event.detail for event in history(home, "m", "staging", actions=MOVES)]
    assert len(moves) == PROCESSES * MOVES_EACH + 1
    assert [move["from"] for move in moves[1:]] == [move["to"] for move in moves[:-1]]
    assert Models(home)["m@staging"].version == moves[-1]["to"]
    Audit(home).verify()


MOVE_FOR_EVER = """
import sys
from mlops_nb.base.project import Home
from mlops_nb.promotion.aliases import rollback
from mlops_nb.promotion.promotion import promote
home = Home(sys.argv[1])
print("ready", flush=True)
while True:
    promote(home, "m@2", to="staging")
    rollback(home, "m", "staging")
"""


def _kill_after(home: Home, events: int) -> None:
    "Let another process move the alias, and kill it when it has written so many events."
    before = len(Audit(home).list())
    words = [sys.executable, "-c", MOVE_FOR_EVER, str(home.root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as mover:
        assert mover.stdout is not None and mover.stdout.readline() == "ready\n"
        wait_for(lambda: len(Audit(home).list()) > before + events, what=f"{events} moves")
        mover.send_signal(signal.SIGKILL)


@pytest.mark.slow
def test_killed_mover_leaves_the_old_version_or_the_new_one(home: Home) -> None:
    "kill -9 at any moment of promotions and rollbacks, many times over."
    for rounds in 2, 3: register_small(home, rounds)
    Policies(home).set("m", Policy(), alias="staging")
    promote(home, "m@1", to="staging")
    for events in np.random.default_rng(0).integers(1, 8, size=8):
        _kill_after(home, int(events))
        Audit(home).verify()
        event = alias_event_at(home, "m", "staging")
        assert event is not None and Models(home)["m@staging"].version == event.detail["to"]
    assert {event.action for event in history(home, "m", "staging", actions=MOVES)} == {"promote", "rollback"}
