"""Make the status page: one HTML file, for a phone or a wall.

It needs no script. It contains no address, no subject, no path and no error message, so it is safe
to publish. With `[status] page` it is replaced after each run of check_jobs.
"""
from __future__ import annotations

from jobs_lib.database.schema import version
from jobs_lib.errors import OK


def arguments(parser) -> None:
    """Declares --output."""
    parser.add_argument("--output", metavar="FILE", help="replace this file (default, or -: print "
                        "the page)")


def run(args, make_session, config_path) -> int:
    """Write the report to a file or print it."""
    from jobs_lib.monitoring import publish

    session = make_session(config_path)
    db = session.ports.database()
    version.check(db)
    text = publish.page(session.config, db, session.ports.now())
    if args.output not in (None, "-"):
        publish.replace("page", args.output, text)
    else:
        session.console.answer(text.rstrip("\n"))
    return OK
