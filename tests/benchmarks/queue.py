"""What a claim, a count, a look at a queue and recovery cost with 1,000 and with many more due
rows, of one owner and of many.

    python -m tests.benchmarks.queue [--rows 100000] [--engine sqlite|mariadb] [--queue TABLE]

Each claim takes 50 rows as a run does and is given back, so that each finds as many: the last of 20
from 1,000 rows would find what it can read at once. The quickest of some, and of the first claims
of new runs. In brackets: the ratio to the same with 1,000 rows. The shapes: one owner's rows beside
five of another; 10,000 owners with one row each; and one owner with a due row behind many whose
rows are not due yet, beside a flood.
"""
from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import contextmanager
from types import SimpleNamespace

from jobs_lib import catalogue
from jobs_lib.config import loader
from jobs_lib.engines import mail_queues
from jobs_lib.engines.due_rows import COUNTED
from jobs_lib.engines.queue import QueueClaims
from jobs_lib.engines.recovery import recover
from jobs_lib.features.webhooks import deliveries
from jobs_lib.monitoring import queues
from tests.benchmarks.figures import beside_goal
from tests.servers.mariadb import MariaDB
from tests.support.databases import NOW, bulk, migrated
from tests.support.plans import analyse

PAST, LATER = "2026-11-24 12:00:00", "2026-11-24 15:00:00"
QUEUES = {"failed_emails": ("retry_forwards", mail_queues.forwards), "notifications": (
    "send_notifications", mail_queues.notices), "webhook_deliveries": ("retry_webhooks",
                                                                       deliveries.queue)}
COLUMNS = {"failed_emails": {"alias_id": 1, "envelope_to": "to@home.example",
                             "raw_path": "one.eml"},
           "notifications": {"kind": "overflow_warning", "to_email": "to@home.example"},
           "webhook_deliveries": {"webhook_id": 1, "event_id": "e", "payload": "{}"}}


def fill(db, table: str, owners, rows: int, **values) -> None:
    """So many rows of each owner, doubled inside the database."""
    given = {**COLUMNS[table], "user_id": 0, "created_at": PAST, "next_attempt_at": PAST, **values}
    doublings = max((rows // 1000).bit_length() - 1, 0) if len(owners) == 1 else 0
    lines = [tuple({**given, "user_id": owner}.values()) for owner in owners
             for _ in range(-(-rows >> doublings))]
    bulk(db, table, list(given), lines)
    names, first = ", ".join(given), owners[0]
    for _ in range(doublings):
        db.execute(f"INSERT INTO {{{table}}} ({names}) SELECT {names} FROM {{{table}}} "
                   "WHERE user_id = :first", first=first)


def claims_of(db, table: str):
    """A new run's."""
    job, queue = QUEUES[table]
    run = SimpleNamespace(db=db, now=NOW, options=OPTIONS[job], run_id="bench", clock=lambda: NOW,
                          hard_limit=270.0, monotonic=lambda: 0.0, should_stop=lambda: False)
    return QueueClaims(run, queue(run))


def backlog(db, table: str) -> None:
    """What `status` and `check_jobs` ask of the queue."""
    queue = next(queue for queue in queues.CLAIMED if queue.table == table)
    queue.backlog(SimpleNamespace(db=db, now=NOW, options=OPTIONS[queue.job]), COUNTED)


def timed(what, times: int, afterwards=lambda: None) -> float:
    """The quickest of some, in milliseconds: what else the machine does is no cost of ours."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - began)
        afterwards()
    return min(seconds) * 1000


def measure(db, table: str, claims: int) -> dict[str, float]:
    """Milliseconds of each, and how many claims it took to reach the neighbour."""
    running, taken = [claims_of(db, table)], []

    def claim() -> None:
        rows = running[-1].claim()
        for row in rows:
            running[-1].turns.served(row)
        taken.append({row["user_id"] for row in rows})
    found = {"claim": timed(claim, claims, lambda: running[-1].release())}
    found["first"] = timed(lambda: (running.append(claims_of(db, table)), claim()), claims,
                           lambda: running[-1].release())
    taken = taken[:claims]
    found["count"] = timed(lambda: claims_of(db, table).count_due(COUNTED), 3)
    found["backlog"] = timed(lambda: backlog(db, table), 3)
    found["recovery"] = timed(lambda: recover(claims_of(db, table)), 10)
    reached = [number for number, owners in enumerate(taken, 1) if 9_000_000 in owners]
    found["reached"] = reached[0] if reached else 0
    return found


def neighbours(db, table: str, rows: int) -> None:
    """One owner's flood, and five rows of another that failed later."""
    fill(db, table, [1], rows)
    fill(db, table, [9_000_000], 5, next_attempt_at="2026-11-24 13:00:00")


def crowd(db, table: str, _rows: int) -> None:
    """10,000 owners with one due row each."""
    fill(db, table, range(1, 10_001), 1)


def not_due(db, table: str, rows: int) -> None:
    """A flood, 5,000 owners whose rows are not due, and one behind them."""
    fill(db, table, [1], rows)
    fill(db, table, range(2, 5_002), 1, next_attempt_at=LATER)
    fill(db, table, [9_000_000], 1, next_attempt_at="2026-11-24 13:00:00")


def many_not_due(db, table: str, rows: int) -> None:
    """The same with 500 owners of 100 rows each."""
    fill(db, table, [1], rows)
    fill(db, table, range(2, 502), 100, next_attempt_at=LATER)
    fill(db, table, [9_000_000], 1, next_attempt_at="2026-11-24 13:00:00")


@contextmanager
def database(engine: str):
    """A new one."""
    with tempfile.TemporaryDirectory() as folder:
        if engine == "sqlite":
            yield migrated(f"sqlite:///{folder}/jobs.db")
        else:
            with MariaDB() as server:
                yield migrated(server.database())


def goals(where: str, found: dict, base: dict) -> None:
    """A claim, a count, a look and recovery cost as much as with a thousand rows, or next to
    nothing."""
    for what, at_most in (("claim", 2), ("count", 5), ("backlog", 10), ("recovery", 2)):
        print("    " + beside_goal(f"{where}: {what}", found[what], at_most=at_most, unit=" ms")
              + f", {found[what] / base[what]:.2f} of 1,000 rows")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--engine", choices=["sqlite", "mariadb"], action="append")
    parser.add_argument("--queue", choices=list(QUEUES), action="append")
    parser.add_argument("--claims", type=int, default=20)
    parser.add_argument("--shape", action="append", help="only these shapes, by their names below")
    args = parser.parse_args()
    for engine in args.engine or ["sqlite", "mariadb"]:
        print(f"\n{engine}: milliseconds")
        with database(engine) as db:
            for table in args.queue or QUEUES:
                base = None
                for name, shape, rows in (("one owner", neighbours, 1000),
                                          *(("one owner", neighbours, number)
                                            for number in args.rows),
                                          ("10,000 owners", crowd, 10_000),
                                          ("5,000 not due", not_due, args.rows[0]),
                                          ("500 not due, 100 each", many_not_due, args.rows[0])):
                    if args.shape and name not in args.shape:
                        continue
                    db.execute(f"DELETE FROM {{{table}}}")
                    db.execute("DELETE FROM {queue_turns}")
                    shape(db, table, rows)
                    analyse(db, [table])
                    found = measure(db, table, args.claims)
                    base = base or found
                    print(f"  {table:<20} {name:<22} {rows:>9,}   claim {found['claim']:7.2f}"
                          f" ({found['claim'] / base['claim']:5.2f})   first {found['first']:7.2f}"
                          f" ({found['first'] / base['first']:5.2f})   count {found['count']:7.2f}"
                          f" ({found['count'] / base['count']:5.2f})"
                          f"   status {found['backlog']:7.2f}"
                          f" ({found['backlog'] / base['backlog']:5.2f})"
                          f"   recovery {found['recovery']:7.2f}"
                          f" ({found['recovery'] / base['recovery']:5.2f})"
                          f"   neighbour in claim {found['reached'] or '-'}", flush=True)
                    if name == "one owner" and rows > 1000:
                        goals(f"{engine}, {table}, {rows:,} rows", found, base)


OPTIONS: dict = {}


def load_options() -> None:
    """The jobs' own defaults."""
    with tempfile.TemporaryDirectory() as folder:
        defaults = loader.load(None, beside=folder, environ={})
        OPTIONS.update({job: defaults.job(catalogue.load(job)) for job, _ in QUEUES.values()})


if __name__ == "__main__":
    load_options()
    main()
