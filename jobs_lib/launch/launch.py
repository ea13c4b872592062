"""What every way in to a run has in common, and one of them: `jobs.py JOB`, by hand or by a line of
a crontab. A tick that finds nothing due loads no runner: keep the imports few.
"""
from __future__ import annotations

import os
import sys

from jobs_lib import folders
from jobs_lib.catalogue import CRON
from jobs_lib.config import load
from jobs_lib.database.schema import version
from jobs_lib.errors import OK, Busy, DatabaseError, NoAccess, WrongUser
from jobs_lib.folders import HOME
from jobs_lib.runner import incident_files, slots
from jobs_lib.runner.resources import Ports, Session

# What argparse makes of no options: to load it costs half as much as starting Python.
DEFAULTS: dict = {"dry_run": False, "limit": None, "set": [], "json": False, "scheduled": False,
                  "fail_if_locked": False, "yes": False, "level": None}

FLAGS = {
    "--dry-run": "show what would be done, and change nothing",
    "--json": "print the outcome as one JSON document",
    "--scheduled": "run for the latest slot of the schedule, if it was not started yet",
    "--fail-if-locked": "exit 75 when another run holds the lock",
    "--yes": "do what the guard holds back, this once",
}


def open_session(console, config_path: str | None, overrides=(), job=None) -> Session:
    """Read the configuration, with `--set` over it; no connection is made yet."""
    config = load(config_path, beside=HOME)
    if overrides:
        config = config.with_overrides(overrides, job)
    return Session(config, Ports(config), console)


def answer_app(config_path: str | None, answer):
    """`answer(configuration, read-only database)`, for an app that imports `jobs_lib`. It finds the
    packages that came with it, after its own: jobs.py does so itself."""
    own = ".venv/lib/python{}.{}/site-packages".format(*sys.version_info)
    sys.path += [path for path in (os.path.join(HOME, "vendor"), os.path.join(HOME, own))
                 if path not in sys.path and os.path.isdir(path)]
    config = load(config_path, beside=HOME)
    db = Ports(config).connect(readonly=True)
    try:
        return answer(config, db)
    finally:
        db.close()


class Launch:
    """The runs of one process. `start`: of its lines on stderr."""

    def __init__(self, session, start: str = "jobs.py") -> None:
        self.session, self.start = session, start
        self.results: list[dict] = []

    def outages(self):
        """The incidents that keep jobs from running."""
        from .outages import Outages
        return Outages(self.session, self.start)

    def check_database(self) -> None:
        """DatabaseError if it cannot be used. Incidents may be over."""
        ports = self.session.ports
        db = ports.database()
        version.check(db)
        if lasting := incident_files.lasting_incidents(self.session.config.section("core")):
            if incident_files.DATABASE in lasting:
                version.writable(db, ports.now())  # raises what it was
            self.outages().end_incidents(lasting)

    def prepare_slot(self, job):
        """As `slots.prepare_slot`, for this job alone."""
        db = self.session.ports.database()
        state = db.row("SELECT paused_at, due_after FROM {job_state} WHERE job = :job",
                       job=job.name)
        return slots.prepare_slot(self.session.config, job, db, self.session.ports.now(), state)

    def run(self, job, request) -> dict:
        """Run the job once; the outcome, which `report` looks at later."""
        from jobs_lib.runner import runner
        result = runner.run(self.session, job, request)
        self.results.append(result)
        if error := result.pop("log_error", ""):
            self.outages().report(incident_files.LOG, [error])
        return result

    def report(self) -> None:
        """Report what keeps others from their work, too. Busy where another writer held the
        database for all runs."""
        from jobs_lib.runner import outcome
        found_busy = [outcome.was_skipped(result, outcome.BUSY_BEFORE) for result in self.results]
        if found_busy and all(found_busy):
            raise Busy(self.results[-1]["stop_reason"][len(outcome.BUSY_BEFORE):])
        for result in self.results:
            if outcome.was_skipped(result, outcome.UNKNOWN_HOLDER):
                self.outages().report_lock_holder(result)


def show(console, result: dict, request, quiet: bool = False) -> None:
    """Words for a person who looks, a line on stderr for a failure, nothing for cron after a good
    run. `quiet`: the outcome itself is printed."""
    from jobs_lib.runner.outcome import outcome_words
    held = result["status"] == "skipped" and request.trigger == "manual" and not quiet
    if held or result["status"] in ("failed", "timeout"):
        console.fail(outcome_words(result))
    elif not quiet:
        console.say(outcome_words(result))
        if result.get("held"):
            console.say("What the guard has held back, and why: `jobs.py status`")


# jobs.py JOB

def arguments(parser) -> None:
    """The options that every job takes."""
    from jobs_lib.config.option_types import positive
    for name, meaning in FLAGS.items():
        parser.add_argument(name, action="store_true", help=meaning)
    parser.add_argument("--limit", type=positive, metavar="N",
                        help="handle at most N items in each step")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="use another value in this run: of an option of the job, "
                        "or of SECTION.OPTION")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_const", const=1, dest="level",
                      help="print what was done")
    loud.add_argument("-q", "--quiet", action="store_const", const=-1, dest="level",
                      help="print nothing, not even errors")


def run_job(job, args, make_session, config_path) -> int:
    """Run it once as the arguments say, show the outcome, return the exit code. For cron an outage
    is printed once, and not by each line of a crontab at each tick (outages.py)."""
    launch = Launch(make_session(config_path, args.level, args.set, job))
    by_cron = args.scheduled and args.level is None and not (args.json or args.dry_run)
    try:
        return _run_job(job, args, launch, by_cron)
    except (BrokenPipeError, WrongUser):
        raise
    except (DatabaseError, NoAccess, OSError) as found:
        error = folders.no_access(found)
        if by_cron:
            recorded = launch.outages().record_error(error)
            if not recorded.print_now:
                return recorded.code
        raise error from None


def _run_job(job, args, launch: Launch, by_cron: bool) -> int:
    from jobs_lib.runner import outcome, runner
    session, console = launch.session, launch.session.console
    request = runner.Request("manual", None, args.limit, args.dry_run, args.yes)
    if args.scheduled and not args.dry_run:
        # what would be done does not depend on the slot
        launch.check_database()
        slot = launch.prepare_slot(job)
        if slot is None:
            if args.json:
                console.document(outcome.as_json(outcome.blank(
                    job, request, session.ports.now(), status="skipped",
                    stop_reason="nothing is due")))
            return OK
        if session.config.mode(job) != CRON and not launch.outages().hand_over_jobs([job])[0]:
            return OK  # its workers have got it
        request = request._replace(trigger="scheduled", slot=slot)
    result = launch.run(job, request)
    if args.json:
        samples = {"samples": console.samples} if args.dry_run else {}
        console.document({**outcome.as_json(result), **samples})
    elif args.dry_run:
        console.show_dry_run(result)
    show(console, result, request, quiet=args.json or args.dry_run)
    if by_cron:
        launch.report()
    return outcome.exit_code(result, args.fail_if_locked)
