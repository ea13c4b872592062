"""What keeps two runs apart: 50 at once, who holds it, what a lock file and a lock in the database
can lose."""
from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import re
import sqlite3
import time

import pytest

from tests.support.product import JobsError
from tests.support.shell import ended, killed, until

MANY = 50
WHO = re.compile(r"process (\d+) on \S+ since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


@pytest.fixture
def locked_site(request, site):
    """A site for each kind of lock."""
    if request.param == "file":
        return site
    made = request.getfixturevalue("maria_site")
    made.configure(lock=request.param)
    return made


@pytest.mark.parametrize("locked_site", ["file", "database"], indirect=True)
def test_of_50_started_at_once_one_works(locked_site):                       # R1, R12
    site, began = locked_site, time.monotonic()
    processes = [site.start("dig", "--set", "items=200", "--set", "pause=1000")
                 for _ in range(MANY)]
    until(lambda: site.outcomes("dig").count("skipped") == MANY - 1, 150)       # a busy machine
    worker = site.working("dig")
    why = [row["stop_reason"] for row in site.runs("dig")
           if (row["status"], row["slot"]) == ("skipped", None)]
    assert len(why) == MANY - 1
    assert [words for words in why if not WHO.search(words) and "just starting" not in words] == []
    assert any(f"process {worker['pid']} " in words for words in why)
    next(process for process in processes if process.pid == worker["pid"]).terminate()
    results = [ended(process, began) for process in processes]
    assert sorted(result.code for result in results) == [0] * (MANY - 1) + [143]
    assert {result.out for result in results} == {""}
    pids = site.db.query("SELECT DISTINCT user_id FROM {usage_events}")
    assert [row["user_id"] for row in pids] == [worker["pid"]]


@pytest.mark.parametrize("locked_site", [pytest.param("file", marks=pytest.mark.quick), "database"],
                         indirect=True)
def test_a_second_run_says_who_works_and_ends_within_a_second(locked_site):          # R1
    site = locked_site
    worker = site.digging(pause=100)
    alone = site("dig", "--dry-run")            # it takes no lock (R11), and waits for none
    assert alone.code == 0
    done, failing = site("dig"), site("dig", "--fail-if-locked")
    assert (done.code, done.out, failing.code) == (0, "", 75)
    assert done.err.startswith("dig: not started: the lock is held by process")
    assert WHO.search(done.err)[1] == str(worker.pid)
    site.enable("dig")
    quiet = site("dig", "--scheduled")
    assert quiet == (0, "", "")
    assert site.outcomes("dig") == ["running", "skipped", "skipped", "skipped"]
    # Others use this machine too: what the run itself waits for would be in the shortest of many,
    # too.
    tries = [done.seconds, failing.seconds, quiet.seconds]
    while min(tries) >= alone.seconds + 1 and len(tries) < 30:
        tries.append(site("dig").seconds)
    assert min(tries) < alone.seconds + 1, (tries, alone.seconds)
    assert site.events("dig")[-1]["event"] == "run skipped"
    killed(worker)
    assert site.job("dig", "--set", "items=1")["status"] == "ok"      # no hand was needed


def test_it_does_so_while_another_writer_has_the_database(site):             # R1
    alone = site("dig").seconds
    with (open(site.folder / "state/locks/dig.lock") as file,
          contextlib.closing(sqlite3.connect(site.url.partition("///")[2])) as other):
        fcntl.flock(file, fcntl.LOCK_EX)
        other.execute("BEGIN IMMEDIATE")
        tries = [site("dig") for _ in range(3)]
        assert site("dig", "--dry-run").code == 0                   # R11
    assert {each.code for each in tries} == {0}
    assert tries[0].err.startswith("dig: not started: the lock is held by ")
    assert min(each.seconds for each in tries) < alone + 2         # a busy machine


@pytest.fixture
def locked_hosts(hosts):
    """Two with the lock in their database."""
    for host in hosts:
        host.configure(lock="database")
    return hosts


def test_two_hosts_never_overlap_with_the_database_lock(locked_hosts):              # R3
    one, two = locked_hosts
    worker = one.digging()
    row, done = one.working("dig"), two("dig")
    assert f"process {row['pid']} on {row['host']} since {row['started_at']} UTC" in done.err
    killed(worker)
    assert two.job("dig", "--set", "items=1")["status"] == "ok"
    assert [run["status"] for run in one.runs("dig")] == ["vanished", "skipped", "ok"]


def test_a_lost_lock_connection_stops_the_run_before_its_next_item(locked_hosts, mariadb):    # R3
    one, two = locked_hosts
    worker = one.digging("--json", pause=100)
    until(lambda: one.dug() >= 2)
    name = one.working("dig")["lock_name"]
    mariadb.root(f"KILL {one.db.value('SELECT IS_USED_LOCK(:name)', name=name)}")
    at_the_loss = one.dug()
    assert ended(worker, 0).code == 0
    row, = one.runs("dig")
    assert (row["status"], row["stop_reason"]) == ("partial", "lock lost")
    # at most the item in hand
    assert one.dug() <= at_the_loss + 2
    assert two.job("dig", "--set", "items=3")["status"] == "ok"


def test_a_run_does_not_judge_one_under_the_lock_file_of_another_host(hosts):        # R2, R6
    one, two = hosts
    worker = one.digging()

    def judged() -> str:
        """What becomes of that run when one of the other host comes."""
        assert two.job("dig", "--set", "items=1")["status"] == "ok"
        return one.runs("dig")[0]["status"]
    assert judged() == "running"            # lock = file: they do not see each other
    killed(worker)
    assert judged() == "running"            # nobody can tell yet
    one.db.execute("UPDATE {job_runs} SET heartbeat_at = :old, lease_until = :old WHERE id = :id",
                   old="2026-01-01 00:00:00", id=one.runs("dig")[0]["id"])
    assert judged() == "vanished"


@pytest.mark.parametrize("kind, code", [("database", 0), ("file", None)])
def test_a_file_system_without_locks_is_one_clear_line(site, ticks, monkeypatch, kind, code):
    """A tick needs no lock file where the locks are in the database."""
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    monkeypatch.setattr(fcntl, "flock", none)
    site.configure(lock=kind)
    if code is None:
        with pytest.raises(JobsError, match=r"cannot be locked .*\[core\] lock = database"):
            ticks.at("2026-11-24 14:31")
    else:
        assert ticks.at("2026-11-24 14:31") == []


@pytest.mark.parametrize("again", [False, True])
def test_removing_a_held_lock_file_stops_the_run(site, again):               # R3
    """Operators remove lock files; the run under way must not go on beside a second one."""
    worker, lock = site.digging("--json"), site.folder / "state" / "locks" / "dig.lock"
    lock.unlink()
    if again:
        lock.touch()
    assert ended(worker, 0).code == 0
    row, = site.runs("dig")
    assert (row["status"], row["stop_reason"]) == ("partial", "lock lost")


def test_a_stranger_who_guesses_takes_no_lock_of_ours(maria_site, mariadb):          # R71
    maria_site.configure(lock="database")
    with stranger(mariadb) as theirs:
        name = maria_site.url.partition("?")[0].rpartition("/")[2]
        for scope in (f"{name}//dig", f"{name}//dig/"):
            # all that can be known from outside
            guess = hashlib.sha256(scope.encode()).hexdigest()[:40]
            assert theirs(f"SELECT GET_LOCK('db:{guess}', 0)") == 1
        assert maria_site.job("dig")["status"] == "ok"


def test_a_lock_that_is_held_while_no_run_lives_makes_its_job_late(  # R69, R71
        maria_site, mariadb, outside):
    """That of check_jobs, which would alert, makes the tick fail (`tick_last` is declared so)."""
    site = maria_site
    site.configure(lock="database")
    site.configure("alerts", ping_url=f"http://127.0.0.1:{outside.port}/ping")
    site.enable("dig", "tick_last")
    names = []
    for job in ("dig", "tick_last"):
        site.job(job)
        names.append(site.runs(job)[-1]["lock_name"])
    site.db.execute("UPDATE {job_runs} SET started_at = '2026-11-24 14:00:00', finished_at = "
                    "started_at")
    with stranger(mariadb) as theirs:
        assert [theirs(f"SELECT GET_LOCK('{name}', 0)") for name in names] == [1, 1]
        for minute in range(31, 59, 5):
            assert site("run-due", now=f"2026-11-24 14:{minute}:00")[:3] == (0, "", "")
        status = site("status", "--json", now="2026-11-24 14:58:00")
        assert status.code == 1
        assert "late:dig" in [each["key"] for each in json.loads(status.out)["incidents"]]
        late = [site("run-due", now=f"2026-11-24 15:{minute}:00") for minute in (51, 56)]
        assert [(each.code, each.err.count("\n")) for each in late] == [(1, 1), (1, 0)]
        assert "tick_last: not started: the lock is held by another run" in late[0].err
    assert [each.line.split()[1] for each in outside.requests] == ["/ping"] * 6 + ["/ping/fail"] * 2
    site("run-due", now="2026-11-24 16:01:00")
    assert site.outcomes("dig")[-1] == site.outcomes("tick_last")[-1] == "ok"


@contextlib.contextmanager
def stranger(mariadb):
    """What an account without any right on our database is told: the first value."""
    import pymysql

    mariadb.root("CREATE USER IF NOT EXISTS stranger@'%' IDENTIFIED BY 'x'")
    with pymysql.connect(user="stranger", password="x", unix_socket=mariadb.socket) as connection:
        cursor = connection.cursor()
        yield lambda sql: cursor.execute(sql) and cursor.fetchone()[0]
