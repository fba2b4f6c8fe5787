"What a clean environment takes along that no registry has."
from __future__ import annotations

import sys
from importlib.metadata import Distribution
from pathlib import Path

import importlib_metadata
import pytest

from mlops_nb.registry.clean_environments import _copy_distribution, _local_distributions


def entry_points(site: Path) -> str:
    "What a new environment would know of the toolkit; papermill finds its engine by it."
    _copy_distribution(_local_distributions()["mlops-nb"], site)
    (file,) = site.glob("*/entry_points.txt")
    return file.read_text()


def test_source_folder_on_the_path_hides_no_installed_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "A checkout's own metadata may lack the entry points, or be stale."
    metadata = tmp_path / "mlops_nb.egg-info"
    metadata.mkdir()
    (metadata / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mlops_nb\nVersion: 0\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert "[papermill.engine]" in entry_points(tmp_path / "site")


def test_backport_of_the_metadata_library_changes_nothing(tmp_path: Path) -> None:
    "Imported, as Dask does, `importlib_metadata` answers for the standard library, with classes of its own."
    found: Distribution = _local_distributions()["mlops-nb"]
    assert isinstance(found, importlib_metadata.Distribution)
    assert "[papermill.engine]" in entry_points(tmp_path / "site")
