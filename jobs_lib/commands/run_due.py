"""Run everything that is due, most critical first: the one crontab line.

A job is due when the latest slot of its schedule has no run yet, so nothing is missed when cron ticks
rarely or stalls, and a job missed for days runs once. A slot that ended unfinished is carried on, one that
failed is tried again after 15 minutes and after an hour.
"""
from __future__ import annotations

from .. import catalogue, due, folders, locks, settings
from ..errors import CONFIG, FAILED, TERMINATED, Busy, DatabaseError, LockHeld
from ..job import CRON, LAST
from ..schema import version

LEAST_SECONDS = 30.0         # to begin a job with, unless it usually takes less
FIRST_SHARE = 0.25           # of a small budget, for a job that nothing is known of
LAST_SECONDS = 20.0          # that a job of priority `last` may take when the others have used up the budget


def arguments(parser) -> None:
    """--budget, --json and -v."""
    parser.add_argument("--budget", metavar="DURATION", type=_duration,
                        help="how long all of it may work (default: [core] budget)")
    parser.add_argument("--json", action="store_true", help="print the outcomes as one JSON document")
    parser.add_argument("-v", "--verbose", action="store_const", const=1, dest="level", help="say what was done")


def run(args, make_session, config_path) -> int:
    """The command with its options; cron's plain `run-due` comes straight to `tick`."""
    session = make_session(config_path, 0 if args.json else args.level)
    budget = args.budget or session.config.section("core").budget
    results, code = tick(session.config, session.ports, budget.total_seconds(), session.console)
    if args.json:
        from ..runner import as_json
        session.console.document([as_json(result) for result in results])
    return code


def tick(config, ports, budget: float, console) -> tuple[list[dict], int]:
    """Run what is due. Returns (outcomes, exit code); with nothing due, nothing is loaded or written."""
    core = config.section("core")
    lock = locks.FileLock(folders.own(core.state_dir), "run-due")
    try:
        lock.acquire("run-due")
    except LockHeld:                     # the tick before this one still works; what it leaves is due next time
        console.say("another run-due is still at work")
        return [], 0
    except locks.NoLocks:                # an NFS home without them; the lock of each job is in the database
        if core.lock != "database":
            raise
    try:
        results, code, problems = _tick(config, ports, budget, console)
        _ping(config, ports, console, results, code, "; ".join(problems))
        return results, code
    except DatabaseError as error:
        if not isinstance(error, Busy):
            from ..recipes import alert_away
            alert_away.tell(config, ports, error)
        _ping(config, ports, console, [], FAILED, str(error))
        raise
    finally:
        lock.release()


def _tick(config, ports, budget: float, console) -> tuple[list[dict], int, list[str]]:
    """What `tick` does under its lock, and what kept a job from being started at all."""
    core, db = config.section("core"), ports.database()
    version.check(db)
    broken: list[str] = []                  # one job's spoilt file stops no other
    found, problems = due.find(config, catalogue.load_all(broken), db, ports.now(), due.dead(core, ports))
    for problem in broken + problems:
        console.fail(f"jobs.py run-due: {problem}")
    if not (found or problems or broken):
        console.say("nothing is due")
    found = _without_workers(found, config, console)
    results, code, refused = _run_all(found, config, ports, budget, console) if found else ([], 0, [])
    return results, code or (CONFIG if problems else FAILED if broken else 0), broken + problems + refused


def _ping(config, ports, console, results: list, code: int, error: str = "") -> None:
    """Tell the service outside that cron still starts us, and whether the last job could look at all others.

    A job that fails is told of by that last one; here it would be told twice. One that could not be started, such as
    for its schedule, may be that last one: `error`.
    """
    url = config.written("alerts", "ping_url", settings.SECTIONS["alerts"]["ping_url"]).text
    if not url or code == TERMINATED:
        return
    from .. import pings

    blind = [result["error"] or result["status"] for result in results
             if result["status"] in ("failed", "timeout") and catalogue.load(result["job"]).priority == LAST]
    error = "; ".join([error, *blind] if error else blind)
    said = pings.call(config, ports, url, pings.FAIL if error else pings.SUCCESS, body=error)
    if said:
        console.say(f"jobs.py run-due: [alerts] ping_url: {said}")


def _without_workers(found, config, console) -> list:
    """What is left for this process, once the workers of RQ or Celery have got what is due of theirs.

    The job that looks at all others is run here in any mode: it has to tell when no worker is at work.
    """
    theirs = [item for item in found if config.mode(item.job) != CRON and item.job.priority != LAST]
    if not theirs:
        return found
    from .. import shards, workers
    if workers.hand_over(config, [item.job for item in theirs], console):
        return [item for item in found if item not in theirs]
    # A run that is no worker's does the work of all shards.
    return [item for item in found if item.job.name == shards.whole(item.job.name)]


def _run_all(found, config, ports, budget: float, console) -> tuple[list[dict], int, list[str]]:
    from .. import history, runner
    from ..errors import JobsError
    from ..run_job import publish, show
    from ..stops import Signals

    end, code = ports.monotonic() + budget, 0
    results: list[dict] = []
    refused: list[str] = []
    with Signals() as signals:
        for item in found:
            if signals.heard:                       # between two jobs, or in one that was just done
                return results, TERMINATED, refused
            left = end - ports.monotonic()
            last = item.job.priority == LAST
            if results and not last and left < _least(history.usual_seconds(ports.database(), item.job.name), budget):
                continue
            request = runner.Request(item.trigger, item.slot, None, False, False,
                                     max(left, LAST_SECONDS if last else 1.0))
            try:
                result = runner.run(item.job, config, ports, request, console)
            except JobsError as error:              # a broken configuration of one job stops no other
                if isinstance(error, DatabaseError) and not isinstance(error, Busy):
                    raise                           # `tick` tells of it
                console.fail(f"{item.job.name}: {error}")
                refused.append(f"{item.job.name}: {error}")
                code = code or error.exit_code
                if isinstance(error, Busy):
                    break                           # for all the others, too
                continue
            results.append(result)
            show(console, result, request)
            code = code or runner.exit_code(result)
    unwritten = publish(results, config, ports, console)
    return results, code or unwritten, refused


def _least(usual: float | None, budget: float) -> float:
    """With less time left a job waits for the next tick."""
    return min(LEAST_SECONDS, budget * FIRST_SHARE if usual is None else usual)


def _duration(word: str):
    from argparse import ArgumentTypeError

    from ..options import duration
    try:
        return duration.parse(word)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
