"The fork server: it notices what changed, and lives as long as it is needed, whatever happens to those who ask it."
from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.runs import fork_server
from mlops_nb.runs.fork_messages import KernelRequest, ask, receive, send, socket_folder
from mlops_nb.runs.fork_server import shutdown
from mlops_nb.runs.preloading import LAZY
from runs_support import NotebookWriter, is_alive, printed
from support import wait_for


@pytest.fixture(autouse=True)
def no_server_before_or_after() -> Iterator[None]:
    shutdown()
    yield
    shutdown()


# What is imported ahead

@pytest.mark.slow
def test_changed_project_module_is_imported_as_it_is_now(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path,
) -> None:
    notebook = write_notebook("a.ipynb", "import house_rules\nprint(house_rules.LIMIT)")
    for limit in 1, 22, 333:
        (tmp_path / "house_rules.py").write_text(f"LIMIT = {limit}\n")
        assert printed(ws, ws.runs.run(notebook)) == [str(limit)]


@pytest.mark.slow
def test_changed_module_that_was_imported_ahead_is_noticed(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    "As an editable install, or a package that pip upgrades under a process that lives on."
    module = tmp_path / "elsewhere" / "shipped_rules.py"
    module.parent.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    monkeypatch.setenv("MLOPS_PRELOAD", "shipped_rules")
    when = "import sys; print('ahead' if 'shipped_rules' in sys.modules else 'now')"
    notebook = write_notebook("a.ipynb", f"{when}\nimport shipped_rules; print(shipped_rules.LIMIT)")
    for limit in 1, 22:
        module.write_text(f"LIMIT = {limit}\n")
        assert printed(ws, ws.runs.run(notebook)) == [f"ahead\n{limit}"]


@pytest.mark.slow
def test_environment_that_a_module_reads_on_import_is_that_of_the_run(
    ws: Workspace, write_notebook: NotebookWriter, monkeypatch: pytest.MonkeyPatch,
) -> None:
    notebook = write_notebook("a.ipynb", "import plotly.io, os\nprint(plotly.io.renderers.default, os.environ['MINE'])")
    for renderer in "json", "svg":
        monkeypatch.setenv("PLOTLY_RENDERER", renderer)
        monkeypatch.setenv("MINE", renderer)
        assert printed(ws, ws.runs.run(notebook)) == [f"{renderer} {renderer}"]


@pytest.mark.slow
def test_folder_that_hides_an_installed_module_gets_a_fresh_kernel(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "plotly.py").write_text("mine = True\n")
    assert printed(ws, ws.runs.run(write_notebook("a.ipynb", "import plotly\nprint(plotly.mine)"))) == ["True"]
    assert "a fresh kernel instead of a fork" in caplog.text and "has its own plotly.py" in caplog.text


def test_parts_of_this_package_that_are_imported_ahead_exist() -> None:
    "An import that fails in the server is left to the cell, so a name that was changed would only make runs slower."
    ours = [name for name in LAZY["mlops_nb"] if name.startswith("mlops_nb.")]
    assert ours and [name for name in ours if find_spec(name) is None] == []


# Its life

@pytest.mark.slow
def test_server_that_was_killed_is_replaced(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", "print('ran')")
    ws.runs.run(notebook)
    server = fork_server._servers[os.getpid()]._process
    server.kill()
    server.wait()
    assert printed(ws, ws.runs.run(notebook)) == ["ran"]


def test_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = """
import sys
from mlops_nb.runs.fork_server import ensure_server
ensure_server()
print("started", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    (server,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not is_alive(server), 20, "the end of the server")


@pytest.mark.slow
def test_kernels_of_another_environment_leave_those_at_work_alone(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    "A server is for one environment; the one before it ends with its last kernel, and not before."
    until_told = "while not pathlib.Path('go').exists(): threading.Event().wait(0.05)"
    says_here = "open('here', 'w').close()\nimport pathlib, threading"
    waits = write_notebook("a.ipynb", f"{says_here}\n{until_told}", "print('ended')")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ws.runs.run, waits)
        try:
            wait_for((tmp_path / "here").exists)
            server = psutil.Process(fork_server._servers[os.getpid()]._process.pid)
            monkeypatch.setenv("MINE", "x")
            notebook = write_notebook("b.ipynb", "import os; print(os.environ['MINE'])")
            assert printed(ws, ws.runs.run(notebook)) == ["x"]
            assert is_alive(server)
        finally: (tmp_path / "go").touch()
        assert printed(ws, first.result()) == ["ended"]
    wait_for(lambda: not is_alive(server), 20, "the end of the first server")


@pytest.mark.slow
def test_kernels_are_forked_where_temporary_files_lie_deep(
    ws: Workspace, write_notebook: NotebookWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    "The path of a socket has at most 107 bytes."
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert printed(ws, ws.runs.run(write_notebook("a.ipynb", "print('ran')"))) == ["ran"]
    assert "fresh kernel" not in caplog.text


# Those who ask

class Started:
    "A server's process, its owner's end, and connections to it that were made before it looked."

    def __init__(self, folder: Path):
        self.folder = folder
        self.owner, self._theirs = socket.socketpair()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "forks"))
        self._listener.listen()

    def connect(self) -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(60)
        end.connect(str(self.folder / "forks"))
        return end

    def start(self) -> subprocess.Popen[bytes]:
        descriptors = self._theirs.fileno(), self._listener.fileno()
        program = f"from mlops_nb.runs.forks import serve_forks\nserve_forks(*{descriptors}, {str(self.folder)!r})"
        process = subprocess.Popen(
            [sys.executable, "-Xfrozen_modules=off", "-c", program], pass_fds=descriptors, stdout=subprocess.DEVNULL)
        self._theirs.close()
        self._listener.close()
        return process


@pytest.fixture
def server() -> Iterator[Started]:
    started = Started(socket_folder())
    yield started
    started.owner.close()


def wanted() -> KernelRequest:
    return KernelRequest(arguments=[], imports=[], environment=dict(os.environ), folder="/", connection=None)


@pytest.mark.slow
def test_who_leaves_before_the_answer_ends_no_other_kernel(server: Started) -> None:
    with server.connect() as impatient: send(impatient, {"fork": wanted()})
    with server.connect() as patient:
        process = server.start()
        kernel = ask(patient, {"fork": wanted()})
        assert ask(patient, {"code": kernel["pid"]}) == {"code": None} and process.poll() is None
    server.owner.close()
    assert process.wait(20) == 0


@pytest.mark.slow
def test_who_comes_while_the_owner_goes_is_sent_away(server: Started) -> None:
    server.owner.close()
    with server.connect() as late:
        process = server.start()
        assert process.wait(20) == 0
        assert receive(late) is None


def sockets(pid: int) -> set[str]:
    "The sockets that a process holds open, by their numbers in the system."
    links = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError): links.add(os.readlink(descriptor))
    return {link for link in links if link.startswith("socket:")}


@pytest.mark.slow
def test_kernel_holds_no_socket_of_its_server(server: Started) -> None:
    "Or the server would not notice that somebody hangs up, nor the spare kernel that it is not wanted."
    with server.connect() as first, server.connect() as second:
        process = psutil.Process(server.start().pid)

        def wait_until_apart(kernel: dict[str, Any]) -> None:
            wait_for(lambda: not sockets(kernel["pid"]) & sockets(process.pid), 10, "a kernel of its own")

        kernels = [ask(end, {"fork": wanted()}) for end in (first, second)]
        for kernel in kernels: wait_until_apart(kernel)
        os.kill(kernels[0]["pid"], signal.SIGKILL)
        pids = {kernel["pid"] for kernel in kernels}
        wait_for(lambda: [child for child in process.children() if child.pid not in pids], 20, "a spare kernel")
        again = ask(first, {"fork": wanted() | {"connection": kernels[0]["connection"]}})
        wait_until_apart(again)
