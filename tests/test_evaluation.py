"Metrics against scikit-learn, and intervals against what they promise."
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlops_nb.core import BadTable
from mlops_nb.evaluation import _Rows, calibration, compare, evaluate

scored = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 19)), min_size=3, max_size=80)  # twentieths, so that there are ties


@given(scored, st.data())
@settings(deadline=None, max_examples=80)
def test_binary_metrics_of_weighted_rows_are_those_of_scikit_learn(rows, data):
    labels, scores = np.array([label for label, _ in rows], float), np.array([score / 20 for _, score in rows])
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))), float)
    assume(len(set(labels[weights > 0])) == 2)
    measured = _Rows(labels, scores, "binary")
    for name, truth in {"roc_auc": sk.roc_auc_score, "pr_auc": sk.average_precision_score, "log_loss": sk.log_loss, "brier": sk.brier_score_loss}.items():
        assert measured.values(name, weights[None])[0] == pytest.approx(truth(labels, scores, sample_weight=weights), abs=1e-9), name


def test_multiclass_and_regression_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, raw = rng.integers(0, 3, 300), rng.random((300, 3))
    shares = raw / raw.sum(axis=1, keepdims=True)
    found = evaluate(labels, shares, "multiclass").metrics
    assert found["log_loss"].value == pytest.approx(sk.log_loss(labels, shares)) and found["accuracy"].value == pytest.approx(sk.accuracy_score(labels, shares.argmax(axis=1)))
    actual, predicted = rng.normal(size=300), rng.normal(size=300)
    found = evaluate(actual, predicted, "regression").metrics
    assert found["rmse"].value == pytest.approx(sk.root_mean_squared_error(actual, predicted)) and found["r2"].value == pytest.approx(sk.r2_score(actual, predicted)) and found["mae"].value == pytest.approx(sk.mean_absolute_error(actual, predicted))


def test_interval_holds_the_truth_about_as_often_as_it_says():
    "Of 200 samples of 400 rows, 95 % intervals of the Brier score; 88 to 99 % allows for the percentile method on so few rows and for 200 samples."
    rng, held = np.random.default_rng(1), 0
    truth = 1 / 6  # the expected Brier score of a uniform, calibrated prediction
    for _ in range(200):
        scores = rng.random(400)
        brier = evaluate((rng.random(400) < scores).astype(float), scores, "binary", n_boot=200, seed=int(rng.integers(1 << 30))).metrics["brier"]
        held += brier.low <= truth <= brier.high
    assert 0.88 <= held / 200 <= 0.99


def test_comparison_finds_a_difference_and_finds_none_where_there_is_none():
    rng = np.random.default_rng(2)
    scores = rng.random(4000)
    labels = (rng.random(4000) < scores).astype(float)
    blurred = np.clip(scores + rng.normal(0, 0.2, 4000), 0.01, 0.99)
    for metric in "log_loss", "roc_auc", "brier":
        assert compare(labels, blurred, np.clip(scores, 0.01, 0.99), "binary", metric).better
        assert compare(labels, np.clip(scores, 0.01, 0.99), blurred, "binary", metric).worse
        same = compare(labels, scores, scores, "binary", metric)
        assert (same.gain.value, same.gain.low, same.gain.high) == (0, 0, 0) and not same.better


def test_same_seed_same_interval():
    labels, scores = np.arange(50) % 2, np.linspace(0.1, 0.9, 50)
    assert evaluate(labels, scores, "binary", seed=3) == evaluate(labels, scores, "binary", seed=3)


@pytest.mark.parametrize("labels, scores", [([], []), ([1, 0], [0.5]), ([1, np.nan], [0.5, 0.5]), ([1, 0], [0.5, np.inf])])
def test_rows_that_cannot_be_judged_are_refused(labels, scores):
    with pytest.raises(BadTable): evaluate(labels, scores, "binary")


def test_calibration_counts_every_row_once():
    table = calibration(np.arange(101) % 2, np.linspace(0, 1, 101))
    assert table.n.sum() == 101 and ((table.low <= table.observed) & (table.observed <= table.high)).all()
