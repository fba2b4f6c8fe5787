"What a page should not show of an evaluation: intervals that hold the truth as often as they say, and its limits."
from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mlops_nb.models.evaluation import Evaluation, base_rate_predictions, evaluate
from mlops_nb.models.metrics import METRICS, BadEvaluation, measure
from mlops_nb.models.paired_comparison import compare_predictions
from predictions import HONEST, logistic

ROUNDS = 300


@pytest.mark.slow
@pytest.mark.parametrize("stretch", [1.0, 1.4], ids=["calibrated", "overconfident"])
def test_binary_intervals_hold_the_truth_as_often_as_they_say(stretch: float) -> None:
    y, p = logistic(2_000_000, 10**6, stretch=stretch)
    truth = measure(y, p, "binary")
    if stretch == 1: truth["calibration_error"] = 0.0
    held = dict.fromkeys(truth, 0)
    for seed in range(ROUNDS):
        y, p = logistic(1000, seed, stretch=stretch)
        for name, estimate in evaluate(y, p, "binary", seed=seed).metrics.items():
            held[name] += estimate.low <= truth[name] <= estimate.high
    assert min(held.values()) / ROUNDS >= HONEST, held
    del held["calibration_error"]  # the one that is wide on purpose
    assert max(held.values()) < ROUNDS, "intervals that never miss are too wide"


def test_regression_intervals_hold_the_truth_as_often_as_they_say() -> None:
    truth = {"rmse": 0.5, "mae": 0.5 * math.sqrt(2 / math.pi), "r2": 1 - 0.25 / 1.25}
    held = dict.fromkeys(METRICS["regression"], 0)
    for seed in range(ROUNDS):
        rng = np.random.default_rng(seed)
        p = rng.normal(size=500)
        for name, estimate in evaluate(p + 0.5 * rng.normal(size=500), p, "regression", seed=seed).metrics.items():
            held[name] += estimate.low <= truth[name] <= estimate.high
    assert min(held.values()) / ROUNDS >= HONEST and max(held.values()) < ROUNDS, held


def test_interval_holds_its_value() -> None:
    for seed in range(30):
        y, p = logistic(60, seed, shift=-2)
        for name, estimate in evaluate(y, p, "binary", n_boot=40, seed=seed).metrics.items():
            assert estimate.low <= estimate.value <= estimate.high, name


def test_undefined_metric_says_why() -> None:
    predictions = np.linspace(0.2, 0.9, 50)
    ones, zeros = (evaluate(np.full(50, label), predictions, "binary") for label in (1, 0))
    assert ones.undefined == {"roc_auc": "only one class among the labels"}
    assert ones.metrics["pr_auc"].value == 1 and "only one class" in ones._repr_html_()
    assert set(zeros.undefined) == {"roc_auc", "pr_auc"}
    assert set(zeros.values) == {"log_loss", "brier", "calibration_error"}
    assert set(evaluate(np.full(9, 3.0), np.arange(9.0), "regression").undefined) == {"r2"}


def test_undefined_metric_survives_json() -> None:
    zeros = evaluate(np.zeros(50), np.linspace(0.2, 0.9, 50), "binary")
    text = json.dumps(zeros.asdict(), allow_nan=False)
    assert json.dumps(Evaluation.from_dict(json.loads(text)).asdict()) == text


def test_rare_positives_keep_their_interval() -> None:
    y = np.zeros(500)
    y[:2] = 1  # one replicate in seven draws neither
    evaluation = evaluate(y, np.linspace(1, 0, 500), "binary")
    assert 0 < evaluation.metrics["roc_auc"].low <= evaluation.metrics["roc_auc"].high <= 1
    assert not evaluation.undefined


def test_single_row_is_evaluated() -> None:
    assert evaluate([1], [0.8], "binary").values["log_loss"] == pytest.approx(-math.log(0.8))
    assert evaluate([2.0], [2.5], "regression").values["rmse"] == 0.5


def test_too_few_replicates_are_refused() -> None:
    y, p = logistic(100, 0)
    with pytest.raises(BadEvaluation, match="n_boot=5 is too few for a 95% interval"):
        evaluate(y, p, "binary", n_boot=5)
    assert math.isnan(evaluate(y, p, "binary", n_boot=0).metrics["log_loss"].low)


def test_base_rate_model_knows_nothing_but_the_rate() -> None:
    y, p = logistic(2000, 11)
    constant = base_rate_predictions(y, len(y), "binary")
    values = evaluate(y, constant, "binary").values
    assert values["roc_auc"] == 0.5 and values["pr_auc"] == pytest.approx(y.mean())
    assert values["calibration_error"] == pytest.approx(0, abs=1e-12)
    assert compare_predictions(y, constant, p, task="binary").better
    mean = base_rate_predictions(p, len(p), "regression")
    assert measure(p, mean, "regression")["r2"] == pytest.approx(0, abs=1e-12)
    assert base_rate_predictions([0, 2], 3, "multiclass").tolist() == [[0.5, 0, 0.5]] * 3


def test_base_rate_of_nothing_is_refused() -> None:
    with pytest.raises(BadEvaluation, match="no training labels"): base_rate_predictions([], 3, "binary")
    with pytest.raises(BadEvaluation, match="whole numbers from 0"): base_rate_predictions([0, 0.5], 3, "multiclass")
