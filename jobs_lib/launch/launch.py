"""What every way in to a run has in common: what one command line works with, the slot, the run,
what a person sees of it, and what keeps all jobs from running.

`by_hand`, `worker` and `run-due` only translate arguments and exit codes. A tick that finds nothing
due loads no runner: keep the imports few.
"""
from __future__ import annotations

from jobs_lib.config import loader
from jobs_lib.database.schema import version
from jobs_lib.errors import OK
from jobs_lib.folders import HOME
from jobs_lib.output.console import Console
from jobs_lib.runner import incident_files, slots
from jobs_lib.runner.resources import Ports, Session


def open_session(config_path: str | None, level: int | None = None, overrides=(),
                 job=None) -> Session:
    """Read the configuration, with `--set` over it; no connection is made yet."""
    console = Console(level)
    config = loader.load(config_path, beside=HOME)
    if overrides:
        config = config.with_overrides(overrides, job)
    return Session(config, Ports(config), console)


class Launch:
    """The runs of one process. `start` is what a line of its own on stderr begins with."""

    def __init__(self, session, start: str = "jobs.py") -> None:
        self.session, self.start = session, start
        self.results: list[dict] = []

    def outages(self):
        """What prints, alerts and ends the incidents that keep every job from running."""
        from .outages import Outages
        return Outages(self.session, self.start)

    def check_database(self) -> None:
        """Refuse a database that is out of reach or has another schema: DatabaseError. Incidents
        that are over are ended."""
        ports = self.session.ports
        db = ports.database()
        version.check(db)
        if lasting := incident_files.lasting_incidents(self.session.config.section("core")):
            if incident_files.UNWRITABLE in lasting:
                version.writable(db, ports.now())       # raises what it was
            self.outages().end_incidents(lasting)

    def prepare_slot(self, job):
        """The job's latest slot (`slots.prepare_slot`), or None where nothing is to be done: it is
        paused, disabled, or was not installed yet."""
        db = self.session.ports.database()
        state = db.row("SELECT paused_at, due_after FROM {job_state} WHERE job = :job",
                       job=job.name)
        return slots.prepare_slot(self.session.config, job, db, self.session.ports.now(), state)

    def run(self, job, request) -> dict:
        """Run the job once; the outcome, which `report` looks at later."""
        from jobs_lib.runner import runner
        self.results.append(runner.run(self.session, job, request))
        return self.results[-1]

    def is_database_busy(self, most: int) -> bool:
        """Whether so many runs, one after the other, found that another writer holds the database:
        the next ones would, too."""
        from jobs_lib.runner import outcome
        last = self.results[-most:]
        return len(last) == most and all(map(outcome.found_busy, last))

    def report(self) -> int:
        """Report what kept these runs from their work and keeps others from it, too. The exit code:
        not OK when the database was busy for all of them, and has been for long."""
        from jobs_lib.runner import outcome
        if self.results and all(map(outcome.found_busy, self.results)):
            return self.outages().record_busy(self.results[-1])
        if held := next(filter(outcome.held_by_unknown_connection, self.results), None):
            self.outages().record_lock_holder(held)
        return OK


def show(console, result: dict, request, quiet: bool = False) -> None:
    """Words for a person who looks, one line on stderr for a failure, nothing for cron after a good
    run. `quiet`: the outcome itself is printed as well."""
    from jobs_lib.runner.outcome import outcome_words
    held = result["status"] == "skipped" and request.trigger == "manual" and not quiet
    if held or result["status"] in ("failed", "timeout"):
        console.fail(outcome_words(result))
    elif not quiet:
        console.say(outcome_words(result))
        if result.get("held"):
            console.say("What the guard has held back, and why: `jobs.py status`")
