"Moving an alias: one winner, nothing half done, everything on the trail."
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from mlops_nb.core import NotFound, Refused
from mlops_nb.features import as_they_are
from mlops_nb.promotion import RefusedByGates
from mlops_nb.runs import begin
from mlops_nb.training import fit, pack, prepare
from mlops_nb.workspace import Workspace, workflow


def register(ws: Workspace, rounds: int, columns: int = 5):
    "A small model's next version."
    table = load_breast_cancer(as_frame=True).frame.iloc[:, [*range(columns), -1]]
    run = begin(ws, "here", "interactive")
    run.save("model", pack(fit(prepare(table, "target", as_they_are, {}, np.arange(len(table)) % 4 == 0), rounds=rounds, num_threads=1), ws.artifacts))
    return ws.models.register("m", run)


def test_same_package_is_the_same_version(ws):
    assert [register(ws, rounds).version for rounds in (5, 6, 5)] == [1, 2, 1]


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
    def slow(self, candidate, alias):
        decision = decide(self, candidate, alias)
        monkeypatch.undo()
        Workspace(ws.root).models.promote(third.ref, "staging")
        return decision
    monkeypatch.setattr(type(ws.models), "decide", slow)
    with pytest.raises(Refused, match="moved to version 3"): ws.models.promote(second.ref, "staging")
    assert ws.models["m@staging"].version == 3
    assert ws.models.audit.verify() == 5


def _move_about(job: tuple[str, int]) -> None:
    root, seed = job
    models, random = Workspace(root).models, np.random.default_rng(seed)
    for _ in range(15):
        try: models.promote(f"m@{random.integers(1, 4)}", "staging") if random.random() < 0.7 else models.rollback("m", "staging")
        except (Refused, NotFound): continue  # somebody else was first, or there is nothing to go back to


def test_many_people_at_one_alias_leave_a_history_without_gaps(ws):
    for rounds in 5, 6, 7: register(ws, rounds)
    ws.models.promote("m@1", "staging")
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool: list(pool.map(_move_about, [(str(ws.root), seed) for seed in range(4)]))
    moves = [event.detail for event in ws.models.history("m", "staging") if event.action != "refuse"]
    assert [move["from"] for move in moves[1:]] == [move["to"] for move in moves[:-1]]
    assert ws.models["m@staging"].version == moves[-1]["to"]
    ws.models.audit.verify()


def test_rollback_goes_back_step_by_step_and_no_further(ws):
    for rounds in 5, 6, 7: ws.models.promote(register(ws, rounds).ref, "staging")
    assert [ws.models.rollback("m", "staging").version for _ in range(2)] == [2, 1]
    with pytest.raises(NotFound, match="nothing to roll back"): ws.models.rollback("m", "staging")


@pytest.mark.slow
def test_whole_way_to_production_and_a_model_that_is_not_reproducible_is_stopped(ws, write_notebook):
    "The gates on real runs of the workflow notebooks; then a training notebook that draws without a seed."
    trained = ws.runs.run(workflow("train"), {"register_as": "tumour"})
    with pytest.raises(RefusedByGates, match="was not evaluated"): ws.models.promote("tumour@1")
    ws.runs.run(workflow("evaluate"), {"model": "tumour@1"})
    decision = ws.models.promote("tumour@1")
    assert {finding.outcome for finding in decision.findings} == {"pass"}
    restless = write_notebook("restless.ipynb", """
import random
from mlops_nb import Workspace, current_run
from mlops_nb.workflows.train import example_table, load
from mlops_nb.training import fit, pack
run, ws = current_run(), Workspace()
data, read = load(ws, run, 'tumours', 'benign', 'auto', 'mlops_nb.features:as_they_are', '', '25%')
run.save('model', pack(fit(data, rounds=40, trained_on=read, num_threads=1, feature_fraction=0.5, seed=random.randrange(10**6)), ws.artifacts))
""")
    other = ws.models.register("restless", ws.runs.run(restless))
    ws.runs.run(workflow("evaluate"), {"model": other.ref})
    with pytest.raises(RefusedByGates, match="reproducible failed: .*another booster"): ws.models.promote(other.ref)
