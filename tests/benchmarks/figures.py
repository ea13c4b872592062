"""A figure beside its goal. Each benchmark prints its own; `tests.benchmarks.all` runs them one
after the other and gathers what they found."""
from __future__ import annotations

import json
import os

GATHER = "JOBS_BENCHMARK_FIGURES"       # the file that gets a line of JSON a figure


def beside_goal(what: str, value: float, *, at_most: float | None = None,
                at_least: float | None = None, unit: str = "") -> str:
    """Hand the figure over, and return it in words: `0.62, goal 0.4 or more: met`."""
    limit = at_least if at_most is None else at_most
    assert limit is not None, f"{what}: a goal is needed"
    is_met = value >= limit if at_most is None else value <= limit
    found = {"what": what, "value": round(value, 3), "unit": unit, "goal": limit,
             "at_least": at_most is None, "met": is_met}
    if path := os.environ.get(GATHER):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    return f"{shown(value)}{unit}, {goal(found)}: {'met' if is_met else 'missed'}"


def goal(found: dict) -> str:
    """`goal 0.4 or more`."""
    side = "or more" if found["at_least"] else "or less"
    return f"goal {found['goal']:g}{found['unit']} {side}"


def shown(value: float) -> str:
    """Three digits that count."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
