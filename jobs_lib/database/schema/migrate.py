"""What `jobs.py migrate` does: it makes what is missing until nothing is.

Each statement is chosen by what is there, so a kill between any two of them does no harm, and a
repetition finds nothing to do. Which tables are made is chosen once, and noted before the first of
them is made: all, or where an app has tables of its own only those of the jobs. What is the app's
is never touched then.
"""
from __future__ import annotations

import os
from contextlib import nullcontext, suppress

from jobs_lib.errors import DatabaseError, Duplicate

from . import NAMES, app_tables, ddl, fit, keys, own_tables, version
from .tables import table, tables

LONGEST = 86_400.0  # seconds for one statement
AUDIT = "audit_logs"  # made also beside an app's tables: the jobs add rows to it


def apps_own(db) -> list[str]:
    """What the tables are called that an app has here, or that [tables] says it has, before the
    first `migrate`; none later."""
    if version.SCOPE in version.facts(db):
        return []
    there = db.tables()
    return [db.name(name) for name in app_tables.TABLES
            if name in db.name.mapped or db.name(name).lower() in there]


def plan(db) -> list[str]:
    """The statements that `migrate` would run. DatabaseError where it would refuse."""
    version.refuse_newer(version.found(db))
    there = db.catalogue(NAMES)
    keys.look(db, there)
    _refuse_strangers(db, there)
    for name, column in keys.unfit(db, there):
        place = db.name(name)
        raise DatabaseError(f"{place}.{column} was made for keys of another type than the app's: "
                            f"DROP TABLE {place}, then run `jobs.py migrate`")
    own_only = _scope(db) == version.OWN
    return [sql for each in sorted(tables(), key=lambda each: each.name != "meta")
            if _is_made_here(db, each, own_only, there)
            for sql in ddl.missing(db, each, there.get(each.name, ()))]


def migrate(db, now, jobs=()) -> tuple[list[str], bool]:
    """Make what is missing; safe to repeat, and to kill anywhere. (the statements that were run,
    whether these jobs were paused): beside rows of an app they are, by the first `migrate` and by
    the first after [tables] was changed, until the operator has seen by `test JOB` what each would
    do with them."""
    # a large table's index takes longer than any answer otherwise may
    db.left = lambda: LONGEST
    plan(db)                            # refuses before anything is made
    with db.transaction() if db.dialect.transactional_ddl else nullcontext():
        done, paused = _make(db, now, jobs)
    fit.note(db)
    return done, paused


def _make(db, now, jobs) -> tuple[list[str], bool]:
    before, names = version.facts(db), version.names_of(db)
    done = [] if db.catalogue(["meta"]) else ddl.create_table(db, table("meta"))
    _run(db, done)
    for name, value in ((version.SCOPE, _scope(db)), ("database_id", os.urandom(16).hex())):
        with suppress(Duplicate):       # it is there
            db.insert("meta", name=name, value=value)
    keys.note(db)
    done += _run(db, plan(db))
    is_new = not version.number(before) or before.get(version.NAMED, "") != names
    paused = is_new and _has_rows(db)
    for job in jobs if paused else ():
        # stored before the version is: no tick can come between
        db.upsert("job_state", {"job": job}, {"paused_at": now, "due_after": now})
    db.upsert("meta", {"name": version.NAMED}, {"value": names})
    db.upsert("meta", {"name": version.SCHEMA}, {"value": str(version.SCHEMA_VERSION)})
    return done, paused


def _run(db, statements: list) -> list:
    """Run them, and return them."""
    for sql in statements:
        try:
            db.execute(sql)
        except DatabaseError:
            if sql in plan(db):         # else another `migrate` has made it
                raise
    return statements


def _scope(db) -> str:
    """Which tables the first `migrate` was for, or will be."""
    noted = version.facts(db).get(version.SCOPE)
    return noted or (version.OWN if apps_own(db) else version.ALL)


def _is_made_here(db, each, own_only: bool, there) -> bool:
    """Whether `migrate` makes the table: all of ours, and of the app's those that it does not have
    itself; also the audit log, where the app has none."""
    if each.owner == "bundle":
        return True
    return each.name not in db.name.mapped and (
        not own_only or (each.name == AUDIT and AUDIT not in there))


def _has_rows(db) -> bool:
    """Whether any table that the app has itself has a row."""
    if _scope(db) == version.ALL and not db.name.mapped:
        return False
    there = db.tables()
    return any(db.query(f"SELECT 1 AS one FROM {{{name}}} LIMIT 1") for name in app_tables.TABLES
               if db.name(name).lower() in there)


def _refuse_strangers(db, there: dict) -> None:
    """DatabaseError where somebody else's table has the name of one of ours: before the first
    `migrate` it lacks any column of ours, later most of them."""
    share = 2 if version.found(db) else 100
    for name in own_tables.TABLES:
        columns = [column.name for column in table(name).columns]
        lacks = [column for column in columns if column not in there.get(name, columns)]
        if len(lacks) * share > len(columns):
            raise DatabaseError(
                f"the table {db.name(name)} already exists and is not the jobs' own (it has no "
                f"{lacks[0]}): set [core] prefix, or correct [tables] {name}")
