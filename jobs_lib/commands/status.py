"""Show how jobs, queues and the host fare; exit 1 when something needs you.

First what needs you, each with since when and what to run next; then what waits in the queues; then
every job with its last run and its next. It reads little: ask it as often as you like. Times are in
`[core] timezone`, in the JSON in UTC.
"""
from __future__ import annotations

import sys

from jobs_lib import schedule
from jobs_lib.database.schema import version
from jobs_lib.errors import FAILED, OK


def arguments(parser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one object: troubles, jobs, "
                        "queues, mail, disks")


def run(args, make_session, config_path) -> int:
    """Print it. 1 when there is a trouble."""
    from jobs_lib.monitoring import overview

    session = make_session(config_path)
    db, now = session.ports.database(), session.ports.now()
    version.check(db)
    found = overview.collect(session.config, db, now)
    if args.json:
        session.console.document(found)
    else:
        from jobs_lib.output.console import WIDEST, columns
        from jobs_lib.output.paint import Paint
        from jobs_lib.output.status import status
        zone = session.config.section("core").timezone
        session.console.answer(status(found, schedule.zone(zone), zone, min(columns(), WIDEST),
                                      Paint(sys.stdout)))
    return FAILED if found["troubles"] else OK
