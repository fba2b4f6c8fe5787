"What tests of data need: a workspace's home, its datasets, and other processes."
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets

Processes = Callable[[int], ProcessPoolExecutor]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def datasets(home: Home) -> Datasets:
    return Datasets(home)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    "Datasets that the examples of property tests share: a store takes longer to make than to use."
    return Datasets(Home(tmp_path_factory.mktemp("shared")))


@pytest.fixture
def processes() -> Processes:
    "A pool of processes that share nothing with this one but the disk."
    return lambda workers: ProcessPoolExecutor(workers, mp_context=get_context("forkserver"))
