"What a page should not show of calibration: Wilson's intervals, ties, and that the plot is the table."
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from mlops_nb.models.calibration import calibration, calibration_plot
from mlops_nb.models.metrics import BadEvaluation
from predictions import logistic


def test_bins_have_equal_size() -> None:
    assert calibration(*logistic(5000, 0)).n.tolist() == [500] * 10


def test_equal_predictions_share_a_bin() -> None:
    y, _ = logistic(1000, 0)
    assert calibration(y, np.full(1000, 0.3)).n.tolist() == [1000]
    table = calibration(y, np.repeat([0.2, 0.4, 0.9], [300, 500, 200]))
    assert table.n.tolist() == [300, 500, 200] and table.predicted.tolist() == pytest.approx([0.2, 0.4, 0.9])


def test_interval_is_wilsons() -> None:
    y, p = logistic(777, 3)
    for share, n, low, high in calibration(y, p, bins=7)[["observed", "n", "low", "high"]].itertuples(index=False):
        wilson = binomtest(round(share * n), n).proportion_ci(0.95, method="wilson")
        assert (low, high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_calibration_needs_a_bin() -> None:
    y, p = logistic(100, 0)
    with pytest.raises(BadEvaluation, match="one bin or more"): calibration(y, p, bins=0)


def test_plot_shows_its_table() -> None:
    table = calibration(*logistic(400, 12))
    figure = calibration_plot(table)
    points: Any = figure.data[0]
    assert list(points.x) == table.predicted.tolist() and list(points.y) == table.observed.tolist()
    assert np.allclose(points.error_y.array, table.high - table.observed)
    assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
    assert figure.layout.template.layout.plot_bgcolor == "white"
