"""The hourly rollup beside the first one, which adds up everything.

The log ends at the last midnight, as for the run that comes first after it. Runs are processes of
their own, times those that the run itself tells; of the hourly ones the median counts.
"""
from __future__ import annotations

from datetime import timedelta
from statistics import median

from tests.benchmarks.all import beside_goal, durable, service
from tests.support.databases import fill
from tests.support.product import clock

A_DAY, DAYS, USERS, ROUNDS = 10_000, 100, 1000, 5
BEGIN = clock.now().replace(hour=12, minute=0, second=0) - timedelta(days=DAYS)


def measure(engine: str, url: str | None) -> float:
    """The hourly runs in the time of the first."""
    with service(url) as one:
        fill(one.db, "users", {"email": "u@home.example", "created_at": BEGIN}, USERS, id="1 + n")
        for day in range(DAYS):
            fill(one.db, "message_logs", {
                "direction": "forward", "status": "delivered",
                "created_at": BEGIN + timedelta(days=day)}, A_DAY,
                user_id=f"1 + n % {USERS}", bytes_used="n * 7919 % 60000")
        for table in ("message_logs", "users") if url else ():
            one.db.query(f"ANALYZE TABLE {{{table}}}")
        first, *later = (one.job("rollup_usage", timeout=36_000,
                                 JOBS_ROLLUP_USAGE_BUDGET="2h")["duration_ms"]
                         for _ in range(1 + ROUNDS))
    print(f"{engine}, {A_DAY * DAYS:,} log rows, {DAYS} days: first run {first:,} ms, hourly run "
          f"{median(later):,.0f} ms")
    return first / median(later)


def main() -> None:
    with durable() as server:
        ratios = measure("sqlite", None), measure("mariadb", server.database())
    print(beside_goal(f"hourly runs in the time of the first, {A_DAY * DAYS:,} rows, the slower "
                      "engine", *ratios, at_least=50))
