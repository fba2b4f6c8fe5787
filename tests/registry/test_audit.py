"Writing the trail: many writers make one chain, and whoever is killed over it leaves it whole."
from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from audit_support import append_events, append_to, home_at
from mlops_nb.base.errors import NotFound
from mlops_nb.base.project import Home
from mlops_nb.registry.audit import Audit

APPEND_FOR_EVER = """
import sys
from mlops_nb.base.project import Home
from mlops_nb.registry.audit import Audit
audit, number = Audit(Home(sys.argv[1])), 0
while True:
    number += 1
    with audit.writing() as connection: audit.append(connection, "approve", "m@1", alias="production")
    print(number, flush=True)
"""


@pytest.mark.slow
def test_many_writers_make_one_chain(url: str, tmp_path: Path) -> None:
    "The first of them all to come makes the tables, the others wait for it."
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(append_to, [(url, tmp_path, 20)] * 4))
    assert Audit(home_at(tmp_path, url)).verify() == 80


def test_killed_writer_leaves_what_was_committed(tmp_path: Path) -> None:
    "kill -9 at any moment: the store opens, and every event whose commit was reported is there."
    command = [sys.executable, "-c", APPEND_FOR_EVER, str(tmp_path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) == 20: break
    writer.send_signal(signal.SIGKILL)
    reported = [20, *map(int, writer.stdout.read().split())]
    writer.wait()
    assert Audit(home_at(tmp_path)).verify() >= reported[-1]


def test_change_that_fails_leaves_no_event(tmp_path: Path) -> None:
    audit = Audit(Home(tmp_path))
    with pytest.raises(ZeroDivisionError), audit.writing() as connection:
        audit.append(connection, "approve", "m@1")
        raise ZeroDivisionError
    assert audit.list() == [] and audit.verify() == 0


def test_events_of_a_model_are_not_those_of_its_namesakes(tmp_path: Path) -> None:
    audit = Audit(Home(tmp_path))
    with audit.writing() as connection:
        for subject in "m", "m@1", "m_@1", "mm@1", "m-1": audit.append(connection, "approve", subject)
        audit.append(connection, "reject", "m@1")
    assert [event.subject for event in audit.list("m")] == ["m", "m@1", "m@1"]
    assert [event.seq for event in audit.list("m", ("reject",))] == [6]


def test_event_that_is_not_there_is_told_from_those_that_are(tmp_path: Path) -> None:
    audit = Audit(Home(tmp_path))
    append_events(audit, 2)
    assert audit[2].subject == "m@2" and audit.get("3") is None
    with pytest.raises(NotFound, match="no audit event 3: the trail has the events 1 to 2"): audit[3]


def test_export_is_the_trail_line_by_line(tmp_path: Path) -> None:
    audit = Audit(Home(tmp_path))
    append_events(audit, 2)
    assert audit.export(tmp_path / "trail.jsonl") == 2
    lines = (tmp_path / "trail.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [event.asdict() for event in audit.list()]
