"What a clean environment takes along that no registry has."
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlops_nb.registry.clean_environments import _copy_distribution, _local_distributions


def test_source_folder_on_the_path_hides_no_installed_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "Papermill finds the engine by the installed metadata; a checkout's own may lack it, or be stale."
    metadata = tmp_path / "mlops_nb.egg-info"
    metadata.mkdir()
    (metadata / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mlops_nb\nVersion: 0\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    site = tmp_path / "site"
    _copy_distribution(_local_distributions()["mlops-nb"], site)
    (entry_points,) = site.glob("*/entry_points.txt")
    assert "[papermill.engine]" in entry_points.read_text()
