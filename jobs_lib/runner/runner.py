"""One run of one job: lock, sweep, row, call, outcome. The same for cron, by hand and for a worker.
"""
from __future__ import annotations

import time
from datetime import timedelta

from jobs_lib import clock, errors, folders
from jobs_lib.database.schema import version
from jobs_lib.records import namedtuple

from . import doubt, history, locks, outcome, slots
from .context import Context
from .limits import HARD, RunLimits
from .log import Events, Log

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is not loaded otherwise
    from typing import Any

Request = namedtuple("Request", "trigger slot limit dry_run confirmed budget",
                     defaults=("manual", None, None, False, False, None))
Request.__doc__ = """How a run was asked for: manual, scheduled, to continue or by a worker; for a
slot, the scheduled UTC time, or None; with `--limit`, `--dry-run`, `--yes` (do what the guard has
held back, up to the number that it reported); and the seconds that `run-due` has left, or None."""
# seconds that a lease, or the lock's connection, outlives the hard limit
LOCK_MARGIN = 60.0
STORE_SECONDS = 2.0  # for the outcome, past the hard limit
SKIP_SECONDS = 0.5  # to wait for another writer, only to record that nothing was done
DONE_BEFORE = "this slot was started before"
BUSY = "busy"  # the stop reason where others need the database
NO_MEMORY = "there was not enough memory: give it more, or let fewer jobs run at once"


def run(session, job, request: Request) -> dict:
    """Run the job and return its outcome (outcome.py).

    Raises ConfigError before anything is touched; NoAccess when its lock cannot be taken, and
    DatabaseError when the database is out of reach, busy, or of another schema, before the job is
    called. What goes wrong inside the job is an outcome.
    """
    session.config.check([job], ("core", *job.sections))
    one = Run(session, job, request)
    with one.limits:
        one.run()
    if one.limits.heard:    # too late for the job, perhaps: what called this stops, too
        one.result["stop_reason"] = one.limits.heard
    return one.result


class Run:
    """The steps of one run and what they share."""

    def __init__(self, session, job, request: Request) -> None:
        self.config, self.ports, self.console = session.config, session.ports, session.console
        self.job, self.request, self.core = job, request, self.config.section("core")
        self.result = outcome.blank(job, request, self.ports.now())
        budget = self.config.job(job).budget.total_seconds()
        grace = self.core.grace.total_seconds()
        if request.budget is not None:
            budget = min(budget, request.budget)
        self.longest = budget + grace
        self.limits = RunLimits(monotonic=self.ports.monotonic, budget=budget, grace=grace)
        # real seconds, as those of the alarm: servers and locks take no others
        self.end = time.monotonic() + self.longest
        self.lock: Any = None
        self.db: Any = None
        self.has_row = False            # or may have one
        self.defects: dict = {}         # {item: the exception that it met}, in order
        self.installation = ""
        self.log = Events() if request.dry_run else Log(
            self.core, job.name, now=self.ports.now, job=job.name,
            run_id=self.result["run_id"])

    def run(self) -> None:
        """Work until it ends, then store how. No alarm comes after the work."""
        try:
            ended = self.limits.run(self._dry if self.request.dry_run else self._real)
            if isinstance(ended, errors.Stopped):
                self._time_out()
            elif ended is not None:
                raise ended
            self._finish()
        finally:
            self._give_back()

    # The work

    def _dry(self) -> None:
        """Call the job against a database that refuses to write."""
        self._call(self._open_database(readonly=True))

    def _real(self) -> None:
        """Take the lock, then do the work; a held lock is recorded and is no failure."""
        self.lock = locks.lock_for(self.job.name, self.core, self.ports.connect,
                                   self.longest + LOCK_MARGIN)
        try:
            self.installation = folders.installation(folders.own(self.core.state_dir))
            self.lock.acquire()
            self.limits.lock = self.lock
            complete = self._open_database()
            if self._begin():
                self._call(complete)
        except errors.LockHeld:
            self._skip()
        except (errors.JobsError, OSError) as error:
            cause = folders.no_access(error)
            self.log.error("run not started", error=str(cause))
            raise cause from None

    def _open_database(self, readonly: bool = False) -> bool:
        """Whether the app's tables have all that jobs need, as far as is known."""
        self.db = self.limits.database = self.ports.database(readonly)
        self.db.left = self._left
        return version.check(self.db)

    def _left(self) -> float:
        """Seconds to the hard limit."""
        return self.end - time.monotonic()

    def _begin(self) -> bool:
        """Mark dead runs, then write this one's row; False if its slot is done."""
        db, result, started = self.db, self.result, self.result["started_at"]
        for dead in history.sweep(db, self.job.name, self.core, started, self.lock.name):
            self.log.error("run vanished", dead_run=dead["run_id"],
                           started_at=dead["started_at"], progress=dead["progress"])
        trigger = self.request.trigger
        if result["slot"]:  # asked under the lock, so that it stays true
            found = slots.trigger_of(self.job, result["slot"], db, started)
            if found == "continue":
                result["slot"] = None
            if found != "scheduled":
                trigger = found
        self.has_row = True  # before it has, as a signal may come in between
        self.has_row = trigger is not None and history.begin(
            db, result, installation=self.installation, trigger_type=trigger,
            lock_name=self.lock.name, heartbeat_at=started,
            lease_until=started + timedelta(seconds=self.longest + LOCK_MARGIN))
        if self.has_row:
            self.log.event("run started", trigger=trigger,
                           slot=result["slot"] and clock.text(result["slot"]))
        else:
            result.update(status="skipped", stop_reason=DONE_BEFORE)
        return self.has_row

    def _skip(self) -> None:
        """Record that the lock is held, and by whom."""
        skipped = {"status": "skipped", "stop_reason": outcome.HELD + "another run"}
        try:
            self.db = self.ports.connect(timeout=SKIP_SECONDS)
            version.check(self.db)
            skipped["stop_reason"] = outcome.HELD + history.holder(self.db, self.job.name)
            # without its slot, which stays due
            history.begin(self.db, {**self.result, **skipped, "slot": None},
                          installation=self.installation, trigger_type=self.request.trigger,
                          finished_at=self.result["started_at"], duration_ms=0)
        except errors.Busy:
            pass  # the holder itself writes, perhaps: the log line has to do
        self.result.update(skipped)
        self.log.event("run skipped", reason=skipped["stop_reason"])

    # The call

    def _call(self, complete: bool) -> None:
        """Let the job work: whatever it returns or raises becomes the outcome."""
        result = self.result
        try:
            known = doubt.look(self.db, self.config, self.job, result,
                               store=not self.request.dry_run)
            self._work(Context(self, known), complete)
        except errors.Busy as error:
            result.update(status="partial", stop_reason=BUSY, error=str(error))
            self.log.warning("database busy", error=str(error))
        except errors.JobsError as error:
            result.update(status="failed", error=str(error))
            # What a column does not take any more would be sent again by each run.
            if isinstance(error, (errors.Missing, errors.NotTaken)) and self.has_row:
                from jobs_lib.database.schema.fit import forget
                forget(self.db)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a defect, whatever it is
            result.update(status="failed", error=outcome.defect(error, self.config))
            self.log.error("exception", traceback=outcome.trace(error, self.config))
        if self.defects:
            # the others were handled, and the run has failed all the same
            first, *_ = self.defects.values()
            words = (f"items that met an unexpected error: {len(self.defects):,}, the first: "
                     f"{first}; the log has more")
            result["error"] = "; ".join(filter(None, (result["error"], words)))
            result["status"] = "failed"

    def _work(self, ctx: Context, complete: bool) -> None:
        """Call the job, and count what it has done, however it ends."""
        result, limits = self.result, self.limits
        try:
            if not complete:
                from jobs_lib.database.schema.fit import need
                need(self.db, self.job.tables, store=self.has_row)
            # the counts themselves; or a preview's, or those of a job with nothing to store
            if ctx.may_begin():
                ctx.counts.update(self.job.run(ctx) or {})
            reason = limits.reason or ctx.suspended
            stopped = "interrupted" if reason == limits.heard else "partial"
            result.update(status=stopped if reason else "ok", stop_reason=reason)
            return
        except errors.DatabaseError:
            if limits.struck:  # SQLite makes an error of its own of what strikes in it
                raise errors.Stopped(limits.struck) from None
            raise
        except MemoryError:
            pass
        finally:
            if self.defects:
                ctx.counts["defects"] = len(self.defects)
            result["counts"] = ctx.counts or ctx.progressed
            if ctx.held:
                result["held"] = ctx.held  # {what the guard held back: how many}
            ctx.close()
        # by now the error, and all that the frames hold that it went through, is freed
        self.db.invalidate()  # it may have struck within a statement
        raise errors.JobsError(NO_MEMORY)

    # The end

    def _time_out(self) -> None:
        """At the hard limit: what was open is rolled back with its connection."""
        if self.db is not None:
            self.db.invalidate()
        if self.result["status"] == "running":  # else it struck when all was done
            self.result.update(status="timeout", stop_reason=HARD,
                               error="ended at the hard limit, "
                               f"{self.longest:.0f} seconds after its start")

    def _finish(self) -> None:
        """Store the outcome, in the row and in the log."""
        result, elapsed = self.result, self.ports.monotonic() - self.limits.started
        result["finished_at"] = result["started_at"] + timedelta(seconds=int(elapsed))
        result["duration_ms"] = int(elapsed * 1000)
        self.end = max(self.end, time.monotonic() + STORE_SECONDS)
        try:
            if self.has_row:
                history.finish(self.db, result)
        except errors.DatabaseError as error:
            if result["status"] != "timeout":
                result.update(status="failed", error=f"the outcome could not be stored: {error}")
        if self.has_row or result["status"] == "timeout":
            is_good = result["status"] in ("ok", "partial")
            self.log.event("run ended", "info" if is_good else "error", **outcome.as_json(result))

    def _give_back(self) -> None:
        if self.db is not None:
            self.db.left = None
            if self.request.dry_run:
                self.db.close()
        if self.lock is not None:
            self.lock.release()
        self.log.close()
