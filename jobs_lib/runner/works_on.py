"""Which of the app's tables and columns a job works on, as it says itself (`tables` in job.py)."""
from __future__ import annotations

from jobs_lib.database.schema.app_tables import TABLES


def works_on(job) -> dict[str, set]:
    """{table of the app's: its columns} that the job reads or writes."""
    found: dict = {}
    for line in (job.tables() if callable(job.tables) else job.tables).splitlines():
        table, _, columns = line.partition(":")
        if table.strip() in TABLES:
            found.setdefault(table.strip(), set()).update(columns.split())
    return found
