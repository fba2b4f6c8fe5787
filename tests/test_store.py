"The store, written once and run against SQLite and PostgreSQL: transactions, many writers, faults."
import os, resource, signal, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import sqlalchemy as sa
from sqlalchemy import insert, select

from conftest import wait_for
from mlops_nb import store as db
from mlops_nb.audit import Audit, BrokenChain
from mlops_nb.core import StorageError, StoreTooNew
from mlops_nb.store import HEAD, Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request, tmp_path) -> str:
    "A fresh database of each kind."
    if request.param == "sqlite": return f"sqlite:///{tmp_path}/store.db"
    server = request.getfixturevalue("postgres")
    name = f"t{os.getpid()}_{abs(hash(request.node.nodeid))}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection: connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def test_migrated_schema_is_that_of_the_tables(url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        db._migrate(connection)
        differences = compare_metadata(MigrationContext.configure(connection, opts={"include_object": lambda thing, name, kind, *_: name != "mlops_version"}), db.metadata)
    engine.dispose()
    assert differences == []
    Store(url).rows(select(db.runs))  # is at the version that a new store has


def test_what_raises_is_undone(url):
    store = Store(url)
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        Audit(store).append(connection, "promote", "m@1")
        1 / 0
    assert Audit(store).list() == []
    store.close()


def _append(job: tuple[str, int]) -> None:
    url, count = job
    store = Store(url)
    for n in range(count):
        with store.write() as connection: Audit(store).append(connection, "promote", f"m@{n + 1}", alias="production", to=n + 1)
    store.close()


def test_many_writers_make_one_chain_without_gaps(url):
    "The first of them all to come makes the tables, the others wait for it."
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool: list(pool.map(_append, [(url, 20)] * 4))
    assert Audit(Store(url)).verify() == 80


@pytest.mark.parametrize("harm, says", [
    (sa.update(db.audit).where(db.audit.c.seq == 3).values(actor="nobody"), "event 3 .*was changed"),
    (sa.update(db.audit).where(db.audit.c.seq == 3).values(detail={"to": 9}), "event 3 .*was changed"),
    (sa.delete(db.audit).where(db.audit.c.seq == 3), "event 3 is missing"),
    (sa.update(db.audit).where(db.audit.c.seq == 5).values(previous="0" * 64), "event 5 does not follow"),
])
def test_audit_names_the_event_that_was_tampered_with(url, harm, says):
    _append((url, 5))
    store = Store(url)
    with store.write() as connection: connection.execute(harm)
    with pytest.raises(BrokenChain, match=says): Audit(store).verify()
    store.close()


def test_store_of_a_later_version_is_left_alone(url):
    store = Store(url)
    with store.write() as connection: connection.execute(sa.text("UPDATE mlops_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreTooNew, match="pip install -U"): Store(url).rows(select(db.runs))


def test_killed_writer_leaves_what_was_committed(tmp_path):
    "kill -9 at any moment: the store opens, and every event whose commit was reported is there."
    code = f"""
from mlops_nb.store import Store
from mlops_nb.audit import Audit
store = Store({str(tmp_path / 'store.db')!r})
for n in range(100000):
    with store.write() as connection: Audit(store).append(connection, "promote", "m@1", alias="production", to=n)
    print(n, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for line in writer.stdout:
        if int(line) == 20: break
    writer.send_signal(signal.SIGKILL)
    reported = [20, *map(int, writer.stdout.read().split())]
    writer.wait()
    assert Audit(Store(tmp_path / "store.db")).verify() >= reported[-1] + 1


def test_disk_that_takes_no_more_is_one_line_and_loses_nothing(tmp_path):
    "A limit on file size stands for a full disk: the kernel refuses the write."
    _append((f"sqlite:///{tmp_path}/store.db", 3))
    code = f"""
import resource
from mlops_nb.core import StorageError
from mlops_nb.artifacts import Artifacts
from mlops_nb.store import Store
from mlops_nb.audit import Audit
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try: Artifacts({str(tmp_path / 'artifacts')!r}).put(b"x" * 100000)
except StorageError as error: print("artifact:", error)
store = Store({str(tmp_path / 'store.db')!r})
try:
    for n in range(1000):
        with store.write() as connection: Audit(store).append(connection, "promote", "m@1", text="x" * 2000)
except StorageError as error: print("store:", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["artifact", "store"], done.stdout + done.stderr
    assert not list(tmp_path.glob("artifacts/*/*"))
    assert Audit(Store(tmp_path / "store.db")).verify() >= 3


def test_folder_that_cannot_be_written_is_one_line():
    with pytest.raises(StorageError, match="cannot write /sys/mlops"): Store("/sys/mlops/store.db").rows(select(db.runs))


def test_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "store.db").write_bytes(b"this is a text file, and not a short one either" * 100)
    with pytest.raises(StorageError, match="no database"): Store(tmp_path / "store.db").rows(select(db.runs))
