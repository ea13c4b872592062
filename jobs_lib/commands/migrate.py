"""Create or upgrade the tables; safe to repeat and to interrupt.

On a first install it also makes the private folders and marks the spool folder as belonging to this database,
so that nothing is ever swept from another one. Jobs count as due from this moment on: nothing old is fired.
"""
from __future__ import annotations

from .. import catalogue, due, folders
from ..errors import FAILED, OK


def arguments(parser) -> None:
    """--dry-run, --check, --own-tables, --json."""
    parser.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
    parser.add_argument("--check", action="store_true", help="exit 1 if the schema is not up to date")
    parser.add_argument("--own-tables", action="store_true",
                        help="leave out the tables that the web app writes: it has them already")


def run(args, make_session, config_path) -> int:
    """Bring the schema up to date."""
    from ..recipes.spool import mark_folder
    from ..schema import migrations

    session = make_session(config_path)
    core = session.config.section("core")
    if args.check:
        db = session.ports.connect()
        waiting = migrations.pending(db)
        print(f"{len(waiting)} migration(s) to run: `jobs.py migrate`" if waiting else "the schema is up to date")
        return FAILED if waiting else OK
    if not args.dry_run:
        for path in (core.state_dir, core.log_dir):
            folders.private(path)
    db = session.ports.connect(create=not args.dry_run)
    if args.dry_run:
        for sql in migrations.plan(db, args.own_tables):
            print(sql.rstrip(";") + ";")
        return OK
    now = session.ports.now()
    done = migrations.migrate(db, now, args.own_tables)
    mark_folder(session.config.section("spool").dir, db.value("SELECT value FROM {meta} WHERE name = 'database_id'"))
    known = {row["job"] for row in db.query("SELECT job FROM {job_state}")}
    for name in catalogue.names():
        if name not in known:
            due.first_seen(db, name, now)
    session.console.say(f"{len(done)} statements run: the schema is up to date" if done
                        else "the schema was up to date already")
    return OK
