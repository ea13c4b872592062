"""The cases of the purge benchmark: what is in the table, who deletes its old half, and who writes
beside them.

Each contestant is a function of (url, folder) that runs in a process of its own. Ours goes through
the runner, as `jobs.py` would run it. Rows are in the order of their time; the first half is older
than the limit.
"""
from __future__ import annotations

import gzip
import json
import os
import statistics
import time
from collections import namedtuple
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from jobs_lib import catalogue, clock
from jobs_lib.config import loader
from jobs_lib.database.connection import connect
from jobs_lib.engines.rules import Rule, keep, purge
from jobs_lib.output.console import Console
from jobs_lib.runner import runner
from jobs_lib.runner.resources import Ports, Session
from tests.support.databases import set_clock

NOW = datetime(2026, 11, 24, 14, 30, 5, tzinfo=timezone.utc)
OTHERS_STAY = 1000                      # one audit row in so many of the old ones is critical
ROWS_PER_USER = 2000
DETAILS = "x" * 130
PAGE = 10_000                           # rows that a plain dump reads together
USERS_ASKED = 200

Case = namedtuple("Case",
                  "title table columns row where cutoff index contestants peers write old check")
Case.__doc__ = """One statement of a job beside other ways to do the same.

title     what is done
table     with columns and row(number, rows): what is filled in
where     which rows are deleted, with `:cutoff`
index     one that is left out unless asked for, or None
peers     whether pt-archiver takes part
write     function of (db, number, rows) -> what was done
old       function of rows -> how many are deleted
check     function of (db, deleted, outcome): after the race
"""


def moment(number: int, rows: int, old: int, young: int, span: int) -> str:
    """The time of a row: the first half within `span` days from `old` days ago on, the others from
    `young` on."""
    half = rows // 2
    if number <= half:
        return clock.text(NOW - timedelta(days=old) + timedelta(days=span) * (number / half))
    return clock.text(NOW - timedelta(days=young) + timedelta(days=young - 10)
                      * ((number - half) / half))


def ours(job, url: str, folder: str, sections: str = "") -> None:
    """A job through the runner, until it has nothing left to do."""
    path = Path(folder) / "config.ini"
    path.write_text(f"[core]\ndatabase = {url}\nstate_dir = {folder}/state\nlog_dir = "
                    f"{folder}/log\n{sections}")
    settings = loader.load(str(path), beside=folder, environ={})
    ports = Then(settings)
    result = {"status": "partial", "stop_reason": "budget"}
    while (result["status"], result["stop_reason"]) == ("partial", "budget"):
        result = runner.run(Session(settings, ports, Console(-1)), job, runner.Request())
    assert result["status"] == "ok", result


class Then(Ports):
    """It is NOW, for the database server too: a job that sees two clocks differ deletes nothing."""

    def __init__(self, settings) -> None:
        super().__init__(settings)
        self.now = lambda: NOW

    def connect(self, **how):
        """As in Ports."""
        db = super().connect(**how)
        set_clock(db, NOW)
        return db


def nothing(url: str, folder: str) -> None:
    """Three seconds in which the writer is alone: what the disk and the machine make it wait by
    themselves."""
    time.sleep(3)


# Audit rows of 200 bytes: a plain purge, and one that writes them to an archive first.

AUDIT_CUTOFF = clock.text(NOW - timedelta(days=365))
AUDIT_WHERE = "severity = 'info' AND created_at < :cutoff"


def audit_row(number: int, rows: int) -> tuple:
    """A sign-in."""
    severity = "critical" if number % OTHERS_STAY == 0 and number <= rows // 2 else "info"
    return (number, number * 7919 % 50_000, "someone", "sign-in", severity, "192.0.2.1", DETAILS,
            moment(number, rows, 730, 300, 300))


def audit_write(db, number: int, rows: int) -> str:
    """Update an old row that stays, or insert one."""
    if number % 2:
        stays = range(OTHERS_STAY, rows // 2, OTHERS_STAY) or (rows,)
        db.execute("UPDATE {audit_logs} SET actor = :actor WHERE id = :id",
                   actor=f"writer {number}", id=stays[number * 7919 % len(stays)])
        return "update"
    db.insert("audit_logs", user_id=1, actor="writer", event="note", details=DETAILS,
              created_at=NOW)
    return "insert"


def audit_job(url: str, folder: str) -> None:
    """Our engine on a plain table."""
    ours(purge(table="audit_logs", rules=(Rule("created_at", only={"severity": "info"}),),
               schedule="0 0 * * *",
               options={"keep": keep("365d", "For this comparison.")})._replace(name="purge_audit",
                                                                                budget="1h"),
         url, folder)


def one_delete(url: str, folder: str) -> None:
    """Everything in one statement."""
    connect(url, timeout=60.0).execute(f"DELETE FROM {{audit_logs}} WHERE {AUDIT_WHERE}",
                                       cutoff=AUDIT_CUTOFF)


def limit_loop(url: str, folder: str, most: int) -> None:
    """What everybody writes first: so many at a time, until none is left, without a pause."""
    db, deleted = connect(url, timeout=60.0), most
    sql = f"DELETE FROM {{audit_logs}} WHERE {AUDIT_WHERE} ORDER BY created_at LIMIT {most}"
    if db.dialect.by_key:                # SQLite, whose usual builds have no DELETE ... LIMIT
        sql = ("DELETE FROM {audit_logs} WHERE id IN (SELECT id FROM {audit_logs} "
               f"WHERE {AUDIT_WHERE} LIMIT {most})")
    while deleted == most:
        deleted = db.execute(sql, cutoff=AUDIT_CUTOFF)


def archive_job(url: str, folder: str) -> None:
    """Our job, with a folder as its store: written, read back, then deleted by the ids that were
    read."""
    ours(catalogue.load("archive_audit_logs"), url, folder,
         f"[archive]\nstore = {folder}/archive\n[archive_audit_logs]\nbudget = 1h\n")


def dump(url: str, folder: str) -> None:
    """What everybody writes first: a gzip of JSON lines in one go, then one DELETE. Nothing is read
    back."""
    db, last = connect(url, timeout=60.0), 0
    with gzip.open(os.path.join(folder, "rows.jsonl.gz"), "wt", compresslevel=6,
                   encoding="utf-8") as file:
        while True:
            rows = db.query(f"SELECT * FROM {{audit_logs}} WHERE id > :last AND {AUDIT_WHERE} "
                            f"ORDER BY id LIMIT {PAGE}", last=last, cutoff=AUDIT_CUTOFF)
            if not rows:
                break
            file.writelines(json.dumps(row) + "\n" for row in rows)
            last = rows[-1]["id"]
    db.execute(f"DELETE FROM {{audit_logs}} WHERE {AUDIT_WHERE}", cutoff=AUDIT_CUTOFF)


# Message logs, whose totals are kept.

LOGS_CUTOFF = clock.text(NOW - timedelta(days=90))
KEYS, SUMS = ("user_id", "alias_id", "day", "direction", "status"), ("email_count", "bytes_used")
STATUSES = ("delivered",) * 17 + ("spam", "blocked", "held")


def log_row(number: int, rows: int) -> tuple:
    """A message: each user has about 2,000, by two aliases, one in seven a reply."""
    user = number * 7919 % max(1, rows // ROWS_PER_USER) + 1
    return (number, user, user * 2 + number % 2, "reply" if number % 7 == 0 else "forward",
            STATUSES[number * 31 % 20], 4000 + number % 9000, moment(number, rows, 390, 85, 299))


def log_write(db, number: int, rows: int) -> str:
    """Update a young row, or insert one."""
    if number % 2:
        half = rows // 2
        db.execute("UPDATE {message_logs} SET status = 'bounced' WHERE id = :id", id=half + 1
                   + number * 7919 % half)
        return "update"
    db.insert("message_logs", user_id=number % 50 + 1, alias_id=2, direction="forward",
              status="delivered", bytes_used=4000, created_at=NOW)
    return "insert"


def log_job(url: str, folder: str) -> None:
    """Our job: the totals of each batch in the transaction of its DELETE."""
    ours(catalogue.load("purge_message_logs"), url, folder, "[purge_message_logs]\nbudget = 1h\n")


def one_transaction(url: str, folder: str) -> None:
    """All totals by one INSERT ... SELECT and all rows by one DELETE, in one transaction."""
    db = connect(url, timeout=60.0)
    with db.transaction():
        db.insert_select_adding(
            "message_stats", KEYS, SUMS,
            "SELECT user_id, CASE WHEN alias_id IS NULL THEN 0 ELSE alias_id END, "
            "DATE(created_at), direction, status, COUNT(*), SUM(bytes_used) "
            "FROM {message_logs} WHERE created_at < :cutoff GROUP BY user_id,"
            " CASE WHEN alias_id IS NULL THEN 0 ELSE alias_id END, DATE(created_at), "
            "direction, status", cutoff=LOGS_CUTOFF)
        db.execute("DELETE FROM {message_logs} WHERE created_at < :cutoff", cutoff=LOGS_CUTOFF)


def totals_kept(db, deleted: int, outcome: dict) -> None:
    """Each deleted row is in the totals; and how long one user's totals take to be read, in
    milliseconds."""
    kept = db.value("SELECT SUM(email_count) FROM {message_stats}") or 0
    assert int(kept) == deleted, f"{deleted:,} rows deleted, {kept:,} in the totals"
    took, users = [], int(db.value("SELECT MAX(user_id) FROM {message_logs}"))
    for user in range(1, min(users, USERS_ASKED) + 1):
        began = time.perf_counter()
        db.query("SELECT SUM(n) AS emails, SUM(b) AS bytes "
                 "FROM (SELECT SUM(email_count) AS n, SUM(bytes_used) AS b"
                 " FROM {message_stats} WHERE user_id = :user "
                 "UNION ALL SELECT COUNT(*), SUM(bytes_used) FROM"
                 " {message_logs} WHERE user_id = :user) AS parts", user=user)
        took.append((time.perf_counter() - began) * 1000)
    outcome["query_ms"] = statistics.median(took)


# One account with half of all message logs, every second row of the table.

ACCOUNT, OTHERS = 1, 100
ACCOUNT_WHERE = f"user_id = {ACCOUNT}"


def account_row(number: int, rows: int) -> tuple:
    """A message, of the account or of one of the others."""
    user = ACCOUNT if number % 2 else 2 + number // 2 % OTHERS
    return (number, user, user, "forward", STATUSES[number * 31 % 20], 4000 + number % 9000,
            moment(number, rows, 390, 85, 299))


def account_write(db, number: int, rows: int) -> str:
    """Update a row of another account, or insert one."""
    if number % 2:
        db.execute("UPDATE {message_logs} SET status = 'bounced' WHERE id = :id",
                   id=2 + number * 7919 % (rows // 2) // 2 * 2)
        return "update"
    db.insert("message_logs", user_id=2 + number % OTHERS, alias_id=2, direction="forward",
              status="delivered", bytes_used=4000, created_at=NOW)
    return "insert"


def account_job(url: str, folder: str) -> None:
    """Our job: all tables of an account that was deleted eight days ago."""
    db = connect(url, timeout=60.0)
    with db.transaction():
        for user in range(1, OTHERS + 2):
            ended = user == ACCOUNT
            db.insert("users", id=user, email="someone@home.example",
                      status="deleted" if ended else "active",
                      deleted_at=NOW - timedelta(days=8) if ended else None,
                      created_at=NOW - timedelta(days=400))
    db.close()
    ours(catalogue.load("delete_accounts"), url, folder, "[delete_accounts]\nbudget = 1h\n")


def one_delete_of_it(url: str, folder: str) -> None:
    """Its log rows in one statement."""
    connect(url, timeout=60.0).execute(f"DELETE FROM {{message_logs}} WHERE {ACCOUNT_WHERE}")


def unchecked(db, deleted: int, outcome: dict) -> None:
    """Nothing more to look at."""


AUDIT = {"table": "audit_logs", "row": audit_row, "where": AUDIT_WHERE, "cutoff": AUDIT_CUTOFF,
         "write": audit_write, "columns": ["id", "user_id", "actor", "event", "severity", "ip",
                                           "details", "created_at"], "index": "audit_logs_user",
         "old": lambda rows: rows // 2 - rows // 2 // OTHERS_STAY, "check": unchecked}
CASES = {
    "plain": Case("deleted", **AUDIT, peers=True, contestants={
        "nothing": nothing, "one DELETE": one_delete, "LIMIT 1000 in a loop": partial(limit_loop,
                                                                                      most=1000),
        "LIMIT 5000 in a loop": partial(limit_loop, most=5000), "ours": audit_job}),
    "stats": Case("deleted, their totals kept", table="message_logs", row=log_row,
                  where="created_at < :cutoff", columns=["id", "user_id", "alias_id", "direction",
                                                         "status", "bytes_used", "created_at"],
                  cutoff=LOGS_CUTOFF, index=None, write=log_write, old=lambda rows: rows // 2,
                  check=totals_kept, peers=False, contestants={"nothing": nothing,
                                                               "one transaction": one_transaction,
                                                               "ours": log_job}),
    "account": Case("deleted with their account", table="message_logs", row=account_row,
                    where=ACCOUNT_WHERE, columns=["id", "user_id", "alias_id", "direction",
                                                  "status", "bytes_used", "created_at"],
                    cutoff=LOGS_CUTOFF, index=None, write=account_write, old=lambda rows: rows // 2,
                    check=unchecked, peers=False, contestants={"nothing": nothing,
                                                               "one DELETE": one_delete_of_it,
                                                               "ours": account_job}),
    "archive": Case("archived, then deleted", **AUDIT, peers=False, contestants={
        "nothing": nothing, "a dump, one DELETE": dump, "ours": archive_job}),
}
