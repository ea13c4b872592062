"""Show what needs you, the queues and the jobs.

The exit code is 1 when something needs you. First what needs you, each with
since when and what to run next; then what waits in the queues; then every job
with its last run and its next. It reads little: run it as often as you like.
Times are in `[core] timezone`, in the JSON in UTC.
"""
from __future__ import annotations

from jobs_lib.errors import FAILED, OK
from jobs_lib.monitoring import overview
from jobs_lib.output import listing
from jobs_lib.output.layout import Screen


def arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="print one object: incidents, jobs, "
                        "queues, mail, disks")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    found = overview.collect(session.config, session.ports.database(), session.ports.now())
    if args.json:
        session.console.document(found)
    else:
        session.console.answer(listing.status(found, Screen(session)))
    return FAILED if found["incidents"] else OK
