"""Show what needs you, the queues and the jobs.

The exit code is 1 when something needs you. First what needs you, each with since when and what to
run next; then what waits in the queues; then every job with its last run and its next. It reads
little: run it as often as you like. Times are in `[core] timezone`, in the JSON in UTC.
"""
from __future__ import annotations

from jobs_lib.errors import FAILED, OK


def arguments(parser) -> None:
    """Declares --json."""
    parser.add_argument("--json", action="store_true", help="print one object: incidents, jobs, "
                        "queues, mail, disks")


def run(args, make_session, config_path) -> int:
    """Print it. 1 when there is an incident."""
    from jobs_lib.monitoring import overview

    session = make_session(config_path)
    found = overview.collect(session.config, session.ports.database(), session.ports.now())
    if args.json:
        session.console.document(found)
    else:
        from jobs_lib.output.layout import Screen
        from jobs_lib.output.listing import status
        session.console.answer(status(found, Screen(session)))
    return FAILED if found["incidents"] else OK
