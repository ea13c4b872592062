"""The hourly rollup beside a rebuild of everything.

    python -m tests.benchmarks.rollup

The log ends at the last midnight, as for the run that comes first after it. For each engine and
size: the first run, which adds up everything; runs after it, whose median is told; a rebuild of all
days. Runs are processes of their own, times those that the run itself tells, memory is the peak of
the process (VmHWM). MariaDB is a private server with the durability of a real one.
"""
from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from statistics import median

from jobs_lib import clock
from tests.benchmarks.figures import beside_goal
from tests.benchmarks.purge import DURABLE
from tests.servers import mariadb
from tests.support.databases import bulk
from tests.support.shell import Shell

LOG = ["user_id", "direction", "status", "bytes_used", "created_at"]
SECONDS = 86_400
ROWS, DAYS, USERS, ROUNDS = 1_000_000, 90, 1000, 5


def fill(db) -> None:
    """The rows, spread evenly over the days before today and over the users; ids rise with
    time."""
    midnight = clock.now().replace(hour=0, minute=0, second=0)
    bulk(db, "users", ["id", "email", "created_at"], [(id, f"u{id}@home.example", midnight)
                                                      for id in range(1, USERS + 1)])
    a_day = ROWS // DAYS
    for age in range(DAYS, 0, -1):
        start, before = midnight - timedelta(days=age), db.value("SELECT MAX(id) FROM "
                                                                 "{message_logs}") or 0
        seed = [(n % USERS + 1, "forward", ("delivered", "spam")[n % 9 == 0], n * 7919 % 60_000,
                 start + timedelta(seconds=n * SECONDS // min(USERS, a_day)))
                for n in range(min(USERS, a_day))]
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
    process = service.start("rollup_usage", "--json", *words, peak="yes",
                            JOBS_ROLLUP_USAGE_BUDGET="2h")
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(out + err)
    return {**json.loads(out), "memory": int(err.splitlines()[-1])}


def measure(engine: str, url: str, folder: str) -> None:
    """All of one engine."""
    service = Shell(folder, url)
    fill(service.db)
    for table in ("message_logs", "users") if engine == "MariaDB" else ():
        service.db.query(f"ANALYZE TABLE {{{table}}}")
    full = run(service)
    later = [run(service) for _ in range(ROUNDS)]
    hourly = median(one["duration_ms"] for one in later)
    first = f"from={clock.now().date() - timedelta(days=DAYS)}"
    rebuilt = median(run(service, "--set", first)["duration_ms"] for _ in range(3))
    memory = max(one["memory"] for one in (full, *later))
    print(f"\n{engine}, {ROWS:,} log rows, {DAYS} days, {USERS:,} users: {full['counts']}\n"
          f"  first run {full['duration_ms']:,} ms, rebuild of all days {rebuilt:,.0f} ms, hourly "
          f"run of {later[0]['counts']['days']} days {hourly:,.0f} ms, memory "
          f"{memory / 1024:.1f} MB", flush=True)
    print("  first run / hourly run: " + beside_goal(
        f"{engine}: hourly runs in the time of the first, {ROWS:,} rows",
        full["duration_ms"] / hourly, at_least=50))
    service.close()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/jobs.db", folder)
    mariadb.MEMORY_DISK = tempfile.gettempdir()     # a real disk: here it has to be waited for
    with tempfile.TemporaryDirectory() as folder, mariadb.MariaDB(*DURABLE) as server:
        measure("MariaDB", server.database(), folder)


if __name__ == "__main__":
    main()
