"What an alias demands: governed like what it governs, wrong ones told, other packages noticed."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.metadata import version as installed_version

import pytest

from mlops_nb.base.errors import BadParameter, BadReference, Refused
from mlops_nb.base.project import Home
from mlops_nb.promotion.policies import Policies, Policy, check_environment
from mlops_nb.registry.audit import Audit
from mlops_nb.registry.model_versions import Models
from promotion_support import register_small


def test_policies_are_versions_and_each_is_an_event(home: Home) -> None:
    policies = Policies(home)
    for approvals in 1, 2, 2: policies.set("m", Policy(approvals=approvals), comment="by law")
    assert [version.policy.approvals for version in policies.history("m")] == [0, 1, 2]
    assert policies["m"].version == policies["m@production"].version == 2
    assert [event.detail["version"] for event in Audit(home).list("m", ("policy",))] == [1, 2]


def test_policies_that_hold_are_listed_and_searched(home: Home) -> None:
    policies = Policies(home)
    for alias, approvals in ("production", 1), ("production", 2), ("staging", 3):
        policies.set("m", Policy(approvals=approvals), alias=alias)
    assert [(version.alias, version.version) for version in policies.list()] == [("production", 2), ("staging", 1)]
    assert len(policies.list("m")) == 3
    assert [version.policy.approvals for version in policies.search("alias = staging")] == [3]


def test_policy_belongs_to_an_alias(home: Home) -> None:
    with pytest.raises(BadReference, match="m@3: a policy is an alias's: write m@production"): Policies(home)["m@3"]
    with pytest.raises(Refused, match="latest is always the newest version"):
        Policies(home).set("m", Policy(), alias="latest")
    with pytest.raises(BadParameter, match="cannot come from the alias that it is to get"):
        Policies(home).set("m", Policy(comes_from="production"))


@pytest.mark.slow
@pytest.mark.parametrize("toml, message", [
    ("[gates.nosuch]\n", "there is no gate 'nosuch'"),
    ('approvals = "two"\n', "give a number from 0"),
    ("approvals = \n", "the policy is no TOML"),
    ('approver = "ada"\n', "a policy has no approver"),
    ("[gates.calibrated]\nat_least = 1\n", "it takes at_most: float = 0.05"),
])
def test_policy_that_cannot_be_meant_is_refused_from_the_command_line(
    home: Home, cli: Callable[..., subprocess.CompletedProcess[str]], toml: str, message: str,
) -> None:
    (home.root / "policy.toml").write_text(toml)
    done = cli("model", "policy", "m", "--file", "policy.toml")
    assert done.returncode == 2 and message in done.stderr


@pytest.fixture
def elsewhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    "A model, where another LightGBM is installed than it was trained with."
    register_small(home, 2)
    def version(name: str) -> str: return "9.9" if name == "lightgbm" else installed_version(name)
    monkeypatch.setattr("mlops_nb.registry.model_versions.installed_version", version)
    return home


def test_other_packages_than_those_of_training_are_warned_of(
    elsewhere: Home, caplog: pytest.LogCaptureFixture,
) -> None:
    check_environment(elsewhere, Models(elsewhere)["m"])
    assert "m@1 was trained with lightgbm" in caplog.text and "(here: 9.9)" in caplog.text


def test_other_packages_are_refused_where_the_policy_says_so(elsewhere: Home) -> None:
    Policies(elsewhere).set("m", Policy(environment="refuse"))
    check_environment(elsewhere, Models(elsewhere)["m"], alias="staging")
    with pytest.raises(Refused, match="the policy of m@production refuses to load it elsewhere"):
        check_environment(elsewhere, Models(elsewhere)["m"])
