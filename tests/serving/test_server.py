"The server as its callers meet it: a real process that follows the alias, and tells what is wrong."
from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.serving.application import MAX_BODY
from mlops_nb.serving.scorer import Scorer
from serving_support import body_of, point
from support import command, start, wait_for

INFER = "/v2/models/tumour/infer"


class Server:
    "A `mlops-nb serve` process and how to ask it."

    def __init__(self, folder: Path, *words: str, key: str | None = None) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = start("serve", "tumour", "--port", "0", *words, cwd=folder, **pipes)
        self.key = key
        assert self.process.stdout and self.process.stderr
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.url = line.split(" at ")[1].split("/v2")[0]
        wait_for(lambda: self.ask("/v2/health/ready")[0] == 200, what="readiness")

    def ask(self, path: str, body: object = None) -> tuple[int, dict[str, Any]]:  # status 0: no answer
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        request = urllib.request.Request(self.url + path, content, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer: return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error: return error.code, json.loads(error.read())
        except (urllib.error.URLError, ConnectionError): return 0, {}

    def interrupt(self) -> int:
        "As Ctrl+C does; returns the exit status."
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def server(promoted: Home) -> Iterator[Server]:
    running = Server(promoted.root)
    yield running
    running.process.kill()


def patients(home: Home, rows: int) -> pd.DataFrame:
    return Datasets(home)["tumours"].read().drop(columns="benign").head(rows)


@pytest.mark.slow
def test_request_is_answered_as_a_batch_job_would(server: Server, promoted: Home) -> None:
    rows = patients(promoted, 5)
    status, answer = server.ask(INFER, body_of(rows))
    expected = Scorer(promoted, "tumour@production").predict(rows)[0].prediction.tolist()
    assert (status, answer["id"], answer["model_version"]) == (200, "7", "2")
    assert answer["outputs"][0]["data"] == expected


@pytest.mark.slow
def test_server_tells_what_it_serves(server: Server) -> None:
    status, model = server.ask("/v2/models/tumour")
    assert (status, model["versions"], model["outputs"][0]["datatype"]) == (200, ["2"], "FP64")
    assert len(model["inputs"]) == 30


@pytest.mark.slow
def test_server_follows_the_alias_without_a_failed_request(server: Server, promoted: Home) -> None:
    body, statuses = body_of(patients(promoted, 1)), []

    def version() -> str:
        status, answer = server.ask(INFER, body)
        statuses.append(status)
        return answer["model_version"]

    assert version() == "2"
    point(promoted, "tumour", 1)
    wait_for(lambda: version() == "1", 20, "the answer of version 1")
    point(promoted, "tumour", 2)
    wait_for(lambda: version() == "2", 20, "the answer of version 2")
    assert set(statuses) == {200}


@pytest.mark.parametrize("body, says", [
    (b"{", "no inference request"),
    ({"inputs": [{"name": "mean radius", "datatype": "FP64", "shape": [1], "data": [1.0]}]}, "mean texture is missing"),
    ({"inputs": [{"name": "mean radius", "datatype": "FP64", "shape": [1], "data": ["x"]}]}, "input mean radius: "),
])
def test_bad_request_is_told_what_is_wrong_in_one_line(server: Server, body: object, says: str) -> None:
    status, answer = server.ask(INFER, body)
    assert status == 400 and says in answer["error"] and "\n" not in answer["error"]


def test_server_outlives_a_body_that_is_too_large(server: Server) -> None:
    status, _ = server.ask(INFER, b" " * (MAX_BODY + (1 << 20)))
    assert status in (413, 0)  # the connection may be closed while the rest is being sent
    assert server.ask("/v2/health/live") == (200, {"live": True})


@pytest.mark.slow
def test_key_is_asked_for_and_an_interrupt_ends_the_server(promoted: Home) -> None:
    server = Server(promoted.root, "--key", "sesame", key="sesame")
    try:
        assert server.ask("/v2/models/tumour")[0] == 200
        server.key = "open"
        assert server.ask("/v2/models/tumour")[0] == 401 and server.ask("/v2/health/live")[0] == 200
        assert server.interrupt() == 130
    finally: server.process.kill()


def refusal(folder: Path, *words: str) -> str:
    "The one line that `mlops-nb serve` ends with."
    done = subprocess.run(
        command("serve", "tumour", *words), cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    line, = done.stderr.strip().splitlines()
    return line


@pytest.mark.slow
def test_open_address_without_a_key_is_refused(promoted: Home) -> None:
    assert "give a key" in refusal(promoted.root, "--host", "0.0.0.0")


@pytest.mark.slow
def test_taken_port_is_refused(promoted: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "is taken" in refusal(promoted.root, "--port", str(taken.getsockname()[1]))


TRANSFORM = """import pandas as pd
from mlops_nb.features.transforms import transform

@transform()
def features(rows):
    return rows[["mean radius"]] * {factor}
"""


@pytest.mark.slow
def test_server_computes_features_with_the_code_of_its_version(tmp_path: Path) -> None:
    "The file of the transform changes while the server lives, and a version trained with the new code takes over."
    (tmp_path / ".mlops").mkdir()
    ws, source = Workspace(tmp_path), tmp_path / "tumour_features.py"

    def train_with(factor: int) -> str:
        source.write_text(TRANSFORM.format(factor=factor))
        params = {"register_as": "tumour", "rounds": 20, "transform": "tumour_features:features"}
        return f"tumour@{ws.runs.run(workflow('train'), params).tags['registered']}"

    train_with(1)
    point(ws.home, "tumour", 1)
    running = Server(tmp_path)
    try:
        second = train_with(-1)
        point(ws.home, "tumour", 2)
        wait_for(lambda: running.ask("/v2/models/tumour")[1].get("versions") == ["2"], what="the second version")
        rows = patients(ws.home, 5)
        _, served = running.ask(INFER, body_of(rows))
        assert served["outputs"][0]["data"] == Scorer(ws.home, second).predict(rows)[0].prediction.tolist()
    finally: running.process.kill()
