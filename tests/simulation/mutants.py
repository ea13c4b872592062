"""Faults that are put into the product on purpose, while it runs: each changes its behaviour by
what passes through the door of the tests, over the connection to the database, or by its clock, so
none depends on how the product is written.

    python3 -m tests.simulation --mutant retried-an-hour-early

What the rules say of each is told by `python3 -m tests.simulation.mutate`.
"""
from __future__ import annotations

import re
from datetime import datetime, timedelta

from tests.support import product

HOUR = 3600


def install(name: str, strikes) -> None:
    """Put it into this process; `strikes.mutated()` hears each time that it acts."""
    MUTANTS[name](strikes.mutated)


# Ways to break it

def in_column(table: str, column: str, change):
    """Another value is written into a column."""
    def put(acted) -> None:
        def changed(sql: str, values: dict) -> tuple:
            for name in written(sql, table, column):
                if values.get(name) is not None:
                    acted()
                    values = {**values, name: change(values[name])}
            return sql, values
        product.change_statements(changed)
    return put


def written(sql: str, table: str, column: str) -> list[str]:
    """The names of the values that a statement writes into the column."""
    if found := re.match(rf"INSERT INTO \{{{table}\}} \((.*?)\) VALUES \((.*?)\)", sql):
        pairs = zip(*(re.findall(r"\w+", part) for part in found.groups()))
        return [value for name, value in pairs if name == column]
    if sql.startswith(f"UPDATE {{{table}}}"):
        return re.findall(rf"\b{column} = :(\w+)", sql.partition(" WHERE ")[0])
    return []


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
    """A failure ends with 0."""
    def changed(code: int) -> int:
        if code == 1:
            acted()
        return 0 if code == 1 else code
    product.change_exit_codes(changed)


def earlier(seconds: float):
    """A time, or a text that is one."""
    def change(value):
        if isinstance(value, str):
            moment = datetime.fromisoformat(value) - timedelta(seconds=seconds)
            return f"{moment:%Y-%m-%d %H:%M:%S}"
        return value - timedelta(seconds=seconds)
    return change


MUTANTS = {
    "account-erased-a-day-early": ahead("delete_accounts", 25 * HOUR),
    "alias-switched-off-a-day-early": ahead("expire_aliases", 26 * HOUR),
    "archive-with-a-wrong-digest": in_column("audit_archives", "sha256", lambda value: "0" * 64),
    "disabled-endpoint-not-told-of": in_column(
        "notifications", "kind", lambda kind: "news" if kind == "webhook_disabled" else kind),
    "events-without-their-notice": in_parts("check_usage_thresholds"),
    "failure-that-ends-with-0": all_is_well,
    "messages-forgotten-by-the-limit": in_statements(
        "attempts", r"COUNT\(\*\) AS number", r"COUNT(*) * 0 AS number"),
    "notice-to-the-suspended": in_statements("users", r"= 'suspended'", "= 'nobody'"),
    "purge-by-the-wrong-column": in_statements("sessions", r"\bexpires_at\b", "created_at"),
    "retried-an-hour-early": in_column("failed_emails", "next_attempt_at", earlier(HOUR)),
    "totals-in-a-commit-of-their-own": in_parts("purge_message_logs"),
    "usage-of-the-day-before": in_column("usage_events", "used", lambda value: value - 1),
}
# What only a strike in the middle of a run shows: the job that has to be struck.
STRUCK = {"events-without-their-notice": "check_usage_thresholds",
          "totals-in-a-commit-of-their-own": "purge_message_logs"}
