"""The page of notices names every kind that there is."""
from __future__ import annotations

import re

from jobs_lib.features.notifications.kinds import KINDS
from tests.house.source import ROOT


def test_the_page_says_of_every_kind_what_it_tells():
    page = (ROOT / "docs" / "notices.md").read_text(encoding="utf-8")
    table = page.partition("## Which there are")[2].partition("##")[0]
    named = [kind for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
             for kind in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(KINDS)
