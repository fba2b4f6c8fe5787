"Stored rows: the same rows have the same digest however they came, and a table larger than memory passes through."
from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops_nb.base.artifacts import CorruptArtifact
from mlops_nb.base.project import Home
from mlops_nb.data import dataset_files
from mlops_nb.data.datasets import Datasets
from support import wait_for

WIDE = pa.table({
    "n": [1.5, None, -0.0, float("inf"), 2.0] * 3, "s": ["", None, "ü", "x" * 50, "a"] * 3,
    "b": [True, None, False, True, True] * 3, "t": pa.array([0, None, 1, 2, 3] * 3, pa.timestamp("us", "UTC")),
    "i": pa.array(range(15), pa.int8()),
})


def test_digest_of_rows_never_changes(datasets: Datasets) -> None:
    "A later version of this package finds what an earlier one kept."
    assert datasets.add("t", WIDE).digest == "b22371b7ac0dab46fa512579553196aa78c91a3e0d13ec5ed196b756f4d4f668"


@pytest.mark.slow
@given(st.lists(st.integers(0, 15), max_size=4), st.sampled_from(["zstd", "snappy", "none"]), st.integers(1, 20))
@settings(deadline=None, max_examples=25)
def test_same_rows_are_the_same_version_however_they_are_cut_and_packed(
    shared: Datasets, cuts: list[int], compression: str, group: int,
) -> None:
    edges = [0, *sorted(cuts), 15]
    texts = WIDE["s"].combine_chunks()
    pieces = [texts.slice(begin, end - begin) for begin, end in pairwise(edges)]
    cut = WIDE.set_column(1, "s", pa.chunked_array(pieces, pa.string())).replace_schema_metadata({"by": "another"})
    file = shared._home.root / "cut.parquet"
    pq.write_table(cut, file, compression=compression, row_group_size=group, version="1.0")
    first = shared.add("wide", WIDE)
    assert {shared.add("wide", data).ref for data in (cut, file, WIDE.to_reader(max_chunksize=group))} == {first.ref}
    assert first.arrow().equals(WIDE)


def test_any_change_is_another_version(datasets: Datasets) -> None:
    changed = [
        WIDE.slice(0, 14), WIDE.take(list(range(14, -1, -1))), WIDE.rename_columns(["n", "s", "b", "t", "j"]),
        WIDE.select(["s", "n", "b", "t", "i"]), WIDE.set_column(4, "i", WIDE["i"].cast("int16")),
        WIDE.set_column(1, "s", pa.chunked_array([["", "", "ü", "x" * 50, "a"] * 3])),
    ]
    assert [datasets.add("t", table).version for table in (WIDE, *changed)] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.slow
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
@example([1, 31, 37])
@settings(deadline=None, max_examples=20)
def test_rows_in_lots_make_the_version_of_all_at_once(
    shared: Datasets, lots: list[int],
) -> None:
    rows = range(sum(lots))
    table = pd.DataFrame({"z": rows, "a": [f"v{n % 7}" if n % 5 != 2 else None for n in rows]})
    ends = np.cumsum(lots)
    with mock.patch.object(dataset_files, "BLOCK_ROWS", 16):
        version = shared.add("lots", table[:lots[0]])
        for begin, end in pairwise(ends): version = shared.append(version.ref, table[begin:end])
        whole = shared.add("whole", table)
    assert whole.digest == version.digest
    pd.testing.assert_frame_equal(version.read(), table)
    assert _near(version.profile().asdict()["columns"], whole.profile().asdict()["columns"])


def _near(one: Any, other: Any) -> bool:
    "Equal, with means and deviations up to the rounding of the order in which they were added up."
    if isinstance(one, dict): return one.keys() == other.keys() and all(_near(one[key], other[key]) for key in one)
    if isinstance(one, list): return len(one) == len(other) and all(map(_near, one, other))
    return one == other or (isinstance(one, float) and math.isclose(one, other, rel_tol=1e-12))


def test_rows_in_many_files_are_the_same_rows(datasets: Datasets) -> None:
    with mock.patch.object(dataset_files, "BLOCK_ROWS", 4):
        in_one = datasets.add("t", WIDE)
        with mock.patch.object(dataset_files, "_FILE_BYTES", 0): in_many = datasets.add("u", WIDE)
    assert (len(in_one.files()), len(in_many.files())) == (1, 4)
    assert in_many.digest == in_one.digest
    assert in_many.arrow().equals(WIDE)


def test_changed_byte_is_noticed(home: Home) -> None:
    file = Datasets(home).add("t", WIDE).files()[0]
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptArtifact): Datasets(Home(home.root))["t"].read()


ENDLESS = """
import pyarrow as pa
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
def rows():
    for n in range(10**6): yield pa.record_batch({{'n': range(n * 65536, (n + 1) * 65536)}})
Datasets(Home({root!r})).add('t', pa.RecordBatchReader.from_batches(pa.schema({{'n': pa.int64()}}), rows()))
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_a_large_table_leaves_nothing_named(home: Home) -> None:
    writing = home.folder / "artifacts"
    with subprocess.Popen([sys.executable, "-c", ENDLESS.format(root=str(home.root))]) as process:
        large = lambda: sum(file.stat().st_size for file in writing.glob(".writing-*")) > 2_000_000  # noqa: E731
        wait_for(large, what="a few blocks on the disk")
        process.kill()
    assert Datasets(home).list() == []
    assert Datasets(home).add("t", WIDE).ref == "t@1"


GROWTH = """
import resource, pyarrow as pa, numpy as np
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
def batches(n):
    for seed in range(n):
        numbers = np.random.default_rng(seed).random(65536)
        yield pa.record_batch({{'a': numbers, 'b': np.arange(65536) + seed}})
def reader(n): return pa.RecordBatchReader.from_batches(pa.schema({{'a': pa.float64(), 'b': pa.int64()}}), batches(n))
datasets = Datasets(Home({root!r}))
datasets.add('small', reader(20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
datasets.add('large', reader({blocks}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_table_larger_than_its_memory_is_kept(home: Home) -> None:
    "A hundred megabytes of numbers pass through a process that grows by far less."
    program = GROWTH.format(root=str(home.root), blocks=100)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30_000  # KB, of 105 MB
