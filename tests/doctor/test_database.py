"""The database area: each thing that may be wrong with it is named, with how to fix it."""
from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from datetime import timedelta

import pytest

from jobs_lib import catalogue, clock, doctor
from jobs_lib.database.connection import connect
from jobs_lib.database.schema import ddl
from jobs_lib.database.schema.tables import table
from jobs_lib.database.schema.version import SCHEMA_VERSION
from jobs_lib.doctor import database
from jobs_lib.features.exports.files import new_name
from tests.runner.test_incidents import UNPRIVILEGED
from tests.support.databases import migrated
from tests.support.engines import on_mariadb
from tests.support.shell import ROOT


def test_a_migrated_database_is_in_order(installed):
    assert installed.found("database") == []


def test_a_missing_index_is_named_with_its_create_index(installed):            # R15
    installed.db.execute(ddl.drop_index(installed.db, table("sessions"), "sessions_expiry")[0])
    found = installed.one("database", "The index sessions_expiry of sessions is missing")
    quote = installed.db.dialect.quote
    sql = f"CREATE INDEX {quote('sessions_expiry')} ON {quote('sessions')} ({quote('expires_at')});"
    assert found.level == "problem"
    assert found.fix.split("\n")[1:] == [f"  {sql}"]
    installed.db.execute(sql)
    assert installed.found("database") == []


def test_a_missing_column_is_named_with_its_alter_table(installed):
    installed.db.execute("DROP TABLE magic_links")
    for sql in ddl.create_table(installed.db, table("magic_links")._replace(
            columns=tuple(each for each in table("magic_links").columns if each.name != "used_at"),
            indexes=())):
        installed.db.execute(sql)
    column, *indexes = installed.found("database")
    assert column.what == "The column used_at of magic_links is missing"
    assert "ADD COLUMN" in column.fix
    assert all(found.what.startswith("The index magic_links_") for found in indexes)
    for found in (column, *indexes):
        for line in found.fix.split("\n")[1:]:
            installed.db.execute(line)
    assert installed.found("database") == []


def test_while_names_are_wrong_no_table_is_called_missing(lite):
    """By our own names all of an app's would be."""
    lite.configure("core", prefix="jobs_")
    lite.configure("columns", **{"sessions.user_id": "owner", "sessions.id": "owner"})
    assert lite.found("database") == []
    assert "cannot both have this name" in lite.found("config")[0].what


def test_a_missing_table_is_a_problem_and_a_missing_view_a_warning(installed):
    installed.db.execute("DROP VIEW message_totals")
    installed.db.execute("DROP TABLE usage_events")
    assert [(found.level, found.what) for found in installed.found("database")] == [
        ("problem", "A table is missing: usage_events"),
        ("warning", "The view message_totals is missing")]


@pytest.mark.parametrize("others, what, level", [
    ("yes", "The table magic_links is missing", "problem"),
    ("no", "1 more from docs/data-model.md is missing, which no enabled job needs", "note")])
def test_a_table_that_no_job_works_on_is_no_problem(lite, others, what, level):
    for job in catalogue.names():
        lite.configure(job, enabled=others)
    lite.configure("purge_sessions", enabled="yes")
    lite.db.execute("DROP TABLE magic_links")
    assert lite.one("database", what).level == level


def test_an_apps_table_may_have_another_name(installed):
    installed.db.execute("DROP TABLE magic_links")
    found = installed.one("database", "The table magic_links is missing")
    assert "name it in [tables]" in found.fix
    for sql in found.fix.partition("\n")[2].split(";\n"):
        installed.db.execute(sql.strip().rstrip(";"))
    assert installed.found("database") == []


def test_a_database_without_tables_asks_for_migrate(installed, request):
    if "sqlite" in installed.url:
        empty = f"sqlite:///{installed.folder}/empty.db"
        connect(empty, create=True).close()
    else:
        empty = request.getfixturevalue("mariadb").database()
    installed.configure("core", database=empty)
    assert "jobs.py migrate" in installed.one("database", "no tables of this bundle yet").fix


@pytest.mark.parametrize("ours, areas", [("meta", ("database", "runs")),
                                         ("job_runs", ("database", "cron", "runs")),
                                         ("usage_daily", ("database", "runs"))])
def test_a_wrong_name_for_a_table_of_ours_is_told_once(lite, ours, areas):
    lite.configure("tables", **{ours: "elsewhere"})
    findings = [found for found in lite.found(*areas) if found.level != "note"]
    assert [found.what for found in findings] == ["A table is missing: elsewhere"]
    assert findings[0].fix.startswith("If it has another name, correct [tables]")


def test_a_table_of_somebody_else_is_not_to_be_altered(lite):
    lite.db.execute("CREATE TABLE theirs (id INTEGER PRIMARY KEY, words TEXT)")
    lite.configure("tables", alerts="theirs")
    found = lite.one("database", "the table theirs, which [tables] alerts names, is there already "
                     "and is not ours")
    assert found.fix.startswith("Correct [tables] alerts in ")


def test_a_file_that_may_only_be_read_is_told_as_one(lite):
    os.chmod(lite.folder / "jobs.db", 0o400)
    done = subprocess.run([*UNPRIVILEGED, sys.executable, "jobs.py", "--config", lite.folder
                           / "config.ini", "doctor", "--offline", "--json"], cwd=ROOT, text=True,
                          capture_output=True, timeout=60)
    found, = (each for each in json.loads(done.stdout) if "A row cannot be written" in each["what"])
    assert (found["level"], "chmod u+w" in found["fix"]) == ("problem", True)


def test_an_older_schema_and_a_newer_one(installed):
    installed.db.execute("DELETE FROM {schema_migrations} WHERE version = :last",
                         last=SCHEMA_VERSION)
    assert installed.one("database",
                      f"the database is at schema {SCHEMA_VERSION - 1}").level == "problem"
    installed.db.insert("schema_migrations", version=99, applied_at=clock.now())
    assert installed.one("database",
                      "newer than this bundle knows").fix == "Install the newer bundle again."
    installed.db.execute("DELETE FROM {schema_migrations} WHERE version = 99")
    installed.db.insert("schema_migrations", version=SCHEMA_VERSION, applied_at=clock.now())


def test_what_cannot_be_reached_is_one_problem(installed):
    installed.configure("core", database="mysql://me:hunter2hunter2@127.0.0.1:1/mail"
                     if "mysql" in installed.url else "sqlite:///nothing.db")
    assert installed.one("database", "127.0.0.1:1" if "mysql" in installed.url
                      else "no SQLite file").level == "problem"


@on_mariadb
def test_a_wrong_password_is_reported_and_not_shown(installed, request):
    server = request.getfixturevalue("mariadb")
    url = f"mysql://nobody:hunter2hunter2@localhost/x?unix_socket={server.socket}"
    installed.configure("core", database=url)
    found = installed.one("database", "refuses the user 'nobody'")
    assert "hunter2" not in "".join(found)


def test_a_server_that_says_nothing_is_reported_and_costs_a_few_seconds(lite, monkeypatch):
    monkeypatch.setattr(doctor, "CHECK_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        lite.configure("core", database=f"mysql://me:hunter2hunter2@127.0.0.1:{port}/mail")
        assert lite.one("database",
                        "The database server has not answered within 1 s").level == "problem"


def test_a_row_that_is_locked_by_another_is_no_problem(lite):
    holder = sqlite3.connect(lite.folder / "jobs.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert lite.one("database",
                    f"The database is held by process {os.getpid()} (").level == "warning"
    holder.close()


def test_nothing_stays_of_the_row_that_is_written(installed):
    installed.found("database")
    assert installed.db.value("SELECT COUNT(*) FROM {meta} WHERE name = 'doctor'") == 0


@on_mariadb
def test_a_user_who_may_only_read_is_reported(installed, request):
    name = installed.url.partition("?")[0].rpartition("/")[2]
    server = request.getfixturevalue("mariadb")
    server.root("CREATE OR REPLACE USER 'reader'@'localhost' IDENTIFIED BY 'hunter2hunter2'")
    server.root(f"GRANT SELECT ON `{name}`.* TO 'reader'@'localhost'")
    socket = server.socket
    url = f"mysql://reader:hunter2hunter2@localhost/{name}?unix_socket={socket}"
    installed.configure("core", database=url)
    found = installed.one("database", "A row cannot be written")
    assert (found.level, "SELECT, INSERT, UPDATE" in found.fix) == ("problem", True)


def test_waiting_rows_whose_files_are_not_there_are_reported(lite):
    for number in range(3):
        lite.db.insert("failed_emails", user_id=1, alias_id=1, envelope_to="jo@home.example",
                       raw_path=f"mails/{number}.eml", created_at=clock.now())
    assert "docs/failures.md" in lite.one("database", "none of the 3 waiting messages").fix


def test_a_spool_folder_of_another_database_is_reported(lite):
    (lite.folder / "spool" / ".jobs-spool").write_text("another\n")
    assert "docs/failures.md" in lite.one("database", str(lite.folder / "spool")).fix


# R54, R56
def test_an_app_that_writes_local_times_is_named_with_the_hours(installed):     # R75
    now = clock.now()
    installed.db.insert("message_logs", user_id=1, direction="forward", status="delivered",
                        created_at=now)
    assert installed.found("database") == []
    installed.db.insert("sessions", user_id=1, token_hash="x", expires_at=now + timedelta(days=9),
                        created_at=now + timedelta(hours=5, minutes=30))
    found = installed.one("database", "dated up to 5.5 hours in the future")
    assert (found.level, "sessions.created_at" in found.what) == ("problem", True)


def test_a_row_of_another_year_is_named_with_its_date(installed):               # R75
    installed.db.insert("message_logs", id=7, user_id=1, direction="forward", status="delivered",
                        created_at="2037-01-02 03:04:05")
    found, = installed.found("database")
    assert (found.level, found.what) == (
        "warning", ("message_logs.created_at of the row 7 is 2037-01-02 03:04:05, which is in the "
        "future by more than any time zone"))
    installed.db.insert("message_logs", user_id=1, direction="forward", status="delivered",
                        created_at="2037-01-02 03:04:05")
    assert installed.one("database", "and 1 more of the newest rows are as far")


def test_exports_that_are_not_in_their_folder_are_warned_of(installed):
    names, later = [new_name(number) for number in (1, 2, 3)], clock.now() + timedelta(days=1)
    for status, name, expires in [*(("ready", name, later) for name in names),
                                  ("expired", new_name(4), later),
                                  ("ready", new_name(5), clock.now())]:
        installed.db.insert("export_requests", user_id=7, status=status, file_name=name,
                         requested_at=clock.now(), expires_at=expires)
    folder = installed.folder / "var" / "exports"
    installed.configure("export", dir=str(folder))
    found = installed.one("database", "3 ")
    assert f"3 exports that users may download are not in [export] dir = {folder}" in found.what
    folder.mkdir(parents=True)
    for name in names[1:]:
        (folder / name).touch()
    found = installed.one("database", "1 export that a user may download is not in")
    assert (found.level, "docs/exports.md, Move the folder" in found.fix) == ("warning", True)
    (folder / names[0]).touch()
    assert installed.found("database") == []


# MariaDB and MySQL

@pytest.fixture
def server(request):
    """(a connection to a migrated database on MariaDB, what its health says that is not ok)."""
    mariadb = request.getfixturevalue("mariadb")
    url = mariadb.database()
    db = migrated(url)

    def findings(now=None):
        return [found for found in database.judge(db.dialect).examine(db, now or clock.now())
                if found.level != "ok"]

    yield db, findings
    db.close()
    mariadb.drop(url)


def test_wrong_isolation_is_reported(server):
    db, findings = server
    assert findings() == []
    db.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert [found.what for found in findings()] == [
        "Our connection asks for isolation = READ-COMMITTED, and has REPEATABLE-READ"]


def test_a_mode_that_is_not_strict_is_reported(server):
    db, findings = server
    db.execute("SET SESSION sql_mode = ''")
    assert findings()[0].what.startswith("Our connection asks for sql_mode = STRICT_ALL_TABLES")


def test_a_table_of_another_engine_is_told_with_its_alter_table(server):
    db, findings = server
    db.execute("ALTER TABLE sessions ENGINE=MyISAM")
    found, = findings()
    assert found.what == "The table sessions is MyISAM, not InnoDB"
    db.execute(found.fix.split("\n")[1])
    assert findings() == []


@pytest.mark.parametrize("seconds, words", [(-3600, "3600 seconds ahead of"),
                                            (3600, "3600 seconds behind"), (2, "")])
def test_the_servers_clock_is_compared(server, seconds, words):
    _, findings = server
    found = findings(clock.now() + timedelta(seconds=seconds))
    assert [each.level for each in found] == (["warning"] if words else [])
    assert not words or words.partition(" ")[2] in found[0].what


def test_statement_logging_a_small_packet_and_few_connections_are_reported(server):
    db, _ = server
    health = database.judge(db.dialect)
    fine = {"log_bin": "ON", "binlog_format": "MIXED", "max_allowed_packet": "16777216",
            "max_user_connections": "0", "max_connections": "100"}

    def findings(**changed):
        values = {**fine, **changed}
        return [found.what for found in (*health._log(values), *health._limits(db, values))
                if found.level != "ok"]

    assert findings() == []
    assert findings(binlog_format="STATEMENT") == ["The server's binlog_format is STATEMENT"]
    assert findings(log_bin="OFF", binlog_format="STATEMENT") == []
    assert findings(max_allowed_packet="1048576") == ["max_allowed_packet = 1024 KB"]
    assert findings(max_user_connections="2") == [("This user may have 2 connections at once "
                                              "(max_user_connections)")]
    assert findings(max_connections="1")[0].endswith("of the server's 1 connections are in use")


# SQLite

def test_a_journal_that_bars_readers_is_reported(lite):
    lite.db.close()
    raw = sqlite3.connect(lite.folder / "jobs.db")
    assert raw.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    raw.close()
    found = lite.one("database", "is DELETE, not WAL")
    assert (found.level, "jobs.py migrate" in found.fix) == ("warning", True)


def test_a_damaged_file_is_reported(lite):
    lite.db.execute("INSERT INTO {meta} (name, value) VALUES ('long', :value)", value="x" * 1500)
    lite.db.close()
    path = lite.folder / "jobs.db"
    data = bytearray(path.read_bytes())
    # in the schema or below: a page of an index is spoilt
    at = data.rindex(b"sessions_expiry")
    page = sqlite3.connect(path).execute("SELECT rootpage FROM sqlite_master "
                                         "WHERE name = 'sessions_expiry'").fetchone()
    assert at
    start = (page[0] - 1) * 4096
    data[start:start + 64] = b"\xff" * 64
    path.write_bytes(data)
    assert any("is damaged" in found.what or "malformed" in found.what
               for found in lite.found("database"))


def test_the_checks_are_those_of_the_area():
    assert [check.__name__ for check in database.CHECKS] == [
        "connection", "health", "schema", "values", "writing", "local_times", "spool", "exports"]
