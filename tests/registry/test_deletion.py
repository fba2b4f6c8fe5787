"Deleting a version: only when nothing needs it, and its number stays its own."
from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from audit_support import home_at
from mlops_nb.base import schema as db
from mlops_nb.base.core import iso, new_id, now
from mlops_nb.base.errors import NotFound, Refused
from mlops_nb.base.project import Home
from mlops_nb.models.packages import pack
from mlops_nb.models.training import fit
from mlops_nb.registry.audit import Audit
from mlops_nb.registry.evaluations import add_evaluation
from mlops_nb.registry.model_versions import Models, ModelVersion
from mlops_nb.registry.registration import delete, register
from mlops_nb.runs.run import begin_run
from registry_support import move_alias, register_small, training_data


@pytest.fixture
def home(tmp_path: Path) -> Home: return home_at(tmp_path)


@pytest.mark.slow
def test_version_that_an_alias_points_to_or_pointed_to_stays(home: Home) -> None:
    first, second = (register_small(home, rounds) for rounds in (5, 6))
    for version in first, second: move_alias(home, "production", version.ref)
    with pytest.raises(Refused, match=r"m@production points to it; audit event 4 \(promote\) is about it"):
        delete(home, second.ref)
    with pytest.raises(Refused, match=r"m@1 is not deleted: audit event 3 \(promote\) is about it"):
        delete(home, first.ref)


def test_version_that_somebody_decided_about_stays(home: Home) -> None:
    version, audit = register_small(home, 5), Audit(home)
    with audit.writing() as connection: audit.append(connection, "reject", version.ref, alias="production")
    with pytest.raises(Refused, match=r"m@1 is not deleted: audit event 2 \(reject\) is about it"):
        delete(home, version.ref)


def test_version_that_another_was_compared_with_stays(home: Home) -> None:
    champion, candidate = (register_small(home, rounds) for rounds in (5, 6))
    add_evaluation(home, candidate, dataset="tumours@1", report={}, champion=champion)
    with pytest.raises(Refused, match="m@2 was compared with it"): delete(home, champion.ref)


def test_version_that_another_was_made_from_stays(home: Home) -> None:
    parent = register_small(home, 5)
    run = begin_run(home, "refit.ipynb")
    run.use(parent)
    run.save("model", pack(fit(training_data(), rounds=6, num_threads=1), home.artifacts))
    register(home, "heir", run)
    with pytest.raises(Refused, match="heir@1 was made from it"): delete(home, parent.ref)


def _score_batch(home: Home, version: ModelVersion, label: str) -> None:
    row = dict(
        id=new_id(), name=version.name, version=version.version, alias="", dataset="tumours@1", label=label, rows=1,
        predictions="", profile="", created=iso(now()))
    with home.store.write() as connection: connection.execute(sa.insert(db.batches), row)


def test_version_that_batches_were_scored_by_stays(home: Home) -> None:
    version = register_small(home, 5)
    _score_batch(home, version, "monday")
    with pytest.raises(Refused, match="1 scored batch was predicted by it"): delete(home, version.ref)
    _score_batch(home, version, "tuesday")
    with pytest.raises(Refused, match="2 scored batches were predicted by it"): delete(home, version.ref)


def test_number_of_a_deleted_version_is_its_own(home: Home) -> None:
    for rounds in 5, 6, 7: register_small(home, rounds)
    delete(home, "m@3", comment="a typing error")
    with pytest.raises(NotFound, match="m@3 was deleted: mlops-nb audit ls m says by whom"): Models(home)["m@3"]
    assert Models(home)["m"].version == 2
    assert [version.version for version in Models(home).list("m")] == [1, 2]
    assert register_small(home, 8).version == 4 and register_small(home, 7).version == 3
    assert Audit(home)[4].detail["comment"] == "a typing error"
    assert Audit(home).verify() == 6


def test_version_is_deleted_by_its_number_alone(home: Home) -> None:
    register_small(home, 5)
    with pytest.raises(Refused, match="a version is deleted by its number, such as m@1"): delete(home, "m")
    delete(home, "m@1")
    with pytest.raises(NotFound, match="every version of m was deleted"): Models(home)["m"]
