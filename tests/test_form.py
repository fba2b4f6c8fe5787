"How the code reads, as far as a machine can tell: lint, types, storeys, the size of cells, nested conditionals, words."
from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT, notebooks

MOST_LINES = 40  # of an exported cell
HOME_MADE_WORDS = (
    "dear", "carry_out", "give_up", "begin_again", "take_turns", "other_here", "is_news", "as_they_are", "chance_psi",
    "take_up", "taken_up",
)


def exported_cells() -> Iterator[tuple[str, int, str]]:  # notebook, position, source
    for notebook in notebooks():
        for position, cell in enumerate(json.loads((ROOT / notebook).read_text())["cells"]):
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and re.match(r"#\| exporti?\n", source): yield notebook, position, source


def python_files() -> list[Path]:
    "Library, tests and setup; the library is what the notebooks export."
    folders = (ROOT / "mlops_nb", ROOT / "tests")
    modules = [path for folder in folders for path in folder.rglob("*.py") if path.name != "_modidx.py"]
    return [*modules, ROOT / "setup.py"]


def trees() -> Iterator[tuple[str, ast.Module]]:
    "The code of every file, and of every cell of a notebook that is Python."
    for path in python_files(): yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())
    for notebook in notebooks():
        for position, cell in enumerate(json.loads((ROOT / notebook).read_text())["cells"]):
            if cell["cell_type"] != "code": continue
            source = re.sub(r"(?m)^[%!].*$", "pass", "".join(cell["source"]))
            yield f"{notebook} cell {position}", ast.parse(source)


def holds_a_conditional(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.IfExp) for inner in ast.walk(node) if inner is not node)


@pytest.mark.slow
@pytest.mark.parametrize("command", (["ruff", "check", "."], ["pyright"], ["lint-imports"]), ids=lambda words: words[0])
def test_tool_has_nothing_to_say(command: list[str]) -> None:
    tool = Path(sys.executable).with_name(command[0])
    done = subprocess.run([str(tool), *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_no_conditional_stands_inside_another_or_inside_an_f_string() -> None:
    wrong = [
        f"{where} line {node.lineno}"
        for where, tree in trees() for node in ast.walk(tree)
        if isinstance(node, ast.IfExp | ast.FormattedValue) and holds_a_conditional(node)]
    assert wrong == []


def is_front_door(tree: ast.Module) -> bool:
    "One class whose methods do nothing but return what another object answers."
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.ClassDef): return False
    methods = [item for item in tree.body[0].body if isinstance(item, ast.FunctionDef) and item.name != "__init__"]
    return bool(methods) and all(is_delegation(method) for method in methods)


def is_delegation(method: ast.FunctionDef) -> bool:
    statements = [
        statement for statement in method.body
        if not isinstance(statement, ast.Import | ast.ImportFrom) and not is_docstring(statement)]
    return len(statements) <= 1


def is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def test_exported_cells_hold_one_idea_each() -> None:
    too_long = [
        f"{notebook} cell {position}: {source.count(chr(10))} lines"
        for notebook, position, source in exported_cells()
        if source.count("\n") > MOST_LINES and not is_front_door(ast.parse(source))]
    assert too_long == []


def test_all_of_a_class_is_written_in_its_own_module() -> None:
    patched = [f"{notebook} cell {position}" for notebook, position, source in exported_cells() if "@patch" in source]
    assert patched == []


def test_the_words_are_the_fields() -> None:
    home_made = re.compile(rf"\b({'|'.join(HOME_MADE_WORDS)})\b")
    used = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in python_files() if path != Path(__file__)
        for match in home_made.finditer(path.read_text())]
    assert used == []
