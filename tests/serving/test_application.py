"The endpoints, asked without a network: answers, refusals, the key, what is counted."
from __future__ import annotations

import pandas as pd
import pytest
from starlette.testclient import TestClient

from mlops_nb.base.project import Home
from mlops_nb.serving.application import MAX_BODY, build_app
from mlops_nb.serving.scorer import Scorer
from serving_support import a_line, add_version, body_of, only_x, point, train, two_classes

INFER = "/v2/models/line/infer"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    "A model of a line, whose second version is in production, and one of three classes."
    home = Home(tmp_path_factory.mktemp("application"))
    for rounds in 5, 20: add_version(home, "line", train(a_line().drop(columns="row"), rounds=rounds))
    classes = two_classes().drop(columns="row").replace({"y": {0: "no", 1: "yes"}})
    add_version(home, "answer", train(classes, task="multiclass"))
    point(home, "line", 2)
    point(home, "answer", 1)
    return home


@pytest.fixture
def client(home: Home) -> TestClient: return TestClient(build_app(home, ["line", "answer"]))


@pytest.mark.slow
def test_request_is_answered_as_a_batch_job_would(client: TestClient, home: Home) -> None:
    rows = only_x(5)
    answer = client.post(INFER, json=body_of(rows)).json()
    expected = Scorer(home, "line@production").predict(rows)[0].prediction.tolist()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "line", "2")
    assert answer["outputs"][0]["data"] == expected


def test_classes_are_answered_with_the_share_of_each(client: TestClient) -> None:
    answer = client.post("/v2/models/answer/infer", json=body_of(pd.DataFrame({"x": [-2.0, 2.0]}))).json()
    label, no, yes = answer["outputs"]
    assert (label["data"], no["name"], yes["name"]) == (["no", "yes"], "p_no", "p_yes")
    assert yes["data"][0] < 0.5 < yes["data"][1]


def test_model_tells_what_it_takes_and_gives(client: TestClient) -> None:
    model = client.get("/v2/models/line").json()
    assert (model["name"], model["versions"]) == ("line", ["2"])
    assert model["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1]}]
    assert model["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    outputs = client.get("/v2/models/answer").json()["outputs"]
    assert [output["name"] for output in outputs] == ["prediction", "p_no", "p_yes"]


def test_health_is_told_to_all_and_the_server_tells_its_name(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["name"] == "mlops_nb"
    assert client.get("/v2/models/line/versions/2/ready").json() == {"name": "line", "ready": True}


@pytest.mark.parametrize("path, says", [
    ("/v2/models/nosuch", "there is no model 'nosuch' here; served: line, answer"),
    ("/v2/models/line/versions/1", "line version 1 is not served: production is version 2"),
    ("/v2/models/line/versions/two/ready", "line version two is not served"),
])
def test_what_is_not_served_is_not_guessed(client: TestClient, path: str, says: str) -> None:
    refused = client.get(path)
    assert refused.status_code == 404 and says in refused.json()["error"]


@pytest.mark.parametrize("body, says", [
    (b"{", "the body is no inference request"), (b'{"inputs": []}', "at least one"),
    (b'{"inputs": [{"name": "z", "datatype": "FP64", "shape": [1], "data": [1.0]}]}', "x is missing"),
    (b'{"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}', "x is BYTES, must be FP64"),
    (b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [2], "data": [1.0]}]}', "shape [2]"),
])
def test_bad_request_is_told_what_is_wrong_in_one_line(client: TestClient, body: bytes, says: str) -> None:
    refused = client.post(INFER, content=body)
    assert refused.status_code == 400
    assert says in refused.json()["error"] and "\n" not in refused.json()["error"]


def test_body_is_bounded(client: TestClient) -> None:
    refused = client.post(INFER, content=b" " * (MAX_BODY + 1))
    assert refused.status_code == 413
    assert refused.json() == {"error": "the request is over 16 MiB: send fewer rows at once"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer open"}, {"Authorization": "sesame"}])
def test_only_who_sends_the_key_is_answered(home: Home, headers: dict[str, str]) -> None:
    client = TestClient(build_app(home, ["line"], key="sesame"))
    for path in "/v2", "/v2/models/line", "/v2/models/nosuch", "/v2/models/line/ready", "/metrics":
        assert client.get(path, headers=headers).status_code == 401, path
    assert client.post(INFER, json=body_of(only_x(1)), headers=headers).status_code == 401
    assert client.get("/v2/health/live", headers=headers).status_code == 200
    assert client.get("/v2/models/line", headers={"Authorization": "Bearer sesame"}).status_code == 200


def test_answers_and_refusals_are_counted_by_model(client: TestClient) -> None:
    for _ in range(2): client.post(INFER, json=body_of(only_x(3)))
    client.post(INFER, content=b"{")
    client.get("/v2/models/invented-by-a-caller")
    counted = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    assert 'mlops_requests_total{model="line",status="ok"} 2.0' in counted
    assert 'mlops_requests_total{model="line",status="refused"} 1.0' in counted
    assert 'mlops_requests_total{model="unknown",status="refused"} 1.0' in counted
    assert 'mlops_request_seconds_count{model="line"} 2.0' in counted
    assert 'mlops_model_version{model="line"} 2.0' in counted
    assert not any("invented" in line for line in counted)
