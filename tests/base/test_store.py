"The store, written once and run against SQLite and PostgreSQL: migrations, transactions, faults."
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlops_nb.base import schema as db
from mlops_nb.base.errors import StorageError, StoreTooNew
from mlops_nb.base.store import Store, _migrate

HEAD_ROW = dict(id=1, seq=1, hash="whole")


@pytest.mark.slow
def test_migrated_schema_is_that_of_the_tables(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    engine = sa.create_engine(url)
    ours = {"include_object": lambda thing, name, kind, *_: name != "mlops_version"}
    with engine.begin() as connection:
        _migrate(connection)
        differences = compare_metadata(MigrationContext.configure(connection, opts=ours), db.metadata)
    engine.dispose()
    assert differences == []
    Store(url).rows(sa.select(db.runs))  # is at the version that a new store has


def test_what_raises_is_undone(url: str) -> None:
    store = Store(url)
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        connection.execute(sa.insert(db.audit_head), HEAD_ROW)
        raise ZeroDivisionError
    assert store.rows(sa.select(db.audit_head)) == []
    store.close()


def test_store_of_a_later_version_is_left_alone(url: str) -> None:
    store = Store(url)
    with store.write() as connection: connection.execute(sa.text("UPDATE mlops_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreTooNew, match=r"schema 9999, this version knows 0001.*pip install -U"):
        Store(url).rows(sa.select(db.runs))


FILL_THE_DISK = """
import resource, sys
import sqlalchemy as sa
from mlops_nb.base import schema as db
from mlops_nb.base.artifacts import Artifacts
from mlops_nb.base.errors import StorageError
from mlops_nb.base.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try: Artifacts(sys.argv[1]).put(b"x" * 100000)
except StorageError as error: print("artifact:", error)
store = Store(sys.argv[2])
try:
    for n in range(1000):
        with store.write() as connection:
            connection.execute(sa.insert(db.audit_head), dict(id=n + 2, seq=n, hash="x" * 2000))
except StorageError as error: print("store:", error)
"""


def test_disk_that_takes_no_more_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    "A limit on file size stands for a full disk: the kernel refuses the write."
    file, artifacts = tmp_path / "store.db", tmp_path / "artifacts"
    with Store(file).write() as connection: connection.execute(sa.insert(db.audit_head), HEAD_ROW)
    words = [sys.executable, "-c", FILL_THE_DISK, str(artifacts), str(file)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["artifact", "store"], done.stdout + done.stderr
    assert not list(artifacts.glob("*/*"))
    kept = Store(file).rows(sa.select(db.audit_head).order_by(db.audit_head.c.id))
    assert kept[0]["hash"] == "whole"
    assert [row["id"] for row in kept] == list(range(1, len(kept) + 1))


def test_folder_that_cannot_be_written_is_one_line() -> None:
    with pytest.raises(StorageError, match="cannot write /sys/mlops: permission is denied"):
        Store("/sys/mlops/store.db").rows(sa.select(db.runs))


def test_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is a text file, and not a short one either" * 100)
    with pytest.raises(StorageError, match="the file is no database"):
        Store(tmp_path / "store.db").rows(sa.select(db.runs))
