"Each rule found where it is broken, none where it is not."
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter, BadTable, NotFound
from mlops_nb.data.expectations import ColumnRule, Expectations, infer
from mlops_nb.data.validation import validate
from data_tables import tables

GOOD = pd.DataFrame({"carrier": ["UA", "DL", "B6"], "distance": [1400, 762, 1576], "delay": [3.5, -7.0, np.nan], "late": [True, False, False],
                     "scheduled": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-03"])})
EXPECTED = infer(GOOD)

def only_breach(table, expectations=EXPECTED):
    report = validate(table, expectations)
    assert len(report.breaches) == 1 and not report.ok
    json.dumps(report.asdict(), allow_nan=False)
    assert report.breaches[0].message in str(pytest.raises(BadTable, report.require).value)
    return report.breaches[0]


@settings(deadline=None, max_examples=200)
@given(tables(least=1, but=("object",)), st.sampled_from([0.0, 0.5, 1e300]))
def test_a_clean_table_meets_what_was_inferred_from_it(table, margin):
    expectations = infer(table, margin)
    assert [breach.message for breach in validate(table, expectations).breaches] == []
    assert Expectations.from_dict(json.loads(json.dumps(expectations.asdict(), allow_nan=False))) == expectations
    expectations._repr_html_()


def test_a_missing_column_is_found():
    breach = only_breach(GOOD.drop(columns="distance"))
    assert (breach.column, breach.rule, breach.message, breach.share) == ("distance", "missing column", "distance: the column is missing", 1.0)


@pytest.mark.parametrize("column, values, count, sample", [
    ("distance", ["1400", "762", "1576"], 3, ("1400", "762", "1576")),
    ("distance", [1400, "n/a", 1576], 1, ("n/a",)),
    ("distance", [1400, 762.5, 1576], 1, (762.5,)),
    ("delay", [True, False, True], 3, (True, False)),
    ("carrier", [1, 2, 3], 3, (1, 2, 3)),
    ("late", [0, 1, 0], 3, (0, 1)),
    ("scheduled", ["2013-01-01", "2013-01-02", "2013-01-03"], 3, ("2013-01-01", "2013-01-02", "2013-01-03")),
    ("carrier", [["UA"], "DL", "B6"], 1, (["UA"],))])
def test_a_wrong_type_is_found(column, values, count, sample):
    breaches = [b for b in validate(GOOD.assign(**{column: pd.Series(values).astype(object)}), EXPECTED).breaches if b.rule == "type"]
    assert [(b.column, b.count, b.sample) for b in breaches] == [(column, count, sample)]


@pytest.mark.parametrize("column, values", [
    ("distance", pd.Series([1400.0, 762.0, 1576.0])), ("distance", pd.Series([1400, 762, 1576], dtype="Int16")), ("distance", pd.Series([1400, 762, 1576]).astype("category")),
    ("distance", pd.Series([1400, 762.0, Decimal(1576)], dtype=object)), ("distance", pd.Series([1400, 762, 1576], dtype="int32[pyarrow]")),
    ("delay", pd.Series([3, -7, None], dtype="Int64")), ("delay", pd.Series([None] * 3)), ("carrier", pd.Series(["UA", "DL", "B6"]).astype("category")),
    ("carrier", pd.Series(["UA", "DL", "B6"], dtype=object)), ("late", pd.Series([True, False, False], dtype="boolean")),
    ("scheduled", pd.Series([date(2013, 1, 1)] * 3)), ("scheduled", GOOD.scheduled.dt.tz_localize("UTC"))])
def test_the_same_values_in_another_dtype_are_no_breach(column, values):
    assert validate(GOOD.assign(**{column: values}), EXPECTED).breaches == ()


def test_missing_values_are_found():
    breach = only_breach(GOOD.assign(distance=[1400, None, None]))
    assert (breach.rule, breach.message, breach.count, breach.share) == ("missing values", "distance: 2 rows without a value", 2, 2 / 3)


@pytest.mark.parametrize("distance, message", [(-1400, "distance: 1 row below 355.0 (e.g. -1400)"), (9999, "distance: 1 row above 1983.0 (e.g. 9999)")])
def test_a_value_out_of_range_is_found(distance, message):
    breach = only_breach(GOOD.assign(distance=[1400, 762, distance]))
    assert (breach.rule, breach.message, breach.sample) == ("range", message, (distance,))


def test_an_infinity_is_out_of_range_and_still_json():
    assert only_breach(GOOD.assign(delay=[np.inf, 0, 0])).sample == ("inf",)


def test_an_unknown_value_is_found():
    breach = only_breach(GOOD.assign(carrier=["UA", "XX", "XX"]))
    assert (breach.rule, breach.message, breach.count, breach.sample) == ("unknown value", "carrier: 2 rows with an unknown value (e.g. 'XX')", 2, ("XX",))


def test_a_repeated_value_of_a_unique_column_is_found():
    breach = only_breach(GOOD.assign(distance=[762, 1576, 762]), EXPECTED.change("distance", unique=True))
    assert (breach.column, breach.rule, breach.count, breach.sample) == ("distance", "duplicate key", 1, (762,))


def test_a_repeated_key_is_found():
    breach = only_breach(pd.concat([GOOD, GOOD.iloc[[1]]]), replace(EXPECTED, unique_key=("carrier", "scheduled")))
    assert (breach.column, breach.rule, breach.count, breach.sample) == ("carrier, scheduled", "duplicate key", 1, (["DL", "2013-01-02 00:00:00"],))


def test_a_key_without_one_of_its_columns_is_one_breach():
    assert only_breach(GOOD.assign(distance=1000).drop(columns="carrier"), replace(EXPECTED, unique_key=("carrier", "distance"))).rule == "missing column"


@pytest.mark.parametrize("rows, min_rows", [(0, 1), (3, 4)])
def test_too_few_rows_are_found(rows, min_rows):
    breach = only_breach(GOOD.iloc[:rows], replace(EXPECTED, min_rows=min_rows))
    assert (breach.column, breach.rule, breach.count) == (None, "too few rows", rows)


def test_an_empty_table_is_accepted_where_it_is_expected():
    assert validate(GOOD.iloc[:0], replace(EXPECTED, min_rows=0)).ok


def test_every_breach_of_a_table_is_reported_at_once_and_the_table_is_left_alone():
    table = GOOD.assign(carrier=["UA", "XX", None], distance=[-1, 10**6, 762], gate="A1").drop(columns="late").set_index(pd.Index([7, 7, 7]))
    before = table.copy()
    report = validate(table, replace(EXPECTED, min_rows=10))
    assert [(b.column, b.rule) for b in report.breaches] == [("late", "missing column"), ("carrier", "missing values"), ("carrier", "unknown value"), ("distance", "range"), ("distance", "range"), (None, "too few rows")]
    assert report.extra == ("gate",)
    assert len(str(pytest.raises(BadTable, report.require).value).splitlines()) == 6
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("table, message", [
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column is named a"), (GOOD.iloc[:0], "without rows"), (pd.DataFrame(index=range(3)), "without rows or columns"),
    (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), r"column a mixes types \(int, str\)"), (None, "a NoneType is no table")])
def test_nothing_is_inferred_from_a_bad_table(table, message):
    with pytest.raises(BadTable, match=message): infer(table)


def test_a_table_with_two_columns_of_one_name_is_not_validated():
    with pytest.raises(BadTable, match="more than one column"): validate(pd.concat([GOOD, GOOD], axis=1), EXPECTED)


def test_a_range_that_cannot_be_compared_is_an_error_and_not_a_pass():
    with pytest.raises(BadTable, match="a cannot be checked for below"): validate(pd.DataFrame({"a": ["x"]}), Expectations({"a": ColumnRule(min=0)}))


@pytest.mark.parametrize("rule", [{"type": "int"}, {"type": "string", "min": 0}])
def test_an_impossible_rule_is_refused(rule):
    with pytest.raises(BadParameter): Expectations.from_dict({"columns": {"a": rule}})


def test_a_key_of_columns_without_rules_is_refused():
    with pytest.raises(BadParameter, match="the key holds b"): Expectations({"a": ColumnRule()}, unique_key=("a", "b"))


def test_pandera_switched_off_does_not_switch_a_gate_off():
    import pandera.config
    for switch in ({"validation_enabled": False}, {"validation_depth": "SCHEMA_ONLY"}):
        with pandera.config.config_context(**switch): assert not validate(GOOD.assign(distance=-1), EXPECTED).ok


def test_markup_in_names_and_values_is_escaped():
    expectations = infer(pd.DataFrame({"<i>n": ["<i>v"]}))
    shown = expectations._repr_html_() + validate(pd.DataFrame({"<i>n": ["<i>w"], "<i>x": [1]}), expectations)._repr_html_()
    assert "<i>" not in shown and "&lt;i&gt;w" in shown


def test_a_misspelt_rule_is_named():
    with pytest.raises(BadParameter, match="the rule of a has no .minimum.: write type, nullable, min, max"): Expectations.from_dict({"columns": {"a": {"minimum": 0}}})


ROWS = pd.DataFrame({"n": [1.0, -5.0, None, 7.0], "code": ["a", "x", "a", "b"], "when": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-03", None])})
RULE_OF = {"n": ColumnRule("number", nullable=False, min=0), "code": ColumnRule("string", values=("a", "b"))}


@pytest.mark.parametrize("table, n, code, outcome, aside", [
    ("refuse", None, None, "refused", []), ("warn", None, None, "warned", []), ("quarantine", None, None, "quarantined", [1, 2]),
    ("warn", "quarantine", None, "quarantined", [1, 2]), ("warn", {"range": "quarantine"}, None, "quarantined", [1]), ({"missing values": "quarantine"}, {"range": "warn"}, "warn", "quarantined", [2]), ("quarantine", None, "refuse", "refused", [1, 2])])
def test_policy_of_the_rule_then_the_column_then_the_table_is_what_follows(table, n, code, outcome, aside):
    expectations = Expectations({"n": replace(RULE_OF["n"], policy=n), "code": replace(RULE_OF["code"], policy=code)}, policy=table)
    report = validate(ROWS, expectations)
    assert (report.outcome, report.divide(ROWS)[1].index.tolist()) == (outcome, aside)
    if outcome == "refused":
        with pytest.raises(BadTable): report.require()
    else: report.require()


@pytest.mark.parametrize("made, says", [
    (lambda: ColumnRule(policy="ignore"), "'ignore' is no policy: write warn, quarantine, refuse"), (lambda: ColumnRule(policy={"colour": "warn"}), "'colour' is no rule"), (lambda: Expectations({}, policy={"drift": "quarantine"}), "no rows to quarantine"),
    (lambda: Expectations({"a": ColumnRule(max_psi=0.1)}), "no reference to be near to"), (lambda: Expectations({}, max_age="2 days"), "time_column and max_age"), (lambda: Expectations({}, time_column="t", max_age="long"), "no span of time"),
    (lambda: Expectations.from_yaml("- a"), "have columns"), (lambda: Expectations.from_yaml("columns: {a: 3}"), "the rule of a is 3"), (lambda: Expectations.from_yaml("columns: {}\nowner: me"), "has no 'owner'"), (lambda: Expectations.from_yaml("a: [1"), "are no YAML")])
def test_what_nobody_can_mean_is_refused_when_it_is_written(made, says):
    with pytest.raises(BadParameter, match=says) as refused: made()
    assert "\n" not in str(refused.value)


@example({"a": ColumnRule(values=("\x85", "\u2028 b", "c\u2029", "\n", "\t", "\ufeff", " "))}, None)
@given(st.dictionaries(st.text("abc é:'#", min_size=1, max_size=5), st.builds(ColumnRule, type=st.sampled_from([None, "string", "boolean"]), nullable=st.booleans(), values=st.one_of(st.none(), st.lists(st.one_of(st.booleans(), st.integers(), st.text(max_size=4)), max_size=3).map(tuple)), policy=st.sampled_from([None, "warn", {"type": "quarantine"}])), max_size=4), st.sampled_from([None, "t@1"]))
def test_yaml_reads_back_as_it_was_written(columns, reference):
    expectations = Expectations(columns, reference=reference, policy={"drift": "warn"})
    back = Expectations.from_yaml(expectations.to_yaml())
    assert back == expectations and list(back.columns) == list(columns)


def test_breach_names_column_rule_count_and_rows_and_is_kept_with_the_run(ws, monkeypatch):
    from mlops_nb.runs.run import begin_run
    run = begin_run(ws, "a.ipynb")
    monkeypatch.setenv("MLOPS_RUN", run.id)
    ws.datasets.add("t", ROWS)
    report = ws.datasets.validate("t", Expectations({"n": ColumnRule(min=0), "gate": ColumnRule()}, policy={"missing column": "warn"}))
    kept = run.record.read_json("validation")
    assert kept == json.loads(json.dumps(report.asdict())) and kept["outcome"] == "refused"
    assert [(breach["column"], breach["rule"], breach["count"], breach["policy"], [row["row"] for row in breach["rows"]]) for breach in kept["breaches"]] == [("gate", "missing column", 4, "warn", []), ("n", "range", 1, "refuse", [1])]


def test_drift_beyond_chance_is_a_breach_and_chance_is_none(ws):
    rng = np.random.default_rng(0)
    ws.datasets.add("t", pd.DataFrame({"x": rng.normal(size=5000), "kind": rng.choice(["a", "b"], 5000)}))
    expectations = Expectations({"x": ColumnRule(max_psi=0.1, policy="warn"), "kind": ColumnRule(max_psi=0.1)}, reference="t@1")
    for name, x, kind, rules in (("same", rng.normal(size=5000), ["a", "b"], []), ("few", rng.normal(size=200), ["a", "b"], []), ("moved", rng.normal(1, 1, 5000), ["a", "b"], ["x"]), ("new", rng.normal(size=5000), ["a", "c"], ["kind"])):
        ws.datasets.add(name, pd.DataFrame({"x": x, "kind": rng.choice(kind, len(x))}))
        assert [breach.column for breach in ws.datasets.validate(name, expectations).breaches] == rules, name


def test_stale_table_is_told_from_a_fresh_one():
    expectations = Expectations({}, time_column="when", max_age="36h")
    at = datetime(2013, 1, 4, 11, tzinfo=UTC)
    assert validate(ROWS, expectations, at=at).ok
    assert [breach.rule for breach in validate(ROWS, expectations, at=at + timedelta(hours=2)).breaches] == ["stale"]
    with pytest.raises(BadTable, match="holds no points in time"): validate(ROWS.assign(when="soon"), expectations)


def test_table_that_is_refused_at_the_door_adds_nothing_and_one_with_odd_rows_loses_none(ws):
    ws.expectations.add("t", Expectations({"n": ColumnRule(min=0)}))
    with pytest.raises(BadTable, match="n: 1 row below 0"): ws.datasets.admit("t", ROWS, "t")
    assert ws.datasets.list() == []
    assert ws.expectations.add("t", Expectations({"n": ColumnRule(min=0, policy="quarantine")}, policy="warn")).ref == "t@2"
    version, report = ws.datasets.admit("t", ROWS, "t")
    aside = ws.datasets["t-quarantine"]
    assert (version.rows, aside.rows, aside.parents, report.quarantined) == (3, 1, ("t@1",), 1) and "1 row below 0" in aside.description
    with pytest.raises(NotFound, match="versions 1 to 2"): ws.expectations["t@3"]


def test_expectations_by_hand(ws, cli, cli_json, tmp_path):
    ROWS.to_csv(tmp_path / "t.csv", index=False)
    assert cli("data", "add", "t", "t.csv", "--tag", "x").returncode == 0
    (tmp_path / "t.yaml").write_text(cli("data", "expect", "t", "--like", "t").stdout.replace("min: -11.0", "min: 0, policy: quarantine"))
    assert cli("data", "expect", "t", "--file", "t.yaml").stdout.startswith("# t@1\n")
    done = cli("data", "validate", "t")
    assert done.returncode == 0 and "quarantine: n: 1 row below 0" in done.stdout and "1 rows to put aside" in done.stdout
    added = cli("data", "add", "t", "t.csv", "--against", "t", "--append")
    assert added.returncode == 0 and "t@2: 7 rows" in added.stdout and "quarantine: n" in added.stderr
    ROWS.drop(columns="code").to_csv(tmp_path / "bad.csv", index=False)
    refused = cli("data", "add", "u", "bad.csv", "--against", "t")
    assert refused.returncode == 2 and refused.stderr == "mlops-nb: code: the column is missing\n"  # the other breach has rows to put aside
    assert [row["name"] for row in cli_json("data", "ls", "--text", "T", "--tag", "x")] == ["t"]
    assert cli_json("data", "diff", "t@1", "t@2")["added"] == 3


def test_values_that_tell_about_persons_are_in_no_report(ws):
    table = pd.DataFrame({"name": ["ada", None, "grace"], "age": [200, 30, 40]})
    ws.datasets.add("people", table, pii=("name",))
    report = ws.datasets.validate("people", Expectations({"name": ColumnRule(nullable=False), "age": ColumnRule(max=120)}))
    assert [breach.rows[0]["name"] for breach in report.breaches] == ["…", "…"] and report.breaches[1].rows[0]["age"] == 200 and "ada" not in str(report.asdict())
    with pytest.raises(BadTable) as refused: ws.datasets.admit("people", table, Expectations({"name": ColumnRule(values=("grace",))}))
    assert "ada" not in str(refused.value)
