"The picture: every step once, after all that it needs, escaped, and said in words."
from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, strategies

from mlops_nb.pipelines.graphs import StepRun, levels, svg


def test_text_in_a_picture_is_escaped_and_said_in_words() -> None:
    name = "<script>alert('x')</script> & \"more\""
    first = StepRun(name=name, notebook="a", needs=(), state="failed", reason="<img src=x>")
    picture = svg([first, StepRun(name="b", notebook="b", needs=(name,), state="skipped")], name)
    root = ElementTree.fromstring(picture)
    tags = {node.tag.rpartition("}")[2] for node in root.iter()}
    assert tags == {"svg", "path", "circle", "g", "title", "rect", "text"}
    assert root.get("aria-label", "").endswith(f"b skipped, after {name}")


@given(strategies.lists(strategies.sets(strategies.integers(0, 9), max_size=3), max_size=10))
def test_every_step_is_drawn_once_and_after_all_that_it_needs(needs: list[set[int]]) -> None:
    steps = [
        StepRun(name=f"{number}", notebook="a", needs=tuple(f"{need}" for need in sorted(all_) if need < number))
        for number, all_ in enumerate(needs)]
    column = {step.name: position for position, group in enumerate(levels(steps)) for step in group}
    assert len(column) == len(steps)
    assert all(column[need] < column[step.name] for step in steps for need in step.needs)
    drawn = ElementTree.fromstring(svg(steps))
    assert len(drawn.findall("{*}g")) == len(steps)
    assert len(drawn.findall("{*}path")) == sum(len(step.needs) for step in steps)


def test_result_that_was_reused_took_no_time() -> None:
    step = StepRun(name="a", notebook="a", needs=(), state="succeeded", reused=True, duration_s=7.5)
    assert (step.word, step.worked_s) == ("reused", None)
    assert "reused" in svg([step]) and "7.5" not in svg([step])
