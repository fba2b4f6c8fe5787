"What code imports is found as Python would find it, and never imported."
from __future__ import annotations

import sys
from pathlib import Path

from mlops_nb.pipelines.local_modules import local_modules


def test_modules_are_followed_from_file_to_file(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('nothing is imported')")
    (package / "inner" / "__init__.py").write_text("from ..base import x")
    (package / "base.py").write_text("def f():\n    import alone")
    (package / "unused.py").write_text("")
    (package / "named.py").write_text("")
    (tmp_path / "alone.py").write_text("import numpy, os.path, nosuch, broken")
    (tmp_path / "broken.py").write_text("def (")
    cells = ["%%time\nimport json\n!ls\nfrom pack import inner", "%%bash\nfor x in"]
    modules = local_modules(cells, ["pack.named"], tmp_path)
    assert list(modules) == ["alone", "broken", "pack", "pack.base", "pack.inner", "pack.named"]
    assert "pack" not in sys.modules


def test_module_whose_import_is_broken_beyond_utf8_is_found(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes("# -*- coding: latin-1 -*-\nimport below\nNAME = 'é'\n".encode("latin-1"))
    (tmp_path / "below.py").write_text("")
    assert list(local_modules(["import latin"], [], tmp_path)) == ["below", "latin"]


def test_relative_import_above_the_top_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text("from ... import x\nfrom . import y\n")
    assert list(local_modules(["from . import z\nimport alone"], [], tmp_path)) == ["alone"]
