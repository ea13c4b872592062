"""One run of one job: lock, sweep, row, call, outcome, log line. The same by cron, by hand and by a
worker."""
from __future__ import annotations

import os
import sys
import time
from collections import namedtuple
from datetime import timedelta

from jobs_lib import clock, errors, folders, schedule, shards
from jobs_lib.database.schema import version
from jobs_lib.errors import Missing

from . import clock_doubt, history, locks, slots, standing, unrecorded
from .context import Context
from .limits import RunLimits
from .log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:                # `typing` is not loaded otherwise
    from typing import Any

Request = namedtuple("Request", "trigger slot limit dry_run confirmed budget",
                     defaults=("manual", None, None, False, False, None))
Request.__doc__ = """How a run was asked for.

trigger    manual, scheduled, continue or worker        slot      the scheduled UTC time, or None
limit      at most so many items                        dry_run   change nothing
confirmed  `--yes`: go past a safety stop, once         budget    seconds that `run-due` has left, or None
"""
EXIT_CODES = {"failed": errors.FAILED, "timeout": errors.HARD_LIMIT,
              "interrupted": errors.TERMINATED}
# seconds that a lease, or the lock's connection, outlives the hard limit
LOCK_MARGIN = 60.0
STORE_SECONDS = 2.0          # for the outcome, past the hard limit
STARTING_SECONDS = 0.3       # between a lock and the row of its run
SKIP_SECONDS = 0.5           # to wait for another writer, only to record that nothing was done
DONE_BEFORE = "this slot was started before"
HELD = "the lock is held by "
BUSY = "the database was busy: "
STRANGER = ", and no run of ours lives"
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


def blank(job, request: Request, now, **known) -> dict:
    """The outcome of a run that has not begun; `known` is what is known of it already."""
    return {"job": job.name, "run_id": os.urandom(8).hex(), "status": "running",
            "slot": request.slot, "started_at": now, "finished_at": None, "duration_ms": 0,
            "counts": {}, "stop_reason": None, "error": None, "dry_run": request.dry_run, **known}


def found_busy(result: dict) -> bool:
    """Whether it could not begin, since the database could not be written at that moment."""
    return result["status"] == "skipped" and result["stop_reason"].startswith(BUSY)


def held_by_stranger(result: dict) -> bool:
    """Whether it could not begin, since somebody has its database lock who is no run of ours."""
    return result["status"] == "skipped" and (result["stop_reason"] or "").endswith(STRANGER)


def exit_code(result: dict, fail_if_locked: bool = False) -> int:
    """What `jobs.py` ends with for this outcome."""
    if fail_if_locked and result["status"] == "skipped" and result["stop_reason"].startswith(HELD):
        return errors.LOCK_HELD
    return EXIT_CODES.get(result["status"], errors.OK)


class _Attempt:
    """The steps of one run and what they share."""

    def __init__(self, session, job, request: Request) -> None:
        config, ports, console = session.config, session.ports, session.console
        self.job, self.config, self.ports, self.request = job, config, ports, request
        self.console, self.core = console, config.section("core")
        self.result = blank(job, request, ports.now())
        core, budget = self.core, config.job(job).budget.total_seconds()
        if request.budget is not None:
            budget = min(budget, request.budget)
        self.longest = budget + core.grace.total_seconds()
        self.limits = RunLimits(monotonic=ports.monotonic, budget=budget,
                                grace=core.grace.total_seconds(), memory=core.memory,
                                last_words=self._last_words)
        self.lock: Any = None
        self.db: Any = None
        self.begun = False              # the run may have a row of its own
        self.end = time.monotonic() + self.longest
        self.installation = ""
        self.doubt: str | None = None   # why the clock is not trusted
        # as far as is known, the app's tables have all that jobs need
        self.complete = True
        self.ping_url = "" if request.dry_run else config.job(job).ping_url
        self.log = _NoLog() if request.dry_run else self._log()
        # A worker has its own part of a shared queue; whoever else runs the job has all of it, and
        # no worker beside.
        self.shards = config.shards(job)
        self.shard = (shards.number(job.name), self.shards) if request.trigger == WORKER else (0, 1)

    def run(self) -> None:
        """Work until it ends, then store how. No alarm and no impatient signal comes after the
        work."""
        try:
            ended = self.limits.run(self._dry if self.request.dry_run else self._real)
            if isinstance(ended, (errors.Stopped, KeyboardInterrupt)):
                self._ended_by_force(str(ended) or "SIGINT")
            elif isinstance(ended, MemoryError) and self.begun:
                self.result.update(status="failed", error=self._exhausted(ended))
            elif ended is not None:
                raise ended
            self._settle()
        finally:
            self._give_back()

    def _dry(self) -> None:
        """Call the job against a database that refuses to write; no lock, no row, no log, no
        outside world."""
        self.db = self.limits.database = self.ports.database(readonly=True)
        self.db.left = self._left
        self.complete = version.check(self.db)
        self._look_at_clock(self.db)
        self._call(self.db)

    def _real(self) -> None:
        """Take the lock, then do the work; a held lock is recorded and is no failure."""
        self.installation = folders.installation(folders.own(self.core.state_dir))
        names = [self.job.name] if self.shard[1] > 1 else shards.names(self.job.name, self.shards)
        self.lock = locks.locks_for(names, self.core, self.ports.lock_database, self.longest
                                    + LOCK_MARGIN)
        started = clock.text(self.result["started_at"])
        try:
            self.lock.acquire(f"process {os.getpid()} on {history.host()} since {started} UTC")
            self.limits.lock = self.lock
            self._database()
            if self._begin(self.db, self.lock):
                self._call(self.db)
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
            self._keep()

    def _give_back(self) -> None:
        if self.db is not None:
            self.db.left = None
            if self.request.dry_run:
                self.db.close()
        if self.lock is not None:
            self.lock.release()
        self.log.close()

    def _skip(self, holder: str) -> None:
        db = None
        try:
            db = self.ports.connect(timeout=SKIP_SECONDS)
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
        finally:
            if db is not None:
                db.close()

    def _holder(self, db, holder: str) -> str:
        """Who has the database's lock: a run of ours, by its row, or else a connection of nobody
        that we know."""
        for wait in (STARTING_SECONDS, 0):
            row = history.holder(db, self.job.name, self.ports.now())
            if row and row["status"] == "running":
                return f"process {row['pid']} on {row['host']} since {row['started_at']} UTC"
            if row or not holder.startswith(locks.CONNECTION):
                return holder
            if wait:
                self.ports.sleep(wait)          # it may be about to write its row
        return holder + STRANGER

    def _not_started(self, why: str) -> None:
        self.result.update(status="skipped", stop_reason=why)
        self._close()
        self.log.event("run skipped", reason=why)

    def _database(self) -> None:
        self.db = self.limits.database = self.ports.database()
        self.db.left = self._left
        self.complete = version.check(self.db)

    def _begin(self, db, lock) -> bool:
        """Sweep, then write the run's row. False where this run is not to be: `result` says why."""
        result, now, grace = self.result, self.result["started_at"], self.core.grace.total_seconds()
        if self.limits.heard:
            result.update(status="interrupted", stop_reason=self.limits.heard)
            return False
        db.left = lambda: self._left() - grace      # to find it busy is no reason to be killed
        try:
            history.store_kept(db, self.core.state_dir, self.job.name, self.installation, self.log)
            self._look_at_clock(db)
            for dead in history.sweep(db, self.job.name, now, installation=self.installation,
                                      lock=lock):
                self.log.error("run vanished", dead_run=dead["run_id"],
                               started_at=dead["started_at"], progress=dead["progress"])
            self._sweep_drafts()
            trigger = self._trigger(db)
            self.begun = True           # before it is true, as a signal may come in between
            begun = trigger is not None and history.begin(
                db, result, installation=self.installation, lock_name=lock.name, trigger=trigger,
                lease_until=now + timedelta(seconds=self.longest + LOCK_MARGIN))
        except errors.Busy as error:
            self.begun = False
            self._not_started(f"{BUSY}{error}")
            self._keep()
            return False
        finally:
            db.left = self._left
        self.begun = begun
        if begun:
            slot = result["slot"] and clock.text(result["slot"])
            self.log.event("run started", trigger=trigger, slot=slot)
            self._ping(started=True)
        else:
            result.update(status="skipped", stop_reason=DONE_BEFORE)
        return begun

    def _sweep_drafts(self) -> None:
        """What killed runs have left half-written in our own folder."""
        state = self.core.state_dir
        for folder in (state, os.path.join(state, unrecorded.FOLDER)):
            for name in folders.sweep_drafts(folder, self.result["started_at"].timestamp()):
                self.log.event("draft removed", file=os.path.join(folder, name))

    def _look_at_clock(self, db) -> None:
        zone = schedule.zone(self.core.timezone)
        when = self.config.job(self.job).schedule
        self.doubt = clock_doubt.find(
            db, self.ports, self.core, confirmed=self.request.confirmed,
            store=not self.request.dry_run,
            next_slot=lambda moment: schedule.following(when, moment, zone))

    def _trigger(self, db) -> str | None:
        """How this run stands to its slot, judged under the lock, so that it holds. None: the slot
        is done."""
        request = self.request
        if request.slot is None:
            return request.trigger
        found = slots.state_of(self.job, request.slot, db, self.result["started_at"])
        if found is None:
            return None
        if found.trigger == "continue":
            self.result["slot"] = None
            return "continue"
        return request.trigger if request.trigger != "continue" else "scheduled"

    def _call(self, db) -> None:
        result, limits = self.result, self.limits
        ctx = Context(job=self.job, config=self.config, ports=self.ports, db=db, run=result,
                      limits=limits, log=self.log, request=self.request, console=self.console,
                      installation=self.installation, shard=self.shard, doubt=self.doubt)
        result["counts"] = ctx.counts           # from here on, however the run ends
        try:
            try:
                if not self.complete:
                    from .table_gaps import need
                    need(db, self.job, store=not self.request.dry_run)
                try:
                    returned = self.job.run(ctx) or {}
                except MemoryError as error:
                    raise errors.JobsError(self._exhausted(error)) from None
                if returned is not ctx.counts:
                    # a preview's, or of a job with nothing to store
                    ctx.counts.update(returned)
            finally:
                result["counts"] = ctx.counts or ctx.progressed
                ctx.close()
            reason = limits.reason or ctx.suspended
            result.update(status="ok" if reason is None else "interrupted" if reason == limits.heard
                          else "partial", stop_reason=reason)
        except errors.Busy as error:
            result.update(status="partial", stop_reason="busy")
            self.log.warning("database busy", error=str(error))
        except errors.JobsError as error:
            result.update(status="failed", error=str(error))
            if isinstance(error, Missing) and not self.request.dry_run:
                from jobs_lib.database.schema.app_gaps import forget
                forget(db)
        except (Exception, SystemExit) as error:    # noqa: BLE001  a defect must end as an outcome, whatever it is
            from jobs_lib import defects
            from jobs_lib.config.secrets import secrets
            hidden = secrets(self.config)
            result.update(status="failed", error=defects.sentence(error, hidden))
            self.log.error("exception", traceback=defects.trace(error, hidden))
        if ctx.defects:
            self._failed_items(list(ctx.defects.values()))

    def _exhausted(self, error: MemoryError) -> str:
        """Give back what the frames hold that ran out of memory: storing the outcome needs some.
        What to say of it."""
        _let_go(error)                  # before anything else, an import as well
        self.db.invalidate()            # it may have struck within a statement
        from jobs_lib import defects
        try:
            where = f" ({defects.place(error)})"
        except MemoryError:
            where = ""
        return (f"there was not enough memory{where}: give it more, let fewer jobs run at once, or "
                "let [core] memory stop runs before")

    def _failed_items(self, met: list[str]) -> None:
        """Some items met what nobody expects: the others were worked, and the run has failed all
        the same."""
        result, number = self.result, len(met)
        words = (f"1 item met an unexpected error: {met[0]}" if number == 1 else
                 f"{number:,} items met an unexpected error, the first: {met[0]}")
        result["error"] = f"{result['error']}. Besides, {words}" if result["error"] else f"{words}; the log has more"
        if result["status"] in ("ok", "partial"):
            result["status"] = "failed"

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
            self._keep()
            if result["status"] != "timeout":
                result.update(status="failed", error=f"the outcome could not be stored: {error}")
        self.log.event("run ended", "info" if result["status"] in ("ok", "partial") else "error",
                       **as_json(result))
        self._ping()

    def _keep(self) -> None:
        """What the database does not take, the next run stores."""
        outcome = {**as_json(self.result), "trigger": self.request.trigger, "pid": os.getpid()}
        try:
            unrecorded.keep(self.core.state_dir, outcome, begun=self.begun)
        except OSError as error:
            self.log.error("outcome not kept", error=str(error))

    def _ping(self, started: bool = False) -> None:
        """Tell the service that `ping_url` names. It never changes how the run ends."""
        if not self.ping_url:
            return
        from . import pings
        from .outcome import outcome_words
        what = pings.START if started else pings.FAIL if self.result["status"] in EXIT_CODES else pings.SUCCESS
        body = "" if started else pings.log_tail(self.log, outcome_words(self.result))
        error = pings.call(self.config, self.ports, self.ping_url, what, self.result["run_id"],
                           body)
        if error:
            self.log.warning("ping failed", error=error)

    def _close(self) -> None:
        elapsed = self.ports.monotonic() - self.limits.started
        self.result["finished_at"] = self.result["started_at"] + timedelta(seconds=int(elapsed))
        self.result["duration_ms"] = int(elapsed * 1000)

    def _log(self) -> Log:
        return Log(self.core.log_dir, self.job.name, size=self.core.log_size,
                   files=self.core.log_files, now=self.ports.now,
                   incident=standing.Incident(self.core, standing.LOG), job=self.job.name,
                   run_id=self.result["run_id"])

    def _last_words(self, why: str) -> None:
        """From the watchdog's thread, just before the process ends."""
        if self.console.level >= 0:
            os.write(sys.stderr.fileno(), f"{self.job.name}: {why}\n".encode())
        self.log.error("run stuck", reason=why)


def as_json(result: dict) -> dict:
    """The outcome with its times as text, for --json and the log."""
    return {key: clock.text(value) if key in ("slot", "started_at", "finished_at") and value
            else value
            for key, value in result.items()}


def _let_go(error: BaseException | None) -> None:
    """Empty the frames that the error and those before it went through: what is in them lives as
    long as the error."""
    while error is not None:
        step = error.__traceback__
        while step is not None:
            try:                                # noqa: SIM105  contextlib is not loaded otherwise
                step.tb_frame.clear()
            except RuntimeError:                # it is still at work
                pass
            step = step.tb_next
        error = error.__context__


class _NoLog:
    """A dry run leaves no line."""

    def event(self, *_args, **_fields) -> None:
        """Nothing is written."""

    warning = error = close = event
