"""`doctor --json` on installations that are broken: what it finds, how bad it is, what to do."""
from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
from datetime import timedelta

import pytest

from tests.servers.misbehaving import Relay
from tests.servers.ports import free_port
from tests.support.product import clock
from tests.support.shell import Shell, copy_program

SECRET = "hunter2hunter2"
HEALTHY = {"core": {"app_url": "https://mail.alias.example", "secret_key": "k" * 40},
           "mail": {"domain": "alias.example", "from": "notices@alias.example", "per_hour": "80"},
           "archive": {"store": "archive"}, "check_domains": {"enabled": "no"},
           "alerts": {"email": "you@alias.example", "ping_url": "http://127.0.0.1:9999/ping"}}


class Installed(Shell):
    """An installation with a relay, its own crontab in `crontab`, and a cron that has just come."""

    def __init__(self, folder, url: str, relay_port: int) -> None:
        os.chmod(folder, 0o700)
        super().__init__(folder, url, **HEALTHY)
        self.configure("mail", port=relay_port)
        self.own_crontab()
        self.ran(timedelta(minutes=3))

    def ini(self, text: str):
        path = super().ini(text)
        path.chmod(0o600)
        return path

    def environment(self) -> dict:
        found = super().environment()
        return {**found, "PATH": f"{self.folder}/bin:{found['PATH']}", "HOME": str(self.folder)}

    def found(self, *words: str) -> list[dict]:
        """What is not fine. The exit code is 1 if and only if there is a problem."""
        ended = self("doctor", "--json", *words)
        every = json.loads(ended.out)
        assert {tuple(sorted(each)) for each in every} == {("area", "fix", "level", "what", "why")}
        found = [each for each in every if each["level"] != "ok"]
        assert ended.code == any(each["level"] == "problem" for each in found), found
        return found

    def one(self, words: str) -> dict:
        """The only thing that is not fine, but for checks that it stops, with these words in it."""
        only, = (each for each in self.found() if "Not everything" not in each["what"])
        assert words in "\n".join(only.values()), only
        return only

    def ran(self, ago: timedelta, job: str = "retry_forwards", **values) -> None:
        """A run that cron started this long ago."""
        started, own = clock.now() - ago, (self.folder / "state" / "installation").read_text()
        self.began(job, started, **{
            "slot": None, "installation": own.strip(), "host": "here",
            "heartbeat_at": started, "pid": int(ago.total_seconds()), **values})


@pytest.fixture
def relay():
    with Relay() as made:
        yield made


@pytest.fixture
def lite(tmp_path, sqlite_url, relay):
    """On SQLite alone, for what has nothing to do with the engine."""
    made = Installed(tmp_path, sqlite_url, relay.port)
    yield made
    made.close()


def test_a_healthy_installation_has_nothing_to_report_and_nothing_is_sent(
        tmp_path, engine_url, relay):
    installed = Installed(tmp_path, engine_url, relay.port)

    def seen():
        return os.listdir(tmp_path / "state"), installed.db.query("SELECT * FROM {meta}")
    before = seen()
    assert installed.found() == []
    answer = installed("doctor")
    assert (answer.code, answer.err) == (0, "")
    assert [line.split() for line in answer.out.splitlines()] == [
        *([area, "ok"] for area in ("host", "config", "files", "database", "network", "runs")),
        [], ["Nothing", "needs", "you."]]
    assert (seen(), b"MAIL" in b"".join(relay.received)) == (before, False)
    installed.close()


# The table: (how it is broken, level, words of the finding, words of the fix)

def option(section: str, **options):
    return lambda it: it.configure(section, **options)


def mode(name: str, bits: int):
    return lambda it: (it.folder / name).chmod(bits)


def moved_below(root: str):
    def move(it):
        (it.folder / root).mkdir(mode=0o700)
        shutil.move(it.folder / "state", it.folder / root / "state")
        it.configure(state_dir=f"{root}/state")
    return move


def crontab(line: str):
    return lambda it: (it.folder / "crontab").write_text(line.format(it.script))


def no_run(word: str):
    return lambda it: (sql("DELETE FROM {job_runs}")(it), crontab(f"1 2 * * * {{}} {word}\n")(it))


def row(table: str, **values):
    return lambda it: it.db.insert(table, **values)


def held(it):
    it.holder = sqlite3.connect(it.folder / "jobs.db", isolation_level=None)
    it.holder.execute("BEGIN IMMEDIATE")


def damaged(page: int):
    def damage(it):
        it.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = (it.folder / "jobs.db").read_bytes()
        (it.folder / "jobs.db").write_bytes(whole[:page * 4096].ljust(len(whole), b"x"))
    return damage


def sql(text: str):
    return lambda it: it.db.execute(text)


SITUATIONS = {
    # the configuration
    "both day fields": (option("purge_sessions", schedule="0 3 1 * 1"), "warning",
                        "either one is enough", "Set one of the two to *"),  # R8
    "a wrong value": (option("purge_sessions", idle="0"), "problem", "] idle", ".ini.example"),
    "nobody is alerted": (option("alerts", email=None), "warning", "nobody is alerted",
                          "email = you@example.org"),
    "no app": (option("core", app_url=None), "warning", "exports wait", "app_url = https://www."),
    "no ping": (option("alerts", ping_url=None), "note", "ping_url is not set", "Healthchecks"),
    "no archive": (option("archive", store="off"), "warning", "without an archive",
                   "store = var/archives"),
    "into a folder": (option("mail", transport="maildir"), "note", "mail is not sent",
                      "transport = smtp"),
    # files
    "others look in": (mode("state", 0o755), "problem", "by others (mode 755)", "chmod 700"),
    "others read the mail": (mode("spool", 0o705), "problem", "[spool] dir", "chmod 700"),
    "others read the database": (mode("jobs.db", 0o604), "problem", "the database:", "chmod 600"),
    "others read secrets": (mode("config.ini", 0o604), "problem", "config.ini can", "chmod 600"),
    "others read .env": (lambda it: (it.configure(secret_key=None), (it.folder / ".env").write_text(
        f"JOBS_MAIL_SRS_SECRET={'k' * 40}\n"), (it.folder / ".env").chmod(0o604)), "problem",
        ".env can be read", "chmod 600"),
    "others change the log": (mode("log", 0o777), "problem", "by others", "chmod 700"),  # R71
    "others change the templates": (
        lambda it: ((it.folder / "texts").mkdir(), mode("texts", 0o777)(it),
                    it.configure("notifications", templates="texts")),
        "problem", "can be written by others", "chmod go-w"),
    "a file as a folder": (option("core", state_dir="config.ini"), "problem",
                           "config.ini is not a folder", "Name one"),
    # R65
    "under a web root": (moved_below("public_html"), "problem", "below the web root", "crontab"),
    # the network
    "a dead relay": (option("mail", port=free_port()), "problem", "Connection refused",
                     "docs/failures.md"),
    "no limit": (option("mail", per_hour="off"), "note", "per_hour and per_day are off", "80 %"),
    "cPanel": (lambda it: (it.folder / ".cpanel").mkdir(), "warning", "this host has cPanel",
               "failures_per_hour = 4"),  # R37
    "no name server": (lambda it: (it.configure("check_domains", enabled="yes"), it.configure(
        "dns", mx_hosts="mx.alias.example", nameservers=f"127.0.0.1:{free_port()}")), "problem",
        "mx.alias.example (asked: 127.0.0.1): ", "[dns] nameservers"),
    "no records": (lambda it: (it.configure("check_domains", enabled="yes"), it.db.insert(
        "domains", user_id=1, name="a.example", ownership_token="t", created_at=clock.now())),
        "warning", "[check_domains] require names mx: set [dns] mx_hosts, or leave it out", ""),
    "no broker": (lambda it: (it.configure(mode="rq"), it.configure(
        "worker", redis=f"redis://127.0.0.1:{free_port()}/0")), "problem",
        "The workers' broker cannot be used", "mode = cron"),
    # the database
    "no index": (sql("DROP INDEX sessions_expiry"), "problem", "lacks tables, columns or indexes",
                 'CREATE INDEX "sessions_expiry" ON "sessions" ("expires_at");'),  # R15
    "no table": (sql("DROP TABLE usage_weekly"), "problem", "usage_weekly", "jobs.py migrate"),
    "local times": (row("message_logs", user_id=1, direction="forward", status="delivered",
                        created_at=clock.now() + timedelta(hours=5, minutes=30)), "problem",
                    "hours in the future: message_logs.created_at", "write UTC"),  # R75
    "a notice of the app": (row("notifications", user_id=1, kind="k", to_email="a@home.example",
                                status="queued"), "warning",
                            "notifications.status has values that no job knows: 'queued' in 1",
                            "let your app write these"),
    "a dead server": (option("core", database=f"mysql://me@127.0.0.1:{free_port()}/x"), "problem",
                      "(2003)", "ask your host whether the server is up"),
    **{f"damaged from page {page}": (damaged(page), "problem", "is damaged", "Restore your backup")
       for page in (0, 4, 20, 50)},
    "no room": (sql("CREATE TRIGGER no_room BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, "
                    "'database or disk is full'); END"), "problem", "is full", "Make room"),
    # cron and runs
    "cron never came": (no_run("migrate"), "warning", "no job yet. This user's crontab has no",
                        "config.ini crontab --install"),
    "its line has not run": (no_run("run-due"), "warning", "A line is in", "Wait for its"),
    "cron has stopped": (lambda it: (it.db.execute("DELETE FROM {job_runs}"), it.db.execute(
        "UPDATE {job_state} SET due_after = '2026-01-01 00:00:00'"), it.ran(timedelta(hours=3))),
        "problem", "No job has started since", "config.ini crontab --install"),
    "a --yes in the crontab": (crontab("*/5 * * * * python3 {} purge_sessions --yes\n"), "problem",
                               "has --yes", "Remove it"),
    "two installations": (lambda it: it.ran(timedelta(minutes=9), installation="f00", host="there"),
                          "problem", "More than one installation", "lock = database"),
    "the disk": (option("alerts", disk_free="900GB"), "problem", "the disk is nearly full", ""),
    "a job that fails": (lambda it: [it.ran(
        timedelta(minutes=minutes), "purge_sessions", status="failed", error="no reason")
        for minutes in (50, 40, 30, 20)], "problem", "purge_sessions", "history"),
    "a writer that stays": (held, "problem", "A row cannot be written", "Wait for the"),      # R69
    # what is in order
    "an installation that has moved": (lambda it: (
        it.ran(timedelta(days=3), installation="f00"), it.ran(timedelta(minutes=2))), None, "", ""),
    "a group for the database": (mode("jobs.db", 0o660), None, "", ""),
    "a line by hand": (crontab("*/5 * * * * cd / && python3 {} run-due\n"), None, "", "")}


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_broken_is_the_only_thing_that_is_reported(lite, name):
    spoil, level, words, fix = SITUATIONS[name]
    spoil(lite)
    if level is None:
        assert lite.found() == []
    else:
        found = lite.one(words)
        assert (found["level"], fix in found["fix"]) == (level, True), found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_another_user_are_reported(lite):                                           # R71
    os.chown(lite.folder / "log", 4711, -1)
    assert [(each["level"], "chown -R" in each["fix"]) for each in lite.found()] == [("problem", 1)]


@pytest.fixture
def upload(tmp_path, lite):
    """A copy of the program, to be spoilt."""
    folder = tmp_path / "jobs"
    copy_program(folder)
    folder.chmod(0o755)
    lite.script = folder / "jobs.py"
    return lite


@pytest.mark.parametrize("name, spoil, words", [
    ("old.py", lambda path: path.write_text("# gone since\n"), "not of this version"),
    ("clock.py", lambda path: path.write_bytes(path.read_bytes() + b"# more\n"), "damaged"),
    ("schedule.py", lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n")), ""),
    ("output/rows.py", lambda path: path.write_text(""), "not of this version"),
    ("demo/__init__.py", lambda path: path.unlink(), "missing"),
    ("jobs/retry_forwards.py", lambda path: path.unlink(), "missing")])
def test_modules_that_are_not_of_this_version_are_named(upload, name, spoil, words):        # R65
    home = upload.script.parent
    (home / "jobs_lib" / "modules.txt").write_text(subprocess.run(      # as install.sh has it
        "find jobs.py jobs_lib -name '*.py' | xargs sha256sum", shell=True, cwd=home, text=True,
        capture_output=True, check=True).stdout)
    spoil(home / "jobs_lib" / name)
    found = upload.found()
    assert [(each["level"], words in each["what"], name in each["what"],
             "Delete the folders jobs_lib and vendor" in each["fix"])
            for each in found] == ([("problem", True, True, True)] if words else [])


def test_half_an_upload_without_a_list_is_reported(upload):                                  # R65
    path = upload.script.parent / "jobs_lib" / "engines" / "preview.py"
    os.truncate(path, 700)
    assert any(f"{path}: incomplete" in each["what"] for each in upload.found())


def test_the_relay_is_asked_to_sign_us_in(lite):
    with Relay(("AUTH PLAIN",), AUTH=b"535 5.7.8 no") as server:
        lite.configure("mail", port=server.port, username="us", password=SECRET)
        assert SECRET not in json.dumps(lite.one("the relay refused the username or password"))
        assert b"MAIL" not in b"".join(server.received)
    lite.configure("mail", prt="25")
    assert ["network", "Not everything was checked here: [mail] prt"] in [
        [each["area"], each["what"]] for each in lite.found()]


def test_a_user_who_may_only_read_is_reported(tmp_path, mariadb, relay):
    url = mariadb.database()
    it = Installed(tmp_path, url, relay.port)
    name = url.partition("?")[0].rpartition("/")[2]
    mariadb.root(f"CREATE USER IF NOT EXISTS 'reader'@'localhost' IDENTIFIED BY '{SECRET}'")
    mariadb.root(f"GRANT SELECT ON `{name}`.* TO 'reader'@'localhost'")
    it.configure(database=f"mysql://reader:{SECRET}@localhost/{name}?unix_socket={mariadb.socket}")
    refused = it.one("A row cannot be written")
    assert "SELECT, INSERT" in refused["fix"]
    assert "(docs/install.md, MySQL or MariaDB) (1142)" in refused["what"]                     # R63
    it.configure(database=f"mysql://reader:x@localhost/{name}?unix_socket={mariadb.socket}")
    assert "encode % @ : /" in it.one("(1045)")["fix"]
    it.close()
    mariadb.drop(url)


def test_a_check_that_breaks_or_hangs_is_a_finding_and_stops_no_other(lite):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lite.configure(database=f"mysql://me:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/mail")
        found = lite.json("doctor", code=1, bug="jobs_lib.doctor.network:probe=ZeroDivisionError:x")
    said = [each["what"] for each in found if each["level"] != "ok"]
    assert any('The check "relay" did not finish' in words for words in said), said
    assert any("database" in words for words in said), said
    assert SECRET not in json.dumps(found)
    assert {each["area"] for each in found if each["level"] == "ok"} >= {"host", "config", "files"}
