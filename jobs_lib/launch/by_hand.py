"""`jobs.py JOB`: one run of one job, by hand or from a crontab line of its own."""
from __future__ import annotations

from jobs_lib import folders, schedule, shards
from jobs_lib.database.schema import version
from jobs_lib.errors import FAILED, OK, Busy, DatabaseError, NoAccess
from jobs_lib.job import CRON
from jobs_lib.output.tables import samples_words
from jobs_lib.runner import runner, slots, standing
from jobs_lib.runner.outcome import outcome_words
from jobs_lib.text import positive

# What a crontab line of its own says: JOB --scheduled. It needs no argparse, which costs as much as
# starting Python.
SCHEDULED: dict = {"dry_run": False, "limit": None, "set": [], "json": False, "scheduled": True,
                   "fail_if_locked": False, "yes": False, "level": None}

CHECK = "check_jobs"


def arguments(parser) -> None:
    """The options that every job takes."""
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and "
                        "change nothing")
    parser.add_argument("--limit", type=positive, metavar="N", help="handle at most N items in "
                        "each step of this run")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="another value for this run, over every file: an option of the job, "
                        "or SECTION.OPTION")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON "
                        "document")
    parser.add_argument("--scheduled", action="store_true",
                        help="belong to the latest slot of the schedule; do nothing if it was "
                        "started before")
    parser.add_argument("--fail-if-locked", action="store_true", help="exit 75 when another run "
                        "holds the lock")
    parser.add_argument("--yes", action="store_true", help="go past a safety stop, once")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_const", const=1, dest="level",
                      help="say what was done")
    loud.add_argument("-q", "--quiet", action="store_const", const=-1, dest="level",
                      help="say nothing, not even why")


def run(job, args, make_session, config_path) -> int:
    """Run it once as the arguments say, show the outcome, return the exit code.

    What keeps every job from running is said once to cron, and not by each line of a crontab at
    each tick (outages.py).
    """
    session = make_session(config_path, args.level, args.set, job)
    by_cron = args.scheduled and args.level is None and not (args.json or args.dry_run)
    try:
        return _run(job, args, session, by_cron)
    except DatabaseError as error:
        if args.dry_run or (isinstance(error, Busy) and not by_cron):
            raise
        met = outages_of(session).failed(error)
        if met.say or not by_cron:
            raise
        return OK if met.early else FAILED
    except (NoAccess, OSError) as error:
        if not by_cron or isinstance(error, BrokenPipeError):
            raise
        error = folders.no_access(error)
        if outages_of(session).failed(error).say:
            raise error from None
        return FAILED


def _run(job, args, session, by_cron: bool) -> int:
    request = runner.Request("manual", None, args.limit, args.dry_run, args.yes)
    if args.scheduled and not args.dry_run:
        # what would be done does not depend on the slot
        slot = scheduled_slot(session, job)
        if slot is None:
            if args.json:
                _answer(session, runner.blank(job, request, session.ports.now(), status="skipped",
                                              stop_reason="nothing is due"))
            return OK
        if session.config.mode(job) != CRON and not _is_for_cron(session, job):
            return OK
        request = request._replace(trigger="scheduled", slot=slot)
    result = runner.run(job, session.config, session.ports, request, session.console)
    if by_cron and (busy := noted(session, result)) is not None:
        return busy
    if args.json:
        _answer(session, result, **({"samples": session.console.samples} if args.dry_run else {}))
    elif args.dry_run:
        session.console.answer(samples_words(result, session.console.samples))
    show(session.console, result, request, said=args.json or args.dry_run)
    failed = publish([result], session.config, session.ports, session.console)
    return runner.exit_code(result, args.fail_if_locked) or failed


def outages_of(session):
    """What says, alerts and ends what keeps every job from running (launch/outages.py)."""
    from .outages import Outages
    return Outages(session.config, session.ports, session.console, "jobs.py")


def _is_for_cron(session, job) -> bool:
    """Whether this process is to run it, since it could not be given to its workers."""
    from jobs_lib.workers import dispatch
    left, problems, _ = dispatch.hand_over(session.config, dispatch.parts(session.config, job))
    if problems:
        outages_of(session).workers(problems)
    elif standing.WORKERS in standing.names(session.config.section("core")):
        outages_of(session).handed_over({session.config.mode(job)})
    return bool(left)


def noted(session, result: dict) -> int | None:
    """Whether what keeps jobs from running goes on or is over, as far as this run has seen. The
    exit code of one that found the database busy; None for any other."""
    if runner.found_busy(result):
        return outages_of(session).busy(result)
    over = standing.names(session.config.section("core"))
    if runner.held_by_stranger(result):
        outages_of(session).locks([result])
        over = [name for name in over if name != standing.LOCKS]
    if result["status"] == "skipped":                           # it need not have written
        over = [name for name in over if name != standing.UNWRITABLE]
    if over:
        outages_of(session).back(over)
    return None


def _answer(session, result: dict, **more) -> None:
    session.console.document({**runner.as_json(result), **more})


def scheduled_slot(session, job):
    """The latest slot, or None where nothing is to be done: paused, switched off, or before the
    first install."""
    config, db, now = session.config, session.ports.database(), session.ports.now()
    version.check(db)
    name = shards.whole(job.name)
    state = db.row("SELECT paused_at, due_after FROM {job_state} WHERE job = :job", job=name)
    if not slots.counts(config, job._replace(name=name), db, now, state):
        return None
    slot, zone = slots.latest_slot(config, job, now), schedule.zone(config.section("core").timezone)
    return None if slots.is_early(config.job(job).schedule, slot, state["due_after"], now,
                                  zone) else slot


def publish(results: list[dict], config, ports, console) -> int:
    """Make the files of [status] anew after a run of check_jobs, which looks at all others. The
    exit code."""
    if not any(result["job"] == CHECK and result["status"] != "skipped" and not result["dry_run"]
               for result in results):
        return OK
    from jobs_lib.monitoring.publish import files

    problems = files(config, ports)
    for problem in problems:
        console.fail(problem)
    return FAILED if problems else OK


def show(console, result: dict, request, said: bool = False) -> None:
    """Words for a person who looks, one line on stderr for a failure, nothing for cron after a good
    run."""
    held = result["status"] == "skipped" and request.trigger == "manual" and not said
    if held or result["status"] in ("failed", "timeout"):
        console.fail(outcome_words(result))
    elif not said:
        console.say(outcome_words(result))
