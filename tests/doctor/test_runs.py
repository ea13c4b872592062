"""The runs area: what killed the last runs, and the budget that would have spared them."""
from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.database.connection import connect
from jobs_lib.runner import history, locks
from tests.support.doctor_bench import DoctorBench

NOW = clock.now()


def died(installed, *seconds: int, memory: int | None = None, status: str = "vanished",
         **values) -> None:
    """Runs that gave their last sign of life this long after their start."""
    for number, lived in enumerate(seconds, 1):
        started = NOW - timedelta(hours=number)
        installed.db.insert("job_runs", **{
            "run_id": os.urandom(8).hex(), "job": "retry_forwards", "status": status,
            "started_at": started,
            "heartbeat_at": started + timedelta(seconds=lived), "host": "here", "pid": 100 + number,
            "progress": memory and json.dumps({"done": 1, "memory_mb": memory}), **values})


def test_where_none_died_all_is_well(installed):
    assert installed.found("runs") == []


def test_runs_that_died_after_the_same_time_lead_to_a_budget(installed):
    died(installed, 118, 121, 120, memory=64)
    found = installed.one("runs", "killed runs (retry_forwards (3)) died after 118-121 s, holding "
                          "64 MB at most")
    assert (found.level, found.fix.split("\n")[1:]) == ("warning", ["  [core]", "  budget = 80s"])


def test_a_budget_that_ends_before_they_died_is_not_proposed_again(lite):
    died(lite, 118, 121)
    lite.configure("core", budget="80s")
    assert lite.one("runs", "The last 2 killed runs").level == "note"


def test_one_alone_may_be_chance(lite):
    died(lite, 118)
    assert lite.one("runs", "The last killed run (retry_forwards) died after 118 s").level == "note"


def test_runs_that_died_at_odd_times_point_to_memory(lite):
    died(lite, 20, 200, memory=250)
    found = lite.one("runs", "20-200 s, holding 250 MB")
    assert (found.level, found.fix.split("\n")[1:]) == ("warning",
                                                         ["  [core]", "  memory = 250MB"])


def test_the_time_counts_from_the_start_of_the_process(lite):
    """`run-due` had used it for other jobs before."""
    for number in (1, 2):
        began = NOW - timedelta(hours=number)
        for job, ago, status in (("purge_sessions", 0, "ok"), ("retry_forwards", 100, "vanished")):
            lite.db.insert("job_runs", run_id=os.urandom(8).hex(), job=job, status=status,
                           host="here", pid=7 + number, started_at=began + timedelta(seconds=ago),
                           heartbeat_at=began + timedelta(seconds=110))
    assert "  budget = 80s" in lite.one("runs", "died after 110 s").fix


@pytest.mark.parametrize("days, reported", [(13, True), (15, False)])
def test_only_the_last_two_weeks_count(lite, days, reported):
    died(lite, 118, started_at=NOW - timedelta(days=days), heartbeat_at=NOW - timedelta(days=days))
    assert bool(lite.found("runs")) == reported


def test_runs_that_hung_are_reported(lite):
    died(lite, 270, status="timeout")
    assert "retry_forwards (1)" in lite.one("runs", "hung and were ended by force").what


# Locks

@contextmanager
def holding(code: str, *words: str):
    """Another program that does this, says so, and holds on; its process id."""
    code = f"import sys, time\n{code}\nprint('held', flush=True)\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE,
                               text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def locking(path, how: str = "LOCK_EX"):
    code = ("import fcntl, os\nfile = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
            f"fcntl.flock(file, fcntl.{how})")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return holding(code, str(path))


@pytest.mark.parametrize("name", ["retry_forwards", "run-due"])
@pytest.mark.parametrize("how", ["LOCK_EX", "LOCK_SH"])
# R71, R69
def test_a_lock_file_that_a_stranger_holds_is_named_with_its_holder(installed, name, how):
    with locking(installed.folder / "state" / "locks" / f"{name}.lock", how) as pid:
        found = installed.one("runs", f"The lock of {name} is held by process {pid} (python")
        assert found.level == "problem"
        assert [f"  ps -fp {pid}", f"  kill {pid}"] == found.fix.split("\n")[1:]
    assert installed.found("runs") == []


def test_a_lock_file_that_is_not_used_is_nothing(installed):
    installed.configure("core", lock="database")
    if not installed.db.dialect.named_locks:
        installed.configure("core", lock="file")
        installed.db.insert("job_runs", **living("retry_forwards"))
    with locking(installed.folder / "state" / "locks" / "retry_forwards.lock"):
        assert installed.found("runs") == []


def living(job: str, pid: int | None = None) -> dict:
    """The row of a run that works; by default of this process."""
    return {"run_id": os.urandom(8).hex(), "job": job, "status": "running", "started_at": NOW,
            "heartbeat_at": NOW, "host": history.host(), "pid": pid or os.getpid(),
            "lease_until": clock.now() + timedelta(minutes=5)}


def test_the_lock_of_a_run_that_lives_is_in_order_and_that_of_a_dead_one_is_not(installed):
    with locking(installed.folder / "state" / "locks" / "retry_forwards.lock") as pid:
        installed.db.insert("job_runs", **living("retry_forwards"))
        assert installed.found("runs") == []
        installed.db.execute("UPDATE {job_runs} SET pid = :gone", gone=2 ** 22 + 1)
        assert f"process {pid}" in installed.one("runs", "no run of ours lives").what


def test_a_tick_that_is_at_work_is_no_stranger(lite):
    """Its process runs this jobs.py, though no row says so."""
    (lite.folder / "jobs.py").write_text(
        "import fcntl, os, sys, time\nfile = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(60)\n")
    lite.script = str(lite.folder / "jobs.py")
    path = lite.folder / "state" / "locks" / "run-due.lock"
    path.parent.mkdir(exist_ok=True)
    process = subprocess.Popen([sys.executable, "jobs.py", str(path)], cwd=lite.folder,
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert lite.found("runs") == []
    finally:
        process.kill()
        process.communicate()


# R71
def test_a_lock_in_the_database_that_a_stranger_holds_is_named(tmp_path, pool, mariadb):
    installed = DoctorBench(tmp_path, pool.mariadb(mariadb))
    installed.configure("core", lock="database")
    name = locks.database_name(installed.db, "/retry_forwards")
    with closing(connect(installed.url)) as other:
        assert other.value("SELECT GET_LOCK(:name, 0)", name=name) == 1
        number = other.value("SELECT CONNECTION_ID()")
        found = installed.one("runs",
                           f"The lock of retry_forwards is held by connection {number} of user ")
        assert found.level == "problem"
        assert found.fix.split("\n")[-1] == f"  KILL {number};"
        installed.db.insert("job_runs", **living("retry_forwards"))
        assert installed.found("runs") == []
    installed.db.close()
    pool.give_back(mariadb, installed.url)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_stranger_who_holds_the_sqlite_file_is_named(lite, mode):                         # R69
    path = lite.folder / "jobs.db"
    lite.db.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
    with holding("import sqlite3\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                 "db.execute('BEGIN IMMEDIATE')", str(path)) as pid:
        found = next(each for each in lite.found("database")
                     if f"The database is held by process {pid} (python" in each.what)
        assert (found.level, found.fix.split("\n")[1:]) == ("warning",
                                                             [f"  ps -fp {pid}", f"  kill {pid}"])
