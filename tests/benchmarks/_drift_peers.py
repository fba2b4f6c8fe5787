"""What the peers of `profiles.py` do, in an environment of theirs: read two tables and compare them. The last line is
JSON, with the seconds of the comparison."""
from __future__ import annotations

import json
import sys
import time

import pandas as pd


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    from evidently import Report  # pyright: ignore[reportMissingImports] - installed for this program alone
    from evidently.presets import DataDriftPreset  # pyright: ignore[reportMissingImports] - the same
    Report([DataDriftPreset()]).run(current, reference).dict()


def nannyml(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    import nannyml  # pyright: ignore[reportMissingImports] - installed for this program alone
    calculator = nannyml.UnivariateDriftCalculator(column_names=list(reference.columns), chunk_number=1)
    calculator.fit(reference).calculate(current).to_df()


def main(name: str, *files: str) -> None:
    compare = {"evidently": evidently, "nannyml": nannyml}[name]
    reference, current = map(pd.read_parquet, files)
    compare(reference.head(2000), current.head(2000))  # imports, compilers and caches
    began = time.perf_counter()
    compare(reference, current)
    print(json.dumps({"s": time.perf_counter() - began}))


if __name__ == "__main__": main(*sys.argv[1:])
