"""Deleting the old half of a table by a job and by one DELETE, with a writer beside each: rows a
second, and how long the writer waits.

    plain      audit rows of 200 bytes; beside one DELETE
    stats      message logs, whose totals are kept; beside one INSERT ... SELECT of all totals and
               one DELETE in one transaction
    archive    the audit rows, first written to a folder; beside one DELETE

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
from tests.support.db import Client
from tests.support.shell import ROOT, Shell

NOW = datetime.now(timezone.utc).replace(microsecond=0)
OLD, YOUNG = timedelta(days=500), timedelta(days=10)
ROWS, AT_ONCE = 1_000_000, 20_000
USERS, TOTALS = 500, "user_id, alias_id, DATE(created_at), direction, status"
# of the rows of one DELETE, and milliseconds that the writer may wait
FASTER = {"sqlite": 0.4, "mariadb": 0.75}
WAITS, LONGEST = {"sqlite": "p99", "mariadb": "max"}, 20.0

# `row(number, time)`: the columns of a row; `alone`: statements that do the same at once
Case = namedtuple("Case", "job table row alone sections")


def audit(number: int, moment: datetime) -> dict:
    """A sign-in."""
    return {"user_id": number % USERS, "actor": "someone", "event": "sign-in", "severity": "info",
            "ip": "192.0.2.1", "details": "x" * 130, "created_at": moment}


def message(number: int, moment: datetime) -> dict:
    """A message that came through."""
    return {"user_id": number % USERS, "alias_id": number % 1000, "direction": "forward",
            "status": "delivered", "bytes_used": 30_000, "created_at": moment}


PLAIN = Case("archive_audit_logs", "audit_logs", audit,
             ("DELETE FROM {audit_logs} WHERE created_at < :cutoff",), {})
CASES = {
    "plain": PLAIN,
    "archive": PLAIN._replace(sections={"archive": {"store": "archives"}}),
    "stats": Case("purge_message_logs", "message_logs", message, (
        ("INSERT INTO {message_stats} (user_id, alias_id, day, direction, status, email_count, "
         f"bytes_used) SELECT {TOTALS}, COUNT(*), SUM(bytes_used) FROM {{message_logs}} WHERE "
         f"created_at < :cutoff GROUP BY {TOTALS}"),
        "DELETE FROM {message_logs} WHERE created_at < :cutoff"), {})}


def fill(db: Client, table: str, row, number: int = ROWS) -> None:
    """Insert `row(0)`, `row(1)`, ... in portions."""
    for start in range(0, number, AT_ONCE):
        db.insert_all(table, [row(at) for at in range(start, min(number, start + AT_ONCE))])


def aged(case: Case, number: int) -> dict:
    """A row; half of them are old."""
    return case.row(number, NOW - (OLD if number < ROWS // 2 else YOUNG))


def write(name: str, url: str) -> None:
    """Say that it begins, insert and update until stdin ends, then print the waits."""
    case, db, waits, number = CASES[name], Client(url, timeout=600), [], 0
    print("begins", flush=True)
    while not waits or not select.select([sys.stdin], [], [], 0.005)[0]:
        number += 1
        began = time.perf_counter()
        if number % 2:
            db.insert(case.table, **case.row(number, NOW))
        else:
            db.execute(f"UPDATE {{{case.table}}} SET user_id = 1 WHERE id = :id",
                       id=ROWS - number * 7919 % (ROWS // 2))
        waits.append((time.perf_counter() - began) * 1000)
    waits.sort()
    print(json.dumps({"p99": waits[int(len(waits) * 0.99)], "max": waits[-1]}))


def race(name: str, url: str, work) -> dict:
    """Rows a second of `work()` and the waits of the writer beside it."""
    writer = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.purge", name, url], cwd=ROOT,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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


def measure(engine: str, name: str, make_url) -> None:
    """Both, each on a table of its own; print and hand over what they took."""
    case, found = CASES[name], {}
    for who, work in (("the job", by_job), ("one DELETE", alone)):
        with service(make_url(), **case.sections) as one:
            one.knows_rules(case.job)
            fill(one.db, case.table, partial(aged, case))
            found[who] = race(name, one.url, partial(work, case, one))
        print(f"{engine}, {name}, {ROWS:,} rows, {who}: " + ", ".join(
            f"{what} {value:,.0f}" for what, value in found[who].items()))
    if name == "plain":
        ratio = found["the job"]["rate"] / found["one DELETE"]["rate"]
        what = f"{engine}, {name}: ours, relative to one DELETE"
        print(beside_goal(what, ratio, at_least=FASTER[engine]))
    print(beside_goal(f"{engine}, {name}: another writer waits, {WAITS[engine]}",
                      found["the job"][WAITS[engine]], at_most=LONGEST, unit=" ms"))


def main() -> None:
    with durable() as server:
        for engine, make_url in (("sqlite", lambda: None), ("mariadb", server.database)):
            for name in CASES:
                measure(engine, name, make_url)


if __name__ == "__main__":
    write(*sys.argv[1:])
