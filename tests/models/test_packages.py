"A package holds the whole model as data, and is the same bytes whenever the model is."
from __future__ import annotations

import json
import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from mlops_nb.base.artifacts import Artifacts, CorruptArtifact
from mlops_nb.base.errors import NotFound, Refused
from mlops_nb.features.transforms import identity, load_transform
from mlops_nb.models.model import Model
from mlops_nb.models.packages import pack, unpack
from mlops_nb.models.training import fit, fit_estimator
from mlops_nb.models.training_data import TrainingData, prepare

N = 120
RNG = np.random.default_rng(2)
TABLE = pd.DataFrame({
    "a": RNG.normal(size=N), "Größe (m²)": RNG.normal(size=N), "carrier": RNG.choice(["UA", "Ünal"], N),
    "scheduled": pd.date_range("2013-01-01", periods=N, freq="7h", tz="UTC")})
TARGETS: dict[str, Any] = {
    "bool": TABLE["a"] > 0, "int": RNG.integers(1, 4, N), "text": RNG.choice(["ä", "b", "c"], N), "float": TABLE["a"]}


def data_of(target: str) -> TrainingData:
    table = TABLE.assign(target=TARGETS[target])
    return prepare(table, "target", identity, held_out=np.arange(N) % 4 == 0)


def trained(target: str, **options: Any) -> Model:
    return fit(data_of(target), **{"rounds": 4, "num_threads": 1, "trained_on": ("table@3", "weather@1"), **options})


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts: return Artifacts(tmp_path / "artifacts")


def through(model: Model, artifacts: Artifacts, **options: Any) -> Model:
    return unpack(artifacts.put(pack(model, artifacts).encode()), artifacts, **options)


@pytest.mark.parametrize("target", TARGETS)
def test_every_field_comes_back(artifacts: Artifacts, target: str) -> None:
    model = trained(target)
    unpacked = through(model, artifacts)
    plain = [field.name for field in fields(Model) if not field.name.endswith("_profile")]
    assert {name: getattr(unpacked, name) for name in plain} == {name: getattr(model, name) for name in plain}
    for name in "features_profile", "predictions_profile":
        assert getattr(unpacked, name).asdict() == getattr(model, name).asdict()
    assert [type(value) for value in unpacked.classes] == [type(value) for value in model.classes]
    pd.testing.assert_frame_equal(
        unpacked.predict(TABLE, identity)[0], model.predict(TABLE, identity)[0], check_exact=True)


@pytest.mark.parametrize("target", TARGETS)
def test_package_is_the_same_to_the_byte(artifacts: Artifacts, target: str) -> None:
    package = pack(trained(target), artifacts)
    assert pack(trained(target), artifacts) == package
    assert pack(through(trained(target), artifacts), artifacts) == package
    assert pack(trained(target, rounds=5), artifacts) != package


def test_manifest_is_plain_json_that_names_files_by_digest(artifacts: Artifacts) -> None:
    model = trained("text")
    manifest = json.loads(pack(model, artifacts))
    assert artifacts.bytes(manifest["file"]) == model.file and model.file.startswith(b"tree\n")
    assert json.loads(artifacts.bytes(manifest["features_profile"]))["rows"] == 90
    assert manifest["classes"] == ["b", "c", "ä"] and "trusted" not in manifest


def test_no_manifest_makes_itself_trusted(artifacts: Artifacts) -> None:
    hostile = replace(trained("bool"), file=pickle.dumps(print), format="pickle", trusted=True)
    forged = json.dumps(json.loads(pack(hostile, artifacts)) | {"trusted": True})
    model = unpack(artifacts.put(forged.encode()), artifacts)
    assert not model.trusted
    with pytest.raises(Refused, match="is a pickle"): model.scores(TABLE)


def test_estimator_is_read_when_a_person_trusts_it(artifacts: Artifacts) -> None:
    forest = RandomForestClassifier(3, random_state=0)
    model = fit_estimator(data_of("bool"), forest)
    with pytest.raises(Refused, match="skops does not know to be harmless"): through(model, artifacts).scores(TABLE)
    trusted = through(model, artifacts, trusted=True)
    np.testing.assert_array_equal(trusted.scores(TABLE), model.scores(TABLE))
    assert pack(fit_estimator(data_of("bool"), forest), artifacts) == pack(model, artifacts)


CODE = "from mlops_nb.features.transforms import transform\n@transform()\ndef nearer(rows): return rows[['a']]\n"


def test_source_of_the_transform_travels_while_it_is_what_trained(tmp_path: Path, artifacts: Artifacts) -> None:
    module = tmp_path / "packaged_features.py"
    module.write_text(CODE)
    function = load_transform("packaged_features:nearer", tmp_path)
    data = prepare(TABLE.assign(target=TARGETS["bool"]), "target", function, held_out=np.arange(N) % 4 == 0)
    model = fit(data, rounds=2, num_threads=1)
    module.write_text(CODE + "# edited\n")
    pack(model, artifacts)
    assert model.transform_digest not in artifacts
    module.write_text(CODE)
    pack(model, artifacts)
    assert artifacts.bytes(model.transform_digest) == CODE.encode()


def test_package_that_was_changed_or_lost_is_told(tmp_path: Path, artifacts: Artifacts) -> None:
    package = pack(trained("bool"), artifacts)
    digest = artifacts.put(package.encode())
    file = artifacts.path(json.loads(package)["file"])
    content = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(content.replace(b"tree", b"tref", 1))
    fresh = Artifacts(tmp_path / "artifacts")
    with pytest.raises(CorruptArtifact, match="was changed"): unpack(digest, fresh)
    file.unlink()
    with pytest.raises(NotFound, match="artifact"): unpack(digest, fresh)
