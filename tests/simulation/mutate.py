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
from .faults import HOUR
from .story import Simulation

DAYS = 45                       # for each


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


def in_runs_of(job: str, change):
    """Within runs of the job, what `change` is given says that it is meant."""
    def put(acted) -> None:
        running: list[str] = []

        def run(name: str, work):
            running.append(name)
            try:
                return work()
            finally:
                running.pop()
        product.change_runs(run)
        change(lambda: running[-1:] == [job] and acted())
    return put


def ahead(job: str, seconds: float):
    """A job believes that it is later."""
    return in_runs_of(job, lambda is_meant: product.change_clock(
        lambda: seconds if is_meant() else 0))


def in_parts(job: str):
    """A transaction of the job is stored statement by statement."""
    return in_runs_of(job, product.split_transactions)


def all_is_well(acted) -> None:
    product.change_exit_codes(lambda code: 0 if code == 1 and acted() else code)


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


def search(name: str, days: int) -> str:
    """What the simulation says of a fault, in a line, of the first seed whose strikes may show
    it."""
    began, job = time.monotonic(), STRUCK.get(name)
    seed = next(seed for seed in count(1) if not job or len({
        fault.at // faults.DAY for fault in faults.draw(seed, 5, ["aim"])
        if fault.about[0] == job}) >= 2)
    simulation = Simulation(seed, days, mutant=MUTANTS[name])
    simulation.run()
    simulation.remove()
    found = (f"found on day {simulation.day}" if simulation.wrong else
             f"not found in {days} days by {simulation.strikes.mutated(times=0)} changes")
    return (f"{name}: {found} of seed {seed}, after {time.monotonic() - began:.0f} s: "
            f"{simulation.wrong}")


def main(names: list[str]) -> None:
    """Look for all of them, and say which were found."""
    said = []
    for name in names or MUTANTS:
        said.append(search(name, DAYS))
        print(said[-1], flush=True)
    print(f"\n{sum(': found ' in line for line in said)} of {len(said)} found")


if __name__ == "__main__":
    main(sys.argv[1:])
