"""One run of one job: lock, sweep, row, call, outcome, log line. The same by cron, by hand and by a worker."""
from __future__ import annotations

import os
from collections import namedtuple
from datetime import timedelta

from . import clock, due, errors, folders, history, locks
from .context import Context
from .logs import Log
from .stops import Stops

Request = namedtuple("Request", "trigger slot limit dry_run confirmed budget",
                     defaults=("manual", None, None, False, False, None))
Request.__doc__ = """How a run was asked for.

trigger    manual, scheduled, continue or worker        slot      the scheduled UTC time, or None
limit      at most so many items                        dry_run   change nothing
confirmed  `--yes`: go past a safety stop, once         budget    seconds that `run-due` has left, or None
"""
EXIT_CODES = {"failed": errors.FAILED, "timeout": errors.HARD_LIMIT, "interrupted": errors.TERMINATED}
LOCK_MARGIN = timedelta(minutes=1)


def run(job, config, ports, request: Request, console) -> dict:
    """Run the job and return its outcome, a dict as in docs/logs.md.

    Raises ConfigError before anything is touched, and DatabaseError when the database is out of reach. All
    that goes wrong inside the job ends as an outcome.
    """
    config.check([job], ("core", *job.sections))
    core, options = config.section("core"), config.job(job)
    budget = options.budget.total_seconds()
    if request.budget is not None:
        budget = min(budget, request.budget)
    result = {"job": job.name, "run_id": os.urandom(8).hex(), "status": "running", "slot": request.slot,
              "started_at": ports.now(), "finished_at": None, "duration_ms": 0, "counts": {},
              "stop_reason": None, "error": None, "dry_run": request.dry_run}
    attempt = _Attempt(job, config, ports, request, console, core, budget, result)
    attempt.dry() if request.dry_run else attempt.real()
    return result


def exit_code(result: dict, fail_if_locked: bool = False) -> int:
    """What `jobs.py` ends with for this outcome."""
    if result["status"] == "skipped" and fail_if_locked and result["stop_reason"] != DONE_BEFORE:
        return errors.LOCK_HELD
    return EXIT_CODES.get(result["status"], errors.OK)


DONE_BEFORE = "this slot was started before"


class _Attempt:
    """The steps of one run and what they share."""

    def __init__(self, job, config, ports, request, console, core, budget, result) -> None:
        self.job, self.config, self.ports, self.request = job, config, ports, request
        self.console, self.core, self.budget, self.result = console, core, budget, result
        self.grace = core.grace.total_seconds()
        self.began = ports.monotonic()

    def dry(self) -> None:
        """Call the job against a database that refuses to write; no lock, no row, no log, no outside world."""
        db = self.ports.database(readonly=True)
        try:
            self._call(db, _NoLock(), _NoLog(), "")
        finally:
            db.close()
        self._close()

    def real(self) -> None:
        """Take the lock, then do the work; a held lock is recorded and is no failure."""
        self.installation = folders.installation(folders.private(self.core.state_dir))
        lock = locks.lock_for(self.job.name, self.core, self.ports.lock_database,
                              self.budget + self.grace + LOCK_MARGIN.total_seconds())
        about = f"process {os.getpid()} since {clock.text(self.result['started_at'])} UTC"
        try:
            lock.acquire(about)
        except errors.LockHeld as held:
            self._skip(str(held))
            return
        log = self._log()
        try:
            self._work(lock, log)
        finally:
            lock.release()
            log.close()

    def _skip(self, holder: str) -> None:
        db = self.ports.database()
        row = db.row("SELECT host, pid, started_at FROM {job_runs} WHERE job = :job AND status = 'running'"
                     " ORDER BY id DESC LIMIT 1", job=self.job.name)
        if row and not holder.startswith("process"):
            holder = f"process {row['pid']} on {row['host']} since {row['started_at']} UTC"
        self.result.update(status="skipped", stop_reason=f"the lock is held by {holder}")
        self._close()
        history.skipped(db, self.result, installation=self.installation, trigger=self.request.trigger)
        log = self._log()
        log.event("run skipped", reason=self.result["stop_reason"])
        log.close()

    def _work(self, lock, log) -> None:
        db = self.ports.database()
        result, now = self.result, self.result["started_at"]
        for dead in history.sweep(db, self.job.name, now, installation=self.installation, lock_name=lock.name):
            log.error("run vanished", dead_run=dead["run_id"], started_at=dead["started_at"],
                      progress=dead["progress"])
        lease_until = now + timedelta(seconds=self.budget + self.grace) + LOCK_MARGIN
        if not self._slot_is_ours(db, lock, lease_until):
            result.update(status="skipped", stop_reason=DONE_BEFORE)
            self._close()
            return
        log.event("run started", trigger=self.request.trigger, slot=result["slot"] and clock.text(result["slot"]))
        self._call(db, lock, log, self.installation)
        self._close()
        try:
            history.finish(self.ports.database(), result)
        except errors.DatabaseError as error:
            result.update(status="failed", error=f"the outcome could not be stored: {error}")
        log.event("run ended", "info" if result["status"] in ("ok", "partial") else "error", **as_json(result))

    def _slot_is_ours(self, db, lock, lease_until) -> bool:
        request, result = self.request, self.result
        trigger = request.trigger
        if request.slot is not None and trigger == "scheduled" and self._to_be_carried_on(db):
            trigger = "continue"
        if trigger == "continue":
            result["slot"] = None
        return history.begin(db, result, installation=self.installation, lock_name=lock.name, trigger=trigger,
                             lease_until=lease_until)

    def _to_be_carried_on(self, db) -> bool:
        """Whether the slot was started before and ended unfinished. Judged under the lock, so it holds."""
        found = due.judge(self.config, self.job, db, self.result["started_at"], None, lambda job: True)
        return found is not None and found.trigger == "continue"

    def _call(self, db, lock, log, installation: str) -> None:
        result = self.result
        stops = Stops(monotonic=self.ports.monotonic, budget=self.budget, grace=self.grace,
                      memory=self.core.memory, lock=lock)
        ctx = Context(job=self.job, config=self.config, ports=self.ports, db=db, run=result, stops=stops, log=log,
                      request=self.request, console=self.console, installation=installation)
        try:
            with stops:
                try:
                    result["counts"] = self.job.run(ctx) or {}
                finally:
                    ctx.close()
            result["status"] = "ok" if stops.reason is None else "interrupted" if stops.terminated else "partial"
            result["stop_reason"] = stops.reason
        except errors.Stopped:
            db.invalidate()
            result.update(status="timeout", stop_reason="hard limit", counts=ctx.progressed,
                          error=f"ended at the hard limit, {self.budget + self.grace:.0f} seconds after its start")
        except errors.Busy as error:
            result.update(status="partial", stop_reason="busy", counts=ctx.progressed)
            log.warning("database busy", error=str(error))
        except errors.JobsError as error:
            result.update(status="failed", error=str(error), counts=ctx.progressed)
        except Exception as error:              # a defect in a job must end as its outcome, whatever it is
            import traceback
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{os.path.basename(frame.filename)} line {frame.lineno}"
            result.update(status="failed", error=f"{type(error).__name__}: {error} ({place})", counts=ctx.progressed)
            log.error("exception", traceback=traceback.format_exc())

    def _close(self) -> None:
        elapsed = self.ports.monotonic() - self.began
        self.result["finished_at"] = self.result["started_at"] + timedelta(seconds=int(elapsed))
        self.result["duration_ms"] = int(elapsed * 1000)
        if self.result["status"] == "running":
            self.result["status"] = "ok"

    def _log(self) -> Log:
        return Log(folders.private(self.core.log_dir), self.job.name, size=self.core.log_size,
                   files=self.core.log_files, now=self.ports.now, job=self.job.name, run_id=self.result["run_id"])


def as_json(result: dict) -> dict:
    """The outcome with its times as text, for --json and the log."""
    return {key: clock.text(value) if key in ("slot", "started_at", "finished_at") and value else value
            for key, value in result.items()}


class _NoLock:
    """A dry run takes none."""

    @staticmethod
    def check() -> bool:
        return True


class _NoLog:
    """A dry run leaves no line."""

    def event(self, *_args, **_fields) -> None:
        """Nothing is written."""

    warning = error = event
