"""One run of one job: lock, sweep, row, call, outcome, log line. The same for cron, by hand and for
a worker."""
from __future__ import annotations

import os
import time
from datetime import timedelta

from jobs_lib import clock, errors, folders
from jobs_lib.database.schema import version
from jobs_lib.records import namedtuple

from . import dead_runs, doubt, history, incident_files, locks, slots
from .call import call, out_of_memory
from .context import Context
from .limits import RunLimits
from .log import NoLog, open_log
from .outcome import BUSY_BEFORE, HELD, UNKNOWN_HOLDER, as_json, blank

TYPE_CHECKING = False
if TYPE_CHECKING:                # `typing` is not loaded otherwise
    from typing import Any

Request = namedtuple("Request", "trigger slot limit dry_run confirmed budget",
                     defaults=("manual", None, None, False, False, None))
Request.__doc__ = """How a run was asked for.

trigger    manual, scheduled, continue or worker
slot       the scheduled UTC time, or None
limit      at most so many items, or None
dry_run    change nothing
confirmed  `--yes`: do what the guard has held back, up to the number that it reported
budget     seconds that `run-due` has left, or None
"""
# seconds that a lease, or the lock's connection, outlives the hard limit
LOCK_MARGIN = 60.0
STORE_SECONDS = 2.0          # for the outcome, past the hard limit
STARTING_SECONDS = 0.3       # between a lock and the row of its run
SKIP_SECONDS = 0.5           # to wait for another writer, only to record that nothing was done
DONE_BEFORE = "this slot was started before"
WORKER = "worker"


def run(session, job, request: Request) -> dict:
    """Run the job and return its outcome, a dict as in docs/logs.md.

    Raises ConfigError before anything is touched, and DatabaseError when the database is out of
    reach or has another schema. All that goes wrong inside the job ends as an outcome.
    """
    session.config.check([job], ("core", *job.sections))
    attempt = _Attempt(session, job, request)
    with attempt.limits:
        attempt.run()
    return attempt.result


class _Attempt:
    """The steps of one run and what they share."""

    def __init__(self, session, job, request: Request) -> None:
        config, ports, console = session.config, session.ports, session.console
        self.job, self.config, self.ports, self.request = job, config, ports, request
        core = config.section("core")
        self.console, self.core, self.result = console, core, blank(job, request, ports.now())
        budget = config.job(job).budget.total_seconds()
        if request.budget is not None:
            budget = min(budget, request.budget)
        self.longest = budget + core.grace.total_seconds()
        self.limits = RunLimits(monotonic=ports.monotonic, budget=budget,
                                grace=core.grace.total_seconds())
        self.lock: Any = None
        self.db: Any = None
        self.begun = False              # the run may have a row of its own
        self.end = time.monotonic() + self.longest
        self.installation = ""
        self.known = doubt.Known(None, {})
        # as far as is known, the app's tables have all that jobs need
        self.complete = True
        log_incident = incident_files.IncidentFile(core, incident_files.LOG)
        self.log = NoLog() if request.dry_run else open_log(
            core, job.name, now=ports.now, incident=log_incident,
            job=job.name, run_id=self.result["run_id"])

    def run(self) -> None:
        """Work until it ends, then store how. No alarm and no impatient signal comes after the
        work."""
        try:
            ended = self.limits.run(self._dry if self.request.dry_run else self._real)
            if isinstance(ended, (errors.Stopped, KeyboardInterrupt)):
                self._ended_by_force(str(ended) or "SIGINT")
            elif isinstance(ended, MemoryError) and self.begun:
                self.result.update(status="failed", error=out_of_memory(ended, self.db))
            elif ended is not None:
                raise ended
            self._settle()
        finally:
            self._give_back()

    def _dry(self) -> None:
        """Call the job against a database that refuses to write; no lock, no row, no log, no
        outside world."""
        self._database(readonly=True)
        self.known = doubt.look(self.db, self.config, self.job, self.result, store=False)
        self._call()

    def _real(self) -> None:
        """Take the lock, then do the work; a held lock is recorded and is no failure."""
        self.installation = folders.installation(folders.own(self.core.state_dir))
        self.lock = locks.lock_for(self.job.name, self.core, self.ports.connect,
                                   self.longest + LOCK_MARGIN)
        started = clock.text(self.result["started_at"])
        try:
            self.lock.acquire(f"process {os.getpid()} on {history.host()} since {started} UTC")
            self.limits.lock = self.lock
            self._database()
            if self._begin():
                self._call()
        except errors.LockHeld as held:
            self._skip(str(held))
        except errors.JobsError as error:
            self.log.error("run not started", error=str(error))
            raise

    def _left(self) -> float:
        """Seconds to the hard limit."""
        # real ones, as those of the alarm: servers and locks take no others
        return self.end - time.monotonic()

    def _settle(self) -> None:
        """Store and log an outcome that is known by now."""
        self._close()
        if self.begun:
            self._finish()
        elif self.result["status"] == "timeout" and not self.request.dry_run:
            self.log.error("run ended", **as_json(self.result))

    def _give_back(self) -> None:
        if self.db is not None:
            self.db.left = None
            if self.request.dry_run:
                self.db.close()
        if self.lock is not None:
            self.lock.release()
        self.log.close()

    def _skip(self, holder: str) -> None:
        """Record that the lock is held, and by whom."""
        from contextlib import closing
        try:
            with closing(self.ports.connect(timeout=SKIP_SECONDS)) as db:
                db.left = self._left
                version.check(db)
                if not holder.startswith("process"):
                    holder = self._holder(db, holder)
                self._not_started(HELD + holder)
                history.skipped(db, self.result, installation=self.installation,
                                trigger=self.request.trigger)
        except errors.Busy:
            # the holder itself writes, perhaps: the log line has to do
            if self.result["status"] == "running":
                self._not_started(HELD + holder)

    def _holder(self, db, holder: str) -> str:
        """Who holds the lock in the database: a run of ours, by its row, or else a connection that
        is none of ours."""
        for wait in (STARTING_SECONDS, 0):
            row = history.holder(db, self.job.name, self.ports.now())
            if row and row["status"] == "running":
                return f"process {row['pid']} on {row['host']} since {row['started_at']} UTC"
            if row or not holder.startswith(locks.CONNECTION):
                return holder
            if wait:
                self.ports.sleep(wait)          # it may be about to write its row
        return holder + UNKNOWN_HOLDER

    def _not_started(self, why: str) -> None:
        self.result.update(status="skipped", stop_reason=why)
        self._close()
        self.log.event("run skipped", reason=why)

    def _database(self, readonly: bool = False) -> None:
        self.db = self.limits.database = self.ports.database(readonly)
        self.db.left = self._left
        self.complete = version.check(self.db)

    def _begin(self) -> bool:
        """Sweep, then write the run's row. False where this run is not to be: `result` says why."""
        result, grace = self.result, self.core.grace.total_seconds()
        if self.limits.heard:
            result.update(status="interrupted", stop_reason=self.limits.heard)
            return False
        self.db.left = lambda: self._left() - grace     # to find it busy is no reason to be killed
        try:
            self._sweep()
            trigger = self._trigger()
            self.begun = True           # before it is true, as a signal may come in between
            self.begun = trigger is not None and self._insert_row(trigger)
            if self.begun:
                self.known = doubt.look(self.db, self.config, self.job, result, store=True)
        except errors.Busy as error:
            self.begun = False
            self._not_started(f"{BUSY_BEFORE}{error}")
            return False
        finally:
            self.db.left = self._left
        if self.begun:
            slot = result["slot"] and clock.text(result["slot"])
            self.log.event("run started", trigger=trigger, slot=slot)
        else:
            result.update(status="skipped", stop_reason=DONE_BEFORE)
        return self.begun

    def _sweep(self) -> None:
        """Put right what earlier runs have left."""
        db, now = self.db, self.result["started_at"]
        for dead in dead_runs.sweep(db, self.job.name, self.core, now, self.lock.name):
            self.log.error("run vanished", dead_run=dead["run_id"], started_at=dead["started_at"],
                           progress=dead["progress"])
        self._sweep_drafts()

    def _insert_row(self, trigger: str) -> bool:
        until = self.result["started_at"] + timedelta(seconds=self.longest + LOCK_MARGIN)
        return history.begin(self.db, self.result, installation=self.installation,
                             lock_name=self.lock.name, trigger=trigger, lease_until=until)

    def _sweep_drafts(self) -> None:
        """What killed runs have left half-written in our own folder."""
        state = self.core.state_dir
        for name in folders.sweep_drafts(state, self.result["started_at"].timestamp()):
            self.log.event("draft removed", file=os.path.join(state, name))

    def _trigger(self) -> str | None:
        """Whether this run starts its slot or carries it on; None: the slot is done. Asked under
        the lock, so that it stays true."""
        request = self.request
        if request.slot is None:
            return request.trigger
        found = slots.state_of(self.job, request.slot, self.db, self.result["started_at"])
        if found is None:
            return None
        if found.trigger == "continue":
            self.result["slot"] = None
            return "continue"
        return request.trigger if request.trigger != "continue" else "scheduled"

    def _call(self) -> None:
        ctx = Context(job=self.job, config=self.config, ports=self.ports, db=self.db,
                      run=self.result, limits=self.limits, log=self.log, request=self.request,
                      console=self.console, installation=self.installation,
                      known=self.known)
        call(self.job, ctx, self.limits, self.result, self.complete)

    def _ended_by_force(self, why: str) -> None:
        """The hard limit, or a second Ctrl-C: what was open is rolled back with its connection."""
        if self.limits.database is not None:
            self.limits.database.invalidate()
        if self.result["status"] != "running":          # it struck when all was done
            return
        self.result.update(stop_reason=why)
        if why == self.limits.HARD:
            self.result.update(status="timeout", error="ended at the hard limit, "
                               f"{self.longest:.0f} seconds after its start")
        else:
            self.result.update(status="interrupted")

    def _finish(self) -> None:
        """Store the outcome, in the row and in the log."""
        result = self.result
        self.end = max(self.end, time.monotonic() + STORE_SECONDS)
        try:
            history.finish(self.db, result, self.ports.sleep, self._left)
        except errors.DatabaseError as error:
            if result["status"] != "timeout":
                result.update(status="failed", error=f"the outcome could not be stored: {error}")
        self.log.event("run ended", "info" if result["status"] in ("ok", "partial") else "error",
                       **as_json(result))

    def _close(self) -> None:
        elapsed = self.ports.monotonic() - self.limits.started
        self.result["finished_at"] = self.result["started_at"] + timedelta(seconds=int(elapsed))
        self.result["duration_ms"] = int(elapsed * 1000)
