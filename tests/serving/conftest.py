"What the tests of serving share: a workspace whose model of tumours is in production, trained as a user would."
from __future__ import annotations

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.app.workflow_notebooks import workflow


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    "A model whose second version is in production, after the first."
    folder = tmp_path_factory.mktemp("served")
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    for rounds in 2, 60:  # the first is so weak that the second is surely better
        params = {"register_as": "tumour", "rounds": rounds, "learning_rate": 0.05}
        version = f"tumour@{ws.runs.run(workflow('train'), params).tags['registered']}"
        ws.runs.run(workflow("evaluate"), {"model": version})
        ws.models.promote(version)
    return ws
