"""The command line of the simulation."""
from __future__ import annotations

import argparse
import os
import sys
import time

from .story import Simulation


def main() -> int:
    """Run what is asked for; 1 when a rule was broken."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of all that happens (default: a "
                        "fresh one)")
    parser.add_argument("--days", type=int, default=30, help="that pass (default: 30)")
    options = parser.parse_args()
    seed = int.from_bytes(os.urandom(3), "big") if options.seed is None else options.seed
    began = time.monotonic()

    def progress(simulation, day) -> None:
        if sys.stderr.isatty() or day % 30 == 0 or day == options.days:
            print(f"seed {seed}: day {day}, {simulation.counts['ticks']} ticks, "
                  f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    simulation = Simulation(seed, options.days, progress=progress)
    wrong = simulation.run()
    for name, number in sorted(simulation.counts.items()):
        print(f"  {number:7,}  {name}")
    for name, number in sorted(simulation.world.did.items()):
        print(f"  {number:7,}  {name}")
    print(f"seed {seed}, {options.days} days, {simulation.counts['ticks']} ticks, digest "
          f"{simulation.digest}, {time.monotonic() - began:.1f} s")
    if wrong:
        print("\n".join(wrong.story))
        print(f"\nWRONG: {wrong.sentence}\nfiles: {simulation.folder}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
