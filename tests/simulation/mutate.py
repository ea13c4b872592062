"""How much the simulation finds: faults are put into the product on purpose, while it runs, one at
a time. Each changes its behaviour by what passes through the door of the tests, most over the
connection to the database, so none depends on how the product is written.

    python3 -m tests.simulation.mutate [NAME...]        > mutants.txt, of all

It prints whether a rule is broken by each of them, on which day, and after how many seconds. What
only something rare can show, such as a strike in the middle of a run of a job, is planned besides.
"""
from __future__ import annotations

import re
import sys
import time

from tests.support import product

from . import faults
from .faults import DAY, HOUR, Fault
from .story import Simulation

SEED, DAYS = 1, 45              # for each


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


def early(table: str, name: str, hours: int):
    """What is compared with a time is compared with a later one."""
    return in_statements(table, rf"(<=? ):{name}\b", rf"\1DATETIME(:{name}, '+{hours} hours')")


MUTANTS = {
    "account-erased-a-day-early": in_statements(
        "account_deletions", r"(SELECT .*)\berase_after\b",
        r"\1DATETIME(erase_after, '-25 hours') AS erase_after"),
    "alias-switched-off-a-day-early": early("aliases", "ended", 20),
    "archive-with-a-wrong-digest": in_statements(
        "audit_archives", "sha256 = :sha256", "sha256 = 'wrong'"),
    "disabled-endpoint-not-told-of": in_statements(
        "notifications", r"(INSERT .*):kind\b",
        r"\1CASE WHEN :kind = 'webhook_disabled' THEN 'news' ELSE :kind END"),
    "domain-verified-without-its-records": in_statements(
        "domains", "checked_at = :checked_at", r"\g<0>, status = 'verified'"),
    "end-of-an-incident-not-told-of": in_statements(
        "alerts", r"(SELECT .*)\bnotified_at\b",
        r"\1CASE WHEN cleared_at IS NULL THEN notified_at END AS notified_at"),
    "events-without-their-notice": lambda acted: product.split_transactions(
        lambda sql: "INTO {notifications}" in sql and acted()),
    "failure-that-ends-with-0": lambda acted: product.change_exit_codes(
        lambda code: 0 if code == 1 and acted() else code),
    "file-deleted-with-its-first-row": in_statements(
        "spam_quarantine", "raw_path IN ", r"1 = 0 AND \g<0>"),
    "held-mail-deleted-a-day-early": early("overflow_hold", "warned_by", 20),
    "late-rows-not-added-up": in_statements("message_logs", "id > :seen AND", r"\g<0> 1 = 0 AND"),
    "messages-forgotten-by-the-limit": in_statements(
        "attempts", r"COUNT\(\*\) AS number", r"COUNT(*) * 0 AS number"),
    "notice-to-the-suspended": in_statements("users", r"= 'suspended'", "= 'nobody'"),
    "export-left-open": in_statements(
        "export_requests", "SET expires_at = :now", "SET expires_at = expires_at"),
    "purge-by-the-wrong-column": in_statements("sessions", r"\bexpires_at\b", "created_at"),
    "retried-an-hour-early": early("failed_emails", "now", 1),
    "totals-in-a-commit-of-their-own": lambda acted: product.split_transactions(
        lambda sql: "INTO {message_stats}" in sql and acted()),
    "usage-of-the-day-before": in_statements("usage_events", r":used\b", "(:used - 1)")}


# Kills of a job in the middle of its first runs of each day.
STRUCK = {"events-without-their-notice": "check_usage_thresholds",
          "totals-in-a-commit-of-their-own": "purge_message_logs"}
# What has to happen, and hardly does by itself: all endpoints answer 410, ...
NEEDED = {"disabled-endpoint-not-told-of": ("network", "gone", 6 * HOUR),
          "end-of-an-incident-not-told-of": ("dns", "silent", DAY),
          "failure-that-ends-with-0": ("relay", "denied", 8 * HOUR)}


def search(name: str, days: int) -> str:
    """What the simulation says of a fault, in a line."""
    began, planned = time.monotonic(), [
        *faults.draw(SEED, days),
        *(Fault(DAY, "spell", NEEDED[each]) for each in NEEDED if each == name),
        *(Fault(day * DAY + number, "aim", (STRUCK[name], "after statement", 4 + 2 * number, 9))
          for day in range(days) for number in range(4) if name in STRUCK)]
    simulation = Simulation(SEED, days, faults=planned, mutant=MUTANTS[name])
    simulation.run()
    simulation.remove()
    found = (f"found on day {simulation.day}" if simulation.wrong else
             f"not found in {days} days by {simulation.strikes.mutated(times=0)} changes")
    return f"{name}: {found}, after {time.monotonic() - began:.0f} s: {simulation.wrong}"


def main(names: list[str]) -> None:
    """Look for all of them, and say which were found."""
    said = []
    for name in names or MUTANTS:
        said.append(search(name, DAYS))
        print(said[-1], flush=True)
    print(f"\n{sum(': found ' in line for line in said)} of {len(said)} found")


if __name__ == "__main__":
    main(sys.argv[1:])
