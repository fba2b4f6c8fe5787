"What a person may get wrong about a parameter's value, and what must reach the kernel unchanged."
from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermill.cli import _resolve_type
from papermill.translators import PythonTranslator

from mlops_nb.base.errors import BadParameter
from mlops_nb.runs.parameter_values import SECRET, check, recorded, secrets
from mlops_nb.runs.parameters import parameters
from support import declaring

if TYPE_CHECKING:
    from nbformat import NotebookNode

finite = st.floats(allow_nan=False, allow_infinity=False)
storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | storable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(storable, inner, max_size=4), max_leaves=12)


def refusal(notebook: NotebookNode, values: dict[Any, object], *, text: bool = False) -> str:
    "The one line with which values are refused."
    with pytest.raises(BadParameter) as caught: check(notebook, values, text=text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Values: text, Python, kernel

TYPED = declaring("""
i: int = 1
f: float = 0.1
s: str = ''
b: bool = True
l: list = []
d: dict = {}
li: list[int] = []
lf: list[float] = []
ls: list[str] = []
lb: list[bool] = []
""")
TEXT_FORMS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], str]]] = {
    "i": (st.integers(), str),
    "f": (finite, repr),
    "s": (storable, str),
    "b": (st.booleans(), lambda value: str(value).lower()),
    "l": (st.lists(plain, max_size=4), json.dumps),
    "d": (st.dictionaries(storable, plain, max_size=4), json.dumps),
    "li": (st.lists(st.integers()), json.dumps),
    "lf": (st.lists(finite), json.dumps),
    "ls": (st.lists(storable), json.dumps),
    "lb": (st.lists(st.booleans()), json.dumps),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXT_FORMS)
@given(data=st.data())
def test_a_value_survives_being_typed_on_a_command_line(name: str, data: st.DataObject) -> None:
    values, as_text = TEXT_FORMS[name]
    value = data.draw(values)
    for result in check(TYPED, {name: as_text(value)}, text=True), check(TYPED, {name: value}):
        assert result == {name: value}
        assert repr(result) == repr({name: value})  # which tells 1 from 1.0 and from True


@given(st.dictionaries(st.sampled_from(sorted(TEXT_FORMS)), plain))
def test_accepted_value_reaches_the_kernel_unchanged(values: dict[str, object]) -> None:
    try: result = check(TYPED, values)
    except BadParameter: return
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    kernel: dict[str, object] = {}
    exec(PythonTranslator.codify(result), kernel)
    assert {name: kernel[name] for name in result} == result


@given(storable | st.sampled_from(["True", "False", "None", "1e3", "1_000", "-7", " 2 ", "true", "0x10", "٣"]))
def test_without_a_parameters_cell_text_means_what_it_means_to_papermill(text: str) -> None:
    expected = _resolve_type(text)
    notebook = declaring("x = 1", tags=[])
    if isinstance(expected, float) and not math.isfinite(expected): refusal(notebook, {"x": text}, text=True)
    else: assert repr(check(notebook, {"x": text}, text=True)) == repr({"x": expected})


def test_numpy_numbers_and_tuples_become_what_json_holds() -> None:
    result = check(TYPED, dict(i=np.int64(3), f=np.float32(0.5), lf=(np.float64(1), 2), s=np.str_("a")))
    assert repr(result) == repr(dict(i=3, f=0.5, lf=[1.0, 2.0], s="a"))


@pytest.mark.parametrize(("name", "value"), [
    ("i", True), ("f", False), ("i", 1.0), ("i", "1"), ("s", 1), ("b", 1), ("li", [True]), ("li", [1.5]), ("ls", "a"),
    ("d", []), ("i", None), ("f", math.nan), ("f", math.inf), ("f", 10**400), ("l", [math.nan]), ("d", {1: 2}),
    ("l", [{1, 2}]), ("s", "\0"), ("s", "\ud800"), ("s", b"a"), ("l", object()),
])
def test_a_value_of_another_type_is_refused(name: str, value: object) -> None:
    assert f"parameter {name} does not take" in refusal(TYPED, {name: value})


@pytest.mark.parametrize(("name", "text"), [
    ("i", "1.5"), ("i", "1e3"), ("i", ""), ("i", "9" * 5000), ("f", "nan"), ("f", "inf"), ("f", "1e999"), ("f", "0,1"),
    ("b", "1"), ("b", "yes"), ("li", "[1, 2.5]"), ("li", "1,2"), ("l", "["), ("l", '{"a": 1}'), ("l", "[NaN]"),
    ("l", "[" * 100_000), ("d", "[]"), ("s", "\udcff"),
])
def test_text_of_another_type_is_refused_in_one_short_line(name: str, text: str) -> None:
    message = refusal(TYPED, {name: text}, text=True)
    assert f"parameter {name} does not take" in message and len(message) < 300


def test_a_cyclic_list_is_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    assert "parameter l does not take" in refusal(TYPED, {"l": cycle})


def test_a_table_is_refused_in_one_line() -> None:
    assert "DataFrame cannot be passed" in refusal(TYPED, {"l": pd.DataFrame({"a": range(100)})})


UNIONS = declaring("""
a: int | str = 1
b: float | None = None
c: str | None = ''
d: list[int] | int = 1
e: bool | str = True
""")


@pytest.mark.parametrize(("given", "expected"), [
    (dict(a="7", b="none", c="None", d="[1]", e="TRUE"), dict(a=7, b=None, c=None, d=[1], e=True)),
    (dict(a="x", b="2", c="no", d="1", e="maybe"), dict(a="x", b=2.0, c="no", d=1, e="maybe")),
])
def test_a_union_reads_text_as_its_narrowest_type(given: dict[str, str], expected: dict[str, object]) -> None:
    result = check(UNIONS, given, text=True)
    assert (result, list(map(type, result.values()))) == (expected, list(map(type, expected.values())))


# Restrictions

@given(
    low=st.integers(-10**6, 10**6), width=st.integers(1, 10**6), open_ends=st.tuples(st.booleans(), st.booleans()),
    data=st.data())
def test_an_interval_holds_at_its_edges(
    low: int, width: int, open_ends: tuple[bool, bool], data: st.DataObject,
) -> None:
    high, (low_open, high_open) = low + width, open_ends
    left, right = "(" if low_open else "[", ")" if high_open else "]"
    interval = f"{left}{low}, {high}{right}"
    notebook = declaring(f"x: float = {low - 1}  # some share, in {interval}; more prose")
    assert parameters(notebook)[0].allowed == f"in {interval}"
    inside = data.draw(st.floats(low, high, exclude_min=True, exclude_max=True))
    assert check(notebook, {"x": inside}) == {"x": inside} == check(notebook, {"x": repr(inside)}, text=True)
    edges = (low, low_open, math.nextafter(low, -math.inf)), (high, high_open, math.nextafter(high, math.inf))
    for edge, is_open, beyond in edges:
        if is_open: assert interval in refusal(notebook, {"x": edge})
        else: assert check(notebook, {"x": edge}) == {"x": edge}
        assert interval in refusal(notebook, {"x": beyond})
        assert interval in refusal(notebook, {"x": repr(beyond)}, text=True)


CHOICES = declaring("""
a: str = 'warn'  # in {warn, 'refuse'}
b: int = 1  # in {1, 2}
c: Literal['x', 'y'] = 'x'
d: Literal[1, -1] | None = None
e: list[str] = []  # in {u, v}
f: bool = True  # in [0, 1]
""")


def test_choices_are_of_the_declared_type() -> None:
    words = dict(a="refuse", b="2", c="y", d="-1", e='["v"]', f="false")
    assert check(CHOICES, words, text=True) == dict(a="refuse", b=2, c="y", d=-1, e=["v"], f=False)
    assert check(CHOICES, dict(d=None)) == dict(d=None)


@pytest.mark.parametrize(("name", "value"), [
    ("a", "ignore"), ("b", 3), ("c", "z"), ("d", True), ("d", 2), ("e", ["u", "w"])])
def test_what_is_no_choice_is_refused(name: str, value: object) -> None:
    assert "allowed is" in refusal(CHOICES, {name: value})


def test_a_range_holds_for_each_number_of_a_list() -> None:
    notebook = declaring("quantiles: list[float] = [0.5]  # each in (0, 1)")
    assert check(notebook, {"quantiles": [0.1, 0.9]}) == {"quantiles": [0.1, 0.9]}
    assert "in (0, 1)" in refusal(notebook, {"quantiles": [0.1, 1]})


def test_the_default_is_always_allowed_and_its_neighbours_are_not() -> None:
    notebook = declaring("max_depth: int = -1  # > 0, or -1 for no limit")
    assert check(notebook, {"max_depth": "-1"}, text=True) == {"max_depth": -1}
    assert "> 0" in refusal(notebook, {"max_depth": -2})


def test_an_optional_parameter_takes_none() -> None:
    assert check(declaring("a: int = None"), {"a": "none"}, text=True) == {"a": None}


# Names

def test_a_parameter_without_default_has_to_be_given() -> None:
    notebook = declaring("data: str\nn: int = 1")
    assert "needs a value for data" in refusal(notebook, {"n": 2})
    assert check(notebook, {"data": "flights"}) == {"data": "flights"}


def test_a_parameter_that_comes_later_need_not_be_given_yet() -> None:
    assert check(declaring("data: str\nn: int = 1"), {"n": 2}, later=["data"]) == {"n": 2}
    with pytest.raises(BadParameter, match="no parameter 'dada': did you mean 'data'"):
        check(declaring("data: str\nn: int = 1"), {"n": 2}, later=["dada"])


def test_a_misspelt_name_is_answered_with_the_closest_and_all_allowed() -> None:
    notebook = declaring("learning_rate: float = 0.1\nnum_leaves: int = 31")
    message = refusal(notebook, {"learning_rat": 1})
    assert "did you mean 'learning_rate'" in message and "it takes learning_rate, num_leaves" in message


HOSTILE = ["__import__", "a = 1; b", "a\nimport os", "import", "a.b", "1a", "", "x" * 10_000]


@given(st.text() | st.sampled_from(HOSTILE))
def test_a_hostile_name_is_refused_in_one_short_line_or_is_only_a_name(name: str) -> None:
    if name not in TEXT_FORMS: assert len(refusal(TYPED, {name: 1})) < 300
    try: result = check(declaring("1", tags=[]), {name: 1})
    except BadParameter as error: assert len(str(error)) < 300 and "\n" not in str(error)
    else:
        (statement,) = ast.parse(PythonTranslator.codify(result)).body
        assert isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)


def test_a_notebook_in_another_language_takes_any_name_that_is_one() -> None:
    kernelspec = {"name": "ir", "display_name": "R", "language": "R"}
    notebook = declaring("alpha <- 0.6  # share", kernelspec=kernelspec, language_info={"name": "R"})
    assert check(notebook, {"alpha": "0.5", "na.rm": "True"}, text=True) == {"alpha": 0.5, "na.rm": True}
    assert "is no parameter name" in refusal(notebook, {"alpha; system('ls')": 1})


# Secrets

def test_a_secret_is_known_by_its_declaration_alone() -> None:
    notebook = declaring("token: Secret | None = None\nrows: int = 3")
    assert secrets(notebook, {"token": "hunter2", "rows": 4}) == {"token": "hunter2"}
    assert recorded(notebook, {"token": "hunter2"}) == {"token": SECRET, "rows": 3}
    assert recorded(notebook, {"token": None}) == {"token": None, "rows": 3}


def test_no_message_shows_a_secret() -> None:
    notebook = declaring("token: Secret")
    for wrong in 31337, "a\0b31337", ["31337"]:
        assert "31337" not in refusal(notebook, {"token": wrong})
