"Forked kernels as Jupyter sees them: found by a kernelspec, interrupted, restarted, and as private as a file."
from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import NotFound
from mlops_nb.runs.kernels import ForkedKernel, ForkProvisioner, install_kernelspec, remove_kernelspec
from runs_support import NotebookWriter, printed

pytestmark = pytest.mark.usefixtures("one_server_for_all")


def test_sockets_are_files_that_only_this_user_can_open(ws: Workspace, write_notebook: NotebookWriter) -> None:
    notebook = write_notebook("a.ipynb", """
from ipykernel.kernelapp import IPKernelApp
import os
app = IPKernelApp.instance()
print(app.transport, oct(os.stat(os.path.dirname(app.ip)).st_mode))
""")
    assert printed(ws, ws.runs.run(notebook)) == ["ipc 0o40700"]


@pytest.fixture
def kernelspec() -> Iterator[str]:
    install_kernelspec(["sqlite3"], name="warm-of-tests")
    yield "warm-of-tests"
    remove_kernelspec("warm-of-tests")


async def shown(client: AsyncKernelClient, id: str) -> str:
    "What executed code prints next, or the name of the error that it raises."
    while True:
        message = await client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") != id: continue
        if message["msg_type"] == "stream": return message["content"]["text"].strip()
        if message["msg_type"] == "error": return message["content"]["ename"]


async def live(kernelspec: str) -> None:
    "What JupyterLab does with a kernel: start, interrupt, restart, shut down."
    manager = AsyncKernelManager(kernel_name=kernelspec, cache_ports=True)  # as Jupyter's server makes them
    await manager.start_kernel()
    provisioner, client = manager.provisioner, manager.client()
    assert isinstance(provisioner, ForkProvisioner)
    first = provisioner.pid
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    ahead = "import sys; x = 1; print('sqlite3' in sys.modules, 'ipykernel_launcher' in sys.argv[0])"
    assert await shown(client, client.execute(ahead)) == "True True"

    endless = client.execute("import time; print('working', flush=True); time.sleep(60)")
    assert await shown(client, endless) == "working"
    await manager.interrupt_kernel()
    assert await shown(client, endless) == "KeyboardInterrupt"

    await manager.restart_kernel()
    assert provisioner.pid != first
    await client.wait_for_ready(timeout=60)  # the same client, on the same sockets
    assert await shown(client, client.execute("print('x' in globals())")) == "False"
    client.stop_channels()
    await manager.shutdown_kernel()
    assert not await manager.is_alive()


@pytest.mark.slow
def test_kernelspec_starts_interrupts_and_restarts_where_its_clients_know_it(kernelspec: str) -> None:
    with ThreadPoolExecutor(1) as pool:  # the browser of other tests has a loop at work in this thread
        pool.submit(asyncio.run, live(kernelspec)).result()


def test_kernelspec_of_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(NotFound, match="no module 'pandsa' is installed here"): install_kernelspec(["pandsa"])


def test_kernelspec_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(NotFound, match="no kernelspec 'none-of-ours' is installed"): remove_kernelspec("none-of-ours")


def test_end_of_a_kernel_is_seen_in_a_process_with_many_open_files() -> None:
    "Descriptors above 1023 are more than select can watch."
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with subprocess.Popen(["sleep", "60"]) as process:
        low = os.pidfd_open(process.pid)
        kernel = ForkedKernel.__new__(ForkedKernel)
        kernel._descriptor = fcntl.fcntl(low, fcntl.F_DUPFD, 2000)
        before = kernel.ended(0)
        process.kill()
        after = kernel.ended(20)
    for descriptor in low, kernel._descriptor: os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (before, after) == (False, True)
