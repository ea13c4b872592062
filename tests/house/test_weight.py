"""A run that finds nothing to do loads little: no module on its way imports something heavy at its
start."""
from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import pytest

from jobs_lib import catalogue, clock, schedule
from jobs_lib.database.connection import connect
from tests.benchmarks import tick
from tests.house.source import ROOT, is_in
from tests.support.shell import Shell

HEAVY = ("ssl", "smtplib", "email", "dns", "asyncio", "http", "urllib.request", "logging",
         "dataclasses", "typing", "tempfile", "subprocess", "argparse", "configparser", "json",
         "zoneinfo", "pathlib", "inspect", "enum", "re", "decimal", "uuid", "random", "shutil",
         "pymysql", "dotenv", "multiprocessing", "concurrent", "threading")


def let_no_slot_pass(db, jobs) -> None:
    """The next one of each, which may be a moment away, does not count."""
    for job in jobs:
        db.upsert("job_state", {"job": job.name},
                  {"due_after": schedule.following(schedule.parse(job.schedule), clock.now())})


@pytest.fixture
def idle(tmp_path):
    """A migrated installation with nothing due, and a function that runs Python code on it."""
    (tmp_path / "config.ini").write_text("[core]\ndatabase = sqlite:///jobs.db\n")

    def run(code: str) -> str:
        # -S: no site-packages, whose .pth files may import anything.
        done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True,
                              text=True, env={"PATH": os.environ["PATH"],
                                              "JOBS_CONFIG": str(tmp_path / "config.ini")})
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("from jobs_lib.cli.main import main; raise SystemExit(main(['migrate']))")
    with closing(connect(f"sqlite:///{tmp_path}/jobs.db")) as db:
        let_no_slot_pass(db, catalogue.load_all())
    return run


def test_an_idle_run_loads_nothing_heavy(idle):         # R10
    loaded = idle("import sys; from jobs_lib.cli.main import main; code = main(['run-due']);"
                  "print(*sys.modules); sys.exit(code)").split()
    assert [name for name in HEAVY if name in loaded] == []
    # nor any other command
    assert sorted(name for name in loaded if is_in(name, "jobs_lib.commands")) == [
        "jobs_lib.commands", "jobs_lib.commands.run_due"]
    # nor the world outside, nor what works on anything
    assert [name for name in loaded if any(is_in(name, f"jobs_lib.{package}") for package in
                                           ("ports", "features", "monitoring"))] == []


# An ordinary tick (tests/benchmarks/tick.py): six jobs, none with anything to do, and what they
# do without, though the runner needs some of HEAVY.
MODULES, STATEMENTS = 122, 113
WORK = {"json", "re", "enum", "signal", "argparse", "hashlib", "email", "smtplib", "ssl", "typing",
        "logging", "urllib", "ipaddress", "unicodedata", "jobs_lib.ports.mail",
        "jobs_lib.ports.http", "jobs_lib.engines.queue", "jobs_lib.monitoring.publish"}
COUNTED = """
import sys
from contextlib import closing
from jobs_lib.database.connection import Database
statements, run = [], Database._run
Database._run = lambda db, sql, *rest, **more: statements.append(sql) or run(db, sql, *rest, **more)
from jobs_lib.cli.main import main
code = main(["run-due"])
print(len(statements), *sys.modules)
sys.exit(code)
"""


def test_an_ordinary_tick_stays_small(tmp_path):        # R10
    service = Shell(tmp_path, f"sqlite:///{tmp_path}/jobs.db")
    often = tick.make_history(service)
    let_no_slot_pass(service.db, [job for job in catalogue.load_all() if job.name not in often])
    service.close()
    newest = tick.make_due(f"{tmp_path}/jobs.db", often)
    done = subprocess.run([sys.executable, "-S", "-c", COUNTED], cwd=ROOT, capture_output=True,
                          text=True, env={"JOBS_CONFIG": str(tmp_path / "config.ini")})
    assert done.returncode == 0, done.stderr
    tick.check(f"{tmp_path}/jobs.db", often, newest)
    statements, *loaded = done.stdout.split()
    assert int(statements) <= STATEMENTS
    assert len([name for name in loaded if is_in(name, "jobs_lib")]) <= MODULES, loaded
    assert WORK & {*loaded} == set()
