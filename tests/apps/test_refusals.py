"""What an app's tables lack, or have in a way that jobs cannot work with: the jobs that are
concerned refuse before they touch anything and say what it is, the others run."""
from __future__ import annotations

import contextlib
import re

import pytest

from tests.queue.test_rows import due
from tests.support import adopted
from tests.support.bench import NOW, Bench
from tests.support.db import run_sql
from tests.support.product import fit, migrate

SESSIONS = "CREATE TABLE app_sessions (id INTEGER PRIMARY KEY, user_id BIGINT{})"
# a view in the place of app_aliases, with a domain_id that is always NULL
NO_DOMAIN = ("RENAME TABLE app_aliases TO kept; CREATE VIEW app_aliases AS SELECT id, user_id, "
             "NULL AS domain_id, address, active, expires_at, expiry_notified_at, created_at "
             "FROM kept")
ONE = "INSERT INTO {} (user_id, address) VALUES (1, 'a@b')"
KEY = ("ALTER TABLE app_{} ADD COLUMN box BIGINT; ALTER TABLE app_{} ADD CONSTRAINT of_box FOREIGN "
       "KEY (box) REFERENCES app_{} (id) ON DELETE CASCADE")
DEVICES = ("CREATE TABLE devices (session BIGINT, CONSTRAINT of_session FOREIGN KEY (session) "
           "REFERENCES {} (id))")
KEEPS = ("the foreign key of_session of devices keeps rows of app_sessions from being deleted: "
         "give it ON DELETE SET NULL")
# what the app has done: (SQL, the job that refuses, what it says, if not purge_magic_links: one
# that runs)
BOTH = {
    "a table": ("DROP TABLE app_sessions", "purge_sessions",
                "the database has no table app_sessions"),
    "columns": (
        f"DROP TABLE app_sessions; {SESSIONS.format('')}", "purge_sessions",
        ("the table app_sessions has no token_hash, created_at, last_seen_at, expires_at: "
        "run the SQL that `jobs.py migrate` prints")),
    "a view that lacks a column": (
        (f"DROP TABLE app_sessions; {SESSIONS.format('').replace('app_', 'stored_')}; "
        "CREATE VIEW app_sessions AS SELECT id, user_id, 'x' AS token_hash FROM stored_sessions"),
        "purge_sessions", ("the view app_sessions has no created_at, last_seen_at, expires_at: "
        "show that in the view, as NULL where your app has none")),
    "seconds since 1970": (
        "DROP TABLE app_sessions; " + SESSIONS.format(
            ", token_hash VARCHAR(64), created_at BIGINT, last_seen_at BIGINT, expires_at BIGINT"),
        "purge_sessions", "app_sessions.created_at holds numbers where times belong"),
    "a trigger that refuses": (
        ("INSERT INTO app_sessions (id, user_id, token_hash, expires_at) VALUES (1, 1, 'x', "
        "'2999-01-01 00:00:00')"), "purge_sessions", "app_sessions: ")}
MARIADB = {
    "an engine without transactions": (
        "ALTER TABLE app_sessions ENGINE=MyISAM", "purge_sessions",
        "the table app_sessions is myisam, which has no transactions"),
    "status as a number": (
        "ALTER TABLE app_failed_emails MODIFY status TINYINT NOT NULL", "retry_forwards",
        "app_failed_emails.status holds numbers where text belong"),
    "NOT NULL": (
        ("ALTER TABLE app_aliases MODIFY expiry_notified_at DATETIME NOT NULL DEFAULT "
        f"'2000-01-01 00:00:00'; {ONE.format('app_aliases')}"), "expire_aliases",
        "app_aliases.expiry_notified_at: "),
    "ON UPDATE": (
        ("ALTER TABLE app_aliases MODIFY expires_at DATETIME NULL ON UPDATE CURRENT_TIMESTAMP; "
        f"{ONE.format('app_aliases')}"), "expire_aliases",
        "when it is written, expires_at changes, too"),
    "a view that cannot be written": (
        ("RENAME TABLE app_aliases TO kept; CREATE VIEW app_aliases AS SELECT DISTINCT * FROM "
        "kept"), "expire_aliases", "app_aliases."),
    "a NULL in a view": (f"{NO_DOMAIN}; {ONE.format('kept')}", "delete_accounts",
                         "app_aliases.domain_id: ", "expire_aliases"),
    "the same without rows": (NO_DOMAIN, "delete_accounts", "app_aliases.domain_id: "),
    "an audit log that wants more": (
        "ALTER TABLE app_audit_logs ADD COLUMN tenant VARCHAR(9) NOT NULL", "expire_aliases",
        "or let [tables] audit_logs name a table that is not there", "archive_audit_logs"),
    "keys of two kinds": (
        ("ALTER TABLE app_users MODIFY id CHAR(36) NOT NULL; ALTER TABLE app_sessions MODIFY id "
        "VARCHAR(64) CHARACTER SET ascii NOT NULL"), "purge_sessions",
        "the keys of app_sessions (varchar(64) CHARACTER SET ascii"),
    "a foreign key that keeps rows": (DEVICES.format("app_sessions"), "purge_sessions", KEEPS),
    "one behind a view": (
        "RENAME TABLE app_sessions TO logins; CREATE VIEW inner_view AS SELECT * FROM logins; "
        "CREATE VIEW app_sessions AS SELECT * FROM inner_view; " + DEVICES.format("logins"),
        "purge_sessions", KEEPS.partition(":")[0]),
    "one that deletes what a user made": (
        KEY.format("aliases", "aliases", "destinations"), "expire_destination_verifications",
        ("the foreign key of_box of app_aliases deletes its rows with those of app_destinations "
        "(ON DELETE CASCADE): give it ON DELETE SET NULL, or switch off the job that does so"),
        "delete_accounts"),
    "one that deletes users": (
        KEY.format("users", "users", "message_logs"), "purge_message_logs",
        ("the foreign key of_box of app_users deletes users with rows of app_message_logs (ON "
        "DELETE CASCADE)")),
    "a view whose rows are aliases": (
        ("DROP TABLE app_alias_destinations; ALTER TABLE app_aliases ADD COLUMN box BIGINT; CREATE "
        "VIEW app_alias_destinations AS SELECT id AS alias_id, box AS destination_id FROM "
        "app_aliases"), "delete_accounts", ("a row deleted through the view app_alias_destinations "
        "is one of app_aliases"))}
# foreign keys that do no harm: what the jobs delete, or detach, before
HARMLESS = (
    KEY.format("aliases", "aliases", "destinations").replace("CASCADE", "SET NULL"),
    KEY.format("aliases", "aliases", "destinations").replace("ON DELETE CASCADE", ""),
    "ALTER TABLE app_aliases ADD FOREIGN KEY (user_id) REFERENCES app_users (id) ON DELETE CASCADE",
    "ALTER TABLE app_message_logs ADD FOREIGN KEY (user_id) REFERENCES app_users (id)",
    ("CREATE TABLE drafts (login BIGINT, FOREIGN KEY (login) REFERENCES app_sessions (id) ON "
    "DELETE CASCADE)"),
    ("CREATE TABLE settings (user_id BIGINT, FOREIGN KEY (user_id) REFERENCES app_users (id) ON "
    "DELETE CASCADE)"))
TRIGGER = "; CREATE TRIGGER kept BEFORE DELETE ON app_sessions "
KEPT = {"sqlite": "BEGIN SELECT RAISE(ABORT, 'sessions are kept'); END",
        "mysql": "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'sessions are kept'"}


@pytest.fixture
def url(blank_mariadb_url):
    """The URL of an app's database on the server."""
    return adopted.make(blank_mariadb_url)


@pytest.fixture
def benches(tmp_path):
    """Makes a Bench beside an app: `benches(url)`."""
    with contextlib.ExitStack() as stack:
        def make(url: str) -> Bench:
            bench = Bench(tmp_path, url, adopted.TABLES)
            stack.callback(bench.db.close)
            return bench
        yield make


def does(url: str, sql: str) -> str:
    """The URL, once the app has done that."""
    run_sql(url, re.sub(r"; (?!END)", ";\n", sql) + ";\n")
    return url


def refuse(bench, job: str, said: str, other: str = "purge_magic_links") -> None:
    """The job says it, changes nothing, and the other one runs."""
    for dry_run in (False, True):
        told = bench.fails(job, dry_run=dry_run)
        assert told.startswith("nothing was done: "), told
        # a dry run cannot try what is written
        assert said in told or (dry_run and "is not as the jobs need it" in told), told
        # and what to do
        assert told.count(": ") > 1 or dry_run
    assert bench.attempt(other)["status"] == "ok", bench.result["error"]


@pytest.mark.parametrize("case", BOTH)
def test_a_job_whose_tables_are_not_as_it_needs_them_refuses(benches, blank_url, case):   # R75
    sql, *rest = BOTH[case]
    if "trigger" in case:
        sql += TRIGGER + KEPT[blank_url.partition(":")[0]]
    refuse(benches(does(adopted.make(blank_url), sql)), *rest)


@pytest.mark.parametrize("case", MARIADB)
def test_what_a_server_knows_of_its_tables_is_asked_for(benches, url, case):          # R75
    sql, *rest = MARIADB[case]
    refuse(benches(does(url, sql)), *rest)


@pytest.mark.parametrize("sql", HARMLESS)
def test_a_foreign_key_that_does_no_harm_is_not_named(benches, url, sql):                    # R75
    assert fit.look(benches(does(url, sql)).db) == []


# R70, R75: what was sent could not be stored, and was sent again and again
def test_a_column_that_is_changed_later_ends_one_run_and_the_next_one_refuses(benches, url):
    bench = benches(url)
    due(bench, "failed_emails", 3)
    bench.db.execute("ALTER TABLE {failed_emails} MODIFY COLUMN last_code TINYINT")
    assert "Out of range value" in bench.fails("retry_forwards")
    assert bench.fails("retry_forwards").startswith("nothing was done: app_failed_emails.last_code")
    assert len(bench.outbox) == 1


def test_a_look_changes_no_row(benches, blank_url):                                       # R75
    bench = benches(adopted.make(blank_url))
    bench.table("users", [{"id": 1, "status": "deleted"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "a@alias.example"}])
    bench.table("audit_logs", [{"id": 1}])
    bench.table("failed_emails", [{"id": 1}])
    bench.table("alias_destinations", [{"alias_id": 1, "destination_id": 1}])
    before = {name: bench.rows(name) for name in adopted.TABLES}
    assert fit.look(bench.db) == []
    assert {name: bench.rows(name) for name in adopted.TABLES} == before


LOGIN = "INSERT INTO logins (user_id, token_hash, expires_at) VALUES (1, 'x', '2026-01-01')"


@pytest.mark.parametrize("is_seen", [True, False])
def test_nothing_is_tried_in_a_table_that_rolls_nothing_back(mariadb, benches, url, is_seen):  # R75
    """Nor in one of another database, of which nobody knows whether it does."""
    other = url if is_seen else adopted.make(mariadb.database())
    theirs = other.partition("?")[0].rpartition("/")[2]
    does(other, f"RENAME TABLE app_sessions TO logins; ALTER TABLE logins ENGINE=MyISAM; {LOGIN}")
    if not is_seen:
        does(url, "DROP TABLE app_sessions")
    db = benches(does(url, f"CREATE VIEW app_sessions AS SELECT * FROM {theirs}.logins")).db
    migrate(db, NOW)
    found = fit.look(db)
    assert [each.what for each in found] == is_seen * [
        "the table logins behind app_sessions is myisam, which has no transactions"]
    for each in found:
        db.execute(each.statements[0])
    assert fit.look(db) == []
    assert db.value("SELECT COUNT(*) FROM {sessions}") == 1
    if not is_seen:
        mariadb.drop(other)
