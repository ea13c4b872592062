"""How much the simulation finds: the product is broken on purpose, one fault at a time.

    python3 -m tests.simulation.mutate [NAME...] [--days 45] [--seed 1]

Whether a rule is broken by each of the faults in mutants.py, on which day of which seed, and after
how many seconds, goes into mutants.txt. Where only a strike in the middle of a run can show it, the
seed is the next one with strikes that are soon aimed at that job.
"""
from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

from . import faults
from .mutants import MUTANTS, STRUCK

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1]
FOUND = HERE / "mutants.txt"
SOON = 4                        # days, on two of which that job is aimed at


def seed_for(name: str, first: int) -> int:
    """The seed from `first` on whose strikes may show the fault."""
    job = STRUCK.get(name)
    return next(seed for seed in count(first) if not job or len({
        fault.at // faults.DAY for fault in faults.draw(seed, SOON + 1, ["aim"])
        if fault.about[0] == job}) >= 2)


def search(name: str, days: int, first: int = 1) -> str:
    """What the simulation says of a fault, in a line."""
    began, seed = time.monotonic(), seed_for(name, first)
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(seed), "--days", str(days),
         "--mutant", name], cwd=HOME, capture_output=True, text=True)
    seconds = time.monotonic() - began
    acts = re.search(r"([\d,]+)  acts of the mutant", done.stdout)
    wrong = re.search(r"^WRONG on day (\d+): (.*)", done.stdout, re.MULTILINE)
    if wrong:
        return (f"{name}: found on day {wrong[1]} of seed {seed}, after {seconds:.0f} s: "
                f"{wrong[2]}")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return f"{name}: found after {seconds:.0f} s: the run itself ended: {last}"
    if not acts or acts[1] == "0":
        return f"{name}: it changed nothing in {days} days"
    return (f"{name}: not found in {days} days of seed {seed} and {seconds:.0f} s, "
            f"{acts[1]} changes")


def record(lines: list[str]) -> str:
    """Put them into the file in place of what it said of these faults; how many of all are
    found."""
    known = {line.partition(":")[0]: line for line in [*FOUND.read_text().splitlines(), *lines]}
    rows = [known[name] for name in MUTANTS if name in known]
    found = f"{sum(': found ' in line for line in rows)} of {len(rows)} found"
    FOUND.write_text("\n".join([*rows, "", found]) + "\n")
    return found


def main(argv: list[str]) -> int:
    """Look for all of them, and say which were found."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.simulation.mutate",
                                     description="Breaks the product on purpose, and says which "
                                     "faults the simulation finds.")
    parser.add_argument("names", nargs="*", help="of faults (default: all)", metavar="NAME")
    parser.add_argument("--days", type=int, default=45, help="for each (default: 45)")
    parser.add_argument("--seed", type=int, default=1, help="the first (default: 1)")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(MUTANTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(MUTANTS)}")
    lines = []
    for name in options.names or MUTANTS:
        lines.append(search(name, options.days, options.seed))
        print(lines[-1], flush=True)
    print(record(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
