"Tensors: every type of a signature comes through, and what does not fit is told with its name."
from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter
from mlops_nb.models.encoding import SignatureType
from mlops_nb.serving.protocol import Tensor, output_metadata, read_request, to_rows, to_tensors

SIGNATURE: dict[str, SignatureType] = {"n": "number", "b": "boolean", "s": "string", "t": "datetime"}


def tensor(name: str, datatype: str, *values: Any) -> Tensor: return Tensor(name, datatype, [len(values)], [*values])


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_through_to_the_last_bit(values: list[float | None]) -> None:
    column = to_rows([tensor("n", "FP64", *values)], SIGNATURE).n
    assert [None if pd.isna(value) else value for value in column] == values


@pytest.mark.parametrize("name, datatype, values, expected", [
    ("n", "INT8", [1, None], [1.0, None]), ("n", "UINT64", [2**63], [float(2**63)]), ("n", "FP16", [0.5], [0.5]),
    ("b", "BOOL", [True, False, None], [True, False, None]), ("s", "BYTES", ["UA", "", None], ["UA", "", None]),
    ("t", "BYTES", ["2013-05-01T06:00:00+02:00"], [pd.Timestamp("2013-05-01T04:00", tz="UTC")]),
    ("unknown", "FP64", [1.5], ["1.5"]),  # not of the signature: whatever it is
])
def test_values_become_what_the_signature_says(
    name: str, datatype: str, values: list[Any], expected: list[Any],
) -> None:
    column = to_rows([tensor(name, datatype, *values)], SIGNATURE)[name]
    assert [None if pd.isna(value) else value for value in column] == expected


@pytest.mark.parametrize("name, datatype, values, says", [
    ("n", "BYTES", ["x"], "input n is BYTES, must be FP64"), ("n", "BOOL", [True], "input n is BOOL, must be FP64"),
    ("b", "INT8", [1], "input b is INT8, must be BOOL"), ("s", "FP64", [1.0], "input s is FP64, must be BYTES"),
    ("t", "INT64", [0], "input t is INT64, must be BYTES"), ("n", "FP64", ["far"], "input n: could not convert"),
    ("b", "BOOL", ["maybe"], "input b: "), ("t", "BYTES", ["yesterday"], "input t: "),
])
def test_other_values_are_refused_with_the_input_named(name: str, datatype: str, values: list[Any], says: str) -> None:
    with pytest.raises(BadParameter) as refusal: to_rows([tensor(name, datatype, *values)], SIGNATURE)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("shape", [[], [3], [1, 2], [2, 2], [0]])
def test_shape_has_to_hold_the_values(shape: list[int]) -> None:
    with pytest.raises(BadParameter, match="does not hold 2 values"):
        to_rows([Tensor("n", "FP64", shape, [1, 2])], SIGNATURE)


def test_column_of_one_value_a_row_may_have_two_dimensions() -> None:
    assert to_rows([Tensor("n", "FP64", [2, 1], [1, 2])], SIGNATURE).n.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("tensors", [
    [], [tensor("n", "FP64")], [tensor("n", "FP64", 1), tensor("s", "BYTES", "a", "b")]])
def test_inputs_have_the_same_number_of_rows_and_at_least_one(tensors: list[Tensor]) -> None:
    with pytest.raises(BadParameter, match="the same number of values, at least one"): to_rows(tensors, SIGNATURE)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": 3}', b'{"inputs": [{"name": "x"}]}'])
def test_body_of_another_form_is_no_request(body: bytes) -> None:
    with pytest.raises(BadParameter, match="the body is no inference request"): read_request(body)


def test_answers_are_numbers_for_shares_and_text_for_classes() -> None:
    predictions = pd.DataFrame({"prediction": [1, 3], "p_1": [0.75, 0.25]})
    prediction, share = to_tensors(predictions)
    assert (prediction.datatype, prediction.shape, prediction.data) == ("BYTES", [2], ["1", "3"])
    assert (share.datatype, share.shape, share.data) == ("FP64", [2], [0.75, 0.25])


def test_metadata_say_what_an_answer_will_be() -> None:
    number, (label, *shares) = output_metadata([]), output_metadata([1, 3])
    assert [output["datatype"] for output in number] == ["FP64"] and label["datatype"] == "BYTES"
    assert [share["name"] for share in shares] == ["p_1", "p_3"]
