"What a page should not show of the bootstrap: how it is distributed, that a seed decides every bit, what it costs."
from __future__ import annotations

import math
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from mlops_nb.models.bootstrap import row_weights, with_interval
from mlops_nb.models.evaluation import evaluate
from mlops_nb.models.paired_comparison import compare_predictions
from predictions import logistic


def test_row_weights_are_poisson() -> None:
    weights = np.concatenate(list(row_weights(10_000, 100, seed=0)))
    assert weights.shape == (100, 10_000)
    # a million draws: four standard errors of the mean and of the share of zeros; the variance's own is sqrt(3)/1000
    assert weights.mean() == pytest.approx(1, abs=0.004)
    assert weights.var() == pytest.approx(1, abs=0.007)
    assert (weights == 0).mean() == pytest.approx(math.exp(-1), abs=0.002)


def test_interval_holds_its_value_also_where_no_replicate_does() -> None:
    replicates = np.array([1.0, 2.0, np.nan, 3.0])
    assert with_interval(5.0, replicates).high == 5 and with_interval(0.0, replicates).low == 0
    assert math.isnan(with_interval(math.nan, replicates).low)
    assert math.isnan(with_interval(2.0, np.full(4, np.nan)).low)


def test_seed_decides_every_bit() -> None:
    y, p = logistic(3000, 1)
    assert evaluate(y, p, "binary", seed=7) == evaluate(y, p, "binary", seed=7) != evaluate(y, p, "binary", seed=8)


OF_THREADS = """
import numpy as np
from mlops_nb.models.evaluation import evaluate
from mlops_nb.models.paired_comparison import compare_predictions
rng = np.random.default_rng(0)
y, p = rng.integers(0, 2, 50_000), rng.random(50_000)
for task in "binary", "regression": print(evaluate(y, p, task, n_boot=40).asdict())
print(compare_predictions(y, p, p ** 2, task="binary", n_boot=40).asdict())
"""


@pytest.mark.slow
def test_number_of_threads_changes_no_bit() -> None:
    def run(threads: str) -> str:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-c", OF_THREADS]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    printed = run("1")
    assert "roc_auc" in printed and run("2") == printed


@pytest.mark.slow
def test_a_million_rows_stay_under_200_megabytes() -> None:
    y, p = logistic(1_000_000, 13)
    tracemalloc.start()
    evaluation = evaluate(y, p, "binary", n_boot=40)
    comparison = compare_predictions(y, p, p ** 1.1, task="binary", metric="roc_auc", n_boot=40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6 and evaluation.n_boot == comparison.n_boot == 40


@pytest.mark.slow
def test_result_says_how_many_replicates_were_drawn() -> None:
    y = np.tile([0.0, 1.0], 600_000)
    drawn = evaluate(y, y + 1, "regression", n_boot=200).n_boot
    assert 100 <= drawn < 200 and sum(len(block) for block in row_weights(len(y), drawn, seed=0)) == drawn
