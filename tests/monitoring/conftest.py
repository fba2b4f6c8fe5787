"What the tests of monitoring share."
from __future__ import annotations

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.project import Home


@pytest.fixture
def home(ws: Workspace) -> Home: return ws.home
