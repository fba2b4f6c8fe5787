"What a candidate learned from: leaks, expectations and age, on real training runs."
from __future__ import annotations

import pandas as pd
import pytest

from mlops_nb.app.workflow_notebooks import workflow
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.data.expectation_versions import ExpectationsVersions
from mlops_nb.data.expectations import ColumnRule, Expectations
from mlops_nb.runs.execution import Execution
from mlops_nb.runs.runs import Runs
from promotion_support import ask
from registry_support import tumours

pytestmark = pytest.mark.slow


def test_model_that_learned_from_no_view_has_no_parity_to_lose(two: Home) -> None:
    assert ask(two, "tumour@2", "feature_parity").outcome == "pass"


def test_feature_that_predicts_alone_is_a_leak(two: Home) -> None:
    assert "alone predicts benign with 0.9" in ask(two, "tumour@2", "no_leakage").message
    assert ask(two, "tumour@2", "no_leakage", alone=0.99).outcome == "pass"


@pytest.fixture(scope="module")
def leaky(two: Home) -> Home:
    "A model of a table whose rows and patients are on both sides of the split, and that has the label as a column."
    rows = tumours().rename(columns={"target": "benign"}).head(100)
    doubled = pd.concat([rows, rows], ignore_index=True)
    patients = [f"patient {number % len(rows) % 7}" for number in range(len(doubled))]
    Datasets(two).add("doubled", doubled.assign(told=doubled["benign"] * 2.0, who=patients))
    params = {"register_as": "leaky", "data": "doubled", "rounds": 2}
    Runs(Execution(two)).run(workflow("train"), params)
    return two


def test_rows_on_both_sides_are_leaks(leaky: Home) -> None:
    finding = ask(leaky, "leaky", "no_leakage", alone=2.0)
    assert finding.outcome == "fail" and "evaluation rows are training rows too" in finding.message


def test_keys_on_both_sides_are_leaks(leaky: Home) -> None:
    finding = ask(leaky, "leaky", "no_leakage", key=["who"], alone=2.0)
    assert "evaluation rows have a who that training rows have too" in finding.message


def test_label_in_other_clothes_is_a_leak(leaky: Home) -> None:
    finding = ask(leaky, "leaky", "no_leakage", alone=0.99)
    assert finding.outcome == "fail" and "told alone predicts benign" in finding.message


def test_data_of_which_nobody_said_what_they_should_be_are_not_valid(two: Home) -> None:
    finding = ask(two, "tumour@2", "data_valid")
    assert finding.outcome == "inconclusive"
    assert "nobody has said what tumours@1 should be: mlops-nb data expect tumours" in finding.message


@pytest.fixture
def expectations(two: Home) -> ExpectationsVersions:
    "What tumours should be: not below zero."
    expectations = ExpectationsVersions(two)
    expectations.add("tumours", Expectations(columns={"mean radius": ColumnRule(min=0)}))
    return expectations


def test_data_that_meet_the_expectations_are_valid_while_they_are_young(
    two: Home, expectations: ExpectationsVersions,
) -> None:
    assert ask(two, "tumour@2", "data_valid", max_age="1 day").outcome == "pass"
    assert ask(two, "tumour@2", "data_valid", max_age="0 s").message.endswith("over 0 s ago")


def test_data_that_breach_the_expectations_are_not_valid(two: Home, expectations: ExpectationsVersions) -> None:
    expectations.add("tumours", Expectations(columns={"mean radius": ColumnRule(max=10)}))
    finding = ask(two, "tumour@2", "data_valid")
    assert finding.outcome == "fail" and "mean radius" in finding.message and "above 10" in finding.message
