"""Run every benchmark, one after the other, and keep their figures for docs/performance.md.

    python -m tests.benchmarks.all [NAME ...] [--keep]

It takes about an hour, on a machine that does nothing else. `--keep` puts the figures into
tests/benchmarks/figures.json, in the place of those of the same benchmarks; `python3 -m
docs.generate` makes the table of them.
"""
from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmarks.figures import GATHER

FILE = Path(__file__).with_name("figures.json")
BENCHMARKS = ("startup", "forwards", "queues", "webhooks", "purge", "rollup", "export", "domains")


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
