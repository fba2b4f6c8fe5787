"What a sweep shares: whatever the cells do to one another, each point comes out as if it had run alone."
import contextlib, io, random

from hypothesis import assume, given, settings, strategies as st

from mlops_nb.runs.cell_analysis import plan

names, more = st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "rows", "twice"])
STATEMENTS = ["{v} = {w} + 1", "{v} = rate * {w}", "{v} += {w}", "{v}, {w2} = {w2}, {v}", "rate = {w}", "twice = {w}", "rows += 1", "xs.append({w})", "xs = [{w}]", "ys = xs", "ys = list(xs)", "ys.append(rate)", "xs += [{w}]",
    "{v} = len(xs)", "{v} = sum(ys)", "def f(x): return x + {w}", "{v} = f({w})", "def g(): xs.append({w})", "g()", "h = lambda: {w} + rate", "h = lambda: {w}", "{v} = h()", "d['k'] = {w}", "d['k'] = rate", "{v} = d.get('k', 0)",
    "d = dict(k={w})", "e = d", "for i in range(2): {v} += i", "for {v} in range(2): pass", "if rate > 0.15: {v} = {w}", "if {w} > 2:\n    {v} = 0\nelse:\n    xs.append(1)", "{v} = random.random()", "random.seed(3)", "thing.k = {w}", "thing.k = rate",
    "{v} = thing.k", "setattr(thing, 'k', {w})", "exec('{v} = {w}')", "globals()['{v}'] = rate", "{v} = globals()['{w}']", "with contextlib.suppress(KeyError):\n    {v} = d['none']", "try: {v} = d['none']\nexcept KeyError: {v} = {w}",
    "{v} = [i * {w} for i in range(3)][-1]", "{v} = (lambda {w}: {w} + 1)(2)", "def add():\n    global {v}\n    {v} += {w}", "add()", "class Holder: k = {w}", "{v} = Holder.k", "Holder.k = rate", "import math as {v}; {v} = {v}.floor(2.5)",
    "print({w}, xs)", "print(rate)", "print(d, ys)", "print(f'{{rate}} {{{w}}}')", "del {v}; {v} = 1", "%matplotlib inline", "{v} = max({w}, 1)", "max = min", "xs.clear()", "f.calls = {w}", "{v} = getattr(f, 'calls', 0)", "f = lambda x: x * rate"]
FIRST = "import contextlib, random\nfrom types import SimpleNamespace\na, b, c, xs, ys, d, e = 1, 2, 3, [], [], {}, {}\nthing = SimpleNamespace(k=0)\nclass Holder: k = 1\ndef f(x): return x\ndef g(): pass\ndef h(): return 0\ndef add(): pass"
LAST = "print(a, b, c, xs, ys, d, e, thing.k, Holder.k, f(1), h(), rate, rows, twice, random.random())"
cells = st.lists(st.builds(lambda statements: "\n".join(statements), st.lists(st.builds(lambda text, v, w, w2: text.format(v=v, w=w, w2=w2), st.sampled_from(STATEMENTS), names, more, names), min_size=1, max_size=3)), min_size=1, max_size=9)
parameters = st.sampled_from(["rate = 0.1\nrows = 3\ntwice = 2", "rate = 0.1\nrows = 3\ntwice = rate * 2", "rows = 3\nrate = 0.1\ntwice = max(rows, 2)"])


def run(source: str, space: dict) -> str:
    "What a cell prints, with the lines that are IPython's left out."
    said = io.StringIO()
    with contextlib.redirect_stdout(said): exec("\n".join(line for line in source.splitlines() if not line.startswith("%")), space)
    return said.getvalue()


@settings(max_examples=1500, deadline=None)
@given(parameters, cells)
def test_a_point_comes_out_as_if_it_had_run_alone(parameters, cells):
    points = 0.1, 0.2, 0.3
    sources = {rate: [parameters, f"rate = {rate}", FIRST, *cells, LAST] for rate in points}
    plans = {rate: plan(sources[rate], (0, 1), {"rate"}) for rate in points}
    assume(plans[0.1].shares)
    assert len({(made.once, made.again) for made in plans.values()}) == 1
    for rate in points:
        try:
            random.seed(0)
            space = {}
            alone = [run(source, space) for source in sources[rate]]
        except Exception: assume(False)
        random.seed(0)
        space, shared = {}, {}
        for at in plans[rate].once: shared[at] = run(sources[0.1][at], space)
        run(plans[rate].reset, space)
        for at in plans[rate].again: shared[at] = run(sources[rate][at], space)
        assert [shared[at] for at in range(len(alone))] == alone, plans[rate]
