"""Create or upgrade the tables; safe to repeat and to interrupt.

On a first install it also makes the private folders and marks the spool folder as belonging to this
database, so that nothing is ever swept from another one. Jobs count as due from this moment on:
nothing old is fired. Where the database has tables of an app, only the jobs' own are made; where
these have rows, all jobs but check_jobs are paused at first.
"""
from __future__ import annotations

import os
from contextlib import suppress

from jobs_lib import catalogue, folders
from jobs_lib.database.dialects import file_of
from jobs_lib.database.schema import fit, version, words
from jobs_lib.database.schema import migrate as schema
from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.engines import spool
from jobs_lib.errors import FAILED, OK, ConfigError
from jobs_lib.job import tables_of
from jobs_lib.paths import HOME
from jobs_lib.runner import slots
from jobs_lib.text import counted

SHOWN = 3                    # tables of the app's, by their names
TO_DO = ("Your app's tables are not as the jobs need them, and those that are concerned refuse to "
         "run. Put this into your app's migrations, or do it yourself:")
INDEXES = "Your app's tables lack these indexes, without which jobs read all rows each time:"
JOURNAL = ("{0} {1}, so that your app and the jobs do not wait for each other: two files ({0}-wal, "
           "{0}-shm) are beside it while it is open, whatever opens it must be able to write to "
           "its folder, and your app must not use it over a network file system "
           "(docs/adoption.md, The first migrate).")
PAUSED = ("\nAll jobs but check_jobs are paused, since your app's tables have rows already: "
          "`jobs.py test JOB` shows what a job would do with them, `jobs.py resume JOB` lets it "
          "start.")


def arguments(parser) -> None:
    """Declares --dry-run and --check."""
    parser.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
    parser.add_argument("--check", action="store_true", help="exit 1 if the schema is not up to "
                        "date, or an app's tables are not as the enabled jobs need them")


def run(args, make_session, config_path) -> int:
    """Bring the schema up to date."""
    session = make_session(config_path)
    on = _enabled(session.config)
    if args.check:
        return _check(session.ports.connect(), on)
    if args.dry_run:
        return _show(session, on)
    done, paused, db = install(session)
    _compile()
    _say(session, "", f"{counted(len(done), 'statement')} run: the schema is up to date" if done
         else "the schema was up to date already")
    _report_wrong(session, db, on)
    if paused:
        _say(session, "", PAUSED)
    return OK


def _enabled(config) -> list:
    """The jobs that are enabled. One whose section is wrong counts, too: `config check` says so,
    and its mistake keeps no table from being made."""
    def is_on(job) -> bool:
        with suppress(ConfigError):
            return config.job(job).enabled
        return True

    return [job for job in catalogue.load_all([]) if is_on(job)]


def _say(session, remark: str, text: str) -> None:
    """What is no SQL. In a dry run it is a `remark` in its answer."""
    say = session.console.answer if remark else session.console.report
    say("\n" * text.startswith("\n") + remark + text.lstrip())


def _show(session, on: list) -> int:
    """What would be run. Nothing is written, so it is not known whether rows can be."""
    db = _to_be_read(session)
    if name := _journal_to_switch(session):
        _say(session, "-- ", JOURNAL.format(name, "will be switched to WAL mode, where its file "
                                            "system allows it"))
    _report_apps_own(session, db, "-- ")
    planned = schema.plan(db)
    for sql in planned:
        print(sql.rstrip(";") + ";")
    if not planned:
        print("-- the schema is up to date: nothing to run")
    _report_wrong(session, db, on, planned, "-- ")
    return OK


def install(session) -> tuple:
    """Make the private folders and the tables. (the statements that were run, whether the jobs were
    paused, the connection)."""
    core = session.config.section("core")
    for path in (core.state_dir, core.log_dir):
        folders.private(path)
    name = _journal_to_switch(session)
    db = session.ports.connect(create=True)
    if name and not db.snapshot_blocks_writers():       # not all file systems allow it
        _say(session, "", JOURNAL.format(name, "was switched to WAL mode"))
    _report_apps_own(session, db)
    is_first = not version.found(db)
    done, paused = schema.migrate(db, session.ports.now())
    if not is_first:                    # behind the tables, which `cancel` needs
        spool.refuse_lost(db, session.config.section("spool").dir)
    _settle_in(session, db)
    if is_first:
        _forget_waiting(core)
    return done, paused, db


def _forget_waiting(core) -> None:
    """That ticks of cron have waited for the tables is no incident that is over now."""
    from jobs_lib.runner.incident_files import DATABASE, IncidentFile
    file = IncidentFile(core, DATABASE)
    file.end_incident()
    file.forget_past()


def _to_be_read(session):
    """The database; before the first `migrate` of an SQLite file, an empty one in its place."""
    from jobs_lib.database.connection import connect

    config = session.config
    core = config.section("core")
    file = file_of(core.database, config.folder)
    if not file or os.path.exists(file):
        return session.ports.connect(readonly=True)
    return connect("sqlite:///:memory:", prefix=core.prefix, tables=config.tables())


def _journal_to_switch(session) -> str:
    """The name of an SQLite file that is there and not in WAL mode; "" where there is none."""
    file = file_of(session.config.section("core").database, session.config.folder)
    if not (file and os.path.exists(file) and os.path.getsize(file)):
        return ""
    return os.path.basename(file) if session.ports.connect().snapshot_blocks_writers() else ""


def _report_apps_own(session, db, remark: str = "") -> None:
    """Before the first `migrate`: that tables are there, and whose they are."""
    if names := schema.apps_own(db):
        shown = ", ".join(names[:SHOWN]) + f" and {len(names) - SHOWN} more" * (len(names) > SHOWN)
        _say(session, remark, f"Your app's tables ({shown}) are not changed: only the jobs' own "
             "are made.")


def _report_wrong(session, db, on: list, planned=(), remark: str = "") -> None:
    """What has to be changed in the app's tables, each thing with its SQL."""
    if found := _wrong(fit.look(db), on, planned):
        _say(session, remark, f"\n{TO_DO}")
    for each in found:
        _say(session, "-- ", f"{each.what}: {each.fix}")
        for sql in each.statements:
            session.console.answer(f"{sql};")
    if missing := [sql for each in fit.indexes(db, _names(on)) for sql in each.statements
                   if sql not in planned]:
        session.console.answer("\n".join([f"\n{remark}{INDEXES}", *(f"{sql};" for sql in missing)]))


def _names(on: list) -> list[str]:
    """The app's tables that these jobs work on."""
    return [name for name in TABLES if any(name in tables_of(job) for job in on)]


def _wrong(found: list, on: list, planned=()) -> list:
    """What is wrong with the app's tables for a job which is enabled, but for what `migrate` will
    make."""
    return [each for each in found if any(fit.concerned(job, [each]) for job in on)
            and not (each.statements and set(planned).issuperset(each.statements))]


def _check(db, on: list) -> int:
    problems = []
    if planned := schema.plan(db):
        problems.append(f"{counted(len(planned), 'statement')} to run: `jobs.py migrate` (with "
                        "--dry-run: shown)")
    else:
        version.check(db)
    found = fit.look(db)
    problems += [f"{each.what}: {each.fix}" for each in _wrong(found, on, planned)]
    if not planned and (missing := fit.indexes(db, _names(on))):
        problems.append(f"{counted(len(missing), 'index', 'indexes')} of your app's tables "
                        "missing: run the SQL that `jobs.py migrate` prints")
    notes = [(each.what, "", each.fix) for each in found if each.act == fit.NOTE]
    for what, _, fix in (*words.look(db, _names(on)), *notes):
        print(f"warning: {what}: {fix[0].lower()}{fix[1:]}")
    for problem in problems or ["the schema is up to date"]:
        print(problem)
    return FAILED if problems else OK


def _settle_in(session, db) -> None:
    """What an installation needs besides its tables. Each step checks what is there: a kill does no
    harm."""
    folders.installation(session.config.section("core").state_dir)
    spool.mark_folder(session.config.section("spool").dir, spool.database_id(db))
    known = {row["job"] for row in db.query("SELECT job FROM {job_state}")}
    for name in catalogue.names():
        if name not in known:
            slots.note_first_seen(db, name, session.ports.now())


def _compile() -> None:
    """Byte-compile the bundle: if cron's user may not write there, each tick would compile
    everything again.

    A file that cannot be written is left out: it costs time, and nothing else.
    """
    import compileall
    compileall.compile_dir(os.path.join(HOME, "jobs_lib"), quiet=2)
