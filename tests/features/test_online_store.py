"Values online: the latest, young enough, to the bit; under faults, forks and writers at the same time."
from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import weakref
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from airports import CODE, START, Airports, at_hour
from mlops_nb.app.workspace import Workspace
from mlops_nb.base.core import iso
from mlops_nb.base.errors import BadParameter, NotFound
from mlops_nb.features.online_store import OnlineStore, OnlineView

NOW = at_hour(4)
MISSING = dict.fromkeys(["wind", "sky", "strong", "seen"])


def view(name: str = "v", *, version: int = 1, until_us: int = 1, entity: tuple[str, ...] = ("n",)) -> OnlineView:
    "A view of one feature `x`."
    return OnlineView(
        name=name, version=version, until_us=until_us, materialization="0123", entity=entity, features=("x",))


@pytest.fixture
def store(tmp_path: Path) -> OnlineStore: return OnlineStore(tmp_path / "online.db")


# ---- what is answered

def test_answers_are_the_latest_young_enough_to_the_bit(airports: Airports) -> None:
    assert airports.features.materialize(airports.view, until=NOW).rows == 3
    def get(origin: str, at: datetime = NOW) -> dict[str, Any]:
        return airports.features.get_online("airport", {"origin": origin}, at=at)
    assert get("JFK") == {"wind": 12.0, "sky": None, "strong": True, "seen": at_hour(3)}
    assert get("EWR") == {"wind": None, "sky": "ü", "strong": False, "seen": at_hour(2)}
    assert get("LGA") == get("XXX") == MISSING             # too old, and never heard of
    assert get("JFK", at_hour(9))["wind"] == 12.0          # exactly as old as the ttl allows
    assert get("JFK", at_hour(9.01)) == MISSING
    assert get("JFK", at_hour(2)) == MISSING               # it has not happened yet
    assert airports.features.statistics("airport")["sky"].categories == {"rain": 1, "ü": 1}


def test_moment_is_exact_to_the_microsecond(airports: Airports) -> None:
    "As a float of seconds, a moment of 2040 may be a microsecond early, and an event of that very moment lost."
    for microsecond in range(40):
        happened = datetime(2040, 1, 1, microsecond=microsecond, tzinfo=UTC)
        time_us = pd.Timestamp(happened).value // 1000
        airports.features.online.write(view(until_us=time_us), [([1], time_us, [7])])
        assert airports.features.get_online("v", {"n": 1}, at=happened) == {"x": 7}


def test_moment_without_a_zone_is_utc(airports: Airports) -> None:
    naive = NOW.replace(tzinfo=None)
    assert airports.features.materialize(airports.view, until=naive).until == iso(NOW)
    assert airports.features.get_online("airport", {"origin": "JFK"}, at=naive)["wind"] == 12.0


def test_dates_are_points_in_time_here_as_in_a_training_set(airports: Airports) -> None:
    airports.write(CODE.replace('seen=weather["at"]', 'seen=weather["at"].dt.date'))
    airports.features.materialize(airports.view, until=NOW)
    online = airports.features.get_online("airport", {"origin": "JFK"}, at=NOW)
    spine = pd.DataFrame({"origin": ["JFK"], "t": [NOW]})
    offline = airports.features.training_set(spine, ["airport"], time="t")
    assert online["seen"] == offline.seen[0] == START


def test_several_views_and_keys_are_answered_in_order(airports: Airports) -> None:
    airports.features.materialize(airports.view, until=NOW)
    airports.features.online.write(view(entity=("origin",)), [(["EWR"], 0, [7])])
    keys = [{"origin": "EWR", "gate": 1}, {"origin": "XXX"}]
    first, second = airports.features.get_online(["airport", "v"], keys, at=NOW)
    assert (first["sky"], first["x"], second) == ("ü", 7, MISSING | {"x": None})


def test_what_cannot_be_looked_up_is_named(airports: Airports) -> None:
    airports.features.materialize(airports.view, until=NOW)
    with pytest.raises(BadParameter, match="looked up by origin, and 'origin' is not given; given were gate"):
        airports.features.get_online("airport", {"gate": 1})
    with pytest.raises(NotFound, match="view wind is not in the online store, which has airport"):
        airports.features.get_online("wind", {"origin": "JFK"})
    with pytest.raises(NotFound, match="there is no feature view 'wind'"): airports.features.freshness("wind")


# ---- keys

def test_whole_numbers_are_one_key_and_texts_another(store: OnlineStore) -> None:
    "A column of whole numbers is one of floats as soon as a value is missing."
    store.write(view(), [([7.0], 0, ["number"]), (["7"], 0, ["text"]), ([7.5], 0, ["half"])])
    answers = {repr(key): store.get("v", {"n": key}).values for key in (7, 7.0, "7", 7.5)}
    assert answers == {"7": ("number",), "7.0": ("number",), "'7'": ("text",), "7.5": ("half",)}


def test_key_columns_that_another_process_changed_are_noticed(store: OnlineStore) -> None:
    store.write(view(), [([1], 0, ["old"])])
    assert store.get("v", {"n": 1, "m": 2}).values == ("old",)
    OnlineStore(store.file).write(view(version=2, entity=("m", "n")), [([2, 1], 0, ["new"])])
    assert store.get("v", {"n": 1, "m": 2}).values == ("new",)
    with pytest.raises(BadParameter, match="looked up by m, n"): store.get("v", {"n": 1})


# ---- writers

def test_earlier_values_do_not_take_the_place_of_later_ones(airports: Airports) -> None:
    airports.features.materialize(airports.view, until=NOW)
    with pytest.raises(BadParameter, match="airport of a later moment than 2013-01-01T02:00:00: give a later one"):
        airports.features.materialize("airport", until=at_hour(2))
    assert len(airports.features.materializations("airport")) == 1


def _materialize(job: tuple[str, int]) -> str:
    root, hour = job
    try: return Workspace(root).features.materialize("airport", until=at_hour(hour)).until
    except BadParameter as error: return str(error)


@pytest.mark.slow
def test_two_at_once_leave_the_later_moment(airports: Airports) -> None:
    airports.features.register(airports.view)
    jobs = [(str(airports.ws.root), hour) for hour in (5, 1, 4, 2)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool: outcomes = list(pool.map(_materialize, jobs))
    refused = [outcome for outcome in outcomes if "of a later moment" in outcome]
    assert outcomes[0].startswith("2013-01-01T05") and len(refused) < 4
    records = airports.features.materializations("airport")
    assert len(records) == 4 - len(refused)
    assert airports.features.freshness("airport").until.startswith("2013-01-01T05")
    assert airports.features.parity("airport").ok


def test_record_belongs_to_the_values_that_are_there(airports: Airports) -> None:
    "Of two that overlap, the one that wrote last need not be the one that was recorded last."
    features = airports.features
    features.materialize(airports.view, until=at_hour(3))
    there = features.online.view("airport")
    airports.ws.datasets.add("weather", airports.ws.datasets["weather"].read().assign(wind=1.0))
    features.materialize("airport", until=at_hour(3))
    assert there and there.newest_us
    assert features.online.write(there, [(["JFK"], there.newest_us, [12.0, None, True, there.newest_us])])
    assert features.freshness("airport", at=NOW).behind == ("weather@2",)


def test_killed_while_writing_leaves_the_old_values(store: OnlineStore) -> None:
    store.write(view(), (([n], 0, [n]) for n in range(1000)))
    program = f"""
from pathlib import Path
from mlops_nb.features.online_store import OnlineStore, OnlineView
def rows():
    for n in range(10**9):
        if n == 500: print("half", flush=True)
        yield [n], 1, [-n]
view = OnlineView(name="v", version=2, until_us=2, materialization="4567", entity=("n",), features=("x",))
OnlineStore(Path({str(store.file)!r})).write(view, rows())"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "half\n"
    assert store.get("v", {"n": 7}).values == (7,)  # readers go on meanwhile
    process.send_signal(signal.SIGKILL)
    process.communicate()
    row = store.get("v", {"n": 7})
    assert (row.values, row.view.version) == ((7,), 1)
    assert store.write(view(version=2, until_us=2), [([7], 1, [8])]) and store.get("v", {"n": 7}).values == (8,)


@pytest.mark.slow
def test_store_that_cannot_be_written_says_so_and_serves_on(store: OnlineStore) -> None:
    store.write(view(), [([1], 0, [1])])
    store.close()
    program = f"""
import resource, signal
from dataclasses import replace
from pathlib import Path
from mlops_nb.base.core import iso
from mlops_nb.base.errors import StorageError
from mlops_nb.features.online_store import OnlineStore
store = OnlineStore(Path({str(store.file)!r}))
later = replace(store.get("v", {{"n": 1}}).view, version=2)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try: store.write(later, (([n], 1, ["x" * 100]) for n in range(100_000)))
except StorageError as error: print(error)"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"cannot use the online store {store.file}: " in done.stdout, done.stderr
    assert "what was there is still served" in done.stdout
    assert store.get("v", {"n": 1}).values == (1,)


# ---- forks

def test_forked_child_opens_its_own_connection(store: OnlineStore) -> None:
    "It neither uses nor closes that of its parent, whose file it could damage."
    store.write(view(), [([1], 0, [1])])
    inherited = weakref.ref(store._connections.here())
    child = os.fork()
    if not child:
        answered = store.get("v", {"n": 1}).values == (1,)
        is_own = store._connections.here() is not inherited()
        gc.collect()
        os._exit(0 if answered and is_own and inherited() is not None else 1)  # one that is gone was closed
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.write(view(until_us=2), [([1], 1, [2])]) and store.get("v", {"n": 1}).values == (2,)
