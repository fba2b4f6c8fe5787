"What a page should not show of a comparison: the right sign in every metric, and luck that is not taken for skill."
from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mlops_nb.models.bootstrap import Estimate
from mlops_nb.models.evaluation import evaluate
from mlops_nb.models.metrics import LOWER_IS_BETTER, METRICS, BadEvaluation
from mlops_nb.models.paired_comparison import PairedComparison, compare_predictions
from predictions import HONEST, logistic


@pytest.mark.parametrize("metric", METRICS["binary"])
def test_model_against_itself_gains_exactly_nothing(metric: str) -> None:
    y, p = logistic(2000, 2)
    comparison = compare_predictions(y, p, p.copy(), task="binary", metric=metric)
    assert comparison.gain == Estimate(value=0.0, low=0.0, high=0.0) and comparison.p_better == 0
    assert comparison.verdict == "not shown to differ"


@pytest.mark.parametrize("metric", METRICS["binary"])
def test_real_difference_is_found_with_the_right_sign(metric: str) -> None:
    y, good = logistic(4000, 5)
    noise = np.random.default_rng(0).normal(size=4000)
    bad = 1 / (1 + np.exp(-3 * (np.log(good / (1 - good)) + noise)))  # blurred and overconfident: worse in every metric
    up = compare_predictions(y, bad, good, task="binary", metric=metric)
    down = compare_predictions(y, good, bad, task="binary", metric=metric)
    assert (up.verdict, up.p_better) == ("better", 1) and (down.verdict, down.p_better) == ("worse", 0)
    assert down.gain.value == -up.gain.value
    values = [evaluate(y, p, "binary", n_boot=0).values[metric] for p in (good, bad)]
    assert [up.candidate, up.champion] == values
    sign = -1 if metric in LOWER_IS_BETTER else 1
    assert up.gain.value == pytest.approx(sign * (values[0] - values[1]))


def test_models_that_differ_by_luck_are_rarely_told_apart() -> None:
    told_apart = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=400)
        champion, candidate = truth + rng.normal(size=400), truth + rng.normal(size=400)
        comparison = compare_predictions(truth, champion, candidate, task="regression", n_boot=200, seed=seed)
        told_apart += comparison.better or comparison.worse
    assert told_apart / 300 <= 1 - HONEST


def test_pairing_narrows_the_interval() -> None:
    y, p = logistic(3000, 6)
    q = np.clip(p + 0.01 * np.random.default_rng(0).normal(size=3000), 0.001, 0.999)
    value, gain = evaluate(y, p, "binary").metrics["log_loss"], compare_predictions(y, p, q, task="binary").gain
    assert gain.high - gain.low < (value.high - value.low) / 10


def test_intervals_read_together_are_wider() -> None:
    y, p = logistic(1000, 6)
    gain = compare_predictions(y, p, p ** 1.1, task="binary").gain
    of_ten = compare_predictions(y, p, p ** 1.1, task="binary", confidence=0.995).gain
    assert of_ten.low < gain.low < gain.value == of_ten.value < gain.high < of_ten.high


def test_undefined_comparison_decides_nothing_and_survives_json() -> None:
    lower, higher = np.full(50, 0.4), np.full(50, 0.6)
    comparison = compare_predictions(np.ones(50), lower, higher, task="binary", metric="roc_auc")
    assert comparison.verdict == "undefined: only one class among the labels"
    assert math.isnan(comparison.p_better) and not comparison.better and not comparison.worse
    assert "undefined" in comparison._repr_html_()
    text = json.dumps(comparison.asdict(), allow_nan=False)
    assert json.dumps(PairedComparison.from_dict(json.loads(text)).asdict()) == text


def test_bad_settings_get_one_clear_line() -> None:
    y, p = logistic(100, 0)
    with pytest.raises(BadEvaluation, match="needs replicates"): compare_predictions(y, p, p, task="binary", n_boot=0)
    with pytest.raises(BadEvaluation, match="'rmse' is no binary metric"):
        compare_predictions(y, p, p, task="binary", metric="rmse")
    with pytest.raises(BadEvaluation, match="2 classes and the candidate 3"):
        compare_predictions([0, 1], np.full((2, 2), 1 / 2), np.full((2, 3), 1 / 3), task="multiclass")
