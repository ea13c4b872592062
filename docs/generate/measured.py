"""The table of docs/dev/performance.md, from the rounds that `python3 -m tests.benchmarks.all
--keep` left."""
from __future__ import annotations

import json

from tests.benchmarks.all import FILE, goal, met, shown, typical

from .drawing import between
from .simulated import BEGIN, END

PAGE = "docs/dev/performance.md"
HEAD = ("benchmark", "what", "median", "of the rounds", "goal", "")


def page(text: str) -> str:
    """The page with the figures as they are now. ValueError where its two marks are missing."""
    return between(text, BEGIN, END, f"\n{figures(json.loads(FILE.read_text()))}\n")


def figures(found: dict) -> str:
    """A row a figure, and when and where the rounds of each benchmark ran."""
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [(name, one["what"], shown(one["value"]) + one["unit"],
              ", ".join(map(shown, one["values"])), goal(one).partition(" ")[2],
              met(one).replace("met", ""))
             for name, rounds in found.items()
             for one in typical([each["figures"] for each in rounds])]
    places: dict[str, list[str]] = {}
    for name, rounds in found.items():
        loads = "/".join(f"{each['load']:.1f}" for each in rounds)
        places.setdefault(f"{rounds[-1]['date']}, {rounds[-1]['machine']}", []).append(
            f"{name} ({loads})")
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return table + "".join(f"\n{place}; the load when each round began: {', '.join(names)}.\n"
                           for place, names in places.items())
