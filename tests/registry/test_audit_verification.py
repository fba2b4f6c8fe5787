"Checking the trail: whoever lays a hand on it, or on the registry past it, is noticed."
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from audit_support import append_events, home_at
from mlops_nb.base import schema as db
from mlops_nb.registry.audit import Audit, BrokenChain
from registry_support import move_alias, register_small

Harm = Callable[[Connection], None]
_seq = db.audit.c.seq


def _change(seq: int, **values: object) -> Harm:
    def harm(connection: Connection) -> None:
        connection.execute(sa.update(db.audit).where(_seq == seq).values(**values))
    return harm


def _remove(condition: sa.ColumnElement[bool]) -> Harm:
    def harm(connection: Connection) -> None: connection.execute(sa.delete(db.audit).where(condition))
    return harm


def _exchange(first: int, second: int) -> Harm:
    "The contents of two events change places, and the numbers stay."
    def harm(connection: Connection) -> None:
        both = connection.execute(sa.select(db.audit).where(_seq.in_((first, second)))).mappings()
        rows = {row["seq"]: dict(row) for row in both}
        for here, there in ((first, second), (second, first)):
            values = rows[there] | {"seq": here}
            connection.execute(sa.update(db.audit).where(_seq == here).values(**values))
    return harm


def _cut_after(last: int) -> Harm:
    "The end is removed, and the note of where the trail ends is made to fit."
    def harm(connection: Connection) -> None:
        connection.execute(sa.delete(db.audit).where(_seq > last))
        hash = connection.execute(sa.select(db.audit.c.hash).where(_seq == last)).scalar()
        connection.execute(sa.update(db.audit_head).values(seq=last, hash=hash))
    return harm


def _forget_end(connection: Connection) -> None: connection.execute(sa.delete(db.audit_head))
def _shift_end(connection: Connection) -> None: connection.execute(sa.update(db.audit_head).values(seq=4))


HARMS: dict[str, tuple[Harm, str]] = {
    "actor": (_change(3, actor="nobody"), "event 3 .*was changed"),
    "detail": (_change(3, detail={"to": 9}), "event 3 .*was changed"),
    "link": (_change(5, previous="0" * 64), "event 5 does not follow"),
    "one removed": (_remove(_seq == 3), "event 3 is missing: 4 stands in its place"),
    "two exchanged": (_exchange(2, 4), "event 2 does not follow event 1"),
    "last removed": (_remove(_seq == 5), "event 5 is missing: the trail ends with 4"),
    "all removed": (_remove(sa.true()), "event 1 is missing: the trail ends with 0"),
    "end cut": (_cut_after(3), "event 4 is missing or another: this folder has seen event 5"),
    "note removed": (_forget_end, "note of where the audit trail ends"),
    "note changed": (_shift_end, "note of where the audit trail ends"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", HARMS)
def test_first_event_that_does_not_fit_is_named(url: str, tmp_path: Path, what: str) -> None:
    harm, message = HARMS[what]
    home = home_at(tmp_path, url)
    audit = Audit(home)
    append_events(audit, 5)
    assert audit.verify() == 5
    with home.store.write() as connection: harm(connection)
    with pytest.raises(BrokenChain, match=message): audit.verify()
    home.store.close()


def test_trail_written_anew_is_not_the_one_that_was_seen(tmp_path: Path) -> None:
    "Every hash fits, and yet: somebody made another past."
    url = f"sqlite:///{tmp_path}/store.db"
    home = home_at(tmp_path, url)
    append_events(Audit(home), 3)
    with home.store.write() as connection:
        connection.execute(sa.delete(db.audit))
        connection.execute(sa.delete(db.audit_head))
    other = Audit(home_at(tmp_path / "elsewhere", url))
    append_events(other, 4)
    assert other.verify() == 4
    with pytest.raises(BrokenChain, match="has seen event 3"): Audit(home).verify()


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "time": st.text(min_size=1), "actor": st.text(min_size=1), "action": st.sampled_from(["promote", "reject"]),
    "subject": st.text(min_size=1), "previous": st.text(),
    "hash": st.text(alphabet="0123456789abcdef", min_size=64, max_size=64),
    "detail": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
}
CHANGES = st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), FIELDS[name]))


@pytest.mark.slow
@given(seq=st.integers(1, 6), change=CHANGES)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_any_field_is_noticed(tmp_path: Path, seq: int, change: tuple[str, Any]) -> None:
    home, (name, value) = home_at(tmp_path), change
    audit, same = Audit(home), sa.update(db.audit).where(_seq == seq)
    if not audit.list(): append_events(audit, 6)
    before = home.store.rows(sa.select(db.audit).where(_seq == seq))[0]
    if value == before[name]: return
    with home.store.write() as connection: connection.execute(same.values(**{name: value}))
    reason = "does not follow event" if name == "previous" else r"\(.*\) was changed after it was written"
    with pytest.raises(BrokenChain, match=f"(?s)audit event {seq} {reason}"): audit.verify()
    with home.store.write() as connection: connection.execute(same.values(**before))
    assert audit.verify() == 6


def test_alias_that_was_moved_past_the_trail_is_noticed(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    for rounds in 5, 6: register_small(home, rounds)
    move_alias(home, "staging", "m@1")
    assert Audit(home).verify() == 3
    with home.store.write() as connection: connection.execute(sa.update(db.aliases).values(version=2))
    with pytest.raises(BrokenChain, match="m@staging is version 2, but by audit event 3 it is 1"): Audit(home).verify()
    with home.store.write() as connection: connection.execute(sa.delete(db.aliases))
    with pytest.raises(BrokenChain, match="m@staging is version None, but by audit event 3"): Audit(home).verify()


def test_package_that_was_exchanged_past_the_trail_is_noticed(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    register_small(home, 5)
    with home.store.write() as connection:
        connection.execute(sa.update(db.model_versions).values(package="0" * 64))
    with pytest.raises(BrokenChain, match="m@1 is the package 000000000000…, but by audit event 1 it is"):
        Audit(home).verify()
