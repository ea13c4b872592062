"""What a job may touch. Time, sleep and the outside world are given to it, never taken."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.errors import ReadOnly

from . import doubt, history
from .journal import Journal

PROGRESS_SECONDS = 2.0


def derived(key: str, label: str) -> bytes:
    """The key for one purpose, from the installation's."""
    import hmac
    return hmac.digest(key.encode(), label.encode(), "sha256")


class Context:
    """One run, as its job sees it.

    now       aware UTC datetime, fixed for the run
    clock()   the same plus the time that has passed
    options   the job's own options                       section() a shared section's
    db        the database                                mail()    a transport for messages
    http()    what sends requests, likewise               dns()     a resolver
    counts    what was done; count() adds to it            limit     at most so many items, or None
    log       events of this run; in a transaction both counts and events wait for its commit
              (runner/journal.py)
    dry_run   select and count, change nothing            show()    a sample of what a dry run found
    may_expire()  whether anything may be deleted, expired or given up by its age: asked just before
                  that is done                             may_send()  whether anything may go out
    memory    what earlier runs of the job remember (engines/guard.py)
    """

    def __init__(self, *, job, config, ports, db, run, limits, log, request, console, installation,
                 known: doubt.Known) -> None:
        self.job, self.run_id, self.now = job, run["run_id"], run["started_at"]
        self.options = config.job(job)
        self.db, self.limit, self.dry_run = db, request.limit, request.dry_run
        self.log = self._journal = db.journal = Journal(log)
        self.confirmed, self.installation = request.confirmed, installation
        self._config, self._ports, self._limits, self._console = config, ports, limits, console
        self._transport = self._poster = None
        self._key: str | None = None
        # when progress was stored last; the first report is stored at once
        self._heartbeat_at = limits.started - PROGRESS_SECONDS
        self.defects: dict = {}                                 # {item: what it met}, in order
        self.progressed: dict = {}                              # the last report
        self._doubt, self.memory = known
        # {what the guard was asked: its answer}, {what it held back: how many} in this run
        self.judged: dict = {}
        self.held: dict = {}
        # why, in a sentence, once something was left for a doubt
        self.suspended: str | None = None

    @property
    def counts(self) -> dict:
        """{name: number}, reported whether the run ends well or not. A transaction that is rolled
        back takes back what was counted in it."""
        return self._journal.counts

    def count(self, name: str, number: int = 1) -> None:
        """Count so many more under this name."""
        self.counts[name] = self.counts.get(name, 0) + number

    def defect(self, error: BaseException, item: str) -> None:
        """An item met an exception that nothing here expects: it is logged with its place and
        counted, the others go on, and the run ends as `failed`. `item` names it: "forward 17". Not
        for what an item's own data may do."""
        if item in self.defects:                    # met again, in a batch that was tried again
            return
        from jobs_lib.config.secrets import secrets
        from jobs_lib.masking import without_secrets

        from . import defects

        self.defects[item] = f"{type(error).__name__} in {defects.place(error)}"
        hidden = secrets(self._config)
        self._journal.at_once("defects", "exception", item=without_secrets(item, hidden),
                              traceback=defects.trace(error, hidden))

    def section(self, name: str):
        """A shared section's values, such as `ctx.section("mail").host`."""
        return self._config.section(name)

    def reader(self):
        """A second connection that only reads; the caller closes it."""
        db = self._ports.connect(readonly=True)
        db.left = self.db.left
        return db

    def options_of(self, job: str):
        """Another job's options, for a rule that two jobs have to agree on."""
        return self._config.job_named(job)

    @property
    def config(self):
        """The whole configuration, for a job that looks at everything."""
        return self._config

    def secret(self, label: str) -> bytes:
        """A key derived from `[core] secret_key` for one purpose, so that one never gives away
        another."""
        return derived(self._secret_key(), label)

    def keyed(self, text: str) -> str:
        """What stands for a text: the same for the same, and without the key nobody learns which.
        """
        # what `hashlib` has it from, which loads OpenSSL besides: 3 ms of a run that sends notices
        from _blake2 import blake2b
        key = blake2b(self._secret_key().encode()).digest()
        return blake2b(text.encode("utf-8", "replace"), key=key, digest_size=32).hexdigest()

    def _secret_key(self) -> str:
        if self._key is None:               # asked for each account and each notice, and read once
            from jobs_lib.folders import secret_key
            core = self.section("core")
            self._key = secret_key(core.state_dir, core.secret_key, make=not self.dry_run)
        return self._key

    def mail(self):
        """The mail transport, opened at the first call, one for the run. A dry run has none:
        ReadOnly."""
        self._refuse_dry_run("opens no connection for mail")
        if self._transport is None:
            self._transport = self._ports.mail(self.section("mail"))
        return self._transport

    def http(self):
        """The client for HTTP, made at the first call, one for the run. A dry run has none:
        ReadOnly."""
        self._refuse_dry_run("opens no connection for HTTP")
        if self._poster is None:
            self._poster = self._ports.http(self.section("webhooks"))
        return self._poster

    def trusted_http(self):
        """The same for URLs that the operator has chosen: they may lead to any address, this host
        included."""
        self._refuse_dry_run("opens no connection for HTTP")
        from jobs_lib.ports.http import trusted
        return self._ports.http(trusted(self.section("webhooks"), self.section("alerts").timeout))

    def dns(self):
        """A resolver (ports/dns.py). A dry run has none: ReadOnly."""
        self._refuse_dry_run("asks no name server")
        return self._ports.dns(self.section("dns"))

    def _refuse_dry_run(self, words: str) -> None:
        if self.dry_run:
            raise ReadOnly(f"a dry run {words}")

    def clock(self):
        """The present second: attempts and limits count from here, not from the run's start."""
        return self.now + timedelta(seconds=int(self._ports.monotonic() - self._limits.started))

    def monotonic(self) -> float:
        """Seconds on a clock that nobody sets; deadlines are given in it."""
        return self._ports.monotonic()

    @property
    def hard_limit(self) -> float:
        """When the run is ended at the latest, on the clock of `monotonic()`."""
        return self._limits.hard

    def seconds_left(self) -> float:
        """Seconds until the budget is spent."""
        return self._limits.soft - self._ports.monotonic()

    def should_stop(self, done: int = 0) -> bool:
        """Asked between items and batches: budget, memory, SIGTERM, a lost lock, or `stop()`.

        `done`: so many items were handled in this step. Once that is the number of `--limit`, this
        call stops the run.
        """
        if self.limit is not None and done >= self.limit:
            self.stop("limit")
        return self._limits.stop_reason() is not None

    def within_limit(self, wanted: int, done: int = 0) -> int:
        """As many of the wanted items as `--limit` allows in a step that has handled `done`."""
        return wanted if self.limit is None else max(0, min(wanted, self.limit - done))

    @property
    def stop_reason(self) -> str | None:
        """Why the run is to stop, once it is: `budget`, `SIGTERM`, what `stop()` said."""
        return self._limits.stop_reason()

    def may_expire(self) -> bool:
        """Whether what is past its time may be deleted, expired or given up. Not while the clock or
        the database is in doubt (runner/doubt.py): asking then marks the run as `suspended`. What
        does not depend on it goes on, and the run ends as `partial` and says why."""
        return not self._is_suspended(self._doubt is not None)

    def may_send(self) -> bool:
        """Whether anything but an alert may go out, or an account be closed: not after a backup was
        restored. Marks the run in the same way."""
        return not self._is_suspended(self._doubt is not None
                                      and self._doubt.what == doubt.RESTORED)

    def _is_suspended(self, is_so: bool) -> bool:
        if is_so:
            self.suspended = doubt.sentence(self._doubt, self.now)
        return is_so

    @property
    def is_in_doubt(self) -> bool:
        """Whether the clock or the database is, without marking the run: for what only looks."""
        return self._doubt is not None

    @property
    def has_set(self) -> bool:
        """Whether options were given by `--set`, which hold for this run alone."""
        return self._config.is_overridden

    def stop(self, reason: str) -> None:
        """End the run as `partial` for a reason of the job's own; the next run goes on."""
        self._limits.stop(reason)

    def sleep(self, seconds: float) -> None:
        """Wait, in short steps, so that SIGTERM is heard, and never past the budget."""
        until = min(self._ports.monotonic() + seconds, self._limits.soft)
        while not self.should_stop() and (left := until - self._ports.monotonic()) > 0:
            self._ports.sleep(min(left, 0.5))

    def wait(self, seconds: float) -> None:
        """Wait, whatever asks the run to stop: for what has to be stored before it may."""
        self._ports.sleep(seconds)

    def progress(self, done: int, total: int | None = None, **more) -> None:
        """Report how far the run is, into its row every few seconds. `more`: further numbers of
        the job's own."""
        now = self._ports.monotonic()
        self.progressed = {"done": done, **({"total": total} if total is not None else {}), **more}
        if not self.dry_run and now - self._heartbeat_at >= PROGRESS_SECONDS:
            self._heartbeat_at = now
            history.record_heartbeat(self.db, self.run_id, self.clock(), self.progressed)

    def show(self, title: str, rows: list[dict], note: str = "") -> None:
        """In a dry run: what a step would do, with a sample of rows. Only the job's declared
        columns are shown, addresses masked, and never a secret or a content (masking.py)."""
        from jobs_lib.masking import sample, text

        self._console.sample(text(title), [sample(row, self.job.sample) for row in rows],
                             text(note))

    def close(self) -> None:
        """Close the journal and what mail() has opened; the database stays open."""
        self._journal.close()
        self.db.journal = None
        if self._transport is not None:
            self._transport.close()
