"""`jobs.py JOB`: one run of one job, by hand or from a crontab line of its own."""
from __future__ import annotations

from jobs_lib import folders
from jobs_lib.catalogue import CRON
from jobs_lib.errors import OK, Busy, DatabaseError, NoAccess, WrongUser
from jobs_lib.runner import outcome, runner
from jobs_lib.text import positive

from .launch import Launch, show

# What argparse makes of no options. A line of a crontab does without argparse, which costs half as
# much as starting Python.
DEFAULTS: dict = {"dry_run": False, "limit": None, "set": [], "json": False, "scheduled": False,
                  "fail_if_locked": False, "yes": False, "level": None}


def arguments(parser) -> None:
    """The options that every job takes."""
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and "
                        "change nothing")
    parser.add_argument("--limit", type=positive, metavar="N", help="handle at most N items in "
                        "each step of this run")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="use another value in this run: of an option of the job, or of "
                        "SECTION.OPTION")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON "
                        "document")
    parser.add_argument("--scheduled", action="store_true",
                        help="run for the latest slot of the schedule; do nothing if that slot was "
                        "started before")
    parser.add_argument("--fail-if-locked", action="store_true", help="exit 75 when another run "
                        "holds the lock")
    parser.add_argument("--yes", action="store_true", help="do what the guard holds back, "
                        "this once")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_const", const=1, dest="level",
                      help="print what was done")
    loud.add_argument("-q", "--quiet", action="store_const", const=-1, dest="level",
                      help="print nothing, not even errors")


def run(job, args, make_session, config_path) -> int:
    """Run it once as the arguments say, show the outcome, return the exit code.

    What keeps every job from running is printed once for cron, and not by each line of a crontab
    at each tick (outages.py).
    """
    session = make_session(config_path, args.level, args.set, job)
    launch = Launch(session)
    by_cron = args.scheduled and args.level is None and not (args.json or args.dry_run)
    try:
        return _run(job, args, launch, by_cron)
    except (BrokenPipeError, WrongUser):
        raise
    except (DatabaseError, NoAccess, OSError) as error:
        is_outage = isinstance(error, DatabaseError) and not isinstance(error, Busy)
        if not by_cron and (args.dry_run or not is_outage):
            raise
        outages, cause = launch.outages(), folders.no_access(error)
        recorded = outages.record_error(cause)
        return outages.raise_or_exit_code(cause, recorded, always=not by_cron)


def _run(job, args, launch: Launch, by_cron: bool) -> int:
    session = launch.session
    request = runner.Request("manual", None, args.limit, args.dry_run, args.yes)
    if args.scheduled and not args.dry_run:
        # what would be done does not depend on the slot
        launch.check_database()
        slot = launch.prepare_slot(job)
        if slot is None:
            if args.json:
                _answer(session, outcome.blank(job, request, session.ports.now(), status="skipped",
                                              stop_reason="nothing is due"))
            return OK
        if session.config.mode(job) != CRON and _taken_by_workers(launch, job):
            return OK
        request = request._replace(trigger="scheduled", slot=slot)
    result = launch.run(job, request)
    if args.json:
        _answer(session, result, **({"samples": session.console.samples} if args.dry_run else {}))
    elif args.dry_run:
        from jobs_lib.output.tables import dry_run
        session.console.answer(dry_run(result, session.console.samples))
    show(session.console, result, request, quiet=args.json or args.dry_run)
    busy = launch.report() if by_cron else OK
    return busy or outcome.exit_code(result, args.fail_if_locked)


def _taken_by_workers(launch: Launch, job) -> bool:
    """Whether its workers have got it; else this process is to run it."""
    return not launch.outages().hand_over_jobs([job])[0]


def _answer(session, result: dict, **more) -> None:
    session.console.document({**outcome.as_json(result), **more})
