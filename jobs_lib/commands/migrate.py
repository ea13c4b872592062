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
from jobs_lib.database.schema import app_gaps, compare, migrations, misfits, rights, words
from jobs_lib.database.schema.works_on import of_all
from jobs_lib.errors import FAILED, OK, ConfigError
from jobs_lib.paths import HOME
from jobs_lib.runner import slots
from jobs_lib.runner.table_gaps import concerned
from jobs_lib.text import counted

SHOWN = 3                    # tables of the app's, by their names
FIRST = "This in your app's tables does not fit, and jobs refuse to run. Change it first:"
TO_DO = ("Your app's own tables still lack this. Put it into your app's migrations, or run it "
         "yourself:")
JOURNAL = ("{0} {1}, so that your app and the jobs do not wait for each other: two files ({0}-wal, "
           "{0}-shm) are beside it while it is open, whatever opens it must be able to write to "
           "its folder, and your app must not use it over a network file system "
           "(docs/adoption.md, The first migrate).")
PAUSED = ("\nAll jobs but check_jobs are paused, since your app's tables have rows already: "
          "`jobs.py test JOB` shows what a job would do with them, `jobs.py resume JOB` lets it "
          "start.")


def arguments(parser) -> None:
    """Declares --dry-run, --check, --own-tables."""
    parser.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
    parser.add_argument("--check", action="store_true", help="exit 1 if the schema is not up to "
                        "date")
    parser.add_argument("--own-tables", action="store_true",
                        help="leave out the tables that the web app writes, also where it has "
                        "none of them yet; print all that they lack, also what no enabled job "
                        "needs")


def run(args, make_session, config_path) -> int:
    """Bring the schema up to date."""
    session = make_session(config_path)
    on = _enabled(session.config)
    works = of_all(on)
    if args.check:
        return _check(session, session.ports.connect(), on, works)
    if args.dry_run:
        db = _to_be_read(session)
        if name := _journal_to_switch(session):
            _say(session, "-- ", JOURNAL.format(name, "will be switched to WAL mode, where its "
                                                "file system allows it"))
        _report_apps_own(session, db, "-- ")
        _report_bare(session, db, works, "-- ")
        planned = migrations.plan(db, args.own_tables or None)
        _report_wrong(session, db, on, "-- ")
        for sql in planned:
            print(sql.rstrip(";") + ";")
        if not planned:
            print("-- the schema is up to date: nothing to run")
        wanted, others = _gaps(db, works, args.own_tables, planned)
        _report_lacking(session, app_gaps.statements(db, planned, wanted), "-- ")
        _report_left_out(session, others, "-- ")
        return OK
    db, done, is_first = install(session, args.own_tables)
    _compile()
    wanted, others = _gaps(db, works, args.own_tables)
    lacks = app_gaps.statements(db, (), wanted)
    ours = "our own tables" if lacks else "the schema"
    made = f"{counted(len(done), 'statement')} run"
    session.console.answer(f"{made}: {ours} {'are' if lacks else 'is'} up to date" if done
                           else f"{ours} {'were' if lacks else 'was'} up to date already")
    _report_bare(session, db, works)
    _report_wrong(session, db, on)
    _report_lacking(session, lacks)
    _report_left_out(session, others)
    if is_first and db.value("SELECT COUNT(*) FROM {job_state} WHERE paused_at IS NOT NULL"):
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


def install(session, own_tables: bool = False) -> tuple:
    """Make the private folders and the tables. (the connection, the statements that were run,
    whether there were none of ours before).

    An app's tables that are there are left to it, with `own_tables` or without.
    """
    core = session.config.section("core")
    for path in (core.state_dir, core.log_dir):
        folders.private(path)
    name = _journal_to_switch(session)
    db = session.ports.connect(create=True)
    if name and not db.snapshot_blocks_writers():       # not all file systems allow it
        _say(session, "", JOURNAL.format(name, "was switched to WAL mode"))
    _report_apps_own(session, db)
    is_first = not migrations.found(db)
    done = migrations.migrate(db, session.ports.now(), own_tables or None)
    _settle_in(session, db)
    if is_first:
        _forget_waiting(core)
    return db, done, is_first


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
        return session.ports.connect()
    return connect("sqlite:///:memory:", prefix=core.prefix, tables=config.tables(),
                   columns=config.columns(), also=config.also())


def _journal_to_switch(session) -> str:
    """The name of an SQLite file that is there and not in WAL mode; "" where there is none."""
    file = file_of(session.config.section("core").database, session.config.folder)
    if not (file and os.path.exists(file) and os.path.getsize(file)):
        return ""
    return os.path.basename(file) if session.ports.connect().snapshot_blocks_writers() else ""


def _report_bare(session, db, works: dict, remark: str = "") -> None:
    """That tables are there with our names, and the jobs use others."""
    if found := app_gaps.bare(db, works):
        _say(session, remark, app_gaps.in_words(db.name, found))


def _report_apps_own(session, db, remark: str = "") -> None:
    """Before the first `migrate`: that tables are there, and whose they are."""
    if names := migrations.apps_own(db):
        shown = ", ".join(names[:SHOWN]) + f" and {len(names) - SHOWN} more" * (len(names) > SHOWN)
        _say(session, remark, f"Your app's tables ({shown}) are not changed: only the jobs' own "
             "are made.")


def _report_lacking(session, statements: list, remark: str = "") -> None:
    """What the app's tables lack. They are the app's: its operator runs it, or its own migrations
    do."""
    if statements:
        session.console.answer("\n".join([f"\n{remark}{TO_DO}", "", *statements]))


def _gaps(db, works: dict, everything: bool = False, planned=()) -> tuple[list, list]:
    """What the database lacks, as ddl.Difference: what is asked for, which is what enabled jobs
    need, or everything; and the rest, but for what is `planned` anyway."""
    wanted: list = []
    others: list = []
    for each in compare.differences(db):
        if everything or app_gaps.is_needed(db, each, works):
            wanted.append(each)
        elif not (each.statements and set(planned).issuperset(each.statements)):
            others.append(each)
    return wanted, others


def _report_left_out(session, others: list, remark: str = "") -> None:
    """That more is missing, which no job needs just now."""
    if others:
        _say(session, remark, f"\nLeft out (no enabled job needs it): {len(others)} more. "
             "`jobs.py migrate --own-tables` prints them, too.")


def _report_wrong(session, db, on: list, remark: str = "") -> None:
    """What has to be changed in the app's tables, before anything is done with their rows."""
    codes = _wrong(db, on)
    if codes:
        session.console.answer("")
        _say(session, remark, FIRST)
    for code in codes:
        _say(session, remark, misfits.sentence(db.name, code))
        for sql in misfits.mends(db, code):
            session.console.answer(f"{sql};")


def _wrong(db, on: list) -> list[str]:
    """What the app's tables have in a way that a job which is enabled cannot work with: codes of
    misfits.py."""
    return [code for code in app_gaps.lacking(db)
            if ":" in code and any(concerned(job, [code]) for job in on)]


def _check(session, db, on: list, works: dict) -> int:
    waiting = migrations.pending(db)
    if not waiting:
        migrations.check(db)                # a newer one is no good either
    if waiting:
        print(f"{len(waiting)} migration(s) to run: `jobs.py migrate`")
        return FAILED
    if planned := migrations.plan(db):      # such as for another name in [tables]
        print(f"{len(planned)} statement(s) to run: `jobs.py migrate` (with --dry-run: shown)")
        return FAILED
    missing = app_gaps.statements(db, differences=_gaps(db, works)[0])
    if missing:
        number = sum(not text.startswith("--") for text in missing)
        print("the app's own tables lack something: `jobs.py migrate` prints it"
              + f", as {counted(number, 'statement')} to run" * bool(number))
    wrong = [misfits.sentence(db.name, code) for code in _wrong(db, on)]
    wrong += filter(None, [rights.own(db)])
    for sentence in wrong:
        print(sentence)
    for what, _, fix in words.look(db, [name for name in works if works[name].columns]):
        print(f"warning: {what}: {fix[0].lower()}{fix[1:]}")
    if missing or wrong:
        return FAILED
    print("the schema is up to date")
    return OK


def _settle_in(session, db) -> None:
    """What an installation needs besides its tables. Each step checks what is there: a kill does no
    harm."""
    from jobs_lib.engines.spool import database_id, mark_folder

    folders.installation(session.config.section("core").state_dir)
    mark_folder(session.config.section("spool").dir, database_id(db))
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
