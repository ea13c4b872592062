"""The table of docs/dev/performance.md, from the figures that `python3 -m tests.benchmarks.all
--keep` left."""
from __future__ import annotations

import json

from tests.benchmarks.all import FILE, goal, shown

from .drawing import between
from .simulated import BEGIN, END

PAGE = "docs/dev/performance.md"
HEAD = ("benchmark", "what", "figure", "goal", "")


def page(text: str) -> str:
    """The page with the figures as they are now. ValueError where its two marks are missing."""
    return between(text, BEGIN, END, f"\n{figures(json.loads(FILE.read_text()))}\n")


def figures(found: dict) -> str:
    """A row a figure, and when and where each benchmark ran."""
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [(name, one["what"], shown(one["value"]) + one["unit"],
              goal(one).partition(" ")[2], "" if one["met"] else "missed")
             for name, run in found.items() for one in run["figures"]]
    places: dict[str, list[str]] = {}
    for name, run in found.items():
        places.setdefault(f"{run['date']}, {run['machine']}", []).append(
            f"{name} ({run['load']:.1f})")
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return table + "".join(f"\n{place}; the load when each began: {', '.join(names)}.\n"
                           for place, names in places.items())
