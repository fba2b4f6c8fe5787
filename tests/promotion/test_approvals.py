"Other people's word: who may say it, whose last word counts, and what ends it."
from __future__ import annotations

from collections.abc import Callable

import pytest

from mlops_nb.base.errors import BadParameter, Refused
from mlops_nb.base.project import Home
from mlops_nb.promotion.approvals import approve, reject
from mlops_nb.promotion.decisions import RefusedByGates
from mlops_nb.promotion.policies import Policies, Policy
from mlops_nb.promotion.promotion import promote
from promotion_support import register_small

Login = Callable[[str], None]


@pytest.fixture
def candidate(home: Home, login: Login) -> str:
    "A version that edsger made, for an alias that wants two approvals."
    Policies(home).set("m", Policy(approvals=2))
    login("edsger")
    return register_small(home, 2).ref


def test_author_does_not_approve(home: Home, candidate: str) -> None:
    with pytest.raises(Refused, match="edsger made m@1: somebody else has to approve it"): approve(home, candidate)


def test_who_is_not_among_the_approvers_has_no_say(home: Home, candidate: str, login: Login) -> None:
    Policies(home).set("m", Policy(approvals=2, approvers=("ada", "grace")))
    login("mallory")
    with pytest.raises(Refused, match="mallory has no say in m@production: by its policy ada, grace have"):
        approve(home, candidate)


def test_one_person_counts_once(home: Home, candidate: str, login: Login) -> None:
    login("ada")
    for _ in range(2): approve(home, candidate)
    with pytest.raises(RefusedByGates, match="1 of 2 approvals, by ada"): promote(home, candidate)
    login("grace")
    approve(home, candidate)
    assert promote(home, candidate).promoted


def test_rejection_stands_until_who_rejected_approves(home: Home, candidate: str, login: Login) -> None:
    for name in "ada", "barbara":
        login(name)
        approve(home, candidate)
    login("grace")
    reject(home, candidate, comment="<b>no</b>")
    with pytest.raises(RefusedByGates, match="grace rejected it: <b>no</b>"): promote(home, candidate)
    approve(home, candidate)
    assert promote(home, candidate).promoted


def test_rejection_says_why(home: Home, candidate: str) -> None:
    with pytest.raises(BadParameter, match="a rejection needs a comment"): reject(home, candidate, comment=" ")


def test_approval_ends_with_its_policy(home: Home, candidate: str, login: Login) -> None:
    for name in "ada", "grace":
        login(name)
        approve(home, candidate)
    Policies(home).set("m", Policy(approvals=2, comes_from=""), comment="the same again")
    assert Policies(home)["m"].version == 1
    Policies(home).set("m", Policy(approvals=2, approvers=("ada", "grace", "barbara")))
    with pytest.raises(RefusedByGates, match="0 of 2 approvals"): promote(home, candidate)


def test_approval_is_of_one_candidate(home: Home, candidate: str, login: Login) -> None:
    other = register_small(home, 3).ref
    for name in "ada", "grace":
        login(name)
        approve(home, candidate)
    with pytest.raises(RefusedByGates, match="0 of 2 approvals"): promote(home, other)
