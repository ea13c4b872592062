"""Run everything that is due, most critical first: the one crontab line.

A job is due when the latest slot of its schedule has no run yet, so nothing is missed when cron
ticks rarely or stalls, and a job missed for days runs once. A slot that ended unfinished is carried
on; one that failed is tried again after 15 minutes and after an hour.
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
    LockHeld,
    NoAccess,
    WrongUser,
)
from jobs_lib.launch.launch import Launch, show
from jobs_lib.runner import locks, slots
from jobs_lib.runner.incident_files import FILES

NAME = "jobs.py run-due"


def arguments(parser) -> None:
    """Declares --budget, --json and -v."""
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
    core = session.config.section("core")
    ticking = _Tick(session, (budget or core.budget).total_seconds())
    try:
        lock = locks.FileLock(folders.own(core.state_dir), "run-due")
        lock.acquire("run-due")
    except LockHeld:
        # the tick before this one still works; what it leaves is due next time
        session.console.say("another run-due is still at work")
        return [], OK
    except locks.NoLocks as error:
        # an NFS home without them; the lock of each job is in the database
        if core.lock != "database":
            return ticking.outage(error, repeat)
    except WrongUser:
        raise
    except (NoAccess, OSError) as error:
        return ticking.outage(error, repeat)
    try:
        return ticking.run()
    except DatabaseError as error:
        return ticking.outage(error, repeat)
    finally:
        lock.release()


class _Tick:
    """What a tick does under its lock."""

    def __init__(self, session, budget: float) -> None:
        self.session, self.budget = session, budget
        self.config, self.ports, self.console = session.config, session.ports, session.console
        self.launch = Launch(session, NAME)
        self.codes: list[int] = []      # of what went wrong, the first one is the tick's
        self.failures: list[str] = []   # what the ping reports
        self.problems: list[str] = []   # of the configuration of single jobs

    def run(self) -> tuple[list[dict], int]:
        """Run what is due; returns (outcomes, exit code)."""
        self.launch.check_database()
        broken: list[str] = []  # a job's broken file stops no other
        jobs = catalogue.load_all(broken)
        found, problems = slots.due_slots(self.config, self.ports, jobs, self.budget)
        self.problems = broken + problems
        if not (found or self.problems):
            self.console.say("nothing is due")
        if mine := self._without_workers(found):
            self._run_all(mine)
        if self.problems:
            self.launch.outages().report_problems(self.problems)
            self.failures += self.problems
        self.codes += [CONFIG] if problems else [FAILED] if self.failures else []
        code = next(filter(None, self.codes), OK)
        if code != TERMINATED:
            self._ping()
        return self.launch.results, code

    def outage(self, error, repeat: bool) -> tuple[list[dict], int]:
        """No job can be run: raised when it is to be printed."""
        from jobs_lib.runner.log import Log
        error = folders.no_access(error)
        recorded = self.launch.outages().record_error(error)
        log = Log(self.config.section("core"), "run-due", now=self.ports.now, job="run-due",
                  run_id=None)
        log.error("no job can run", error=str(error))
        log.close()
        self.failures = [str(error)] if recorded.code else []
        self._ping()
        if recorded.print_now or repeat or self.console.level > 0:
            raise error
        return self.launch.results, recorded.code

    def _ping(self) -> None:
        """Tell the service outside that cron still starts us, and what only the tick can report:
        a job that fails is reported by the last one."""
        option = settings.SECTIONS["alerts"]["ping_url"]
        url = self.config.written("alerts", "ping_url", option).text
        if not url:
            return
        from jobs_lib.runner.resources import ping

        if problem := ping(self.ports, url, self.failures):
            self.console.say(f"{NAME}: [alerts] ping_url: {problem}")

    def _without_workers(self, found: list) -> list:
        """What is left for this process, once RQ or Celery have got theirs. The job that looks at
        all others is run here in any mode: it has to say when no worker is at work."""
        theirs = [due.job for due in found
                  if self.config.mode(due.job) != CRON and due.job.priority != LAST]
        if not theirs:
            return found
        left, problems = self.launch.outages().hand_over_jobs(theirs)
        self.failures += problems
        return [due for due in found if due.job not in theirs or due.job in left]

    def _run_all(self, found: list) -> None:
        from jobs_lib.runner import outcome
        from jobs_lib.runner.limits import Signals

        end, results = self.ports.monotonic() + self.budget, self.launch.results
        with Signals() as signals:
            for place, due in enumerate(found, 1):
                if signals.heard:  # between two jobs, or in one that was just done
                    self.codes = [TERMINATED]
                    return
                seconds = slots.share(due, found[place:], end - self.ports.monotonic(),
                                      is_first=not results)
                if seconds is not None:
                    self._run(due, seconds)
                if results and outcome.was_skipped(
                        results[-1], outcome.BUSY_BEFORE):
                    break  # the next ones would find the same
        self.launch.report()

    def _run(self, due, seconds: float) -> None:
        from jobs_lib.runner import outcome, runner
        is_last = due.job.priority == LAST  # it alerts to what the others meet
        request = runner.Request(due.trigger, due.slot, None, False, False, seconds)
        try:
            result = self.launch.run(due.job, request)
        except DatabaseError:
            raise  # for all jobs: an outage
        except (NoAccess, OSError) as error:
            self.failures.append(f"{due.job.name}: {folders.no_access(error)}")
            # one incident, whichever jobs meet it
            self.launch.outages().report(FILES, self.failures[-1:], alert=is_last)
        except ConfigError as error:
            self.codes.append(CONFIG)
            self.problems += [each for each in error.problems if each not in self.problems]
        except Exception as error:  # noqa: BLE001  a defect: it stops no other job
            self.failures.append(f"{due.job.name}: {outcome.defect(error, self.config)}")
            self.console.fail(self.failures[-1])
        else:
            show(self.console, result, request)
            self.codes.append(outcome.exit_code(result))
            if is_last and result["status"] in ("failed", "timeout"):
                self.failures.append(result["error"] or result["status"])
