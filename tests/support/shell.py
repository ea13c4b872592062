"""`Shell`: an installation in a temporary folder, used as by cron and an operator: real
processes, real files.

    shell("list")                            `jobs.py list` to its end: .code .out .err .seconds
    shell.run("status")                      the same, which has to end with 0: what it prints
    shell.job("retry_forwards")              a run of a job: its outcome
    shell.start("retry_forwards")            a process at work
    shell.start(..., kill=at_sql("COMMIT", 2))    one that SIGKILL ends at that point
    shell.on_terminal("status")              the lines that a person sees

Nothing of the tests' own environment is seen by what it starts. With `odd_jobs` the jobs are those
of tests/support/odd_jobs/, which sleep, hang, fail or count, in place of the real ones.
"""
from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path

from tests.support import product
from tests.support.db import Client
from tests.support.product import clock

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "tests" / "support" / "launch.py"
ODD_JOBS = ROOT / "tests" / "support" / "odd_jobs"
HERE_ONLY = {".git", ".hypothesis", "tests", "vendor", "dist", "var", "demo", "config.ini", ".env"}
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
CRONTAB = """#!/bin/sh
case $1 in
-l) [ -e {table} ] && exec cat {table}; echo "no crontab for me" >&2; exit 1 ;;
-) cat >{table}.new && mv {table}.new {table} ;;
esac
"""
# What a test's process meets (tests/support/launch.py).
STEPS = ("now", "kill", "terminate", "alarm", "bug", "peak", "small")
OF_POPEN = ("stdin", "stdout", "stderr", "start_new_session", "preexec_fn")
CONTENT = (b"Received: from shop.example by alias.example; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
           b"From: Shop <orders@shop.example>\r\nTo: box@alias.example\r\nMessage-ID: "
           b"<%s@shop.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nSubject: Order "
           b"%s\r\n\r\nThank you.\r\n.\r\n..dots\r\n")


class Ended(namedtuple("Ended", "code out err")):
    """How a process ended; `seconds` is how long it took."""

    seconds = 0.0


def at_sql(part: str, number: int = 1) -> str:
    """For `kill`, `terminate` or `alarm`: just before the statement with this in its SQL, at its
    occurrence of that number."""
    return f"sql:{number}:{part}"


class Shell:
    """config.ini, database, spool, state and log in one folder; `url` may be shared with another
    one (a second host).

    url     of the database; without one there is no config.ini, until `ini` writes it
    script  what is started, jobs.py of this checkout if nothing else is said
    sections  {section: {option: value}}, added to a configuration that can send to this machine
    """

    def __init__(self, folder, url: str | None = None, script: Path = ROOT / "jobs.py",
                 **sections: dict) -> None:
        self.folder, self.url, self.script = Path(folder), url, script
        self.spool = self.folder / "spool"
        self.odd_jobs = False
        self.sections: dict = {}
        self._started: list[subprocess.Popen] = []
        self.small: str | None = None           # SMALL of launch.py for all that it starts
        if url:
            self.sections = {"core": {"database": url, "state_dir": "state", "log_dir": "log"},
                             "spool": {"dir": "spool"},
                             "mail": {"host": "127.0.0.1", "security": "none",
                                      "domain": "service.example", "per_hour": "off"}}
            for name, options in sections.items():
                self.sections.setdefault(name, {}).update(options)
            self.configure()
            # one of its own takes ten times as long: tests/runner/test_settling_in.py
            product.install(self.folder)

    @classmethod
    def with_odd_jobs(cls, folder, url: str, **core: str) -> Shell:
        """One whose database has its tables, with [core] alone and the odd jobs."""
        made = cls(folder)
        made.url, made.odd_jobs = url, True
        made.folder.mkdir(parents=True, exist_ok=True)
        # a test's time is not its server's
        made.configure(**{"database": url, "state_dir": "state", "log_dir": "log",
                          "max_clock_jump": "off", **core})
        return made

    @cached_property
    def db(self):
        """A connection of the test's own."""
        return Client(self.url)

    def close(self) -> None:
        """End what still runs, as after a test that failed half-way."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if "db" in vars(self):
            self.db.close()

    def configure(self, section: str = "core", **options) -> None:
        """Write config.ini with these options changed; `None` takes one out."""
        merged = {**self.sections.get(section, {}), **options}
        self.sections[section] = {name: value for name, value in merged.items()
                                  if value is not None}
        self.ini(ini(self.sections))

    def ini(self, text: str) -> Path:
        """Write config.ini as it is given."""
        path = self.folder / "config.ini"
        path.write_text(text, encoding="utf-8")
        return path

    # Processes

    def start(self, *words: str, **how) -> subprocess.Popen:
        """Start `jobs.py WORDS` and return the process. `how`: the STEPS of launch.py, which see,
        arguments of Popen, words `before` Python and its `options`, and variables of the
        environment."""
        before, options = how.pop("before", ()), how.pop("options", ())
        steps = {f"LAUNCH_{name.upper()}": how.pop(name, None) for name in STEPS}
        steps["LAUNCH_SMALL"] = steps["LAUNCH_SMALL"] or self.small
        program = LAUNCH if self.odd_jobs or any(steps.values()) else self.script
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                 **{name: how.pop(name) for name in OF_POPEN if name in how}}
        environment = {**self.environment(), **steps, **how}
        process = subprocess.Popen(
            [*before, sys.executable, *options, program, *words], cwd=self.folder, text=True,
            encoding="utf-8",
            env={name: value for name, value in environment.items() if value is not None}, **given)
        self._started.append(process)
        return process

    def __call__(self, *words: str, timeout: float = 120, **how) -> Ended:
        """Run `jobs.py WORDS` to its end, however it ends."""
        began = time.monotonic()
        return ended(self.start(*words, **how), began, timeout)

    def run(self, *words: str, code: int | None = 0, **how) -> str:
        """Run `jobs.py WORDS`, which has to end with that code, or any if None. What it prints."""
        done = self(*words, **how)
        assert code in (None, done.code), f"{words} ended with {done.code}: {done.out}{done.err}"
        return done.out

    def json(self, *words: str, code: int | None = 0, **how):
        """What it prints as JSON."""
        return json.loads(self.run(*words, "--json", code=code, **how))

    job = json          # of a job it is the run's outcome

    def on_terminal(self, *words: str, columns: int = 80, **environment: str) -> list[str]:
        """The lines that a person sees, on a terminal; without colours, unless NO_COLOR is "" in
        the environment."""
        seen = on_terminal([sys.executable, self.script, *words], self.folder, {
            **self.environment(), "TERM": "vt100", "NO_COLOR": "1", "COLUMNS": str(columns),
            **environment})
        return seen.replace("\r\n", "\n").rstrip("\n").split("\n")

    def environment(self) -> dict:
        """What every process of it sees."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONDONTWRITEBYTECODE")
                if name in os.environ}
        config = self.folder / "config.ini"
        return {**kept, "HOME": "/nonexistent",
                **({"JOBS_CONFIG": str(config)} if config.exists() else {}),
                **({"LAUNCH_ODD_JOBS": "1"} if self.odd_jobs else {})}

    # What is there afterwards

    def runs(self, job: str | None = None) -> list[dict]:
        """All runs, or those of one job, oldest first."""
        return self.db.query("SELECT * FROM {job_runs} WHERE job = COALESCE(:job, job) ORDER BY id",
                             job=job)

    def outcomes(self, job: str | None = None) -> list[str]:
        """How the runs ended, oldest first."""
        return [row["status"] for row in self.runs(job)]

    def statuses(self, table: str = "failed_emails") -> dict[str, int]:
        """{status: number of rows}."""
        rows = self.db.query(f"SELECT status, COUNT(*) AS n FROM {{{table}}} GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def events(self, job: str) -> list[dict]:
        """The events of a job's log."""
        path = self.folder / "log" / f"{job}.log"
        return [json.loads(line)
                for line in path.read_text().split("\n")[:-1]] if path.exists() else []

    def dug(self) -> int:
        """How many items the odd job `dig` has done: each row is one."""
        return self.db.value("SELECT COUNT(*) FROM {usage_events}")

    def wait(self, sql: str, **values):
        """Until the query has an answer; that."""
        return until(lambda: self.db.value(sql, **values))

    def working(self, job: str) -> dict:
        """Wait until a run of the job works; its row."""
        return until(lambda: self.db.row("SELECT * FROM {job_runs} WHERE job = :job AND "
                                         "status = 'running'", job=job))

    def digging(self, *words: str, pause: int = 50) -> subprocess.Popen:
        """The odd job `dig` at work, which will not come to its end."""
        process = self.start("dig", "--set", "items=100000", "--set", f"pause={pause}", *words)
        self.working("dig")
        return process

    # What is there before

    def enable(self, *jobs: str, since: datetime | None = LONG_AGO, **options: str) -> None:
        """Switch jobs on, with these options each, installed at that time: later slots count."""
        for job in jobs:
            self.configure(job, **{"enabled": "yes", **options})
        self.known(*jobs, since=since)

    def own_crontab(self) -> Path:
        """A `crontab` program of its own in `bin`; the file of its table."""
        folder, table = self.folder / "bin", self.folder / "crontab"
        folder.mkdir()
        (folder / "crontab").write_text(CRONTAB.format(table=table))
        (folder / "crontab").chmod(0o755)
        return table

    def knows_rules(self, *jobs: str) -> None:
        """What the jobs keep is no shorter than what they kept last."""
        options = ("keep", "idle", "keep_used", "keep_attempts", "keep_released", "keep_critical",
                   "remove_after", "store")
        self.known(*jobs, last_options=json.dumps({"options": dict.fromkeys(options, 0)}))

    def known(self, *jobs: str, since: datetime | None = LONG_AGO, **columns) -> None:
        """The jobs were installed at that time: later slots count."""
        for job in jobs:
            self.db.upsert("job_state", {"job": job}, {"due_after": since, **columns})

    def began(self, job: str, slot: datetime, /, status: str = "ok",
              ago: timedelta = timedelta(0), **values) -> None:
        """A run of the past, begun at its slot unless told otherwise."""
        started = slot + ago
        self.db.insert("job_runs", **{
            "run_id": os.urandom(8).hex(), "job": job, "slot": slot, "trigger_type": "scheduled",
            "status": status,
            "started_at": started, "finished_at": started, "duration_ms": 100, **values})

    def owner(self, **values) -> dict:
        """A user with an alias and a destination: their ids."""
        now = clock.now()
        user = self.db.insert("users", **{"email": "owner@home.example", "name": "Jo",
                                          "created_at": now, **values})
        alias = self.db.insert("aliases", user_id=user, address=f"box{user}@alias.example",
                               created_at=now)
        destination = self.db.insert("destinations", user_id=user, email="owner@home.example",
                                     created_at=now)
        return {"user_id": user, "alias_id": alias, "destination_id": destination}

    def forwards(self, number: int, content: bytes = CONTENT, **values) -> list[int]:
        """Failed forwards, due now unless `values` say otherwise; each with its file. Their ids."""
        owner = self.owner() if "user_id" not in values else {}
        ids = []
        with self.db.transaction():
            for _ in range(number):
                name = os.urandom(6).hex()
                (self.spool / name).write_bytes(content.replace(b"%s", name.encode()))
                ids.append(self.db.insert("failed_emails", **{
                    **owner, "envelope_from": "orders@shop.example",
                    "envelope_to": "owner@home.example",
                    "raw_path": name, "created_at": clock.now() - timedelta(hours=2), **values}))
        return ids

    def notices(self, number: int) -> None:
        """Notices to one owner, each to an address of its own, due since an hour ago."""
        owner, then = self.owner()["user_id"], clock.now() - timedelta(hours=1)
        self.db.insert_all("notifications", [
            {"user_id": owner, "kind": "app_own", "to_email": f"o{at}@home.example",
             "subject": "Hello", "body_text": "x\n", "created_at": then} for at in range(number)])


def ini(sections: dict) -> str:
    """The text of a config.ini with these sections and options."""
    return "".join(f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value
                                           in options.items())
                   for name, options in sections.items() if options)


def on_terminal(command: list, folder: Path, environment: dict, answers=(), code=None) -> str:
    """What is seen of a command on a terminal, with one of the answers typed at each question. It
    has to end with that code; None: any."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs,
                               stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen, answers = b"", [*answers]
    with suppress(OSError):                     # the other end is closed: Linux says EIO
        while part := os.read(ours, 65536):
            seen += part
            # not before the question: getpass throws away what was typed before it
            if answers and seen.endswith((b": ", b"] ")):
                os.write(ours, answers.pop(0).encode() + b"\n")
    os.close(ours)
    assert code in (None, process.wait(60)), seen
    return seen.decode()


def ended(process: subprocess.Popen, began: float, timeout: float = 120) -> Ended:
    """The end of a process; one that does not end fails the test."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    done = Ended(process.returncode, out, err)
    done.seconds = time.monotonic() - began
    return done


def killed(process: subprocess.Popen) -> None:
    """It ends by SIGKILL."""
    process.kill()
    process.communicate()


def is_killed(work) -> bool:
    """Whether a process that does it was killed; one that ends by itself has to end well, which
    `work` says. It opens connections of its own."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(not work())
        finally:
            os._exit(70)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


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


def copy_program(folder: Path) -> None:
    """The program without its tests, and without what only this working copy has."""
    def left_out(where: str, names: list[str]) -> set[str]:
        here = {name for name in names if name in HERE_ONLY or name.startswith(".venv")
                or name.endswith("_cache")}
        return {"__pycache__"} | (here if Path(where) == ROOT else set())
    shutil.copytree(ROOT, folder, ignore=left_out)
