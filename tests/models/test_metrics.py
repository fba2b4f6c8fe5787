"What a page should not show of metrics: agreement with scikit-learn on odd rows, and one clear line for bad ones."
from __future__ import annotations

import math
import subprocess
import sys
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from mlops_nb.models import metrics
from mlops_nb.models.calibration import calibration
from mlops_nb.models.metrics import LOWER_IS_BETTER, METRICS, PRIMARY, BadEvaluation, measure
from mlops_nb.models.targets import TASKS
from predictions import logistic

EXACT = 1e-9  # both sides are a few roundings of float64 away from the true number

Row = tuple[int, float, float]  # label, score, weight

# Few distinct scores make ties; 0 and 1 make infinite losses where they are not clipped; weight 0 takes a row out.
SCORES = st.one_of(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.floats(0, 1))
WEIGHTS = st.one_of(st.integers(0, 4).map(float), st.floats(0.01, 3))


def has_both_classes(rows: list[Row]) -> bool:
    return len({label for label, _, weight in rows if weight}) == 2


BINARY_ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES, WEIGHTS), min_size=2, max_size=60).filter(has_both_classes)


def columns_of(rows: list[Any]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(column) for column in zip(*rows, strict=True))


@pytest.mark.slow
@given(BINARY_ROWS)
@settings(max_examples=300, deadline=None)
def test_binary_metrics_equal_sklearn_with_ties_and_weights(rows: list[Row]) -> None:
    y, p, w = columns_of(rows)
    values = measure(y, p, "binary", weights=w)
    assert values["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w), abs=EXACT)
    assert values["pr_auc"] == pytest.approx(sk.average_precision_score(y, p, sample_weight=w), abs=EXACT)
    assert values["log_loss"] == pytest.approx(sk.log_loss(y, p, sample_weight=w, labels=[0, 1]), abs=EXACT)
    assert values["brier"] == pytest.approx(sk.brier_score_loss(y, p, sample_weight=w), abs=EXACT)


def class_rows(k: int) -> st.SearchStrategy[list[Any]]:
    shares = hnp.arrays(float, k, elements=st.floats(0.001, 1))
    return st.lists(st.tuples(st.integers(0, k - 1), shares, WEIGHTS), min_size=2, max_size=30)


@pytest.mark.slow
@given(st.integers(2, 5).flatmap(lambda k: st.tuples(st.just(k), class_rows(k))))
@settings(max_examples=100, deadline=None)
def test_multiclass_metrics_equal_sklearn(case: tuple[int, list[Any]]) -> None:
    k, rows = case
    y, p, w = columns_of(rows)
    p /= p.sum(axis=1, keepdims=True)
    if not w.any(): w = np.ones(len(y))
    values = measure(y, p, "multiclass", weights=w)
    whole: Any = False  # scikit-learn's default, a text, hides that it takes a boolean
    brier = sk.brier_score_loss(y, p, sample_weight=w, labels=range(k), scale_by_half=whole)
    assert values["log_loss"] == pytest.approx(sk.log_loss(y, p, sample_weight=w, labels=range(k)), abs=EXACT)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(y, p.argmax(axis=1), sample_weight=w), abs=EXACT)
    assert values["brier"] == pytest.approx(brier, abs=EXACT)


THOUSANDTHS = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


@pytest.mark.slow
@given(hnp.arrays(float, st.tuples(st.integers(2, 40), st.just(3)), elements=THOUSANDTHS), st.sampled_from([0.0, 1e6]))
@settings(max_examples=200, deadline=None)
def test_regression_metrics_equal_sklearn_also_far_from_zero(rows: np.ndarray, offset: float) -> None:
    y, p, w = rows[:, 0] + offset, rows[:, 1] + offset, np.abs(rows[:, 2]) + 0.01
    values = measure(y, p, "regression", weights=w)
    assert values["rmse"] == pytest.approx(sk.root_mean_squared_error(y, p, sample_weight=w), rel=EXACT)
    assert values["mae"] == pytest.approx(sk.mean_absolute_error(y, p, sample_weight=w), rel=EXACT)
    if y.min() == y.max(): assert math.isnan(values["r2"])
    elif np.ptp(y) > 1:  # a ratio: digits go when the weighted spread is small
        assert values["r2"] == pytest.approx(sk.r2_score(y, p, sample_weight=w), rel=1e-6)


@pytest.mark.slow
@given(BINARY_ROWS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_of_rows_changes_no_metric_and_no_bin(rows: list[Row], random: Random) -> None:
    y, p, w = columns_of(rows)
    y2, p2, w2 = columns_of(random.sample(rows, len(rows)))
    values = measure(y, p, "binary", weights=w)
    assert measure(y2, p2, "binary", weights=w2) == pytest.approx(values, abs=EXACT)
    pd.testing.assert_frame_equal(calibration(y2, p2), calibration(y, p), rtol=EXACT)


def test_calibration_error_is_that_of_ten_equal_bins() -> None:
    y, p = logistic(5000, 0, stretch=1.5)
    parts = np.array_split(np.argsort(p), 10)
    naive = sum(abs(y[rows].mean() - p[rows].mean()) * len(rows) for rows in parts) / len(y)
    assert measure(y, p, "binary")["calibration_error"] == pytest.approx(naive, abs=EXACT)


@pytest.mark.slow
def test_import_stays_light() -> None:
    modules = "evaluation", "paired_comparison", "slices", "calibration"
    heavy = "sklearn", "scipy", "plotly", "lightgbm"
    imports = ", ".join(f"mlops_nb.models.{name}" for name in modules)
    program = f"import sys, {imports}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


BAD_ROWS: list[tuple[Any, Any, Any, str]] = [
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
]


@pytest.mark.parametrize("labels, predictions, task, message", BAD_ROWS)
def test_bad_rows_get_one_clear_line(labels: Any, predictions: Any, task: Any, message: str) -> None:
    with pytest.raises(BadEvaluation) as error: measure(labels, predictions, task)
    assert message in str(error.value) and "\n" not in str(error.value) and error.value.exit_code == 2


@pytest.mark.parametrize("weights", [[-0.1, 1], [0, 0], [1]])
def test_weights_are_one_number_a_row_and_not_all_zero(weights: list[float]) -> None:
    with pytest.raises(BadEvaluation, match="one number >= 0 for each row, and not all 0"):
        measure([0, 1], [0.5, 0.5], "binary", weights=weights)


def test_pandas_rows_give_the_numbers_of_arrays() -> None:
    y, p = logistic(500, 4)
    labels = pd.Series(y == 1, index=range(500, 0, -1))
    assert measure(labels, pd.Series(p, dtype="double[pyarrow]"), "binary") == measure(y, p, "binary")


def test_tables_of_names_agree() -> None:
    assert all(set(table) == set(TASKS) for table in (METRICS, PRIMARY, metrics._FAMILIES))
    assert {name for names in METRICS.values() for name in names} > LOWER_IS_BETTER
    for task, families in metrics._FAMILIES.items():
        assert {name for names in families.values() for name in names} == set(METRICS[task])
