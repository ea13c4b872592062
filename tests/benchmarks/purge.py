"""Deleting the old half of a table by a job and by one DELETE, with a writer beside each: rows a
second, and how long the writer waits.

    plain      audit rows of 200 bytes; beside one DELETE
    archive    the audit rows, first written to a folder; beside one DELETE
    stats      message logs, whose totals are kept; beside one INSERT ... SELECT of all totals and
               one DELETE in one transaction
    account    an account of half of the message logs, which lie among another's; beside one DELETE

The writer inserts a row and updates one that stays, 100 times a second each.
"""
from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections import namedtuple
from datetime import datetime, timedelta, timezone
from functools import partial

from tests.benchmarks.all import beside_goal, durable, service
from tests.support.databases import fill
from tests.support.db import Client
from tests.support.shell import ROOT, Shell

NOW = datetime.now(timezone.utc).replace(microsecond=0)
OLD, YOUNG = timedelta(days=500), timedelta(days=10)
ROWS, AT_ONCE = 1_000_000, 100_000
TOTALS = "user_id, alias_id, DATE(created_at), direction, status"
# {engine: (rows in the time of one for whoever does it at once, what the writer may wait)}
GOALS = {"sqlite": ({"plain": 0.4, "stats": 0.4}, "p99", 20.0),
         "mariadb": ({"plain": 0.6, "stats": 1.0, "account": 0.4}, "max", 40.0)}
# {case: (what is deleted, beside what)}
TITLES = {"plain": ("a purge", "one DELETE"), "stats": ("a purge of logs", "one transaction"),
          "account": ("an account", "one DELETE")}

# `row`, `changing`: for databases.fill; `alone`: statements that do the same at once
Case = namedtuple("Case", "job table row changing alone sections")
AUDIT = Case("archive_audit_logs", "audit_logs", {
    "actor": "someone", "event": "sign-in", "severity": "info", "ip": "192.0.2.1",
    "details": "x" * 130}, {"user_id": "n % 500"},
    ("DELETE FROM {audit_logs} WHERE created_at < :cutoff",), {})
LOG = Case("purge_message_logs", "message_logs", {
    "direction": "forward", "status": "delivered", "bytes_used": 30_000},
    {"user_id": "n % 500", "alias_id": "n % 1000"}, (
        ("INSERT INTO {message_stats} (user_id, alias_id, day, direction, status, email_count, "
         f"bytes_used) SELECT {TOTALS}, COUNT(*), SUM(bytes_used) FROM {{message_logs}} WHERE "
         f"created_at < :cutoff GROUP BY {TOTALS}"),
        "DELETE FROM {message_logs} WHERE created_at < :cutoff"), {})
CASES = {"plain": AUDIT, "stats": LOG,
         "archive": AUDIT._replace(sections={"archive": {"store": "archives"}}),
         "account": LOG._replace(job="delete_accounts", changing={
             "user_id": "1 + n % 2", "alias_id": "n % 40"}, alone=(
                 "DELETE FROM {message_logs} WHERE user_id = 1 AND created_at > :cutoff",))}


def fill_table(case: Case, one: Shell) -> None:
    """Old rows, then as many young ones; of an account whose deletion is due, all young."""
    if case == CASES["account"]:
        for values in ({"status": "deleted", "deleted_at": NOW - timedelta(days=40)}, {}):
            one.db.insert("users", email="u@home.example", created_at=NOW, **values)
    for number in range(ROWS // AT_ONCE):
        is_old = case != CASES["account"] and number < ROWS // AT_ONCE // 2
        age = OLD if is_old else YOUNG
        fill(one.db, case.table, {**case.row, "created_at": NOW - age}, AT_ONCE, **case.changing)


def write(table: str, url: str) -> None:
    """Say that it begins, insert and update until stdin ends, then print the waits."""
    case, db, waits, number = {"audit_logs": AUDIT, "message_logs": LOG}[table], Client(
        url, timeout=600), [], 0
    print("begins", flush=True)
    while not waits or not select.select([sys.stdin], [], [], 0.005)[0]:
        number += 1
        began = time.perf_counter()
        if number % 2:
            db.insert(table, **case.row, user_id=number % 500, created_at=NOW)
        else:
            db.execute(f"UPDATE {{{table}}} SET user_id = 3 WHERE id = :id",
                       id=ROWS - number * 7919 % (ROWS // 2))
        waits.append((time.perf_counter() - began) * 1000)
    waits.sort()
    print(json.dumps({"p99": waits[int(len(waits) * 0.99)], "max": waits[-1]}))


def race(table: str, url: str, work) -> dict:
    """Rows a second of `work()` and the waits of the writer beside it."""
    writer = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.purge", table, url],
                              cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    writer.stdout.readline()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    waits, _ = writer.communicate("end\n")
    return {"rate": ROWS // 2 / seconds, **json.loads(waits)}


def alone(case: Case, one: Shell) -> None:
    with one.db.transaction():
        for sql in case.alone:
            one.db.execute(sql, cutoff=NOW - timedelta(days=400))


def by_job(case: Case, one: Shell) -> None:
    """Run the job until nothing is left."""
    while one.job(case.job, "--yes", timeout=36_000)["status"] == "partial":
        pass


def compare(engine: str, name: str, make_url) -> tuple[float, dict]:
    """The job and `alone`, each on a table of its own: how many rows the job deletes in the time of
    a row of the other, and the waits beside the job."""
    case, found = CASES[name], {}
    for who, work in (("the job", by_job), ("at once", alone)):
        with service(make_url(), **case.sections) as one:
            one.knows_rules(case.job)
            fill_table(case, one)
            found[who] = race(case.table, one.url, partial(work, case, one))
            left = one.db.value(f"SELECT COUNT(*) FROM {{{case.table}}}")
            assert left < 0.6 * ROWS, (name, who, left)     # some are the writer's
        print(f"{engine}, {name}, {ROWS:,} rows, {who}: " + ", ".join(
            f"{what} {value:,.0f}" for what, value in found[who].items()))
    return found["the job"]["rate"] / found["at once"]["rate"], found["the job"]


def main() -> None:
    with durable() as server:
        for engine, make_url in (("sqlite", lambda: None), ("mariadb", server.database)):
            goals, which, longest = GOALS[engine]
            found = {name: compare(engine, name, make_url) for name in (*goals, "archive")}
            for name, goal in goals.items():
                what, beside = TITLES[name]
                print(beside_goal(f"{engine}: {what} of {ROWS // 2:,} rows, relative to {beside}",
                                  found[name][0], at_least=goal))
            print(beside_goal(f"{engine}: another writer waits beside any of these, {which}",
                              *(waits[which] for _, waits in found.values()), at_most=longest,
                              unit=" ms"))


if __name__ == "__main__":
    write(*sys.argv[1:])
