"The trail: whoever lays a hand on it is noticed, whatever he does; and whoever is killed over it leaves it whole."
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_nb.base import schema as db
from mlops_nb.registry.audit import Audit, BrokenChain
from mlops_nb.base.store import Store


def trail(url: str, folder: Path) -> Audit: return Audit(SimpleNamespace(store=Store(url), folder=folder))


def append(audit: Audit, count: int) -> None:
    for n in range(count):
        with audit.writing() as connection: audit.append(connection, "approve", f"m@{n + 1}", alias="production", comment="ä\n'\"")


def _append(job: tuple[str, str, int]) -> None:
    url, folder, count = job
    append(trail(url, Path(folder)), count)


def test_many_writers_make_one_chain_without_gaps(url, tmp_path):
    "The first of them all to come makes the tables, the others wait for it."
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool: list(pool.map(_append, [(url, str(tmp_path), 20)] * 4))
    assert trail(url, tmp_path).verify() == 80


def _swap(connection, first: int, second: int):
    "Two events change places: their contents do, and the numbers stay."
    rows = {row.seq: dict(row._mapping) for row in connection.execute(sa.select(db.audit).where(db.audit.c.seq.in_((first, second))))}
    for here, there in ((first, second), (second, first)): connection.execute(sa.update(db.audit).where(db.audit.c.seq == here).values(**rows[there] | {"seq": here}))


@pytest.mark.parametrize("harm, says", [
    (lambda c: c.execute(sa.update(db.audit).where(db.audit.c.seq == 3).values(actor="nobody")), "event 3 .*was changed"),
    (lambda c: c.execute(sa.update(db.audit).where(db.audit.c.seq == 3).values(detail={"to": 9})), "event 3 .*was changed"),
    (lambda c: c.execute(sa.delete(db.audit).where(db.audit.c.seq == 3)), "event 3 is missing"),
    (lambda c: c.execute(sa.update(db.audit).where(db.audit.c.seq == 5).values(previous="0" * 64)), "event 5 does not follow"),
    (lambda c: _swap(c, 2, 4), "event 2 "),
    (lambda c: c.execute(sa.delete(db.audit).where(db.audit.c.seq == 5)), "event 5 is missing: the trail ends with 4"),
    (lambda c: c.execute(sa.delete(db.audit)), "event 1 is missing: the trail ends with 0"),
    (lambda c: (c.execute(sa.delete(db.audit).where(db.audit.c.seq > 3)), c.execute(sa.update(db.audit_head).values(seq=3, hash=c.execute(sa.select(db.audit.c.hash).where(db.audit.c.seq == 3)).scalar()))), "event 4 is missing or another: this folder has seen event 5"),
    (lambda c: c.execute(sa.delete(db.audit_head)), "note of where the audit trail ends"),
    (lambda c: c.execute(sa.update(db.audit_head).values(seq=4)), "note of where the audit trail ends"),
])
def test_first_event_that_does_not_fit_is_named(url, tmp_path, harm, says):
    audit = trail(url, tmp_path)
    append(audit, 5)
    assert audit.verify() == 5
    with audit._home.store.write() as connection: harm(connection)
    with pytest.raises(BrokenChain, match=says): audit.verify()
    audit._home.store.close()


def test_whole_trail_that_was_written_anew_is_not_the_one_that_this_folder_saw(tmp_path):
    "Every hash fits, and yet: somebody made another past."
    audit = trail(f"sqlite:///{tmp_path}/store.db", tmp_path)
    append(audit, 3)
    with audit._home.store.write() as connection: connection.execute(sa.delete(db.audit)), connection.execute(sa.delete(db.audit_head))
    other = trail(f"sqlite:///{tmp_path}/store.db", tmp_path / "elsewhere")
    append(other, 4)
    assert other.verify() == 4
    with pytest.raises(BrokenChain, match="has seen event 3"): audit.verify()


_FIELDS = {"time": st.text(min_size=1), "actor": st.text(min_size=1), "action": st.sampled_from(["promote", "reject"]), "subject": st.text(min_size=1), "previous": st.text(), "hash": st.text(alphabet="0123456789abcdef", min_size=64, max_size=64), "detail": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)}


@given(seq=st.integers(1, 6), change=st.sampled_from(sorted(_FIELDS)).flatmap(lambda name: st.tuples(st.just(name), _FIELDS[name])))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_any_field_of_any_event_is_noticed(tmp_path, seq, change):
    audit = trail(f"sqlite:///{tmp_path}/store.db", tmp_path)
    if not audit.list(): append(audit, 6)
    name, value = change
    before = audit._home.store.rows(sa.select(db.audit).where(db.audit.c.seq == seq))[0]
    if value == before[name]: return
    with audit._home.store.write() as connection: connection.execute(sa.update(db.audit).where(db.audit.c.seq == seq).values(**{name: value}))
    with pytest.raises(BrokenChain, match=f"event ({seq}|{seq + 1}) |note of where"): audit.verify()
    with audit._home.store.write() as connection: connection.execute(sa.update(db.audit).where(db.audit.c.seq == seq).values(**before))
    assert audit.verify() == 6


def test_killed_writer_leaves_what_was_committed(tmp_path):
    "kill -9 at any moment: the store opens, and every event whose commit was reported is there."
    code = f"""
from pathlib import Path
from types import SimpleNamespace
from mlops_nb.base.store import Store
from mlops_nb.registry.audit import Audit
audit = Audit(SimpleNamespace(store=Store({str(tmp_path / 'store.db')!r}), folder=Path({str(tmp_path)!r})))
for n in range(100000):
    with audit.writing() as connection: audit.append(connection, "approve", "m@1", alias="production")
    print(n, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for line in writer.stdout:
        if int(line) == 20: break
    writer.send_signal(signal.SIGKILL)
    reported = [20, *map(int, writer.stdout.read().split())]
    writer.wait()
    assert trail(f"sqlite:///{tmp_path}/store.db", tmp_path).verify() >= reported[-1] + 1
