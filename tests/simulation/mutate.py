"""How much the simulation finds: the product is broken on purpose, one fault at a time.

    python3 -m tests.simulation.mutate [NAME...] [--days 45] [--jobs 1]

Whether a rule is broken by each of the faults in mutants.py, on which day, and after how many
seconds, goes into mutants.txt.
"""
from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .mutants import MUTANTS

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1]
FOUND = HERE / "mutants.txt"


def search(name: str, days: int) -> str:
    """What the simulation says of a fault, in a line."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "1", "--days", str(days),
         "--no-shrink", "--mutant", name], cwd=HOME, capture_output=True, text=True)
    seconds = time.monotonic() - began
    acts = re.search(r"([\d,]+)  acts of the mutant", done.stdout)
    wrong = re.search(r"^WRONG on day (\d+): (.*)", done.stdout, re.MULTILINE)
    if wrong:
        return f"{name}: found on day {wrong[1]}, after {seconds:.0f} s: {wrong[2]}"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return f"{name}: found after {seconds:.0f} s: the run itself ended: {last}"
    if not acts or acts[1] == "0":
        return f"{name}: it changed nothing in {days} days"
    return f"{name}: not found in {days} days and {seconds:.0f} s, {acts[1]} changes"


def main(argv: list[str]) -> int:
    """Look for all of them, and say which were found."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.simulation.mutate",
                                     description="Breaks the product on purpose, and says which "
                                     "faults the simulation finds.")
    parser.add_argument("names", nargs="*", help="of faults (default: all)", metavar="NAME")
    parser.add_argument("--days", type=int, default=45, help="for each (default: 45)")
    parser.add_argument("--jobs", type=int, default=1, help="at a time (default: 1)")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(MUTANTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(MUTANTS)}")
    lines = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for line in pool.map(lambda name: search(name, options.days), options.names or MUTANTS):
            lines.append(line)
            print(line, flush=True)
    found = sum(": found " in line for line in lines)
    print(f"{found} of {len(lines)} found")
    if not options.names:
        FOUND.write_text("\n".join(lines) + f"\n\n{found} of {len(lines)} found\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
