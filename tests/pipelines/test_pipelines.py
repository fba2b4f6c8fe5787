"Pipelines: what is reused and what is not, what a kill leaves, what a failure leaves, who is told to wait."
import json, signal, subprocess, sys
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, strategies

from support import start, wait_for
from mlops_nb.base import schema as db
from mlops_nb.base.core import iso, now
from mlops_nb.base.errors import BadNotebook, BadParameter, Busy, NotFound, RunFailed
from mlops_nb.pipelines.fingerprints import local_modules
from mlops_nb.pipelines.steps import Pipeline, StepRun, levels, load_pipeline, pipeline, step, svg
from mlops_nb.pipelines.pipelines import made

RUN = "from mlops_nb import current_run\nrun = current_run()"


@pytest.fixture
def write_pipeline(tmp_path):
    "Write a file that declares pipelines."
    def write(text: str, name: str = "flow.py"):
        (tmp_path / name).write_text(f"from mlops_nb import pipeline, step\n{text}")
        return name
    return write


@pipeline
def one(n: int = 1):
    step("a", n=n)


def ran_again(ws, flow=one, **params) -> tuple[bool, str]:
    "Whether the last step ran, and why."
    last = ws.pipelines.run(flow, **params).steps[-1]
    return not last.reused, last.reason


# ---- declaring

@pytest.mark.parametrize("declare, says", [
    (lambda: (step("a", name="x"), step("b", name="x")), "two steps are named 'x'"),
    (lambda: step("b", data=step("a")), "passes a whole step"),
    (lambda: step("b", data=f"{step('a')['x']}"), "is not known before a has run"),
    (lambda: step("a", retries=-1), "below 0"),
    (lambda: step("a", after=STRAY), "another pipeline"),
    (lambda: None, "declares no step"),
])
def test_graph_that_cannot_be_is_refused(declare, says):
    def flow(): declare()
    with pytest.raises(BadParameter, match=says): Pipeline(flow).steps()


(STRAY,), _ = one.steps()


def test_steps_of_one_notebook_are_told_apart_and_pipelines_compose():
    def outer():
        one(n=2)
        step("a")
        step("b", items=[step("c")["x"]])
    steps, _ = Pipeline(outer).steps()
    assert [(found.name, [need.name for need in found.needs]) for found in steps] == [("a", []), ("a-2", []), ("c", []), ("b", ["c"])]


def test_step_outside_a_pipeline_is_refused():
    with pytest.raises(BadParameter, match="@pipeline"): step("a")


@pytest.mark.parametrize("made_by, error, says", [
    (lambda: step("nosuch"), BadNotebook, "step nosuch: .*does not exist"),
    (lambda: step("a", m=1), BadParameter, "no parameter 'm'; it takes n"),
    (lambda: step("a", n="many"), BadParameter, "allowed is int"),
    (lambda: step("a", m=step("a")["x"]), BadParameter, "step a-2: .* no parameter 'm'"),
])
def test_mistakes_are_told_before_anything_runs(ws, write_notebook, made_by, error, says):
    write_notebook("a.ipynb", "print(n)", parameters="n: int = 1")
    def flow(): made_by()
    with pytest.raises(error, match=says): ws.pipelines.run(flow)
    assert ws.runs.search() == [] and ws.pipelines.list() == []


def test_parameter_without_a_default_may_be_promised(ws, write_notebook):
    write_notebook("a.ipynb", f"{RUN}; run.tag(m=7)")
    write_notebook("b.ipynb", f"{RUN}; run.log(m=m)", parameters="m: int  # in [5, 9]")
    def flow(): step("b", m=step("a")["m"])
    assert ws.pipelines.run(flow)["b"].metrics == {"m": 7.0}
    def lacking(): step("b")
    with pytest.raises(BadParameter, match="needs a value for m"): ws.pipelines.run(lacking)


# ---- what a run made

def test_promise_is_kept_by_tag_version_or_output_and_by_nothing_else(ws, write_notebook):
    write_notebook("a.ipynb", f"{RUN}\nimport pandas as pd\nfrom mlops_nb import Workspace\nws = Workspace()\nrun.tag(numbers=ws.datasets.add('numbers', pd.DataFrame({{'x': [1]}})).version, word='hello', other=3)",
        "ws.datasets.add('added', pd.DataFrame({'x': [2]}))\nrun.save('table', {'x': 1})")
    def flow(): step("a")
    assert ws.datasets[made(ws, first := ws.pipelines.run(flow)["a"], "added")].run_id == first.id
    run = ws.pipelines.run(flow, reuse=False)["a"]  # which makes what is there already
    assert [made(ws, run, name) for name in ("numbers", "added", "word", "other")] == ["numbers@1", "added@1", "hello", "3"]
    assert json.loads(open(made(ws, run, "table")).read()) == {"x": 1} and run.outputs["table"][2:] in made(ws, run, "table")
    with pytest.raises(NotFound, match="added, numbers, other, table, word"): made(ws, run, "nosuch")


def test_promise_that_is_not_kept_fails_its_step_and_leaves_the_others(cli, ws, write_notebook, write_pipeline):
    write_notebook("a.ipynb", f"{RUN}; run.tag(x=1)")
    write_notebook("b.ipynb", "print(n)", parameters="n: str = ''")
    flow = write_pipeline("@pipeline\ndef flow():\n    a = step('a')\n    step('b', n=a['y'])\n    step('b', n=a['x'], name='good')")
    done = cli("pipeline", "run", flow)
    assert done.returncode == 2 and "made no 'y'; it made x" in done.stderr and "Traceback" not in done.stderr
    assert [one.state for one in ws.pipelines["flow"].steps] == ["succeeded", "failed", "succeeded"]


# ---- reuse

def test_result_is_reused_until_what_decides_it_changes(ws, write_notebook, tmp_path):
    (tmp_path / "helpers.py").write_text("from deeper import VALUE\n")
    (tmp_path / "deeper.py").write_text("VALUE = 1\n")
    (tmp_path / "table.csv").write_text("x\n1\n")
    cells = "import helpers", "print(helpers.VALUE, n)"
    path = write_notebook("a.ipynb", *cells, parameters="n: int = 1\ntable: str = 'table.csv'")
    assert ran_again(ws) == (True, "it has not run before")
    assert ran_again(ws) == (False, None)
    assert ran_again(ws, n=2) == (True, "parameter n changed")
    assert ran_again(ws, n=1) == (False, None)

    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="old")]
    notebook.cells[1].execution_count = 7
    notebook.cells[2].metadata["collapsed"] = True
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Another title"))
    notebook.metadata["authors"] = [{"name": "x"}]
    nbformat.write(notebook, path)
    assert ran_again(ws) == (False, None)

    (tmp_path / "deeper.py").write_text("VALUE = 2\n")
    assert ran_again(ws) == (True, "module deeper changed")
    (tmp_path / "table.csv").write_text("x\n2\n")
    assert ran_again(ws) == (True, "file table.csv changed")
    write_notebook("a.ipynb", *cells, "print('more')", parameters="n: int = 1\ntable: str = 'table.csv'")
    assert ran_again(ws) == (True, "its notebook changed")
    assert ran_again(ws) == (False, None)
    first = ws.pipelines["one"]["a"]
    assert ws.pipelines.run(one, reuse=False)["a"].id != first.id


def test_floating_reference_is_asked_again(ws, write_notebook):
    write_notebook("a.ipynb", f"{RUN}; run.use(data)", parameters="data: str = 't@latest'")
    def floats(): step("a")
    def pinned(): step("a", data="t@1")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    for flow in floats, pinned: assert ran_again(ws, flow)[0] and not ran_again(ws, flow)[0]
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert ran_again(ws, floats) == (True, "t@latest is no longer version 1")
    assert ran_again(ws, pinned) == (False, None)


def test_same_version_asked_for_loosely_and_exactly_counts_as_loose(ws, write_notebook):
    write_notebook("a.ipynb", f"{RUN}; run.use('t'); run.use('t@1')", parameters="n: int = 1")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    ran_again(ws)
    with ws.store.write() as connection: connection.execute(sa.update(db.run_inputs).values(asked="t"))
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert ran_again(ws)[0]


def test_version_that_was_handed_over_as_an_object_holds_until_its_name_moves(ws, write_notebook):
    write_notebook("a.ipynb", f"{RUN}\nfrom mlops_nb import Workspace\nrun.use(Workspace().datasets['t'])", parameters="n: int = 1")
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    ran_again(ws)
    ws.datasets.add("other", pd.DataFrame({"x": [1]}))
    assert not ran_again(ws)[0]
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))
    assert ran_again(ws) == (True, "dataset t has changed")


def test_model_alias_that_moved_is_noticed(ws, write_notebook):
    write_notebook("a.ipynb", "print(model)", parameters="model: str = 'm@production'")
    def floats(): step("a")
    def pinned(): step("a", model="m@1")
    def register(version):
        with ws.store.write() as connection: connection.execute(sa.insert(db.model_versions), dict(name="m", version=version, package=f"{version}", task="binary", description="", tags={}, author="", created=iso(now())))
    def production(version):
        with ws.store.write() as connection:
            connection.execute(sa.delete(db.aliases))
            connection.execute(sa.insert(db.aliases), dict(name="m", alias="production", version=version, moved=iso(now())))
    with ws.store.write() as connection: connection.execute(sa.insert(db.models), dict(name="m", description="", tags={}, card={}, author="", created=iso(now())))
    register(1); production(1)
    for flow in floats, pinned:
        id = ws.pipelines.run(flow)["a"].id
        with ws.store.write() as connection: connection.execute(sa.insert(db.run_inputs), dict(run_id=id, kind="model", name="m", version=1))
    register(2)
    assert (ran_again(ws, floats)[0], ran_again(ws, pinned)[0]) == (False, False)
    production(2)
    assert (ran_again(ws, floats)[0], ran_again(ws, pinned)[0]) == (True, False)


def test_result_whose_output_is_gone_is_made_again(ws, write_notebook):
    write_notebook("a.ipynb", f"{RUN}; run.save('x', 'text')", parameters="n: int = 1")
    run = ws.pipelines.run(one)["a"]
    ws.artifacts.path(run.outputs["x"]).unlink()
    assert ran_again(ws) == (True, "output x is no longer stored")


def test_failed_run_is_never_reused_and_fresh_steps_neither(ws, write_notebook, tmp_path):
    write_notebook("a.ipynb", "import pathlib; assert pathlib.Path('there').exists()")
    def flow(): step("a", fresh=True)
    with pytest.raises(RunFailed): ws.pipelines.run(flow)
    (tmp_path / "there").touch()
    assert ran_again(ws, flow) == (True, "it is declared fresh")
    assert ran_again(ws, flow)[0]


def test_what_a_step_made_counts_when_it_is_named_in_after(ws, write_notebook, tmp_path):
    write_notebook("a.ipynb", f"{RUN}; run.save('best', open('value').read())")
    write_notebook("b.ipynb", "print(1)")
    def flow():
        a = step("a", fresh=True)
        step("b", after=a, name="only later")
        step("b", after=a["best"])
    (tmp_path / "value").write_text("1")
    ws.pipelines.run(flow)
    (tmp_path / "value").write_text("2")
    assert [one.reused for one in ws.pipelines.run(flow).steps] == [False, True, False]


# ---- what code imports

def test_local_modules_are_found_as_python_would_find_them(tmp_path):
    package = tmp_path / "pack"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('nothing is imported')")
    (package / "inner" / "__init__.py").write_text("from ..base import x")
    (package / "base.py").write_text("def f():\n    import alone")
    (package / "unused.py").write_text("")
    (package / "named.py").write_text("")
    (tmp_path / "alone.py").write_text("import numpy, os.path, nosuch, broken")
    (tmp_path / "broken.py").write_text("def (")
    found = local_modules(["%%time\nimport json\n!ls\nfrom pack import inner", "%%bash\nfor x in"], ["pack.named"], tmp_path)
    assert list(found) == ["alone", "broken", "pack", "pack.base", "pack.inner", "pack.named"]
    assert "pack" not in sys.modules


# ---- failing, trying again, side by side

def test_failed_step_leaves_other_branches_and_their_results(ws, write_notebook, tmp_path):
    write_notebook("a.ipynb", f"{RUN}; run.tag(x=1)")
    write_notebook("bad.ipynb", "import pathlib; assert pathlib.Path('mended').exists()", parameters="x: str = ''")
    write_notebook("b.ipynb", "print(x)", parameters="x: str = ''")
    def flow():
        a = step("a")
        bad = step("bad", x=a["x"])
        step("b", x=a["x"], name="other")
        below = step("b", after=bad, name="below")
        step("b", after=[below], x="deep", name="deepest")
    with pytest.raises(RunFailed, match="step bad: .*AssertionError.*skipped: below, deepest"): ws.pipelines.run(flow)
    run = ws.pipelines["flow"]
    assert run.status == "failed" and {one.name: one.state for one in run.steps} == {"a": "succeeded", "bad": "failed", "other": "succeeded", "below": "skipped", "deepest": "skipped"}
    assert [one.reason for one in run.steps[3:]] == ["bad failed", "below was skipped"]
    assert ws.runs[run.steps[1].run_id].status == "failed"
    with pytest.raises(NotFound, match="it is skipped"): run["below"]
    (tmp_path / "mended").touch()
    again = ws.pipelines.run(flow)
    assert again.id != run.id and [one.reused for one in again.steps] == [True, False, True, False, False]


def test_retries_are_counted_and_wait_twice_as_long_each_time(ws, write_notebook, tmp_path):
    write_notebook("a.ipynb", "with open('tries', 'a') as file: file.write('x')", "assert len(open('tries').read()) > 2")
    def flow(): step("a", retries=3, backoff_s=0.2)
    found = ws.pipelines.run(flow).steps[0]
    runs = sorted(ws.runs.search(), key=lambda run: run.id)
    assert (found.attempts, [run.status for run in runs], found.run_id) == (3, ["failed", "failed", "succeeded"], runs[-1].id)
    pauses = [pd.Timestamp(later.created) - pd.Timestamp(earlier.ended) for earlier, later in zip(runs, runs[1:])]
    assert pauses[0].total_seconds() >= 0.2 and pauses[1].total_seconds() >= 0.4


def test_without_retries_a_failure_is_final_and_with_them_it_ends(ws, write_notebook):
    write_notebook("a.ipynb", "1 / 0")
    for retries, runs in (0, 1), (1, 3):
        def flow(): step("a", retries=retries, backoff_s=0)
        with pytest.raises(RunFailed, match="ZeroDivisionError"): ws.pipelines.run(flow)
        assert len(ws.runs.search()) == runs


MEET = "import pathlib, threading\npathlib.Path(f'{me}-is-here').touch()\nfor _ in range(600):\n    if pathlib.Path(f'{other}-is-here').exists(): break\n    threading.Event().wait(0.05)\nelse: raise RuntimeError('the other never came')"


def test_independent_steps_run_side_by_side(ws, write_notebook):
    "Each waits for the other: in a row, neither would end."
    write_notebook("meet.ipynb", MEET, parameters="me: str = ''\nother: str = ''")
    def flow():
        step("meet", me="a", other="b")
        step("meet", me="b", other="a")
    assert ws.pipelines.run(flow, jobs=2).status == "succeeded"


def test_a_pause_holds_no_place(ws, write_notebook):
    "With one job at a time, a step that waits for its retry lets the next one pass, which mends it."
    write_notebook("a.ipynb", "import pathlib; assert pathlib.Path('mended').exists()")
    write_notebook("b.ipynb", "open('mended', 'w').close()")
    def flow():
        step("a", retries=1, backoff_s=1)
        step("b")
    assert [one.attempts for one in ws.pipelines.run(flow, jobs=1).steps] == [2, 1]


# ---- killed, interrupted, two at once

WAITING = "import pathlib, threading\npathlib.Path('here').touch()\nwhile not pathlib.Path('go').exists(): threading.Event().wait(0.05)"
FLOW = "@pipeline\ndef flow(n: int = 1):\n    a = step('a', fresh=True)\n    b = step('b', x=a['x'])\n    step('c', after=b, n=n)"


@pytest.fixture
def at_work(ws, write_notebook, write_pipeline, tmp_path):
    "A pipeline in a process of its own, in the middle of its second step."
    ws.datasets.add("t", pd.DataFrame({"x": [1]}))
    write_notebook("a.ipynb", f"{RUN}; run.use('t'); run.tag(x='text')")
    write_notebook("b.ipynb", WAITING, parameters="x: str = ''")
    write_notebook("c.ipynb", "print(n)", parameters="n: int = 1")
    process = start("pipeline", "run", write_pipeline(FLOW), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for((tmp_path / "here").exists, what="the second step")
    yield process
    if process.poll() is None: process.kill()
    process.communicate()


@pytest.mark.parametrize("sent, status, code", [(signal.SIGKILL, "lost", -9), (signal.SIGINT, "cancelled", 130)])
def test_pipeline_that_was_broken_off_goes_on_at_its_first_unfinished_step(at_work, cli, cli_json, ws, tmp_path, sent, status, code):
    at_work.send_signal(sent)
    assert at_work.wait(30) == code
    before = cli_json("pipeline", "show", "flow")
    assert (before["status"], [one["state"] for one in before["steps"]]) == (status, ["succeeded", status, "waiting"])
    assert ws.runs[before["steps"][1]["run_id"]].status == status
    ws.datasets.add("t", pd.DataFrame({"x": [2]}))  # what the first step read has moved since
    (tmp_path / "go").touch()
    done = cli("pipeline", "run", "flow.py:flow")
    assert done.returncode == 0, done.stderr
    after = cli_json("pipeline", "show", "flow")
    assert (after["id"], after["status"]) == (before["id"], "succeeded")
    assert after["steps"][0]["run_id"] == before["steps"][0]["run_id"] and after["steps"][1]["run_id"] != before["steps"][1]["run_id"]
    assert cli("pipeline", "run", "flow.py").returncode == 0
    assert len(ws.pipelines.list("flow")) == 2  # one that has ended is not taken up


def test_finished_step_of_a_broken_off_pipeline_is_done_again_when_its_code_changed(at_work, cli, ws, write_notebook, tmp_path):
    at_work.kill(); at_work.wait(30)
    before = ws.pipelines["flow"]
    write_notebook("a.ipynb", f"{RUN}; run.tag(x='other')")
    (tmp_path / "go").touch()
    assert cli("pipeline", "run", "flow.py").returncode == 0
    after = ws.pipelines["flow"]
    assert after.id == before.id and after["a"].id != before["a"].id and after["b"].params == {"x": "other"}


def test_other_parameters_or_another_graph_begin_a_new_execution(at_work, cli, ws, write_pipeline, tmp_path):
    at_work.kill(); at_work.wait(30)
    (tmp_path / "go").touch()
    assert cli("pipeline", "run", "flow.py", "-p", "n", "2").returncode == 0
    write_pipeline(FLOW.replace("after=b, ", "after=[a, b], name='last', "))
    assert cli("pipeline", "run", "flow.py").returncode == 0
    assert sorted(run.status for run in ws.pipelines.list()) == ["lost", "succeeded", "succeeded"]


def test_second_process_is_told_that_the_first_is_at_work(at_work, cli, ws, tmp_path):
    done = cli("pipeline", "run", "flow.py")
    assert done.returncode == 1 and f"in process {at_work.pid}" in done.stderr
    assert ws.pipelines["flow"].status == "running"
    with pytest.raises(Busy): ws.pipelines.run(load_pipeline("flow.py", ws.root))
    (tmp_path / "go").touch()
    assert at_work.wait(60) == 0
    assert [run.status for run in ws.pipelines.list()] == ["succeeded"]


def test_execution_without_a_heartbeat_is_lost_wherever_it_was(ws, write_notebook):
    write_notebook("a.ipynb", "print(1)", parameters="n: int = 1")
    id = ws.pipelines.run(one).id
    with ws.store.write() as connection: connection.execute(sa.update(db.pipeline_runs).values(status="running", host="elsewhere", heartbeat="2026-01-01T00:00:00.000000+00:00"))
    assert ws.pipelines[id].status == "lost"


# ---- front doors

def test_command_line_shows_and_draws(cli, cli_json, write_notebook, write_pipeline, tmp_path):
    write_notebook("a.ipynb", f"{RUN}; run.tag(x=1)")
    write_notebook("b.ipynb", "1 / 0", parameters="x: str = ''")
    flow = write_pipeline("@pipeline\ndef flow():\n    step('b', x=step('a')['x'], name='<b>')\n@pipeline\ndef second(n: int = 1): step('a')")
    drawn = cli("pipeline", "graph", f"{flow}:flow")
    assert drawn.returncode == 0 and "waiting" in drawn.stdout
    done = cli("pipeline", "run", f"{flow}:flow")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("mlops-nb: pipeline flow: step <b>: b.ipynb failed in cell 2: ZeroDivisionError")
    assert "a: succeeded in" in done.stderr and "Traceback" not in done.stderr
    shown = cli("pipeline", "show", "flow").stdout
    assert "failed" in shown and "ZeroDivisionError" in shown and "[" not in shown.replace("[]", "")
    assert "<b>  failed" in cli("pipeline", "graph", "flow").stdout
    assert cli("pipeline", "graph", "flow", "-o", "g.svg").returncode == 0
    root = ElementTree.parse(tmp_path / "g.svg").getroot()
    assert root.get("role") == "img" and "<b> failed, after a" in root.get("aria-label")
    assert cli("pipeline", "graph", "flow", "-o", "g.html").returncode == 0 and "<b>&lt;" not in (tmp_path / "g.html").read_text()
    assert [(one["name"], one["status"]) for one in cli_json("pipeline", "ls")] == [("flow", "failed")]
    ended = json.loads(cli("pipeline", "run", f"{flow}:second", "--json").stdout)
    assert (ended["status"], ended["steps"][0]["reused"]) == ("succeeded", True)


@pytest.mark.parametrize("words, says", [
    (("run", "nosuch.py:flow"), "nosuch.py does not exist"),
    (("run", "nosuch.module:flow"), "No module named"),
    (("run", "flow.py:nosuch"), "flow.py declares flow, second"),
    (("run", "flow.py"), "flow.py:NAME"),
    (("run", "broken.py:flow"), "SyntaxError"),
    (("run", "flow.py:flow", "-p", "m", "1"), "no parameter 'm'"),
    (("run", "flow.py:flow", "-p", "n", "many"), "allowed is int"),
    (("run", "flow.py:flow", "-p", "n", "11"), "in [1, 10]"),
    (("run", "flow.py:second"), "two steps are named 'x'"),
    (("show", "nosuch"), "mlops-nb pipeline run"),
    (("graph", "flow.py:flow", "-o", "g.png"), ".svg or .html"),
])
def test_what_cannot_be_is_one_line_and_status_2(cli, ws, write_notebook, write_pipeline, words, says):
    write_notebook("a.ipynb", "print(1)")
    write_pipeline("@pipeline\ndef flow(\n    n: int = 1,  # in [1, 10]\n): step('a')\n@pipeline\ndef second(): step('a', name='x'), step('a', name='x')")
    write_pipeline("def (", "broken.py")
    done = cli("pipeline", *words)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and says in done.stderr
    assert ws.runs.search() == []


def test_picture_in_a_notebook_is_escaped_and_said_in_words():
    name = "<script>alert('x')</script> & \"more\""
    picture = svg([StepRun(name, "a", (), "failed", reason="<img src=x>"), StepRun("b", "b", (name,), "skipped")], name)
    root = ElementTree.fromstring(picture)
    assert {node.tag.rpartition("}")[2] for node in root.iter()} == {"svg", "path", "circle", "g", "title", "rect", "text"}
    assert root.get("aria-label").endswith(f"b skipped, after {name}")


@given(strategies.lists(strategies.sets(strategies.integers(0, 9), max_size=3), max_size=10))
def test_every_step_is_drawn_once_and_after_all_that_it_needs(needs):
    steps = [StepRun(f"{n}", "a", tuple(f"{need}" for need in sorted(of) if need < n)) for n, of in enumerate(needs)]
    column = {one.name: place for place, group in enumerate(levels(steps)) for one in group}
    assert len(column) == len(steps) and all(column[need] < column[one.name] for one in steps for need in one.needs)
    assert len(ElementTree.fromstring(svg(steps)).findall("{*}g")) == len(steps)
