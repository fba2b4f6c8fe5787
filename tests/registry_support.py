"What several test files of the registry need: a small model's versions, an alias that moves."
from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sklearn.datasets import load_breast_cancer

from mlops_nb.base import schema as db
from mlops_nb.base.core import iso, now
from mlops_nb.base.project import Home
from mlops_nb.features.transforms import identity
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import TrainingData, prepare
from mlops_nb.registry.audit import Audit
from mlops_nb.registry.model_versions import Models, ModelVersion
from mlops_nb.registry.registration import register
from mlops_nb.runs.run import begin_run


def tumours(columns: int = 5) -> pd.DataFrame:
    "A small table: some columns of scikit-learn's, and the target."
    bunch: Any = load_breast_cancer(as_frame=True)
    return bunch.frame.iloc[:, [*range(columns), -1]]


def training_data() -> TrainingData:
    table = tumours()
    return prepare(table, "target", identity, held_out=np.arange(len(table)) % 4 == 0)


def register_small(home: Home, rounds: int, name: str = "m") -> ModelVersion:
    "A small model's next version; the same rounds are the same package."
    run = begin_run(home, "here")
    run.save("model", pack(fit(training_data(), rounds=rounds, num_threads=1), home.artifacts))
    run.end()
    return register(home, name, run)


def move_alias(home: Home, alias: str, reference: str) -> None:
    "Let an alias point to a version, and say so on the trail, as a promotion does."
    models, audit = Models(home), Audit(home)
    version = models[reference]
    before = models.get(f"{version.name}@{alias}")
    row = dict(name=version.name, alias=alias, version=version.version, moved=iso(now()))
    detail = {"alias": alias, "from": before.version if before else None, "to": version.version}
    with audit.writing() as connection:
        connection.execute(sa.delete(db.aliases).filter_by(name=version.name, alias=alias))
        connection.execute(sa.insert(db.aliases), row)
        audit.append(connection, "promote", version.ref, **detail)
