"""What a run of a queue costs that begins 50 rows, with 1,000 rows that wait and with a million.

Each is a run of `jobs.py JOB --limit 50` as it measures itself, without the start of Python; the
best of nine, in turn. Of rows that have no time yet it is asked how long a first run takes, as a
whole process, that begins one. Mail goes to smtp-sink, requests to a server here.
"""
from __future__ import annotations

import itertools
from contextlib import ExitStack
from datetime import timedelta

from tests.benchmarks.all import beside_goal, service
from tests.servers.mariadb import MariaDB
from tests.servers.smtp_sink import Sink
from tests.servers.web import Web
from tests.support.databases import fill
from tests.support.hooks import SECRET
from tests.support.product import clock
from tests.support.shell import CONTENT, Shell

FEW, MANY, OWNERS, BEGUN, TIMES = 1_000, 1_000_000, 10_000, 50, 9
MOST, FIRST_WITHIN = 1.5, 10.0          # of the time with few rows; seconds
AGO = "2026-01-01 00:00:00"
# {job: (table, columns of a row, those that differ)}; an owner has the alias and endpoint of its id
QUEUES = {
    "retry_forwards": ("failed_emails", {
        "alias_id": 1, "envelope_to": "u@home.example", "raw_path": "one.eml",
        "last_attempt_at": AGO}, {}),
    "send_notifications": ("notifications", {
        "to_email": "u@home.example", "subject": "Hello", "body_text": "x", "kind": "app_own",
        "priority": 1}, {}),
    "retry_webhooks": ("webhook_deliveries", {
        "webhook_id": 1, "payload": "{}", "attempts": 1, "last_attempt_at": AGO},
        {"event_id": "'e' || n"})}


class Bench:
    """One job on one database."""

    def __init__(self, service: Shell, job: str, web: Web) -> None:
        self.service, self.job, self.db = service, job, service.db
        self.table, self.row, self.changing = QUEUES[job]
        (service.spool / "one.eml").write_bytes(CONTENT)
        if not self.db.is_sqlite:
            self.db.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')")
        fill(self.db, "users", {"email": "u@home.example"}, OWNERS, id="1 + n")
        fill(self.db, "aliases", {}, OWNERS, id="1 + n", user_id="1 + n", address="'a' || n")
        fill(self.db, "webhooks", {"secret": SECRET}, OWNERS, id="1 + n", user_id="1 + n",
             url=f"'http://127.0.' || (n % 200) || '.' || (1 + n % 250) || ':{web.port}/'")

    def fill(self, number: int, owners: int = 1, **values) -> None:
        """So many rows, of so many owners in turn."""
        whose = {name: f"1 + n % {owners}" for name in ("user_id", "alias_id", "webhook_id")
                 if name == "user_id" or name in self.row}
        row = {"created_at": clock.now(), **self.row, **values}
        fill(self.db, self.table, row, number, **whose, **self.changing)

    def empty(self) -> None:
        for table in (self.table, "attempts"):
            self.db.execute(f"DELETE FROM {{{table}}}" if self.db.is_sqlite
                            else f"TRUNCATE {{{table}}}")

    def milliseconds(self) -> int:
        """Of a run that begins 50."""
        outcome = self.service.job(self.job, "--limit", str(BEGUN))
        done = sum(outcome["counts"].get(name, 0) for name in ("sent", "delivered"))
        assert done == BEGUN, outcome
        return outcome["duration_ms"]


def compare(title: str, few: Bench, many: Bench, make) -> float:
    """The two in turn, as a ratio; `make(bench, number)` makes the rows."""
    for bench, rows in ((few, FEW), (many, MANY)):
        bench.empty()
        make(bench, rows)
        if not bench.db.is_sqlite:
            bench.db.query(f"ANALYZE TABLE {{{bench.table}}}")
    took = [(few.milliseconds(), many.milliseconds()) for _ in range(TIMES)]
    first, second = (min(each[at] for each in took) for at in (0, 1))
    print(f"  {title}: {first} ms with {FEW:,}, {second} ms with {MANY:,}")
    return second / first


def measure(few: Bench, many: Bench) -> tuple[float, float]:
    """The highest ratio, and the seconds of a first run of rows without a time."""
    later = clock.now() + timedelta(hours=20)       # at most: else it would be no delivery's time
    ratio = max(
        compare("due, of one owner", few, many,
                lambda bench, rows: bench.fill(rows, next_attempt_at=AGO)),
        compare("due, of 10,000 owners", few, many,
                lambda bench, rows: bench.fill(rows, OWNERS, next_attempt_at=AGO)),
        compare("due later, beside 1,000 that are due", few, many, lambda bench, rows: (
            bench.fill(rows, OWNERS, next_attempt_at=later),
            bench.fill(FEW, FEW, next_attempt_at=AGO))))
    many.empty()
    many.fill(MANY, OWNERS, created_at=AGO)
    done = many.service(many.job, "--limit", "1")
    assert many.db.value("SELECT COUNT(*) FROM {attempts}") == 1, done
    print(f"  without a time, {MANY:,}: {done.seconds:.1f} s")
    return ratio, done.seconds


def main() -> None:
    found = []
    with ExitStack() as stack:
        sink = stack.enter_context(Sink(dump=False))
        web = stack.enter_context(Web(host=""))         # on a thousand addresses of this machine
        server = stack.enter_context(MariaDB("--innodb-buffer-pool-size=1G"))
        for engine, job in itertools.product(("sqlite", "mariadb"), QUEUES):
            print(f"{job}, {engine}")
            with ExitStack() as both:
                found.append(measure(*[Bench(both.enter_context(service(
                    server.database() if engine == "mariadb" else None,
                    mail={"port": sink.port}, webhooks={"allow_networks": "127.0.0.0/8"})),
                    job, web) for _ in range(2)]))
    ratios, seconds = zip(*found)
    print(beside_goal(f"50 of a queue of {MANY:,}, relative to 50 of {FEW:,}", *ratios,
                      at_most=MOST))
    print(beside_goal(f"the first run of {MANY:,} rows without a time begins one", *seconds,
                      at_most=FIRST_WITHIN, unit=" s"))
