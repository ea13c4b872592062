"""The command line of the simulation: `python3 -m tests.simulation --help`."""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from . import faults, mutate
from .oracle import text
from .story import Simulation

MOST = 60                    # runs that it may take to shrink a list of faults
FIGURES = Path(__file__).with_name("figures.jsonl")


def arguments(argv: list[str]) -> argparse.Namespace:
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
    parser.add_argument("--faults", help=f"only these kinds, of {', '.join(faults.KINDS)}; none: "
                        "nothing goes wrong")
    parser.add_argument("--mutant", default="", choices=("", *mutate.MUTANTS), metavar="NAME",
                        help="break the product in this way (mutate.py)")
    parser.add_argument("--shrink", action="store_true", help="after a failure, look for the "
                        "fewest faults that still lead to it")
    parser.add_argument("--figures", action="store_true", help="add a line for each run to "
                        f"{FIGURES.name}, which the docs are made of")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run what is asked for; 1 when a rule was broken."""
    options = arguments(argv)
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
    kinds = None if options.faults is None else options.faults.split(",")
    planned = faults.draw(seed, options.days, kinds, alike=options.engine == "both")
    began, digests, found = time.monotonic(), [], {}
    for engine in ("sqlite", "mariadb") if options.engine == "both" else (options.engine,):
        url = server.database(f"seed_{seed}") if engine == "mariadb" else None

        def make(some, url=url) -> Simulation:
            return Simulation(seed, options.days, url=url, faults=some, hosts=options.hosts,
                              redis=redis, mutant=options.mutant)
        simulation = make(planned)
        wrong = simulation.run()
        digests.append(simulation.digest)
        found = figures(simulation, options, began)
        print(summary(found), flush=True)
        if wrong:
            print(f"\nWRONG on day {int(wrong.second // faults.DAY) + 1}: {wrong.sentence}\n\n"
                  + "\n".join(wrong.story)
                  + f"\n\nits files are in {simulation.folder}", flush=True)
            if options.shrink:
                least = shrink(make, planned, wrong, server if url else None)
                print(f"{len(least)} of {len(planned)} faults are enough:\n" + "\n".join(
                    f"  {text(fault.at)}  {faults.words(fault)}" for fault in least), flush=True)
            return found
    if len(set(digests)) > 1:
        found["wrong"] = f"SQLite and MariaDB differ: {digests}"
        print(f"WRONG: {found['wrong']}", flush=True)
    return found


def shrink(make, planned: list, wrong, server=None) -> list:
    """The shortest list of faults found that breaks the same rule. `make(faults)` makes a
    Simulation; only faults before the failure are tried."""
    rule = wrong.sentence.partition(":")[0]
    left, tries = [fault for fault in planned if fault.at <= wrong.second], 0

    def fails(some: list) -> bool:
        nonlocal tries
        tries += 1
        url = server.database(f"shrink_{tries}") if server else None
        simulation = make(some, url) if url else make(some)
        simulation.days = min(simulation.days, int(wrong.second // 86400) + 1)
        found = simulation.run()
        simulation.remove()
        return found is not None and found.sentence.partition(":")[0] == rule

    parts = 2
    while len(left) > 1 and tries < MOST:
        size = -(-len(left) // parts)
        for start in range(0, len(left), size):
            fewer = left[:start] + left[start + size:]
            if tries < MOST and fails(fewer):
                left, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(left), parts * 2)
    return [] if left and fails([]) else left


def figures(simulation: Simulation, options, began: float) -> dict:
    acts = {"act: " + name.replace("_", " "): number
            for name, number in sorted(simulation.world.did.items())}
    return {"seed": simulation.seed, "days": simulation.days, "engine": options.engine,
            "hosts": options.hosts, "workers": options.workers, "digest": simulation.digest,
            "seconds": round(time.monotonic() - began, 1),
            "wrong": simulation.wrong.sentence if simulation.wrong else "",
            "counts": {**dict(sorted(simulation.counts.items())), **acts}}


def summary(found: dict) -> str:
    rows = "\n".join(f"  {number:8,}  {name}" for name, number in found["counts"].items())
    return (f"{rows}\nseed {found['seed']}, {found['days']} days on {found['engine']}, digest "
            f"{found['digest']}, {found['seconds']} s: {found['wrong'] or 'every rule was kept'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
