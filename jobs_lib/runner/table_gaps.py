"""Which jobs the gaps in an app's tables concern: those refuse before they touch anything, the
others run.

A job says itself which tables and columns it works on (`tables` in job.py).
"""
from __future__ import annotations

from jobs_lib.database.schema import app_gaps, app_tables, misfits
from jobs_lib.database.schema.works_on import of_all, works_on
from jobs_lib.errors import JobsError

MOST = 4                     # tables named in the sentence


class Incomplete(JobsError):
    """The app's tables lack something that this job needs; nothing was done."""


def need(db, job, store: bool = True, enabled: bool = True) -> None:
    """Raise Incomplete when the job needs what is missing. `store`: it is no dry run, so what was
    found out may be written down; `enabled`: of a job that is not, `migrate` prints nothing
    unasked."""
    look = app_gaps.note if store else app_gaps.lacking
    known = app_gaps.known(db)
    names = look(db) if known is None else known
    if known is not None and concerned(job, names):
        names = look(db)                    # it may be there by now
    missing = concerned(job, names)
    if missing:
        raise Incomplete(f"nothing was done: {words(db.name, missing)}" + (
            f". `jobs.py migrate{'' if enabled else ' --own-tables'}` prints the statements that "
            "add what is missing"
            if any(":" not in name for name in missing) else ""))


def needed(config, jobs) -> dict:
    """{table of the app's: the Work of those of the jobs that are switched on, together}.
    ConfigError when a section is wrong."""
    return of_all([job for job in jobs if config.job(job).enabled])


def missing(db, job) -> str:
    """The tables and columns that a job needs and that are not there, in words; "" if none is."""
    there = db.catalogue(app_tables.TABLES)
    return words(db.name, concerned(job, app_gaps.missing(db.name, there)))


def concerned(job, names: list[str]) -> list[str]:
    """Those of `names` (a table, table.column, or a code of misfits.py) that matter for the
    job."""
    if not names:
        return []
    worked_on, found = works_on(job), []
    for name in names:
        table, column, kind, more = misfits.parts(name)
        work = worked_on.get(table)
        if table == "further":
            if job.further and (kind not in misfits.OF_DELETION or any(
                    each.deletes for each in worked_on.values())):
                found.append(name)
        elif kind == "kept" and "also" in more and job.further:
            continue                        # it deletes those rows before
        elif kind == "takes" and job.further:
            continue                        # they are of the same account
        elif work and (misfits.concerns(name, work) if kind
                     else not column or column in work.columns):
            found.append(name)
    return found


def words(names, missing: list[str]) -> str:
    """`the database has no table overflow; members lacks mail, size`."""
    wrong = [misfits.sentence(names, name) for name in missing if ":" in name]
    missing = [name for name in missing if ":" not in name]
    tables = [names(name) for name in missing if "." not in name]
    unseen = ", or its user may not see it" if any("." in name for name in tables) else ""
    parts = [f"the database has no table {', '.join(tables)}{unseen}"] if tables else []
    columns: dict = {}
    for name in missing:
        table, dot, column = name.partition(".")
        if dot:
            columns.setdefault(table, []).append(names.column(table, column))
    parts += [f"the table {names(table)} has no {', '.join(found)}" for table,
              found in columns.items()]
    parts += wrong
    more = f", and {len(parts) - MOST} more tables lack something" if len(parts) > MOST else ""
    return "; ".join(parts[:MOST]) + more
