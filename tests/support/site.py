"""`Site`: an installation whose jobs sleep, hang, fail or count (odd_jobs/), run as real processes.

    site.run("dig", "--set", "items=3")      a process to its end: .code .out .err
    site.start("dig")                        a process at work
    site.runs("dig")                         its rows in job_runs, oldest first
    site.events("dig")                       the lines of its log
    site.dug()                               the items that were done: each row is one
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jobs_lib import clock
from jobs_lib.commands import run_due
from jobs_lib.config import loader
from jobs_lib.database.connection import connect
from jobs_lib.database.schema.migrations import migrate
from jobs_lib.database.schema.tables import tables
from jobs_lib.output.console import Console
from jobs_lib.runner import shares
from jobs_lib.runner.resources import Ports, Session

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "tests" / "support" / "launch.py"
ODD_JOBS = ROOT / "tests" / "support" / "odd_jobs"
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
Ended = namedtuple("Ended", "code out err seconds")


class Site:
    """One folder with config.ini, state and log; `url` may be shared with another site (a second
    host)."""

    def __init__(self, folder, url: str, **core: str) -> None:
        self.folder, self.url = Path(folder), url
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sections: dict = {"core": {"database": url, "state_dir": "state", "log_dir": "log",
                                        # a test's time is not its server's
                                        "max_clock_jump": "off", **core}}
        self.configure()
        self.db = connect(url)
        self._started: list[subprocess.Popen] = []

    def configure(self, section: str = "core", **options: str) -> None:
        """Write config.ini with these options changed; `None` takes one out."""
        merged = {**self.sections.get(section, {}), **options}
        self.sections[section] = {name: value for name, value in merged.items()
                                  if value is not None}
        lines = [line for name, options in self.sections.items()
                 for line in (f"[{name}]", *(f"{option} = {value}" for option,
                                             value in options.items()))]
        (self.folder / "config.ini").write_text("\n".join(lines) + "\n")

    # Processes

    def start(self, *words: str, now: str | None = None, kill: str | None = None,
              terminate: str | None = None, breaks: str | None = None, small: str | None = None,
              alarm: str | None = None, bug: str | None = None, unbuffered: str = "",
              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how) -> subprocess.Popen:
        """Start `jobs.py WORDS` and return the process."""
        given = {"JOBS_CONFIG": str(self.folder / "config.ini"), "FRAME_NOW": now,
                 "FRAME_KILL": kill, "FRAME_TERM": terminate, "FRAME_BREAK": breaks,
                 "FRAME_SMALL": small, "FRAME_ALARM": alarm, "FRAME_BUG": bug,
                 "PYTHONUNBUFFERED": unbuffered}
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = subprocess.Popen([sys.executable, str(LAUNCH), *words], cwd=self.folder,
                                   text=True, stdin=subprocess.DEVNULL, stdout=stdout,
                                   stderr=stderr,
                                   env={**kept, **{name: value for name, value in given.items()
                                                   if value}}, **how)
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what still runs, as after a test that failed half-way."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.db.close()

    def run(self, *words: str, timeout: float = 60, **how) -> Ended:
        """Run `jobs.py WORDS` to its end."""
        began = time.monotonic()
        process = self.start(*words, **how)
        return ended(process, began, timeout)

    def job(self, *words: str, code: int = 0, **how) -> dict:
        """Run a job and return its outcome as `--json` tells it."""
        done = self.run(*words, "--json", **how)
        assert done.code == code, done
        return json.loads(done.out)

    # What is there afterwards

    def runs(self, job: str | None = None) -> list[dict]:
        """All runs, or those of one job, oldest first."""
        return self.db.query("SELECT * FROM {job_runs}" + (" WHERE job = :job" if job else "")
                             + " ORDER BY id", **({"job": job} if job else {}))

    def statuses(self, job: str | None = None) -> list[str]:
        """How the runs ended, oldest first."""
        return [row["status"] for row in self.runs(job)]

    def events(self, job: str) -> list[dict]:
        """The events of a job's log."""
        path = self.folder / "log" / f"{job}.log"
        return [json.loads(line)
                for line in path.read_text().split("\n")[:-1]] if path.exists() else []

    def dug(self) -> int:
        """How many items were done."""
        return self.db.value("SELECT COUNT(*) FROM {usage_events}")

    def wait(self, sql: str, seconds: float = 60, **values):
        """Until the query has an answer; that."""
        return until(lambda: self.db.value(sql, **values), seconds)

    def working(self, job: str, number: int = 1) -> dict:
        """Wait until a run of the job works; its row."""
        return until(lambda: ([row for row in self.runs(job) if row["status"] == "running"]
                              or [None])[number - 1])

    def enable(self, *jobs: str, since: datetime | None = LONG_AGO, **options: str) -> None:
        """Switch jobs on, with these options each, installed at that time: later slots count."""
        for job in jobs:
            self.configure(job, **{"enabled": "yes", **options})
        self.known(*jobs, since=since)

    def known(self, *jobs: str, since: datetime | None = LONG_AGO, **columns) -> None:
        """The jobs were installed at that time: later slots count."""
        for job in jobs:
            self.db.upsert("job_state", {"job": job}, {"due_after": since, **columns})

    def began(self, job: str, slot: datetime, status: str = "ok", ago: timedelta = timedelta(0),
              **values) -> None:
        """A run of the past, begun at its slot unless told otherwise."""
        started = slot + ago
        self.db.insert("job_runs", **{
            "run_id": os.urandom(8).hex(), "job": job, "slot": slot, "trigger_type": "scheduled",
            "status": status,
            "started_at": started, "finished_at": started, "duration_ms": 100, **values})


def ended(process: subprocess.Popen, began: float, timeout: float = 60) -> Ended:
    """The end of a process; one that does not end fails the test."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ended(process.returncode, out, err, time.monotonic() - began)


def until(look, seconds: float = 60):
    """Ask until there is an answer; what a busy machine needs is allowed for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = look()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def utc(text: str) -> datetime:
    """`2026-11-24 14:30` in UTC."""
    return clock.parse(text if len(text) > 16 else text + ":00")


class Databases:
    """Migrated databases: an SQLite file is copied, one on MariaDB is emptied and used again."""

    def __init__(self, folder) -> None:
        self._template = Path(folder) / "template.db"
        self._shared = ""
        self._close(connect(f"sqlite:///{self._template}", create=True))

    @staticmethod
    def _close(db) -> None:
        migrate(db, LONG_AGO)
        db.close()

    def sqlite(self, folder) -> str:
        """The URL of a new file in the folder."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._template, Path(folder) / "jobs.db")
        return f"sqlite:///{folder}/jobs.db"

    def mariadb(self, server) -> str:
        """The URL of the one on the server, empty."""
        if not self._shared:
            self._shared = server.database()
            self._close(connect(self._shared))
            return self._shared
        db = connect(self._shared)
        for table in tables():
            if table.name not in ("meta", "schema_migrations"):
                db.execute(f"DELETE FROM {{{table.name}}}")
        db.execute("DELETE FROM {meta} WHERE name = :name", name=shares.NAME)
        db.close()
        return self._shared


class Ticks:
    """`run-due` in this process at times that are given: hours of ticks pass in a second.

    `seconds` is the clock of the budget; it moves when a job sleeps.
    """

    def __init__(self, site: Site) -> None:
        self.site, self.seconds, self.slept, self.said = site, 1000.0, [], []

    def at(self, moment, budget: float = 240.0) -> list[tuple]:
        """A tick at that time (`utc` text or datetime): (job, how it ended, slot or None) for each
        run."""
        now = utc(moment) if isinstance(moment, str) else moment
        self.console = Console(0)
        self.console.fail = self.said.append
        settings = loader.load(None, beside=str(self.site.folder), environ={})
        ports = Ports(settings)
        began = self.seconds
        ports.now = lambda: now + timedelta(seconds=int(self.seconds - began))
        ports.monotonic, ports.sleep = lambda: self.seconds, self._sleep
        try:
            results, self.code = run_due.tick(Session(settings, ports, self.console), budget)
        finally:
            ports.close()
        return [(result["job"], result["status"], result["slot"]
                 and clock.text(result["slot"])[:16]) for result in results]

    def names(self, moment, budget: float = 240.0) -> list[str]:
        """Only which jobs ran, in their order."""
        return [job for job, _, _ in self.at(moment, budget)]

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
