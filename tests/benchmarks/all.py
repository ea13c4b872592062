"""Run every benchmark, one after the other, and keep their figures for docs/dev/performance.md.

    python -m tests.benchmarks.all [NAME ...] [--keep]

A round of all takes a quarter of an hour, on a machine that does nothing else. `--keep` adds it to
the last rounds of these in tests/benchmarks/figures.json, of which `python3 -m docs.generate` makes
the table.
"""
from __future__ import annotations

import importlib
import json
import os
import platform
import resource
import sys
import tempfile
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from tests.servers.mariadb import MariaDB
from tests.support.shell import Shell

FILE = Path(__file__).with_name("figures.json")
BENCHMARKS = ("startup", "forwards", "queues", "webhooks", "purge", "rollup", "export", "domains",
              "workers")
ROUNDS = 3                              # that are kept; the table shows their median
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1",
           "--innodb-log-file-size=96M", "--innodb-buffer-pool-size=512M")
figures: list[dict] = []                # of the benchmark that runs


def beside_goal(what: str, *values: float, at_most: float | None = None,
                at_least: float | None = None, unit: str = "") -> str:
    """Keep a figure, of several values the worst, and return it in words: `0.62, goal 0.4 or more:
    met`."""
    limit = at_least if at_most is None else at_most
    assert limit is not None, f"{what}: a goal is needed"
    value = min(values) if at_most is None else max(values)
    figures.append({"what": what, "value": round(value, 3), "unit": unit, "goal": limit,
                    "at_least": at_most is None})
    return f"{shown(value)}{unit}, {goal(figures[-1])}: {met(figures[-1])}"


def goal(found: dict) -> str:
    """`goal 0.4 or more`."""
    side = "or more" if found["at_least"] else "or less"
    return f"goal {found['goal']:g}{found['unit']} {side}"


def met(found: dict) -> str:
    """`met` or `missed`."""
    side = 1 if found["at_least"] else -1
    return "met" if side * found["value"] >= side * found["goal"] else "missed"


def typical(rounds: list[list[dict]]) -> list[dict]:
    """The figures of the rounds of a benchmark: of each the median, and all its `values`."""
    every = [(same[-1], [one["value"] for one in same]) for same in zip(*rounds)]
    return [{**last, "value": median(values), "values": values} for last, values in every]


def shown(value: float) -> str:
    """Three digits that count."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def spent(work) -> float:
    """Processor seconds of all processes that `work` has started and waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def service(url: str | None = None, **sections):
    """An installation in a folder of its own, on SQLite if nothing else is said."""
    with tempfile.TemporaryDirectory() as folder:
        made = Shell(folder, url or f"sqlite:///{folder}/jobs.db", **sections)
        yield made
        made.close()


def durable() -> MariaDB:
    """A private MariaDB server with the durability of a real one, on a real disk."""
    return MariaDB(*DURABLE, place=tempfile.gettempdir())


def run(name: str) -> dict:
    """One benchmark: when and where it ran, and its figures."""
    found = {"date": datetime.now(timezone.utc).date().isoformat(), "load": os.getloadavg()[0],
             "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}"}
    print(f"\n=== {name}", flush=True)
    figures.clear()
    importlib.import_module(f"tests.benchmarks.{name}").main()
    return {**found, "figures": [*figures]}


def main(words: list[str]) -> None:
    """Run them; each prints its figures beside their goals as it gets them."""
    sys.stdout.reconfigure(line_buffering=True)
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in [word for word in words if word != "--keep"] or BENCHMARKS:
        kept[name] = [*kept.get(name, []), run(name)][-ROUNDS:]
        if "--keep" in words:
            FILE.write_text(json.dumps({name: kept[name] for name in BENCHMARKS if name in kept},
                                       indent=1) + "\n")


if __name__ == "__main__":
    from tests.benchmarks import all as here  # as the benchmarks know it
    here.main(sys.argv[1:])
