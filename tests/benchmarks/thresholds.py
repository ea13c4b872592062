"""What `check_usage_thresholds` costs with 100,000 users and their daily totals, by itself and
beside other questions.

    python -m tests.benchmarks.thresholds [--users 100000] [--days 90]

Whole processes on SQLite and on MariaDB: the first run, which finds a tenth of the users over
something, and one an hour later, which finds nothing new. Then the question alone, in the three
ways that it can be asked.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.features.usage import billing, thresholds
from tests.servers.mariadb import MariaDB
from tests.support.databases import bulk
from tests.support.plans import analyse
from tests.support.shell import ROOT, Shell

JOB, PLAN = "check_usage_thresholds", 10 ** 10
WAYS = {
    "by cycle, ranges of the key (ours)": thresholds.USED,
    "each user's cycle, joined": (
        "SELECT {users}.id AS user_id, SUM(bytes_used) AS bandwidth, SUM(email_count) AS emails "
        "FROM {users} JOIN"
        " {usage_daily} ON user_id = {users}.id AND day >= CASE SUBSTR(billing_anchor, 9, 2) %s END"
        " WHERE {users}.id > :first AND {users}.id <= :last GROUP BY {users}.id"),
    "one user after the other": (
        "SELECT user_id, SUM(bytes_used) AS bandwidth, SUM(email_count) AS emails "
        "FROM {usage_daily}"
        " WHERE user_id = :id AND day >= :start AND day < :end GROUP BY user_id"),
}


def fill(db, users: int, days: int) -> None:
    """Users with all anchor days; of each a row a day. Who is a multiple of ten is near or over a
    limit."""
    now = clock.now()
    bulk(db, "users", ["id", "email", "name", "billing_anchor", "bandwidth_limit_bytes",
                       "email_limit", "created_at"],
         [(id, f"u{id}@home.example", f"U {id}", f"2026-01-{id % 31 + 1:02}", PLAN, 5000, now)
          for id in range(1, users + 1)])
    for back in range(days):
        db.execute("INSERT INTO {usage_daily} (user_id, day, email_count, bytes_used) SELECT id, "
                   ":day, 20,"
                   " CASE WHEN id % 10 = 0 THEN 900000000 ELSE 30000000 END FROM {users} "
                   "WHERE id > 0", day=(now - timedelta(days=back)).date())
    analyse(db, ["users", "usage_daily"])


def run(service: Shell) -> tuple:
    """(seconds, peak MB, outcome) of one process."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, str(ROOT / "tests/support/peak.py"), JOB, "--json"],
                          text=True, check=True, capture_output=True, cwd=service.folder,
                          env={"PATH": os.environ["PATH"], "JOBS_CONFIG": str(service.folder
                                                                              / "config.ini")})
    seconds = time.perf_counter() - began
    return seconds, int(done.stderr.split()[-1]) / 1024, json.loads(done.stdout)["counts"]


def ask(db, way: str, users: int) -> tuple:
    """(seconds, statements) of asking for all users, of whom page after page is known by id."""
    now = clock.now()
    cycles = {f"{day:02}": billing.cycle(day, now.date()) for day in range(1, 32)}
    starts = " ".join(f"WHEN '{anchor}' THEN '{cycle.start}'" for anchor, cycle in cycles.items())
    began, statements = time.perf_counter(), 0
    for first in range(0, users, thresholds.PAGE):
        ids = range(first + 1, min(first + thresholds.PAGE, users) + 1)
        if "joined" in way:
            questions = [{"first": first, "last": ids[-1]}]
        elif "other" in way:
            questions = [{"id": id, **cycles[f"{id % 31 + 1:02}"]._asdict()} for id in ids]
        else:
            questions = [{"ids": [id for id in ids if id % 31 + 1 == day],
                          **cycles[f"{day:02}"]._asdict()} for day in range(1, 32)]
        sql = WAYS[way] % starts if "joined" in way else WAYS[way]
        for values in questions:
            db.query(sql, **values)
        statements += len(questions)
    return time.perf_counter() - began, statements


def measure(name: str, url: str, folder: str, users: int, days: int) -> None:
    """Print what one engine takes."""
    service = Shell(folder, url)
    fill(service.db, users, days)
    for what in ("first run", "an hour later"):
        seconds, peak, counts = run(service)
        print(f"{name:<8} {what:<36} {seconds:7.1f} s  {peak:4.0f} MB  {counts}", flush=True)
    for way in WAYS:
        seconds, statements = ask(service.db, way, users)
        print(f"{name:<8} {way:<36} {seconds:7.1f} s  {statements:,} statements", flush=True)
    service.db.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/jobs.db", folder, given.users, given.days)
    with MariaDB() as server, tempfile.TemporaryDirectory() as folder:
        measure("MariaDB", server.database(), folder, given.users, given.days)


if __name__ == "__main__":
    main()
