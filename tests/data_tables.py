"Tables of every kind of column, for property tests."
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from hypothesis import strategies as st

# The first and the last moment, to the second, that 64 bits of nanoseconds hold.
FIRST = datetime(1677, 9, 21, 0, 12, 44)
LAST = datetime(2262, 4, 11, 23, 47, 16)
LONG = timedelta(days=10**5)

COLUMNS: dict[str, tuple[st.SearchStrategy[Any], str]] = {  # values and dtype
    "float": (st.floats() | st.none(), "float64"),
    "float32": (st.floats(width=32), "float32"),
    "few": (st.sampled_from([0.0, 0.1, 2.0]), "float64"),
    "int": (st.integers(-2**63, 2**63 - 1), "int64"),
    "nullable": (st.integers(0, 2**64 - 1) | st.none(), "UInt64"),
    "arrow": (st.integers(-5, 5) | st.none(), "int64[pyarrow]"),
    "bool": (st.booleans(), "bool"),
    "maybe": (st.booleans() | st.none(), "boolean"),
    "text": (st.text(max_size=5) | st.none(), "str"),
    "long": (st.text("ab", min_size=95, max_size=105), "str"),
    "code": (st.integers(0, 3) | st.none(), "category"),
    "object": (st.none() | st.integers() | st.text(max_size=3), "object"),
    "decimal": (st.decimals(allow_nan=False, allow_infinity=False, places=2) | st.none(), "object"),
    "list": (st.lists(st.integers(), max_size=2), "object"),
    "time": (st.datetimes() | st.none(), "datetime64[us]"),
    "zoned": (st.datetimes(min_value=FIRST, max_value=LAST), "datetime64[ns, UTC]"),
    "date": (st.dates() | st.none(), "object"),
    "duration": (st.timedeltas(min_value=-LONG, max_value=LONG), "timedelta64[us]"),
    "nothing": (st.none(), "object"),
}


def columns(name: str, *, least: int = 0) -> st.SearchStrategy[pd.DataFrame]:
    "Tables of one column `x` of a kind, with at least some rows."
    values, dtype = COLUMNS[name]
    return st.lists(values, min_size=least, max_size=60).map(lambda x: pd.DataFrame({"x": pd.Series(x, dtype=dtype)}))


def tables(*, least: int = 0, but: tuple[str, ...] = ()) -> st.SearchStrategy[pd.DataFrame]:
    "Tables of one column `x` of any kind, but for some."
    names = [name for name in COLUMNS if name not in but]
    return st.sampled_from(names).flatmap(lambda name: columns(name, least=least))
