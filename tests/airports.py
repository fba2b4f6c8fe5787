"What the tests of features share: some weather, and a project module that exports a view of it."
from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pandas as pd

from mlops_nb.app.features_door import FeaturesDoor
from mlops_nb.app.workspace import Workspace

START = datetime(2013, 1, 1, tzinfo=UTC)
CODE = """from mlops_nb.features.feature_views import feature_view

@feature_view(
    entity=["origin"], event_time="at", ttl="6h", sources={"weather": ["origin", "at", "wind", "sky"]}, owner="ada")
def airport(weather):
    "The weather at an airport."
    return weather.assign(strong=weather.wind > 8, seen=weather["at"])
"""
_numbers = itertools.count()  # Python imports a module once, whatever folder it lies in


def at_hour(hour: float) -> datetime:
    "A moment, in hours after the start."
    return START + timedelta(hours=hour)


def weather() -> pd.DataFrame:
    "Four observations: two of JFK, one of EWR without wind, an old one of LGA."
    return pd.DataFrame({
        "origin": ["JFK", "JFK", "EWR", "LGA"], "at": pd.to_datetime([at_hour(hour) for hour in (1, 3, 2, -20)]),
        "wind": [0.1 + 0.2, 12.0, None, 7.0], "sky": ["clear", None, "ü", "rain"], "unused": 1})


@dataclass
class Airports:
    "A workspace with the dataset `weather`, and a module of its project folder that exports the view `airport`."
    ws: Workspace
    module: str = field(default_factory=lambda: f"airports_{next(_numbers)}")

    def __post_init__(self) -> None:
        self.ws.datasets.add("weather", weather())
        self.write(CODE)

    @property
    def view(self) -> str: return f"{self.module}:airport"

    @property
    def features(self) -> FeaturesDoor: return self.ws.features

    def write(self, code: str) -> None: (self.ws.root / f"{self.module}.py").write_text(code)
