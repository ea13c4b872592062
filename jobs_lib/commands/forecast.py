"""Show what the coming days will delete, warn of and send, and what stands out in it.

For each job: what is due now, what becomes due in all, and the busiest day; then the mail that
waits, against the limits. It counts the rows as they are, by the same rules as the jobs, and
changes nothing. A retention that was mistyped shows here before a run acts by it.
"""
from __future__ import annotations

from jobs_lib.errors import OK
from jobs_lib.text import at_most

DAYS, MOST_DAYS = 30, 366
BY_FILE = True


def arguments(parser) -> None:
    """Declares --days and --json."""
    parser.add_argument("--days", type=at_most(MOST_DAYS), default=DAYS, metavar="N",
                        help=f"look N days ahead (default: {DAYS}, at most {MOST_DAYS})")
    parser.add_argument("--json", action="store_true", help="print one object: warnings, jobs, "
                        "queues, mail, times in UTC")


def run(args, make_session, config_path) -> int:
    """Print it. 0, also when something stands out: nothing has happened yet."""
    from jobs_lib.database.schema import version
    from jobs_lib.monitoring.forecast import collect

    session = make_session(config_path)
    db = session.ports.database(readonly=True)
    version.check(db)
    found = collect(session.config, db, session.ports, args.days)
    if args.json:
        session.console.document(found)
        return OK
    from jobs_lib.output.forecast import forecast
    from jobs_lib.output.screen import Screen
    session.console.answer(forecast(found, Screen(session)))
    return OK
