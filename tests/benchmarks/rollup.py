"""The hourly rollup beside a rebuild of everything, and memory with ten times the rows.

    python -m tests.benchmarks.rollup [--engine sqlite] [--engine mariadb] [--rows 1000000] [--rows
    10000000]
                                      [--days 90] [--users 1000] [--rounds 5]

The log ends at the last midnight, as for the run that comes first after it. For each engine and
size: the first run, which adds up everything; runs after it, whose median is told; all days and
weeks by one statement each, without any of what makes a run safe; one user's month read 1,000
times. Runs are processes of their own, times those that the run itself tells, memory is the peak of
the process (VmHWM). Beside the first run a writer inserts 100 log rows a second of days before; its
waits are told. MariaDB is a private server with the durability of a real one.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from datetime import timedelta
from statistics import median

from jobs_lib import clock
from jobs_lib.database.connection import connect
from tests.benchmarks.figures import beside_goal
from tests.benchmarks.purge import DURABLE
from tests.servers import mariadb
from tests.support.databases import bulk
from tests.support.shell import ROOT, Shell

PEAK = str(ROOT / "tests/support/peak.py")
LOG = ["user_id", "direction", "status", "bytes_used", "created_at"]
DETAIL = ("(SELECT user_id, day, email_count, bytes_used FROM {message_stats} "
          "UNION ALL SELECT user_id,"
          " DATE(created_at), 1, bytes_used FROM {message_logs}) AS parts")
SECONDS = 86_400


def fill(db, rows: int, days: int, users: int) -> None:
    """So many rows, spread evenly over the days before today and over the users; ids rise with
    time."""
    midnight = clock.now().replace(hour=0, minute=0, second=0)
    bulk(db, "users", ["id", "email", "created_at"], [(id, f"u{id}@home.example", midnight)
                                                      for id in range(1, users + 1)])
    a_day = rows // days
    for age in range(days, 0, -1):
        start, before = midnight - timedelta(days=age), db.value("SELECT MAX(id) FROM "
                                                                 "{message_logs}") or 0
        seed = [(n % users + 1, "forward", ("delivered", "spam")[n % 9 == 0], n * 7919 % 60_000,
                 start + timedelta(seconds=n * SECONDS // min(users, a_day)))
                for n in range(min(users, a_day))]
        bulk(db, "message_logs", LOG, seed)
        for copied in range(len(seed), a_day, len(seed)):
            # with ids of their own: InnoDB's would leave gaps
            db.execute("INSERT INTO {message_logs} (id, user_id, direction, status, bytes_used, "
                       "created_at) SELECT"
                       " id + :copied, user_id, direction, status, bytes_used + 1, created_at "
                       "FROM {message_logs}"
                       " WHERE id > :before AND id <= :last", copied=copied, before=before,
                       last=before + min(len(seed), a_day - copied))


def run(service, *words: str) -> dict:
    """One run as a process: its outcome, with the peak of its memory in KiB."""
    process = service.start("rollup_usage", "--json", *words, launcher=PEAK,
                            JOBS_ROLLUP_USAGE_BUDGET="2h")
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(out + err)
    return {**json.loads(out), "memory": int(err.splitlines()[-1])}


class Writer(threading.Thread):
    """Inserts until it is told to stop."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.waits, self.over = url, [0.0], threading.Event()
        self.start()

    def run(self) -> None:
        """100 rows a second, of the last hour of the day before yesterday."""
        db = connect(self.url, timeout=600.0)
        when = clock.now().replace(hour=0, minute=0, second=0) - timedelta(hours=25)
        while not self.over.wait(0.01):
            began = time.perf_counter()
            db.insert("message_logs", user_id=1, direction="send", status="spam", bytes_used=1,
                      created_at=when)
            self.waits.append((time.perf_counter() - began) * 1000)
        db.close()

    def stop(self) -> str:
        """p99 and the longest wait, in milliseconds."""
        self.over.set()
        self.join()
        return f"{sorted(self.waits)[int(len(self.waits) * 0.99)]:.0f} / {max(self.waits):.0f} ms"


def at_once(db) -> float:
    """Seconds for all days and all weeks, in one statement each, into tables that are not ours."""
    for name in ("bare_daily", "bare_weekly"):
        db.execute(f"DROP TABLE IF EXISTS {name}")
        db.execute(f"CREATE TABLE {name} (user_id BIGINT, day DATE, email_count BIGINT, bytes_used "
                   "BIGINT, PRIMARY KEY (user_id, day))")
    began = time.perf_counter()
    db.execute("INSERT INTO bare_daily SELECT user_id, day, SUM(email_count), SUM(bytes_used) "
               f"FROM {DETAIL}"
               " GROUP BY user_id, day")
    monday = ("DATE(day, '-6 days', 'weekday 1')" if db.dialect.name == "sqlite"
              else "DATE_SUB(day, INTERVAL WEEKDAY(day) DAY)")
    db.execute(f"INSERT INTO bare_weekly SELECT user_id, {monday}, SUM(email_count), "
               "SUM(bytes_used) FROM bare_daily GROUP BY 1, 2")
    seconds = time.perf_counter() - began
    for name in ("bare_daily", "bare_weekly"):
        db.execute(f"DROP TABLE {name}")
    return seconds


def read(db, users: int) -> float:
    """Milliseconds for one user's month."""
    today = clock.now().date()
    began = time.perf_counter()
    for number in range(1000):
        db.query("SELECT day, email_count, bytes_used FROM {usage_daily} WHERE user_id = :user "
                 "AND day >= :since AND day < :before", user=number * 37 % users + 1, since=today
                 - timedelta(days=31), before=today)
    return time.perf_counter() - began


def measure(engine: str, url: str, folder: str, rows: int, args) -> dict:
    """All of one engine and size, printed as it comes."""
    os.makedirs(folder, exist_ok=True)
    service = Shell(folder, url)
    fill(service.inside, rows, args.days, args.users)
    for table in ("message_logs", "users") if engine == "MariaDB" else ():
        service.db.query(f"ANALYZE TABLE {{{table}}}")
    bare = at_once(service.inside)
    writer = Writer(url)
    full = run(service)
    waits = writer.stop()
    later = [run(service) for _ in range(args.rounds)]
    hourly = median(one["duration_ms"] for one in later)
    rebuilt = median(run(service, "--set",
                         f"from={clock.now().date() - timedelta(days=args.days)}")["duration_ms"]
                     for _ in range(min(args.rounds, 3)))
    month = read(service.inside, args.users)
    memory = max(full["memory"], *(one["memory"] for one in later))
    print(f"\n{engine}, {rows:,} log rows, {args.days} days, {args.users:,} users: "
          f"{full['counts']}\n"
          f"  one statement for all days, one for all weeks   {bare * 1000:9,.0f} ms\n"
          f"  first run                                       {full['duration_ms']:9,} ms, a "
          f"writer waits p99 / max {waits}\n"
          f"  rebuild of all days                             {rebuilt:9,.0f} ms\n"
          f"  hourly run, {later[0]['counts']['days']} days                             "
          f"{hourly:9,.0f} ms: 1/{full['duration_ms'] / hourly:.0f} of the first run, "
          f"1/{rebuilt / hourly:.0f} of a rebuild, 1/{bare * 1000 / hourly:.0f} of the statements\n"
          f"  a user's month                                  {month:9.3f} ms\n"
          f"  memory                                          {memory / 1024:9.1f} MB", flush=True)
    print("  first run / hourly run: " + beside_goal(
        f"{engine}: hourly runs in the time of the first, {rows:,} rows",
        full["duration_ms"] / hourly, at_least=50))
    service.close()
    return {"memory": memory, "hourly": hourly}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", choices=("sqlite", "mariadb"))
    parser.add_argument("--rows", type=int, action="append", help="several sizes are compared "
                        "(default: 1000000)")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where to put the databases (default: the temporary folder)")
    args = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} "
          "(should be below 1)")
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        for engine in args.engine or ["sqlite", "mariadb"]:
            if engine == "sqlite":
                found = {rows: measure("SQLite", f"sqlite:///{folder}/{rows}/jobs.db",
                                       f"{folder}/{rows}", rows, args) for rows in args.rows
                         or [1_000_000]}
            else:
                # a real disk: here it has to be waited for
                mariadb.MEMORY_DISK = args.dir or tempfile.gettempdir()
                with mariadb.MariaDB(*DURABLE) as server:
                    found = {rows: measure("MariaDB", server.database(), f"{folder}/mariadb-{rows}",
                                           rows, args) for rows in args.rows or [1_000_000]}
            sizes = sorted(found)
            if len(sizes) > 1:
                less, more = found[sizes[0]], found[sizes[-1]]
                print(f"  memory with {sizes[-1] // sizes[0]} times the rows: "
                      + beside_goal(f"{engine}: memory, relative to {sizes[0]:,} rows",
                                    more["memory"] / less["memory"], at_most=1.1))


if __name__ == "__main__":
    main()
