"""The database: does it answer, may we write, what do its tables lack, does the app write UTC."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.database.connection import REMEDY
from jobs_lib.database.schema import app_tables, fit, migrate, version
from jobs_lib.engines import spool
from jobs_lib.errors import Broken, DatabaseError, Missing, NotInstalled, Stopped
from jobs_lib.output.findings import problem, run, warning
from jobs_lib.text import capital

from . import Reported

CREATED = ("created_at", "requested_at", "held_at", "quarantined_at")  # when a row was made
NEWEST = 20  # rows of each table
CLOCKS_DIFFER = timedelta(minutes=15)
# what to do, by what the error says
FIXES = {
    **dict.fromkeys(("(2003)", "no database server"),
                    "Correct host and port, or ask your host whether the server is up."),
    "(1045)": "Correct user or password; encode % @ : / in them (docs/install.md).",
}


def answers(installation):
    """The database answers."""
    try:
        installation.database()
    except NotInstalled:
        raise Reported from None             # with the configuration
    except Broken:
        raise
    except (DatabaseError, Stopped) as error:
        what = str(error) if isinstance(error, DatabaseError) else "no database server answers"
        yield problem(
            what.replace(f": {REMEDY}", ""),
            "Without its database no job runs.",
            next((fix for words, fix in FIXES.items() if words in what), f"{capital(REMEDY)}."))


def tables(installation):
    """No table, column or index is missing, rows can be written as the jobs do, and the spool
    belongs to this database."""
    db = installation.database()
    try:
        version.check(db)
        planned = migrate.plan(db)
    except Broken:
        raise
    except DatabaseError as error:
        yield problem(str(error), "Until then no job runs.",
                      "Make a backup, then run `jobs.py migrate`; or, where it is newer, "
                      "install the newer bundle again.")
        return
    if planned:
        yield problem("The database lacks tables, columns or indexes",
                      "Jobs that use them fail, or are slow.",
                      _fix("Run `jobs.py migrate`, which does this:", planned))
    on = [job.tables for job in installation.jobs if installation.config.job(job).enabled]
    for each in fit.review(db, on, planned):
        if each.act == fit.NOTE:
            yield warning(each.what, "", _fix(each.fix))
        else:
            yield problem(each.what, "Jobs that need it refuse to run, or are slow.",
                          _fix(each.fix, each.statements))
    if lost := spool.wrong_folder(db, installation.section("spool").dir):
        yield problem(lost, "Mail waiting there is neither sent nor deleted.", f"{spool.FIX}.")


def _fix(words: str, statements=()) -> str:
    return run(capital(words), *(f"{sql};" for sql in statements))


def writing(installation):
    """A row can be written."""
    db = installation.database()
    if not version.found(db):
        raise Reported
    try:
        with db.trial():
            version.writable(db, installation.now)
    except Missing:
        raise Reported from None             # by `tables`
    except Broken:
        raise
    except DatabaseError as error:
        yield problem(f"A row cannot be written: {error}", "Each job writes at least its own run.",
                      "Wait for the program that has locked it, or let this user write: the file "
                      "and its folder, or SELECT, INSERT, UPDATE and DELETE on a server.")


def local_times(installation):
    """No new row of the app is dated in the future, as those of an app that writes local times."""
    db, ahead = installation.database(), {}
    for name, there in db.catalogue(app_tables.TABLES).items():
        column = next((column for column in CREATED if column in there), None)
        if column and "id" in there:
            rows = db.query(f"SELECT {column} AS moment FROM {{{name}}} ORDER BY id DESC "
                            "LIMIT :newest", newest=NEWEST)
            moments = filter(None, (stored.time(row["moment"]) for row in rows))
            ahead[f"{db.name(name)}.{column}"] = max(moments, default=installation.now)
    if late := [name for name, moment in ahead.items()
                if moment > installation.now + CLOCKS_DIFFER]:
        hours = (max(ahead.values()) - installation.now).total_seconds() / 3600
        yield problem(f"The newest rows are dated up to {hours:.1f} hours in the future: "
                      f"{', '.join(late)}",
                      "The jobs read these as UTC: anything due by age is that much too late.",
                      "Let your app write UTC: docs/adoption.md.")


CHECKS = (answers, tables, writing, local_times)
