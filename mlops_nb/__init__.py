"A Jupyter-centric toolkit for ML experimentation and promotion: one notebook is library source, batch job and page."
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_nb.app.workspace import Workspace
    from mlops_nb.features.feature_views import feature_view
    from mlops_nb.features.transforms import transform
    from mlops_nb.pipelines.declarations import pipeline
    from mlops_nb.pipelines.steps import step
    from mlops_nb.promotion.gates import failed, gate, inconclusive, passed
    from mlops_nb.runs.parameters import Secret
    from mlops_nb.runs.run import current_run

_MODULES = {  # of the public names; imported when a name is first used, so that `import mlops_nb` costs nothing
    "Workspace": "app.workspace",
    "current_run": "runs.run",
    "transform": "features.transforms",
    "feature_view": "features.feature_views",
    "pipeline": "pipelines.declarations",
    "step": "pipelines.steps",
    "gate": "promotion.gates",
    "passed": "promotion.gates",
    "failed": "promotion.gates",
    "inconclusive": "promotion.gates",
    "Secret": "runs.parameters",
}
__all__ = [  # in the order in which a reader meets them
    "Workspace", "current_run", "transform", "feature_view", "pipeline", "step", "gate", "passed", "failed",
    "inconclusive", "Secret",
]


def __getattr__(name: str) -> object:
    if name in _MODULES: return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version
        return version(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]: return [*globals(), *__all__]
