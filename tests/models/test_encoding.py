"What a page should not show of encoding: odd columns, single rows, and that an exported model can carry its source."
from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from data_tables import tables
from mlops_nb.models import encoding
from mlops_nb.models.encoding import ColumnEncoding, encode, learn_encoding, signature_type


def learned(column: pd.Series) -> ColumnEncoding: return learn_encoding(pd.DataFrame({"x": column}))[0]


MISSING = 99.0  # what no value of these tests is encoded as


def plain(encoded: np.ndarray) -> list[float]: return np.nan_to_num(encoded, nan=MISSING).ravel().tolist()


def test_value_that_training_never_saw_is_missing() -> None:
    carrier = learned(pd.Series(["UA", "UA", "DL", None]))
    assert plain(carrier.apply(pd.Series(["DL", "UA", "XX", None]))) == [1, 0, MISSING, MISSING]


def test_integer_categories_are_the_same_with_missing_values() -> None:
    gates = pd.Series([7, 12, None, 7], dtype="category")
    column = learned(gates)
    assert column.levels == ("7", "12")
    assert plain(column.apply(gates)) == [0, 1, MISSING, 0] and plain(column.apply(gates.iloc[[0]])) == [0]


def test_order_of_rows_changes_no_level() -> None:
    carriers = pd.Series(["DL", "UA", "AA", "UA", "B6", "AA"])
    levels = learned(carriers).levels
    assert levels == ("AA", "UA", "B6", "DL")
    assert all(learned(carriers.sample(frac=1, random_state=seed)).levels == levels for seed in range(5))


def test_rare_values_past_255_are_missing() -> None:
    tails = pd.Series([f"N{number:03}" for number in range(300) for _ in range(2 if number < 255 else 1)])
    column = learned(tails)
    assert len(column.levels) == 255 and plain(column.apply(pd.Series(["N000", "N299"]))) == [0, MISSING]


@pytest.mark.parametrize("dtype", ["object", "boolean", "bool[pyarrow]"])
def test_booleans_with_holes_are_numbers_with_holes(dtype: str) -> None:
    column = pd.Series([True, None, False], dtype=dtype)
    assert signature_type(column) == "boolean"
    assert plain(learned(column).apply(column)) == [1, MISSING, 0]


@pytest.mark.parametrize("dtype", ["Int64", "float32", "double[pyarrow]"])
def test_numbers_with_holes_keep_them(dtype: str) -> None:
    column = pd.Series([7, None, -1], dtype=dtype)
    assert plain(learned(column).apply(column)) == [7, MISSING, -1]


def test_same_moment_is_the_same_numbers_in_every_zone() -> None:
    utc = pd.Series(pd.date_range("2013-01-05 22:30", periods=30, freq="5h", tz="UTC"))
    scheduled = learned(utc)
    expected = scheduled.apply(utc)
    for other in (utc.dt.tz_convert("America/New_York"), utc.dt.tz_localize(None)):
        np.testing.assert_array_equal(scheduled.apply(other), expected)
    assert expected[0].tolist() == [15710 + 22.5 / 24, 1, 5, 22]  # days since 1970, month, Saturday, hour


def test_unit_of_times_changes_nothing_and_the_last_year_has_days() -> None:
    scheduled = ColumnEncoding(name="until", kind="datetime")
    times: Any = pd.Series(pd.to_datetime(["2013-01-05 22:30:00.123", "9999-12-31"], format="ISO8601").as_unit("us"))
    expected = scheduled.apply(times)
    assert expected[1].tolist() == [2932896, 12, 4, 0]  # a Friday
    np.testing.assert_array_equal(scheduled.apply(times.dt.as_unit("ms")), expected)
    np.testing.assert_array_equal(scheduled.apply(times[:1].dt.as_unit("ns")), expected[:1])


def test_missing_time_is_missing_in_all_its_parts() -> None:
    scheduled = ColumnEncoding(name="scheduled", kind="datetime")
    times = pd.Series(pd.to_datetime(["2013-01-01", None], utc=True))
    assert np.isnan(scheduled.apply(times)).tolist() == [[False] * 4, [True] * 4]


def test_sentences_become_counts_of_words_and_few_sentences_categories() -> None:
    rng = np.random.default_rng(0)
    notes = pd.Series([" ".join(rng.choice(list("abcdefghijkl"), 4)) for _ in range(200)])
    assert (learned(notes).kind, learned(notes.head(40)).kind) == ("text", "category")
    words = learned(notes).apply(pd.Series(["delayed by fog", "fog by fog", None]))
    assert words[:, 0].tolist() == [14, 10, 0] and words[:, 1:].sum(axis=1).tolist() == [3, 3, 0]
    assert words[0, 1:].max() == 1 and words[1, 1:].max() == 2


@pytest.mark.parametrize("kind", ["number", "category", "datetime", "text"])
def test_every_encoded_column_has_a_name(kind: Any) -> None:
    columns = {
        "number": pd.Series([1.0]), "category": pd.Series(["a"]), "datetime": pd.Series(pd.to_datetime(["2013-01-01"])),
        "text": pd.Series(["a b c"])}
    column = ColumnEncoding(name="Größe (m²)", kind=kind, levels=("a",))
    names = column.names()
    assert column.apply(columns[kind]).shape == (1, len(names)) and len(set(names)) == len(names)
    assert not any(set(name) & set(' ()[]{}",:') for name in names)


@pytest.mark.slow
@given(tables(least=1))
@settings(max_examples=300, deadline=None)
def test_a_row_is_encoded_the_same_alone_and_among_others(table: pd.DataFrame) -> None:
    "A request is one row; whatever stands beside it in a batch changes nothing."
    learned = learn_encoding(table)
    whole = encode(table, learned)
    for row in (0, len(table) - 1):
        np.testing.assert_array_equal(encode(table.iloc[[row]], learned)[0], whole[row])


def test_source_needs_nothing_of_this_package() -> None:
    "The exporter writes it into MLflow models, which run where this package is not installed."
    tree = ast.parse(inspect.getsource(encoding))
    imports = [node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imports += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {name.partition(".")[0] for name in imports} <= {
        "__future__", "re", "collections", "dataclasses", "typing", "numpy", "pandas", "sklearn"}
