"A registry of 50 models with 200 versions each: listed, searched, opened in the panel; a promotion by eight gates whose evidence is there; a rollback."
from __future__ import annotations

import json, time
from pathlib import Path

from _pairs import at_most, known, scratch, show

MODELS, VERSIONS, TIMES = 50, 200, 7
METRICS = "log_loss", "roc_auc", "brier", "accuracy"
POLICY = dict.fromkeys(("beats_base_rate", "better_than_champion", "no_slice_collapses", "no_slice_worse", "signature_holds", "fast_and_small", "feature_parity", "reproducible"), {})


def fill(ws) -> None:
    "Rows as registering would write them, of one real package; each with a run, metrics, an input and its event."
    import numpy as np, sqlalchemy as sa
    from mlops_nb.base import schema as db
    from mlops_nb.base.core import author, digest, iso, new_id, now
    real, rng = ws.models["tumour@1"], np.random.default_rng(0)
    moment, who = iso(now()), author()
    manifest = json.loads(ws.artifacts.bytes(real.package))
    for at in range(MODELS):
        name, runs, metrics, inputs, versions, features = f"model-{at}", [], [], [], [], []
        for version in range(1, VERSIONS + 1):
            run = new_id()
            runs.append(dict(id=run, notebook="train.ipynb", kind="batch", status="succeeded", author=who, host="h", pid=1, created=moment, started=moment, ended=moment, tags={}))
            metrics += [dict(run_id=run, name=metric, value=float(rng.random())) for metric in METRICS]
            inputs.append(dict(run_id=run, kind="dataset", name="tumours", version=1, asked="tumours"))
            package = ws.artifacts.put(json.dumps(manifest | {"trained_on": ["tumours@1"], "target": f"{name}-{version}"}).encode()) if version == VERSIONS else digest(f"{name}@{version}")
            versions.append(dict(name=name, version=version, package=package, run_id=run, task="binary", environment=real.environment, description="", tags={"team": f"t{version % 7}"}, author=who, created=moment))
            features += [dict(feature=f"f{(version + n) % 40}", name=name, version=version) for n in range(10)]
        with ws.audit.writing() as connection:
            connection.execute(sa.insert(db.models), dict(name=name, description="", tags={}, card={}, author=who, created=moment))
            for table, rows in ((db.runs, runs), (db.metrics, metrics), (db.run_inputs, inputs), (db.model_versions, versions), (db.model_features, features)): connection.execute(sa.insert(table), rows)
            for row in versions: ws.audit.append(connection, "register", f"{name}@{row['version']}", run=row["run_id"], package=row["package"], trained_on=["tumours@1"])
            for number in (VERSIONS - 5, VERSIONS): ws.audit.append(connection, "promote", f"{name}@{number}", **{"alias": "production", "from": None if number < VERSIONS else VERSIONS - 5, "to": number, "reason": "", "comment": "", "gates": []})
            connection.execute(sa.insert(db.aliases), dict(name=name, alias="production", version=VERSIONS, moved=moment))


def timed(work) -> list[float]:
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def main() -> None:
    from mlops_nb.base.errors import NotFound
    from mlops_nb.promotion.policies import Policy
    from mlops_nb.app.workflow_notebooks import workflow
    from mlops_nb.app.workspace import Workspace
    with scratch() as name:
        folder = Path(name)
        (folder / ".mlops").mkdir()
        ws = Workspace(folder)
        ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": 3})
        ws.runs.run(workflow("evaluate"), {"model": "tumour@1"})
        ws.models.set_policy("tumour", Policy())
        ws.models.promote("tumour@1")
        ws.runs.run(workflow("train"), {"register_as": "tumour", "rounds": 60, "num_leaves": 7})
        ws.runs.run(workflow("evaluate"), {"model": "tumour@2", "champion": "tumour@1"})
        ws.models.set_policy("tumour", Policy(POLICY))
        ws.models.reproduce("tumour@2")
        fill(ws)
        models = ws.models
        def promote():
            decision = models.promote("tumour@2")
            assert decision.promoted and len(decision.findings) == 8, decision.reason
        promotions, rollbacks = [], []
        for _ in range(TIMES):
            promotions += timed_once(promote)
            rollbacks += timed_once(lambda: models.rollback("tumour"))
        assert len(models.list("model-7")) == VERSIONS and len(models.list()) == MODELS + 1
        assert len(models.search("metrics.roc_auc > 0.99")) in range(50, 160) and len(models.search("tags.team = t3 and feature = f5 and name = model-3")) > 0
        show(f"A registry of {MODELS} models with {VERSIONS} versions each", "", [
            at_most("promotion by 8 gates, evidence present", promotions, 2.0), at_most("rollback", rollbacks, 1.0),
            at_most("latest version of each model", timed(models.list), 0.5), at_most("all versions of one model", timed(lambda: models.list("model-7")), 0.5),
            at_most("search by metric", timed(lambda: models.search("metrics.roc_auc > 0.99")), 0.5), at_most("search by metric that half of all meet", timed(lambda: models.search("metrics.roc_auc > 0.5 and metrics.log_loss < 0.5", limit=100)), 0.5),
            at_most("search by dataset, feature and tag", timed(lambda: models.search("dataset = tumours and feature = f5 and tags.team = t3")), 0.5),
            at_most("panel opens", timed(lambda: ws.promotion_panel("model-7").close()), 0.5), known("impact of a dataset that all learned from", timed(lambda: ws.lineage.impact("tumours@1"))), known("audit verify", timed(ws.audit.verify))])


def timed_once(work) -> list[float]:
    began = time.perf_counter()
    work()
    return [time.perf_counter() - began]


if __name__ == "__main__": main()
