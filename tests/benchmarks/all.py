"""Run every benchmark, one after the other, and keep their figures for docs/performance.md.

    python -m tests.benchmarks.all [NAME ...] [--keep]

It takes about an hour, on a machine that does nothing else. `--keep` puts the figures into
tests/benchmarks/figures.json, in the place of those of the same benchmarks; `python3 -m
docs.generate` makes the table of them. Each benchmark is a command of its own, too.
"""
from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

FILE = Path(__file__).with_name("figures.json")
BENCHMARKS = ("startup", "forwards", "queues", "webhooks", "purge", "rollup", "export", "domains")
GATHER = "JOBS_BENCHMARK_FIGURES"       # the file that gets a line of JSON a figure


def beside_goal(what: str, value: float, *, at_most: float | None = None,
                at_least: float | None = None, unit: str = "") -> str:
    """Hand a figure over, and return it in words: `0.62, goal 0.4 or more: met`."""
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


def spent(work) -> float:
    """Processor seconds of all processes that `work` has started and waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(name: str) -> dict:
    """One benchmark: when and where it ran, and its figures."""
    found = {"date": datetime.now(timezone.utc).date().isoformat(), "load": os.getloadavg()[0],
             "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}"}
    print(f"\n=== {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures")
        subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], cwd=FILE.parents[2],
                       check=True, env={**os.environ, GATHER: str(file)})
        return {**found, "figures": [json.loads(line) for line in file.read_text().splitlines()]}


def main(words: list[str]) -> None:
    """Run them; each prints its figures beside their goals."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in [word for word in words if word != "--keep"] or BENCHMARKS:
        kept[name] = run(name)
        if "--keep" in words:
            FILE.write_text(json.dumps({name: kept[name] for name in BENCHMARKS if name in kept},
                                       indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
