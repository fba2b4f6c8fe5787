"Pictures of evidence hold whatever is measured."
from __future__ import annotations

import xml.etree.ElementTree as tree

from mlops_nb.promotion.evidence_plots import Evidence, evidence_svg


def test_nothing_measured_is_no_picture() -> None:
    assert evidence_svg([]) == "" == evidence_svg([Evidence(name="nothing", value=None)])


def test_names_are_escaped() -> None:
    picture = evidence_svg([Evidence(name="<b>&", value=1.0, low=0.5, high=2.0, limit=0.7)])
    tree.fromstring(picture)
    assert "<b>" not in picture and "&lt;b&gt;" in picture


def test_one_number_and_a_huge_one_share_an_axis() -> None:
    figures = [Evidence(name="one", value=1.0), Evidence(name="x" * 60, value=-3e9), Evidence(name="zero", value=0.0)]
    for count in 1, 2, 3: assert len(tree.fromstring(evidence_svg(figures[-count:]))) == count
