"Runs as a team leaves them behind: ten parameters, five metrics, an end."
from __future__ import annotations

import random

NOTEBOOKS = [f"notebooks/{name}.ipynb" for name in ("train", "tune", "evaluate", "score", "ablation", "baseline")]
ENDS = {"succeeded": 90, "failed": 6, "cancelled": 2, "timeout": 1, "lost": 1}  # in a hundred


def sample(
    draw: random.Random,
) -> tuple[dict[str, object], dict[str, float], str]:  # parameters, metrics, status
    loss = draw.gauss(0.55, 0.08)
    params: dict[str, object] = {
        "num_leaves": draw.choice([15, 31, 63, 127, 255]), "learning_rate": round(10 ** draw.uniform(-2, -0.5), 4),
        "min_data_in_leaf": draw.choice([20, 50, 100, 200]), "feature_fraction": round(draw.uniform(0.5, 1), 2),
        "lambda_l2": draw.choice([0, 1, 10]), "num_rounds": draw.choice([100, 200, 500]),
        "seed": draw.randrange(1000), "month": draw.randint(2, 12),
        "dataset": draw.choice(["flights", "flights-2023", "weather"]),
        "objective": draw.choice(["binary", "cross_entropy"]),
    }
    metrics = {
        "log_loss": loss, "roc_auc": 0.95 - loss / 3 + draw.gauss(0, 0.01), "accuracy": 0.95 - loss / 4,
        "brier": loss / 3.2, "train_s": draw.expovariate(0.1),
    }
    return params, metrics, draw.choices(list(ENDS), list(ENDS.values()))[0]
