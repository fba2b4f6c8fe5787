"Columns: the same values have the same sketch, whatever holds them."
from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops_nb.base.errors import BadTable
from mlops_nb.data.columns import Kind, column_type, kind_of_arrow, read_series, sketch_arrow
from mlops_nb.data.sketches import CategoricalSketch, NumericSketch, Sketch


def of_arrow(values: pa.Array, kind: Kind | None = None) -> Sketch:
    return sketch_arrow(values, name="x", kind=kind or kind_of_arrow(values.type))


def of_series(series: pd.Series, kind: Kind | None = None) -> Sketch:
    sketch, = read_series(series, kind).sketches()
    return sketch


@pytest.mark.parametrize("values, type", [
    (pd.Series([True, None], dtype="boolean"), "boolean"), (pd.Series([True, None], dtype=object), "boolean"),
    (pd.Series([1, None], dtype="Int64"), "integer"), (pd.Series([1.5]).astype("category"), "number"),
    (pd.Series([date(2013, 1, 1), None]), "datetime"), (pd.Series([timedelta(1)], dtype=object), "duration"),
    (pd.Series([None, None], dtype=object), "empty"), (pd.Series(["a", 1], dtype=object), "other"),
    (pd.Series(["a"], dtype="string"), "string"), (pd.Series([[1]], dtype=object), "other")])
def test_the_type_is_that_of_the_values(values: pd.Series, type: str) -> None:
    assert column_type(values) == type


@pytest.mark.parametrize("values", [
    pa.array([3, None, -7]), pa.array([0.5, None]), pa.array([True, None]), pa.array(["a", None, "ü"]),
    pa.array(["a", "b", "a", None]).dictionary_encode(), pa.array([[1], None]),
    pa.array([timedelta(seconds=90), None]), pa.array([datetime(2013, 1, 1, 12), None]),
    pa.array([datetime(2300, 1, 1), datetime(1, 1, 1)], pa.timestamp("us")), pa.array([date(2013, 1, 2), None])],
    ids=lambda values: str(values.type))
def test_pandas_and_arrow_have_the_same_sketch(values: pa.Array) -> None:
    assert of_series(values.to_pandas()) == of_arrow(values)


def test_a_nanosecond_is_not_lost() -> None:
    sketch = of_arrow(pa.array([1, 3, None], pa.timestamp("ns")))
    assert isinstance(sketch, NumericSketch)
    assert (sketch.moments.low, sketch.moments.high, sketch.missing) == (1e-9, 3e-9, 1)


def test_very_long_durations_are_known_to_the_nearest_float() -> None:
    sketch = of_arrow(pa.array([2**60 + 1], pa.duration("ns")))
    assert isinstance(sketch, NumericSketch) and sketch.moments.high == (2**60 + 1) / 1e9


def test_a_dictionary_of_numbers_is_of_categories() -> None:
    codes = pa.array([7, 7, 12, None]).dictionary_encode()
    assert of_arrow(codes) == CategoricalSketch.of(pa.array(["7", "7", "12", None]))


@pytest.mark.parametrize("empty", [
    pd.Series([None, None], dtype=object), pd.Series([None, None], dtype="str"),
    pd.Series([None, None], dtype="category"), pd.Series([None, None], dtype="boolean"),
    pd.Series([pd.NaT, pd.NaT]), pd.Series([np.nan, np.nan])])
@pytest.mark.parametrize("kind", ["numeric", "datetime", "categorical"])
def test_a_column_without_values_is_of_any_kind(empty: pd.Series, kind: Kind) -> None:
    sketch = of_series(empty, kind)
    assert isinstance(sketch, CategoricalSketch if kind == "categorical" else NumericSketch)
    assert (sketch.count, sketch.missing) == (0, 2)


@pytest.mark.parametrize("flags", [
    pd.Series([True, None], dtype="boolean"), pd.Series([True, None], dtype=object), pa.array([True, None])])
def test_booleans_may_be_taken_for_numbers(flags: pd.Series | pa.Array) -> None:
    sketch = of_series(flags, "numeric") if isinstance(flags, pd.Series) else of_arrow(flags, "numeric")
    assert sketch == NumericSketch.of(np.array([1.0]), missing=1)


@pytest.mark.parametrize("values, in_arrow, in_pandas", [
    (pa.array(["far"]), "string", "string"), (pa.array([datetime(2013, 1, 1)]), "timestamp", "datetime")])
def test_what_is_no_number_is_not_taken_for_one(values: pa.Array, in_arrow: str, in_pandas: str) -> None:
    with pytest.raises(BadTable, match=f"x is numeric in the reference, and here of type {in_arrow}"):
        of_arrow(values, "numeric")
    with pytest.raises(BadTable, match=f"x is numeric in the reference, and here of type {in_pandas}"):
        of_series(values.to_pandas().rename("x"), "numeric")
