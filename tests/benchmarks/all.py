"""Run every benchmark, one after the other, print one table of their figures beside the goals, and
write what docs/performance.md shows.

    python -m tests.benchmarks.all [--only NAME ...] [--keep]

It takes about an hour, on a machine that does nothing else. `--keep` puts the figures into
tests/benchmarks/figures.json, in the place of those of the same benchmarks; `python3 -m
docs.generate` makes the table of them.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmarks.figures import GATHER, goal, shown

FILE = Path(__file__).with_name("figures.json")
ROOT = FILE.parents[2]
BENCHMARKS = ("startup", "forwards", "queues", "webhooks", "purge", "rollup", "export", "domains")


def run(name: str) -> dict:
    """One benchmark: when and where it ran, and its figures."""
    found = {"date": datetime.now(timezone.utc).date().isoformat(), "load": os.getloadavg()[0],
             "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}"}
    print(f"\n=== {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file, began = Path(folder, "figures"), time.monotonic()
        done = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], cwd=ROOT,
                              env={**os.environ, GATHER: str(file)})
        lines = file.read_text().splitlines() if file.exists() else []
    return {**found, "seconds": round(time.monotonic() - began), "failed": done.returncode != 0,
            "figures": [json.loads(line) for line in lines]}


def table(found: dict) -> str:
    """A line a figure."""
    lines = []
    for name, one in found.items():
        lines += [f"{name:<11} {each['what']:<60} {shown(each['value']) + each['unit']:>9}   "
                  f"{goal(each)}{'' if each['met'] else '   MISSED'}" for each in one["figures"]]
        if one["failed"]:
            lines.append(f"{name:<11} FAILED")
    return "\n".join(lines)


def main() -> int:
    """Run them, print the table; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, default=[])
    parser.add_argument("--keep", action="store_true", help="write the figures for the docs")
    args = parser.parse_args()
    found = {name: run(name) for name in args.only or BENCHMARKS}
    print(f"\n{table(found)}")
    if args.keep:
        kept = json.loads(FILE.read_text()) if FILE.exists() else {}
        kept.update({name: one for name, one in found.items() if not one["failed"]})
        FILE.write_text(json.dumps({name: kept[name] for name in BENCHMARKS if name in kept},
                                   indent=1) + "\n")
    return int(any(one["failed"] for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
