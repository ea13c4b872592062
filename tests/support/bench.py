"""`bench`: one installation in a temporary folder with the real schema, real runs, and a time that
is given.

    bench.table("sessions", [{"id": 1, "expires_at": bench.ago(days=1)}])    other columns filled
    assert bench.run("purge_sessions") == {"deleted": 1}                     by the real runner
    assert bench.ids("sessions") == []

Only the clock and the ends of the ports are ours: seconds pass when a job sleeps, `bench.outbox`
keeps what was sent, `bench.web` what was posted, and `bench.dns` says what name servers answer.
"""
from __future__ import annotations

import copy
import io
import itertools
import json
import os
from collections import namedtuple
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from functools import cached_property
from pathlib import Path

from tests.support import adopted, databases, keyed, product
from tests.support.databases import NOW
from tests.support.product import IN_MEMORY, Answer, Console, Ports, Response, Result, Session
from tests.support.shell import ini


class Mail(namedtuple("Mail", "sender recipient raw item_id")):
    """A mail that was sent. It is read when a test asks what is in it: most count thousands."""

    @cached_property
    def parsed(self):
        return message_from_bytes(self.raw, policy=policy.default)

    @property
    def subject(self) -> str:
        return self.parsed["Subject"]

    @property
    def text(self) -> str:
        body = self.parsed.get_body(("plain", "html"))
        return body.get_content() if body else ""


class Bench:
    """`now` may be set; `clock` holds the seconds that have passed in a run; `result` is the last
    outcome.

    `tables`: how an app calls them that was there before (tests/support/adopted.py), and `prefix`
    what ours begin with. `keys`: what stands for the numbers of a test (tests/support/keyed.py).
    """

    def __init__(self, folder, url: str, tables: dict | None = None,
                 keys: keyed.Keys | None = None, prefix: str = "") -> None:
        self.folder, self.url, self.now = Path(folder), url, NOW
        self.keys = keys
        self.db = databases.migrated(url, prefix=prefix, tables=tables)
        if keys:
            keyed.Names(self.db, keys)
        self._names = {"core": {"prefix": prefix} if prefix else {}, "tables": tables or {}}
        self.clock, self.outbox, self.web, self.dns = Clock(), Outbox(), Web(), Zone()
        self.spool_dir = self.folder / "spool"
        id = self.db.value("SELECT value FROM {meta} WHERE name = 'database_id'")
        product.mark_folder(str(self.spool_dir), ".jobs-spool", id, "[spool] dir")
        self.result: dict = {}
        self.samples: list[dict] = []
        self.statements: list[str] = []         # of the last run, in our notation
        self.on_statement = None                # called with each of them, just before it runs
        self.is_new = True                      # no run was here yet
        # what a purge keeps is what its last run kept (product.known_rules)
        self.knows_rules = True
        self.timeout = 5.0                      # seconds that a run waits for another writer
        self._numbers = itertools.count(1)
        self.config()

    # Time

    def ago(self, **span) -> datetime:
        """So long before now: `ago(days=7, seconds=1)`."""
        return self.now - timedelta(**span)

    def ahead(self, **span) -> datetime:
        """So long after now."""
        return self.now + timedelta(**span)

    def was_looked_at(self) -> None:
        """The clock was found right just now, whatever rows of `job_runs` a test puts there."""
        self.db.upsert("meta", {"name": "accepted"}, {"value": product.clock.text(self.now)})
        self.is_new = False

    def _begin(self) -> None:
        """Before the first run: runs that a test has put there do not tell the time."""
        if self.is_new and self.db.row("SELECT id FROM {job_runs} LIMIT 1"):
            self.was_looked_at()
        self.is_new = False

    # Rows and files

    def table(self, name: str, rows: list[dict]) -> list[int]:
        """Insert rows; columns without a default get something harmless if left out. Their ids."""
        with self.db.transaction():
            return [self.db.insert(name, **{**self._filling(name), **row}) for row in rows]

    def bulk(self, name: str, rows: list[dict]) -> None:
        """The same for many rows that all have the same columns."""
        filled = [{**self._filling(name), **row} for row in rows]
        databases.bulk(self.db, name, list(filled[0]), [tuple(row.values()) for row in filled])

    def ids(self, name: str, where: str = "1 = 1") -> list[int]:
        """What is left, in order."""
        return [row["id"] for row in self.db.query(f"SELECT id FROM {{{name}}} WHERE {where} "
                                                   "ORDER BY id")]

    def rows(self, name: str) -> list[dict]:
        """All of a table, in order of its first column."""
        return self.db.query(f"SELECT * FROM {{{name}}} ORDER BY 1")

    def column(self, name: str, column: str = "status") -> list:
        """That column of all of a table, in the same order."""
        return [row[column] for row in self.rows(name)]

    def spool(self, name: str, content: bytes = b"Subject: hello\r\n\r\nhello\r\n") -> Path:
        """A raw message in the spool, as `raw_path` names it."""
        path = self.spool_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def spooled(self) -> list[str]:
        """The names of all messages in the spool."""
        return sorted(str(path.relative_to(self.spool_dir)) for path in self.spool_dir.rglob("*")
                      if path.is_file() and not path.name.startswith("."))

    def _filling(self, name: str) -> dict:
        number = next(self._numbers)
        by_type = {"now": self.now, "time": self.now, "ref": 1, "int": 0, "word": "none",
                   "hash": f"{number:064x}", "address": f"someone{number}@example.org",
                   "path": f"message-{number}.eml", "date": self.now.date(),
                   "label": f"label-{number}", "line": f"https://example.org/{number}"}
        return {column.name: by_type[column.type] for column in product.table(name).columns
                if not column.null and column.type in by_type
                and (column.default is product.NO_DEFAULT or column.type == "now")}

    # Runs

    def config(self, **sections: dict) -> None:
        """Write config.ini: `config(mail={"per_hour": "off"}, purge_sessions={"idle": "1h"})`."""
        standard = {"core": {"database": self.url, "state_dir": "state", "log_dir": "log"},
                    "spool": {"dir": "spool"}}
        for name, options in (*self._names.items(), *sections.items()):
            standard.setdefault(name, {}).update(options)
        (self.folder / "config.ini").write_text(ini(standard))
        self._config = product.load(None, beside=str(self.folder), environ={})

    def run(self, job, **how) -> dict:
        """Run a job that has to succeed. Its counts."""
        result = self.attempt(job, **how)
        assert result["status"] in ("ok", "partial"), result["error"] or result["stop_reason"]
        return result["counts"]

    def fails(self, job, **how) -> str:
        """Run a job that has to fail; what it says."""
        result = self.attempt(job, **how)
        assert result["status"] == "failed", result
        return result["error"]

    def attempt(self, job, *, limit=None, dry_run=False, yes=False, slot=None, **options) -> dict:
        """Run a job, by its name or as a Job, with options as by `--set`; its outcome."""
        if isinstance(job, str):
            job = product.catalogue.load(job)
        self._begin()
        given = self._config.with_overrides([f"{name}={value}" for name,
                                             value in options.items()], job)
        self.statements = []
        request = product.runner.Request("scheduled" if slot else "manual", slot, limit, dry_run,
                                         yes, None)
        with self._session(-1, given, self.knows_rules) as session:
            self.result = product.runner.run(session, job, request)
        heard, self.samples = session.ports.heard, session.console.samples
        if job.tables and not adopted.is_probe(heard):
            unsaid = adopted.works_on(heard) - adopted.declared(job)
            assert not unsaid, f"{job.name} works on {sorted(unsaid)}, missing from its `tables`"
        return self.result

    @contextmanager
    def _session(self, verbosity: int, config, knows_rules: bool = False):
        """What a run or a command works with."""
        ports = _Ports(config, self)
        try:
            with product.known_rules() if knows_rules else nullcontext():
                yield Session(config, ports, Console(verbosity))
        finally:
            ports.close()

    def meanwhile(self, part: str, act, number: int = 1) -> None:
        """Let something happen once, just before the next statement of that number with this in
        its SQL: SQL on a connection of its own, or a function. "BEGIN": as a transaction begins."""
        left = [number]

        def hear(sql: str, _values: dict) -> None:
            left[0] -= sql.startswith(("BEGIN", "START")) if part == "BEGIN" else part in sql
            if not left[0]:
                self.on_statement = None
                act() if callable(act) else self.elsewhere(act)
        self.on_statement = hear

    def elsewhere(self, *statements: str) -> None:
        """Do this on a connection of its own, as the app does; `:now` is the time."""
        other = product.connect(self.url)
        for sql in statements:
            other.execute(sql, now=self.now)
        other.close()

    def command(self, *words: str, code: int | None = 0) -> str:
        """Run a command in this process, as `jobs.py WORDS`; what it prints, errors too. It has to
        end with that code; None: any."""
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed), self._session(
                0, self._config) as session:
            found = product.dispatch(list(words), lambda _: session, None)
        assert code in (None, found), printed.getvalue()
        return printed.getvalue()

    def json(self, *words, code: int | None = 0):
        """What it prints as JSON."""
        return json.loads(self.command(*map(str, words), "--json", code=code))

    def tick(self, budget: float = 3600.0) -> dict[str, dict]:
        """Run what is due, as cron does each minute: {job: the outcome of its last run}."""
        self._begin()
        with self._session(-1, self._config, self.knows_rules) as session:
            results, _ = product.run_due.tick(session, timedelta(seconds=budget))
        return {result["job"]: result for result in results}

    def second_host(self) -> Bench:
        """Another installation on this database and spool, with its own locks, log and clock."""
        other = copy.copy(self)
        other.folder = self.folder / "second"
        other.folder.mkdir()
        other.clock, other.on_statement = Clock(), None
        other.config(core={"state_dir": "state"}, spool={"dir": self.spool_dir})
        return other

    def events(self, job: str) -> list[dict]:
        """The log of a job, a dict a line."""
        return [json.loads(line) for line in (self.folder / "log"
                                              / f"{job}.log").read_text().splitlines()]


class Clock:
    """Seconds pass when somebody sleeps, and `step` more at each look."""

    def __init__(self) -> None:
        self.seconds, self.step = 1000.0, 0.0

    def monotonic(self) -> float:
        self.seconds += self.step
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Outbox(list):
    """A transport that keeps what it gets. `answer(envelope)`, if set, returns another Result."""

    answer = None

    def send(self, envelope, message, deadline, item_id) -> Result:
        result = self.answer(envelope) if self.answer else Result("sent", 250, "2.0.0", "taken")
        if message.path is not IN_MEMORY and not os.path.exists(message.path):
            # as real transports say
            return Result("final", None, "", "the stored message is missing")
        if result.outcome == "sent":
            raw = message.head + (b"" if message.path is IN_MEMORY
                                  else Path(message.path).read_bytes())
            self.append(Mail(envelope.sender, envelope.recipient, raw, item_id))
        return result

    def close(self) -> None:
        """Nothing is open."""


class Web(list):
    """The web keeps its requests. `answer(request)`, if set, returns another Response, or later."""

    answer = None

    def post(self, request) -> Response:
        self.append(request)
        return self.answer(request) if self.answer else Response("answered", 204)


class Zone(product.OneByOne, dict):
    """What is in DNS: {(name, type): records as in ports/outcomes.py, or an Answer}; `asked`
    keeps the questions.

    A name of which nothing is known, nor of one below it, is not there; `down` answers everything.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list = []
        self.down: Answer | None = None
        self.on_question = None                 # called with each name and type, before the answer

    def look_up(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        if self.on_question:
            self.on_question(name, kind)
        if found := self.down or self.get((name, kind)):
            return found if isinstance(found, Answer) else Answer("found", tuple(found))
        is_above = any(known.endswith(name) for known, _ in self)
        return Answer("nodata" if is_above else "nxdomain")


class _Ports(Ports):
    """Real ports but for the clock, mail, HTTP and the resolver."""

    def __init__(self, given, bench: Bench) -> None:
        super().__init__(given)
        self._bench = bench
        self.heard: set = set()                 # the statements of this run alone
        self.now = lambda: bench.now
        self.monotonic, self.sleep = bench.clock.monotonic, bench.clock.sleep
        self.mail, self.http = lambda _: bench.outbox, lambda _: bench.web
        self.dns = lambda _: bench.dns

    def connect(self, **how):
        """A real connection with an ear on its statements."""
        db = super().connect(**{"timeout": self._bench.timeout, **how})
        databases.listen(db, self._hear)
        return db

    def _hear(self, sql: str, values: dict) -> None:
        self.heard.add(sql)
        self._bench.statements.append(sql)
        if self._bench.on_statement:
            self._bench.on_statement(sql, values)
