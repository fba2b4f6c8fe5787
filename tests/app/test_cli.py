"The command line: exit statuses, one clear line for what is wrong, JSON for programs."
import json

import pytest
import sqlalchemy as sa



@pytest.mark.parametrize("words, says", [
    (("run", "nosuch.ipynb"), "nosuch.ipynb"),
    (("run", "train", "-p", "num_leafs", "5"), "num_leaves"),
    (("run", "train", "-p", "learning_rate", "7"), "(0, 1]"),
    (("run", "train", "-p", "num_leaves", "many"), "int"),
    (("sweep", "train", "--over", "num_leaves"), "NAME=VALUE"),
    (("data", "show", "flights@99"), "no dataset 'flights'"),
    (("data", "show", "../etc@1"), "name@version"),
    (("model", "show", "nosuch@production"), "no model 'nosuch'"),
    (("model", "promote", "nosuch@1"), "no model 'nosuch'"),
    (("model", "rollback", "nosuch"), "no model 'nosuch'"),
    (("score", "nosuch@production", "t.csv", "-o", "out.csv"), ""),
    (("score", "nosuch@production", "t.csv", "-o", "out.xls"), ".csv or .parquet"),
    (("serve", "nosuch", "--port", "0"), "no model 'nosuch'"),
    (("runs", "show", "zzzz"), "mlops-nb runs ls"),
    (("runs", "ls", "--where", "nonsense"), "is no condition"),
    (("monitor", "check", "nosuch"), "has scored no batch"),
    (("nosuch",), "No such command 'nosuch'"),
    (("run",), "Missing argument"),
    (("serve", "m", "--port", "99999"), "less than or equal to 65535"),
    (("watch", "--one"), "mlops-nb watch --help"),
])
def test_what_cannot_be_is_one_line_and_status_2(cli, words, says):
    done = cli(*words)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("mlops-nb: ") and says in done.stderr


def test_notebook_that_raises_is_status_1_and_names_cell_and_error(cli, write_notebook):
    write_notebook("a.ipynb", "1 / 0")
    done = cli("run", "a.ipynb")
    assert done.returncode == 1 and "cell 0: ZeroDivisionError" in done.stderr and "Traceback" not in done.stderr


def test_listings_of_an_empty_workspace_are_empty_arrays(cli_json):
    assert [cli_json(*words) for words in (("runs", "ls"), ("data", "ls"), ("model", "ls"), ("audit", "ls"))] == [[]] * 4


def test_run_is_shown_with_the_field_names_of_the_python_object(cli, cli_json, ws, write_notebook):
    write_notebook("a.ipynb", "from mlops_nb import current_run\ncurrent_run().log(loss=0.5)", parameters="n: int = 1  # in [1, 9]")
    assert cli("run", "a.ipynb", "-p", "n", "3", "-o", "copy.ipynb").returncode == 0
    run = cli_json("runs", "show", ws.runs.search()[0].id)
    assert run == json.loads(json.dumps(ws.runs.search()[0].asdict()))
    assert (run["status"], run["params"], run["metrics"], run["notebook"]) == ("succeeded", {"n": 3}, {"loss": 0.5}, "a.ipynb")
    assert (ws.root / "copy.ipynb").is_file()
    assert cli_json("run", "a.ipynb", "--params")[0] | {"help": ""} == {"name": "n", "type": "int", "default": 1, "allowed": "in [1, 9]", "help": ""}


def test_sweep_reports_the_points_that_failed(cli, ws, write_notebook):
    write_notebook("a.ipynb", "assert n < 3", parameters="n: int = 1")
    done = cli("sweep", "a.ipynb", "--over", "n=1,2,3", "-j", "2")
    assert done.returncode == 1 and "1 of 3 points did not succeed" in done.stderr
    assert sorted(run.status for run in ws.runs.search()) == ["failed", "succeeded", "succeeded"]


def test_tampered_trail_and_later_store_are_said_plainly(cli, ws):
    with ws.audit.writing() as connection: ws.audit.append(connection, "describe", "m@1", description="x")
    assert cli("audit", "verify").returncode == 0
    with ws.home.store.write() as connection: connection.execute(sa.text("UPDATE audit SET actor = 'nobody'"))
    done = cli("audit", "verify")
    assert done.returncode == 1 and "event 1" in done.stderr
    with ws.home.store.write() as connection: connection.execute(sa.text("UPDATE mlops_version SET version_num = '9999'"))
    done = cli("runs", "ls")
    assert done.returncode == 2 and "pip install -U mlops_nb" in done.stderr


def test_table_that_does_not_match_the_signature_is_refused_with_every_difference(cli, ws, tmp_path):
    from mlops_nb.app.workflow_notebooks import workflow
    ws.runs.run(workflow("train"), {"register_as": "tumour"})
    ws.datasets["tumours"].read().drop(columns=["mean radius", "mean area"]).to_csv(tmp_path / "t.csv", index=False)
    done = cli("score", "tumour@1", "t.csv", "-o", "out.csv")
    assert done.returncode == 2 and "mean radius is missing; mean area is missing" in done.stderr
    assert not (tmp_path / "out.csv").exists()
