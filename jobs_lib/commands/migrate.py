"""Create or upgrade the tables; safe to repeat and to interrupt.

On a first install it also makes the private folders and marks the spool folder as belonging to this
database, so that no file of another one is ever deleted. Schedules count from this moment on: no
earlier time is made up for. Where the database has tables of an app, only the jobs' own are made;
where these have rows, all jobs but check_jobs are paused at first.
"""
from __future__ import annotations

import os

from jobs_lib import catalogue, folders
from jobs_lib.config.secrets import hide_password
from jobs_lib.database.dialects import file_of
from jobs_lib.database.schema import fit, version
from jobs_lib.database.schema import migrate as schema
from jobs_lib.doctor import Installation, database
from jobs_lib.engines import spool
from jobs_lib.errors import FAILED, OK
from jobs_lib.launch import launch
from jobs_lib.output.findings import in_full
from jobs_lib.runner import slots
from jobs_lib.text import counted

NEVER_PAUSED = "check_jobs"     # it touches no row of an app
NOT_CHANGED = "Your app's tables ({}) are not changed: only the jobs' own are made."
PAUSED = ("\nAll jobs but check_jobs are paused, since your app's tables have rows already: "
          "`jobs.py test JOB` shows what a job would do with them, `jobs.py resume JOB` lets it "
          "start.")


def arguments(parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
    parser.add_argument("--check", action="store_true", help="exit 1 if the schema is not up to "
                        "date, or an app's tables are not as the enabled jobs need them")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    if args.check:
        return _check(session)
    if args.dry_run:
        return _show(session)
    done, paused, db = install(session)
    session.console.report(f"{counted(len(done), 'statement')} run in "
                           f"{hide_password(session.config.section('core').database)}: "
                           "the schema is up to date")
    if paused:
        session.console.report(PAUSED)
    launch.end_outages(session)
    _report_wrong(session, db)
    for sentence in catalogue.usable()[1]:
        session.console.fail(f"jobs.py: {sentence}")
    return OK


def _show(session) -> int:
    """What would be run. Nothing is written, so it is not known whether rows can be."""
    def say(text: str) -> None:
        session.console.answer(f"-- {text}")

    db = session.ports.database(readonly=True)
    if names := schema.apps_own(db):
        say(NOT_CHANGED.format(", ".join(names)))
    planned = schema.plan(db)
    for sql in planned:
        session.console.answer(f"{sql};")
    if not planned:
        say("the schema is up to date: nothing to run")
    _report_wrong(session, db, planned)
    return OK


def install(session) -> tuple:
    """Make the private folders and the tables. (the statements that were run, whether the jobs were
    paused, the connection)."""
    core, spooled = session.config.section("core"), session.config.section("spool").dir
    folders.private(core.state_dir)
    folders.private(core.log_dir)
    file = file_of(core.database, session.config.folder)
    if file and not os.path.exists(file) and spool.mark(spooled):
        # that of another database: no empty file is made
        folders.mark_folder(spooled, spool.MARKER, "", "[spool] dir")
    db = session.ports.connect(create=True)
    if names := schema.apps_own(db):
        session.console.report(NOT_CHANGED.format(", ".join(names)))
    is_first = not version.found(db)
    if spool.mark(spooled):             # that of another database: nothing is made
        owner = spool.database_id(db) if version.facts(db) else ""
        folders.mark_folder(spooled, spool.MARKER, owner, "[spool] dir")
    jobs = {*catalogue.names()}
    done, paused = schema.migrate(db, session.ports.now(), jobs - {NEVER_PAUSED})
    if not is_first:                    # behind the tables, which `cancel` needs
        spool.refuse_lost(db, spooled)
    folders.installation(core.state_dir)
    folders.mark_folder(spooled, spool.MARKER, spool.database_id(db), "[spool] dir")
    for name in jobs - {row["job"] for row in db.query(
            "SELECT job FROM {job_state}")}:
        slots.note_first_seen(db, name, session.ports.now())
    return done, paused, db


def _report_wrong(session, db, planned=()) -> None:
    """What has to be changed in the app's tables, by its owner, each thing with its SQL."""
    on = [job.tables for job in catalogue.usable()[0] if session.config.job(job).enabled]
    for each in fit.review(db, on, planned):
        if each.act != fit.NOTE:
            sql = (f"{statement};" for statement in each.statements)
            session.console.answer("\n".join([f"-- {each.what}: {each.fix}", *sql]))


def _check(session) -> int:
    """What `doctor` says of the tables."""
    found = [*database.tables(Installation(session, *catalogue.usable()))]
    for finding in found:
        session.console.answer("\n".join(in_full(finding)))
    if not found:
        session.console.answer("the schema is up to date")
    return FAILED if any(finding.level == "problem" for finding in found) else OK
