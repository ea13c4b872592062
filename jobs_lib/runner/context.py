"""What a job may touch. Time, sleep and the outside world are given to it, never taken."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import folders
from jobs_lib.errors import ReadOnly

from . import doubt, history, outcome
from .log import Journal

PROGRESS_SECONDS = 2.0


class Context:
    """One run, as its job sees it.

    now       aware UTC datetime, fixed for the run; clock() is the same plus the time that passed
    options   the job's own; options_of() another job's, section() a shared section's, config all
    limit     at most so many items, or None; `confirmed`: `--yes` was given
    counts    {name: number} of what was done, reported whether the run ends well or not
    log       events of this run; in a transaction both counts and events wait for its commit
    dry_run   select and count, change nothing; show() a sample of what it found
    hard_limit  when the run is ended at the latest, on the clock of monotonic()
    stop()    end the run as `partial`, for a reason of the job's own; the next run goes on
    wait()    so many seconds, whatever asks the run to stop: for what has to be stored before
    doubt     about the clock or the database, or None (runner/doubt.py)
    trusted   `now`; while the clock is in doubt, the last time that was right
    memory    what earlier runs of the job remember (engines/guard.py)
    """

    def __init__(self, run, known: doubt.Known) -> None:
        """`run`: the Run (runner.py) that the job is called in."""
        self._run, self._ports, self._limits = run, run.ports, run.limits
        self.job, self.db, self.config = run.job, run.db, run.config
        self.run_id, self.now = run.result["run_id"], run.result["started_at"]
        self.limit, self.dry_run = run.request.limit, run.request.dry_run
        self.confirmed = run.request.confirmed
        self.options, self.section = run.config.job(run.job), run.config.section
        self.options_of = run.config.job_named
        self.monotonic, self.wait = run.ports.monotonic, run.ports.sleep
        self.hard_limit, self.stop = run.limits.hard, run.limits.stop
        self.log = self.db.journal = Journal(run.log)
        self.counts = self.log.counts
        self._transport = None
        self._key: str | None = None
        # the last report, and when one was stored last: the first is stored at once
        self.progressed: dict = {}
        self._heartbeat_at = run.limits.started - PROGRESS_SECONDS
        self.doubt, self.memory = known
        self.trusted = self.doubt.trusted if self.doubt else self.now
        # why, in a sentence, once something was left for a doubt
        self.suspended: str | None = None
        # {what the guard was asked: its answer}, {what it held back: how many} in this run
        self.judged: dict = {}
        self.held: dict = {}

    # Counts and reports

    def count(self, name: str, number: int = 1) -> None:
        """Count so many more under this name."""
        self.counts[name] = self.counts.get(name, 0) + number

    def defect(self, error: BaseException, item: str) -> None:
        """An item met an exception that nothing here expects: it is logged with its place and
        counted, the others go on, and the run ends as `failed`. `item` names it: "forward 17". Not
        for what an item's own data may do."""
        if item in self._run.defects:  # met again, in a batch that was tried again
            return
        self._run.defects[item] = f"{type(error).__name__} in {outcome.place(error)}"
        # at once, whatever becomes of an open transaction
        self._run.log.error("exception", item=outcome.clean(item, self.config),
                            traceback=outcome.trace(error, self.config))

    def progress(self, done: int, total: int | None = None, **more) -> bool:
        """Report how far the run is, into its row every few seconds: whether it was now. `more`:
        further numbers of the job's own."""
        self.progressed = {"done": done, **({} if total is None else {"total": total}), **more}
        now = self.monotonic()
        is_stored = not self.dry_run and now - self._heartbeat_at >= PROGRESS_SECONDS
        if is_stored:
            self._heartbeat_at = now
            history.record_heartbeat(self.db, self.run_id, self.clock(), self.progressed)
        return is_stored

    def show(self, title: str, rows: list[dict], note: str = "") -> None:
        """In a dry run: what a step would do, with a sample of rows. Only the job's declared
        columns are shown, addresses masked, and never a secret or a content (masking.py)."""
        from jobs_lib.text.masking import sample, text

        self._run.console.sample(text(title), [sample(row, self.job.sample) for row in rows],
                             text(note))

    # The outside world

    def reader(self):
        """A second connection that only reads; the caller closes it."""
        db = self._ports.connect(readonly=True)
        db.left = self.db.left
        return db

    def mail(self):
        """The mail transport, one for the run."""
        if self._transport is None:
            self._transport = self.ports().mail(self.section("mail"))
        return self._transport

    def ports(self):
        """The Ports (resources.py); ReadOnly in a dry run, which has none."""
        if self.dry_run:
            raise ReadOnly("a dry run opens no connection for mail, HTTP or DNS")
        return self._ports

    def close(self) -> None:
        """The database stays open; an open transaction is never stored."""
        self.log.rolled_back()
        self.db.journal = None
        if self._transport is not None:
            self._transport.close()

    # Keys

    def secret(self, label: str) -> bytes:
        """A key of its own for each purpose, derived from `[core] secret_key`."""
        return folders.derived(self._secret_key(), label)

    def keyed(self, text: str) -> str:
        """What stands for a text; without the key nobody learns for which."""
        from hashlib import blake2b  # loaded with `smtplib` anyway
        key = blake2b(self._secret_key().encode()).digest()
        return blake2b(text.encode("utf-8", "replace"), key=key, digest_size=32).hexdigest()

    def _secret_key(self) -> str:
        if self._key is None:  # asked for each account and each notice, and read once
            core = self.section("core")
            self._key = folders.secret_key(core.state_dir, core.secret_key, make=not self.dry_run)
        return self._key

    # When to stop

    def clock(self):
        """The present second, from which attempts and limits count."""
        return self.now + timedelta(seconds=int(self.monotonic() - self._limits.started))

    def seconds_left(self) -> float:
        """Seconds until the budget is spent."""
        return self._limits.soft - self.monotonic()

    @property
    def stop_reason(self) -> str | None:
        """Why the run is to stop, once it is."""
        return self._limits.stop_reason()

    def should_stop(self, done: int = 0) -> bool:
        """Asked between items and batches: budget, SIGTERM, a lost lock, or `stop()`. Once `done`,
        how many items this step has handled, is the number of `--limit`, it stops the run."""
        if self.limit is not None and done >= self.limit:
            self.stop("limit")
        return self.stop_reason is not None

    def within_limit(self, wanted: int, done: int = 0) -> int:
        """As many of the wanted items as `--limit` allows in a step that has handled `done`."""
        return wanted if self.limit is None else max(0, min(wanted, self.limit - done))

    def sleep(self, seconds: float) -> None:
        """Wait, in short steps, so that SIGTERM is heard, and never past the budget."""
        until = min(self.monotonic() + seconds, self._limits.soft)
        while not self.should_stop() and (left := until - self.monotonic()) > 0:
            self.wait(min(left, 0.5))

    def may_expire(self) -> bool:
        """Whether what is past its time may be deleted, expired or given up. Not while the clock or
        the database is in doubt: asked just before it is done, this marks the run as `suspended`.
        What does not depend on it goes on, and the run ends as `partial` and says why."""
        if self.doubt is not None:
            self.suspended = doubt.sentence(self.doubt, self.now)
        return self.doubt is None

    def may_begin(self) -> bool:
        """Whether the job may do anything: after a backup was restored, only the one that alerts
        may. Marks the run in the same way."""
        return (self.doubt is None or self.doubt.what == doubt.CLOCK
                or self.job.name == doubt.ALERTS or self.may_expire())
