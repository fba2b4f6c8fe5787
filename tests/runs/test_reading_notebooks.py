"What is no notebook is refused in one line that says what it is."
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_nb.base.errors import BadNotebook
from mlops_nb.runs.notebooks import read_notebook
from mlops_nb.runs.parameters import parameters

NO_SOURCE = [{"cell_type": "code", "source": 3, "metadata": {}}]
PROSE = [{"cell_type": "markdown", "source": "a", "metadata": {}}]


def of_format_4(cells: object) -> str: return json.dumps({"nbformat": 4, "metadata": {}, "cells": cells})


@pytest.mark.parametrize(("content", "reason"), [
    (b"print(1)", "it is not JSON"), (b"\xff\xfe\x00", "it is not JSON"), (b"", "it is not JSON"),
    (b"[" * 100_000, "it is not JSON"), (b"[]", "without a notebook's `nbformat` number"),
    (b'{"cells": []}', "without a notebook's `nbformat` number"), (b'{"nbformat": 4}', "the form of notebook format 4"),
    (b'{"nbformat": 99}', "the form of notebook format 99"), (of_format_4(7), "the form of notebook format 4"),
    (of_format_4([{}]), "the form of notebook format 4"), (of_format_4(NO_SOURCE), "the form of notebook format 4"),
    (of_format_4([]), "no code cells"), (of_format_4(PROSE), "no code cells"),
])
def test_what_is_no_notebook_is_refused_in_one_line(tmp_path: Path, content: bytes | str, reason: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadNotebook, match=reason) as caught: read_notebook(path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadNotebook, match=r"none\.ipynb does not exist"): read_notebook(tmp_path / "none.ipynb")
    with pytest.raises(BadNotebook, match="is a folder"): read_notebook(tmp_path)


def test_a_path_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadNotebook, match="cannot be read: File name too long"): read_notebook(tmp_path / ("x" * 5000))


def test_a_notebook_of_format_3_is_read(tmp_path: Path) -> None:
    cell = dict(
        cell_type="code", input=["a = 1\n", "b = 2"], language="python", metadata=dict(tags=["parameters"]), outputs=[],
        collapsed=False)
    old = dict(nbformat=3, nbformat_minor=0, metadata=dict(name=""), worksheets=[dict(metadata={}, cells=[cell])])
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps(old))
    assert [parameter.name for parameter in parameters(read_notebook(path))] == ["a", "b"]


def test_reading_a_notebook_builds_no_grammar_of_web_addresses(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(of_format_4([dict(cell_type="code", source="1", metadata={}, outputs=[], execution_count=None)]))
    program = f"""
import sys
from mlops_nb.runs.notebooks import read_notebook
read_notebook({str(path)!r})
print("jsonschema" in sys.modules, "lark" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
