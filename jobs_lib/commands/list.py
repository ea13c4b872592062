"""List the jobs, one line each: schedule, last outcome, next run.

It is what `status` says of the jobs, with their schedules. In the JSON times are in UTC.
"""
from __future__ import annotations

from jobs_lib.errors import OK
from jobs_lib.monitoring import overview
from jobs_lib.output.layout import Screen
from jobs_lib.output.listing import listing


def arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="print an array of objects, one a job")


def run(args, make_session, config_path) -> int:
    """Print the list. 0 also when a job's own section is wrong: the list says so."""
    session = make_session(config_path)
    found = overview.collect(session.config, session.ports.database(), session.ports.now())
    if args.json:
        session.console.document(found["jobs"])
    else:
        session.console.answer(listing(found["jobs"], Screen(session)))
    return OK
