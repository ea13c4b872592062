"""Which of the app's tables and columns a job works on, and what it does to them, as it says itself
(`tables` in job.py)."""
from __future__ import annotations

from collections import namedtuple

from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.job import DELETES, INSERTS, WRITTEN

Work = namedtuple("Work", "columns written inserts deletes")
Work.__doc__ = """What a job does to a table of the app's.

columns  those that it reads or writes       written  those that it writes
inserts  whether it adds rows                deletes  whether it deletes rows
"""


def works_on(job) -> dict[str, Work]:
    """{table of the app's: Work}."""
    words: dict[str, list] = {}
    for line in (job.tables() if callable(job.tables) else job.tables).splitlines():
        table, _, columns = line.partition(":")
        if table.strip() in TABLES:
            words.setdefault(table.strip(), []).extend(columns.split())
    return {table: _work(set(named)) for table, named in words.items()}


def _work(words: set) -> Work:
    written = {word.rstrip(WRITTEN) for word in words if word.endswith(WRITTEN)}
    columns = {word.rstrip(WRITTEN) for word in words if word not in (INSERTS, DELETES)}
    return Work(columns, written, INSERTS in words, DELETES in words)
