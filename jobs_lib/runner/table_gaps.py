"""Which jobs the gaps in an app's tables concern: those refuse before they touch anything, the
others run.

A job says itself which tables and columns it works on (`tables` in job.py).
"""
from __future__ import annotations

from jobs_lib.database.schema import app_gaps
from jobs_lib.database.schema.version import complete
from jobs_lib.errors import JobsError

from . import adoption
from .works_on import works_on

MOST = 4                     # tables named in the sentence


class Incomplete(JobsError):
    """The app's tables lack something that this job needs; nothing was done."""


def need(db, job, store: bool = True) -> None:
    """Raise Incomplete when the job needs what is missing, or Unconfirmed when the operator has
    not let it work yet. `store`: it is no dry run, so what was found out may be written down."""
    if store:
        adoption.need(db, job)
    look = app_gaps.note if store else app_gaps.lacking
    first, *names = app_gaps.noted(db).split() or [""]
    if first != complete(db.name):
        names = look(db)
    elif concerned(job, names):
        names = look(db)                    # it may be there by now
    missing = concerned(job, names)
    if missing:
        raise Incomplete(f"nothing was done: {words(db.name, missing)}. `jobs.py migrate "
                         "--own-tables` prints the statements that add what is missing")


def concerned(job, names: list[str]) -> list[str]:
    """Those of `names` (a table, or table.column) that the job works on."""
    if not names:
        return []
    worked_on = works_on(job)
    return [name for name in names for table, _, column in [name.partition(".")]
            if table in worked_on and (not column or column in worked_on[table].columns)]


def words(names, missing: list[str]) -> str:
    """`the database has no table overflow; members lacks mail, size`."""
    tables = [names(name) for name in missing if "." not in name]
    parts = [f"the database has no table {', '.join(tables)}"] if tables else []
    columns: dict = {}
    for name in missing:
        table, dot, column = name.partition(".")
        if dot:
            columns.setdefault(table, []).append(names.column(table, column))
    parts += [f"the table {names(table)} has no {', '.join(found)}" for table,
              found in columns.items()]
    more = f", and {len(parts) - MOST} more tables lack something" if len(parts) > MOST else ""
    return "; ".join(parts[:MOST]) + more
