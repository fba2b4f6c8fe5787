"What the peers of `profiles.py` do, in an environment of theirs: read two tables and compare them; the seconds of the comparison on the last line."
import json, sys, time

import pandas as pd


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    from evidently import Report
    from evidently.presets import DataDriftPreset
    Report([DataDriftPreset()]).run(current, reference).dict()


def nannyml(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    import nannyml
    nannyml.UnivariateDriftCalculator(column_names=list(reference.columns), chunk_number=1).fit(reference).calculate(current).to_df()


if __name__ == "__main__":
    name, *files = sys.argv[1:]
    reference, current = map(pd.read_parquet, files)
    globals()[name](reference.head(2000), current.head(2000))  # imports, compilers and caches
    began = time.perf_counter()
    globals()[name](reference, current)
    print(json.dumps({"s": time.perf_counter() - began}))
