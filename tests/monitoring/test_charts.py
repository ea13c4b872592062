"""Charts are drawings in proportion, with words, and nothing that was given can break out of
them."""
from __future__ import annotations

from xml.etree import ElementTree

import pytest

from jobs_lib.monitoring import charts

EVIL = '"><script>alert(1)</script>&'


def drawn(svg: str):
    """The picture, read by an XML parser."""
    return ElementTree.fromstring(svg)


@pytest.mark.parametrize("svg", [
    charts.strip([(EVIL, 1, 0.5, True), None], EVIL), charts.stacked([(EVIL, 1, 2, 3)], EVIL),
    charts.meter(0.5, EVIL, 0.9)])
def test_a_chart_has_its_words_and_is_sound_whatever_they_are(svg):
    chart = drawn(svg)
    assert chart.get("role") == "img"
    assert (chart.get("aria-label"), chart.find("title").text) == (EVIL, EVIL)
    assert "script" not in {each.tag for each in chart.iter()}
    assert not any(each.get("style") for each in chart.iter())
