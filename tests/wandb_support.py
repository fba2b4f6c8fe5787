"What the tests of the W&B mirror share: a recorded run, W&B's own reader, and a server that takes one run."
from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mlops_nb.base.core import iso, new_id, now
from mlops_nb.runs.wandb_runs import MirroredRun

KEY = "0123456789abcdef" * 2 + "01234567"


def recorded(**changes: Any) -> MirroredRun:
    fields: dict[str, Any] = dict(
        id=new_id(), name="train", project="flights", status="succeeded",
        params={"learning_rate": 0.05, "columns": ["a", "b"], "seed": None}, metrics={"log_loss": 0.41, "auc": 0.75},
        history=[("log_loss", 0, 0.7), ("log_loss", 2, 0.5), ("auc", 2, 0.7), ("log_loss", 1, 0.6)],
        started=iso(now()), ended=iso(now()), group="sweep-1", job_type="train", tags=("night", "x" * 100, ""),
        notes="as usual")
    return MirroredRun(**fields | changes)


def _inspect(folder: Path | None, *options: str) -> str:
    "What W&B's own reader finds in an offline run; this version of wandb has it in its command line only."
    assert folder is not None
    (file,) = folder.glob("*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def summary_of(folder: Path | None) -> dict[str, Any]: return json.loads(_inspect(folder, "--summary"))
def records_of(folder: Path | None) -> list[dict[str, Any]]: return list(map(json.loads, _inspect(folder).splitlines()))


class WandbServer(ThreadingHTTPServer):
    "As much of W&B's API as one run with one artifact needs."

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.put: dict[str, bytes] = {}             # files by name
        self.streamed: list[dict[str, Any]] = []    # requests of the file stream
        self.names: set[str] = set()                # of runs

    def rows(self, file: str) -> list[dict[str, Any]]:
        "What was streamed into a file, such as `wandb-history.jsonl`."
        parts = [(request.get("files") or {}).get(file, {}) for request in self.streamed]
        return [json.loads(line) for part in parts for line in part.get("content", [])]

    def exit_codes(self) -> list[int]:
        return [request["exitcode"] for request in self.streamed if request.get("exitcode") is not None]

    def answer_to(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        "What GraphQL answers, as far as the client looks."
        if operation == "UpsertBucket": self.names.add(variables["name"])
        files, upload = variables.get("files") or [], f"{self.url}/put/"
        project = {"id": "p1", "name": "flights", "entity": {"id": "e1", "name": "me"}}
        bucket = {"id": "b1", "name": variables.get("name"), "displayName": "train", "config": "{}"}
        sequence = {"id": "s1", "latestArtifact": None}
        artifact_file = {
            "storagePath": "x", "uploadUrl": f"{upload}train.ipynb", "uploadHeaders": [], "uploadMultipartUrls": None,
            "artifact": {"id": "a1"}}
        answers: dict[str, dict[str, Any]] = {
            "UpsertBucket": {"upsertBucket": {
                "inserted": True, "bucket": bucket | {"historyLineCount": 0, "project": project}}},
            "Viewer": {"viewer": {
                "id": "u1", "entity": "me", "username": "me", "email": "me@example.org", "admin": False, "flags": "{}",
                "teams": {"edges": []}}},
            "CreateRunFiles": {"createRunFiles": {
                "runID": "b1", "uploadHeaders": [],
                "files": [{"name": name, "uploadUrl": upload + name} for name in files]}},
            "ArtifactType": {"project": None},
            "CreateArtifact": {"createArtifact": {
                "artifact": {"id": "a1", "state": "PENDING", "artifactSequence": sequence}}},
            "CreateArtifactManifest": {"createArtifactManifest": {"artifactManifest": {
                "id": "m1", "file": {"id": "f1", "uploadUrl": f"{upload}manifest", "uploadHeaders": []}}}},
            "CreateArtifactFiles": {"createArtifactFiles": {"files": {"edges": [{"node": artifact_file}]}}},
            "CommitArtifact": {"commitArtifact": {"artifact": {"id": "a1", "digest": "d"}}},
        }
        return answers.get(operation, {})


class _Handler(BaseHTTPRequestHandler):
    server: WandbServer

    def log_message(self, format: str, *args: object) -> None: pass

    def _send(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def do_PUT(self) -> None:
        self.server.put[self.path.rsplit("/", 1)[1]] = self._body()
        self._send({})

    def do_POST(self) -> None:
        request = json.loads(self._body())
        if self.path != "/graphql":
            self.server.streamed.append(request)
            return self._send({"limits": {}})
        operation = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
        assert operation is not None
        self._send({"data": self.server.answer_to(operation[1], request.get("variables") or {})})
