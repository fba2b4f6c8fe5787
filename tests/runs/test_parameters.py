"What a notebook's parameters cell may hold, and what is read from it."
from __future__ import annotations

import json
import subprocess
import sys

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_nb.base.errors import BadNotebook
from mlops_nb.runs.parameters import Parameter, describe, has_parameters_cell, parameters
from support import ROOT, declaring


def declared(source: str) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters(declaring(source))}


# The cell

ODD_CELL = '''
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
'''


def test_continuation_lines_strings_and_comments_above_do_not_confuse_the_reader() -> None:
    params = declared(ODD_CELL)
    assert [(parameter.name, parameter.type, parameter.help) for parameter in params.values()] == [
        ("a", "str", "the first  # with a hash"), ("b", "list[str]", "closing"), ("c", "str", ""), ("e", "dict", ""),
        ("f", "int", "both"), ("g", "float", "both"), ("h", "int", "continued")]
    assert params["b"].default == ["x", "y = 2"] and params["h"].default == 5


PLAIN_CELL = """
a = 1
b = 0.5
c = 'x'
d = True
e = [1]
f = {'k': 1}
g = None
h = 3 * 60
i = (1, 2)
j = 1  # type: float  a share
k = l = -2
m, n = 1, 'y'
o = 1  # type: ignore
p = {1: 2}
q = 1e999
"""


def test_a_plain_papermill_notebook_needs_no_annotations() -> None:
    params = declared(PLAIN_CELL)
    assert {name: parameter.type for name, parameter in params.items()} == dict(
        a="int", b="float", c="str", d="bool", e="list", f="dict", g="any", h="any", i="any", j="float", k="int",
        l="int", m="int", n="str", o="int", p="any", q="any")
    assert [params[name].default for name in "hiqk"] == ["3 * 60", "(1, 2)", "1e999", -2]
    assert params["j"].help == "a share"


def test_notebook_magics_in_the_cell_are_no_error() -> None:
    assert list(declared("%matplotlib inline\n!ls\na: int = 1")) == ["a"]


@pytest.mark.parametrize("source", ["a: int = = 1", "a = (", "  a = 1", "a = 1\0", "for", "%magic\nb = ="])
def test_a_cell_that_is_not_python_is_refused_in_one_line(source: str) -> None:
    with pytest.raises(BadNotebook, match="the parameters cell is not Python") as caught: parameters(declaring(source))
    assert "\n" not in str(caught.value)


def test_the_line_that_is_not_python_is_named() -> None:
    with pytest.raises(BadNotebook, match="line 3, 'b = ='"): parameters(declaring("%magic\na = 1\nb = ="))


@given(st.text(max_size=60))
def test_no_source_breaks_the_reader_in_another_way(source: str) -> None:
    try: json.dumps(describe(parameters(declaring(source))), allow_nan=False)
    except BadNotebook as error: assert "\n" not in str(error)


def test_only_the_first_tagged_code_cell_counts() -> None:
    notebook = declaring("a: int = 1")
    tagged = {"tags": ["parameters"]}
    prose = nbformat.v4.new_markdown_cell("x", metadata=tagged)
    notebook.cells = [prose, *notebook.cells, nbformat.v4.new_code_cell("b = 2", metadata=tagged)]
    assert has_parameters_cell(notebook) and [parameter.name for parameter in parameters(notebook)] == ["a"]


def test_a_cell_with_another_tag_declares_nothing() -> None:
    assert not has_parameters_cell(declaring("a = 1", tags=["other"]))


# Types and restrictions

@pytest.mark.parametrize(("comment", "allowed"), [
    (">= 0", ">= 0"), ("rows, > 0", "> 0"), ("rows, >= 1, <= 12", "in [1, 12]"), ("< 1e-3", "< 0.001"),
    ("share, > 0 and < 1", "in (0, 1)"), ("in [2, 256]", "in [2, 256]"), ("in [0, inf)", ">= 0"),
    ("in (-inf, 0]", "<= 0"), ("in (.5, 1_000.]", "in (0.5, 1000.0]"), ("in [-1, -0.5)", "in [-1, -0.5)"),
    ("a number in {1, 2, 4}", "in {1.0, 2.0, 4.0}"),
])
def test_a_stated_restriction_is_read_from_a_comment(comment: str, allowed: str) -> None:
    parameter = declared(f"x: float = 1  # {comment}")["x"]
    assert (parameter.allowed, parameter.help) == (allowed, comment)


@pytest.mark.parametrize("comment", [
    "keep rows with a count >= 3", "in [low, high]", "within [0, 1]", "see [1, 2]", "in {a, b}", "in {}", ">= many"])
def test_prose_that_looks_like_a_restriction_is_none(comment: str) -> None:
    assert declared(f"x: float = 1  # {comment}")["x"].allowed == ""


def test_a_default_of_none_makes_a_type_optional() -> None:
    assert declared("a: int = None")["a"].type == "int | None"


@pytest.mark.parametrize(("annotation", "type"), [
    ("Secret", "secret"), ("mlops_nb.Secret", "secret"), ("Secret | None", "secret | None"), ("'Secret'", "secret"),
    ("Optional[Secret]", "secret | None"), ("Secret | int", "secret"), ("Secret | pd.Timestamp", "secret"),
])
def test_a_secret_is_one_whatever_else_the_annotation_says(annotation: str, type: str) -> None:
    parameter = declared(f"token: {annotation} = ''")["token"]
    assert parameter.secret and parameter.type == type


@pytest.mark.parametrize("annotation", ["list[Secret]", "dict[str, mlops_nb.Secret]", "list['Secret'] | None"])
def test_a_secret_inside_something_that_is_recorded_is_refused(annotation: str) -> None:
    with pytest.raises(BadNotebook, match="cannot be kept secret"): declared(f"tokens: {annotation} = []")


def test_a_choice_may_be_called_secret() -> None:
    assert declared("level: Literal['Secret', 'Public'] = 'Public'")["level"].choices == ("Secret", "Public")


# Help

def test_help_rows_are_ready_for_json() -> None:
    notebook = declaring("a: float = 1e-3  # step, in (0, 1]\nb = 2 * a\nc: dict = {'k': [1, None]}\nd: int")
    assert json.loads(json.dumps(describe(parameters(notebook)))) == [
        dict(name="a", type="float", default=0.001, allowed="in (0, 1]", help="step, in (0, 1]"),
        dict(name="b", type="any", default="2 * a", allowed="", help=""),
        dict(name="c", type="dict", default={"k": [1, None]}, allowed="", help=""),
        dict(name="d", type="int", default=None, allowed="required", help=""),
    ]


@pytest.mark.parametrize("module", ["parameters", "parameter_values", "notebooks", "typed_values"])
def test_importing_the_module_stays_light(module: str) -> None:
    program = f"""
import sys, mlops_nb.runs.{module}
print(sorted({{"nbformat", "papermill", "numpy", "pandas", "jsonschema"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
