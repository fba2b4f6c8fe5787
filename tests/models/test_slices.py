"What a page should not show of slices: that no row is lost, that each equals its own evaluation, and hostile text."
from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_nb.models.bootstrap import Estimate
from mlops_nb.models.evaluation import evaluate
from mlops_nb.models.metrics import BadEvaluation
from mlops_nb.models.slices import by_slice, slice_plot
from predictions import logistic

N = 3000
CARRIERS = np.array(["UA", "DL", None, "other", "F9", "HA"])
CARRIER = np.random.default_rng(0).choice(CARRIERS, N, p=[.5, .3, .12, .04, .03, .01])


def points_of(table: pd.DataFrame) -> Any: return slice_plot(table).data[0]


def test_slices_keep_every_row_and_pool_the_rare() -> None:
    y, p = logistic(N, 8)
    gate = pd.Categorical(np.where(np.arange(N) < N // 2, "A<b>", "B"))
    table = by_slice(y, p, "binary", slices={"carrier": CARRIER, "gate": gate}, min_rows=200, n_boot=40)
    assert table.columns.tolist() == ["slice_column", "value", "n", "metric", "estimate", "low", "high", "base_rate"]
    assert table.groupby("slice_column").n.sum().tolist() == [N, N] and set(table.metric) == {"log_loss"}
    carriers = table[table.slice_column == "carrier"].set_index("value").n
    assert carriers.index.tolist() == ["UA", "DL", "missing", "other"]
    assert carriers["other"] == np.isin(CARRIER, ["other", "F9", "HA"]).sum()


@pytest.mark.parametrize("metric", ["log_loss", "calibration_error"])
def test_slice_equals_the_evaluation_of_its_rows(metric: str) -> None:
    y, p = logistic(N, 8)
    own = CARRIER == "UA"
    alone = evaluate(y[own], p[own], "binary")
    first = by_slice(y, p, "binary", slices={"carrier": CARRIER}, metric=metric).iloc[0]
    assert (first.value, first.base_rate) == ("UA", alone.base_rate)
    assert Estimate(value=first.estimate, low=first.low, high=first.high) == alone.metrics[metric]


def test_slice_of_one_class_keeps_its_place_in_table_and_plot() -> None:
    y, p = logistic(600, 9)
    slices = {"label": y, "empty": np.full(600, None)}
    table = by_slice(y, p, "binary", slices=slices, min_rows=10, metric="roc_auc", n_boot=40)
    assert table.value.tolist() == ["0", "1", "missing"] and table.estimate.isna().tolist() == [True, True, False]
    assert len(points_of(table).x) == 3


def test_no_columns_make_no_slices() -> None:
    y, p = logistic(50, 9)
    table = by_slice(y, p, "binary", slices={})
    assert len(table) == 0 and len(points_of(table).x) == 0


def test_multiclass_slices_have_class_shares() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 500), rng.dirichlet(np.ones(3), 500)
    table = by_slice(y, p, "multiclass", slices={"a": np.zeros(500)}, metric="accuracy", n_boot=40)
    assert table.base_rate[0] == pytest.approx([(y == code).mean() for code in range(3)])


def test_column_of_other_rows_is_refused() -> None:
    y, p = logistic(100, 0)
    with pytest.raises(BadEvaluation, match="1 values for 100 rows"): by_slice(y, p, "binary", slices={"a": [1]})


def test_plot_escapes_markup_typed_into_a_column() -> None:
    y, p = logistic(400, 12)
    hostile = {"<i>c</i>": np.full(400, "<a href='http://x'>x</a>")}
    table = by_slice(y, p, "binary", slices=hostile, n_boot=40)
    figure, shown = slice_plot(table, overall=0.5), str(points_of(table).y)
    assert "&lt;a" in shown and "&lt;i" in shown and "<a" not in shown and "<i>" not in shown
    assert "log_loss" in figure.layout.xaxis.title.text and "lower is better" in figure.layout.xaxis.title.text
