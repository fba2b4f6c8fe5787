"What a person may get wrong about a notebook's parameters, and what must reach the kernel unchanged."
from __future__ import annotations

import json, math, subprocess, sys
from pathlib import Path

import nbformat, pytest
from hypothesis import given, strategies as st
from papermill.cli import _resolve_type
from papermill.translators import PythonTranslator

from support import ROOT
from mlops_nb.base.errors import BadNotebook, BadParameter
from mlops_nb.runs.parameters import check, describe, has_parameters_cell, parameters, read_notebook

finite = st.floats(allow_nan=False, allow_infinity=False)
storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
plain = st.recursive(st.none() | st.booleans() | st.integers() | finite | storable, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(storable, inner, max_size=4), max_leaves=12)


def declaring(source, tags=("parameters",), **metadata):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    return nbformat.v4.new_notebook(cells=[cell], metadata=metadata)

def declared(source): return {parameter.name: parameter for parameter in parameters(declaring(source))}

def refusal(nb, values, text=False):
    with pytest.raises(BadParameter) as caught: check(nb, values, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Values: text, Python, kernel

TYPED = declaring("i: int = 1\nf: float = 0.1\ns: str = ''\nb: bool = True\nl: list = []\nd: dict = {}\nli: list[int] = []\nlf: list[float] = []\nls: list[str] = []\nlb: list[bool] = []")
TEXT_FORMS = {"i": (st.integers(), str), "f": (finite, repr), "s": (storable, str), "b": (st.booleans(), lambda value: str(value).lower()),
              "l": (st.lists(plain, max_size=4), json.dumps), "d": (st.dictionaries(storable, plain, max_size=4), json.dumps), "li": (st.lists(st.integers()), json.dumps),
              "lf": (st.lists(finite), json.dumps), "ls": (st.lists(storable), json.dumps), "lb": (st.lists(st.booleans()), json.dumps)}

@pytest.mark.parametrize("name", TEXT_FORMS)
@given(data=st.data())
def test_a_value_survives_being_typed_on_a_command_line(name, data):
    values, as_text = TEXT_FORMS[name]
    value = data.draw(values)
    expected = {name: value}
    for result in check(TYPED, {name: as_text(value)}, text=True), check(TYPED, {name: value}):
        assert result == expected and repr(result) == repr(expected)  # repr tells 1 from 1.0 and from True

@given(st.dictionaries(st.sampled_from(sorted(TEXT_FORMS)), plain))
def test_what_is_accepted_is_storable_as_json_and_reaches_the_kernel_unchanged(values):
    try: result = check(TYPED, values)
    except BadParameter: return
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    kernel = {}
    exec(PythonTranslator.codify(result), kernel)
    assert {name: kernel[name] for name in result} == result

@given(storable | st.sampled_from(["True", "False", "None", "1e3", "1_000", "-7", " 2 ", "true", "0x10", "٣"]))
def test_without_a_parameters_cell_text_means_what_it_means_to_papermill(text):
    expected = _resolve_type(text)
    nb = declaring("x = 1", tags=())
    if isinstance(expected, float) and not math.isfinite(expected): refusal(nb, {"x": text}, text=True)
    else: assert repr(check(nb, {"x": text}, text=True)) == repr({"x": expected})

def test_numpy_numbers_and_tuples_become_what_json_holds():
    import numpy as np
    result = check(TYPED, dict(i=np.int64(3), f=np.float32(0.5), lf=(np.float64(1), 2), s=np.str_("a")))
    assert repr(result) == repr(dict(i=3, f=0.5, lf=[1.0, 2.0], s="a"))

@pytest.mark.parametrize(("name", "value"), [("i", True), ("f", False), ("i", 1.0), ("i", "1"), ("s", 1), ("b", 1), ("li", [True]), ("li", [1.5]), ("ls", "a"), ("d", []), ("i", None),
                                             ("f", math.nan), ("f", math.inf), ("f", 10**400), ("l", [math.nan]), ("d", {1: 2}), ("l", [{1, 2}]), ("s", "\0"), ("s", "\ud800"), ("s", b"a"), ("l", object())])
def test_a_value_of_another_type_is_refused(name, value): assert name in refusal(TYPED, {name: value})

@pytest.mark.parametrize(("name", "text"), [("i", "1.5"), ("i", "1e3"), ("i", ""), ("i", "9" * 5000), ("f", "nan"), ("f", "inf"), ("f", "1e999"), ("f", "0,1"), ("b", "1"), ("b", "yes"), ("li", "[1, 2.5]"), ("li", "1,2"),
                                            ("l", "["), ("l", '{"a": 1}'), ("l", "[NaN]"), ("l", "[" * 100_000), ("d", "[]"), ("s", "\udcff")])
def test_text_of_another_type_is_refused_in_one_short_line(name, text): assert len(refusal(TYPED, {name: text}, text=True)) < 300

def test_a_cyclic_list_is_refused():
    cycle = []; cycle.append(cycle)
    refusal(TYPED, {"l": cycle})

def test_a_table_is_refused_in_one_line():
    import pandas as pd
    assert "DataFrame cannot be passed" in refusal(TYPED, {"l": pd.DataFrame({"a": range(100)})})

def test_a_union_reads_text_as_its_narrowest_type():
    nb = declaring("a: int | str = 1\nb: float | None = None\nc: str | None = ''\nd: list[int] | int = 1\ne: bool | str = True")
    assert check(nb, dict(a="7", b="none", c="None", d="[1]", e="TRUE"), text=True) == dict(a=7, b=None, c=None, d=[1], e=True)
    assert check(nb, dict(a="x", b="2", c="no", d="1", e="maybe"), text=True) == dict(a="x", b=2.0, c="no", d=1, e="maybe")


# Ranges

@given(low=st.integers(-10**6, 10**6), width=st.integers(1, 10**6), low_open=st.booleans(), high_open=st.booleans(), data=st.data())
def test_an_interval_holds_at_its_edges(low, width, low_open, high_open, data):
    high = low + width
    interval = f"{'(' if low_open else '['}{low}, {high}{')' if high_open else ']'}"
    nb = declaring(f"x: float = {low - 1}  # some share, in {interval}; more prose")
    (parameter,) = parameters(nb)
    assert parameter.allowed == f"in {interval}"
    inside = data.draw(st.floats(low, high, exclude_min=True, exclude_max=True))
    assert check(nb, {"x": inside}) == {"x": inside} == check(nb, {"x": repr(inside)}, text=True)
    for edge, is_open, beyond in (low, low_open, math.nextafter(low, -math.inf)), (high, high_open, math.nextafter(high, math.inf)):
        if is_open: assert interval in refusal(nb, {"x": edge})
        else: assert check(nb, {"x": edge}) == {"x": edge}
        assert interval in refusal(nb, {"x": beyond}) and interval in refusal(nb, {"x": repr(beyond)}, text=True)

@pytest.mark.parametrize(("comment", "allowed"), [
    (">= 0", ">= 0"), ("rows, > 0", "> 0"), ("rows, >= 1, <= 12", "in [1, 12]"), ("< 1e-3", "< 0.001"), ("share, > 0 and < 1", "in (0, 1)"), ("in [2, 256]", "in [2, 256]"), ("in [0, inf)", ">= 0"), ("in (-inf, 0]", "<= 0"),
    ("in (.5, 1_000.]", "in (0.5, 1000.0]"), ("a number in {1, 2, 4}", "in {1, 2, 4}"), ("in [-1, -0.5)", "in [-1, -0.5)"),
    ("keep rows with a count >= 3", ""), ("in [low, high]", ""), ("within [0, 1]", ""), ("see [1, 2]", ""), ("in {a, b}", ""), ("in {}", ""), (">= many", "")])
def test_only_a_stated_restriction_is_read_from_a_comment(comment, allowed):
    (parameter,) = parameters(declaring(f"x: float = 1  # {comment}"))
    assert (parameter.allowed, parameter.help) == (allowed.replace("{1, 2, 4}", "{1.0, 2.0, 4.0}"), comment)

def test_choices_are_of_the_declared_type():
    nb = declaring("a: str = 'warn'  # in {warn, 'refuse'}\nb: int = 1  # in {1, 2}\nc: Literal['x', 'y'] = 'x'\nd: Literal[1, -1] | None = None\ne: list[str] = []  # in {u, v}\nf: bool = True  # in [0, 1]")
    assert check(nb, dict(a="refuse", b="2", c="y", d="-1", e='["v"]', f="false"), text=True) == dict(a="refuse", b=2, c="y", d=-1, e=["v"], f=False)
    assert check(nb, dict(d=None)) == dict(d=None)
    for wrong in dict(a="ignore"), dict(b=3), dict(c="z"), dict(d=True), dict(d=2), dict(e=["u", "w"]): assert "allowed is" in refusal(nb, wrong)

def test_a_range_holds_for_each_number_of_a_list():
    nb = declaring("quantiles: list[float] = [0.5]  # each in (0, 1)")
    assert check(nb, {"quantiles": [0.1, 0.9]}) == {"quantiles": [0.1, 0.9]}
    refusal(nb, {"quantiles": [0.1, 1]})

def test_the_default_is_always_allowed_and_its_neighbours_are_not():
    nb = declaring("max_depth: int = -1  # > 0, or -1 for no limit")
    assert check(nb, {"max_depth": "-1"}, text=True) == {"max_depth": -1}
    refusal(nb, {"max_depth": -2})


# Declarations

def test_continuation_lines_strings_and_comments_above_do_not_confuse_the_reader():
    found = declared('''
#| eval: false
# above: int = 3  # not a parameter
a: str = "# not a comment"  # the first  # with a hash
b: list[str] = [  # opening
    "x",  # inner, in [0, 1]
    # alone
    "y = 2",
]  # closing
c: str = """
d: int = 4  # inside a string
"""
e: dict = {
    "k": 1,  # inner
}
f = 1; g = 2.5  # both
h: int = \\
    5  # continued
if f: i = 6
from pathlib import Path
j.k = 1; l[0] = 2
''')
    assert [(p.name, p.type, p.help) for p in found.values()] == [("a", "str", "the first  # with a hash"), ("b", "list[str]", "closing"), ("c", "str", ""), ("e", "dict", ""), ("f", "int", "both"), ("g", "float", "both"), ("h", "int", "continued")]
    assert found["b"].default == ["x", "y = 2"] and found["h"].default == 5

def test_a_plain_papermill_notebook_needs_no_annotations():
    found = declared("a = 1\nb = 0.5\nc = 'x'\nd = True\ne = [1]\nf = {'k': 1}\ng = None\nh = 3 * 60\ni = (1, 2)\nj = 1  # type: float  a share\nk = l = -2\nm, n = 1, 'y'\no = 1  # type: ignore\np = {1: 2}\nq = 1e999")
    assert {p.name: p.type for p in found.values()} == dict(a="int", b="float", c="str", d="bool", e="list", f="dict", g="any", h="any", i="any", j="float", k="int", l="int", m="int", n="str", o="int", p="any", q="any")
    assert (found["h"].default, found["i"].default, found["q"].default) == ("3 * 60", "(1, 2)", "1e999") and found["j"].help == "a share" and found["k"].default == -2

def test_a_default_of_none_makes_a_type_optional():
    nb = declaring("a: int = None")
    assert parameters(nb)[0].type == "int | None" and check(nb, {"a": "none"}, text=True) == {"a": None}

def test_a_parameter_without_default_has_to_be_given():
    nb = declaring("data: str\nn: int = 1")
    assert "data" in refusal(nb, {"n": 2}) and check(nb, {"data": "flights"}) == {"data": "flights"}

def test_notebook_magics_in_the_cell_are_no_error(): assert list(declared("%matplotlib inline\n!ls\na: int = 1")) == ["a"]

@pytest.mark.parametrize("source", ["a: int = = 1", "a = (", "  a = 1", "a = 1\0", "for"])
def test_a_cell_that_is_not_python_names_its_line(source):
    with pytest.raises(BadNotebook) as caught: parameters(declaring(source))
    assert "\n" not in str(caught.value)

@given(st.text(max_size=60))
def test_no_source_breaks_the_reader_in_another_way(source):
    try: json.dumps(describe(parameters(declaring(source))), allow_nan=False)
    except BadNotebook as error: assert "\n" not in str(error)

def test_help_rows_are_ready_for_json():
    nb = declaring("a: float = 1e-3  # step, in (0, 1]\nb = 2 * a\nc: dict = {'k': [1, None]}\nd: int")
    assert json.loads(json.dumps(describe(parameters(nb)))) == [
        dict(name="a", type="float", default=0.001, allowed="in (0, 1]", help="step, in (0, 1]"), dict(name="b", type="any", default="2 * a", allowed="", help=""),
        dict(name="c", type="dict", default={"k": [1, None]}, allowed="", help=""), dict(name="d", type="int", default=None, allowed="required", help="")]


# Names

def test_a_misspelt_name_is_answered_with_the_closest_and_all_allowed():
    message = refusal(declaring("learning_rate: float = 0.1\nnum_leaves: int = 31"), {"learning_rat": 1})
    assert "did you mean 'learning_rate'" in message and "num_leaves" in message

@given(st.text() | st.sampled_from(["__import__", "a = 1; b", "a\nimport os", "import", "a.b", "1a", "", "x" * 10_000]))
def test_a_hostile_name_is_refused_in_one_short_line_or_is_only_a_name(name):
    if name not in TEXT_FORMS: assert len(refusal(TYPED, {name: 1})) < 300
    untagged = declaring("1", tags=())
    try: result = check(untagged, {name: 1})
    except BadParameter as error: assert len(str(error)) < 300 and "\n" not in str(error)
    else:
        import ast
        (statement,) = ast.parse(PythonTranslator.codify(result)).body
        assert isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)


# Notebooks

@pytest.mark.parametrize(("content", "said"), [("print(1)", "not JSON"), (b"\xff\xfe\x00", "not JSON"), ("", "not JSON"), ("[" * 100_000, "not JSON"), ("[]", "nbformat"), ('{"cells": []}', "nbformat"), ('{"nbformat": 4}', "notebook format 4"), ('{"nbformat": 99}', "notebook format 99"),
    ('{"nbformat": 4, "metadata": {}, "cells": 7}', "notebook format"), ('{"nbformat": 4, "metadata": {}, "cells": [{}]}', "notebook format"), ('{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "code", "source": 3, "metadata": {}}]}', "notebook format"),
    ('{"nbformat": 4, "metadata": {}, "cells": []}', "no code cells"), ('{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "markdown", "source": "a", "metadata": {}}]}', "no code cells")])
def test_what_is_no_notebook_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path/"x.ipynb"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadNotebook, match=said) as caught: read_notebook(path)
    assert "\n" not in str(caught.value)

def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(BadNotebook, match="does not exist"): read_notebook(tmp_path/"none.ipynb")
    with pytest.raises(BadNotebook, match="is a folder"): read_notebook(tmp_path)
    with pytest.raises(BadNotebook, match="cannot be read|does not exist"): read_notebook(tmp_path/("x" * 5000))

def test_a_notebook_of_format_3_is_read(tmp_path):
    old = dict(nbformat=3, nbformat_minor=0, metadata=dict(name=""), worksheets=[dict(metadata={}, cells=[dict(cell_type="code", input=["a = 1\n", "b = 2"], language="python", metadata=dict(tags=["parameters"]), outputs=[], collapsed=False)])])
    path = tmp_path/"old.ipynb"
    path.write_text(json.dumps(old))
    assert [parameter.name for parameter in parameters(read_notebook(path))] == ["a", "b"]

def test_only_the_first_tagged_code_cell_counts():
    nb = declaring("a: int = 1")
    nb.cells = [nbformat.v4.new_markdown_cell("x", metadata={"tags": ["parameters"]}), *nb.cells, nbformat.v4.new_code_cell("b = 2", metadata={"tags": ["parameters"]})]
    assert has_parameters_cell(nb) and [parameter.name for parameter in parameters(nb)] == ["a"]
    assert not has_parameters_cell(declaring("a = 1", tags=["other"]))

def test_a_notebook_in_another_language_takes_any_name_that_is_one():
    nb = declaring("alpha <- 0.6  # share", kernelspec={"name": "ir", "display_name": "R", "language": "R"}, language_info={"name": "R"})
    assert check(nb, {"alpha": "0.5", "na.rm": "True"}, text=True) == {"alpha": 0.5, "na.rm": True}
    refusal(nb, {"alpha; system('ls')": 1})

def test_importing_the_module_stays_light():
    program = "import sys, mlops_nb.runs.parameters; print(sorted({'nbformat', 'papermill', 'numpy', 'pandas', 'jsonschema'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT).stdout == "[]\n"
