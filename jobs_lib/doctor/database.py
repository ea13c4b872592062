"""The database: does it answer, may we write, is it set as the jobs need it, and what does its
schema lack."""
from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import timedelta

from jobs_lib import catalogue, clock
from jobs_lib.database import dialects, stored
from jobs_lib.database.schema import (
    NAMES,
    app_gaps,
    app_tables,
    compare,
    migrations,
    misfits,
    version,
)
from jobs_lib.database.schema import words as schema_words
from jobs_lib.database.values import words
from jobs_lib.engines.spool import all_missing, need_folder
from jobs_lib.errors import Busy, DatabaseError, JobsError, Missing, NotInstalled, Stopped
from jobs_lib.output.findings import note, ok, problem, run, warning
from jobs_lib.runner.table_gaps import concerned, needed

from . import NothingToAsk, holders, judge
from .files import LITTLE, free, is_read_only
from .network import resolve

SLOW = 1.0               # seconds to connect
# of the app's tables, the column that a new row has the time of its making in
WRITTEN_NOW = {"message_logs": "created_at", "sessions": "created_at", "users": "created_at",
               "magic_links": "created_at", "failed_emails": "created_at",
               "webhook_deliveries": "created_at", "audit_logs": "created_at",
               "aliases": "created_at", "export_requests": "requested_at",
               "overflow_hold": "held_at", "spam_quarantine": "quarantined_at"}
NEWEST = 20              # rows of each
CLOCKS_DIFFER = timedelta(minutes=15)
WIDEST_ZONE = timedelta(hours=15)        # UTC+14, and a clock that is fast
SHOWN = 10               # differences listed one by one
WHY = {"table": "Jobs that work on it fail.", "view": "Your audits read it; no job does.",
       "column": "Statements that name it fail.",
       "index": "Without it all rows are read each time, which takes minutes once there are many.",
       "unique index": "Without it the same thing can happen twice."}
RUN_SQL = "Run this SQL (phpMyAdmin: the tab SQL):"


def connection(installation):
    """Whether the database answers."""
    began = time.monotonic()
    try:
        _look_up(installation)
        installation.database()
    except NotInstalled:
        installation.give_up()
        yield note("Nothing is known about the database, since a package is missing",
                   "That is reported under host.", "Install it first.")
        return
    except DatabaseError as error:
        fix = (f"Correct [core] database in {installation.config.path}, or ask your host whether "
               "the server is up.")
        if "jobs.py migrate" in str(error):
            fix = "Run it, or correct [core] database."
        yield problem(str(error), "Without its database no job runs.", fix)
        return
    except Stopped:                          # the limit of each check
        yield problem(f"The database server has not answered within {time.monotonic() - began:.0f} "
                      "s",
                      "Without its database no job runs, and each tick of cron hangs for a while.",
                      f"Look at host and port in [core] database ({installation.config.path}); a "
                      "firewall may swallow what is sent to it. Else ask your host.")
        return
    took = time.monotonic() - began
    if took > SLOW:
        yield warning(f"The database took {took:.1f} seconds to answer",
                      "Each tick of cron waits so long.", "If a name is looked up for it, write "
                      "the address or `localhost`. Else ask your host.")
    else:
        yield ok("the database answers")


def _look_up(installation) -> None:
    """The server's name first, and apart: a look-up that hangs hears no alarm."""
    core = installation.section("core")
    target = dialects.target(core.database, installation.config.folder)
    if not getattr(target, "host", None) or target.socket:
        return
    if unknown := resolve(target.host, target.port):
        installation.give_up()
        raise DatabaseError(f"[core] database: {unknown}")


def health(installation):
    """The engine's own settings and limits."""
    db = installation.database()
    yield from judge(db.dialect).examine(db, installation.clock())


def schema(installation):
    """Its version, and each table, column and index that is missing, with the SQL that makes it."""
    db = installation.database()
    found = version.found(db)
    try:
        version.check(db)
    except Missing:                          # one of our own, reported with the others
        pass
    except DatabaseError as error:
        yield problem(str(error), "Until then no job runs.",
                      "Make a backup, then run `jobs.py migrate`." if found < version.SCHEMA_VERSION
                      else "Install the newer bundle again.")
        if not found or found > version.SCHEMA_VERSION:
            return
    strangers = migrations.strangers(db)
    for name in strangers:
        yield problem(migrations.stranger(db, name),
                      "Jobs that work on it fail, or write into what is not theirs.",
                      f"Correct [tables] {name} in {installation.config.path}.")
    differences = [each for each in compare.differences(db)
                   if not (each.table and each.table.name in strangers)]
    ours = [each for each in differences
            if each.kind == "table" and each.table.owner == "bundle"]
    others = [each for each in differences if each not in ours]
    if ours:
        names = ", ".join(each.name for each in ours)
        is_mapped = any(each.table.name in db.name.mapped for each in ours)
        start = "If it has another name, correct [tables]. Else: run" if is_mapped else "Run"
        yield problem(f"{'Tables are' if len(ours) > 1 else 'A table is'} missing: {names}",
                      WHY["table"], f"{start} `jobs.py migrate`, which makes what is not there.")
    works = needed(installation, installation.jobs)
    if bare := app_gaps.bare(db, works):
        yield warning(app_gaps.in_words(db.name, bare), "The jobs do not see what is in them.",
                      "Otherwise ignore this.")
    wanted = [each for each in others if app_gaps.is_needed(db, each, works)]
    for difference in wanted[:SHOWN]:
        yield _missing(db, difference)
    if wanted[SHOWN:]:
        statements = [f"{sql};" for each in wanted[SHOWN:] for sql in each.statements]
        yield problem(f"{len(wanted) - SHOWN} more tables, columns and indexes are missing",
                      "Only the first are listed one by one.", run(RUN_SQL, *statements))
    if unneeded := len(others) - len(wanted):
        yield note(f"{unneeded} more from docs/data-model.md {'are' if unneeded > 1 else 'is'} "
                   "missing, which no enabled job needs", "Nothing fails for it.",
                   "`jobs.py migrate --own-tables` prints the SQL.")
    wrong = list(_misfits(installation, db))
    yield from wrong
    if not (ours or others or strangers or wrong):
        yield ok(f"schema {found}, with every table, column and index")


def _misfits(installation, db):
    """What is there, and not as the jobs need it."""
    for code in app_gaps.lacking(db):
        if ":" not in code or _is_of_server(db, code):
            continue
        jobs = [job.name for job in installation.jobs if concerned(job, [code])]
        on = [name for name in jobs if installation.job(catalogue.load(name)).enabled]
        what, fix = misfits.in_words(db.name, code)
        say = problem if on else note
        yield say(what[0].upper() + what[1:] if what.startswith(("the ", "no ")) else what,
                  f"{'These jobs refuse' if on else 'Disabled jobs would refuse'} to run: "
                  f"{', '.join(on or jobs)}.",
                  run(fix[0].upper() + fix[1:] + ".",
                      *(f"{sql};" for sql in misfits.mends(db, code))))


def _is_of_server(db, code: str) -> bool:
    """Whether mysql.py reports it: the engine of a table in the database of the jobs."""
    table, _, kind, _ = misfits.parts(code)
    return kind == "engine" and table in NAMES and "." not in db.name(table)


def values(installation):
    """Words in status columns that no job knows."""
    db = installation.database()
    works = needed(installation, installation.jobs)
    for found in schema_words.look(db, [name for name in works if works[name].columns]):
        yield warning(*found)


def _missing(db, difference):
    table, kind = difference.table, difference.kind
    what = f"The {kind} {difference.name}"
    if table and kind != "table":
        what += f" of {table.name}"
    why = WHY[kind]
    if near := app_gaps.nearest(db, difference):
        why = f"[{kind}s] names it{near} {why}"
    if difference.purpose:
        why += f" It is for: {difference.purpose}."
    other_name = ""
    if table and table.owner == "app" and kind in ("table", "column"):
        other_name = f"If your app calls it otherwise, name it in [{kind}s]. Else: "
    say = warning if kind == "view" else problem
    if not difference.statements:
        return say(f"{what} is missing", why, f"{other_name}Add it to that view.")
    return say(f"{what} is missing", why,
               run(f"{other_name}{RUN_SQL}",
                   *(f"{sql};" for sql in difference.statements)))


def writing(installation):
    """This user may write: a row is added, changed and removed, and all of it taken back."""
    db = installation.database()
    if not version.found(db):
        raise NothingToAsk
    try:
        with suppress(_TakenBack), db.transaction():
            db.insert("meta", name="doctor", value="1")
            db.execute("UPDATE {meta} SET value = '2' WHERE name = 'doctor'")
            db.execute("DELETE FROM {meta} WHERE name = 'doctor'")
            raise _TakenBack
    except Busy as error:
        yield _writer(installation, error)
    except Missing:                          # reported with the schema
        raise NothingToAsk from None
    except DatabaseError as error:
        if _is_reported(installation):
            raise NothingToAsk from None
        yield problem(f"A row cannot be written: {error}", "Each job writes at least its own run.",
                      judge(db.dialect).MAY_WRITE)
    else:
        yield ok("rows can be written")


def _is_reported(installation) -> bool:
    """Whether doctor/files.py has said why nothing can be written: the disk is full, or read-only.
    """
    path = dialects.file_of(installation.section("core").database, installation.config.folder)
    return bool(path) and os.path.exists(path) and (is_read_only(path) or free(path) < LITTLE)


def _writer(installation, error: Busy):
    """Who holds the SQLite file, where that is known and no run of ours: it may never let go by
    itself."""
    file = dialects.file_of(installation.section("core").database, installation.config.folder)
    pid = next(filter(None, (holders.holder_of(file + end) for end in ("-shm", "", "-journal")
                             if file)), 0)
    if not pid or holders.is_ours(pid, installation.script):
        return note(f"Another process is writing just now, so this was not tried: {error}")
    who, look, end = holders.process(pid)
    return warning(f"The database is held by {who}, so nothing can be written: {error}",
                   "As long as it is, no job works. A backup or an import may take its time.",
                   run("Look what that is. If it may be ended, end it:", look, end))


def local_times(installation):
    """Whether the newest rows are dated in the future: an app that writes local times."""
    db, far = installation.database(), []
    ahead: dict = {}
    if not version.found(db):
        raise NothingToAsk
    there = db.catalogue(app_tables.TABLES)
    for name, column in WRITTEN_NOW.items():
        if not {"id", column} <= there.get(name, {}).keys():
            continue
        rows, shown = [], db.name.shown(name, column)
        with suppress(DatabaseError):           # reported with the schema
            rows = db.query(f"SELECT id, {column} AS moment FROM {{{name}}} ORDER BY id DESC "
                            "LIMIT :newest", newest=NEWEST)
        for row in rows:
            moment = stored.time(row["moment"])
            if not moment:
                continue
            gap = moment - installation.now
            if gap > WIDEST_ZONE:
                far.append(f"{shown} of the row {words(row['id'])} is {clock.text(moment)}")
            elif gap > CLOCKS_DIFFER:
                ahead[shown] = max(gap, ahead.get(shown, gap))
    if far:
        more = f", and {len(far) - 1} more of the newest rows are as far" if far[1:] else ""
        yield warning(f"{far[0]}, which is in the future by more than any time zone{more}",
                      "Until then no job that goes by its age touches such a row.",
                      "If that is a mistake of your app, correct it there and in the row.")
    if ahead:
        hours = max(ahead.values()).total_seconds() / 3600
        yield problem(f"The newest rows are dated up to {hours:.1f} hours in the future: "
                      f"{', '.join(ahead)}",
                      "The jobs read these as UTC: with local times all that goes by an age comes "
                      "so many hours too late, or too soon in a zone west of Greenwich.",
                      "Let your app write UTC, or let a view show it: docs/adoption.md, What "
                      "must be true of your tables.")
    if not (ahead or far):
        yield ok("no row of the app is dated in the future")


def spool(installation):
    """The spool folder belongs to this database: else nothing is ever removed from it."""
    db, folder = installation.database(), installation.section("spool").dir
    if not version.found(db) or not os.path.isdir(folder):
        raise NothingToAsk
    try:
        need_folder(db, folder)
    except Missing:
        raise NothingToAsk from None
    except JobsError as error:
        yield problem(str(error),
                      "Its files are not removed, and jobs that send or purge them stop.",
                      "docs/failures.md, The spool folder.")
    else:
        if wrong := all_missing(db, folder):
            yield problem(wrong, "Unless one was sent before, no forward is sent until then.",
                          "docs/failures.md, The spool folder.")
        else:
            yield ok("the spool folder belongs to this database")


def exports(installation):
    """Each export that a user may download is in the folder: nothing looks for it anywhere else."""
    db, folder = installation.database(), installation.section("export").dir
    try:
        rows = db.query("SELECT file_name FROM {export_requests} WHERE status = 'ready' "
                        "AND expires_at > :now", now=installation.now)
    except DatabaseError:                    # reported with the schema
        raise NothingToAsk from None
    if not rows:
        raise NothingToAsk
    try:
        there = set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        there = set()
    missing = sum(row["file_name"] not in there for row in rows)
    if missing:
        which = f"{missing:,} exports that users may download are" if missing > 1 else \
            "1 export that a user may download is"
        yield warning(f"{which} not in [export] dir = {folder}", "The links that users have open "
                      "nothing, and a file in another folder is deleted neither when its time is "
                      "over nor with its account.", "If [export] dir was changed, move the files "
                      "there: docs/exports.md, Settings. If its disk is not there, mount "
                      "it. If the files are lost, their owners can ask for another export.")
    else:
        yield ok(f"all exports that users may download are in [export] dir = {folder}")


class _TakenBack(Exception):
    """Raised to roll a transaction back."""


CHECKS = (connection, health, schema, values, writing, local_times, spool, exports)
