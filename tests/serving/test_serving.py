"The server as its callers meet it: a real process, following the alias, telling what is wrong."
import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from support import command, start, wait_for
from mlops_nb.base import schema as db
from mlops_nb.serving.scorer import Scorer
from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace


@pytest.fixture(scope="module")
def promoted(tmp_path_factory) -> Workspace:
    "A model whose second version is in production, after the first."
    folder = tmp_path_factory.mktemp("served")
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    for rounds in 2, 60:  # the first is so weak that the second is surely better
        version = f"tumour@{ws.runs.run(workflow('train'), {'register_as': 'tumour', 'rounds': rounds, 'learning_rate': 0.05}).tags['registered']}"
        ws.runs.run(workflow("evaluate"), {"model": version})
        ws.models.promote(version)
    return ws


class Server:
    "A `mlops-nb serve` process and how to ask it."

    def __init__(self, folder, *words: str, key: str | None = None):
        self.process, self.key = start("serve", "tumour", "--port", "0", *words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), key
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.url = line.split(" at ")[1].split("/v2")[0]
        wait_for(lambda: self.ask("/v2/health/ready")[0] == 200, what="readiness")

    def ask(self, path: str, body: object = None) -> tuple[int, dict]:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, {"Authorization": f"Bearer {self.key}"} if self.key else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer: return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error: return error.code, json.loads(error.read())
        except (urllib.error.URLError, ConnectionError): return 0, {}

    def close(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


@pytest.fixture
def server(promoted):
    running = Server(promoted.root)
    yield running
    running.process.kill()


def request_of(rows) -> dict:
    return {"id": "7", "inputs": [{"name": name, "datatype": "FP64", "shape": [len(rows)], "data": column.tolist()} for name, column in rows.items()]}


def test_request_is_answered_as_a_batch_job_would(server, promoted):
    rows = promoted.datasets["tumours"].read().drop(columns="benign").head(5)
    status, answer = server.ask("/v2/models/tumour/infer", request_of(rows))
    expected = Scorer(promoted, "tumour@production").predict(rows)[0].prediction.tolist()
    assert (status, answer["id"], answer["model_version"], answer["outputs"][0]["data"]) == (200, "7", "2", expected)


def test_server_tells_what_it_serves(server):
    status, model = server.ask("/v2/models/tumour")
    assert (status, model["versions"], model["outputs"][0]["datatype"], len(model["inputs"])) == (200, ["2"], "FP64", 30)
    assert server.ask("/v2/models/tumour/versions/2/ready")[1] == {"name": "tumour", "ready": True}


def test_server_follows_the_alias_without_a_failed_request(server, promoted):
    body = request_of(promoted.datasets["tumours"].read().drop(columns="benign").head(1))
    seen = []
    def version() -> str:
        status, answer = server.ask("/v2/models/tumour/infer", body)
        seen.append(status)
        return answer["model_version"]
    assert version() == "2"
    promoted.models.rollback("tumour", "production")
    wait_for(lambda: version() == "1", 20, "the answer of version 1")
    promoted.models.promote("tumour@2")
    wait_for(lambda: version() == "2", 20, "the answer of version 2")
    assert set(seen) == {200}


@pytest.mark.parametrize("body, says", [
    (b"{", "no inference request"),
    ({"inputs": 3}, "no inference request"),
    ({"inputs": []}, "at least one"),
    ({"inputs": [{"name": "mean radius", "datatype": "FP64", "shape": [1], "data": [1.0]}]}, "mean texture is missing"),
    ({"inputs": [{"name": "mean radius", "datatype": "BYTES", "shape": [1], "data": ["x"]}]}, "must be FP64"),
    ({"inputs": [{"name": "mean radius", "datatype": "FP64", "shape": [2], "data": [1.0]}]}, "shape"),
    ({"inputs": [{"name": "mean radius", "datatype": "FP64", "shape": [1], "data": ["x"]}]}, "mean radius"),
])
def test_bad_request_is_told_what_is_wrong(server, body, says):
    status, answer = server.ask("/v2/models/tumour/infer", body)
    assert status == 400 and says in answer["error"] and "\n" not in answer["error"]


def test_body_is_bounded_and_unknown_names_are_not_guessed(server):
    assert server.ask("/v2/models/tumour/infer", b" " * (17 << 20))[0] in (413, 0)  # the connection may be closed while the rest is still being sent
    assert server.ask("/v2/models/nosuch")[0] == 404 and server.ask("/v2/models/tumour/versions/9")[0] == 404
    assert server.ask("/v2/health/live") == (200, {"live": True})


def test_key_is_asked_for(promoted):
    server = Server(promoted.root, "--key", "sesame", key="sesame")
    assert server.ask("/v2/models/tumour")[0] == 200
    server.key = "open"
    assert server.ask("/v2/models/tumour")[0] == 401 and server.ask("/v2/health/live")[0] == 200
    assert server.close() in (0, 130, -signal.SIGINT)


def test_open_address_without_a_key_and_a_taken_port_are_one_line(promoted):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0)); taken.listen()
        for words, says in ((["--host", "0.0.0.0"], "give a key"), (["--port", str(taken.getsockname()[1])], "is taken")):
            done = subprocess.run(command("serve", "tumour", *words), cwd=promoted.root, capture_output=True, text=True, timeout=60)
            assert done.returncode == 2 and says in done.stderr and len(done.stderr.strip().splitlines()) == 1


TRANSFORM = """import pandas as pd
from mlops_nb.features.transforms import transform

@transform()
def features(rows):
    return rows[["mean radius"]] * {factor}
"""


def test_server_computes_features_with_the_code_its_version_was_trained_with(tmp_path):
    "The file of the transform changes while the server lives, and a version trained with the new code is promoted."
    (tmp_path / ".mlops").mkdir()
    ws, source = Workspace(tmp_path), tmp_path / "tumour_features.py"
    def trained(factor: int) -> str:
        source.write_text(TRANSFORM.format(factor=factor))
        done = ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": 20, "transform": "tumour_features:features"})
        return f"tumour@{done.tags['registered']}"
    first = trained(1)
    ws.runs.run(workflow("evaluate"), {"model": first})
    ws.models.promote(first)
    running = Server(tmp_path)
    try:
        second = trained(-1)
        with ws.home.store.write() as connection: connection.execute(db.aliases.update().values(version=2))  # whatever its gates say: this is about the server
        wait_for(lambda: running.ask("/v2/models/tumour")[1].get("versions") == ["2"], what="the second version")
        rows = ws.datasets["tumours"].read().drop(columns="benign").head(5)
        served = running.ask("/v2/models/tumour/infer", request_of(rows))[1]
        assert served["outputs"][0]["data"] == Scorer(ws.home, second).predict(rows)[0].prediction.tolist()
    finally: running.process.kill()
