"Transforms: what is imported by name is what stands in the file, and what cannot be is one line."
from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from mlops_nb.base.core import digest
from mlops_nb.base.errors import MLOpsError, NotFound
from mlops_nb.features.transforms import Transform, load_transform, stored_transform

CODE = "from mlops_nb.features.transforms import transform\n@transform()\ndef scaled(rows): return rows * 2\n"


def factor(transform: Transform) -> float: return transform(pd.DataFrame({"x": [1.0]})).x[0]


@pytest.fixture
def module(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    "A module in a project folder, under a name that no other test has."
    path = tmp_path / f"scaling_{request.node.name.partition('[')[0]}.py"
    path.write_text(CODE)
    return path


def test_edited_file_is_imported_anew(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "Even within the second and of the same length, which Python's compiled files do not tell apart."
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    name, written = f"{module.stem}:scaled", module.stat().st_mtime
    first = load_transform(name, module.parent)
    module.write_text(CODE.replace("* 2", "* 3"))
    os.utime(module, (written, written))
    assert first.source_digest() == digest(CODE)  # it was made from what stood there then
    second = load_transform(name, module.parent)
    assert factor(second) == 3 and second.source_digest() == digest(module)
    assert load_transform(name, module.parent) is second


@pytest.mark.parametrize("code, says", [
    ("def scaled(", "cannot be imported: SyntaxError"),
    ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    ("import nosuch_module", "No module named 'nosuch_module'"),
    ("scaled = None", "has no function 'scaled'; is its cell marked"),
])
def test_module_that_cannot_be_imported_is_one_line(module: Path, code: str, says: str) -> None:
    module.write_text(code)
    sys.modules.pop(module.stem, None)
    with pytest.raises(NotFound, match=f"transform {module.stem}:scaled: .*{says}") as refused:
        load_transform(f"{module.stem}:scaled", module.parent)
    assert "\n" not in str(refused.value)


def test_function_of_another_kind_is_told_apart(module: Path) -> None:
    module.write_text("""from mlops_nb.features.feature_views import feature_view
@feature_view(entity=["k"], event_time="t", sources={})
def view(): return None
def plain(rows): return rows
""")
    for function in "view", "plain":
        with pytest.raises(MLOpsError, match=rf"{function} is not marked @transform\(\)"):
            load_transform(f"{module.stem}:{function}", module.parent)


def test_stored_source_stands_in_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    "It imports from there, whatever the module itself has become."
    package = tmp_path / "stored_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "rates.py").write_text("RATE = 5\n")
    code = "from mlops_nb.features.transforms import transform\nfrom .rates import RATE\n@transform()\n"
    (package / "prices.py").write_text(f"{code}def priced(rows): return rows - RATE\n")
    kept = tmp_path / "kept"
    kept.write_text(f"{code}def priced(rows): return rows + RATE\n")
    monkeypatch.syspath_prepend(tmp_path)
    name = "stored_package.prices:priced"
    stored = stored_transform(name, kept)
    assert factor(stored) == 6 and (stored.name, stored.source_digest()) == (name, digest(kept))
    assert factor(load_transform(name)) == -4
