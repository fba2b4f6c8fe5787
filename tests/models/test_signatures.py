"The columns that a model asks for, and what of them may be told."
from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from mlops_nb.base.errors import SignatureMismatch
from mlops_nb.models.signatures import check_signature, domain_of, signature_of

FLIGHTS: Any = pd.DataFrame({
    "carrier": ["UA", None], "distance": [1400.0, None], "cancelled": [True, None],
    "scheduled": pd.to_datetime(["2013-01-01 05:15", None], utc=True)})
SIGNATURE = signature_of(FLIGHTS)


def test_signature_is_in_the_order_of_the_table() -> None:
    words = {"carrier": "string", "distance": "number", "cancelled": "boolean", "scheduled": "datetime"}
    assert list(SIGNATURE.items()) == list(words.items())


def test_all_differences_are_told_at_once() -> None:
    wrong = FLIGHTS.drop(columns="carrier").assign(distance="far", scheduled="noon")
    differences = "carrier is missing; distance is string, must be number; scheduled is string, must be datetime$"
    with pytest.raises(SignatureMismatch, match=differences): check_signature(wrong, SIGNATURE)


@pytest.mark.parametrize("change", [
    {"carrier": None}, {"distance": None}, {"distance": [7, 9]}, {"distance": [True, False]}, {"cancelled": [0, 1]},
    {"scheduled": None}, {"more": 1}])
def test_what_is_as_good_is_taken(change: dict[str, object]) -> None:
    check_signature(FLIGHTS.assign(**change), SIGNATURE)


@pytest.mark.parametrize("name, value", [
    ("carrier", 7), ("carrier", True), ("distance", "1400"), ("distance", pd.Timestamp("2013-01-01")),
    ("scheduled", 1357017300), ("cancelled", "yes")])
def test_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(SignatureMismatch, match=f"{name} is .*, must be {SIGNATURE[name]}"):
        check_signature(FLIGHTS.assign(**{name: value}), SIGNATURE)


def test_domain_is_the_range_of_what_is_known() -> None:
    assert domain_of(FLIGHTS["distance"]) == {"low": 1400, "high": 1400}
    assert domain_of(pd.Series([3, -7, 5])) == {"low": -7, "high": 5}
    assert domain_of(FLIGHTS["scheduled"]).get("low") == "2013-01-01 05:15:00+00:00"


def test_many_texts_are_not_told_because_they_may_be_names() -> None:
    texts: Any = pd.Series([f"passenger {number:02}" for number in range(51)])
    assert domain_of(texts) == {} and domain_of(texts[:50]) == {"categories": texts[:50].tolist()}


@pytest.mark.parametrize("values", [[None, None], [1.0, float("inf")], [True, False]])
def test_no_domain_where_there_is_no_range(values: list[object]) -> None:
    assert domain_of(pd.Series(values)).keys() <= {"categories"} and not domain_of(pd.Series(values)).get("categories")
