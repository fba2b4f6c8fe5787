"Labels with predictions whose truth is known, for several test files."
from __future__ import annotations

import numpy as np

HONEST = 0.95 - 3 * 0.0126 - 0.02
"""The least share of 300 intervals of 95 % that hold the truth: 300 rounds know a share of 0.95 to 0.0126; three of
those, and 0.02 for what a percentile interval of 1,000 rows and 200 replicates lacks."""


def logistic(
    n: int, seed: int, *, shift: float = -1.0, noise: float = 0.0, stretch: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    "Labels drawn from known probabilities, and predictions that are those, blurred or stretched."
    rng = np.random.default_rng(seed)
    z = rng.normal(shift, 1.3, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return y, 1 / (1 + np.exp(-stretch * (z + noise * rng.normal(size=n))))
