"What a page should not show of mlops_nb.models.evaluation: agreement with scikit-learn, honest intervals, limits."
from __future__ import annotations

import json, math, os, subprocess, sys, tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest
from sklearn import metrics as sk

from mlops_nb.models import evaluation
from mlops_nb.base.errors import MLOpsError
from mlops_nb.models.evaluation import (LOWER_IS_BETTER, METRICS, PRIMARY, BadEvaluation, Comparison, Estimate, Evaluation, base_rate_predictions, by_slice,
                                 calibration, calibration_plot, compare, evaluate, measure, slice_plot)

EXACT = 1e-9  # both sides are a few roundings of float64 away from the true number


def logistic(n, seed, shift=-1.0, noise=0.0, stretch=1.0):
    "Labels drawn from known probabilities, and predictions that are those, blurred or stretched."
    rng = np.random.default_rng(seed)
    z = rng.normal(shift, 1.3, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return y, 1 / (1 + np.exp(-stretch * (z + noise * rng.normal(size=n))))


# Few distinct scores make ties; the ends 0 and 1 make infinite losses where they are not clipped; weight 0 takes a row out.
scores = st.one_of(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.floats(0, 1))
row_weights = st.one_of(st.integers(0, 4).map(float), st.floats(0.01, 3))
binary_rows = st.lists(st.tuples(st.integers(0, 1), scores, row_weights), min_size=2, max_size=60).filter(lambda rows: {y for y, _, w in rows if w} == {0, 1})


@given(binary_rows)
@settings(max_examples=300, deadline=None)
def test_binary_metrics_equal_sklearn_with_ties_and_weights(rows):
    y, p, w = map(np.array, zip(*rows))
    found = measure(y, p, "binary", weights=w)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w), abs=EXACT)
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(y, p, sample_weight=w), abs=EXACT)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, sample_weight=w, labels=[0, 1]), abs=EXACT)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p, sample_weight=w), abs=EXACT)


def class_rows(k): return st.lists(st.tuples(st.integers(0, k - 1), hnp.arrays(float, k, elements=st.floats(0.001, 1)), row_weights), min_size=2, max_size=30)


@given(st.integers(2, 5).flatmap(lambda k: st.tuples(st.just(k), class_rows(k))))
@settings(max_examples=100, deadline=None)
def test_multiclass_metrics_equal_sklearn(case):
    k, rows = case
    y, p, w = map(np.array, zip(*rows))
    p /= p.sum(axis=1, keepdims=True)
    if not w.any(): w = np.ones(len(y))
    found = measure(y, p, "multiclass", weights=w)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, sample_weight=w, labels=range(k)), abs=EXACT)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, p.argmax(axis=1), sample_weight=w), abs=EXACT)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p, sample_weight=w, labels=range(k), scale_by_half=False), abs=EXACT)


@given(hnp.arrays(float, st.tuples(st.integers(2, 40), st.just(3)), elements=st.floats(-1e3, 1e3).map(lambda v: round(v, 3))), st.sampled_from([0.0, 1e6]))
@settings(max_examples=200, deadline=None)
def test_regression_metrics_equal_sklearn_also_far_from_zero(rows, offset):
    y, p, w = rows[:, 0] + offset, rows[:, 1] + offset, np.abs(rows[:, 2]) + 0.01
    found = measure(y, p, "regression", weights=w)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(y, p, sample_weight=w), rel=EXACT)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(y, p, sample_weight=w), rel=EXACT)
    if y.min() == y.max(): assert math.isnan(found["r2"])
    elif np.ptp(y) > 1: assert found["r2"] == pytest.approx(sk.r2_score(y, p, sample_weight=w), rel=1e-6)  # a ratio: digits go when the weighted spread is small


@given(binary_rows, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_of_rows_changes_no_metric_and_no_bin(rows, random):
    shuffled = random.sample(rows, len(rows))
    (y, p, w), (y2, p2, w2) = (map(np.array, zip(*part)) for part in (rows, shuffled))
    assert measure(y2, p2, "binary", weights=w2) == pytest.approx(measure(y, p, "binary", weights=w), abs=EXACT)
    pd.testing.assert_frame_equal(calibration(y2, p2), calibration(y, p), rtol=EXACT)


def test_calibration_error_is_that_of_ten_equal_bins():
    y, p = logistic(5000, 0, stretch=1.5)
    parts = np.array_split(np.argsort(p), 10)
    naive = sum(abs(y[rows].mean() - p[rows].mean()) * len(rows) for rows in parts) / len(y)
    assert evaluate(y, p, "binary").values["calibration_error"] == pytest.approx(naive, abs=EXACT)
    assert calibration(y, p).n.tolist() == [500] * 10


def test_equal_predictions_share_a_bin():
    y, _ = logistic(1000, 0)
    assert calibration(y, np.full(1000, 0.3)).n.tolist() == [1000]
    frame = calibration(y, np.repeat([0.2, 0.4, 0.9], [300, 500, 200]))
    assert frame.n.tolist() == [300, 500, 200] and frame.predicted.tolist() == pytest.approx([0.2, 0.4, 0.9])


def test_calibration_interval_is_wilsons():
    y, p = logistic(777, 3)
    for row in calibration(y, p, bins=7).itertuples():
        wilson = binomtest(round(row.observed * row.n), row.n).proportion_ci(0.95, method="wilson")
        assert (row.low, row.high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_bootstrap_weights_are_poisson():
    weights = np.concatenate(list(evaluation._row_weights(10_000, 100, 0)))
    assert weights.shape == (100, 10_000)
    # one million draws: four standard errors of the mean and of the share of zeros; the variance's own is sqrt(3)/1000
    assert weights.mean() == pytest.approx(1, abs=0.004) and weights.var() == pytest.approx(1, abs=0.007)
    assert (weights == 0).mean() == pytest.approx(math.exp(-1), abs=0.002)


def test_seed_decides_every_bit():
    y, p = logistic(3000, 1)
    assert evaluate(y, p, "binary", seed=7) == evaluate(y, p, "binary", seed=7) != evaluate(y, p, "binary", seed=8)


def test_number_of_threads_changes_no_bit():
    program = ("import numpy as np; from mlops_nb.models.evaluation import *; r = np.random.default_rng(0); y = r.integers(0, 2, 50_000); p = r.random(50_000);"
               "print(evaluate(y, p, 'binary', n_boot=40).asdict(), evaluate(y, p, 'regression', n_boot=40).asdict(), compare(y, p, p ** 2, 'binary', n_boot=40).asdict())")
    run = lambda k: subprocess.run([sys.executable, "-c", program], env={**os.environ, "OPENBLAS_NUM_THREADS": k, "OMP_NUM_THREADS": k}, capture_output=True, text=True, check=True)
    one, two = (run(k).stdout for k in "12")
    assert one == two and "roc_auc" in one


def test_import_stays_light():
    program = "import sys, mlops_nb.models.evaluation; print([m for m in ('sklearn', 'scipy', 'plotly', 'lightgbm') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("stretch", [1.0, 1.4])  # calibrated, and overconfident
def test_binary_intervals_hold_the_truth_as_often_as_they_say(stretch):
    truth = measure(*logistic(2_000_000, 10**6, stretch=stretch), "binary")
    if stretch == 1: truth["calibration_error"] = 0.0
    rounds = 300
    held = dict.fromkeys(truth, 0)
    for seed in range(rounds):
        for name, found in evaluate(*logistic(1000, seed, stretch=stretch), "binary", seed=seed).metrics.items():
            held[name] += found.low <= truth[name] <= found.high
    # 95 % is meant. 300 rounds know a share of 0.95 to 0.0126; three of those, and 0.02 for what a percentile interval of 1,000 rows and 200 replicates lacks
    assert min(held.values()) / rounds >= 0.95 - 3 * 0.0126 - 0.02, held
    assert max(count for name, count in held.items() if name != "calibration_error") < rounds, "intervals that never miss are too wide"


def test_regression_intervals_hold_the_truth_as_often_as_they_say():
    held = dict.fromkeys(METRICS["regression"], 0)
    truth = {"rmse": 0.5, "mae": 0.5 * math.sqrt(2 / math.pi), "r2": 1 - 0.25 / 1.25}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        p = rng.normal(size=500)
        for name, found in evaluate(p + 0.5 * rng.normal(size=500), p, "regression", seed=seed).metrics.items(): held[name] += found.low <= truth[name] <= found.high
    assert 0.95 - 3 * 0.0126 - 0.02 <= min(held.values()) / 300 and max(held.values()) < 300, held


def test_interval_holds_its_value():
    for seed in range(30):
        for name, found in evaluate(*logistic(60, seed, shift=-2), "binary", n_boot=40, seed=seed).metrics.items(): assert found.low <= found.value <= found.high, name


@pytest.mark.parametrize("metric", METRICS["binary"])
def test_model_against_itself_gains_exactly_nothing(metric):
    y, p = logistic(2000, 2)
    verdict = compare(y, p, p.copy(), "binary", metric=metric)
    assert verdict.gain == Estimate(0.0, 0.0, 0.0) and verdict.p_better == 0 and not verdict.better and not verdict.worse


@pytest.mark.parametrize("metric", METRICS["binary"])
def test_real_difference_is_found_with_the_right_sign_in_every_metric(metric):
    y, good = logistic(4000, 5)
    noise = np.random.default_rng(0).normal(size=4000)
    bad = 1 / (1 + np.exp(-3 * (np.log(good / (1 - good)) + noise)))  # blurred and overconfident: worse in every metric
    found, turned = compare(y, bad, good, "binary", metric=metric), compare(y, good, bad, "binary", metric=metric)
    assert found.better and not found.worse and turned.worse and not turned.better
    assert found.p_better == 1 and turned.p_better == 0 and turned.gain.value == -found.gain.value
    sign = -1 if metric in LOWER_IS_BETTER else 1
    alone = evaluate(y, good, "binary", n_boot=0).values[metric], evaluate(y, bad, "binary", n_boot=0).values[metric]
    assert (found.candidate, found.champion) == alone and found.gain.value == pytest.approx(sign * (alone[0] - alone[1]))


def test_models_that_differ_by_luck_are_rarely_told_apart():
    called = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=400)
        verdict = compare(truth, truth + rng.normal(size=400), truth + rng.normal(size=400), "regression", n_boot=200, seed=seed)
        called += verdict.better or verdict.worse
    assert called / 300 <= 0.05 + 3 * 0.0126 + 0.02  # 5 % is meant; as for the coverage above


def test_pairing_narrows_the_interval():
    y, p = logistic(3000, 6)
    q = np.clip(p + 0.01 * np.random.default_rng(0).normal(size=3000), 0.001, 0.999)
    alone = evaluate(y, p, "binary").metrics["log_loss"]
    gain = compare(y, p, q, "binary").gain
    assert gain.high - gain.low < (alone.high - alone.low) / 10


def test_undefined_metric_says_why_and_survives_json():
    ones = evaluate(np.ones(50), np.linspace(0.2, 0.9, 50), "binary")
    assert set(ones.undefined) == {"roc_auc"} and ones.metrics["pr_auc"].value == 1 and "only one class" in ones._repr_html_()
    zeros = evaluate(np.zeros(50), np.linspace(0.2, 0.9, 50), "binary")
    assert set(zeros.undefined) == {"roc_auc", "pr_auc"} and "roc_auc" not in zeros.values and zeros.values["log_loss"] > 0
    assert set(evaluate(np.full(9, 3.0), np.arange(9.0), "regression").undefined) == {"r2"}
    verdict = compare(np.ones(50), np.full(50, 0.4), np.full(50, 0.6), "binary", metric="roc_auc")
    assert verdict.undefined and math.isnan(verdict.p_better) and not verdict.better and not verdict.worse and "undefined" in verdict._repr_html_()
    for found, kind in (zeros, Evaluation), (verdict, Comparison):
        text = json.dumps(found.asdict(), allow_nan=False)
        assert json.dumps(kind.from_dict(json.loads(text)).asdict()) == text


def test_rare_positives_keep_their_interval():
    y = np.zeros(500); y[:2] = 1  # one replicate in seven draws neither
    found = evaluate(y, np.linspace(1, 0, 500), "binary")
    assert 0 < found.metrics["roc_auc"].low <= found.metrics["roc_auc"].high <= 1 and not found.undefined


def test_single_row_is_evaluated():
    assert evaluate([1], [0.8], "binary").values["log_loss"] == pytest.approx(-math.log(0.8))
    assert evaluate([2.0], [2.5], "regression").values["rmse"] == 0.5


@pytest.mark.parametrize("labels, predictions, task, message", [
    ([], [], "binary", "no rows"),
    ([0, 1], [0.5], "binary", "same rows"),
    ([0, np.nan], [0.5, 0.5], "binary", "1 of the labels are missing"),
    (pd.array([0, None], dtype="Int64"), [0.5, 0.5], "binary", "labels"),
    (pd.Series([0, None], dtype="Int64"), [0.5, 0.5], "binary", "1 of the labels are missing"),
    ([0, 1], [0.5, np.inf], "binary", "1 of the predictions are missing or infinite"),
    (["no", "yes"], [0.5, 0.5], "binary", "not all numbers"),
    ([0, 1], [0.5, 1.5], "binary", "probabilities lie in"),
    ([0, 1], [[0.5, 0.5], [0.5, 0.5]], "binary", "predictions (n,)"),
    ([0, 1], [0.5, 0.5], "multiclass", "predictions (n, k)"),
    ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "multiclass", "codes from 0 to 1, not 2"),
    ([0, 1], [[0.5, 0.9], [0.5, 0.5]], "multiclass", "sum to 1"),
    ([0.5, 1], [0.5, 0.5], "binary", "codes from 0 to 1, not 0.5"),
    ([0, 1], [0.5, 0.5], "ranking", "choose one of binary, multiclass, regression"),
])
def test_bad_input_gets_one_clear_line(labels, predictions, task, message):
    with pytest.raises(BadEvaluation) as error: evaluate(labels, predictions, task)
    assert message in str(error.value) and "\n" not in str(error.value) and isinstance(error.value, MLOpsError) and error.value.exit_code == 2


def test_bad_settings_get_one_clear_line():
    y, p = logistic(100, 0)
    for call, message in [(lambda: evaluate(y, p, "binary", n_boot=5), "too few"), (lambda: compare(y, p, p, "binary", n_boot=0), "needs replicates"),
                          (lambda: compare(y, p, p, "binary", metric="rmse"), "no binary metric"), (lambda: measure(y, p, "binary", weights=-p), "weights"),
                          (lambda: measure(y, p, "binary", weights=p[:5]), "weights"), (lambda: calibration(y, p, bins=0), "one bin"),
                          (lambda: by_slice(y, p, "binary", {"a": [1]}), "1 values for 100 rows"), (lambda: base_rate_predictions([], 3, "binary"), "no training labels"),
                          (lambda: base_rate_predictions([0, 0.5], 3, "multiclass"), "whole numbers")]:
        with pytest.raises(BadEvaluation, match=message): call()
    with pytest.raises(BadEvaluation, match="2 classes and the candidate 3"): compare([0, 1], np.full((2, 2), 1 / 2), np.full((2, 3), 1 / 3), "multiclass")


def test_pandas_input_gives_the_numbers_of_arrays():
    y, p = logistic(500, 4)
    assert evaluate(pd.Series(y == 1, index=range(500, 0, -1)), pd.Series(p, dtype="double[pyarrow]"), "binary") == evaluate(y, p, "binary")


def test_slices_keep_every_row_and_equal_an_evaluation_of_their_rows():
    y, p = logistic(3000, 8)
    rng = np.random.default_rng(0)
    carrier = rng.choice(["UA", "DL", None, "other", "F9", "HA"], 3000, p=[.5, .3, .12, .04, .03, .01])
    gate = pd.Categorical(np.where(np.arange(3000) < 1500, "A<b>", "B"))
    frame = by_slice(y, p, "binary", {"carrier": carrier, "gate": gate}, min_rows=200)
    assert frame.columns.tolist() == ["slice_column", "value", "n", "metric", "estimate", "low", "high", "base_rate"]
    assert frame.groupby("slice_column").n.sum().tolist() == [3000, 3000] and set(frame.metric) == {"log_loss"}
    rows = frame.set_index(["slice_column", "value"])
    assert rows.loc["carrier"].index.tolist() == ["UA", "DL", "missing", "other"]
    assert rows.loc[("carrier", "other"), "n"] == np.isin(carrier, ["other", "F9", "HA"]).sum()
    own = carrier == "UA"
    alone = evaluate(y[own], p[own], "binary")
    found = rows.loc[("carrier", "UA")]
    assert Estimate(found.estimate, found.low, found.high) == alone.metrics["log_loss"] and found.base_rate == alone.base_rate
    assert by_slice(y, p, "binary", {"carrier": carrier}, metric="calibration_error").iloc[0].estimate == alone.values["calibration_error"]


def test_slice_of_one_class_keeps_its_place_in_table_and_plot():
    y, p = logistic(600, 9)
    frame = by_slice(y, p, "binary", {"label": y, "empty": np.full(600, None)}, min_rows=10, metric="roc_auc", n_boot=40)
    assert frame.estimate.isna().tolist() == [True, True, False] and frame.value.tolist() == ["0", "1", "missing"]
    assert len(slice_plot(frame).data[0].x) == 3 and len(by_slice(y, p, "binary", {})) == 0 and slice_plot(by_slice(y, p, "binary", {}))


def test_multiclass_slices_have_class_shares():
    rng = np.random.default_rng(0)
    frame = by_slice(rng.integers(0, 3, 500), rng.dirichlet(np.ones(3), 500), "multiclass", {"a": np.zeros(500)}, metric="accuracy", n_boot=40)
    assert sum(frame.base_rate[0]) == pytest.approx(1) and len(frame.base_rate[0]) == 3


def test_base_rate_model_knows_nothing_but_the_rate():
    y, p = logistic(2000, 11)
    constant = base_rate_predictions(y, len(y), "binary")
    found = evaluate(y, constant, "binary")
    assert found.values["roc_auc"] == 0.5 and found.values["pr_auc"] == pytest.approx(y.mean()) and found.values["calibration_error"] == pytest.approx(0, abs=1e-12)
    assert compare(y, constant, p, "binary").better
    assert measure(p, base_rate_predictions(p, len(p), "regression"), "regression")["r2"] == pytest.approx(0, abs=1e-12)
    assert base_rate_predictions([0, 2], 3, "multiclass").tolist() == [[0.5, 0, 0.5]] * 3


def test_plot_escapes_markup_typed_into_a_column():
    y, p = logistic(400, 12)
    figure = slice_plot(by_slice(y, p, "binary", {"<i>c</i>": np.full(400, "<a href='http://x'>x</a>")}, n_boot=40), overall=0.5)
    assert "<a" not in str(figure.data[0].y) and "<i>" not in str(figure.data[0].y)
    assert "log_loss" in figure.layout.xaxis.title.text and "lower is better" in figure.layout.xaxis.title.text


def test_calibration_plot_shows_its_table():
    frame = calibration(*logistic(400, 12))
    figure = calibration_plot(frame)
    assert list(figure.data[0].x) == frame.predicted.tolist() and np.allclose(figure.data[0].error_y.array, frame.high - frame.observed)
    assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text and figure.layout.template.layout.plot_bgcolor == "white"


def test_a_million_rows_stay_under_200_megabytes():
    y, p = logistic(1_000_000, 13)
    tracemalloc.start()
    found = evaluate(y, p, "binary", n_boot=40)
    verdict = compare(y, p, p ** 1.1, "binary", metric="roc_auc", n_boot=40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6 and found.n_boot == 40 and verdict.n == 1_000_000


def test_result_says_how_many_replicates_were_drawn():
    y = np.tile([0.0, 1.0], 600_000)
    found = evaluate(y, y + 1, "regression", n_boot=200)
    assert 100 <= found.n_boot < 200 and len(list(evaluation._row_weights(len(y), found.n_boot, 0))) == found.n_boot


def test_tables_of_names_agree():
    assert set(PRIMARY) == set(METRICS) == set(evaluation._FAMILIES) and all(PRIMARY[task] in names for task, names in METRICS.items())
    assert LOWER_IS_BETTER < {name for names in METRICS.values() for name in names}
    for task, families in evaluation._FAMILIES.items(): assert {name for names in families.values() for name in names} == set(METRICS[task])
