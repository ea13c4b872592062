"""Run everything that is due, most critical first: the one crontab line.

A job is due when the latest slot of its schedule has no run yet, so nothing is missed when cron
ticks rarely or stalls, and a job missed for days runs once. A slot that ended unfinished is carried
on, one that failed is tried again after 15 minutes and after an hour.
"""
from __future__ import annotations

from jobs_lib import catalogue, folders
from jobs_lib.config import settings
from jobs_lib.database.schema import version
from jobs_lib.errors import (
    CONFIG,
    FAILED,
    OK,
    TERMINATED,
    Busy,
    DatabaseError,
    JobsError,
    LockHeld,
    NoAccess,
)
from jobs_lib.job import CRON, LAST
from jobs_lib.runner import locks, slots, standing

NAME = "jobs.py run-due"
# that found the database busy, one after the other, before the tick gives up
BUSY_JOBS = 2
# that a job of priority `last` may take when the others have used up the budget
LAST_SECONDS = 20.0


def arguments(parser) -> None:
    """--budget, --json and -v."""
    parser.add_argument("--budget", metavar="DURATION", type=_duration,
                        help="how long all of it may work (default: [core] budget)")
    parser.add_argument("--json", action="store_true", help="print the outcomes as one JSON "
                        "document")
    parser.add_argument("-v", "--verbose", action="store_const", const=1, dest="level",
                        help="say what was done")


def run(args, make_session, config_path) -> int:
    """The command with its options; cron's plain `run-due` comes straight to `tick`."""
    session = make_session(config_path, 0 if args.json else args.level)
    budget = args.budget or session.config.section("core").budget
    results, code = tick(session.config, session.ports, budget.total_seconds(), session.console,
                         repeat=True)
    if args.json:
        from jobs_lib.runner.runner import as_json
        session.console.document([as_json(result) for result in results])
    return code


def tick(config, ports, budget: float, console, repeat: bool = False) -> tuple[list[dict], int]:
    """Run what is due. Returns (outcomes, exit code); with nothing due, nothing is loaded or
    written.

    What keeps every job from running is raised at the first tick that meets it, and then again once
    a day: cron mails what is printed. `repeat`: raise it each time, for a person who asks.
    """
    core = config.section("core")
    try:
        lock = locks.FileLock(folders.own(core.state_dir), "run-due")
        lock.acquire("run-due")
    except LockHeld:
        # the tick before this one still works; what it leaves is due next time
        console.say("another run-due is still at work")
        return [], 0
    except locks.NoLocks:
        # an NFS home without them; the lock of each job is in the database
        if core.lock != "database":
            raise
    except (NoAccess, OSError) as error:
        return _barred(error, False, config, ports, console, repeat)
    ticking = _Tick(config, ports, budget, console)
    try:
        results, code, failures = ticking.all()
        _ping(config, ports, console, results, code, failures)
        return results, code
    except DatabaseError as error:
        return _barred(error, ticking.reads, config, ports, console, repeat)
    finally:
        lock.release()


def _barred(error, reads: bool, config, ports, console, repeat: bool) -> tuple[list[dict], int]:
    """No job can be run. It is raised where it is to be printed; in between the log and the service
    outside know."""
    from jobs_lib.launch.outages import Outages, said
    if isinstance(error, OSError):
        error = folders.no_access(error)
    met = Outages(config, ports, console, NAME).failed(error, reads)
    _log(config, ports, error)
    _ping(config, ports, console, [], FAILED, "" if met.early else str(error))
    if met.say or repeat or console.level > 0:
        raise type(error)(said(error)) if isinstance(error, Busy) and not met.early else error
    return [], OK if met.early else FAILED


def _log(config, ports, error) -> None:
    from jobs_lib.runner.log import Log
    core = config.section("core")
    log = Log(core.log_dir, "run-due", size=core.log_size, files=core.log_files, now=ports.now,
              silent=True, job="run-due", run_id=None)
    log.error("no job can run", error=str(error))
    log.close()


class _Tick:
    """What a tick does under its lock."""

    def __init__(self, config, ports, budget: float, console) -> None:
        self.config, self.ports, self.budget, self.console = config, ports, budget, console
        self.reads = False                      # the database has answered, with the right schema
        self.lasting = standing.names(config.section("core"))

    def all(self) -> tuple[list[dict], int, str]:
        """(outcomes, exit code, what the service outside is told of as a failure)."""
        config, ports, console = self.config, self.ports, self.console
        core, db = config.section("core"), ports.database()
        version.check(db)
        self.reads = True
        broken: list[str] = []                  # one job's spoilt file stops no other
        jobs = catalogue.load_all(broken)
        if self.lasting:
            self._back(db)
        found, problems = slots.find(config, jobs, db, ports.now(), slots.dead(core, ports),
                                     self.budget)
        for problem in broken + problems:
            console.fail(f"{NAME}: {problem}")
        if not (found or problems or broken):
            console.say("nothing is due")
        found, lost = _without_workers(found, config, ports, console)
        results, code, refused = _run_all(found, config, ports, self.budget,
                                          console) if found else ([], 0, [])
        self._locks(results)
        code = code or (CONFIG if problems else FAILED if broken or lost else 0)
        return results, code, "; ".join(broken + problems + lost + refused)

    def _locks(self, results: list[dict]) -> None:
        """Whether a stranger has the lock of a job; or had, and has none any more."""
        if results or standing.LOCKS in self.lasting:
            from jobs_lib.launch.outages import Outages
            outages = Outages(self.config, self.ports, self.console, NAME)
            if not outages.locks(results) and standing.LOCKS in self.lasting:
                outages.back([standing.LOCKS])

    def _back(self, db) -> None:
        """Which of what lasted is over, now that the lock is taken and the database answers."""
        from jobs_lib.launch.outages import Outages
        outages = Outages(self.config, self.ports, self.console, NAME)
        outages.back({standing.DATABASE} & {*self.lasting})
        if standing.UNWRITABLE in self.lasting:
            version.writable(db, self.ports.now())     # raises what it was
            outages.back([standing.UNWRITABLE])
        outages.back(name for name in self.lasting if name in (standing.FILES, standing.WORKERS,
                                                               standing.LOG))


def _ping(config, ports, console, results: list, code: int, error: str = "") -> None:
    """Tell the service outside that cron still starts us, and whether the last job could look at
    all others.

    A job that fails is told of by that last one; here it would be told twice. One that could not be
    started, such as for its schedule, may be that last one: `error`.
    """
    url = config.written("alerts", "ping_url", settings.SECTIONS["alerts"]["ping_url"]).text
    if not url or code == TERMINATED:
        return
    from jobs_lib.runner import pings

    blind = [result["error"] or result["status"] for result in results
             if result["status"] in ("failed", "timeout") and catalogue.load(result["job"]).priority
             == LAST]
    error = "; ".join([error, *blind] if error else blind)
    said = pings.call(config, ports, url, pings.FAIL if error else pings.SUCCESS, body=error)
    if said:
        console.say(f"jobs.py run-due: [alerts] ping_url: {said}")


def _without_workers(found, config, ports, console) -> tuple[list, list[str]]:
    """(what is left for this process, once the workers of RQ or Celery have got what is due of
    theirs; the packages that are missing, a sentence each).

    The job that looks at all others is run here in any mode: it has to tell when no worker is at
    work.
    """
    theirs = [item for item in found if config.mode(item.job) != CRON and item.job.priority != LAST]
    if not theirs:
        return found, []
    from jobs_lib import shards
    from jobs_lib.launch.outages import Outages
    from jobs_lib.workers import dispatch
    outages = Outages(config, ports, console, NAME)
    left, problems, package = dispatch.hand_over(config, [item.job for item in theirs])
    if problems:
        outages.workers(problems)
    elif standing.WORKERS in standing.names(config.section("core")):
        outages.handed_over({config.mode(item.job) for item in theirs})
    # A run that is no worker's does the work of all shards.
    mine = [item for item in found if item not in theirs or (
        item.job in left and item.job.name == shards.whole(item.job.name))]
    return mine, problems if package else []


def _run_all(found, config, ports, budget: float, console) -> tuple[list[dict], int, list[str]]:
    from jobs_lib.launch.by_hand import publish, show
    from jobs_lib.runner import runner
    from jobs_lib.runner.limits import Signals
    from jobs_lib.runner.shares import Shares

    end, code = ports.monotonic() + budget, 0
    results: list[dict] = []
    busy: list[dict] = []
    refused = _Refused(config, ports, console)
    shares = Shares(ports.database(), budget, config.section("core").grace.total_seconds(), found)
    with Signals() as signals:
        for item in found:
            if signals.heard:                       # between two jobs, or in one that was just done
                shares.keep()
                return results, TERMINATED, refused.words
            left = end - ports.monotonic()
            last = item.job.priority == LAST
            if results and not last and not shares.is_enough(item, left):
                continue
            seconds = max(left, LAST_SECONDS) if last else max(shares.begin(item, left), 1.0)
            request = runner.Request(item.trigger, item.slot, None, False, False, seconds)
            try:
                result = runner.run(item.job, config, ports, request, console)
            except DatabaseError:
                raise                               # `tick` tells of it
            except Exception as error:              # noqa: BLE001  what keeps one job from starting stops no other
                exit_code = refused.add(item.job, error)
                code = code or exit_code
                continue
            results.append(result)
            busy = [*busy, result] if runner.found_busy(result) else []
            show(console, result, request)
            code = code or runner.exit_code(result)
            if len(busy) == BUSY_JOBS:
                # another writer holds the database, for all others too
                break
        else:
            shares.keep()
    if busy and all(map(runner.found_busy, results)):
        from jobs_lib.launch.outages import Outages
        barred = Outages(config, ports, console, NAME).busy(busy[-1])
        if barred:
            refused.words.append(busy[-1]["stop_reason"])
        code = code or barred
    refused.files()
    unwritten = publish(results, config, ports, console)
    return results, code or unwritten, refused.words


class _Refused:
    """Jobs that could not be started, and why."""

    def __init__(self, config, ports, console) -> None:
        self._config, self._ports, self._console = config, ports, console
        self._files: list = []                      # (job, error)
        self.words: list[str] = []

    def add(self, job, error: Exception) -> int:
        """Say why, unless it is told with its like. The exit code."""
        if isinstance(error, (NoAccess, OSError)):
            error = folders.no_access(error)
            self._files.append((job, error))
            self.words.append(f"{job.name}: {error}")
            return FAILED
        words = str(error)
        if not isinstance(error, JobsError):        # a defect: its place, too
            from jobs_lib import defects
            from jobs_lib.config.secrets import secrets
            words = defects.sentence(error, secrets(self._config))
        self.words.append(f"{job.name}: {words}")
        self._console.fail(self.words[-1])
        return getattr(error, "exit_code", FAILED)

    def files(self) -> None:
        """Files that cannot be used are one incident, whichever jobs meet it: said once, and
        alerted from here where the job that alerts is among them."""
        if not self._files:
            return
        from jobs_lib.launch.outages import Outages
        alone = any(job.priority == LAST for job, _ in self._files)
        outages = Outages(self._config, self._ports, self._console, NAME)
        if outages.failed(self._files[0][1], alert=alone).say:
            for words in dict.fromkeys(self.words):
                self._console.fail(words)


def _duration(word: str):
    from argparse import ArgumentTypeError

    from jobs_lib.config.option_types import duration
    try:
        return duration.parse(word)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
