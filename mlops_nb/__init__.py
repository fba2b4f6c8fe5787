"A Jupyter-centric toolkit for ML experimentation and promotion: one notebook is library source, batch job and page."
from importlib import import_module

_HOME = {"Workspace": "app.workspace", "current_run": "runs.run", "transform": "features.transforms", "pipeline": "pipelines.declarations", "step": "pipelines.steps", "Secret": "runs.parameters"}  # imported when first used: `import mlops_nb` costs nothing
__all__ = list(_HOME)


def __getattr__(name: str):
    if name in _HOME: return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version
        return version(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]: return [*globals(), *__all__]
