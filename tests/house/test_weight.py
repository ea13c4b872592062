"""A run that finds nothing to do loads little: no module on its way imports something heavy at its
start."""
from __future__ import annotations

import subprocess
import sys

from jobs_lib import catalogue, clock, schedule
from tests.benchmarks import tick
from tests.house.source import ROOT, is_in
from tests.support.shell import Shell

HEAVY = {"ssl", "smtplib", "email", "dns", "asyncio", "http", "urllib.request", "logging",
         "dataclasses", "typing", "tempfile", "subprocess", "argparse", "configparser", "json",
         "zoneinfo", "pathlib", "inspect", "enum", "re", "decimal", "uuid", "random", "shutil",
         "pymysql", "dotenv", "multiprocessing", "concurrent", "threading"}
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


def run_due(folder) -> list[str]:
    """The number of statements and the modules of a tick without site-packages, whose .pth files
    may import anything."""
    done = subprocess.run([sys.executable, "-S", "-c", COUNTED], cwd=ROOT, capture_output=True,
                          text=True, env={"JOBS_CONFIG": f"{folder}/config.ini"})
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def let_no_slot_pass(service: Shell, names) -> None:
    """The next one of each, which may be a moment away, does not count. The installation is left
    alone, as on a host."""
    for name in names:
        parsed = schedule.parse(catalogue.load(name).schedule)
        service.known(name, since=schedule.following(parsed, clock.now()))
    service.close()


def test_an_ordinary_tick_stays_small_and_an_idle_one_loads_nothing_heavy(tmp_path):    # R10
    path = f"{tmp_path}/jobs.db"
    service = Shell(tmp_path, f"sqlite:///{path}")
    often = tick.make_history(service)
    let_no_slot_pass(service, {*catalogue.names()} - {*often})
    newest = tick.make_due(path, often)
    statements, *loaded = run_due(tmp_path)
    tick.check(path, often, newest)
    assert int(statements) <= STATEMENTS
    assert len([name for name in loaded if is_in(name, "jobs_lib")]) <= MODULES, loaded
    assert WORK & {*loaded} == set()

    let_no_slot_pass(Shell(tmp_path, service.url), often)
    _, *loaded = run_due(tmp_path)
    assert HEAVY & {*loaded} == set()
    # nor any other command, nor the world outside, nor what works on anything
    assert {name for name in loaded if is_in(name, "jobs_lib.commands")} == {
        "jobs_lib.commands", "jobs_lib.commands.run_due"}
    assert [name for name in loaded if any(is_in(name, f"jobs_lib.{package}") for package in
                                           ("ports", "features", "monitoring"))] == []
