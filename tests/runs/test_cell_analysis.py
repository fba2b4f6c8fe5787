"What a sweep shares: whatever the cells do to one another, each point comes out as if it had run alone."
from __future__ import annotations

import contextlib
import functools
import io
import itertools
import random
from types import CodeType

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mlops_nb.runs.cell_analysis import Plan, plan

FORMS = (  # of statements: {v} is assigned to or changed, {w} is read, {u} stands beside {v}
    "{v} = {w} + 1", "{v} = rate * {w}", "{v} += {w}", "{v}, {u} = {u}, {v}", "rate = {w}", "twice = {w}", "rows += 1",
    "xs.append({w})", "xs = [{w}]", "ys = xs", "ys = list(xs)", "ys.append(rate)", "xs += [{w}]", "{v} = len(xs)",
    "{v} = sum(ys)", "def f(x): return x + {w}", "{v} = f({w})", "def g(): xs.append({w})", "g()",
    "h = lambda: {w} + rate", "h = lambda: {w}", "{v} = h()", "d['k'] = {w}", "d['k'] = rate", "{v} = d.get('k', 0)",
    "d = dict(k={w})", "e = d", "for i in range(2): {v} += i", "for {v} in range(2): pass", "if rate > 0.15: {v} = {w}",
    "if {w} > 2:\n    {v} = 0\nelse:\n    xs.append(1)", "{v} = random.random()", "random.seed(3)", "thing.k = {w}",
    "thing.k = rate", "{v} = thing.k", "setattr(thing, 'k', {w})", "exec('{v} = {w}')", "globals()['{v}'] = rate",
    "{v} = globals()['{w}']", "with contextlib.suppress(KeyError):\n    {v} = d['none']",
    "try: {v} = d['none']\nexcept KeyError: {v} = {w}", "{v} = [i * {w} for i in range(3)][-1]",
    "{v} = (lambda {w}: {w} + 1)(2)", "def add():\n    global {v}\n    {v} += {w}", "add()", "class Holder: k = {w}",
    "{v} = Holder.k", "Holder.k = rate", "import math as {v}; {v} = {v}.floor(2.5)", "print({w}, xs)", "print(rate)",
    "print(d, ys)", "print(f'{{rate}} {{{w}}}')", "del {v}; {v} = 1", "%matplotlib inline", "{v} = max({w}, 1)",
    "max = min", "xs.clear()", "f.calls = {w}", "{v} = getattr(f, 'calls', 0)", "f = lambda x: x * rate",
)
FIRST = """
import contextlib, random
from types import SimpleNamespace
a, b, c, xs, ys, d, e = 1, 2, 3, [], [], {}, {}
thing = SimpleNamespace(k=0)
class Holder: k = 1
def f(x): return x
def g(): pass
def h(): return 0
def add(): pass
"""
LAST = "print(a, b, c, xs, ys, d, e, thing.k, Holder.k, f(1), h(), rate, rows, twice, random.random())"
ABOUT_PARAMETERS = (  # a few forms that meet often: what is tainted, what is moved before what
    "{v} = rate * {w}", "{v} = rows", "{v} = {w} + 1", "rows += 1", "rows = {w}", "twice = {v} = {w}", "xs.append({w})",
    "print(rate, rows)", "print({w}, max(rows, twice))", "max = min", "{v} = max({w}, rate)",
    "def f(x): return x + {w}", "h = lambda k={w}: k + rate", "{v} = h()", "{v} = random.random()", "xs = [{w}]",
    "ys = [*xs, rate]", "rate = {w}", "{v} = len(xs) * rate",
)
BUILTIN_BOUND_ANEW = ["def max(*n): xs.append('max'); return sum(n)", "a = max(rows, rate)", "xs.append(b)"]


def cells_of(forms: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    names = itertools.product("abc", ("a", "b", "c", "rows", "twice"), "abc")
    statements = [form.format(v=v, w=w, u=u) for v, w, u in names for form in forms]  # each form as often as others
    cell = st.lists(st.sampled_from(statements), min_size=1, max_size=3).map("\n".join)
    return st.lists(cell, min_size=1, max_size=9)


parameters = st.sampled_from([
    "rate = 0.1\nrows = 3\ntwice = 2", "rate = 0.1\nrows = 3\ntwice = rate * 2",
    "rows = 3\nrate = 0.1\ntwice = max(rows, 2)"])


@functools.cache
def compiled(source: str) -> CodeType:
    "A cell, with the lines that are IPython's left out."
    return compile("\n".join(line for line in source.splitlines() if not line.startswith("%")), "cell", "exec")


def run(source: str, space: dict[str, object]) -> str:
    "What a cell prints."
    with contextlib.redirect_stdout(io.StringIO()) as output: exec(compiled(source), space)
    return output.getvalue()


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@example("rate = 0.1\nrows = 3\ntwice = 2", BUILTIN_BOUND_ANEW)
@given(parameters, cells_of(FORMS) | cells_of(ABOUT_PARAMETERS))
def test_a_point_comes_out_as_if_it_had_run_alone(parameters: str, cells: list[str]) -> None:
    points = 0.1, 0.2, 0.3
    sources = {rate: [parameters, f"rate = {rate}", FIRST, *cells, LAST] for rate in points}
    plans = {rate: plan(sources[rate], (0, 1), {"rate"}) for rate in points}
    assume(plans[0.1].shares)
    assert len({(shared.once, shared.again) for shared in plans.values()}) == 1
    for rate in points:
        random.seed(0)
        space: dict[str, object] = {}
        try: alone = [run(source, space) for source in sources[rate]]
        except Exception: assume(False)
        else: assert as_shared(sources[0.1], sources[rate], plans[rate]) == alone, plans[rate]


def as_shared(first: list[str], own: list[str], shared: Plan) -> list[str]:
    "What the cells print when some run once, with the first point's parameters, and the others in a fork."
    random.seed(0)
    space: dict[str, object] = {}
    printed = {position: run(first[position], space) for position in shared.once}
    run(shared.reset, space)
    printed |= {position: run(own[position], space) for position in shared.again}
    return [printed[position] for position in range(len(own))]


@pytest.mark.parametrize("settings", [(1,), (0, 1), (1, 3)])
def test_a_tagged_cell_that_is_no_code_or_empty_sets_nothing(settings: tuple[int, ...]) -> None:
    sources = [None, "rate = 0.1", "x = [1]", " ", "rate * x[0]"]
    shared = plan(sources, settings, {"rate"})
    assert (shared.once, shared.again) == ((1, 2), (4,))
