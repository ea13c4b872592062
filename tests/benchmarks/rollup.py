"""The hourly rollup beside a rebuild of everything, and memory with ten times the rows.

    python -m tests.benchmarks.rollup [--engine sqlite] [--engine mariadb] [--rows 1000000] [--rows
    10000000]
                                      [--days 90] [--users 1000] [--rounds 5]

The log ends at the last midnight, as for the run that comes first after it. For each engine and
size: the first run, which adds up everything; runs after it, whose median is told; a rebuild of all
days. Runs are processes of their own, times those that the run itself tells, memory is the peak of
the process (VmHWM). MariaDB is a private server with the durability of a real one.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import timedelta
from statistics import median

from jobs_lib import clock
from tests.benchmarks.figures import beside_goal
from tests.benchmarks.purge import DURABLE
from tests.servers import mariadb
from tests.support.databases import bulk
from tests.support.shell import ROOT, Shell

PEAK = str(ROOT / "tests/support/peak.py")
LOG = ["user_id", "direction", "status", "bytes_used", "created_at"]
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


def measure(engine: str, url: str, folder: str, rows: int, args) -> dict:
    """All of one engine and size, printed as it comes."""
    os.makedirs(folder, exist_ok=True)
    service = Shell(folder, url)
    fill(service.inside, rows, args.days, args.users)
    for table in ("message_logs", "users") if engine == "MariaDB" else ():
        service.db.query(f"ANALYZE TABLE {{{table}}}")
    full = run(service)
    later = [run(service) for _ in range(args.rounds)]
    hourly = median(one["duration_ms"] for one in later)
    rebuilt = median(run(service, "--set",
                         f"from={clock.now().date() - timedelta(days=args.days)}")["duration_ms"]
                     for _ in range(min(args.rounds, 3)))
    memory = max(full["memory"], *(one["memory"] for one in later))
    print(f"\n{engine}, {rows:,} log rows, {args.days} days, {args.users:,} users: "
          f"{full['counts']}\n"
          f"  first run {full['duration_ms']:,} ms, rebuild of all days {rebuilt:,.0f} ms, hourly "
          f"run of {later[0]['counts']['days']} days {hourly:,.0f} ms, memory "
          f"{memory / 1024:.1f} MB", flush=True)
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
