"""Which of the app's tables and columns a job works on, and what it does to them, as it says itself
(`tables` in job.py)."""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.job import DELETES, INSERTS, WRITTEN
from jobs_lib.records import namedtuple

from .app_tables import TABLES

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


def of_all(jobs=None) -> dict[str, Work]:
    """{table of the app's: what all jobs, or these, together do to it}."""
    found = {table: Work(set(), set(), False, False) for table in TABLES}
    for job in catalogue.load_all([]) if jobs is None else jobs:
        for table, work in works_on(job).items():
            known = found[table]
            found[table] = Work(known.columns | work.columns, known.written | work.written,
                                known.inserts or work.inserts, known.deletes or work.deletes)
    return found


def _work(words: set) -> Work:
    written = {word.rstrip(WRITTEN) for word in words if word.endswith(WRITTEN)}
    columns = {word.rstrip(WRITTEN) for word in words if word not in (INSERTS, DELETES)}
    return Work(columns, written, INSERTS in words, DELETES in words)
