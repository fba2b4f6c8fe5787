"The house itself: notebooks and library agree, pages say what the tree is, nothing costs before it is used."
from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import nbformat
import pytest

import mlops_nb
from support import ROOT, notebooks

IGNORED = shutil.ignore_patterns(".mlops", "__pycache__", ".ipynb_checkpoints")
LARGE = 1_000_000  # bytes: one plot drawn by a renderer that brings its own plotly.js is five times that


def python(code: str, cwd: Path | None = None) -> str:
    "What a new Python prints."
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def copy_of_the_project(target: Path) -> Path:
    for name in ("nbs", "mlops_nb"): shutil.copytree(ROOT / name, target / name, ignore=IGNORED)
    for name in ("pyproject.toml", "settings.ini", "setup.py", "README.md"): shutil.copy(ROOT / name, target)
    return target


def contents(project: Path) -> dict[Path, bytes]:
    "Notebooks and modules, by their place."
    paths = (path for part in ("nbs", "mlops_nb") for path in (project / part).rglob("*"))
    return {path.relative_to(project): path.read_bytes() for path in paths if path.suffix in (".py", ".ipynb")}


@pytest.mark.slow
def test_export_and_clean_leave_no_difference(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path)
    before = contents(project)
    python("from nbdev.doclinks import nbdev_export; nbdev_export()", cwd=project)
    python("from nbdev.clean import nbdev_clean; nbdev_clean()", cwd=project)
    after = contents(project)
    assert sorted(map(str, before.keys() ^ after.keys())) == []
    assert [str(path) for path in before if before[path] != after[path]] == []


@pytest.mark.slow
def test_mend_in_a_generated_module_finds_its_way_back(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path)
    module, notebook = project / "mlops_nb/base/core.py", project / "nbs/00_base/01_core.ipynb"
    module.write_text(module.read_text().replace("SHA-256 of content.", "SHA-256 of what is given."))
    python("from nbdev.sync import nbdev_update; nbdev_update()", cwd=project)
    assert "SHA-256 of what is given." in notebook.read_text()


def test_a_notebook_is_named_and_placed_as_its_module() -> None:
    for name in notebooks():
        exported = re.search(r"default_exp ([\w.]+)", (ROOT / name).read_text())
        parts = [re.sub(r"^\d\d_", "", part) for part in Path(name).with_suffix("").parts[1:]]
        if exported and "migrations" not in parts: assert exported[1] == ".".join(parts)


def test_readme_is_the_index() -> None:
    index = nbformat.read(ROOT / "nbs" / "index.ipynb", as_version=4)
    page = [line for cell in index.cells for line in cell.source.splitlines() if line.strip()]
    assert page == [line for line in (ROOT / "README.md").read_text().splitlines() if line.strip()]


def test_importing_the_package_imports_nothing_else() -> None:
    heavy = "('pandas', 'sqlalchemy', 'pyarrow', 'numpy')"
    assert python(f"import sys, mlops_nb; print([name for name in {heavy} if name in sys.modules])") == "[]"


def test_help_imports_no_table_library() -> None:
    code = """
import sys
from mlops_nb.app.cli.main import app
try: app(["--help"])
except SystemExit: pass
print([name for name in ("pandas", "lightgbm", "pyarrow", "wandb") if name in sys.modules])
"""
    assert python(code).endswith("[]")


def test_showing_parameters_imports_no_database(tmp_path: Path) -> None:
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "a.ipynb")
    code = """
import sys
from mlops_nb.app.cli.main import run_command
run_command(["run", "a.ipynb", "--params"])
print([name for name in ("sqlalchemy", "pandas") if name in sys.modules])
"""
    assert python(code, tmp_path).endswith("[]")


def test_version_is_that_of_settings_ini() -> None:
    settings = ConfigParser(delimiters=["="], comment_prefixes=["#"], interpolation=None)
    settings.read(ROOT / "settings.ini")
    assert mlops_nb.__version__ == settings["DEFAULT"]["version"]


def test_public_names_can_be_imported_and_are_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in mlops_nb.__all__:
        assert getattr(mlops_nb, name) is not None
        assert re.search(rf"`{name}`", readme), name


def test_readme_lists_the_storeys_from_the_ground_up() -> None:
    rows = re.findall(r"^\| `(\d\d_\w+|workflows)` \| \w", (ROOT / "README.md").read_text(), re.MULTILINE)
    storeys = sorted(path.name for path in (ROOT / "nbs").iterdir() if path.is_dir() and any(path.rglob("*.ipynb")))
    assert rows == storeys


def test_tests_have_the_folders_of_the_library() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"benchmarks", "__pycache__"}
    assert [name for name in sorted(folders) if not (ROOT / "mlops_nb" / name).is_dir()] == []


@pytest.mark.slow
def test_wheel_ships_notebooks_and_types(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path / "project")
    (project / "mlops_nb" / "py.typed").touch()
    build = "import runpy, sys; sys.argv = ['setup.py', '-q', 'build']; runpy.run_path('setup.py', run_name='__main__')"
    python(build, cwd=project)
    built = project / "build" / "lib" / "mlops_nb"
    shipped = {path.name for path in (ROOT / "nbs" / "workflows").glob("*.ipynb")}
    assert {path.name for path in built.glob("workflows/*.ipynb")} == shipped
    assert (built / "py.typed").is_file()
    assert (built / "base" / "migrations" / "v0001_first.py").is_file()


def test_no_file_of_the_house_is_large() -> None:
    parts = (ROOT / name for name in ("nbs", "mlops_nb", "tests", ".github", ".ci"))
    files = (path for part in parts for path in part.rglob("*") if path.is_file() and ".mlops" not in path.parts)
    assert [path.name for path in files if path.stat().st_size > LARGE] == []
