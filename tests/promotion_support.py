"What several test files of promotion need: a small model's versions, one gate asked about one of them."
from __future__ import annotations

import numpy as np
import pandas as pd

from mlops_nb.base.project import Home
from mlops_nb.features.transforms import identity
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.models.training_data import prepare
from mlops_nb.promotion.gates import Finding, build_case, run_gates
from mlops_nb.registry.model_versions import Models, ModelVersion
from mlops_nb.registry.registration import register
from mlops_nb.runs.run import Run, begin_run
from registry_support import tumours


def save_small(run: Run, home: Home, *, rounds: int = 2, columns: int = 5) -> None:
    "A small model, as what a run made."
    table = tumours(columns)
    data = prepare(table, "target", identity, held_out=np.arange(len(table)) % 4 == 0)
    run.save("model", pack(fit(data, rounds=rounds, num_threads=1), home.artifacts))


def register_small(home: Home, rounds: int, *, columns: int = 5) -> ModelVersion:
    "The next version of `m`; the same rounds and columns are the same package."
    run = begin_run(home, "here")
    save_small(run, home, rounds=rounds, columns=columns)
    run.end()
    return register(home, "m", run)


def ask(home: Home, reference: str, gate: str, **options: object) -> Finding:
    "What one gate finds of a candidate for production."
    case = build_case(home, Models(home)[reference], "production")
    finding = run_gates({gate: options}, case)[0]
    assert bool(finding.measured) == ("<svg" in finding._repr_html_())
    return finding


def rows_of(n: int) -> pd.DataFrame:
    "Two numbers, a category, and a label that depends on them."
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "c": rng.choice(["u", "v"], n)})
    return rows.assign(y=(rows.a + (rows.c == "u") > 0.4).astype(int))
