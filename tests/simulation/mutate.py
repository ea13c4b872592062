"""How much the simulation finds: faults are put into the product on purpose, while it runs, one at
a time. Each changes its behaviour by what passes through the door of the tests, over the connection
to the database, or by its clock, so none depends on how the product is written.

    python3 -m tests.simulation.mutate [NAME...]        > mutants.txt, of all

It prints whether a rule is broken by each of them, on which day of which seed, and after how many
seconds. Where only a strike in the middle of a run can show it, the seed is the next one with
strikes that are soon aimed at that job.
"""
from __future__ import annotations

import re
import sys
import time
from itertools import count

from tests.support import product

from . import faults
from .story import Simulation

HOUR = 3600
DAYS = 45                       # for each
SOON = 4                        # days, on two of which that job is aimed at


# Ways to break it: each puts that into this process; `acted()` hears each time that it acts

def in_statements(table: str, pattern: str, words: str):
    """Statements about a table ask for something else."""
    def put(acted) -> None:
        def changed(sql: str, values: dict) -> tuple:
            other = re.sub(pattern, words, sql) if f"{{{table}}}" in sql else sql
            if other != sql:
                acted()
            return other, values
        product.change_statements(changed)
    return put


def in_runs_of(job: str):
    """From now on, what tells whether a run of the job is under way."""
    inside = [False]

    def run(name: str, work):
        inside[0] = name == job
        try:
            return work()
        finally:
            inside[0] = False
    product.change_runs(run)
    return lambda: inside[0]


def ahead(job: str, seconds: float):
    """A job believes that it is later."""
    def put(acted) -> None:
        is_inside = in_runs_of(job)
        product.change_clock(lambda: seconds if is_inside() and acted() else 0)
    return put


def in_parts(job: str):
    """A transaction of the job is stored statement by statement."""
    def put(acted) -> None:
        is_inside = in_runs_of(job)
        product.split_transactions(lambda: is_inside() and acted())
    return put


def all_is_well(acted) -> None:
    def changed(code: int) -> int:
        if code == 1:
            acted()
        return 0 if code == 1 else code
    product.change_exit_codes(changed)


MUTANTS = {
    "account-erased-a-day-early": ahead("delete_accounts", 25 * HOUR),
    "alias-switched-off-a-day-early": ahead("expire_aliases", 26 * HOUR),
    "archive-with-a-wrong-digest": in_statements(
        "audit_archives", "sha256 = :sha256", "sha256 = 'wrong'"),
    "disabled-endpoint-not-told-of": in_statements(
        "notifications", r"(INSERT .*):kind\b",
        r"\1CASE WHEN :kind = 'webhook_disabled' THEN 'news' ELSE :kind END"),
    "events-without-their-notice": in_parts("check_usage_thresholds"),
    "failure-that-ends-with-0": all_is_well,
    "messages-forgotten-by-the-limit": in_statements(
        "attempts", r"COUNT\(\*\) AS number", r"COUNT(*) * 0 AS number"),
    "notice-to-the-suspended": in_statements("users", r"= 'suspended'", "= 'nobody'"),
    "purge-by-the-wrong-column": in_statements("sessions", r"\bexpires_at\b", "created_at"),
    "retried-an-hour-early": ahead("retry_forwards", HOUR),
    "totals-in-a-commit-of-their-own": in_parts("purge_message_logs"),
    "usage-of-the-day-before": in_statements("usage_events", r":used\b", "(:used - 1)"),
}
# What only a strike in the middle of a run shows: the job that has to be struck.
STRUCK = {"events-without-their-notice": "check_usage_thresholds",
          "totals-in-a-commit-of-their-own": "purge_message_logs"}


# Looking for them

def seed_for(name: str) -> int:
    """The first seed whose strikes may show the fault."""
    job = STRUCK.get(name)
    return next(seed for seed in count(1) if not job or len({
        fault.at // faults.DAY for fault in faults.draw(seed, SOON + 1, ["aim"])
        if fault.about[0] == job}) >= 2)


def search(name: str, days: int) -> str:
    """What the simulation says of a fault, in a line."""
    began, seed = time.monotonic(), seed_for(name)
    simulation = Simulation(seed, days, mutant=MUTANTS[name])
    simulation.run()
    simulation.remove()
    found = (f"found on day {simulation.day}" if simulation.wrong else
             f"not found in {days} days by {simulation.strikes.mutated(times=0)} changes")
    return (f"{name}: {found} of seed {seed}, after {time.monotonic() - began:.0f} s: "
            f"{simulation.wrong}")


def main(names: list[str]) -> None:
    """Look for all of them, and say which were found."""
    found = 0
    for name in names or MUTANTS:
        said = search(name, DAYS)
        found += ": found " in said
        print(said, flush=True)
    print(f"\n{found} of {len(names or MUTANTS)} found")


if __name__ == "__main__":
    main(sys.argv[1:])
