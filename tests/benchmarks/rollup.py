"""The hourly rollup beside the first one, which adds up everything.

The log ends at the last midnight, as for the run that comes first after it. Runs are processes of
their own, times those that the run itself tells; of the hourly ones the median counts.
"""
from __future__ import annotations

from datetime import timedelta
from statistics import median

from tests.benchmarks.all import beside_goal, durable, service
from tests.benchmarks.purge import fill
from tests.support.product import clock

ROWS, DAYS, USERS, ROUNDS = 1_000_000, 90, 1000, 5
BEGIN = clock.now().replace(hour=0, minute=0, second=0) - timedelta(days=DAYS)


def log_row(n: int) -> dict:
    """Spread evenly over the days before today and over the users; ids rise with time."""
    return {"id": n + 1, "user_id": n % USERS + 1, "direction": "forward",
            "status": ("delivered", "spam")[n % 9 == 0], "bytes_used": n * 7919 % 60_000,
            "created_at": BEGIN + timedelta(days=DAYS * n / ROWS)}


def measure(engine: str, url: str | None) -> None:
    with service(url) as one:
        fill(one.db, "users", lambda n: {"id": n + 1, "email": f"u{n}@home.example",
                                         "created_at": BEGIN}, USERS)
        fill(one.db, "message_logs", log_row, ROWS)
        for table in ("message_logs", "users") if url else ():
            one.db.query(f"ANALYZE TABLE {{{table}}}")
        first, *later = (one.job("rollup_usage", timeout=36_000,
                                 JOBS_ROLLUP_USAGE_BUDGET="2h")["duration_ms"]
                         for _ in range(1 + ROUNDS))
    print(f"{engine}, {ROWS:,} log rows, {DAYS} days: first run {first:,} ms, hourly run "
          f"{median(later):,.0f} ms; first / hourly: " + beside_goal(
              f"{engine}: hourly runs in the time of the first, {ROWS:,} rows",
              first / median(later), at_least=50))


def main() -> None:
    measure("SQLite", None)
    with durable() as server:
        measure("MariaDB", server.database())
