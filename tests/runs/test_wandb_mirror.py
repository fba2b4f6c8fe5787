"What the W&B mirror must hold, must not hold, and must not do to the process that records runs."
from __future__ import annotations

import gzip, json, logging, os, re, signal, subprocess, sys, threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat, psutil, pytest

from mlops_nb.runs import wandb_mirror as tracking
from mlops_nb.base.core import iso, new_id, now
from mlops_nb.base.errors import StorageError
from mlops_nb.runs.wandb_mirror import Mirror, MirroredRun, NotLoggedIn, NotMirrored, mirror, resolve_mode, sync, waiting

from support import ROOT
KEY = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(autouse=True)
def no_login(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("WANDB_")]: monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path/"no-netrc"))
    yield
    tracking._process.close()

@pytest.fixture
def notebook(tmp_path):
    path = tmp_path/"objects"/"ab12"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1)")]), path)
    return path

def recorded(**changes):
    return replace(MirroredRun(new_id(), "train", "flights", "succeeded", params={"learning_rate": 0.05, "columns": ["a", "b"], "seed": None}, metrics={"log_loss": 0.41, "auc": 0.75},
                               history=[("log_loss", 0, 0.7), ("log_loss", 2, 0.5), ("auc", 2, 0.7), ("log_loss", 1, 0.6)], started=iso(now()), ended=iso(now()),
                               group="sweep-1", job_type="train", tags=("night", "x" * 100, ""), notes="as usual"), **changes)

def inspect(folder, *options):
    "What W&B's own reader finds in an offline run; this version of wandb has it in its command line only."
    (file,) = folder.glob("*.wandb")
    read = subprocess.run([sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(file)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in read.stdout.splitlines()] if not options else json.loads(read.stdout)


# What it holds

def test_offline_mirror_holds_config_summary_history_and_the_notebook(tmp_path, notebook):
    run = recorded(notebook=notebook)
    folder = mirror(run, tmp_path/"w")
    assert folder.parent == tmp_path/"w"/"wandb" and folder.name.startswith("offline-run-")
    summary = inspect(folder, "--summary")
    assert summary["config"] == run.params and summary["state"] == "finished" and summary["exit_code"] == 0
    assert (summary["run_id"], summary["project"], summary["name"], summary["notes"]) == (run.id, "flights", "train", "as usual")
    assert {name: summary["summary"][name] for name in ("log_loss", "auc", "status", "started", "ended")} == run.metrics | {"status": "succeeded", "started": run.started, "ended": run.ended}
    records = inspect(folder)
    kinds = [record["type"] for record in records]
    assert kinds.count("history") == 3 and "exit" in kinds
    text = json.dumps(records)
    assert "sweep-1" in text and "train-notebook" in text and "train.ipynb" in text
    assert (tmp_path/"w"/"notebooks"/f"{run.id}.ipynb").read_bytes() == notebook.read_bytes()

def test_history_is_written_in_the_order_of_its_steps(tmp_path):
    rows = [record["history"]["item"] for record in inspect(mirror(recorded(), tmp_path)) if record["type"] == "history"]
    assert [{key: row[key] for key in row if key not in ("_timestamp", "_runtime")} for row in rows] == [{"log_loss": 0.7, "_step": 0}, {"log_loss": 0.6, "_step": 1}, {"log_loss": 0.5, "auc": 0.7, "_step": 2}]

@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout", "lost"])
def test_a_run_that_did_not_succeed_is_a_failed_run_in_wandb(tmp_path, status):
    assert inspect(mirror(recorded(status=status), tmp_path), "--summary")["exit_code"] == 1

def test_values_that_json_has_no_word_for_are_mirrored(tmp_path):
    inspect(mirror(recorded(metrics={"loss": float("nan")}, history=[("loss", 0, float("inf"))]), tmp_path))

def test_mirroring_again_replaces_what_is_not_uploaded(tmp_path):
    run, other = recorded(id="r1"), recorded(id="r11")
    mirror(run, tmp_path); mirror(other, tmp_path)
    again = mirror(replace(run, metrics={"auc": 0.9}), tmp_path)
    assert again in waiting(tmp_path) and len(waiting(tmp_path)) == 2 and inspect(again, "--summary")["summary"]["auc"] == 0.9


# What it must not hold or do

def test_nothing_of_the_environment_lands_in_the_folder(tmp_path, notebook, monkeypatch):
    for name in "DATABASE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "WANDB_NOTES", "WANDB_TAGS", "WANDB_NAME": monkeypatch.setenv(name, f"planted-{name.lower()}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    mirror(recorded(notebook=notebook), tmp_path/"w", mode="offline")
    files = [path for path in (tmp_path/"w").rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files: assert not [word for word in (b"planted-", KEY.encode()) if word in path.read_bytes()], path

def test_the_process_that_records_is_left_as_it_was(tmp_path):
    program = f"""
import os, sys, threading
from mlops_nb.runs.wandb_mirror import *
from dataclasses import replace
before = dict(os.environ), os.getcwd()
run = MirroredRun("r1", "train", "p", "succeeded", {{}}, {{"auc": 1.0}}, [("auc", 0, 1.0)])
background = Mirror(lambda id: replace(run, id=id), {str(tmp_path/'w')!r}, mode="offline")
for i in range(3): background.add(f"r{{i}}")
assert background.close(60) and not background.failed, background.failed
assert (dict(os.environ), os.getcwd()) == before and "wandb" not in sys.modules and threading.active_count() == 1
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["w"] and len(waiting(tmp_path/"w")) == 3

def test_twenty_runs_are_mirrored_by_one_process(tmp_path, notebook):
    for _ in range(20): mirror(recorded(notebook=notebook), tmp_path)
    mirrors = [child for child in psutil.Process().children() if any("import _serve" in word for word in child.cmdline())]
    assert len(mirrors) == 1 and len(waiting(tmp_path)) == 20

def test_the_mirror_survives_its_process_being_killed(tmp_path):
    mirror(recorded(), tmp_path)
    os.kill(tracking._process._process.pid, signal.SIGKILL)
    tracking._process._process.wait()
    mirror(recorded(), tmp_path)
    assert len(waiting(tmp_path)) == 2

def test_the_mirrors_process_ends_when_the_recording_process_is_killed(tmp_path):
    program = f"from mlops_nb.runs.wandb_mirror import *; from mlops_nb.runs.wandb_mirror import _process; mirror(MirroredRun('r1', 't', 'p', 'succeeded', {{}}, {{}}), {str(tmp_path)!r}, 'offline'); print(_process._process.pid, flush=True); input()"
    recorder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    mirror_process = psutil.Process(int(recorder.stdout.readline()))
    recorder.kill(); recorder.communicate()
    assert not psutil.wait_procs([mirror_process], timeout=20)[1]


# In the background

def test_adding_starts_nothing_until_the_first_and_nothing_when_disabled(tmp_path, monkeypatch):
    before = threading.active_count()
    background = Mirror(lambda run_id: recorded(id=run_id), tmp_path)
    assert threading.active_count() == before and background.close()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    background.add("r1")
    assert threading.active_count() == before and mirror(recorded(), tmp_path) is None and not list(tmp_path.glob("wandb"))

def test_a_failure_is_logged_and_kept_and_stops_no_other_run(tmp_path, caplog):
    def load(run_id):
        if run_id == "gone": raise KeyError(run_id)
        return recorded(id=run_id, notebook=tmp_path/"missing.ipynb" if run_id == "bare" else None)
    done = []
    background = Mirror(load, tmp_path, on_done=done.append)
    with caplog.at_level(logging.WARNING, "mlops_nb.runs.wandb_mirror"):
        for run_id in "r1", "gone", "bare", "bad/id", "r2": background.add(run_id)
        assert background.close(60)
    assert done == ["r1", "r2"] and sorted(background.failed) == ["bad/id", "bare", "gone"]
    assert len([record for record in caplog.records if record.name == "mlops_nb.runs.wandb_mirror"]) == 3 and "\n" not in "".join(background.failed.values())

def test_adding_returns_at_once_and_closing_gives_up_in_time(tmp_path):
    entered, proceed = threading.Event(), threading.Event()
    def load(run_id):
        entered.set(); proceed.wait(60)
        return recorded(id=run_id)
    background = Mirror(load, tmp_path)
    background.add("r1")
    assert entered.wait(10) and not background.close(timeout_s=0.1)
    thread = next(thread for thread in threading.enumerate() if thread.name == "mlops_nb-mirror")
    proceed.set(); thread.join(60)
    assert len(waiting(tmp_path)) == 1

def test_adding_after_closing_starts_again(tmp_path):
    background = Mirror(lambda run_id: recorded(id=run_id), tmp_path)
    for run_id in "r1", "r2":
        background.add(run_id)
        assert background.close(60)
    assert len(waiting(tmp_path)) == 2

@pytest.mark.parametrize("run_id", ["", "*", "../r1", "a b", "a-b"])
def test_an_id_cannot_reach_other_runs(tmp_path, run_id):
    mirror(recorded(), tmp_path)
    with pytest.raises(NotMirrored): mirror(recorded(id=run_id), tmp_path)
    assert len(waiting(tmp_path)) == 1

def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path/"file").write_text("")
    with pytest.raises(StorageError, match="cannot write"): mirror(recorded(), tmp_path/"file"/"w")


# Online

def test_the_mode_is_what_is_asked_then_the_environment_then_the_key(monkeypatch, tmp_path):
    assert resolve_mode() == "offline"
    (tmp_path/"netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path/"netrc"))
    assert resolve_mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org"); assert resolve_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", KEY); assert resolve_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline"); assert resolve_mode() == "offline" and resolve_mode("online") == "online"
    monkeypatch.setenv("WANDB_MODE", "sideways")
    with pytest.raises(NotMirrored, match="WANDB_MODE"): mirror(recorded(), tmp_path)

def test_sync_without_a_key_says_what_to_do_and_with_nothing_to_do_needs_none(tmp_path):
    assert sync(tmp_path) == []
    mirror(recorded(), tmp_path)
    with pytest.raises(NotLoggedIn, match="WANDB_API_KEY"): sync(tmp_path)

def test_an_unreachable_server_loses_nothing(tmp_path, monkeypatch):
    folder = mirror(recorded(), tmp_path, mode="offline")
    for name, value in {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_X_GRAPHQL_RETRY_MAX": "1"}.items(): monkeypatch.setenv(name, value)
    with pytest.raises(NotMirrored, match="0 of 1") as caught: sync(tmp_path)
    assert "\n" not in str(caught.value) and waiting(tmp_path) == [folder]
    tracking._process.close()  # the next one gets this environment
    with pytest.raises(NotMirrored, match="recorded all the same"): mirror(recorded(), tmp_path)

class WandbServer(BaseHTTPRequestHandler):
    "As much of W&B's API as one run with one artifact needs; what was uploaded is in `server.put` and `server.streamed`."

    def log_message(self, *_): pass

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200); self.send_header("Content-Type", "application/json"); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)

    def body(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def do_PUT(self):
        self.server.put[self.path.rsplit("/", 1)[1]] = self.body()
        self.answer({})

    def do_POST(self):
        request = json.loads(self.body())
        if self.path != "/graphql":
            self.server.streamed.append(request)
            return self.answer({"limits": {}})
        variables, upload = request.get("variables") or {}, f"http://127.0.0.1:{self.server.server_port}/put/"
        operation = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])[1]
        if operation == "UpsertBucket": self.server.names.add(variables["name"])
        self.answer({"data": {
            "UpsertBucket": {"upsertBucket": {"inserted": True, "bucket": {"id": "b1", "name": variables.get("name"), "displayName": "train", "config": "{}", "historyLineCount": 0, "project": {"id": "p1", "name": "flights", "entity": {"id": "e1", "name": "me"}}}}},
            "Viewer": {"viewer": {"id": "u1", "entity": "me", "username": "me", "email": "me@example.org", "admin": False, "flags": "{}", "teams": {"edges": []}}},
            "CreateRunFiles": {"createRunFiles": {"runID": "b1", "uploadHeaders": [], "files": [{"name": name, "uploadUrl": upload + name} for name in variables.get("files") or []]}},
            "ArtifactType": {"project": None},
            "CreateArtifact": {"createArtifact": {"artifact": {"id": "a1", "state": "PENDING", "artifactSequence": {"id": "s1", "latestArtifact": None}}}},
            "CreateArtifactManifest": {"createArtifactManifest": {"artifactManifest": {"id": "m1", "file": {"id": "f1", "uploadUrl": upload + "manifest", "uploadHeaders": []}}}},
            "CreateArtifactFiles": {"createArtifactFiles": {"files": {"edges": [{"node": {"storagePath": "x", "uploadUrl": upload + "train.ipynb", "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": "a1"}}}]}}},
            "CommitArtifact": {"commitArtifact": {"artifact": {"id": "a1", "digest": "d"}}}}.get(operation, {})})

@pytest.fixture
def wandb_server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), WandbServer)
    server.put, server.streamed, server.names = {}, [], set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    yield server
    server.shutdown(); server.server_close()

def uploaded(server):
    files = [files for request in server.streamed for files in [request.get("files") or {}]]
    history = [json.loads(line) for name in files for line in name.get("wandb-history.jsonl", {}).get("content", [])]
    summary = [json.loads(line) for name in files for line in name.get("wandb-summary.json", {}).get("content", [])][-1]
    return history, summary, [request["exitcode"] for request in server.streamed if request.get("exitcode") is not None]

@pytest.mark.parametrize("mode", ["offline", "online"])
def test_what_was_recorded_arrives_at_the_server(tmp_path, notebook, wandb_server, mode):
    run = recorded(notebook=notebook)
    folder = mirror(run, tmp_path/"w", mode=mode)
    if mode == "offline":
        assert not wandb_server.names
        notebook.unlink()  # the mirror has its own copy
        assert sync(tmp_path/"w") == [folder] and sync(tmp_path/"w") == []
    assert waiting(tmp_path/"w") == [] and wandb_server.names == {run.id}
    history, summary, exit_codes = uploaded(wandb_server)
    assert [row["log_loss"] for row in history] == [0.7, 0.6, 0.5] and exit_codes == [0]
    assert summary["log_loss"] == 0.41 and summary["status"] == "succeeded"
    assert b"print(1)" in wandb_server.put["train.ipynb"] and b"learning_rate" in wandb_server.put["config.yaml"]
