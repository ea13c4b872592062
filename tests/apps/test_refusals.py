"""What an app's tables lack, or have in a way that jobs cannot work with: the jobs that are
concerned refuse before they touch anything and say what it is, the others run."""
from __future__ import annotations

import re

import pytest

from tests.queue.test_rows import due
from tests.support import adopted
from tests.support.bench import NOW, Bench
from tests.support.db import run_sql
from tests.support.product import connect, fit, migrate

SESSIONS = "CREATE TABLE app_sessions (id INTEGER PRIMARY KEY, user_id BIGINT{})"
KEY = ("ALTER TABLE app_aliases ADD COLUMN box BIGINT; ALTER TABLE app_aliases ADD CONSTRAINT "
       "of_box ")
# what the app has done: (SQL, the job that refuses, what it says, one that runs)
BOTH = {
    "a table": ("DROP TABLE app_sessions", "purge_sessions",
                "the database has no table app_sessions", "purge_magic_links"),
    "columns": (f"DROP TABLE app_sessions; {SESSIONS.format('')}", "purge_sessions",
                ("the table app_sessions has no token_hash, created_at, last_seen_at, expires_at: "
                "run the SQL that `jobs.py migrate` prints"), "purge_magic_links"),
    "a view that lacks a column": (
        (f"DROP TABLE app_sessions; {SESSIONS.format('').replace('app_', 'stored_')}; "
        "CREATE VIEW app_sessions AS SELECT id, user_id, 'x' AS token_hash FROM stored_sessions"),
        "purge_sessions", ("the view app_sessions has no created_at, last_seen_at, expires_at: "
        "show that in the view, as NULL where your app has none"), "purge_magic_links"),
    "seconds since 1970": (
        "DROP TABLE app_sessions; " + SESSIONS.format(
            ", token_hash VARCHAR(64), created_at BIGINT, last_seen_at BIGINT, expires_at BIGINT"),
        "purge_sessions", "app_sessions.created_at holds numbers where times belong",
        "purge_magic_links"),
    "a trigger that refuses": (
        ("INSERT INTO app_sessions (id, user_id, token_hash, expires_at) VALUES (1, 1, 'x', "
        "'2999-01-01 00:00:00')"), "purge_sessions", "app_sessions: ", "purge_magic_links"),
}
MARIADB = {
    "an engine without transactions": (
        "ALTER TABLE app_sessions ENGINE=MyISAM", "purge_sessions",
        "the table app_sessions is myisam, which has no transactions", "purge_magic_links"),
    "status as a number": (
        "ALTER TABLE app_failed_emails MODIFY status TINYINT NOT NULL", "retry_forwards",
        "app_failed_emails.status holds numbers where text belong", "purge_sessions"),
    "NOT NULL": (
        ("ALTER TABLE app_aliases MODIFY expiry_notified_at DATETIME NOT NULL DEFAULT "
        "'2000-01-01 00:00:00'; INSERT INTO app_aliases (user_id, address) VALUES (1, 'a@b')"),
        "expire_aliases", "app_aliases.expiry_notified_at: ", "expire_overflow_hold"),
    "ON UPDATE": (
        ("ALTER TABLE app_aliases MODIFY expires_at DATETIME NULL ON UPDATE CURRENT_TIMESTAMP; "
        "INSERT INTO app_aliases (user_id, address) VALUES (1, 'a@b')"), "expire_aliases",
        "when it is written, expires_at changes, too", "expire_overflow_hold"),
    "a view that cannot be written": (
        ("RENAME TABLE app_aliases TO stored; CREATE VIEW app_aliases AS SELECT DISTINCT * FROM "
        "stored"), "expire_aliases", "app_aliases.", "expire_overflow_hold"),
    "a NULL in a view": (
        ("RENAME TABLE app_aliases TO stored; CREATE VIEW app_aliases AS SELECT id, user_id, "
        "NULL AS domain_id, address, active, expires_at, expiry_notified_at, created_at FROM "
        "stored; INSERT INTO stored (user_id, address) VALUES (1, 'a@b')"), "delete_accounts",
        "app_aliases.domain_id: ", "expire_aliases"),
    "the same without rows": (
        ("RENAME TABLE app_aliases TO stored; CREATE VIEW app_aliases AS SELECT id, user_id, "
        "NULL AS domain_id, address, active, expires_at, expiry_notified_at, created_at FROM "
        "stored"), "delete_accounts", "app_aliases.domain_id: ", "expire_aliases"),
    "an audit log that wants more": (
        "ALTER TABLE app_audit_logs ADD COLUMN tenant VARCHAR(9) NOT NULL", "expire_aliases",
        "or let [tables] audit_logs name a table that is not there", "archive_audit_logs"),
    "keys of two kinds": (
        ("ALTER TABLE app_users MODIFY id CHAR(36) NOT NULL; ALTER TABLE app_sessions MODIFY id "
        "VARCHAR(64) CHARACTER SET ascii NOT NULL"), "purge_sessions",
        "the keys of app_sessions (varchar(64) CHARACTER SET ascii", "purge_magic_links"),
    "a foreign key that keeps rows": (
        ("CREATE TABLE devices (session BIGINT, CONSTRAINT of_session FOREIGN KEY (session) "
        "REFERENCES app_sessions (id))"), "purge_sessions",
        ("the foreign key of_session of devices keeps rows of app_sessions from being deleted: "
         "give it ON DELETE SET NULL"), "purge_magic_links"),
    "one behind a view": (
        ("RENAME TABLE app_sessions TO logins; CREATE VIEW inner_view AS SELECT * FROM logins; "
        "CREATE VIEW app_sessions AS SELECT * FROM inner_view; CREATE TABLE devices (session "
        "BIGINT, CONSTRAINT of_session FOREIGN KEY (session) REFERENCES logins (id))"),
        "purge_sessions", ("the foreign key of_session of devices keeps rows of app_sessions from "
        "being deleted"), "purge_magic_links"),
    "one that deletes what a user made": (
        f"{KEY}FOREIGN KEY (box) REFERENCES app_destinations (id) ON DELETE CASCADE",
        "expire_destination_verifications", ("the foreign key of_box of app_aliases deletes its "
        "rows with those of app_destinations (ON DELETE CASCADE): give it ON DELETE SET NULL, or "
        "switch off the job that does so"), "delete_accounts"),
    "one that deletes users": (
        (f"{KEY.replace('aliases', 'users')}FOREIGN KEY (box) REFERENCES app_message_logs (id) ON "
        "DELETE CASCADE"), "purge_message_logs", ("the foreign key of_box of app_users deletes "
        "users with rows of app_message_logs (ON DELETE CASCADE)"), "purge_header_snapshots"),
    "a view whose rows are aliases": (
        ("DROP TABLE app_alias_destinations; ALTER TABLE app_aliases ADD COLUMN box BIGINT; CREATE "
        "VIEW app_alias_destinations AS SELECT id AS alias_id, box AS destination_id FROM "
        "app_aliases"), "delete_accounts", ("a row deleted through the view app_alias_destinations "
        "is one of app_aliases"), "expire_destination_verifications"),
}
# foreign keys that do no harm: what the jobs delete, or detach, before
HARMLESS = (
    f"{KEY}FOREIGN KEY (box) REFERENCES app_destinations (id) ON DELETE SET NULL",
    f"{KEY}FOREIGN KEY (box) REFERENCES app_destinations (id)",
    "ALTER TABLE app_aliases ADD FOREIGN KEY (user_id) REFERENCES app_users (id) ON DELETE CASCADE",
    "ALTER TABLE app_message_logs ADD FOREIGN KEY (user_id) REFERENCES app_users (id)",
    ("CREATE TABLE drafts (login BIGINT, FOREIGN KEY (login) REFERENCES app_sessions (id) "
    "ON DELETE CASCADE)"),
    ("CREATE TABLE settings (user_id BIGINT, FOREIGN KEY (user_id) REFERENCES app_users (id) ON "
    "DELETE CASCADE)"),
)
TRIGGER = {"sqlite": "CREATE TRIGGER kept BEFORE DELETE ON app_sessions BEGIN SELECT RAISE(ABORT, "
           "'sessions are kept'); END;",
           "mysql": "CREATE TRIGGER kept BEFORE DELETE ON app_sessions FOR EACH ROW SIGNAL "
           "SQLSTATE '45000' SET MESSAGE_TEXT = 'sessions are kept';"}


@pytest.fixture
def url(blank_mariadb_url):
    """The URL of an app's database on the server."""
    return adopted.make(blank_mariadb_url)


def refuse(tmp_path, url: str, sql: str, job: str, said: str, other: str) -> None:
    """The job says it, changes nothing, and the other one runs."""
    run_sql(url, sql.replace("; ", ";\n") + ";\n")
    bench = Bench(tmp_path, url, adopted.TABLES)
    bench.config(dns={"mx_hosts": "mx.example"})
    for dry_run in (False, True):
        told = bench.fails(job, dry_run=dry_run)
        assert told.startswith("nothing was done: "), told
        # a dry run cannot try what is written
        assert said in told or (dry_run and "is not as the jobs need it" in told), told
        # and what to do
        assert told.count(": ") > 1 or dry_run
    assert bench.attempt(other)["status"] == "ok", bench.result["error"]
    bench.db.close()


@pytest.mark.parametrize("case", BOTH)
def test_a_job_whose_tables_are_not_as_it_needs_them_refuses(tmp_path, blank_url, case):   # R75
    sql, *rest = BOTH[case]
    if "trigger" in case:
        sql += f"; {TRIGGER[blank_url.partition(':')[0]].rstrip(';')}"
    refuse(tmp_path, adopted.make(blank_url), sql, *rest)


@pytest.mark.parametrize("case", MARIADB)
def test_what_a_server_knows_of_its_tables_is_asked_for(tmp_path, url, case):          # R75
    refuse(tmp_path, url, *MARIADB[case])


@pytest.mark.parametrize("sql", HARMLESS)
def test_a_foreign_key_that_does_no_harm_is_not_named(url, sql):                       # R75
    run_sql(url, sql.replace("; ", ";\n") + ";\n")
    db = connect(url, tables=adopted.TABLES)
    assert fit.look(db) == []
    db.close()


def test_a_job_runs_again_once_its_tables_are_right(tmp_path, blank_url):                  # R75
    bench = Bench(tmp_path, adopted.make(blank_url, ("sessions", "users.email_limit")),
                  adopted.TABLES)
    for job in ("purge_sessions", "expire_aliases"):
        assert bench.fails(job).startswith("nothing was done: ")
    printed = bench.command("migrate")
    for sql in re.findall(r"(?ms)^((?:CREATE|ALTER) .*?);$", printed):
        bench.db.execute(sql)
    assert bench.run("purge_sessions") == {"deleted": 0}
    assert bench.run("expire_aliases")["expired"] == 0
    assert bench.command("migrate", "--check") == "the schema is up to date\n"
    bench.db.close()


# R70, R75: what was sent could not be stored, and was sent again and again
def test_a_column_that_is_changed_later_ends_one_run_and_the_next_one_refuses(tmp_path, url):
    bench = Bench(tmp_path, url, adopted.TABLES)
    due(bench, "failed_emails", 3)
    bench.db.execute("ALTER TABLE {failed_emails} MODIFY COLUMN last_code TINYINT")
    assert "Out of range value" in bench.fails("retry_forwards")
    assert bench.fails("retry_forwards").startswith("nothing was done: app_failed_emails.last_code")
    assert len(bench.outbox) == 1
    bench.db.close()


def test_a_look_changes_no_row(tmp_path, blank_url):                                       # R75
    bench = Bench(tmp_path, adopted.make(blank_url), adopted.TABLES)
    bench.table("users", [{"id": 1, "status": "deleted"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "a@alias.example"}])
    bench.table("audit_logs", [{"id": 1}])
    bench.table("failed_emails", [{"id": 1}])
    bench.table("alias_destinations", [{"alias_id": 1, "destination_id": 1}])
    before = {name: bench.rows(name) for name in adopted.TABLES}
    assert fit.look(bench.db) == []
    assert {name: bench.rows(name) for name in adopted.TABLES} == before
    bench.db.close()


def test_nothing_is_tried_in_a_table_that_rolls_nothing_back(url):                     # R75
    run_sql(url, "ALTER TABLE app_sessions ENGINE=MyISAM;\n"
            "RENAME TABLE app_sessions TO Logins;\n"
            "CREATE VIEW app_sessions AS SELECT * FROM Logins;\n")
    db = connect(url, tables=adopted.TABLES)
    db.insert("sessions", user_id=1, token_hash="x", expires_at="2026-01-01 00:00:00")
    migrate(db, NOW)
    found, = fit.look(db)
    assert found.what == "the table Logins behind app_sessions is myisam, which has no transactions"
    assert db.value("SELECT COUNT(*) FROM {sessions}") == 1
    db.execute(found.statements[0])
    assert fit.look(db) == []
    assert db.value("SELECT COUNT(*) FROM {sessions}") == 1
    db.close()


def test_no_row_is_changed_through_a_view_of_tables_that_cannot_be_seen(mariadb, url):     # R75
    """Such as one of another database: nobody knows whether that rolls back."""
    other = adopted.make(mariadb.database())
    theirs = other.partition("?")[0].rpartition("/")[2]
    run_sql(other, "RENAME TABLE app_sessions TO logins;\nALTER TABLE logins ENGINE=MyISAM;\n"
            "INSERT INTO logins (user_id, token_hash, expires_at) VALUES "
            "(1, 'x', '2026-01-01 00:00:00');\n")
    run_sql(url, "DROP TABLE app_sessions;\n"
            f"CREATE VIEW app_sessions AS SELECT * FROM {theirs}.logins;\n")
    db = connect(url, tables=adopted.TABLES)
    migrate(db, NOW)
    assert fit.look(db) == []
    assert db.value("SELECT COUNT(*) FROM {sessions}") == 1
    db.close()
    mariadb.drop(other)
