"""Which rows each purge deletes, and what all of them keep to, on both engines.

The rows and their limits are literal: whoever changes a rule changes this table, too. What a job
does besides is in its own file.
"""
from __future__ import annotations

import itertools
from collections import namedtuple

import pytest

from tests.support import databases
from tests.support.product import ConfigError, catalogue

OLD = 5000                  # days: past any limit
NUMBERS = itertools.count(1)

Case = namedtuple("Case", "table option rows old young files")
Case.__doc__ = """What one job deletes.

option  how long rows are kept
rows    ({column: value}, whether it goes); a number is so many days ago, a negative one is to come
old     what a row has that goes: it is older than the option says
young   what a row has that stays
files   whether each row has a file that goes with it
"""
SECOND = 1 / 86400          # of a day

CASES = {
    "purge_sessions": Case("sessions", "idle", [
        ({"expires_at": SECOND, "last_seen_at": 0}, True),
        ({"expires_at": 0, "last_seen_at": 0}, False),
        ({"expires_at": -300, "last_seen_at": 30 + SECOND}, True),
        ({"expires_at": -300, "last_seen_at": 30}, False),
        ({"expires_at": -300, "last_seen_at": 1, "created_at": 900}, False),
    ], {"expires_at": -300, "last_seen_at": OLD}, {"expires_at": -300, "last_seen_at": 0}, False),
    "purge_magic_links": Case("magic_links", "keep_used", [
        ({"expires_at": SECOND}, True), ({"expires_at": 0}, False),
        ({"expires_at": SECOND, "used_at": 0}, True),
        ({"expires_at": -7, "used_at": 1 + SECOND}, True),
        ({"expires_at": -7, "used_at": 1}, False),
        ({"expires_at": -7, "used_at": None, "created_at": 900}, False),
    ], {"expires_at": -7, "used_at": OLD}, {"expires_at": -7}, False),
    "purge_failed_emails": Case("failed_emails", "keep", [
        ({"status": "sent", "finished_at": 7 + SECOND}, True),
        ({"status": "sent", "finished_at": 7}, False),
        ({"status": "sent", "finished_at": 1, "created_at": 9}, False),
        # its owner was told, or was not for a day more
        ({"status": "failed", "finished_at": 7 + SECOND, "notified_at": 6}, True),
        ({"status": "failed", "finished_at": 7, "notified_at": 6}, False),
        ({"status": "failed", "finished_at": 8, "notified_at": None}, False),
        ({"status": "failed", "finished_at": 8 + SECOND, "notified_at": None}, True),
        # without a time of its end it counts from its creation
        ({"status": "sent", "finished_at": None, "created_at": 7 + SECOND}, True),
        ({"status": "sent", "finished_at": None, "created_at": 7}, False),
        # queued, however old
        ({"status": "pending", "created_at": 900}, False),
        ({"status": "pending", "created_at": 900, "finished_at": 900}, False),
        ({"status": "sending", "created_at": 900, "last_attempt_at": 900}, False),
    ], {"status": "sent", "finished_at": OLD}, {"status": "sent", "finished_at": 0}, True),
    "purge_spam_quarantine": Case("spam_quarantine", "keep", [
        ({"quarantined_at": 30 + SECOND}, True), ({"quarantined_at": 30}, False),
        ({"quarantined_at": 30 + SECOND, "released_at": 1}, True),
        ({"quarantined_at": 29, "released_at": 28}, False),
    ], {"quarantined_at": OLD}, {"quarantined_at": 0}, True),
    "expire_overflow_hold": Case("overflow_hold", "keep_released", [
        ({"held_at": 40, "released_at": 7 + SECOND}, True),
        ({"held_at": 40, "released_at": 7}, False), ({"held_at": 40, "released_at": None}, False),
    ], {"held_at": OLD, "released_at": OLD}, {"held_at": 0}, True),
    "purge_message_logs": Case("message_logs", "keep", [
        ({"created_at": 90 + SECOND}, True), ({"created_at": 90}, False),
    ], {"created_at": OLD}, {"created_at": 0}, False),
    "purge_notifications": Case("notifications", "keep", [
        ({"status": "sent", "created_at": 90 + SECOND}, True),
        ({"status": "sent", "created_at": 90}, False),
        ({"status": "failed", "created_at": 90 + SECOND}, True),
        ({"status": "failed", "created_at": 90}, False),
        ({"status": "sent", "created_at": 91, "finished_at": 1}, True),
        ({"status": "pending", "created_at": 900, "sent_at": 900, "finished_at": 900}, False),
        ({"status": "sending", "created_at": 900}, False),
    ], {"status": "sent", "created_at": OLD}, {"status": "sent", "created_at": 0}, False),
    "purge_webhook_deliveries": Case("webhook_deliveries", "keep", [
        ({"status": "delivered", "created_at": 30 + SECOND}, True),
        ({"status": "delivered", "created_at": 30}, False),
        ({"status": "failed", "created_at": 30 + SECOND, "finished_at": 27}, True),
        ({"status": "failed", "created_at": 30}, False),
        ({"status": "pending", "created_at": 900, "finished_at": 900}, False),
        ({"status": "sending", "created_at": 900}, False),
    ], {"status": "delivered", "created_at": OLD}, {"status": "delivered", "created_at": 0}, False),
    "archive_audit_logs": Case("audit_logs", "keep", [
        ({"severity": "info", "created_at": 365 + SECOND}, True),
        ({"severity": "info", "created_at": 365}, False),
        ({"severity": "warning", "created_at": 366}, True),
        ({"severity": "critical", "created_at": 2555 + SECOND}, True),
        ({"severity": "critical", "created_at": 2555}, False),
        ({"severity": "unheard", "created_at": 9000}, False),
    ], {"created_at": OLD}, {"created_at": 0}, False),
    "purge_job_history": Case("attempts", "keep_attempts", [
        ({"began_at": 30 + SECOND}, True), ({"began_at": 30}, False),
    ], {"began_at": OLD}, {"began_at": 0}, False)}

by_job = pytest.mark.parametrize("name", CASES)


def test_every_purge_is_in_the_table():
    """But for headers, which go by the age of their log row."""
    purges = {name for name in catalogue.names() if name.startswith(("purge_", "archive_"))}
    assert purges - {"purge_header_snapshots"} == {*CASES} - {"expire_overflow_hold"}


def row(bench, case: Case, values: dict) -> dict:
    """A row of the table, with a file of its own where files go too."""
    made = {name: bench.ago(days=value) if name.endswith("_at") and value is not None else value
            for name, value in values.items()}
    if case.files:
        made["raw_path"] = f"{next(NUMBERS):06}.eml"
        bench.spool(made["raw_path"])
    return made


def fill(bench, case: Case) -> list[int]:
    """All rows of the case; the ids of those that stay."""
    ids = bench.table(case.table, [row(bench, case, values) for values, _ in case.rows])
    return [id for id, (_, goes) in zip(ids, case.rows) if not goes]


def files(bench, case: Case) -> list[str]:
    """Those that the rows name."""
    return sorted(row["raw_path"] for row in bench.rows(case.table)) if case.files else []


def check_left(bench, case: Case, ids: list[int]) -> None:
    assert bench.ids(case.table) == ids
    assert bench.spooled() == files(bench, case)


@by_job
def test_what_is_past_its_limit_goes_and_what_is_at_it_stays(bench, name):      # R25
    case = CASES[name]
    kept = fill(bench, case)
    bench.was_looked_at()
    before, spooled = databases.rows(bench.db), bench.spooled()
    told = bench.run(name, dry_run=True)
    assert (databases.rows(bench.db), bench.spooled()) == (before, spooled)         # R11
    goes = len(case.rows) - len(kept)
    assert told["deleted"] == goes
    assert set(bench.samples[-1]["rows"][0]) <= set(catalogue.load(name).sample)
    done = bench.run(name)
    assert (done["deleted"], done.get("files", 0)) == (goes, goes * case.files)
    assert bool(done.get("bytes_freed")) == case.files
    check_left(bench, case, kept)
    assert bench.run(name)["deleted"] == 0                                          # R12
    check_left(bench, case, kept)


@by_job
def test_how_long_is_an_option_and_it_may_be_off(bench, name):
    case = CASES[name]
    bench.bulk(case.table, [row(bench, case, case.old) for _ in range(2)])
    assert bench.run(name, **{case.option: "off"})["deleted"] == 0
    assert bench.run(name, **{case.option: f"{OLD + 1}d"})["deleted"] == 0
    assert bench.run(name, **{case.option: f"{OLD - 1}d"})["deleted"] == 2
    with pytest.raises(ConfigError, match="expected a duration"):
        bench.run(name, **{case.option: "0d"})


@by_job
def test_what_would_go_only_by_a_shorter_limit_stays_until_it_is_confirmed(bench, name):  # R19 R80
    case = CASES[name]
    limit, age = ("2d", 3) if name == "purge_job_history" else ("1h", 0.5)
    aged = {column: age if value == OLD else value for column, value in case.old.items()}
    bench.run(name)
    bench.bulk(case.table, [row(bench, case, aged) for _ in range(15)])
    bench.config(**{name: {case.option: limit}})
    assert bench.run(name)["held"] == 15
    assert len(bench.ids(case.table)) == 15
    assert bench.run(name, yes=True)["deleted"] == 15
