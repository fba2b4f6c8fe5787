"A workspace with some weather and a view of it."
from __future__ import annotations

import pytest

from airports import Airports
from mlops_nb.app.workspace import Workspace


@pytest.fixture
def airports(ws: Workspace) -> Airports: return Airports(ws)
