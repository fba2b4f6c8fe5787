"Features as of a moment, held against a slow and obvious way; the online store under faults; offline, batch and online say the same."
import signal, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_nb.base.errors import BadParameter, BadTable, MLOpsError, NotFound
from mlops_nb.promotion.gates import Case, ask
from mlops_nb.promotion.provenance_gates import feature_parity
from mlops_nb.runs.run import begin_run
from mlops_nb.features.feature_views import FeatureView, as_of, feature_view
from mlops_nb.app.workspace import Workspace

START = pd.Timestamp("2013-01-01", tz="UTC")
MODULE = """import pandas as pd
from mlops_nb.features.feature_views import feature_view

@feature_view(entity=["origin"], event_time="at", ttl="6h", sources={"weather": ["origin", "at", "wind", "sky"]}, owner="ada")
def airport(weather):
    "The weather at an airport."
    return weather.assign(strong=weather.wind > 8, seen=weather["at"])
"""
WEATHER = pd.DataFrame({"origin": ["JFK", "JFK", "EWR", "LGA"], "at": START + pd.to_timedelta([1, 3, 2, -20], unit="h"), "wind": [0.1 + 0.2, 12.0, None, 7.0], "sky": ["clear", None, "ü", "rain"], "unused": 1})
NOW = (START + pd.Timedelta(hours=4)).to_pydatetime()


def moments(hours) -> pd.Series: return pd.Series([pd.NaT if hour is None else START + pd.Timedelta(hours=hour) for hour in hours], dtype="datetime64[us, UTC]")


def view(created: bool = False, ttl: str | None = "6h") -> FeatureView:
    return feature_view(["k", "g"], "e", {}, ttl, "c" if created else None)(lambda: None)


keys = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2]))
hours = st.one_of(st.none(), st.integers(0, 20))


@given(st.lists(st.tuples(keys, hours), min_size=1, max_size=15), st.lists(st.tuples(keys, hours, hours, st.one_of(st.none(), st.integers(0, 9))), max_size=25), st.booleans(), st.sampled_from([None, "1h", "6h"]))
@settings(deadline=None, max_examples=80)
def test_join_is_that_of_a_slow_and_obvious_one(asked, facts, created, ttl):
    "Of the events at or before the moment, known by then and young enough, the latest; of equal ones that which became known later, then that which stands later."
    spine = pd.DataFrame({"k": pd.Series([k for (k, _), _ in asked], dtype="str"), "g": [g for (_, g), _ in asked], "t": moments([t for _, t in asked])})
    values = pd.DataFrame({"k": pd.Series([k for (k, _), *_ in facts], dtype="str"), "g": pd.Series([g for (_, g), *_ in facts], dtype="int64"), "e": moments([e for _, e, _, _ in facts]), "c": moments([c for _, _, c, _ in facts]), "v": pd.array([v for *_, v in facts], dtype="Int64")})
    slow = []
    for key, t in asked:
        known = [((e, c if created else 0, at), v) for at, (other, e, c, v) in enumerate(facts) if None not in (*key, t, e) and other == key and e <= t and (ttl is None or t - e <= pd.Timedelta(ttl) / pd.Timedelta(hours=1)) and (not created or c is not None and c <= t)]
        slow.append(max(known)[1] if known else None)
    found = as_of(spine, values if created else values.drop(columns="c"), view(created, ttl), "t")
    assert found["v"].to_pylist() == slow


def test_training_set_keeps_the_spine_and_takes_nothing_from_after_its_moment(ws):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_a.py").write_text(MODULE)
    spine = pd.DataFrame({"origin": ["JFK", "JFK", "EWR", "LGA", "XXX"], "t": moments([3, 2, 2, 4, 4]).array, "y": range(5)}, index=[9, 9, 7, 5, 3])
    known = ws.features.training_set(spine, ["airports_a:airport"], time="t")
    pd.testing.assert_frame_equal(known[["origin", "t", "y"]], spine)
    assert known.wind.tolist()[:2] == [12.0, 0.1 + 0.2] and known.wind[2:].isna().all()
    assert known.sky.tolist()[2] == "ü" and known.strong.tolist() == [True, False, False, None, None] and list(known) == ["origin", "t", "y", "wind", "sky", "strong", "seen"]
    assert "unused" not in known  # it was not declared, so it was not given


@pytest.mark.parametrize("spine, says", [
    (pd.DataFrame({"t": moments([1])}), "the spine has no column 'origin'"), (pd.DataFrame({"origin": ["JFK"]}), "the spine has no column 't'"), (pd.DataFrame({"origin": ["JFK"], "t": ["soon"]}), "has to hold points in time"),
    (pd.DataFrame({"origin": ["JFK"], "t": moments([1]), "wind": [1]}), "wind is a column of the spine and of view airport"), (pd.DataFrame({"origin": [4], "t": moments([1])}), "key origin is int64 in the spine, and string in view airport")])
def test_spine_that_does_not_fit_is_refused_in_one_line(ws, spine, says):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_b.py").write_text(MODULE)
    with pytest.raises(BadTable, match=says) as refused: ws.features.training_set(spine, ["airports_b:airport"], time="t")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("made, says", [
    (lambda weather: 3, "returned a int"), (lambda weather: weather.drop(columns="origin"), "no column 'origin'"), (lambda weather: weather.assign(at="soon"), "has to hold points in time"), (lambda weather: weather[["origin", "at"]], "no feature besides")])
def test_view_that_is_none_is_refused_and_nothing_registered(ws, made, says):
    ws.datasets.add("weather", WEATHER)
    spine = pd.DataFrame({"origin": ["JFK"], "t": moments([1])})
    with pytest.raises(BadTable, match=says): ws.features.training_set(spine, [feature_view(["origin"], "at", {"weather": ["origin", "at"]})(made)], time="t")
    with pytest.raises(BadTable, match="has no column 'gate'"): ws.features.training_set(spine, [feature_view(["origin"], "at", {"weather": ["gate"]})(made)], time="t")
    for how in dict(entity=[]), dict(ttl="-1h"), dict(sources={"../x": []}):
        with pytest.raises(MLOpsError): feature_view(**dict(entity=["origin"], event_time="at", sources={}) | how)
    with pytest.raises(NotFound, match="no feature view 'nosuch'"): ws.features["nosuch"]
    with pytest.raises(MLOpsError): ws.features["../x"]
    assert ws.features.list() == []


def test_values_online_are_the_latest_and_young_enough_to_the_bit(ws):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_c.py").write_text(MODULE)
    assert ws.features.materialize("airports_c:airport", until=NOW).rows == 3
    get = lambda origin, at=NOW: ws.features.get_online("airport", {"origin": origin}, at=at)
    assert get("JFK") == {"wind": 12.0, "sky": None, "strong": True, "seen": START + pd.Timedelta(hours=3)}
    assert get("EWR") == {"wind": None, "sky": "ü", "strong": False, "seen": START + pd.Timedelta(hours=2)}
    missing = dict.fromkeys(["wind", "sky", "strong", "seen"])
    assert get("LGA") == get("XXX") == get("JFK", (START + pd.Timedelta(hours=10)).to_pydatetime()) == missing
    early = (START + pd.Timedelta(hours=2)).to_pydatetime()
    with pytest.raises(BadParameter, match="of a later moment"): ws.features.materialize("airport", until=early)
    with pytest.raises(BadParameter, match="looked up by origin"): ws.features.get_online("airport", {"gate": 1})
    with pytest.raises(NotFound, match="materialize wind"): ws.features._entities.update(wind=("origin",)) or ws.features.get_online("wind", {"origin": "JFK"})
    assert ws.features.statistics("airport")["sky"].categories == {"rain": 1, "ü": 1}
    assert ws.features.lineage("airport") == {"wind": ("weather.wind",), "sky": ("weather.sky",), "strong": ("weather.wind",), "seen": ()}


def test_three_ways_agree_and_a_difference_is_found(ws):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_d.py").write_text(MODULE)
    ws.features.materialize("airports_d:airport", until=NOW)
    parity = ws.features.parity("airport")
    assert parity.ok and (parity.keys, parity.values) == (3, 12) and ws.datasets["features-airport"].parents == ("weather@1",)
    ws.datasets.add("weather", WEATHER.assign(wind=1.0))  # newer rows do not blur what was materialized
    assert ws.features.parity("airport").ok and ws.features.freshness("airport", at=NOW).behind == ("weather@2",)
    store = ws.features.online
    store.write("airport", 1, int(NOW.timestamp() * 1e6), store.get("airport", ["JFK"]).spec, [(["JFK"], int(NOW.timestamp() * 1e6), [12.000000000000002, None, True, None])])
    wrong = ws.features.parity("airport").differences
    assert {"JFK", "EWR"} == {row["key"]["origin"] for row in wrong} and ("12.0", "12.0", "12.000000000000002") in [(row["offline"], row["batch"], row["online"]) for row in wrong]


def test_changed_view_is_another_version_and_is_not_served_as_the_old_one(ws):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_e.py").write_text(MODULE)
    first = ws.features.materialize("airports_e:airport", until=NOW)
    assert ws.features.register("airports_e:airport").ref == "airport@1" == first.view
    (ws.root / "airports_e.py").write_text(MODULE.replace("> 8", "> 5"))
    fresh = Workspace(ws.root)
    with pytest.raises(MLOpsError, match="has changed since airport@1 was registered"): fresh.features.parity("airport")
    assert fresh.features.register("airports_e:airport").ref == "airport@2"
    with pytest.raises(NotFound, match="the online store has airport@1, and airport@2 is registered"): fresh.features.parity("airport")
    assert "airport@2" in fresh.features.freshness("airport", at=NOW).behind


def _case(ws, run): return Case(ws.models, type("Version", (), {"run_id": run.id, "ref": "m@1"})(), None, None)


def test_gate_asks_for_the_views_that_a_model_learned_from(ws, monkeypatch):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_f.py").write_text(MODULE)
    run = begin_run(ws, "a.ipynb")
    assert feature_parity(_case(ws, run))[0] == "pass"
    monkeypatch.setenv("MLOPS_RUN", run.id)
    ws.features.register("airports_f:airport")
    ws.features.training_set(pd.DataFrame({"origin": ["JFK"], "t": moments([3])}), ["airport"], time="t")
    monkeypatch.delenv("MLOPS_RUN")
    assert set(run.record.inputs) >= {"weather@1"}
    found = ask({"feature_parity": {}}, _case(ws, run))[0]
    assert found.outcome == "cannot tell" and "features materialize airport" in found.message
    ws.features.materialize("airport", until=NOW)
    assert feature_parity(_case(ws, run))[:2] == ("pass", "12 values of 3 keys of airport@1 are the same offline, in batch and online")
    store = ws.features.online
    store.write("airport", 1, int(NOW.timestamp() * 1e6), store.get("airport", ["JFK"]).spec, [])
    assert feature_parity(_case(ws, run))[0] == "fail"


def _materialize(job):
    root, hour = job
    try: return Workspace(root).features.materialize("airport", until=(START + pd.Timedelta(hours=hour)).to_pydatetime()).until
    except BadParameter as error: return str(error)


def test_two_at_once_leave_the_later_moment(ws):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_g.py").write_text(MODULE)
    ws.features.register("airports_g:airport")
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool: said = list(pool.map(_materialize, [(str(ws.root), hour) for hour in (5, 1, 4, 2)]))
    assert all("of a later moment" in one or one.startswith("2013-01-01T0") for one in said)
    assert ws.features.online.until("airport")[1] == int((START + pd.Timedelta(hours=5)).timestamp() * 1e6)
    assert ws.features.parity("airport").ok


def test_killed_while_writing_leaves_the_old_values(ws):
    store = ws.features.online
    store.write("v", 1, 1, {"features": ["x"]}, ([[n], 0, [n]] for n in range(1000)))
    program = f"from mlops_nb.features.online_store import OnlineStore\nfrom pathlib import Path\ndef rows():\n    for n in range(10**9):\n        if n == 500: print('half', flush=True)\n        yield [n], 1, [-n]\nOnlineStore(Path({str(store.file)!r})).write('v', 2, 2, {{'features': ['x']}}, rows())"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "half\n"
    assert store.get("v", [7]).values == (7,)  # readers go on meanwhile
    process.send_signal(signal.SIGKILL); process.wait(); process.stdout.close()
    assert (store.get("v", [7]).values, store.get("v", [7]).version) == ((7,), 1)
    assert store.write("v", 2, 2, {"features": ["x"]}, [([7], 1, [8])]) and store.get("v", [7]).values == (8,)


def test_store_that_cannot_be_written_says_so_and_serves_on(ws, tmp_path):
    ws.features.online.write("v", 1, 1, {"features": ["x"]}, [([1], 0, [1])])
    ws.features.online.close()
    program = f"import resource\nfrom mlops_nb.features.online_store import OnlineStore\nfrom mlops_nb.base.errors import StorageError\nfrom pathlib import Path\nstore = OnlineStore(Path({str(ws.features.online.file)!r}))\nstore.get('v', [1])\nimport signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\ntry: store.write('v', 2, 2, {{'features': ['x']}}, ([[n], 1, ['x' * 100]] for n in range(100_000)))\nexcept StorageError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "cannot use the online store" in done.stdout and "what was there is still served" in done.stdout, done.stderr
    assert ws.features.online.get("v", [1]).values == (1,)


def test_features_by_hand(ws, cli, cli_json, tmp_path):
    ws.datasets.add("weather", WEATHER)
    (tmp_path / "airports_h.py").write_text(MODULE)
    done = cli("features", "materialize", "airports_h:airport", "--until", "2013-01-01T04:00")
    assert done.returncode == 0 and done.stdout == "airport@1: the values of 3 keys, known by 2013-01-01T04:00:00\n", done.stderr
    assert [row["name"] for row in cli_json("features", "ls")] == ["airport"] and "ada" in cli("features", "ls").stdout
    shown = cli_json("features", "show", "airport")
    assert shown["lineage"]["strong"] == ["weather.wind"] and shown["online"]["view"] == "airport@1"
    for words, says in (("show", "nosuch"), "no feature view 'nosuch'"), (("materialize", "nosuch:f"), "nosuch"), (("materialize", "airport", "--until", "soon"), "is no time"):
        bad = cli("features", *words)
        assert bad.returncode == 2 and says in bad.stderr and "Traceback" not in bad.stderr


def test_markup_in_a_view_is_text(ws):
    ws.datasets.add("weather", WEATHER)
    (ws.root / "airports_i.py").write_text(MODULE.replace('owner="ada"', 'owner="<script>"'))
    ws.features.register("airports_i:airport")
    assert "<script>" not in ws.features._repr_html_() + ws.features["airport"]._repr_html_()
