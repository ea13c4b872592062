"""The first run on the tables of an app that has rows: nothing starts by itself."""
from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from datetime import timedelta

import pytest

from jobs_lib import __version__, catalogue, clock
from jobs_lib.database.connection import connect
from jobs_lib.database.names import Names
from jobs_lib.database.schema import app_tables, ddl
from jobs_lib.database.schema.migrations import migrate
from jobs_lib.database.schema.old_rows import OLD_ROWS
from jobs_lib.database.schema.tables import table
from jobs_lib.database.schema.version import SCHEMA_VERSION
from jobs_lib.database.schema.works_on import works_on
from jobs_lib.monitoring import adoption as adoption_numbers
from jobs_lib.runner import adoption
from tests.support import adopted, client

YEARS = timedelta(days=800)
# which an app has for itself hardly ever: what only the jobs need
OURS = ("failed_emails.status", "failed_emails.attempts", "failed_emails.next_attempt_at",
        "failed_emails.told_at", "failed_emails.claim_token", "failed_emails.claim_run",
        "failed_emails.lease_until", "failed_emails.uncertain", "failed_emails.notice_id",
        "webhook_deliveries.status", "webhook_deliveries.next_attempt_at",
        "webhook_deliveries.last_attempt_at", "webhook_deliveries.claim_run",
        "export_requests.status", "domains.status", "domains.next_check_at",
        "domains.ownership_token", "domains.checked_at", "destinations.verified_at",
        "destinations.reminded_at", "destinations.removal_notified_at", "aliases.active",
        "aliases.expiry_notified_at", "users.deleted_at", "users.email_limit")
JOBS = {"retry_forwards", "retry_webhooks", "export_accounts", "check_domains", "expire_aliases",
        "expire_destination_verifications", "delete_accounts"}


def fill(db, lacking: tuple = ()) -> None:
    """Two years of rows in each queue of an app, without the columns that it lacks."""
    old = clock.now() - YEARS

    def insert(table_name: str, **values) -> None:
        named = {column: value for column, value in values.items()
                 if f"{table_name}.{column}" not in lacking}
        marks = ", ".join(f":{column}" for column in named)
        db.execute(f"INSERT INTO {{{table_name}}} ({', '.join(named)}) VALUES ({marks})", **named)

    for number in range(3):
        insert("users", email=f"jo{number}@home.example", created_at=old)
        insert("aliases", user_id=number + 1, address=f"a{number}@alias.example", created_at=old,
               expires_at=clock.now() + timedelta(days=2 * number - 1))
        insert("destinations", user_id=number + 1, email=f"jo{number}@home.example",
               created_at=old)
        insert("failed_emails", user_id=number + 1, alias_id=1, envelope_to="jo@home.example",
               raw_path=f"m{number}", created_at=old)
        insert("webhooks", user_id=number + 1, url="https://hook.example/", secret="whsec_AAAA",
               created_at=old)
        insert("webhook_deliveries", webhook_id=number + 1, user_id=number + 1, payload="{}",
               event_id=f"e{number}", created_at=old, last_attempt_at=old, attempts=1)
        insert("export_requests", user_id=number + 1, requested_at=old)
        insert("domains", user_id=number + 1, name=f"club{number}.example", created_at=old)


def opened(url: str):
    """A connection that knows the app's names."""
    return connect(url, tables=adopted.TABLES, columns=adopted.COLUMNS)


def statements(text: str) -> list[str]:
    """What an operator pastes of what `migrate --own-tables` prints, remarks and all."""
    lines = [line.partition("   --")[0] for line in text.splitlines()]
    return [line for line in lines if line.startswith(("ALTER", "CREATE", "UPDATE", "SET"))]


@pytest.fixture
def app(line, blank_url):
    """jobs.py beside an app's database with old rows, which lacks what only the jobs need."""
    adopted.make(blank_url, OURS)
    db = opened(blank_url)
    fill(db, OURS)
    line.ini(adopted.ini(blank_url))
    line.app, line.app_url, line.on_file = db, blank_url, blank_url.startswith("sqlite")
    yield line
    db.close()


def at_once(app) -> dict:
    """{(job, act, what): number}, as `adopt --json` counts it."""
    found = app.json("adopt")
    assert [job["name"] for job in found["jobs"] if job["not_counted"] or job["refuses"]] == []
    return {(job["name"], item["act"], item["what"]): item["number"] for job in found["jobs"]
            for item in job["items"]}


def test_where_a_first_run_would_empty_a_table_adopt_says_of_how_many(app):        # R74
    """As with a wrong column."""
    for sql in statements(app.run("migrate", "--own-tables")):
        app.app.execute(sql.rstrip(";"))
    with app.app.transaction():
        for _ in range(400):
            app.app.insert("sessions", user_id=1, token_hash="a" * 64,
                           expires_at="2020-01-01 00:00:00")
    total = app.app.value("SELECT COUNT(*) FROM {sessions}")
    shown = app.run("adopt")
    line, = (line for line in shown.splitlines() if "delete rows of sessions" in line)
    assert f" of {total}" in line
    app.app.execute("UPDATE {sessions} SET expires_at = '2999-01-01 00:00:00', last_seen_at = "
                    ":now WHERE id > 30", now=clock.now())
    line, = (line for line in app.run("adopt").splitlines() if "delete rows of sessions" in line)
    assert "of 4" not in line


def test_with_the_statements_that_are_printed_nothing_old_is_due(app):             # R74
    for sql in statements(app.run("migrate", "--own-tables")):
        app.app.execute(sql.rstrip(";"))
    assert app.run("migrate", "--check").endswith("the schema is up to date\n")
    # by their age alone, whatever was added
    assert {act for _, act, _ in at_once(app)} == {"delete"}
    assert app.json("adopt", "--confirm")["ended"] == {}
    app.app.execute("UPDATE {job_state} SET due_after = '2020-01-01 00:00:00'")
    app.run("run-due")
    assert app.app.query("SELECT kind FROM {notifications}") == []
    assert {row["status"] for row in app.app.query("SELECT status FROM {failed_emails}")} == {
        "failed"}


@pytest.mark.parametrize("when", ["with the columns", "later"])
def test_only_domains_that_the_app_verified_count_as_verified(app, when):           # R74
    """Those that it never did are checked like new ones, or given up without a notice."""
    for number, (age, verified) in enumerate([(YEARS, True), (timedelta(days=1), False)], 11):
        at = clock.now() - age
        app.app.execute("INSERT INTO {domains} (id, user_id, name, created_at, verified_at) VALUES "
                        "(:id, 1, :name, :at, :verified)", id=number, name=f"d{number}.example",
                        at=at, verified=at if verified else None)
    printed = statements(app.run("migrate", "--own-tables"))
    if when == "later":
        for sql in printed:
            if not sql.startswith("UPDATE"):
                app.app.execute(sql.rstrip(";"))
        printed = statements(app.run("migrate"))
    for sql in printed:
        app.app.execute(sql.rstrip(";"))
    assert statements(app.run("migrate", "--own-tables")) == []
    found = {row["id"]: row["status"] for row in app.app.query("SELECT id, status FROM {domains}")}
    assert found == {1: "failed", 2: "failed", 3: "failed", 11: "verified", 12: "pending"}
    assert at_once(app)["check_domains", "check",
                        "verified domains again, against [dns]"] == 1


@pytest.mark.parametrize("when", ["with the columns", "later"])
def test_domains_of_an_app_that_notes_no_verification_count_as_verified(line, blank_url,
                                                                        when):    # R74
    lacking = (*OURS, "domains.verified_at")
    adopted.make(blank_url, lacking)
    db = opened(blank_url)
    fill(db, lacking)
    line.ini(adopted.ini(blank_url))
    printed = statements(line.run("migrate", "--own-tables"))
    if when == "later":
        for sql in printed:
            if not sql.startswith("UPDATE"):
                db.execute(sql.rstrip(";"))
        printed = statements(line.run("migrate"))
    for sql in printed:
        db.execute(sql.rstrip(";"))
    assert {row["status"] for row in db.query("SELECT status FROM {domains}")} == {"verified"}
    db.close()


def test_without_the_updates_each_old_row_is_counted_and_none_is_begun(app):       # R74
    for sql in statements(app.run("migrate", "--own-tables")):
        if not sql.startswith("UPDATE"):
            app.app.execute(sql.rstrip(";"))
    found = at_once(app)
    assert found["retry_forwards", "end unsent", "forwards older than 7d"] == 3
    assert found["retry_webhooks", "end unsent", "webhooks older than 7d"] == 3
    assert found["export_accounts", "give up", "exports older than 7d"] == 3
    assert found["check_domains", "give up", "domains older than 30d"] == 3
    assert found["expire_destination_verifications", "notify of",
                 "removals of destinations"] == 3
    assert found["expire_aliases", "deactivate", "aliases that have ended"] >= 1
    ended = app.json("adopt", "--confirm", *sorted(JOBS))["ended"]
    assert ended == dict.fromkeys(("retry_forwards", "retry_webhooks", "export_accounts",
                                   "check_domains"), 3)
    app.app.execute("UPDATE {job_state} SET due_after = '2020-01-01 00:00:00' WHERE job IN (:jobs)",
                    jobs=["retry_forwards", "retry_webhooks", "export_accounts", "check_domains"])
    app.run("run-due")
    assert app.app.query("SELECT kind FROM {notifications}") == []
    for name in ("failed_emails", "webhook_deliveries", "export_requests", "domains"):
        assert {row["status"] for row in app.app.query(f"SELECT status FROM {{{name}}}")} == {
            "failed"}, name


def test_what_is_no_address_of_an_owner_is_not_printed(app):                       # R72
    """It may be one that the app has encrypted."""
    for sql in statements(app.run("migrate", "--own-tables")):
        if not sql.startswith("UPDATE"):
            app.app.execute(sql.rstrip(";"))
    app.app.execute("UPDATE {users} SET email = 'eyJpdiI6Ik'")
    shown = app.run("adopt")
    assert "! 3 of 3 owners have no address in app_users.its_email: no notice" in shown
    assert "eyJ" not in shown + app.run("adopt", "--json")


def test_what_came_in_lately_is_spared_by_the_statements(app):                     # R74
    """The longest that an item of the queue gets is what tells old from young."""
    app.app.execute("ALTER TABLE app_failed_emails ADD COLUMN its_status VARCHAR(9) DEFAULT "
                    "'pending'")
    app.app.execute("ALTER TABLE app_webhook_deliveries ADD COLUMN its_status VARCHAR(9) DEFAULT "
                    "'pending'")
    late = clock.now() - timedelta(hours=5)
    app.app.execute("UPDATE {failed_emails} SET created_at = :late WHERE id = 3", late=late)
    app.app.execute("UPDATE {webhook_deliveries} SET created_at = :late WHERE id = 3", late=late)
    app.app.execute("ALTER TABLE app_failed_emails DROP COLUMN its_finished_at")
    printed = app.run("migrate")
    sql = statements(printed)
    assert len([text for text in sql if "'failed' WHERE" in text]) == 3
    assert len(sql) == len(set(sql))
    assert "younger than 7 d are sent by the next run; the older" in printed
    for text in sql:
        app.app.execute(text.rstrip(";"))
    for name in ("failed_emails", "webhook_deliveries"):
        rows = app.app.query(f"SELECT * FROM {{{name}}} ORDER BY id")
        assert [row["status"] for row in rows] == ["failed", "failed", "pending"], name
    rows = app.app.query("SELECT * FROM {failed_emails} ORDER BY id")
    assert [row["told_at"] is None for row in rows] == [False, False, True]
    assert [row["finished_at"] is None for row in rows] == [False, False, True]
    assert at_once(app)["retry_forwards", "send", "forwards"] == 1


def test_times_in_the_statements_are_utc_in_any_client(line, mariadb):             # R74
    """A server compares a TIMESTAMP in the time zone of the client, here five hours behind."""
    url = adopted.make(mariadb.database(), ("aliases.active",),
                       columns={"aliases.expires_at": "TIMESTAMP NULL"})
    db = opened(url)
    for number, hours in enumerate((-2, 2)):
        db.execute("INSERT INTO {aliases} (user_id, address, expires_at) VALUES (1, :address, "
                   ":ends)", address=f"a{number}@alias.example",
                   ends=clock.now() + timedelta(hours=hours))
    line.ini(adopted.ini(url))
    client.run(url, "\n".join(statements(line.run("migrate"))))
    assert [row["active"] for row in db.query("SELECT * FROM {aliases} ORDER BY id")] == [0, 1]
    db.close()
    mariadb.drop(url)


def test_a_job_that_touches_rows_of_the_app_stays_off_until_it_is_confirmed(app):  # R74
    for sql in statements(app.run("migrate", "--own-tables")):
        app.app.execute(sql.rstrip(";"))
    sentence = "stay off until you have confirmed"
    assert sentence in app.run("migrate", "--own-tables")
    app.app.execute("UPDATE {job_state} SET due_after = '2020-01-01 00:00:00'")
    app.app.insert("sessions", user_id=1, token_hash="x", expires_at=clock.now() - YEARS)
    said = app.run("run-due", "-v")
    assert sentence in said
    assert "jobs.py adopt" in said
    begun = {row["job"] for row in app.app.query("SELECT job FROM {job_runs}")}
    assert "check_jobs" in begun
    assert [job.name for job in catalogue.load_all() if job.name in begun and works_on(job)] == []
    assert app("purge_sessions", "--scheduled", "-v").code == 0
    refused = app("purge_sessions")
    assert refused.code == 1
    assert "purge_sessions stays off until you have confirmed" in refused.err
    assert json.loads(app("purge_sessions", "--dry-run", "--json").out)["counts"] == {"deleted": 1}
    incident, = (each for each in app.json("status", code=1)["incidents"]
                 if each["kind"] == "unconfirmed")
    assert incident["command"].endswith(" adopt")
    states = {job["name"]: job["state"] for job in app.json("status", code=1)["jobs"]}
    assert (states["purge_sessions"], states["retry_forwards"]) == ("unconfirmed",) * 2
    said = " ".join(app("doctor", "--offline").out.split())
    assert sentence in said
    assert "At once: delete rows of sessions (1)" in said
    assert "retry_forwards stays off" in " ".join(app.json("queue", "forwards")["holds"])
    # one of them, and then all
    assert app.json("adopt", "--confirm", "purge_sessions")["confirmed"] == ["purge_sessions"]
    assert app.job("purge_sessions")["counts"] == {"deleted": 1}
    assert app("retry_forwards").code == 1
    app.run("adopt", "--confirm")
    assert app.json("adopt")["unconfirmed"] == []
    assert app.job("retry_forwards")["status"] == "ok"
    assert "stay" not in app.run("run-due", "-v")
    assert app.run("adopt", "--confirm") == "There was nothing to confirm.\n"


def test_what_a_table_lacks_keeps_its_jobs_from_being_confirmed(app):              # R74
    app.run("migrate", "--own-tables")
    done = app("adopt", "--confirm", "retry_forwards", "purge_sessions")
    assert done.code == 1
    assert "purge_sessions confirmed: it runs from the next slot on." in done.out
    assert "retry_forwards stays off: the table app_destinations has no " in done.err
    assert "retry_forwards" in app.json("adopt")["unconfirmed"]


def test_what_waits_for_a_job_that_is_switched_off_is_left_to_the_app(app, tmp_path):   # R74
    """It may have a sender of its own, and switch ours on later."""
    for sql in statements(app.run("migrate", "--own-tables")):
        if not sql.startswith("UPDATE"):
            app.app.execute(sql.rstrip(";"))
    ini = tmp_path / "config.ini"
    ini.write_text(ini.read_text() + "[retry_webhooks]\nenabled = no\n")
    app.run("adopt", "--confirm")
    assert app.json("adopt")["unconfirmed"] == ["retry_webhooks"]
    assert app.json("adopt", "--confirm", "retry_webhooks", code=1)["refused"] == {
        "retry_webhooks": "it is disabled ([retry_webhooks] enabled = no)"}
    assert app.app.value("SELECT COUNT(*) FROM {webhook_deliveries} "
                         "WHERE status = 'pending'") == 3
    assert "stay" not in app.run("run-due", "-v")
    assert [each for each in app.json("status")["incidents"]
            if each["kind"] == "unconfirmed"] == []
    ini.write_text(ini.read_text().replace("enabled = no", "enabled = yes"))
    assert "retry_webhooks stays off" in app.run("run-due", "-v")


def test_tables_of_our_own_and_an_upgrade_ask_for_nothing(line, blank_url):        # R74
    line.ini(f"[core]\ndatabase = {blank_url}\nstate_dir = state\nlog_dir = log\n")
    line.run("migrate")
    assert line.json("adopt")["unconfirmed"] == []
    # `migrate --own-tables` later, as by an operator who upgrades
    line.run("migrate", "--own-tables")
    assert line.json("adopt")["unconfirmed"] == []
    assert line.job("purge_sessions")["status"] == "ok"


NAMED = "Your app's tables ({}) are not changed: only the jobs' own are made.\n"


def test_plain_migrate_leaves_an_apps_tables_to_the_app(line, blank_url):          # R74
    """As `./install.sh` runs it, before a word of adoption was read."""
    line.ini(f"[core]\ndatabase = {blank_url}\nstate_dir = state\nlog_dir = log\n"
             "[alerts]\nemail =\n")
    db = connect(blank_url, create=True)
    for name in ("users", "sessions", "failed_emails"):
        whole = table(name)
        there = tuple(column for column in whole.columns if f"{name}.{column.name}" not in OURS)
        for sql in ddl.create_table(db, whole._replace(columns=there, indexes=())):
            db.execute(sql)
    before = {name: db.columns(name) for name in ("users", "sessions", "failed_emails")}
    db.execute("INSERT INTO {sessions} (user_id, token_hash, expires_at) "
               "VALUES (1, 'x', '2020-01-01 00:00:00')")
    named = NAMED.format("users, failed_emails, sessions")
    assert app_of(line.run("migrate", "--dry-run")) == f"-- {named}"
    assert "run `jobs.py migrate`" in " ".join(line("run-due").err.split())
    assert app_of(line.run("migrate")) == named
    assert {name: db.columns(name) for name in before} == before
    assert db.indexes("failed_emails").keys() <= {"PRIMARY"}
    assert not {"aliases", "webhooks"} & db.tables()
    assert "purge_sessions" in line.json("adopt")["unconfirmed"]
    db.execute("UPDATE {job_state} SET due_after = '2020-01-01 00:00:00'")
    assert "stay off until you have confirmed" in line.run("run-due", "-v")
    assert db.value("SELECT COUNT(*) FROM {sessions}") == 1
    assert app_of(line.run("migrate")) == ""
    db.close()


def test_tables_that_are_turned_to_an_apps_later_are_asked_about(line, blank_url):  # R74
    """`./install.sh` came before [tables]."""
    ours = f"[core]\ndatabase = {blank_url}\nstate_dir = state\nlog_dir = log\n"
    line.ini(ours)
    line.run("migrate")
    assert line.job("purge_sessions")["status"] == "ok"
    db = connect(blank_url)
    for sql in ddl.create_table(db, table("sessions")._replace(indexes=())):
        db.execute(sql.replace("sessions", "signins"))
    db.execute("INSERT INTO signins (user_id, token_hash, expires_at, created_at, last_seen_at) "
               "VALUES (1, 'x', '2020-01-01 00:00:00', '2020-01-01 00:00:00', "
               "'2020-01-01 00:00:00')")
    line.ini(f"{ours}[tables]\nsessions = signins\n")
    refused = line("purge_sessions")
    assert refused.code == 1
    assert "purge_sessions stays off until you have confirmed" in refused.err
    assert db.value("SELECT COUNT(*) FROM signins") == 1
    line.run("adopt", "--confirm")
    assert line.job("purge_sessions")["counts"] == {"deleted": 1}
    line.run("migrate")
    assert line.json("adopt")["unconfirmed"] == []
    db.close()


def app_of(text: str) -> str:
    """The sentence about the app's tables, in one line; "" without it."""
    found = re.search(r"(-- )?Your app's tables \(.*own are made\.", " ".join(text.split()))
    return found[0] + "\n" if found else ""


def test_a_first_migrate_that_is_killed_goes_on_with_what_it_chose(blank_url):    # R74
    """Its own tables are no app's, and an app's do not become its own."""
    db = connect(blank_url, create=True)
    made = []

    def fail_after(sql, values):
        made.append(sql)
        if "CREATE TABLE" in sql and "sessions" in sql:
            raise KeyboardInterrupt
    db.on_statement = fail_after
    with pytest.raises(KeyboardInterrupt):
        migrate(db, clock.now())
    db.on_statement = None
    assert ("users" in db.tables()) == (db.dialect.name != "sqlite")
    migrate(db, clock.now())
    assert set(app_tables.TABLES) <= db.tables()
    assert adoption.unconfirmed(db) == []
    db.close()


@pytest.mark.parametrize(("word", "code"), [("yes", 0), ("n", 2)])
def test_a_person_is_shown_what_would_be_done_and_asked(line, tmp_path, word, code):   # R74
    url = adopted.make(f"sqlite:///{tmp_path}/jobs.db")
    line.ini(adopted.ini(url))
    line.run("migrate", "--own-tables")
    db = opened(url)
    fill(db)
    (line.folder / "spool" / "m1").touch()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(line.script), "adopt", "--confirm", "retry_forwards"],
        cwd=line.folder, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**line.environment(), "TERM": "vt100", "NO_COLOR": "1", "COLUMNS": "80"})
    os.close(theirs)
    seen = b""
    while b"Type yes: " not in seen:
        seen += os.read(ours, 65536)
    os.write(ours, f"{word}\n".encode())
    assert process.wait(60) == code
    os.close(ours)
    assert b"end unsent forwards older than 7d" in seen
    assert max(map(len, seen.decode().splitlines())) <= 80
    assert ("retry_forwards" in line.json("adopt")["unconfirmed"]) == bool(code)
    db.close()


def test_what_is_said_of_old_rows_is_of_columns_that_there_are():
    known = {f"{name}.{column.name}" for name in app_tables.TABLES
             for column in table(name).columns}
    assert set(OLD_ROWS) <= known
    needed = {f"{name.partition('.')[0]}.{need}" for name, old in OLD_ROWS.items()
              for closing in old.closings for need in closing.needs}
    assert needed <= known


def test_what_ends_old_rows_is_shown_until_it_was_run_or_the_jobs_are_confirmed(app):   # R74
    """The column alone may be what was added; and what came in later is no old row."""
    app.app.execute("UPDATE {domains} SET verified_at = created_at WHERE id = 1")
    printed = statements(app.run("migrate", "--own-tables"))
    for sql in printed:
        if not sql.startswith("UPDATE"):
            app.app.execute(sql.rstrip(";"))
    left = statements(app.run("migrate"))
    assert left == statements(app.run("migrate", "--dry-run"))
    assert left == statements("\n".join(app.json("adopt")["old_rows"]))
    assert left == statements(app.run("adopt"))
    finding, = (each for each in json.loads(app("doctor", "--offline", "--json").out)
                if "rows that your app had are due by them" in each["what"])
    assert left == statements(finding["fix"].replace("\n  ", "\n"))
    assert ({sql.partition(" WHERE ")[0][:-22] for sql in left}
            == {sql.partition(" WHERE ")[0][:-22] for sql in printed if "UPDATE" in sql})
    later = clock.now() + timedelta(minutes=2)
    app.app.insert("aliases", user_id=1, address="new@alias.example", created_at=later,
                   expires_at=later + timedelta(days=2))
    app.app.insert("failed_emails", user_id=1, alias_id=1, envelope_to="jo@home.example",
                   raw_path="new", created_at=later)
    for sql in left:
        app.app.execute(sql.rstrip(";"))
    assert statements(app.run("migrate")) == []
    assert app.json("adopt")["old_rows"] == []
    assert app.app.query("SELECT id FROM {aliases} WHERE expiry_notified_at IS NULL "
                         "AND expires_at IS NOT NULL") == [{"id": 4}]
    assert app.app.query("SELECT id FROM {failed_emails} WHERE status = 'pending'") == [{"id": 4}]


def test_what_ends_old_rows_is_not_shown_of_what_is_confirmed_or_mapped(app):      # R74
    app.app.execute("ALTER TABLE app_destinations ADD COLUMN reminded DATETIME NULL")
    for sql in statements(app.run("migrate", "--own-tables")):
        if not sql.startswith("UPDATE") and "its_reminded_at" not in sql:
            app.app.execute(sql.rstrip(";"))
    ini = app.folder / "config.ini"
    ini.write_text(ini.read_text().replace("reminded_at = its_reminded_at",
                                           "reminded_at = reminded"))
    left = app.run("migrate")
    assert "`app_domains`" in left or '"app_domains"' in left
    assert " reminded = " not in left.replace("`", "").replace("[", "").replace("]", "")
    app.run("adopt", "--confirm", "check_domains")
    left = app.run("migrate")
    assert "app_domains" not in left
    assert "app_aliases" in left
    app.run("adopt", "--confirm")
    assert statements(app.run("migrate")) == []


def test_who_has_confirmed_in_an_earlier_version_is_not_asked_again(line, blank_url):   # R74
    """Neither after an upgrade, nor for a change of [columns] or of `also` behind it."""
    adopted.make(blank_url)
    db = opened(blank_url)
    line.ini(adopted.ini(blank_url))
    line.run("migrate")
    line.run("adopt", "--confirm")
    for scope in ("own", "all"):
        # as an earlier version left it
        db.execute("DELETE FROM {schema_migrations} WHERE version = :last", last=SCHEMA_VERSION)
        db.execute("DELETE FROM {meta} WHERE name IN ('mapped_tables', 'added_columns')")
        db.execute("UPDATE {meta} SET value = :scope WHERE name = 'tables'", scope=scope)
        db.execute("UPDATE {meta} SET value = REPLACE(value, :now, :before) "
                   "WHERE name = 'app_tables'", now=f"{SCHEMA_VERSION}/{__version__}-",
                   before=f"{SCHEMA_VERSION - 1}-")
        line.run("migrate")
        assert line.json("adopt")["unconfirmed"] == []
        assert line.job("purge_sessions")["status"] == "ok"
        assert "stay" not in line.run("run-due", "-v")
        db.execute("ALTER TABLE app_users ADD COLUMN called VARCHAR(255) NOT NULL DEFAULT ''")
        line.ini(adopted.ini(blank_url, {"users.name": "called"}))
        assert line.job("purge_sessions")["status"] == "ok"
        line.run("migrate")
        assert line.json("adopt")["unconfirmed"] == []
        assert line.job("purge_magic_links")["status"] == "ok"
        line.ini(adopted.ini(blank_url))
        line.run("migrate")
        db.execute("ALTER TABLE app_users DROP COLUMN called")
    db.close()


def test_adopt_counts_as_a_dry_run_does_before_the_confirmation(line, blank_url):   # R74
    """Each owner once, by the notice that is written, and only if one is."""
    db = opened(adopted.make(blank_url))
    line.ini(adopted.ini(blank_url))
    line.run("migrate")
    now = clock.now()
    for number, status in enumerate(("active", "active", "suspended", "deleted"), 1):
        db.insert("users", id=number, email=f"jo{number}@home.example", status=status,
                  deleted_at=now if status == "deleted" else None)
        # the removal of both is announced, by one notice, and no reminder of them is written
        for at in range(2):
            db.insert("destinations", user_id=number, email=f"d{at}@home.example",
                      created_at=now - timedelta(days=28))
        # of the second end nobody is notified: it was long ago
        for days in (1, 90):
            db.insert("aliases", user_id=number, address=f"a{number}-{days}@alias.example",
                      expires_at=now - timedelta(days=days))
        db.insert("aliases", user_id=number, address=f"b{number}@alias.example",
                  expires_at=now + timedelta(days=1))
        db.insert("overflow_hold", user_id=number, alias_id=1, raw_path=f"m{number}",
                  held_at=now - timedelta(days=90))
        for days in (1, 90):
            db.insert("failed_emails", user_id=number, alias_id=1, envelope_to="jo@home.example",
                      raw_path=f"f{number}-{days}", created_at=now - timedelta(days=days))
        # two mails to an address that has failed are one notice, and a bounce is none
        for sender in ("al@shop.example", "bo@shop.example", ""):
            db.insert("failed_emails", user_id=number, alias_id=1, status="failed",
                      envelope_to="Jo@old.example", envelope_from=sender, raw_path="none",
                      created_at=now)
        # of one endpoint that is switched off nothing is sent
        db.insert("webhooks", id=number, user_id=number, url="https://hook.example/",
                  secret="whsec_AAAA", active=number != 2)
        db.insert("webhook_deliveries", webhook_id=number, user_id=number, payload="{}",
                  event_id=f"e{number}", created_at=now - timedelta(days=1))
        db.insert("domains", user_id=number, name=f"club{number}.example", created_at=now)
        db.insert("export_requests", user_id=number, requested_at=now)
    spool_dir, = (path.parent for path in line.folder.rglob(".jobs-spool"))
    (spool_dir / "f1-1").write_text("Subject: x\n\nx\n")
    found = {job["name"]: job["items"] for job in line.json("adopt")["jobs"]}
    for name in ("expire_destination_verifications", "expire_aliases", "expire_overflow_hold",
                 "retry_forwards"):
        tried = json.loads(line("test", name, "--json").out)
        owners = sum(item["owners"] for item in found[name] if item["notifies"])
        assert (name, owners) == (name, tried["counts"]["notices"])
        assert owners
    assert [item["act"] for item in found["expire_destination_verifications"]] == ["notify of"]
    for name, act, count in (("retry_webhooks", "send", "delivered"),
                             ("check_domains", "check", "checked"),
                             ("export_accounts", "make", "exported")):
        tried = json.loads(line("test", name, "--json").out)
        numbers = {item["act"]: item["number"] for item in found[name]}
        assert (name, numbers[act]) == (name, tried["counts"][count])
    numbers = {item["act"]: item["number"] for item in found["retry_forwards"]}
    ended = numbers["end unsent"]
    sentence = (f"first, `jobs.py adopt --confirm retry_forwards` ends {ended} forwards older "
                "than 7d")
    tried = json.loads(line("test", "retry_forwards", "--json").out)
    assert tried["samples"][0]["step"] == sentence
    assert sentence in line.run("retry_forwards", "--dry-run")
    line.run("adopt", "--confirm", "retry_forwards")
    tried = line.job("retry_forwards", "--dry-run")
    assert tried["counts"]["sent"] == numbers["send"]
    assert "adopt --confirm" not in tried["samples"][0]["step"]
    db.insert("sessions", user_id=1, token_hash="x", expires_at=now + timedelta(days=1))
    said = " ".join(line.run("adopt").split())
    assert "Nothing at once: " in said
    assert "purge_sessions" in said.partition("Nothing at once")[2]
    db.close()


def test_a_misspelt_name_of_an_apps_table_or_column_is_answered_with_the_nearest(line, blank_url):
    db = connect(blank_url, create=True)
    db.execute("CREATE TABLE members (id INTEGER PRIMARY KEY, mail VARCHAR(254))")
    db.close()
    start = f"[core]\ndatabase = {blank_url}\nstate_dir = state\nlog_dir = log\n[tables]\n"
    line.ini(start + "users = membrs\n[columns]\nusers.email = mail\n")
    table_hint = "-- [tables] names membrs, which is not there; did you mean 'members'?"
    for words in (("migrate", "--dry-run"), ("migrate",)):
        assert table_hint in line.run(*words).splitlines()
    finding, = (each for each in line.json("doctor", "--offline", code=1)
                if each["what"] == "The table membrs is missing")
    assert finding["why"].startswith("[tables] names it; did you mean 'members'? ")
    line.ini(start + "users = members\n[columns]\nusers.email = mial\n")
    printed = line.run("migrate")
    assert "-- [columns] names mial, which is not there; did you mean 'mail'?" in printed
    assert "[tables] names" not in printed
    finding, = (each for each in line.json("doctor", "--offline", code=1)
                if each["what"] == "The column mial of users is missing")
    assert finding["why"].startswith("[columns] names it; did you mean 'mail'? ")


def test_that_an_apps_file_has_another_journal_is_said_once_it_has(line, tmp_path):
    path = tmp_path / "app.db"
    url = f"sqlite:///{path}"
    line.ini(f"[core]\ndatabase = {url}\nstate_dir = state\nlog_dir = log\n")
    assert "WAL" not in line.run("migrate", "--dry-run")       # there is no file yet
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    assert ("-- app.db will be switched to WAL mode, where its file system allows it, so that "
            "your app and the jobs do not wait") in line.run("migrate", "--dry-run")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    raw.execute("BEGIN IMMEDIATE")
    assert "WAL" not in line("migrate").out                    # it keeps the one that it has
    raw.close()
    assert ("app.db was switched to WAL mode, so that your app and the jobs do not wait for each "
            "other: ") in " ".join(line.run("migrate").split())
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert "WAL" not in line.run("migrate")


@pytest.mark.parametrize("status", ["CASE stat WHEN 2 THEN 'deleted' ELSE 'active' END",
                                    "NO_SUCH_FUNCTION(its_status)"])
def test_what_an_expression_does_wrong_is_answered_and_the_rest_is_shown(app, status):  # R74
    for sql in statements(app.run("migrate", "--own-tables")):
        if not sql.startswith("UPDATE"):
            app.app.execute(sql.rstrip(";"))
    app.run("migrate")
    app.ini(adopted.ini(app.app_url, {"users.status": f"{status}\n    write its_status = :value",
                                      "export_requests.status": f"{status}\n    write its_status "
                                                                "= :value",
                                      "destinations.verified_at": "NO_SUCH_FUNCTION(verified)"}))
    found = app.json("adopt")
    refused = {job["name"]: job["refuses"] for job in found["jobs"] if job["refuses"]}
    assert "[columns] users.status" in refused["delete_accounts"]
    assert "retry_forwards" not in refused or "users.status" in refused["retry_forwards"]
    left = "\n".join(found["old_rows"])
    assert "app_domains" in left
    assert "app_destinations" not in left
    for words in (("migrate",), ("adopt",)):
        assert "app_domains" in "\n".join(statements(app.run(*words)))
    findings = json.loads(app("doctor", "--offline", "--json").out)
    assert [each["what"] for each in findings if "did not finish" in each["what"]] == []
    assert [each for each in findings if "rows that your app had are due" in each["what"]]


def test_a_table_of_another_name_is_named_by_it():        # R74
    """Where another table was taken for it, that is what is seen."""
    names = Names("jobs_", {"sessions": "mailbox"}, {})
    shown = [adoption_numbers.in_their_words(names, what) for what in (
        "rows of sessions", "rows of magic_links", "aliases that end")]
    assert shown == ["rows of sessions (mailbox)", "rows of magic_links", "aliases that end"]


def test_what_was_announced_long_ago_and_is_again_is_shown(bench):        # R74
    """As where an app has a time of its own in that column, or a zero date."""
    bench.table("users", [{"id": 1, "email": "jo@home.example"}])
    bench.table("aliases", [{"user_id": 1, "address": "a@alias.example",
                             "expires_at": bench.ahead(days=1),
                             "expiry_notified_at": bench.ago(days=100)}])
    bench.table("destinations", [{"user_id": 1, "email": "new@home.example", "verified_at": None,
                                  "created_at": bench.ago(days=200),
                                  "reminded_at": bench.ago(days=150),
                                  "removal_notified_at": bench.ago(days=100)}])
    shown = {(job["name"], item["what"]): (item["number"], item["owners"])
             for job in json.loads(bench.command("adopt", "--json"))["jobs"]
             for item in job["items"] if item["act"] == "notify of"}
    assert shown == {("expire_aliases", "aliases that are about to end"): (1, 1),
                     ("expire_destination_verifications", "removals of destinations"): (1, 1)}
    assert bench.run("expire_aliases")["notices"] == 1
    assert bench.run("expire_destination_verifications")["notices"] == 1
