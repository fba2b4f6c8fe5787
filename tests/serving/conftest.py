"What the tests of serving share: a workspace with two versions of a model of tumours, the second in production."
from __future__ import annotations

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.project import Home
from mlops_nb.workflows.train import example_table
from serving_support import add_version, point, train


@pytest.fixture
def home(ws: Workspace) -> Home: return ws.home


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("served")
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    table = example_table(ws).read()
    for rounds in 2, 30: add_version(ws.home, "tumour", train(table, "benign", rounds=rounds))
    point(ws.home, "tumour", 2)
    return ws.home
