"""The database: does it answer, may we write, what do its tables lack, does the app write UTC."""
from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from jobs_lib.database import dialects, stored
from jobs_lib.database.schema import app_gaps, app_tables, compare, misfits, version, words
from jobs_lib.errors import DatabaseError, Missing, NotInstalled, Stopped
from jobs_lib.output.findings import ok, problem, run, warning
from jobs_lib.runner.table_gaps import concerned, needed

from . import Reported
from .network import unknown_name

CREATED = ("created_at", "requested_at", "held_at", "quarantined_at")   # when a row was made
NEWEST = 20              # rows of each table
CLOCKS_DIFFER = timedelta(minutes=15)
SHOWN = 10               # differences listed one by one
RUN_SQL = "Run this SQL (phpMyAdmin: the tab SQL):"


def answers(installation):
    """It can be reached."""
    core = installation.section("core")
    try:
        target = dialects.target(core.database, installation.config.folder)
        host = getattr(target, "host", "") if not getattr(target, "socket", None) else ""
        if unknown := host and unknown_name(host, target.port):
            raise DatabaseError(f"[core] database: {unknown}")
        installation.database()
    except NotInstalled:
        raise Reported from None             # with the configuration
    except (DatabaseError, Stopped) as error:
        yield problem(str(error) if isinstance(error, DatabaseError) else
                      "The database server does not answer", "Without its database no job runs.",
                      f"Correct [core] database in {installation.config.path}; before the first "
                      "run, `jobs.py migrate`; else ask your host whether the server is up.")
    else:
        yield ok("the database answers")


def tables(installation):
    """The schema's version, and each table, column and index that is missing, with its SQL."""
    db = installation.database()
    try:
        version.check(db)
    except Missing:                          # one of our own, reported with the others
        pass
    except DatabaseError as error:
        yield problem(str(error), "Until then no job runs.", "Make a backup, then run `jobs.py "
                      "migrate`; or, where it is newer, install the newer bundle again.")
        return
    works = needed(installation.config, installation.jobs)
    found = [each for each in compare.differences(db) if app_gaps.is_needed(db, each, works)]
    for each in found[:SHOWN]:
        of_table = f" of {each.table.name}" if each.table and each.kind != "table" else ""
        what, why = f"The {each.kind} {each.name}{of_table} is missing", "Jobs that use it fail."
        if "index" in each.kind:
            why = f"Without it all rows are read each time. It is for: {each.purpose}."
        fix = run(RUN_SQL, *(f"{sql};" for sql in each.statements))
        if each.table is None or each.table.owner == "bundle":
            fix = "Run `jobs.py migrate`." if each.kind == "table" else fix
        yield problem(what, why, fix if each.statements else "Add it to that view.")
    if found[SHOWN:]:
        yield problem(f"{len(found) - SHOWN} more tables, columns and indexes are missing",
                      "Jobs that use them fail.", "`jobs.py migrate --dry-run` prints their SQL.")
    for code in app_gaps.lacking(db):
        if ":" in code and any(concerned(job, [code]) for job in installation.jobs):
            yield problem(misfits.sentence(db.name, code), "Jobs that need it refuse to run.",
                          run("Change it, or disable these jobs.",
                              *(f"{sql};" for sql in misfits.mends(db, code))))
    for each in words.look(db, [name for name in works if works[name].columns]):
        yield warning(*each)
    if not found:
        yield ok("no table, column or index is missing")


def writing(installation):
    """A row is added, changed and removed, and all of it taken back."""
    db = installation.database()
    if not version.found(db):
        raise Reported
    try:
        with suppress(_TakenBack), db.transaction():
            db.insert("meta", name="doctor", value="1")
            db.execute("UPDATE {meta} SET value = '2' WHERE name = 'doctor'")
            db.execute("DELETE FROM {meta} WHERE name = 'doctor'")
            raise _TakenBack
    except Missing:
        raise Reported from None             # by `tables`
    except DatabaseError as error:
        yield problem(f"A row cannot be written: {error}", "Each job writes at least its own run.",
                      "If another program holds it, wait for that, or end it. Else let this user "
                      "write: the file and its folder; or SELECT, INSERT, UPDATE and DELETE on a "
                      "server that is no read-only copy.")
    else:
        yield ok("rows can be written")


class _TakenBack(Exception):
    """Raised to roll a transaction back."""


def local_times(installation):
    """Whether the newest rows are dated in the future: an app that writes local times."""
    db, ahead = installation.database(), {}
    for name, there in db.catalogue(app_tables.TABLES).items():
        column = next((column for column in CREATED if column in there), None)
        if column is None or "id" not in there:
            continue
        with suppress(DatabaseError):           # reported with the schema
            rows = db.query(f"SELECT {column} AS moment FROM {{{name}}} ORDER BY id DESC "
                            "LIMIT :newest", newest=NEWEST)
            gaps = [moment - installation.now for row in rows
                    if (moment := stored.time(row["moment"]))]
            if max(gaps, default=timedelta(0)) > CLOCKS_DIFFER:
                ahead[db.name.shown(name, column)] = max(gaps)
    if ahead:
        hours = max(ahead.values()).total_seconds() / 3600
        yield problem(f"The newest rows are dated up to {hours:.1f} hours in the future: "
                      f"{', '.join(ahead)}",
                      "The jobs read these as UTC: with local times all that goes by an age comes "
                      "so many hours too late, or too soon in a zone west of Greenwich.",
                      "Let your app write UTC: docs/adoption.md.")
    else:
        yield ok("no row of the app is dated in the future")


CHECKS = (answers, tables, writing, local_times)
