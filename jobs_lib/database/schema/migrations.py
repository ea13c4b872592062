"""Numbered migrations made of steps that can be repeated: a kill between any two of them does no
harm.

MySQL cannot roll back a CREATE or ALTER, so a migration is made of single statements and looks each
time what is still missing; SQLite can, and gets a whole migration in one transaction. A table is
always created in its newest form; later migrations then find nothing to do.

Which tables are made is chosen once, and noted before the first of them is made: all, or where an
app has tables of its own only those of the jobs. What is the app's is never touched then.
"""
from __future__ import annotations

import os
from contextlib import suppress

from jobs_lib import catalogue
from jobs_lib.errors import DatabaseError, Duplicate, Missing

from . import NAMES, app_gaps, app_tables, ddl, keys
from .tables import table, tables
from .version import ALL, OWN, SCHEMA_VERSION, SCOPE, check, found, newer

__all__ = ("MIGRATIONS", "SCHEMA_VERSION", "check", "found", "migrate", "pending", "plan")

LONGEST = 86_400.0           # seconds for one statement
NEVER_PAUSED = "check_jobs"  # it touches no row of an app


def _first(db, own_only: bool) -> list:
    """Version 1: every table with its indexes."""
    present = db.tables()
    statements = _meta(db, present)
    for each in tables():
        if db.name(each.name) in present:
            if each.owner == "bundle":
                statements += ddl.fit_keys(db, each)
        elif each.name == "meta":
            continue
        elif _is_made_here(db, each, own_only):
            statements += ddl.create_table(db, each)
    return statements


def _meta(db, present: set) -> list:
    return [] if db.name("meta") in present else ddl.create_table(db, table("meta"))


def _notices_end(db, _own_only: bool) -> list:
    """Version 2: how a notice was tried and when it was sent or given up, and its queue in the
    order it is read."""
    dropped = ddl.drop_index(db, table("notifications"), "notifications_due")
    return [*ddl.missing(db, table("notifications")), *dropped]


def _completed(*names: str):
    """A migration that adds columns and indexes to these tables. New tables are made by the first
    one."""
    def statements(db, own_only: bool) -> list:
        return [sql for each in map(table, names) if _is_made_here(db, each, own_only)
                for sql in ddl.missing(db, each)]
    return statements


def _is_made_here(db, each, own_only: bool) -> bool:
    """Whether `migrate` makes the table: all of ours, and of the app's those that it does not have
    itself; also the audit log, to which the jobs add rows, where the app has none that fits."""
    return (each.owner == "bundle" or each.name == AUDIT
            or not (own_only or each.name in db.name.mapped))


MIGRATIONS = {1: _first, 2: _notices_end,
              3: _completed("job_runs", "export_requests", "account_deletions"),
              # what fair turns, and the other guards against a neighbour, need
              4: _completed("failed_emails", "notifications", "webhook_deliveries"),
              5: _completed("endpoint_state"),
              6: _completed("attempts")}
assert max(MIGRATIONS) == SCHEMA_VERSION
AUDIT = "audit_logs"


def pending(db) -> list:
    """The numbers of the migrations that this database still needs, in order."""
    return [number for number in sorted(MIGRATIONS) if number > found(db)]


def apps_own(db) -> list[str]:
    """What the tables are called that an app has here, or that [tables] says it has, before the
    first `migrate`; none later."""
    if found(db) or _chosen(db):
        return []
    there = db.tables()
    return [db.name(name) for name in app_tables.TABLES
            if name in db.name.mapped or db.name(name) in there]


def plan(db, own_only: bool | None = None) -> list:
    """The statements that `migrate` would run, as an operator's client takes them."""
    planned = (sql for number in _steps(db)
               for sql in MIGRATIONS[number](db, _is_own_only(db, own_only)))
    # what the first makes in its newest form, a later one misses too
    return ddl.for_clients(db, list(dict.fromkeys(planned)))


def migrate(db, now, own_only: bool | None = None) -> list:
    """Bring the schema up to date and return the statements run; safe to repeat, and to kill
    anywhere.

    `own_only` leaves out the tables that the app writes: it has them already, or is to make them
    itself; None: where it has any. What was left out the first time is left out for good. A table
    that got lost is made again.
    """
    # a large table's index takes longer than any answer otherwise may
    done, db.left = [], lambda: LONGEST
    try:
        for number in _steps(db):
            if db.dialect.transactional_ddl:
                with db.transaction():
                    done += _apply(db, number, now, own_only)
            else:
                done += _apply(db, number, now, own_only)
        app_gaps.note(db)
    finally:
        db.left = None
    return done


def _steps(db) -> list:
    """The numbers of the new migrations, then of the others, for tables that got lost."""
    version = found(db)
    keys.forget(db)
    if version > SCHEMA_VERSION:
        raise newer(version)
    # in between, one of ours lacks what is yet to come
    for name in strangers(db) if version == SCHEMA_VERSION else () if version else _by_chance(db):
        raise DatabaseError(stranger(db, name))
    return sorted(MIGRATIONS, key=lambda number: (number <= version, number))


def _chosen(db) -> str | None:
    """Which tables the first `migrate` is for, once that is noted."""
    try:
        return db.value("SELECT value FROM {meta} WHERE name = :name", name=SCOPE)
    except Missing:
        if found(db):
            raise
        return None


def _is_own_only(db, asked: bool | None) -> bool:
    chosen = _chosen(db)
    if chosen or found(db):
        return bool(asked) or chosen == OWN
    return bool(apps_own(db)) if asked is None else asked


def _choose(db, asked: bool | None) -> list:
    """Note which tables are made, before the first of them is: after a kill, those that are there
    are ours."""
    own_only = _is_own_only(db, asked)
    done = _run(db, lambda: _meta(db, db.tables()))
    with suppress(Duplicate):            # by another `migrate`, at the same moment
        db.insert("meta", name=SCOPE, value=OWN if own_only else ALL)
    return done


def _run(db, make) -> list:
    """Run the statements that `make` returns; it looks again where one fails."""
    statements, done = make(), []
    while statements:
        sql = statements.pop(0)
        try:
            db.execute(sql)
            done.append(sql)
        except DatabaseError:
            statements = make()
            if sql in statements:
                raise                    # else another `migrate` made it at the same moment
    return done


def _apply(db, number: int, now, asked: bool | None) -> list:
    done = [] if found(db) or _chosen(db) else _choose(db, asked)
    own_only = _is_own_only(db, asked)
    done += _run(db, lambda: MIGRATIONS[number](db, own_only))
    facts = {"database_id": os.urandom(16).hex(), SCOPE: OWN if own_only else ALL}
    for name, value in facts.items():
        with suppress(Duplicate):        # made before: it stays for the life of the database
            db.insert("meta", name=name, value=value)
    if number == 1 and not found(db) and own_only and _has_rows(db):
        pause(db, now)
    if number > found(db):
        db.upsert("schema_migrations", {"version": number}, {"applied_at": now})
    return done


def _has_rows(db) -> bool:
    """Whether any table of the app's has a row."""
    there = db.tables()
    return any(db.query(f"SELECT 1 AS one FROM {{{name}}} LIMIT 1") for name in app_tables.TABLES
               if db.name(name) in there)


def pause(db, now) -> None:
    """Pause every job that would act on rows which an app had before, until the operator has seen
    by `test JOB` what it would do. Stored before the version is: no tick can come between."""
    for job in catalogue.names():
        if job != NEVER_PAUSED:
            db.upsert("job_state", {"job": job}, {"paused_at": now, "due_after": now})


def strangers(db) -> list[str]:
    """Those of our own tables that `[tables]` gives the name of somebody else's: it lacks columns
    of ours."""
    return [name for name in db.name.mapped if _lacking(db, table(name))]


def _by_chance(db) -> list[str]:
    """Those that have a name of ours before the first `migrate`."""
    there = db.tables()
    return [name for name in NAMES if db.name(name) in there and _lacking(db, table(name))]


def stranger(db, name: str) -> str:
    """The message about one of them, or about a table that has our name by chance."""
    theirs, lacks = db.name(name), _lacking(db, table(name))[0]
    if name in db.name.mapped:
        return (f"the table {theirs}, which [tables] {name} names, is there already and is not "
                f"ours (it has no {lacks}): take that line out, or give ours another name")
    return (f"the table {theirs} is there already and is not ours (it has no {lacks}): set [core] "
            "prefix")


def _lacking(db, each) -> list[str]:
    """The columns of ours that a table which is there lacks; the app's own are the app's matter."""
    there = db.columns(each.name)
    if each.owner != "bundle" or not there:
        return []
    return sorted({column.name for column in each.columns} - there)
