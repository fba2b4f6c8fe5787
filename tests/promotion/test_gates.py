"Each gate where it passes, where it fails and where it cannot tell; on real runs, real notebooks and a real repository."
import json
import subprocess

import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from mlops_nb.data.expectations import ColumnRule, Expectations
from mlops_nb.features.transforms import identity
from mlops_nb.runs.fork_messages import ask
from mlops_nb.promotion.gates import build_case, evidence
from mlops_nb.promotion.evidence_plots import evidence_svg
from mlops_nb.promotion.policies import Policy
from mlops_nb.runs.run import begin_run
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import prepare
from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.app.workspace import Workspace


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Workspace:
    "A weak version in production, a better one beside it, both evaluated, in a git repository."
    folder = tmp_path_factory.mktemp("two")
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    for rounds in 2, 60: ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": rounds})
    ws.runs.run(workflow("evaluate"), {"model": "tumour@1"})
    ws.models.set_policy("tumour", Policy())
    ws.models.promote("tumour@1")
    ws.runs.run(workflow("evaluate"), {"model": "tumour@2", "champion": "tumour@1"})
    return ws


def outcome(ws: Workspace, reference: str, gate: str, **options) -> tuple[str, str]:
    found = ask({gate: options}, build_case(ws.models, ws.models[reference], "production"))[0]
    assert "<svg" in found._repr_html_() or not found.figures.get("measured")
    return found.outcome, found.message


@pytest.mark.parametrize("gate, options, outcomes", [
    ("better_than_champion", {}, ("pass", "pass")), ("better_than_champion", {"margin": 10.0}, ("pass", "fail")), ("no_slice_worse", {}, ("pass", "pass")), ("no_slice_collapses", {}, ("pass", "pass")),
    ("absolute_floor", {"roc_auc": 0.9}, ("pass", "pass")), ("absolute_floor", {"roc_auc": 0.999}, ("fail", "fail")), ("absolute_floor", {"log_loss": 0.3}, ("fail", "pass")), ("absolute_floor", {}, ("cannot tell", "cannot tell")), ("absolute_floor", {"fame": 1}, ("cannot tell", "cannot tell")),
    ("calibrated", {"at_most": 0.2}, ("fail", "pass")), ("calibrated", {"at_most": 0.001}, ("fail", "fail")), ("signature_holds", {}, ("pass", "pass")),
    ("fast_and_small", {"p99_ms": 2000.0}, ("pass", "pass")), ("fast_and_small", {"p99_ms": 0.001}, ("fail", "fail")), ("fast_and_small", {"p99_ms": 2000.0, "megabytes": 0.0001}, ("fail", "fail")),
    ("feature_parity", {}, ("pass", "pass")), ("notebook_clean", {}, ("pass", "pass")), ("data_valid", {}, ("cannot tell", "cannot tell")), ("card_complete", {}, ("fail", "fail")), ("code_committed", {}, ("fail", "fail")),
])
@pytest.mark.slow
def test_gates_on_a_weak_champion_and_a_better_candidate(two, gate, options, outcomes):
    assert tuple(outcome(two, reference, gate, **options)[0] for reference in ("tumour@1", "tumour@2")) == outcomes


@pytest.mark.slow
def test_rows_on_both_sides_and_features_that_tell_are_leaks(two):
    assert "alone predicts benign with 0.9" in outcome(two, "tumour@2", "no_leakage")[1]
    assert outcome(two, "tumour@2", "no_leakage", alone=0.99)[0] == "pass"  # who knows that a biopsy's figures tell as much says so in the policy
    table = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "benign"})
    two.datasets.add("doubled", pd.concat([table.head(100)] * 2).assign(told=lambda t: t.benign * 2.0, who=[f"patient {n % 7}" for n in range(200)]))
    two.runs.run(workflow("train"), {"register_as": "leaky", "data": "doubled", "rounds": 2})
    found, message = outcome(two, "leaky", "no_leakage", key=["who"], alone=0.99)
    assert found == "fail" and "evaluation rows have a who that training rows have too" in message and "told alone predicts benign" in message


@pytest.mark.slow
def test_data_has_to_be_what_somebody_said_and_not_too_old(two):
    two.expectations.add("tumours", Expectations(columns={"mean radius": ColumnRule(min=0)}))
    assert outcome(two, "tumour@2", "data_valid", max_age="1 day")[0] == "pass"
    assert outcome(two, "tumour@2", "data_valid", max_age="0 s")[1].endswith("over 0 s ago")
    two.expectations.add("tumours", Expectations(columns={"mean radius": ColumnRule(max=10)}))
    found, message = outcome(two, "tumour@2", "data_valid")
    assert found == "fail" and "mean radius" in message and "above 10" in message


@pytest.mark.slow
def test_card_is_complete_when_a_person_has_written_it(two, monkeypatch):
    two.models.describe("tumour", "malignant or benign", owner="ada", intended_use="teaching", limitations="one hospital")
    assert outcome(two, "tumour@2", "card_complete")[0] == "pass"
    assert outcome(two, "tumour@2", "card_complete", sections=["ethics"])[1].startswith("the card of tumour lacks ethics: mlops-nb model describe tumour --ethics")
    from mlops_nb.promotion.promotion import card_of
    card = card_of(two.models, "tumour@2")
    assert "## Limitations\n\none hospital" in card and "| mean radius | number |" in card and "roc_auc" in card


@pytest.fixture
def model(ws):
    "Register a small model of a run that is given."
    table = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, -1]]
    def made(run) -> str:
        run.save("model", pack(fit(prepare(table, "target", identity, held_out=np.arange(len(table)) % 4 == 0), rounds=2, num_threads=1), ws.artifacts))
        return ws.models.register("m", run).ref
    return made


def _notebook(*cells: tuple[str, int | None]) -> bytes:
    made = [nbformat.v4.new_code_cell(text, execution_count=count) for text, count in cells]
    return nbformat.writes(nbformat.v4.new_notebook(cells=made)).encode()


@pytest.mark.parametrize("executed, says", [
    ([("a = 1", 1), ("b = 2", 2)], "2 cells ran from top to bottom"),
    ([("a = 1", 3), ("b = 2", 4)], "restart the kernel"),
    ([("a = 1", 2), ("b = 2", 1)], "restart the kernel"),
    ([("a = 1", 1), ("b = 2", None)], "1 of 2 code cells did not run"),
    ([("a = 1", 1), ("b = 3", 2)], "1 cell was edited"),
    ([("a = 1", 1), ("b = 2", 2), ("c = 3", 3)], "1 cell was edited"),
])
def test_notebook_that_somebody_worked_in_by_hand(ws, model, executed, says):
    from mlops_nb.base import schema as db
    run = begin_run(ws.home, "hand.ipynb", source=ws.artifacts.put(_notebook(("a = 1", None), ("b = 2", None))))
    reference = model(run)
    run.end()
    ws.runs.search()
    with ws.home.store.write() as connection: connection.execute(db.runs.update().filter_by(id=run.id).values(executed=ws.artifacts.put(_notebook(*executed))))
    found, message = outcome(ws, reference, "notebook_clean")
    assert says in message and found == ("pass" if "top to bottom" in message and "restart" not in message else "fail")


def test_code_has_to_be_in_the_commit(ws, model, write_notebook):
    def git(*words): subprocess.run(["git", "-C", str(ws.root), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)
    def trained() -> str:
        run = begin_run(ws.home, "learn.ipynb", kind="batch", source=ws.artifacts.put(ws.root / "learn.ipynb"))
        reference = model(run)
        run.end()
        return reference
    git("init")
    (ws.root / ".gitignore").write_text(".mlops\n")
    (ws.root / "other.py").write_text("x = 1\n")
    git("add", "."), git("commit", "-m", "first")
    write_notebook("learn.ipynb", "x = 1")
    assert "learn.ipynb is not in commit" in outcome(ws, trained(), "code_committed")[1]
    def again(name: str) -> str:
        run = begin_run(ws.home, "learn.ipynb", kind="batch", source=ws.artifacts.put(ws.root / "learn.ipynb"))
        table = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, -1]]
        run.save("model", pack(fit(prepare(table, "target", identity, held_out=np.arange(len(table)) % 4 == 0), rounds=3, num_threads=1), ws.artifacts))
        run.end()
        return ws.models.register(name, run).ref
    git("add", "."), git("commit", "-m", "second")
    assert outcome(ws, again("a"), "code_committed")[0] == "pass"
    write_notebook("learn.ipynb", "x = 2")
    assert "files differed from commit" in outcome(ws, again("b"), "code_committed")[1]
    git("checkout", "learn.ipynb")
    (ws.root / "other.py").write_text("x = 2\n")
    assert "files differed from commit" in outcome(ws, again("c"), "code_committed")[1]


def test_pictures_of_evidence_hold_whatever_is_measured():
    assert evidence_svg([]) == "" == evidence_svg([evidence("nothing", None)])
    picture = evidence_svg([evidence("<b>&", 1.0, 0.5, 2.0, 0.7), evidence("same", 1.0), evidence("x" * 60, -3e9)])
    import xml.etree.ElementTree as tree
    tree.fromstring(picture)
    assert "<b>" not in picture and "&lt;b&gt;" in picture


def test_pickle_is_read_only_when_the_version_is_trusted(ws):
    import pickle
    from dataclasses import replace
    from mlops_nb.base.errors import Refused
    from mlops_nb.models.training import fit_estimator
    from sklearn.linear_model import LogisticRegression
    table = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, -1]]
    data = prepare(table, "target", identity, held_out=np.arange(len(table)) % 4 == 0)
    made = fit_estimator(data, LogisticRegression())
    run = begin_run(ws.home, "here")
    run.save("model", pack(replace(made, file=pickle.dumps(made.predictor), format="pickle"), ws.artifacts))
    ws.models.register("m", run)
    with pytest.raises(Refused, match="is a pickle, which can run any code"): ws.score("m", table)
    with pytest.raises(Refused, match="is a pickle, which is not handed on"): ws.models.export_mlflow("m", ws.root / "out")
    ws.models.trust("m@1", "written here")
    assert len(ws.score("m", table.drop(columns="target"))) == len(table)
    assert json.loads(json.dumps(ws.models["m"].asdict()))["trusted"] is True


def test_gate_that_raises_or_measures_nonsense_closes_and_the_trail_can_hold_it(ws, model):
    from mlops_nb.promotion.gates import gate
    from mlops_nb.promotion.decisions import RefusedByGates
    reference = model(begin_run(ws.home, "here"))

    @gate
    def odd(case): return "pass", "<script>", {"a": float("nan"), "b": {float("inf")}, "measured": [evidence("x", 1.0)]}

    @gate
    def loud(case): raise ZeroDivisionError("by nothing")

    @gate
    def vague(case): return "perhaps", "who knows", {}

    ws.models.set_policy("m", Policy({"odd": {}, "loud": {}, "vague": {}}))
    with pytest.raises(RefusedByGates, match="loud cannot tell: the gate raised ZeroDivisionError: by nothing; vague cannot tell: the gate answered 'perhaps'"): ws.models.promote(reference)
    ws.models.set_policy("m", Policy({"odd": {}}))
    assert ws.models.promote(reference).promoted and ws.models.audit.verify()
    assert "<script>" not in ws.models.decide(ws.models[reference], "production").findings[0]._repr_html_()
