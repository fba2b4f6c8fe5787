"Moving an alias: one winner, nothing half done, everything on the trail."
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.metadata import version
from multiprocessing import get_context

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from support import wait_for
from mlops_nb.registry.audit import MOVES
from mlops_nb.base.core import now
from mlops_nb.base.errors import BadParameter, NotFound, Refused
from mlops_nb.features.transforms import identity
from mlops_nb.base.project import Home
from mlops_nb.promotion.policies import Policy
from mlops_nb.registry.model_versions import Models
from mlops_nb.promotion.decisions import RefusedByGates
from mlops_nb.runs.run import begin_run
from mlops_nb.base.store import Store
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import prepare
from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace


def register(ws: Home, rounds: int, columns: int = 5):
    "A small model's next version."
    table = load_breast_cancer(as_frame=True).frame.iloc[:, [*range(columns), -1]]
    run = begin_run(ws.home, "here")
    run.save("model", pack(fit(prepare(table, "target", identity, held_out=np.arange(len(table)) % 4 == 0), rounds=rounds, num_threads=1), ws.artifacts))
    run.end()
    return Models(ws.home).register("m", run)


def test_candidate_that_asks_callers_for_more_is_refused_and_the_refusal_is_on_the_trail(ws):
    ws.models.promote(register(ws, 5).ref, "staging")
    with pytest.raises(RefusedByGates, match="worst|mean|signature_holds"): ws.models.promote(register(ws, 5, columns=6).ref, "staging")
    assert ws.models["m@staging"].version == 1
    assert [event.action for event in ws.models.history("m")] == ["promote", "refuse"]


def test_alias_moved_by_somebody_else_meanwhile_is_not_overwritten(ws, monkeypatch):
    "Compare and set: the gates took their time, and another promotion came first."
    first, second, third = (register(ws, rounds) for rounds in (5, 6, 7))
    ws.models.promote(first.ref, "staging")
    decide = type(ws.models).decide
    def slow(self, *asked, **how):
        decision = decide(self, *asked, **how)
        monkeypatch.undo()
        Workspace(ws.root).models.promote(third.ref, "staging")
        return decision
    monkeypatch.setattr(type(ws.models), "decide", slow)
    with pytest.raises(Refused, match="moved to version 3"): ws.models.promote(second.ref, "staging")
    assert ws.models["m@staging"].version == 3
    assert ws.models.audit.verify() == 5


def _move_about(job: tuple[str, str, int, int]) -> None:
    url, root, seed, times = job
    models, random = Models(_home(url, root)), np.random.default_rng(seed)
    while times:
        try: times -= "already" not in models.promote(f"m@{random.integers(1, 4)}", "staging").reason if random.random() < 0.7 else bool(models.rollback("m", "staging"))
        except (Refused, NotFound): continue  # somebody else was first, or there is nothing to go back to


def _home(url: str, root: str) -> Home:
    home = Home(root)
    home.__dict__["store"] = Store(url)
    return home


def test_eight_processes_at_one_alias_leave_a_history_without_gaps(url, tmp_path):
    home = _home(url, str(tmp_path))
    models = Models(home)
    for rounds in 5, 6, 7: register(home, rounds)
    models.set_policy("m", Policy(), "staging")  # nothing but the moves themselves
    models.promote("m@1", "staging")
    with ProcessPoolExecutor(8, mp_context=get_context("spawn")) as pool: list(pool.map(_move_about, [(url, str(tmp_path), seed, 63) for seed in range(8)]))
    moves = [event.detail for event in models.history("m", "staging") if event.action in MOVES]
    assert [move["from"] for move in moves[1:]] == [move["to"] for move in moves[:-1]]
    assert models["m@staging"].version == moves[-1]["to"] and len(moves) == 8 * 63 + 1
    models.audit.verify()


def test_killed_promotion_leaves_the_old_version_or_the_new_one(ws):
    "kill -9 at any moment of promotions and rollbacks, many times over."
    for rounds in 5, 6: register(ws, rounds)
    ws.models.set_policy("m", Policy(), "staging")
    ws.models.promote("m@1", "staging")
    code = f"""
from mlops_nb.app.workspace import Workspace
models = Workspace({str(ws.root)!r}).models
print("ready", flush=True)
while True:
    models.promote("m@2", "staging"); models.promote("m@1", "staging")
"""
    random = np.random.default_rng(0)
    for _ in range(8):
        before = len(ws.models.audit.list())
        mover = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        mover.stdout.readline()
        wait_for(lambda: len(ws.models.audit.list()) > before + random.integers(1, 8), what="some promotions")
        mover.send_signal(signal.SIGKILL)
        mover.wait()
        ws.models.audit.verify()
        assert ws.models["m@staging"].version == ws.models.placed("m", "staging").detail["to"]


@contextmanager
def login(monkeypatch, name: str):
    with monkeypatch.context() as patch:
        patch.setenv("LOGNAME", name)
        yield


def test_approvals_are_by_others_and_expire_with_the_policy(ws, monkeypatch):
    candidate = register(ws, 5)
    ws.models.set_policy("m", Policy(approvals=2, approvers=("ada", "grace", "root", "edsger")))
    with login(monkeypatch, candidate.author), pytest.raises(Refused, match="somebody else has to approve"): ws.models.approve(candidate.ref)
    with login(monkeypatch, "mallory"), pytest.raises(Refused, match="mallory has no say in m@production: by its policy ada, grace"): ws.models.approve(candidate.ref)
    with login(monkeypatch, "ada"): ws.models.approve(candidate.ref), ws.models.approve(candidate.ref, comment="twice is once")
    with pytest.raises(RefusedByGates, match="1 of 2 approvals, by ada"): ws.models.promote(candidate.ref)
    with login(monkeypatch, "grace"):
        with pytest.raises(BadParameter, match="needs a comment"): ws.models.reject(candidate.ref)
        ws.models.reject(candidate.ref, comment="<b>no</b>")
    with login(monkeypatch, "edsger"): ws.models.approve(candidate.ref)
    with pytest.raises(RefusedByGates, match="grace rejected it: <b>no</b>"): ws.models.promote(candidate.ref)
    with login(monkeypatch, "grace"): ws.models.approve(candidate.ref)
    ws.models.set_policy("m", Policy(approvals=2, approvers=("ada", "grace", "edsger", "barbara")))
    with pytest.raises(RefusedByGates, match="0 of 2 approvals"): ws.models.promote(candidate.ref)
    for name in "ada", "barbara":
        with login(monkeypatch, name): ws.models.approve(candidate.ref)
    assert ws.models.promote(candidate.ref).promoted
    with pytest.raises(RefusedByGates, match="0 of 2 approvals"): ws.models.promote(register(ws, 6).ref)  # another candidate


def test_candidate_takes_the_path_that_the_policy_names(ws):
    candidate = register(ws, 5)
    ws.models.set_policy("m", Policy(comes_from="staging"))
    with pytest.raises(RefusedByGates, match="m@1 is not staging: promote it to staging first"): ws.models.promote(candidate.ref)
    ws.models.promote(candidate.ref, "staging")
    assert ws.models.promote(candidate.ref).promoted


def test_policy_that_changes_while_the_gates_are_asked_decides_nothing(ws, monkeypatch):
    candidate = register(ws, 5)
    ws.models.set_policy("m", Policy())
    decide = type(ws.models).decide
    def slow(self, *asked, **how):
        decision = decide(self, *asked, **how)
        self.set_policy("m", Policy(approvals=1))
        return decision
    monkeypatch.setattr(type(ws.models), "decide", slow)
    with pytest.raises(Refused, match="policy of m@production was changed while the gates were asked"): ws.models.promote(candidate.ref)
    assert ws.models.get("m@production") is None


def test_emergency_passes_the_gates_and_shows_for_ever(ws):
    first, second = register(ws, 5), register(ws, 6)
    ws.models.set_policy("m", Policy({"absolute_floor": {"roc_auc": 0.9}}, approvals=1))
    with pytest.raises(RefusedByGates): ws.models.promote(first.ref)
    with pytest.raises(RefusedByGates): ws.models.promote(first.ref, override="  ")  # no reason is no override
    assert ws.models.promote(first.ref, override="prices went wild at night").promoted
    assert ws.models.promote(second.ref, override="and again").promoted
    event = ws.models.placed("m", "production")
    assert (event.action, event.detail["reason"], {gate["outcome"] for gate in event.detail["gates"]}) == ("override", "and again", {"fail", "cannot tell"})
    assert ws.models.rollback("m").version == 1
    assert [event.action for event in ws.models.history("m")] == ["policy", "refuse", "refuse", "override", "override", "rollback"]


def test_scheduled_promotion_is_decided_when_it_is_due(ws, monkeypatch):
    first, second = register(ws, 5), register(ws, 6)
    ws.models.set_policy("m", Policy())
    with pytest.raises(BadParameter, match="name the time zone"): ws.models.promote(first.ref, at=datetime(2050, 1, 1))
    with pytest.raises(BadParameter, match="is past"): ws.models.promote(first.ref, at=now() - timedelta(hours=1))
    assert not ws.models.promote(first.ref, at=now() + timedelta(hours=1)).promoted
    ws.models.promote(second.ref, at=now() + timedelta(hours=1))
    assert [event.subject for event in ws.models.scheduled()] == ["m@2"] and ws.models.promote_due() == []
    moment = now() + timedelta(hours=2)
    monkeypatch.setattr("mlops_nb.promotion.promotion.now", lambda: moment)
    assert [decision.candidate for decision in ws.models.promote_due()] == ["m@2"]
    assert ws.models["m@production"].version == 2 and ws.models.scheduled() == [] and ws.models.promote_due() == []


def test_history_answers_who_put_what_there_and_on_what_evidence(ws, cli):
    for rounds in 5, 6: ws.models.promote(register(ws, rounds).ref, "staging", f"round {rounds}")
    first, second = [event for event in ws.models.history("m") if event.action == "promote"]
    done = cli("model", "history", "m", "--alias", "staging", "--at", first.time)
    assert done.returncode == 0 and f"m@1 was staging, by promote of {first.actor}" in done.stdout and "round 5" in done.stdout and "signature_holds" in done.stdout.replace(" ", "_"), done.stdout + done.stderr
    assert "pointed to no version" in cli("model", "history", "m", "--alias", "staging", "--at", "2001-01-01T00:00+00:00").stderr


def test_project_names_gates_of_its_own_in_toml(ws, cli):
    (ws.root / "housegates.py").write_text("from mlops_nb.promotion.gates import gate\n@gate\ndef not_too_many(case, trees: int = 5):\n    n = case.candidate.load().predictor.num_trees()\n    return ('pass' if n <= trees else 'fail'), f'{n} trees', {}\n")
    register(ws, 6)
    (ws.root / "policy.toml").write_text('[gates."housegates:not_too_many"]\ntrees = 3\n')
    assert cli("model", "policy", "m", "--file", "policy.toml").returncode == 0
    done = cli("model", "promote", "m@1")
    assert done.returncode == 1 and "6 trees" in done.stderr
    (ws.root / "policy.toml").write_text('[gates.nosuch]\n')
    assert "there is no gate 'nosuch'" in cli("model", "policy", "m", "--file", "policy.toml").stderr
    (ws.root / "policy.toml").write_text('approvals = "two"\n')
    assert "give a number from 0" in cli("model", "policy", "m", "--file", "policy.toml").stderr


def test_other_packages_than_those_of_training_warn_or_refuse(ws, monkeypatch, caplog):
    register(ws, 5)
    rows = load_breast_cancer(as_frame=True).frame.iloc[:, :5]
    monkeypatch.setattr("mlops_nb.registry.model_versions.installed_version", lambda name: "9.9" if name == "lightgbm" else version(name))
    ws.score("m", rows)
    assert "m@1 was trained with lightgbm" in caplog.text and "(here: 9.9)" in caplog.text
    ws.models.set_policy("m", Policy(environment="refuse"))
    with pytest.raises(Refused, match="refuses to load it elsewhere"): ws.score("m", rows)


def test_rollback_goes_back_step_by_step_and_no_further(ws):
    for rounds in 5, 6, 7: ws.models.promote(register(ws, rounds).ref, "staging")
    assert [ws.models.rollback("m", "staging").version for _ in range(2)] == [2, 1]
    with pytest.raises(NotFound, match="nothing to roll back"): ws.models.rollback("m", "staging")


@pytest.mark.slow
def test_whole_way_to_production_and_a_model_that_is_not_reproducible_is_stopped(ws, write_notebook):
    "The gates on real runs of the workflow notebooks; then a training notebook that draws without a seed."
    ws.runs.run(workflow("train"), {"register_as": "tumour"})
    with pytest.raises(RefusedByGates, match="was not evaluated"): ws.models.promote("tumour@1")
    ws.runs.run(workflow("evaluate"), {"model": "tumour@1"})
    decision = ws.models.promote("tumour@1")
    assert {finding.outcome for finding in decision.findings} == {"pass"}
    restless = write_notebook("restless.ipynb", """
from dataclasses import replace
import numpy as np
from mlops_nb import Workspace, current_run
from mlops_nb.workflows.train import example_table, load_training_data
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
run, ws = current_run(), Workspace()
data, read = load_training_data(ws, run, 'tumours', 'benign')
run.save('model', pack(fit(replace(data, held_out=np.random.rand(len(data.labels)) < 0.25), rounds=40, trained_on=read, num_threads=1), ws.artifacts))
""")
    other = ws.models.register("restless", ws.runs.run(restless))
    ws.runs.run(workflow("evaluate"), {"model": other.ref})
    with pytest.raises(RefusedByGates, match="reproducible failed: .*another model; nothing that was recorded is different, so the notebook draws numbers without a seed"): ws.models.promote(other.ref)
