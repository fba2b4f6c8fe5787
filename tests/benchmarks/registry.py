"A registry of 50 models with 200 versions each: listed, searched, shown; a version promoted by 8 gates, rolled back."
from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from _pairs import at_most, known, scratch, show

if TYPE_CHECKING:
    from mlops_nb.app.workspace import Workspace
    from mlops_nb.registry.model_versions import ModelVersion

MODELS, VERSIONS, TIMES = 50, 200, 7
METRICS = "log_loss", "roc_auc", "brier", "accuracy"
GATES = (
    "beats_base_rate", "better_than_champion", "no_slice_collapses", "no_slice_worse", "signature_holds",
    "fast_and_small", "feature_parity", "reproducible")


# ---- what is in it

def rows_of(
    name: str,
    version: int,
    *,
    package: str,
    like: ModelVersion,  # author, environment and time are its
    rng: np.random.Generator,
) -> dict[str, list[dict[str, Any]]]:
    "The rows that training and registering a version would write, by table."
    from mlops_nb.base.core import new_id
    id, moment, key = new_id(), like.created, {"name": name, "version": version}
    run = dict(
        id=id, notebook="train.ipynb", kind="batch", status="succeeded", author=like.author, host="h", pid=1,
        created=moment, started=moment, ended=moment, tags={})
    registered = dict(
        package=package, run_id=id, task="binary", environment=like.environment, description="",
        tags={"team": f"t{version % 7}"}, author=like.author, created=moment)
    return {
        "runs": [run],
        "metrics": [dict(run_id=id, name=metric, value=float(rng.random())) for metric in METRICS],
        "run_inputs": [dict(run_id=id, kind="dataset", name="tumours", version=1, asked="tumours")],
        "model_versions": [key | registered],
        "model_features": [key | dict(feature=f"f{(version + number) % 40}") for number in range(10)],
    }


def add_model(ws: Workspace, name: str, like: ModelVersion, rng: np.random.Generator) -> None:
    "A model with all its versions, each with its event; the last one is in production after another was."
    from mlops_nb.base import schema as db
    from mlops_nb.base.core import digest
    manifest = json.loads(ws.artifacts.bytes(like.package)) | {"trained_on": ["tumours@1"], "target": name}
    real = ws.artifacts.put(json.dumps(manifest).encode())  # the one that is opened
    rows: dict[str, list[dict[str, Any]]] = {}
    for version in range(1, VERSIONS + 1):
        package = real if version == VERSIONS else digest(f"{name}@{version}")
        for table, more in rows_of(name, version, package=package, like=like, rng=rng).items():
            rows.setdefault(table, []).extend(more)
    model = dict(name=name, description="", tags={}, card={}, author=like.author, created=like.created)
    with ws.audit.writing() as connection:
        connection.execute(sa.insert(db.models), model)
        for table, values in rows.items(): connection.execute(sa.insert(db.metadata.tables[table]), values)
        for row in rows["model_versions"]:
            detail = dict(run=row["run_id"], package=row["package"], trained_on=["tumours@1"])
            ws.audit.append(connection, "register", f"{name}@{row['version']}", **detail)
        for before, after in (None, VERSIONS - 5), (VERSIONS - 5, VERSIONS):
            detail = {"alias": "production", "from": before, "to": after, "reason": "", "comment": "", "gates": []}
            ws.audit.append(connection, "promote", f"{name}@{after}", **detail)
        alias = dict(name=name, alias="production", version=VERSIONS, moved=like.created)
        connection.execute(sa.insert(db.aliases), alias)


def fill(folder: Path) -> Workspace:
    "A candidate with all its evidence beside a champion, among many other models."
    from mlops_nb.app.workflow_notebooks import workflow
    from mlops_nb.app.workspace import Workspace
    from mlops_nb.promotion.policies import Policy
    (folder / ".mlops").mkdir()
    ws = Workspace(folder)
    ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": 3})
    ws.runs.run(workflow("evaluate"), {"model": "tumour@1"})
    ws.models.set_policy("tumour", Policy())
    ws.models.promote("tumour@1")
    ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": 60, "num_leaves": 7})
    ws.runs.run(workflow("evaluate"), {"model": "tumour@2", "champion": "tumour@1"})
    ws.models.set_policy("tumour", Policy(gates={name: {} for name in GATES}))
    ws.models.reproduce("tumour@2")
    like, rng = ws.models["tumour@1"], np.random.default_rng(0)
    for number in range(MODELS): add_model(ws, f"model-{number}", like, rng)
    return ws


# ---- what is done with it

def timed(work: Callable[[], object], times: int = TIMES) -> list[float]:  # seconds of each
    def once() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    return [once() for _ in range(times)]


def promote(ws: Workspace) -> None:
    decision = ws.models.promote("tumour@2")
    assert decision.promoted and len(decision.findings) == len(GATES), decision.reason


def moves(ws: Workspace) -> tuple[list[float], list[float]]:  # seconds of promotions and of rollbacks
    promotions, rollbacks = [], []
    for _ in range(TIMES):
        promotions += timed(partial(promote, ws), times=1)
        rollbacks += timed(lambda: ws.models.rollback("tumour"), times=1)
    return promotions, rollbacks


def check(ws: Workspace) -> None:
    "What is asked for below finds what there is."
    assert len(ws.models.list("model-7")) == VERSIONS and len(ws.models.list()) == MODELS + 1
    assert len(ws.models.search("metrics.roc_auc > 0.99")) in range(50, 160)
    assert ws.models.search("tags.team = t3 and feature = f5 and name = model-3")


SEARCHES = {
    "by metric": "metrics.roc_auc > 0.99",
    "by metric that half of all meet": "metrics.roc_auc > 0.5 and metrics.log_loss < 0.5",
    "by dataset, feature and tag": "dataset = tumours and feature = f5 and tags.team = t3",
}


def main() -> None:
    with scratch() as name:
        ws = fill(Path(name))
        check(ws)
        promotions, rollbacks = moves(ws)
        limits = {"by metric that half of all meet": 100}
        searches = [
            at_most(f"search {how}", timed(partial(ws.models.search, query, limit=limits.get(how))), 0.5)
            for how, query in SEARCHES.items()]
        show(f"A registry of {MODELS} models with {VERSIONS} versions each", "", [
            at_most(f"promotion by {len(GATES)} gates, evidence present", promotions, 2.0),
            at_most("rollback", rollbacks, 1.0),
            at_most("latest version of each model", timed(ws.models.list), 0.5),
            at_most("all versions of one model", timed(lambda: ws.models.list("model-7")), 0.5),
            *searches,
            at_most("panel opens", timed(lambda: ws.promotion_panel("model-7").close()), 0.5),
            known("impact of a dataset that all learned from", timed(lambda: ws.lineage.impact("tumours@1"))),
            known("audit verify", timed(ws.audit.verify)),
        ])


if __name__ == "__main__": main()
