"The store, written once and run against SQLite and PostgreSQL: transactions, many writers, faults."
import subprocess, sys

import pytest
import sqlalchemy as sa
from sqlalchemy import select

from mlops_nb.base import schema as db
from mlops_nb.base.errors import StorageError, StoreTooNew
from mlops_nb.base.store import Store, _migrate


def test_migrated_schema_is_that_of_the_tables(url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        _migrate(connection)
        differences = compare_metadata(MigrationContext.configure(connection, opts={"include_object": lambda thing, name, kind, *_: name != "mlops_version"}), db.metadata)
    engine.dispose()
    assert differences == []
    Store(url).rows(select(db.runs))  # is at the version that a new store has


def test_what_raises_is_undone(url):
    store = Store(url)
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        connection.execute(sa.insert(db.audit_head), dict(id=1, seq=1, hash=""))
        1 / 0
    assert store.rows(select(db.audit_head)) == []
    store.close()


def test_store_of_a_later_version_is_left_alone(url):
    store = Store(url)
    with store.write() as connection: connection.execute(sa.text("UPDATE mlops_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreTooNew, match="pip install -U"): Store(url).rows(select(db.runs))


def test_disk_that_takes_no_more_is_one_line_and_loses_nothing(tmp_path):
    "A limit on file size stands for a full disk: the kernel refuses the write."
    with Store(tmp_path / "store.db").write() as connection: connection.execute(sa.insert(db.audit_head), dict(id=1, seq=1, hash="whole"))
    code = f"""
import resource
from mlops_nb.base.errors import StorageError
from mlops_nb.base.artifacts import Artifacts
from mlops_nb.base.store import Store, _migrate
from mlops_nb.base import schema as db
import sqlalchemy as sa
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try: Artifacts({str(tmp_path / 'artifacts')!r}).put(b"x" * 100000)
except StorageError as error: print("artifact:", error)
store = Store({str(tmp_path / 'store.db')!r})
try:
    for n in range(1000):
        with store.write() as connection: connection.execute(sa.insert(db.audit_head), dict(id=n + 2, seq=n, hash="x" * 2000))
except StorageError as error: print("store:", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["artifact", "store"], done.stdout + done.stderr
    assert not list(tmp_path.glob("artifacts/*/*"))
    kept = Store(tmp_path / "store.db").rows(select(db.audit_head).order_by(db.audit_head.c.id))
    assert kept[0]["hash"] == "whole" and [row["id"] for row in kept] == list(range(1, len(kept) + 1))


def test_folder_that_cannot_be_written_is_one_line():
    with pytest.raises(StorageError, match="cannot write /sys/mlops"): Store("/sys/mlops/store.db").rows(select(db.runs))


def test_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "store.db").write_bytes(b"this is a text file, and not a short one either" * 100)
    with pytest.raises(StorageError, match="no database"): Store(tmp_path / "store.db").rows(select(db.runs))
