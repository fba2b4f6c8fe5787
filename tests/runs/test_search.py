"Search: the database answers what `queries.holds` says record by record; a run is found as it is shown."
from __future__ import annotations

from pathlib import Path

import pytest

from mlops_nb.app.workspace import Workspace
from mlops_nb.base.errors import BadParameter, NotFound
from mlops_nb.base.project import Home
from mlops_nb.base.queries import holds, read_conditions
from mlops_nb.runs import run_queries
from mlops_nb.runs.records import RunRecords
from mlops_nb.runs.run import begin_run

PARAMS: list[dict[str, object]] = [
    {"n": 3, "rate": 0.5, "kind": "gbdt", "deep": True, "columns": ["carrier", "origin"], "seed": None, "month": "7"},
    {"n": 30, "rate": 1e-3, "kind": "Dart", "deep": False, "columns": [], "seed": 7, "month": "11"},
    {"n": 3.0, "kind": "größe 'a' \"b\" 100% a_c", "month": 7},
    {},
]
TAGS = [{"team": "blue", "sweep": "s1"}, {"team": "blå", "note": 'says "team":"red"'}, {"te-am": "red"}, {}]


@pytest.fixture
def records(url: str, tmp_path: Path) -> RunRecords:
    "Four runs that differ in all that can be asked for; on SQLite and PostgreSQL."
    home = Home(url, artifacts=tmp_path / "artifacts")
    for position, (params, tags) in enumerate(zip(PARAMS, TAGS, strict=True)):
        step = None if position == 3 else f"step {position}"
        run = begin_run(home, f"nbs/train{position}.ipynb", params=params, tags=tags, step=step)
        if position != 3: run.log(loss=position / 4, auc=0.75)
        if position % 2: run.end("failed")
    return RunRecords(home)


QUERIES = [
    "status = failed", "status != failed", "step = 'step 1'", "step != 'step 1'", "step ~ STEP", "step > 'step 0'",
    "notebook ~ train2", "notebook ~ TRAIN", "notebook ~ n_", "author != nobody", "kind = batch", "created > 2013",
    "ended > 2013", "metrics.loss < 0.5", "metrics.loss >= 0.5 and metrics.auc = 0.75", "metrics.loss != 0.25",
    "metrics.nosuch < 1", "params.n = 3", "params.n != 3", "params.n > 3 and params.n <= 30", "params.rate < 0.01",
    "params.n = '3'", "params.kind = gbdt", "params.kind != gbdt", "params.kind ~ DAR", "params.kind > a",
    "params.kind ~ größe", "params.kind ~ '\"b\"'", "params.kind ~ '100% a_'", "params.kind ~ '100_'",
    "params.deep = true", "params.deep = False", "params.deep != true", "params.columns ~ carrier",
    "params.seed = 7", "params.seed ~ null", "params.seed != x", "params.seed = null", "params.month = 7",
    "params.month != 7", "params.month = '7'", "tags.team = blue", "tags.team = BLUE", "tags.team = blå",
    "tags.team != blue", "tags.team ~ BL", "tags.team = red", "tags.te-am = red", "tags.nosuch != x", "tags.team > bl",
]


@pytest.mark.parametrize("common", [1, 2000], ids=["asked of each run", "listed by the index"])
def test_database_answers_as_the_records_do(
    records: RunRecords, monkeypatch: pytest.MonkeyPatch, common: int,
) -> None:
    monkeypatch.setattr("mlops_nb.runs.records._COMMON", common)
    runs, answers = records.list(), {}
    for query in QUERIES:
        conditions = read_conditions(query, run_queries.EXAMPLE)
        meeting = [run.notebook for run in runs if all(holds(condition, run.asdict()) for condition in conditions)]
        notebooks = [run.notebook for run in records.search(query)]
        if notebooks != meeting: answers[query] = notebooks, meeting
    assert answers == {}


def test_runs_come_in_their_order_and_those_without_the_value_last(records: RunRecords) -> None:
    def order(order_by: str, limit: int | None = None) -> str:
        return "".join(run.notebook[-7] for run in records.search(order_by=order_by, limit=limit))
    assert order("id") == "0123" and order("-id") == "3210"
    assert order("metrics.loss") == "0123" and order("-metrics.loss") == "2103"
    assert order("-params.n") == "1203" and order("params.rate") == "1032"
    assert order("step") == "0123" and order("-step") == "2103"
    assert order("ended") == "1320" and order("-ended") == "3120"
    assert order("-metrics.loss", limit=2) == "21" and order("-metrics.loss", limit=4) == "2103"


@pytest.mark.parametrize("name", ["train", "train.ipynb", "nbs/train.ipynb", "nbs/train"])
def test_notebook_is_meant_by_path_file_name_and_stem(records: RunRecords, name: str) -> None:
    "As a listing shows it, whatever folder it lies in; and in upper and lower case as it is written."
    for path in "nbs/train.ipynb", "train.ipynb", "nbs/retrain.ipynb", "nbs/Train.ipynb", "train/fit.ipynb":
        begin_run(records.home, path)
    meant = ["nbs/train.ipynb"] if "/" in name else ["train.ipynb", "nbs/train.ipynb"]
    assert [run.notebook for run in records.search(f"notebook = {name}")] == meant
    assert [run.notebook for run in records.list(name)] == meant
    assert len(records.search(f"notebook != {name}")) == len(records.list()) - len(meant)


@pytest.mark.parametrize("query, says", [
    ("loss <", "'loss <' is no condition"),
    ("nosuch = 1", "'nosuch' is no field of a run: id, notebook"),
    ("env.PATH = x", "there are params.NAME, metrics.NAME and tags.NAME"),
    ("metrics.loss = low", "metrics.loss = 'low': a metric is compared with a number"),
    ("metrics.loss ~ 1", "a metric is compared with a number"),
])
def test_what_cannot_be_asked_is_refused(ws: Workspace, query: str, says: str) -> None:
    with pytest.raises(BadParameter, match=says): ws.runs.search(query)


@pytest.mark.parametrize("order_by", ["nosuch", "tags.team", "-", "metrics"])
def test_what_is_no_order_is_refused(ws: Workspace, order_by: str) -> None:
    with pytest.raises(BadParameter, match=f"cannot order by '{order_by}'"): ws.runs.search(order_by=order_by)


def test_run_is_known_by_an_unambiguous_beginning(records: RunRecords) -> None:
    first, *_, last = sorted(run.id for run in records.list())
    assert records[last].id == last and records[last[:-1]].id == last
    with pytest.raises(NotFound, match="begins the names of several runs"): _ = records[first[:4]]
    for unknown in "zzzz", "":
        with pytest.raises(NotFound, match="mlops-nb runs ls lists them"): _ = records[unknown]
        assert records.get(unknown) is None


def test_page_of_more_runs_than_one_query_takes_is_read_whole(
    records: RunRecords, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlops_nb.runs.records._AT_ONCE", 3)
    assert [run.params for run in records.list()] == PARAMS[::-1]
    assert [run.metrics.get("loss") for run in records.list()] == [None, 0.5, 0.25, 0.0]
