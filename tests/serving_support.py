"What tests of serving and monitoring share: small models in a workspace, under an alias that no gate was asked for."
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from mlops_nb.base import schema as db
from mlops_nb.base.core import iso, now
from mlops_nb.base.project import Home
from mlops_nb.features.transforms import Transform, identity
from mlops_nb.models.model import Model
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import prepare
from mlops_nb.registry.model_versions import ModelVersion
from mlops_nb.registry.registration import register
from mlops_nb.runs.run import begin_run


def train(
    table: pd.DataFrame,
    target: str = "y",
    *,
    task: str = "auto",
    transform: Transform = identity,
    trained_on: Sequence[str] = (),
    rounds: int = 20,
) -> Model:
    "A small model of a table, every fourth row of which is held out."
    held_out = np.arange(len(table)) % 4 == 0
    prepared = prepare(table, target, transform, held_out=held_out, task=task)
    return fit(prepared, rounds=rounds, trained_on=tuple(trained_on), num_threads=1, seed=0)


def add_version(home: Home, name: str, model: Model) -> ModelVersion:
    "Register a model as the next version of a name."
    run = begin_run(home, "train.ipynb")
    run.save("model", pack(model, home.artifacts))
    run.end()
    return register(home, name, run)


def point(home: Home, name: str, version: int, *, alias: str = "production") -> None:
    "Let an alias point to a version, whatever its gates would say."
    key = dict(name=name, alias=alias)
    with home.store.write() as connection:
        connection.execute(sa.delete(db.aliases).filter_by(**key))
        connection.execute(sa.insert(db.aliases), key | dict(version=version, moved=iso(now())))


def body_of(rows: pd.DataFrame) -> dict[str, Any]:
    "A request of the Open Inference Protocol for numeric rows, with the identifier 7."
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [len(rows)], "data": column.tolist()}
        for name, column in rows.items()]
    return {"id": "7", "inputs": inputs}


def only_x(rows: int, *, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    "Raw rows without a label."
    return a_line(rows, seed=seed, shift=shift).drop(columns=["row", "y"])


def a_line(rows: int = 400, *, slope: float = 2.0, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    "y rises with x by a slope; x lies around a shift."
    x = np.random.default_rng(seed).normal(shift, size=rows)
    return pd.DataFrame({"row": np.arange(rows), "x": x, "y": slope * x})


def two_classes(rows: int = 1200, *, seed: int = 0, sign: int = 1) -> pd.DataFrame:
    "y is mostly 1 where x is above 0; with the sign -1 it is mostly 1 where x is below."
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    is_one = sign * x + rng.normal(scale=0.5, size=rows) > 0
    return pd.DataFrame({"row": np.arange(rows), "x": x, "y": is_one.astype(int)})
