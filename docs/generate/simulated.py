"""The figures of docs/dev/tests.md about simulated months, from the figures that the runs left."""
from __future__ import annotations

import json
import os
from collections import Counter

from .drawing import between

PAGE = "docs/dev/tests.md"
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "tests", "simulation")
BEGIN, END = "<!-- Figures: made by `python3 -m docs.generate`. -->\n", "<!-- End. -->\n"
ENGINES = {"sqlite": "SQLite", "mariadb": "MariaDB", "both": "SQLite and MariaDB, the same story"}
HEAD = ("what ran on", "seeds", "days", "ticks", "SIGKILLs", "messages", "second copies",
        "rules broken")


def page(text: str) -> str:
    """The page with the figures as they are now. ValueError where its two marks are missing."""
    return between(text, BEGIN, END, f"\n{figures()}\n{faults()}\n")


def runs() -> list[dict]:
    """Each run that is on record, as `--figures` wrote it."""
    with open(os.path.join(FOLDER, "figures.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def figures() -> str:
    """A row for each way to run, and their sum."""
    groups: dict[str, Counter] = {"together": Counter()}
    for run in runs():
        name = ENGINES[run["engine"]] + (f", {run['hosts']} hosts" if run["hosts"] > 1 else "") + (
            ", workers of RQ" if run["workers"] else "")
        for group in (name, "together"):
            groups.setdefault(group, Counter()).update(
                seeds=1, days=run["days"], ticks=run["counts"]["ticks"], kills=kills(run),
                messages=run["counts"].get("messages accepted", 0),
                copies=run["counts"].get("second copies", 0), wrong=bool(run["wrong"]))
    groups["together"] = groups.pop("together")
    rows = [(name, *(f"{group[key]:,}" for key in (
        "seeds", "days", "ticks", "kills", "messages", "copies", "wrong")))
        for name, group in groups.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in (HEAD, ("---",) * len(HEAD), *rows))


def kills(run: dict) -> int:
    """How many processes of a run were ended by SIGKILL."""
    return sum(number for name, number in run["counts"].items() if name.startswith("SIGKILL"))


def faults() -> str:
    """How many of the faults that were put into the product on purpose were found."""
    with open(os.path.join(FOLDER, "mutants.txt"), encoding="utf-8") as file:
        *_, last = file.read().splitlines()
    return f"Of the faults that were put into the product on purpose: {last}.\n"
