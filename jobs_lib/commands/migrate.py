"""Create or upgrade the tables; safe to repeat and to interrupt.

On a first install it also makes the private folders and marks the spool folder as belonging to this database,
so that nothing is ever swept from another one. Jobs count as due from this moment on: nothing old is fired.
"""
from __future__ import annotations

import os

from .. import catalogue, due, folders
from ..errors import FAILED, OK
from ..place import HOME


def arguments(parser) -> None:
    """--dry-run, --check, --own-tables."""
    parser.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
    parser.add_argument("--check", action="store_true", help="exit 1 if the schema is not up to date")
    parser.add_argument("--own-tables", action="store_true",
                        help="leave out the tables that the web app writes: it has them already")


def run(args, make_session, config_path) -> int:
    """Bring the schema up to date."""
    from ..schema import migrations

    session = make_session(config_path)
    if args.check:
        return _check(session.ports.connect(), migrations)
    if args.dry_run:
        for sql in migrations.plan(session.ports.connect(), args.own_tables):
            print(sql.rstrip(";") + ";")
        return OK
    core = session.config.section("core")
    for path in (core.state_dir, core.log_dir):
        folders.private(path)
    db = session.ports.connect(create=True)
    done = migrations.migrate(db, session.ports.now(), args.own_tables)
    _settle_in(session, db)
    session.console.answer(f"{len(done)} statements run: the schema is up to date" if done
                           else "the schema was up to date already")
    return OK


def _check(db, migrations) -> int:
    waiting = migrations.pending(db)
    if not waiting:
        migrations.check(db)                # a newer one is no good either
    print(f"{len(waiting)} migration(s) to run: `jobs.py migrate`" if waiting else "the schema is up to date")
    return FAILED if waiting else OK


def _settle_in(session, db) -> None:
    """What an installation needs besides its tables. Each step looks what is there: a kill does no harm."""
    from ..recipes.spool import database_id, mark_folder

    folders.installation(session.config.section("core").state_dir)
    mark_folder(session.config.section("spool").dir, database_id(db))
    known = {row["job"] for row in db.query("SELECT job FROM {job_state}")}
    for name in catalogue.names():
        if name not in known:
            due.first_seen(db, name, session.ports.now())
    _compile()


def _compile() -> None:
    """Byte-compile the bundle, for cron's user may not be allowed to, and then each tick would compile all anew.

    What cannot be written is left out: it costs time, and nothing else.
    """
    import compileall
    compileall.compile_dir(os.path.join(HOME, "jobs_lib"), quiet=2)
