"Warm kernels: plain papermill has them too, they show what a fresh kernel shows, and they notice what changed."
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import nbformat
import papermill
import pytest

from support import wait_for
from mlops_nb.runs.fork_server import shutdown

EXAMPLES = Path(find_spec("papermill").origin).parent / "tests" / "notebooks"


@pytest.fixture(autouse=True)
def no_server_before_or_after():
    shutdown(); yield; shutdown()


def run(source: Path, folder: Path, engine: str, **how) -> tuple:
    "Outputs by cell, and the error papermill raised."
    target = folder / f"{engine}.ipynb"
    try: papermill.execute_notebook(source, target, engine_name=engine, progress_bar=False, kernel_name="python3", cwd=folder, **how)
    except Exception as error: raised = type(error).__name__, getattr(error, "ename", None)
    else: raised = None
    if not target.exists(): return raised, None
    return raised, [[{key: value for key, value in output.items() if key not in ("traceback", "metadata")} for output in cell.get("outputs", ())] for cell in nbformat.read(target, 4).cells]


@pytest.mark.parametrize("name", ["simple_execute", "no_parameters", "result_no_exec", "sysexit", "sysexit0", "sysexit1", "systemexit", "broken1", "broken2", "line_magic_error", "complex_parameters", "report_mode_test", "test_logging"])
def test_papermills_own_examples_come_out_the_same(name, tmp_path):
    given = {"parameters": {"msg": "hello"}} if name in ("simple_execute", "complex_parameters") else {}
    assert run(EXAMPLES / f"{name}.ipynb", tmp_path, "mlops_nb", **given) == run(EXAMPLES / f"{name}.ipynb", tmp_path, "nbclient", **given)


def test_papermills_command_line_has_the_engine(tmp_path):
    "Entry point and all, in a process that knows nothing else of us."
    done = subprocess.run([sys.executable, "-m", "papermill", "--engine", "mlops_nb", str(EXAMPLES / "simple_execute.ipynb"), "out.ipynb", "-p", "msg", "warm", "--no-progress-bar"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "warm" in (tmp_path / "out.ipynb").read_text() and "fresh kernel" not in done.stderr


def printed(ws, id: str) -> str:
    notebook = nbformat.reads(ws.artifacts.bytes(ws.runs[id].executed).decode(), as_version=4)
    return "".join(output.text for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "stream" and output.name == "stdout").strip()


def test_changed_project_module_is_imported_as_it_is_now(ws, write_notebook, tmp_path):
    module, notebook = tmp_path / "house_rules.py", write_notebook("a.ipynb", "import house_rules\nprint(house_rules.LIMIT)")
    for limit in 1, 22, 333:
        module.write_text(f"LIMIT = {limit}\n")
        assert printed(ws, ws.runs.run(notebook).id) == str(limit)


def test_changed_module_that_was_imported_ahead_is_noticed(ws, write_notebook, tmp_path, monkeypatch):
    "As an editable install, or a package that pip upgrades under a process that lives on."
    (tmp_path / "elsewhere").mkdir()
    module = tmp_path / "elsewhere" / "shipped_rules.py"
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    monkeypatch.setenv("MLOPS_PRELOAD", "shipped_rules")
    notebook = write_notebook("a.ipynb", "import sys; print('ahead' if 'shipped_rules' in sys.modules else 'now')\nimport shipped_rules; print(shipped_rules.LIMIT)")
    for limit in 1, 22:
        module.write_text(f"LIMIT = {limit}\n")
        assert printed(ws, ws.runs.run(notebook).id).split() == ["ahead", str(limit)]


def test_environment_that_a_module_reads_on_import_is_that_of_the_run(ws, write_notebook, monkeypatch):
    notebook = write_notebook("a.ipynb", "import plotly.io, os\nprint(plotly.io.renderers.default, os.environ['MY_OWN'])")
    for renderer in "json", "svg":
        monkeypatch.setenv("PLOTLY_RENDERER", renderer); monkeypatch.setenv("MY_OWN", renderer)
        assert printed(ws, ws.runs.run(notebook).id) == f"{renderer} {renderer}"


def test_folder_with_a_module_of_an_installed_name_gets_a_fresh_kernel_and_is_told(ws, write_notebook, tmp_path, caplog):
    (tmp_path / "plotly.py").write_text("mine = True\n")
    assert printed(ws, ws.runs.run(write_notebook("a.ipynb", "import plotly.io"[:13] + "\nprint(plotly.mine)")).id) == "True"
    assert "a fresh kernel instead of a fork" in caplog.text and "plotly.py" in caplog.text


def test_widgets_rich_outputs_and_magics_work(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "import ipywidgets\nslider = ipywidgets.IntSlider(value=7); slider", "from IPython.display import HTML, display\nhandle = display(HTML('<i>a</i>'), display_id=True)\nhandle.update(HTML('<i>b</i>'))", "%%timeit -n1 -r1\n1 + 1", "!echo from the shell")
    done = ws.runs.run(notebook)
    executed = nbformat.reads(ws.artifacts.bytes(done.executed).decode(), as_version=4)
    assert executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert executed.cells[1].outputs[0].data["text/html"] == "<i>b</i>" and "from the shell" in printed(ws, done.id)


def test_what_a_notebook_started_ends_with_it(ws, write_notebook, tmp_path):
    import psutil
    notebook = write_notebook("a.ipynb", "import subprocess\nprint(subprocess.Popen(['sleep', '600']).pid)")
    for kernel in "warm", "fresh":
        pid = int(printed(ws, ws.runs.run(notebook, kernel=kernel).id))
        wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10, "the end of the process")


def test_sockets_are_files_that_only_this_user_can_open(ws, write_notebook):
    found = printed(ws, ws.runs.run(write_notebook("a.ipynb", "from ipykernel.kernelapp import IPKernelApp\nimport os\napp = IPKernelApp.instance()\nprint(app.transport, oct(os.stat(os.path.dirname(app.ip)).st_mode))")).id)
    assert found == "ipc 0o40700"


def test_server_that_was_killed_is_replaced(ws, write_notebook):
    notebook = write_notebook("a.ipynb", "print('ran')")
    ws.runs.run(notebook)
    from mlops_nb.runs import fork_server as forkserver
    server = forkserver._servers[os.getpid()]
    server._process.kill(); server._process.wait()
    assert printed(ws, ws.runs.run(notebook).id) == "ran"


def test_server_ends_with_the_process_that_started_it(tmp_path):
    import psutil, signal
    process = subprocess.Popen([sys.executable, "-c", "from mlops_nb.runs.fork_server import ensure_server\nimport sys\nensure_server(); print('started', flush=True); sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout.readline() == "started\n"
    (server,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL); process.wait()
    wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, 20, "the end of the server")


def test_kernels_of_another_environment_leave_those_at_work_alone(ws, write_notebook, tmp_path, monkeypatch):
    "A server is for one environment; the one before it ends with its last kernel, and not before."
    import psutil
    waits = write_notebook("a.ipynb", "open('here', 'w').close()\nimport pathlib, threading\nwhile not pathlib.Path('go').exists(): threading.Event().wait(0.05)", "print('ended')")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ws.runs.run, waits)
        try:
            wait_for((tmp_path / "here").exists)
            (server,) = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE and "serve_forks" in " ".join(child.cmdline())]
            monkeypatch.setenv("MY_OWN", "x")
            assert printed(ws, ws.runs.run(write_notebook("b.ipynb", "import os; print(os.environ['MY_OWN'])")).id) == "x"
        finally: (tmp_path / "go").touch()
        assert printed(ws, first.result().id) == "ended"
    wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, 20, "the end of the first server")


@pytest.fixture
def manager(tmp_path, monkeypatch):
    "A kernel manager as Jupyter's server has it, for the kernelspec that `mlops-nb kernelspec` installs."
    from jupyter_client import AsyncKernelManager
    from mlops_nb.runs.kernels import install_kernelspec, remove_kernelspec
    install_kernelspec(["sqlite3"], name="warm-of-tests")
    yield AsyncKernelManager(kernel_name="warm-of-tests", cache_ports=True)
    remove_kernelspec("warm-of-tests")


def test_kernelspec_starts_interrupts_and_restarts_where_its_clients_know_it(manager):
    import asyncio
    async def said(client, code: str) -> str:
        id = client.execute(code)
        while True:
            message = await client.get_iopub_msg(timeout=30)
            if message["parent_header"].get("msg_id") != id: continue
            if message["msg_type"] == "stream": return message["content"]["text"].strip()
            if message["msg_type"] == "error": return message["content"]["ename"]
    async def live():
        await manager.start_kernel(); first = manager.provisioner.pid
        client = manager.client(); client.start_channels()
        await client.wait_for_ready(timeout=60)
        assert await said(client, "import sys; x = 1; print('sqlite3' in sys.modules, 'ipykernel_launcher' in sys.argv[0])") == "True True"
        waiting = asyncio.create_task(said(client, "import time; time.sleep(60)"))
        await asyncio.sleep(0.5)
        await manager.interrupt_kernel()
        assert await waiting == "KeyboardInterrupt"
        await manager.restart_kernel()
        assert manager.provisioner.pid != first
        await client.wait_for_ready(timeout=60)  # the same client, on the same sockets
        assert await said(client, "print('x' in globals())") == "False"
        client.stop_channels()
        await manager.shutdown_kernel()
        assert not await manager.is_alive()
    with ThreadPoolExecutor(1) as pool: pool.submit(asyncio.run, live()).result()  # the browser of other tests has a loop at work in this thread
