"""What keeps every job from running is said once, alerted by a path that does not need what is
missing, and over once.

Real ticks over real databases, files and receivers; only the time is given.
"""
from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.product import JobsError, catalogue, connect, load, mark_folder, mysql, overview
from tests.support.shell import utc
from tests.support.ticks import Ticks

BEGIN = utc("2026-11-24 14:30:05")
FIVE = timedelta(minutes=5)
HOLDER = """\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.readline()
"""


def alerts_by(outside, site) -> None:
    """Alerts and pings of the installation go there."""
    at = f"http://127.0.0.1:{outside.port}"
    site.configure("alerts", webhook=f"{at}/alert", ping_url=f"{at}/ping", disk_free="off")


class Hours:
    """Ticks of cron, five minutes apart, of the real jobs, and what came of each."""

    def __init__(self, site, outside) -> None:
        self.site, self.outside, self.now = site, outside, BEGIN
        self.ticks = Ticks(site, patience=0.05)
        alerts_by(outside, site)
        site.configure("spool", dir="spool")
        site.configure("check_domains", enabled="no")               # nobody is asked for a name
        id = site.db.value("SELECT value FROM {meta} WHERE name = 'database_id'")
        mark_folder(str(site.folder / "spool"), ".jobs-spool", id, "[spool] dir")
        self.seen = 0

    def tick(self) -> tuple[int, list[str], list[str]]:
        """(exit code, lines that cron would mail, what was heard outside)."""
        self.ticks.said = said = []
        try:
            self.ticks.at(self.now)
            code = self.ticks.code
        except JobsError as error:
            said.append(f"jobs.py: {error}")
            code = error.exit_code
        self.now += FIVE
        return code, said, self.heard()

    def status(self) -> dict:
        """What `status --json` would print."""
        settings = load(None, beside=str(self.site.folder), environ={})
        with closing(connect(self.site.url)) as db:
            return overview.collect(settings, db, self.now)

    def heard(self) -> list[str]:
        """`ping`, `fail`, or the names of the alerts, since the last look."""
        new, self.seen = self.outside.requests[self.seen:], len(self.outside.requests)
        found = []
        for each in new:
            path = each.line.split()[1]
            if path == "/alert":
                # what is over has its time in its name
                found += [f"{item['state']} {item['name'].partition(' ')[0]}"
                          for item in json.loads(each.body)["incidents"]]
            else:
                found.append("fail" if path.endswith("/fail") else "ping")
        return found


@pytest.fixture
def hours(site, outside):
    """On SQLite."""
    return Hours(site, outside)


def test_an_outage_of_the_database_is_one_line_one_alert_and_one_line_when_over(hours):  # R60 R69
    assert hours.tick() == (0, [], ["ping"])
    url = hours.site.url
    hours.site.configure(database=f"sqlite:///{hours.site.folder}/away.db")
    code, said, heard = hours.tick()
    assert (code, len(said), heard) == (1, 1, ["new installation:database", "fail"])
    assert "away.db" in said[0]
    for _ in range(8):
        assert hours.tick() == (1, [], ["fail"])
    away = hours.site.folder / "away.db"
    away.write_text("no database\n" * 99)
    code, said, heard = hours.tick()
    assert (code, "not a database" in said[0], heard) == (1, True, ["fail"])
    away.unlink()       # this was printed today
    assert hours.tick() == (1, [], ["fail"])
    told = hours.site.folder / "state" / "incident-database.told"
    os.utime(told, (told.stat().st_atime, told.stat().st_mtime - 86_400))
    assert hours.tick() == (1, [], ["new installation:database", "fail"])
    logged = hours.site.events("run-due")
    assert len(logged) == 12
    assert "away.db" in logged[-1]["error"]
    hours.site.configure(database=url)
    code, said, heard = hours.tick()
    assert code == 0
    assert "\n".join(said) == ("jobs.py run-due: back to normal: no job could use "
                               "the database between 14:35 and 15:35 UTC on 24 Nov")
    assert heard == ["once installation:database", "ping"]
    assert hours.tick() == (0, [], ["ping"])
    assert list((hours.site.folder / "state").glob("incident-*")) == []


def test_an_outage_that_migrate_ends_is_over_at_once(site):                    # R60
    site.configure(database=f"sqlite:///{site.folder}/new.db")
    assert tick(site, 31).code == 1
    assert "database at 14:31 UTC" in site("migrate", now="2026-11-24 14:31:50").err
    assert list((site.folder / "state").glob("incident-*")) == []


def test_what_cannot_be_printed_stops_no_job(site):                           # R69
    site.enable("tick_critical", "tick_low")
    url = site.url
    site.configure(database=f"sqlite:///{site.folder}/away.db")
    assert tick(site, 31).code == 1
    site.configure(database=url)
    # neither that this is over, nor that there is no log
    (site.folder / "log" / "tick_critical.log").mkdir()
    full = {"before": ("sh", "-c", 'exec "$@" 2>/dev/full', "sh")}
    assert [tick(site, minute, **full).code for minute in (36, 41)] == [0, 0]
    assert site.outcomes("tick_critical") == site.outcomes("tick_low") == ["ok", "ok"]


def hold(hours, how: str, request):
    """Let another process hold the database so that it cannot be written, or not even read; what
    lets go of it."""
    if how == "mariadb":
        import pymysql
        server = request.getfixturevalue("mariadb")
        other = pymysql.connect(user="root", unix_socket=server.socket, autocommit=True)
        other.cursor().execute("FLUSH TABLES WITH READ LOCK")
        return other.close
    path = hours.site.url.partition("///")[2]
    hours.site.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA journal_mode = {'WAL' if how == 'written' else 'DELETE'}")
    other = subprocess.Popen([sys.executable, "-c", HOLDER, path, "BEGIN EXCLUSIVE"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    return lambda: other.communicate("go\n")


@pytest.mark.parametrize("how", ["written", "read", "mariadb"])    # R69
def test_a_database_held_by_another_for_long_is_an_incident(request, outside, monkeypatch, how):
    monkeypatch.setattr(mysql, "SCHEMA_WAIT_SECONDS", 1)
    site = request.getfixturevalue("maria_site" if how == "mariadb" else "site")
    hours = Hours(site, outside)
    assert hours.tick() == (0, [], ["ping"])
    release = hold(hours, how, request)
    try:
        answers = [hours.tick() for _ in range(18 if how == "written" else 6)]
        if how == "written":
            shown = hours.status()["incidents"]
            assert [(each["key"], each["seconds"], each["subject"]) for each in shown] == [(
                "installation:database", 90 * 60,
                "no job could use the database since 14:35 UTC on 24 Nov")]
            assert "next `run-due` tries to write, too" in shown[0]["what"]
    finally:
        release()
    # another one for some minutes is no incident
    assert answers[:3] == [(0, [], ["ping"])] * 3
    code, said, heard = answers[3]
    assert (code, len(said), heard) == (1, 1, ["new installation:database", "fail"])
    assert answers[4:] == [(1, [], ["fail"])] * (len(answers) - 4)
    code, said, heard = hours.tick()
    # and nobody says that cron had stopped
    assert (code, heard) == (0, ["once installation:database", "ping"])
    assert [each.split(" and ")[0] for each in said] == [
        "jobs.py run-due: back to normal: no job could use the database between 14:35"]
    assert hours.tick() == (0, [], ["ping"])


@pytest.mark.parametrize("days", [-2, 400])
def test_after_a_wrong_clock_nobody_is_late_and_cron_had_not_stopped(hours, days):   # R59
    wrong = timedelta(days=days)
    hours.site.configure("purge_job_history", enabled="no")     # the clock is trusted here
    for _ in range(4):
        assert hours.tick() == (0, [], ["ping"])
    for _ in range(2):
        hours.now += wrong
        for _ in range(7):
            hours.tick()
        hours.now -= wrong
        if hours.now < BEGIN + timedelta(hours=1):
            assert hours.status()["incidents"] == []     # nothing has run by this clock yet
    heard = [word for _ in range(4) for word in hours.tick()[2]]
    assert heard == ["ping"] * 4
    assert hours.status()["incidents"] == []


def test_before_the_first_run_status_says_that_cron_has_not_come(hours):              # R59
    hours.site.known(*catalogue.names(), since=BEGIN - timedelta(minutes=20))
    assert hours.status()["incidents"] == []        # a person is setting it up
    hours.site.known(*catalogue.names(), since=BEGIN - timedelta(minutes=50))
    incident, = hours.status()["incidents"]
    assert (incident["key"], incident["subject"]) == ("late:cron", "no job has ever started")
    assert incident["command"].endswith(" crontab")
    hours.tick()
    assert "late:cron" not in [each["key"] for each in hours.status()["incidents"]]


# Files of another user. Root without its right to open everything is refused what another user may.
UNPRIVILEGED = {"before": ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
                if os.geteuid() == 0 else ()}
STRANGER = 65534
# Files can be made, and nothing be written into them; nothing but the standard library is there.
FULL, BARE = {"before": ("prlimit", "--fsize=0")}, {"options": ("-S", "-s")}


def called(outside, *paths: str) -> list[int]:
    """How often each was called."""
    found = [each.line.split()[1] for each in outside.requests]
    return [found.count(path) for path in paths]


def tick(site, minute: int, *words: str, **how):
    """`run-due` at that minute, or something else."""
    return site(*words or ["run-due"], now=f"2026-11-24 14:{minute:02d}:00", **how)


def strange(path: Path) -> None:
    """From now on the file or folder belongs to somebody else."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if os.geteuid() == 0:
        os.chown(path, STRANGER, STRANGER)
    else:
        path.chmod(0)


def ours(path: Path) -> None:
    """It is ours again."""
    path.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(path, 0, 0)


def test_a_lock_file_of_another_user_stops_that_job_alone_and_is_said_once(site):         # R69
    site.enable("tick_critical", "tick_low", "tick_last")
    assert tick(site, 31, **UNPRIVILEGED).code == 0
    lock = site.folder / "state" / "locks" / "tick_low.lock"
    strange(lock)
    first, second = (tick(site, minute, **UNPRIVILEGED) for minute in (36, 41))
    assert (first.code, first.err.count("\n"), first.out, second) == (1, 1, "", (1, "", ""))
    assert first.err.startswith(f"jobs.py run-due: tick_low: {lock} cannot be used: ")
    assert site.outcomes("tick_critical") == site.outcomes("tick_last") == ["ok"] * 3
    status = tick(site, 42, "status", "--json", **UNPRIVILEGED)
    incident, = json.loads(status.out)["incidents"]
    assert (status.code, incident["key"], round(incident["seconds"] / 60)) == (
        1, "installation:files", 6)
    assert f"[core] state_dir: {lock} cannot be used: " in incident["error"]
    ours(lock)
    back, after = (tick(site, minute, **UNPRIVILEGED) for minute in (46, 51))
    assert (back.code, back.err.count("\n"), after.err) == (0, 1, "")
    assert "back to normal: no job could be started" in back.err


@pytest.mark.parametrize("what", ["state/locks", "state/locks/run-due.lock", "state/installation"])
# R69
def test_one_run_as_another_user_is_said_once_alerted_and_said_when_over(site, outside, what):
    site.enable("tick_critical", "tick_last")
    alerts_by(outside, site)
    assert tick(site, 31, **UNPRIVILEGED).code == 0
    outside.requests.clear()
    strange(site.folder / what)
    done = [tick(site, minute, **UNPRIVILEGED) for minute in (36, 41, 46)]
    said = done[0].err
    assert [(each.code, each.err) for each in done] == [(1, said), (1, ""), (1, "")]
    assert (str(site.folder / what) in said, "Traceback" in said) == (True, False)
    assert ".lock`" not in said or "chown" in said      # no folder of that name
    assert called(outside, "/alert", "/ping/fail") == [1, 3]
    ours(site.folder / what)
    back = tick(site, 51, **UNPRIVILEGED)
    assert (back.code, back.err.count("\n")) == (0, 1)
    assert "no job could be started between 14:36 and 14:51 UTC" in back.err


@pytest.mark.parametrize("mode", [0, 0o600])    # R69
def test_where_nothing_can_be_remembered_each_tick_prints_and_some_alert(site, outside, mode):
    alerts_by(outside, site)
    site.configure("alerts", ping_url=None)
    assert tick(site, 1, **UNPRIVILEGED).code == 0
    (site.folder / "state").chmod(mode)
    done = [tick(site, minute, **UNPRIVILEGED) for minute in (6, 11, 16, 21)]
    assert [(each.code, each.err.count("\n")) for each in done] == [(1, 1)] * 4
    assert len(outside.requests) == 2
    incident, = json.loads(tick(site, 22, "status", "--json", **UNPRIVILEGED).out)["incidents"]
    assert incident["key"] == "installation:files"
    ours(site.folder / "state")


@pytest.mark.parametrize("engine", ["maria_site", "site"])    # R69
def test_a_full_disk_is_said_once_and_stops_no_job_with_another_database(request, outside, engine):
    site = request.getfixturevalue(engine)
    site.enable("tick_critical", "tick_low")
    alerts_by(outside, site)
    tick(site, 31)
    outside.requests.clear()
    first, *more = (tick(site, minute, **FULL) for minute in (36, 41, 46))
    assert [each.err for each in more] == ["", ""]
    assert {each.code for each in (first, *more)} == {1 if engine == "site" else 0}
    if engine == "site":
        assert "jobs.db" in first.err
        assert called(outside, "/alert", "/ping/fail") == [1, 3]
    back = tick(site, 51)
    assert back.code == 0
    if engine == "maria_site":
        assert site.outcomes("tick_low") == site.outcomes("tick_critical") == ["ok"] * 5
        assert (first.err, back.err) == ("", "")      # the log alone has lost lines


@pytest.mark.parametrize("mode", ["rq", "celery"])    # R69
def test_without_the_workers_package_cron_runs_the_jobs_and_says_so_once(site, outside, mode):
    jobs = ("tick_critical", "tick_low", "tick_last")
    site.enable(*jobs)
    site.configure("tick_low", mode=mode)
    alerts_by(outside, site)
    site.configure("alerts", webhook=None)
    first, second = (tick(site, minute, **BARE) for minute in (31, 36))
    assert (first.code, first.err.count("\n"), first.out) == (1, 1, "")
    assert f": mode = {mode} needs {mode}, which is not installed" in first.err
    assert first.err.endswith("The jobs of workers are run by cron meanwhile\n")
    assert second == (1, "", "")
    assert [site.outcomes(job) for job in jobs] == [["ok", "ok"]] * 3
    assert called(outside, "/ping/fail") == [len(outside.requests)] == [2]
    incident, = json.loads(tick(site, 37, "status", "--json", **BARE).out)["incidents"]
    assert incident["key"] == f"installation:{mode}"
    site.configure("tick_low", mode="cron")
    assert tick(site, 41, **BARE) == (0, "", "")
