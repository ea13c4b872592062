"""Further tables of an app's that `[delete_accounts] also` names: exported with an account, deleted
with it, and counted wherever its rows are."""
from __future__ import annotations

import json
from contextlib import suppress

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.schema import app_gaps
from jobs_lib.database.schema.further import Further
from jobs_lib.errors import ConfigError, DatabaseError
from jobs_lib.features.accounts import deleted
from jobs_lib.features.exports.further import is_secret
from tests.support import keyed
from tests.support.bench import Bench
from tests.support.engines import on_mariadb, on_sqlite
from tests.support.exports import ask, members, rows, zips

MADE = (("CREATE TABLE usernames (id INTEGER PRIMARY KEY, user_id BIGINT, name VARCHAR(40), "
        "made DATETIME, passwordHash VARCHAR(40), apiKey VARCHAR(40))"),
        # of a key with a word of SQL in it, and without any order by itself
        ("CREATE TABLE labels (`key` VARCHAR(20) NOT NULL, owner BIGINT NOT NULL, `order` INTEGER, "
        "PRIMARY KEY (owner, `key`))"))
ALSO = "usernames.user_id, labels.owner"


@pytest.fixture
def bench(bench, engine_url):
    for sql in MADE:
        bench.db.execute(sql)
    bench.config(core={"app_url": "https://mail.example.org"}, export={"dir": "exports"},
                 delete_accounts={"also": ALSO})
    yield bench
    for name in ("usernames", "labels"):
        with suppress(DatabaseError):
            bench.db.execute(f"DROP TABLE {name}")


def fill(bench, number: int = 5) -> None:
    """Account 7 is deleted and its grace is over, 8 is not."""
    bench.table("users", [{"id": 7, "status": "deleted", "deleted_at": bench.ago(days=8)},
                          {"id": 8, "email": "al@home.example"}])
    for user in (7, 8):
        own(bench, user, number)


def own(bench, user: int, number: int) -> None:
    """Give an account some rows in both tables."""
    for at in range(number):
        bench.db.execute("INSERT INTO usernames VALUES (:id, :user, :name, :now, 'secret-1', "
                         "'secret-2')", id=user * 1000 + at, user=user, name=f"name {at}",
                         now=bench.now)
        bench.db.execute("INSERT INTO labels VALUES (:key, :user, :at)", key=f"l{at:03}", user=user,
                         at=at)


def left(bench) -> dict:
    """{table: {owner: rows}}."""
    return {name: {row["owner"]: row["number"] for row in bench.db.query(
        f"SELECT {owner} AS owner, COUNT(*) AS number FROM {name} GROUP BY {owner}")}
        for name, owner in (("usernames", "user_id"), ("labels", "owner"))}


def counts(bench) -> list[dict]:
    """What each deletion has counted."""
    return [json.loads(row["counts"]) for row in bench.rows("account_deletions")]


def test_they_go_with_the_account_and_are_counted_by_their_names(bench):
    fill(bench)
    shown = bench.run("delete_accounts", dry_run=True)
    assert shown["rows"] == 10
    assert left(bench) == {"usernames": {7: 5, 8: 5}, "labels": {7: 5, 8: 5}}
    assert bench.run("delete_accounts")["erased"] == 1
    assert bench.ids("users") == [8]
    assert left(bench) == {"usernames": {8: 5}, "labels": {8: 5}}
    assert counts(bench) == [{"labels": 5, "users": 1, "usernames": 5}]


def test_without_the_option_they_are_left_alone(bench):
    bench.config()
    fill(bench)
    assert bench.run("delete_accounts")["erased"] == 1
    assert left(bench) == {"usernames": {7: 5, 8: 5}, "labels": {7: 5, 8: 5}}


@pytest.mark.parametrize("last", ["DELETE FROM", "UPDATE {account_deletions}"])
def test_a_run_that_is_ended_between_or_within_batches_is_continued(bench, monkeypatch, last):
    monkeypatch.setattr(deleted, "LISTED", 100)
    fill(bench, 250)
    seen: list = []
    for _ in range(9):
        if not bench.ids("users", "id = 7"):
            break
        done: list = []

        def ends(sql, values, done=done) -> None:
            done += ["DELETE FROM"] if sql.startswith("DELETE FROM") and "usernames" in sql else []
            if len(done) == 2 and sql.startswith(last):
                raise KeyboardInterrupt
        bench.on_statement = ends
        with suppress(KeyboardInterrupt):
            bench.attempt("delete_accounts")
        bench.on_statement = None
        there = left(bench)["usernames"].get(7, 0)
        assert counts(bench)[0].get("usernames", 0) == 250 - there
        seen.append(there)
    assert seen[:3] == [150, 50, 0]
    assert left(bench) == {"usernames": {8: 250}, "labels": {8: 250}}
    assert counts(bench) == [{"labels": 250, "users": 1, "usernames": 250}]


def test_an_export_has_them_without_what_may_be_a_secret(bench):
    bench.table("users", [{"id": 7, "email": "jo@home.example"}])
    own(bench, 7, 120)                              # more than a page
    own(bench, 8, 2)
    ask(bench)
    assert bench.run("export_accounts")["exported"] == 1
    content = members(zips(bench)[0])
    found = rows(content, "usernames")
    assert [row["id"] for row in found] == [7000 + at for at in range(120)]
    assert found[0] == {"id": 7000, "name": "name 0", "made": "2026-11-24 14:30:05"}
    # its key is named as if it were a secret, and is only read by
    assert rows(content, "labels") == [{"order": at} for at in range(120)]
    assert b"secret-" not in b"".join(content.values())
    assert "120  usernames" in content["README.txt"].decode()
    assert json.loads(content["manifest.json"])["files"]["json/labels.json"]["rows"] == 120


@pytest.mark.parametrize("column, secret", [
    ("password", True), ("password_hash", True), ("apiKey", True), ("remember_token", True),
    ("totp_seed", True), ("pin", True), ("recovery_codes", True), ("salt", True),
    ("name", False), ("key_points", True), ("country_code", False), ("keyboard", False),
    ("monkey", False), ("is_private", False), ("spinner", False), ("compass", False)])
def test_names_of_secrets(column, secret):
    assert is_secret(column) is secret


WRONG = {
    "nothing.user_id": ("[delete_accounts] also names nothing, which is not there, or which the "
                        "user of [core] database may not see: correct it, or take it out"),
    "usernames.owner": ("[delete_accounts] also names usernames.owner, and that table has no such "
                        "column: name the column that holds the user's id"),
    "keyless.user_id": ("[delete_accounts] also names keyless, which has no primary key: give it "
                        "one"),
    "sessions.user_id": ("[delete_accounts] also names sessions, which the jobs delete and export "
                         "anyway: take it out"),
}


def test_what_cannot_be_is_named_and_both_jobs_refuse(bench):
    bench.db.execute("CREATE TABLE keyless (user_id BIGINT)")
    fill(bench)
    for also, sentence in WRONG.items():
        bench.config(delete_accounts={"also": also})
        for job in ("delete_accounts", "export_accounts"):
            assert bench.fails(job) == f"nothing was done: {sentence}"
            assert bench.fails(job, dry_run=True) == f"nothing was done: {sentence}"
        assert sentence in bench.command("migrate", "--check", code=1)
        refused = {job["name"]: job["refuses"]
                   for job in json.loads(bench.command("adopt", "--json"))["jobs"]}
        assert refused["delete_accounts"] == sentence
        assert bench.run("purge_sessions") == {"deleted": 0}
    assert bench.ids("users") == [7, 8]
    bench.db.execute("DROP TABLE keyless")
    bench.config(delete_accounts={"also": "usernames.user_id"})
    assert bench.run("delete_accounts")["erased"] == 1


def test_a_column_that_compares_ids_otherwise_is_refused(blank_url):     # R75
    """It would take the rows of one account for another's."""
    db = connect(keyed.make(blank_url, keyed.MIXED), also=(Further("tokens", "owner"),
                                                           Further("numbers", "owner")))
    kind = "TEXT COLLATE NOCASE" if db.dialect.name == "sqlite" else f"VARCHAR(64) {keyed.CI}"
    for name, type in (("tokens", kind), ("numbers", "BIGINT")):
        db.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, owner {type})")
        db.execute(f"CREATE INDEX {name}_owner ON {name} (owner)")
    assert app_gaps.lacking(db) == ["further:unlike:tokens:owner", "further:unlike:numbers:owner"]
    db.close()


@on_mariadb
def test_the_number_of_a_row_is_no_account(bench):
    """Row 7 belongs to anybody: with account 7 it would be deleted."""
    bench.db.execute("CREATE TABLE tokens (id BIGINT AUTO_INCREMENT PRIMARY KEY, owner BIGINT)")
    try:
        bench.db.execute("INSERT INTO tokens VALUES (7, 8)")
        fill(bench)
        bench.config(delete_accounts={"also": "tokens.id"})
        assert bench.fails("delete_accounts") == (
            "nothing was done: [delete_accounts] also names tokens.id, which numbers the rows of "
            "that table (AUTO_INCREMENT): name the column that holds the user's id")
        bench.config(delete_accounts={"also": "tokens.owner"})
        assert bench.run("delete_accounts")["erased"] == 1
    finally:
        bench.db.execute("DROP TABLE tokens")


@on_mariadb
def test_text_that_the_server_takes_for_a_number_is_refused(bench):
    """`7x` equals 7."""
    bench.db.execute("CREATE TABLE tokens (id BIGINT PRIMARY KEY, owner VARCHAR(40))")
    try:
        bench.db.execute("INSERT INTO tokens VALUES (1, '7'), (2, '7x')")
        fill(bench)
        bench.config(delete_accounts={"also": "tokens.owner"})
        for job in ("delete_accounts", "export_accounts"):
            assert bench.fails(job) == (
                "nothing was done: [delete_accounts] also names tokens.owner, which compares ids "
                "differently from the id of an account: give it the same type and collation")
        bench.db.execute("DELETE FROM tokens WHERE id = 2")
        bench.db.execute("ALTER TABLE tokens MODIFY owner INTEGER UNSIGNED")
        assert bench.run("delete_accounts")["erased"] == 1
    finally:
        bench.db.execute("DROP TABLE tokens")


def test_a_foreign_key_of_theirs_keeps_nothing(bench, engine_url):
    """That is in the way of a table that is not named."""
    if engine_url.startswith("sqlite"):
        return                          # it enforces none
    bench.db.execute("CREATE TABLE devices (id BIGINT PRIMARY KEY, user_id BIGINT, "
                     "CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES users (id))")
    try:
        fill(bench)
        bench.db.execute("INSERT INTO devices VALUES (1, 7), (2, 8)")
        bench.db.execute("DELETE FROM {meta} WHERE name = 'app_tables'")
        assert bench.fails("delete_accounts").startswith(
            "nothing was done: the foreign key of_user of devices keeps rows of users from being "
            "deleted")
        bench.config(delete_accounts={"also": "devices.user_id"})
        assert bench.run("delete_accounts")["erased"] == 1
        assert [row["id"] for row in bench.db.query("SELECT id FROM devices")] == [2]
    finally:
        bench.db.execute("DROP TABLE devices")


@on_mariadb
def test_a_foreign_key_on_one_of_them_is_seen_before(bench):                      # R75
    bench.db.execute("CREATE TABLE links (id BIGINT PRIMARY KEY, owner BIGINT, name_id INTEGER, "
                     "CONSTRAINT of_name FOREIGN KEY (name_id) REFERENCES usernames (id))")
    try:
        fill(bench)
        bench.db.execute("INSERT INTO links VALUES (1, 7, 7001)")
        bench.db.execute("DELETE FROM {meta} WHERE name = 'app_tables'")
        assert bench.fails("delete_accounts") == (
            "nothing was done: [delete_accounts] also names usernames, and the foreign key of_name "
            "of links keeps its rows from being deleted: give it ON DELETE CASCADE or SET NULL, or "
            "name links before it, if its rows have the user's id")
        assert [row["id"] for row in bench.db.query("SELECT id FROM links")] == [1]
        bench.config(delete_accounts={"also": f"links.owner, {ALSO}"})
        assert bench.run("delete_accounts")["erased"] == 1
    finally:
        bench.db.execute("DROP TABLE links")


def test_they_may_be_in_another_database(bench, engine_url, request):
    if engine_url.startswith("sqlite"):
        bench.config(delete_accounts={"also": "shop.usernames.user_id"})
        with pytest.raises(ConfigError, match="an SQLite database is one file"):
            bench.run("delete_accounts")
        return
    server = request.getfixturevalue("mariadb")
    url = server.database()
    shop = connect(url)
    name = url.partition("?")[0].rpartition("/")[2]
    shop.execute(MADE[0])
    shop.execute("INSERT INTO usernames (id, user_id) VALUES (1, 7), (2, 8)")
    bench.config(delete_accounts={"also": f"{name}.usernames.user_id"})
    fill(bench)
    assert bench.run("delete_accounts")["erased"] == 1
    assert [row["id"] for row in shop.query("SELECT id FROM usernames")] == [2]
    assert counts(bench) == [{"users": 1, f"{name}.usernames": 1}]
    shop.close()
    server.drop(url)


def test_a_dry_run_shows_how_many_rows_of_each_table_go(bench):          # R74
    fill(bench, 3)
    bench.table("aliases", [{"id": 1, "user_id": 7, "address": "a@alias.example"}])
    bench.table("alias_destinations", [{"alias_id": 1, "destination_id": at} for at in (5, 6)])
    bench.table("sessions", [{"user_id": 7, "token_hash": f"h{at}"} for at in range(4)])
    bench.table("audit_logs", [{"user_id": 7, "event": "signed.in"}])
    bench.run("delete_accounts", dry_run=True)
    step, = (each for each in bench.samples if each["step"].startswith("delete what they have"))
    assert step["step"] == f"delete what they have: {bench.result['counts']['rows']} rows"
    assert step["note"] == ("4 of sessions, 3 of usernames, 3 of labels, 1 of aliases; 1 of "
                            "audit_logs stays, and names nobody any more; with them go 2 of "
                            "alias_destinations")
    bench.run("delete_accounts")
    assert counts(bench) == [{"sessions": 4, "usernames": 3, "labels": 3, "aliases": 1,
                              "alias_destinations": 2, "audit_logs": 1, "users": 1}]


def test_one_that_has_the_name_of_a_table_of_ours_is_counted_apart(bench):      # R74
    bench.db.execute("ALTER TABLE sessions RENAME TO user_sessions")
    bench.db.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY, user_id BIGINT)")
    mapped = Bench(bench.folder / "mapped", bench.url, tables={"sessions": "user_sessions"})
    mapped.config(delete_accounts={"also": "sessions.user_id"})
    mapped.table("users", [{"id": 7, "status": "deleted", "deleted_at": bench.ago(days=8)}])
    mapped.table("sessions", [{"user_id": 7, "token_hash": f"h{at}"} for at in range(2)])
    for id in range(3):
        mapped.db.execute("INSERT INTO sessions VALUES (:id, 7)", id=id)
    assert mapped.run("delete_accounts", dry_run=True)["rows"] == 5
    assert mapped.samples[-1]["note"] == "3 of sessions, 2 of user_sessions"
    mapped.db.close()


@on_mariadb
def test_one_without_transactions_is_refused_by_the_job_that_deletes(bench):      # R2 R75
    """A kill between two statements would leave it half done."""
    fill(bench)
    bench.db.execute("ALTER TABLE labels ENGINE=MyISAM")
    sentence = ("[delete_accounts] also names labels, which is MyISAM and has no transactions: a "
                "kill would leave a part of it: ALTER TABLE `labels` ENGINE=InnoDB")
    assert bench.fails("delete_accounts") == f"nothing was done: {sentence}"
    assert sentence in bench.command("migrate", "--check", code=1)
    assert bench.attempt("export_accounts")["status"] == "ok"
    assert left(bench)["labels"] == {7: 5, 8: 5}
    bench.db.execute("ALTER TABLE `labels` ENGINE=InnoDB")
    assert bench.run("delete_accounts")["erased"] == 1


@on_sqlite
def test_rows_without_a_key_are_exported_and_deleted_too(bench):                 # R56
    """SQLite takes NULL in a primary key that is a text, and as often as one likes."""
    bench.db.execute("CREATE TABLE tokens (token TEXT PRIMARY KEY, owner BIGINT, n INTEGER)")
    bench.db.execute("CREATE TABLE pairs (a TEXT NOT NULL, b TEXT, owner BIGINT, PRIMARY KEY (a, b)"
                     ")")
    bench.db.execute("CREATE TABLE seats (a TEXT NOT NULL, seat INTEGER, owner BIGINT, "
                     "PRIMARY KEY (a, seat))")
    bench.config(core={"app_url": "https://mail.example.org"}, export={"dir": "exports"},
                 delete_accounts={"also": "tokens.owner, pairs.owner, seats.owner"})
    bench.table("users", [{"id": 7, "email": "jo@home.example"}])
    for at in range(150):                           # more than a page
        bench.db.execute("INSERT INTO tokens VALUES (NULL, 7, :at)", at=at)
        bench.db.execute("INSERT INTO pairs VALUES ('a', NULL, 7)")
        bench.db.execute("INSERT INTO seats VALUES ('a', NULL, 7)")
    bench.db.execute("INSERT INTO tokens VALUES ('t', 7, 150), (NULL, 8, 0)")
    ask(bench)
    assert bench.run("export_accounts")["exported"] == 1
    content = members(zips(bench)[0])
    assert [row["n"] for row in rows(content, "tokens")] == list(range(151))
    assert len(rows(content, "pairs")) == len(rows(content, "seats")) == 150
    bench.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :long_ago",
                     long_ago=bench.ago(days=8))
    assert bench.run("delete_accounts")["erased"] == 1
    assert bench.db.value("SELECT COUNT(*) FROM pairs") == 0
    assert bench.db.value("SELECT COUNT(*) FROM seats") == 0
    assert bench.db.query("SELECT owner FROM tokens") == [{"owner": 8}]
    for name in ("tokens", "pairs", "seats"):
        bench.db.execute(f"DROP TABLE {name}")
