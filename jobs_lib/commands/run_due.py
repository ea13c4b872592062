"""Run everything that is due, most critical first: the one crontab line.

A job is due when the latest time of its schedule was not started yet, so nothing is missed when
cron runs late or rarely, and a job missed for days runs once. An unfinished run is continued; one
that failed is tried again after 15 minutes and after an hour.
"""
from __future__ import annotations

from jobs_lib import catalogue, folders
from jobs_lib.catalogue import CRON, LAST
from jobs_lib.config import settings
from jobs_lib.errors import (
    CONFIG,
    FAILED,
    OK,
    TERMINATED,
    ConfigError,
    DatabaseError,
    JobsError,
    LockHeld,
    NoAccess,
)
from jobs_lib.launch import launch
from jobs_lib.runner import locks, slots

NAME = "jobs.py run-due"
PING = 10_000  # bytes of the body


def arguments(parser) -> None:
    from jobs_lib.config.option_types import argparse_type, duration
    parser.add_argument("--budget", metavar="DURATION", type=argparse_type(duration),
                        help="how long all runs together may take (default: [core] budget)")
    parser.add_argument("--json", action="store_true", help="print the outcomes as one JSON "
                        "document")
    parser.add_argument("-v", "--verbose", action="store_const", const=1, dest="level",
                        help="print what was done")


def run(args, make_session, config_path) -> int:
    """With its options; cron's plain `run-due` is `tick`."""
    session = make_session(config_path, 0 if args.json else args.level)
    results, code = tick(session, args.budget, repeat=True)
    if args.json:
        from jobs_lib.runner.outcome import as_json
        session.console.document([as_json(result) for result in results])
    return code


def tick(session, budget=None, repeat: bool = False) -> tuple[list[dict], int]:
    """Run what is due: (outcomes, exit code). `budget`: a timedelta in place of the option.

    What keeps every job from running is raised at the first tick that meets it, and then once a
    day: cron mails what is printed. `repeat`: raise it each time, for a person who asks.
    """
    ticking = _Tick(session)
    try:
        return _tick(ticking, budget, repeat)
    except ConfigError as error:        # such as of [core]: no job can run
        ticking.failures = error.problems
        ticking.ping()
        raise


def _tick(ticking: _Tick, budget, repeat: bool) -> tuple:
    core = ticking.config.section("core")
    try:
        lock = locks.FileLock(folders.own(core.state_dir), "run-due")
        lock.acquire()
    except LockHeld:
        # the tick before this one still works; what it leaves is due next time
        ticking.console.say("another run-due is still running")
        return [], OK
    except locks.NoLocks as error:
        # an NFS home without them; the lock of each job is in the database
        if core.lock != "database":
            return ticking.outage(error, repeat)
    except (NoAccess, OSError) as error:
        return ticking.outage(folders.no_access(error), repeat)
    try:
        return ticking.run((budget or core.budget).total_seconds())
    except DatabaseError as error:
        return ticking.outage(error, repeat)
    finally:
        lock.release()


class _Tick:
    """What a tick does under its lock."""

    def __init__(self, session) -> None:
        self.session = session
        self.config, self.ports, self.console = session.config, session.ports, session.console
        self.results: list[dict] = []
        self.codes: list[int] = []      # of what went wrong, the first one is the tick's
        self.failures: list[str] = []   # what the ping reports

    def run(self, budget: float) -> tuple[list[dict], int]:
        jobs, self.problems = catalogue.usable()  # no other job is stopped
        found, problems = slots.due_slots(self.config, self.ports, jobs)
        launch.end_outages(self.session, NAME)
        self.problems += problems
        if not (found or self.problems):
            self.console.say("no job is due: `jobs.py list` shows when each is, "
                             "and what is paused")
        if mine := self._without_workers(found):
            self._run_all(mine, budget)
        if self.problems:
            self._outages().print_daily(self.problems)
            # check_jobs may have said it
            self.failures += [
                each for each in self.problems
                if not any(each in said for said in self.failures)]
        self.codes += [CONFIG] if problems else [FAILED] if self.failures else []
        code = next(filter(None, self.codes), OK)
        if code != TERMINATED:
            self.ping()
        return self.results, code

    def _outages(self):
        return launch.outages(self.session, NAME)

    def outage(self, error, repeat: bool) -> tuple[list[dict], int]:
        """No job can be run: raised when it is to be printed."""
        from jobs_lib.runner.log import Log
        is_to_print, code = self._outages().record(error)
        log = Log(self.config.section("core"), "run-due", now=self.ports.now, job="run-due",
                  run_id=None)
        log.error("no job can run", error=str(error))
        log.close()
        self.failures = [str(error)] if code else []
        self.ping()
        if is_to_print or repeat:
            raise error
        return self.results, code

    def ping(self) -> None:
        """Call a service such as healthchecks, which alerts the operator when nobody calls: `URL`,
        or `URL/fail` with what only the tick can report; a job that fails is reported by the last
        one. What becomes of the call changes nothing else."""
        option = settings.SECTIONS["alerts"]["ping_url"]
        url = self.config.written("alerts", "ping_url", option).text
        if not url:
            return
        from jobs_lib.ports.http import Request, refusal
        from jobs_lib.text.masking import text as masked

        base, mark, query = url.partition("?")
        request = Request("ping", f"{base.rstrip('/')}{'/fail' if self.failures else ''}{mark}"
                          f"{query}", [("Content-Type", "text/plain; charset=utf-8")],
                          masked("; ".join(self.failures)).encode("utf-8", "replace")[-PING:])
        try:
            problem = masked(refusal(self.ports.trusted_http().post(request)))
        except (JobsError, OSError) as error:  # a section that is wrong
            problem = str(error)
        if problem:
            self.console.say(f"{NAME}: [alerts] ping_url: {problem}")

    def _without_workers(self, found: list) -> list:
        """What is left for this process, once RQ or Celery have got theirs. The job that looks at
        all others is run here in any mode: it has to say when no worker is at work."""
        theirs = [due.job for due in found
                  if self.config.mode(due.job) != CRON and due.job.priority != LAST]
        if not theirs:
            return found
        left, problems = self._outages().hand_over_jobs(theirs)
        self.failures += problems
        return [due for due in found if due.job not in theirs or due.job in left]

    def _run_all(self, found: list, budget: float) -> None:
        from jobs_lib.launch.order import in_order, share

        end = self.ports.monotonic() + budget
        found = in_order(self.config, self.ports, found, budget)
        for place, due in enumerate(found, 1):
            seconds = share(due, found[place:], end - self.ports.monotonic(),
                            is_first=not self.results)
            if seconds is not None:
                self._run(due, seconds)
            if TERMINATED in self.codes:
                self.codes = [TERMINATED]
                return

    def _run(self, due, seconds: float) -> None:
        from jobs_lib.runner import outcome, runner
        is_last = due.job.priority == LAST  # it alerts to what the others meet
        request = runner.Request(due.trigger, due.slot, None, False, False, seconds)
        try:
            result = runner.run(self.session, due.job, request)
        except DatabaseError:
            raise  # for all jobs: an outage
        except NoAccess as error:
            self.failures.append(f"{due.job.name}: {error}")
            # one incident, whichever jobs meet it
            self._outages().report(error, self.failures[-1], alert=is_last)
        except ConfigError as error:
            self.codes.append(CONFIG)
            self.problems += [each for each in error.problems if each not in self.problems]
        except Exception as error:  # noqa: BLE001  a defect: it stops no other job
            self.failures.append(f"{due.job.name}: {outcome.defect(error, self.config)}")
            self.console.fail(self.failures[-1])
        else:
            self.results.append(result)
            launch.show(self.console, result, request)
            self.codes.append(outcome.exit_code(result))
            if is_last and result["status"] in ("failed", "timeout"):
                self.failures.append(result["error"] or result["status"])
            elif is_last and self._is_kept_out(due, result):
                self.failures.append(outcome.outcome_words(result))
                self._outages().print_daily(self.failures[-1:])

    def _is_kept_out(self, due, result: dict) -> bool:
        """Whether something has held the job's lock for very long: one that hangs, or a stranger
        to the database."""
        from jobs_lib.launch.order import VERY_LATE
        from jobs_lib.runner.outcome import HELD
        is_held = (result["stop_reason"] or "").startswith(HELD)
        return is_held and due.since and self.ports.now() - due.since > VERY_LATE
