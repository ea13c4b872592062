"""The command line of the simulation: `python3 -m tests.simulation --help`."""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from . import faults
from .oracle import text
from .story import Simulation

FIGURES = Path(__file__).with_name("figures.jsonl")


def main(argv: list[str]) -> int:
    """Run what is asked for; 1 when a rule was broken."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.simulation", description="Lets months of a small service pass, with "
        "faults drawn from a seed, and judges each tick. It ends with 1 when a rule was broken.")
    parser.add_argument("--seed", type=int, help="of all that happens (default: a fresh one)")
    parser.add_argument("--days", type=int, default=30, help="that pass (default: 30)")
    parser.add_argument("--engine", choices=("sqlite", "mariadb", "both"), default="sqlite",
                        help="both: one after the other, and their stories have to be equal")
    parser.add_argument("--hosts", type=int, default=1, help="that work on one database, which "
                        "takes MariaDB (default: 1)")
    parser.add_argument("--workers", action="store_true", help="now and then the operator moves a "
                        "job to the workers of RQ, and back")
    parser.add_argument("--shrink", action="store_true", help="after a failure, look for the "
                        "faults that lead to it")
    parser.add_argument("--figures", action="store_true", help="add a line for each run to "
                        f"{FIGURES.name}, which the docs are made of")
    options = parser.parse_args(argv)
    seed = int.from_bytes(os.urandom(3), "big") if options.seed is None else options.seed
    server, redis = None, ""
    with ExitStack() as stack:
        if options.engine != "sqlite":
            from tests.servers.mariadb import MariaDB
            server = stack.enter_context(MariaDB())
        if options.workers:
            from tests.servers.brokers import Redis
            redis = stack.enter_context(Redis()).url
        found = run(options, seed, server, redis)
    if options.figures:
        with open(FIGURES, "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    return int(bool(found["wrong"]))


def run(options, seed: int, server, redis: str) -> dict:
    """One seed, told on the terminal; its figures."""
    both, numbers = options.engine == "both", count(1)
    planned = faults.draw(seed, options.days, alike=both)
    began, digests, found = time.monotonic(), set(), {}
    for engine in ("sqlite", "mariadb") if both else (options.engine,):
        def make(some, days=options.days, engine=engine) -> Simulation:
            url = server.database(f"run_{next(numbers)}") if engine == "mariadb" else None
            return Simulation(seed, days, url=url, faults=some, hosts=options.hosts, redis=redis)
        simulation = make(planned)
        simulation.run()
        digests.add(simulation.digest)
        acts = {"act: " + name.replace("_", " "): number
                for name, number in sorted(simulation.world.did.items())}
        found = {"seed": seed, "days": simulation.days, "engine": options.engine,
                 "hosts": options.hosts, "workers": options.workers, "digest": simulation.digest,
                 "seconds": round(time.monotonic() - began, 1), "wrong": simulation.wrong,
                 "counts": {**dict(sorted(simulation.counts.items())), **acts}}
        print(*(f"  {number:8,}  {name}" for name, number in found["counts"].items()),
              f"seed {seed}, {simulation.days} days on {options.engine}, digest "
              f"{simulation.digest}, {found['seconds']} s: "
              f"{simulation.wrong or 'every rule was kept'}", sep="\n", flush=True)
        if found["wrong"]:
            print(simulation.failure(), flush=True)
            if options.shrink:
                print("These faults are enough:", *(
                    f"  {text(fault.at)}  {faults.words(fault)}"
                    for fault in shrink(make, simulation)), sep="\n", flush=True)
            return found
    if len(digests) > 1:
        found["wrong"] = f"SQLite and MariaDB differ: {digests}"
        print(f"WRONG: {found['wrong']}", flush=True)
    return found


def shrink(make, failed: Simulation) -> list:
    """A short list of faults that breaks the same rule: ever smaller parts are left out."""
    left = [fault for fault in failed.faults if fault.at <= failed.clock.seconds]
    size = len(left)
    while size:
        for start in range(len(left) - 1, -1, -size):
            fewer = left[:max(0, start - size + 1)] + left[start + 1:]
            simulation = make(fewer, failed.day)
            simulation.run()
            simulation.remove()
            if simulation.wrong.partition(":")[0] == failed.wrong.partition(":")[0]:
                left = fewer
        size //= 2
    return left


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
