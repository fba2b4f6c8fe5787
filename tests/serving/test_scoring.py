"Predictions in process and in batch: the right number for the right row, and what a batch keeps of it."
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_nb.base.errors import BadTable, NotFound, Refused, SignatureMismatch
from mlops_nb.base.project import Home
from mlops_nb.data.datasets import Datasets
from mlops_nb.features.transforms import load_transform
from mlops_nb.runs.run import begin_run
from mlops_nb.serving.batches import Batches
from mlops_nb.serving.scorer import Scorer, join_predictions, score
from serving_support import a_line, add_version, only_x, point, train, two_classes


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    "A model of each task: of a line, of two classes, of three."
    home = Home(tmp_path_factory.mktemp("scored"))
    add_version(home, "line", train(a_line().drop(columns="row")))
    add_version(home, "above", train(two_classes().drop(columns="row")))
    add_version(home, "third", train(in_thirds()))
    Datasets(home).add("rows", a_line(60).drop(columns="y"))
    return home


def in_thirds() -> pd.DataFrame:
    x = np.random.default_rng(1).uniform(-3, 3, size=600)
    return pd.DataFrame({"x": x, "y": np.select([x < -1, x < 1], ["low", "middle"], "high")})


def test_quantity_rises_where_it_rose_in_training(shared: Home) -> None:
    low, high = score(shared, "line", pd.DataFrame({"x": [-1.0, 1.0]})).prediction
    assert low == pytest.approx(-2, abs=0.5) and high == pytest.approx(2, abs=0.5)


def test_binary_prediction_is_the_probability_of_the_greater_label(shared: Home) -> None:
    below, above = score(shared, "above", pd.DataFrame({"x": [-2.0, 2.0]})).prediction
    assert 0 <= below < 0.1 and 0.9 < above <= 1


def test_prediction_of_a_multiclass_model_is_its_likeliest_class(shared: Home) -> None:
    scored = score(shared, "third", pd.DataFrame({"x": [-2.0, 0.0, 2.0]}))
    shares = scored[["p_high", "p_low", "p_middle"]]
    assert scored.prediction.tolist() == ["low", "middle", "high"]
    assert shares.to_numpy().argmax(axis=1).tolist() == [1, 2, 0]
    assert shares.sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_each_row_keeps_its_own_prediction_in_any_order(shared: Home) -> None:
    rows = a_line(50).drop(columns="y")
    scored, shuffled = score(shared, "line", rows), score(shared, "line", rows.sample(frac=1, random_state=0))
    assert shuffled.index.tolist() != rows.index.tolist()
    pd.testing.assert_series_equal(shuffled.prediction.sort_index(), scored.prediction)


def test_prediction_does_not_depend_on_the_other_rows(shared: Home) -> None:
    rows = a_line(20).drop(columns="y")
    alone = [score(shared, "line", rows.iloc[[position]]).prediction.item() for position in range(len(rows))]
    assert alone == score(shared, "line", rows).prediction.tolist()


def test_missing_value_is_predicted_and_missing_column_is_refused_by_name(shared: Home) -> None:
    assert score(shared, "line", pd.DataFrame({"x": [None, 1.0]})).prediction.notna().all()
    with pytest.raises(SignatureMismatch, match="x is missing"): score(shared, "line", pd.DataFrame({"z": [1.0]}))


def test_reference_in_place_of_rows_is_told_where_it_belongs(shared: Home) -> None:
    reference: Any = "rows"
    with pytest.raises(BadTable, match=r"a str is no table: .*ws\.batches\.score takes a dataset's reference"):
        score(shared, "line", reference)


def test_predictions_overwrite_no_column(shared: Home) -> None:
    rows = pd.DataFrame({"x": [1.0], "prediction": ["mine"]})
    with pytest.raises(BadTable, match="column\\(s\\) prediction already"): score(shared, "line", rows)
    with pytest.raises(BadTable, match="column\\(s\\) p_low already"):
        join_predictions(rows.assign(p_low=1.0), pd.DataFrame({"p_low": [0.5]}))


TRANSFORM = """from mlops_nb.features.transforms import transform

@transform()
def features(rows):
    return rows[["x"]] * {factor}
"""


def test_code_that_was_changed_since_training_does_not_predict(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "line_features.py"
    source.write_text(TRANSFORM.format(factor=1))
    table = a_line().drop(columns="row")
    add_version(home, "line", train(table, transform=load_transform("line_features:features", tmp_path)))
    assert len(score(home, "line", table)) == len(table)
    source.write_text(TRANSFORM.format(factor=-1))
    with pytest.raises(Refused, match="was changed since line@1 was trained"): score(home, "line", table)


def test_batch_holds_what_scoring_in_process_gives(shared: Home) -> None:
    batch = Batches(shared).score("line@1", "rows", label="same")
    expected = score(shared, "line", Datasets(shared)["rows"].read())
    pd.testing.assert_frame_equal(batch.read(), expected)
    assert (batch.dataset, batch.model, batch.alias, batch.rows) == ("rows@1", "line@1", "", 60)
    assert batch.read(["prediction"]).columns.tolist() == ["prediction"]


def test_same_rows_are_scored_once(home: Home) -> None:
    add_version(home, "line", train(a_line().drop(columns="row")))
    for alias in "staging", "production": point(home, "line", 1, alias=alias)
    datasets, batches = Datasets(home), Batches(home)
    datasets.add("rows", a_line(30).drop(columns="y"))
    first = batches.score("line@production", "rows", label="may")
    assert batches.score("line@production", "rows", label="may") == first
    others = [
        batches.score("line@production", "rows", label="june"), batches.score("line@staging", "rows", label="may"),
        batches.score("line@1", "rows", label="may")]
    datasets.add("rows", a_line(31).drop(columns="y"))
    others.append(batches.score("line@production", "rows", label="may"))
    assert len({batch.id for batch in [first, *others]}) == 5
    assert [batch.alias for batch in [first, *others]] == ["production", "production", "staging", "", "production"]


def test_profiles_of_a_batch_are_of_its_own_rows(shared: Home) -> None:
    Datasets(shared).add("far", a_line(200, shift=50).drop(columns="y"))
    features, predictions = Batches(shared).score("line", "far").profiles()
    assert 49 < features["x"].numbers.moments.mean < 51
    assert features.rows == predictions.rows == 200


def test_classes_are_profiled_as_text(shared: Home) -> None:
    Datasets(shared).add("thirds", in_thirds().drop(columns="y"))
    batch = Batches(shared).score("third", "thirds")
    _, predictions = batch.profiles()
    assert predictions["prediction"].categories == batch.read(["prediction"]).prediction.value_counts().to_dict()


def test_batches_are_found_by_what_scored_them(home: Home) -> None:
    for rounds in 5, 10: add_version(home, "line", train(a_line().drop(columns="row"), rounds=rounds))
    point(home, "line", 2)
    Datasets(home).add("rows", a_line(30).drop(columns="y"))
    batches = Batches(home)
    later, earlier = (batches.score("line@production", "rows", label=label) for label in ("2013-06", "2013-05"))
    frozen = batches.score("line@1", "rows", label="2013-07")
    assert [batch.label for batch in batches.list("line", alias="production")] == ["2013-05", "2013-06"]
    assert batches.list("line") == [earlier, later, frozen] and batches.list() == [frozen]
    assert (batches["line@production"], batches["line@2"], batches["line@1"]) == (later, later, frozen)
    assert batches[earlier.id] == earlier and batches.get("line@staging") is None
    assert batches.search("alias = production and label = 2013-05") == [earlier]
    with pytest.raises(NotFound, match="there are: line"): batches["nosuch"]


def test_run_that_scores_records_the_version_and_the_rows(home: Home) -> None:
    add_version(home, "line", train(a_line().drop(columns="row")))
    Datasets(home).add("rows", a_line(30).drop(columns="y"))
    run = begin_run(home, "score.ipynb")
    batch = Batches(home).score("line", "rows", run=run)
    assert set(run.record.inputs) == {"line@1", "rows@1"} and batch.run_id == run.id
    assert Scorer(home, "line").version.ref == "line@1"


def test_two_jobs_that_score_the_same_rows_at_once_get_one_batch(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    add_version(home, "line", train(a_line().drop(columns="row")))
    Datasets(home).add("rows", only_x(30))
    batches, predict, first = Batches(home), Scorer.predict, []

    def predict_second(scorer: Scorer, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        monkeypatch.undo()
        first.append(batches.score("line", "rows", label="may"))  # the other job comes in between, and is done
        return predict(scorer, rows)

    monkeypatch.setattr(Scorer, "predict", predict_second)
    assert [batches.score("line", "rows", label="may")] == first == batches.list("line")
