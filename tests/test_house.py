"The house itself: notebooks and library agree, floors hold, the README is the index, nothing costs before it is used."
import re, shutil, subprocess, sys
from configparser import ConfigParser
from pathlib import Path

import nbformat
import mlops_nb
from support import ROOT, notebooks

def _copy_of_the_project(target: Path) -> Path:
    for name in ("nbs", "mlops_nb"): shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns(".mlops", "__pycache__", ".ipynb_checkpoints"))
    for name in ("pyproject.toml", "settings.ini", "setup.py", "README.md"): shutil.copy(ROOT / name, target)
    return target


def test_export_and_clean_leave_no_difference(tmp_path):
    project = _copy_of_the_project(tmp_path)
    before = {path.relative_to(project): path.read_bytes() for part in ("nbs", "mlops_nb") for path in (project / part).rglob("*") if path.suffix in (".py", ".ipynb")}
    for home, command in ("doclinks", "nbdev_export"), ("clean", "nbdev_clean"):
        subprocess.run([sys.executable, "-c", f"from nbdev.{home} import {command}; {command}()"], cwd=project, check=True)
    assert [str(path) for path, content in before.items() if (project / path).read_bytes() != content] == []


def test_a_notebook_is_named_and_placed_as_its_module():
    for name in notebooks():
        exported = re.search(r"default_exp ([\w.]+)", (ROOT / name).read_text())
        parts = [re.sub(r"^\d\d_", "", part) for part in Path(name).with_suffix("").parts[1:]]
        if exported and "migrations" not in parts: assert exported[1] == ".".join(parts)


def test_readme_is_the_index():
    index = nbformat.read(ROOT / "nbs" / "index.ipynb", as_version=4)
    assert [line for cell in index.cells for line in cell.source.splitlines() if line.strip()] == [line for line in (ROOT / "README.md").read_text().splitlines() if line.strip()]


def test_importing_the_package_imports_nothing_else():
    done = subprocess.run([sys.executable, "-c", "import sys, mlops_nb; print([name for name in ('pandas', 'sqlalchemy', 'pyarrow', 'numpy') if name in sys.modules])"], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_no_table_library():
    done = subprocess.run([sys.executable, "-c", "import sys\nfrom mlops_nb.app.cli.main import app\ntry: app(['--help'])\nexcept SystemExit: pass\nprint([name for name in ('pandas', 'lightgbm', 'pyarrow', 'wandb') if name in sys.modules])"], capture_output=True, text=True)
    assert done.stdout.strip().endswith("[]"), done.stdout


def test_version_is_that_of_settings_ini():
    settings = ConfigParser(delimiters=["="], comment_prefixes=["#"], interpolation=None)
    settings.read(ROOT / "settings.ini")
    assert mlops_nb.__version__ == settings["DEFAULT"]["version"]


def test_wheel_ships_the_workflow_notebooks(tmp_path):
    project = _copy_of_the_project(tmp_path / "project")
    subprocess.run([sys.executable, "-c", "import runpy, sys; sys.argv = ['setup.py', '-q', 'build']; runpy.run_path('setup.py', run_name='__main__')"], cwd=project, check=True, capture_output=True)
    built = {path.name for path in project.glob("build/lib/mlops_nb/workflows/*.ipynb")}
    assert built == {path.name for path in (ROOT / "nbs" / "workflows").glob("*.ipynb")}


def test_no_file_of_the_house_is_over_a_megabyte():
    "Saved outputs grow unseen: one plot drawn by a renderer that brings its own plotly.js is five."
    parts = [ROOT / name for name in ("nbs", "mlops_nb", "tests", ".github", ".ci")]
    assert [path.name for part in parts for path in part.rglob("*") if path.is_file() and ".mlops" not in path.parts and path.stat().st_size > 1_000_000] == []
