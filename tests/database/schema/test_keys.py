"""What kind of key an app's tables have is read from the catalogue, and our own columns take it."""
from __future__ import annotations

import re

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.schema import (
    app_gaps,
    app_tables,
    ddl,
    keys,
    misfits,
    own_tables,
    version,
)
from jobs_lib.database.schema.further import Further
from jobs_lib.database.schema.migrations import migrate, plan
from jobs_lib.database.schema.tables import table
from jobs_lib.errors import Unfit
from tests.support import databases, keyed
from tests.support.engines import on_mariadb

LIKE_NUMBERS = ("007", "12e3", "1.0", "0x1F", "-0", "9" * 30, "kEy", "KEY")
REFERRING = [(name, column.name) for name in own_tables.TABLES for column in table(name).columns
             if column.name in keyed.columns(name)]


@pytest.fixture(params=keyed.KINDS, ids=lambda kind: kind.name)
def kind(request):
    return request.param


@pytest.fixture
def db(blank_url, kind):
    made = connect(keyed.make(blank_url, kind))
    yield made
    made.close()


def test_which_keys_are_text_is_known_with_the_version(db, kind):            # R75
    heard = []
    db.on_statement = lambda sql, values: heard.append(sql)
    assert version.check(db)
    assert set(db.text_keys) == set(keyed.WITH_KEYS)
    assert len(heard) == 1
    nocase = db.dialect.name == "mysql" and ("_ci" in kind.mysql or kind is keyed.OWN_TYPE)
    assert set(db.text_keys.values()) == {nocase}


@pytest.mark.parametrize("kind", (keyed.MIXED,), indirect=True, ids=["mixed"])
@pytest.mark.parametrize("noticed", [version.check, lambda db: None], ids=["run", "command"])
def test_keys_of_a_table_whose_name_was_wrong_are_known_at_once(blank_url, kind, noticed):  # R75
    """Before a run has looked again, under the right name or at a table that was made since."""
    db = connect(keyed.make(blank_url, kind))
    wrong = connect(blank_url, tables={"users": "acounts"})
    assert "users" in app_gaps.note(wrong)
    copy = f"CREATE TABLE {db.dialect.quote('acounts')} AS SELECT * FROM {{users}}"
    for names, before in (({}, "SELECT 1 AS one"), ({"users": "acounts"}, copy)):
        db.execute(before)
        right = connect(blank_url, tables=names)
        noticed(right)
        assert set(right.text_keys) == set(keyed.WITH_KEYS)
        right.key("users", kind.make(1))
        right.close()
    wrong.close()
    db.close()


@pytest.mark.parametrize("kind", (keyed.MIXED,), indirect=True, ids=["mixed"])
def test_a_key_that_looks_like_a_number_stays_what_it_is(db):                # R75
    for name, column in REFERRING:
        for number, key in enumerate(LIKE_NUMBERS):
            row = {"kind": f"k{number}", "day": f"2026-01-{number + 1:02}", "run_id": f"r{number}",
                   "week_start": f"2026-01-{number + 1:02}", "to_email": "a@b.example",
                   "direction": "forward", "status": "sent", "user_id": f"u{number}",
                   "webhook_id": f"w{number}", "item_id": f"i{number}", "outcome": "sent",
                   "cycle_start": "2026-01-01", "metric": "emails", "threshold": 80,
                   "location": "x", "tried_at": databases.NOW, "began_at": databases.NOW}
            row = {**{one: row[one] for one in row if one in db.columns(name)}, column: key}
            db.insert(name, **row)
        found = [row["found"] for row in db.query(f"SELECT {column} AS found FROM {{{name}}}")]
        assert sorted(found) == sorted(LIKE_NUMBERS), (name, column)
        assert db.row(f"SELECT {column} AS found FROM {{{name}}} WHERE {column} IN (:keys)",
                      keys=["kEy"]) == {"found": "kEy"}
        db.execute(f"DELETE FROM {{{name}}}")


def test_rows_with_text_keys_have_a_number_where_sqlite_gives_one(db):      # R75
    sqlite = db.dialect.name == "sqlite"
    db.execute("DROP TABLE {audit_logs}")
    assert [db.numbered_by(name) for name in ("sessions", "audit_logs", "job_runs")] == [
        "_rowid_" if sqlite else "", "", "id"]


def test_numbers_change_nothing(engine_url):                                 # R75
    db = connect(engine_url)
    assert version.check(db)
    assert (db.text_keys, keys.types(db), keys.unfit(db)) == ({}, {}, [])
    assert not db.row("SELECT * FROM {meta} WHERE name = 'text_keys'")
    assert {db.by_key(name) for name in app_tables.TABLES} == {db.dialect.by_key}
    db.close()


def test_a_uuid_and_text_that_refers_to_it_are_named(mariadb):                 # R75
    """MariaDB compares the two, and finds the text by no index."""
    url = mariadb.database()
    db = connect(keyed.make(url, keyed.OWN_TYPE))
    assert app_gaps.lacking(db) == []
    db.execute("ALTER TABLE {sessions} MODIFY user_id CHAR(36) NOT NULL")
    code, = app_gaps.lacking(db)
    assert code.startswith("sessions.user_id:unlike:char(36)")
    db.close()
    mariadb.drop(url)


def test_tables_of_ours_that_were_there_first_are_fitted_once(blank_url, kind):      # R75
    db = connect(blank_url, create=True)
    migrate(db, databases.NOW, own_only=True)
    db.insert("notifications", kind="test", to_email="a@b.example", created_at=databases.NOW)
    before = db.query("SELECT * FROM {notifications}")
    db.execute("DROP TABLE {audit_logs}")
    keyed.make(blank_url, kind, own=False)
    with pytest.raises(Unfit, match="takes other keys than those of the app"):
        app_gaps.note(db)
    assert plan(db)
    migrate(db, databases.NOW)
    assert not plan(db)
    assert keys.unfit(db) == []
    assert app_gaps.statements(db) == []
    assert db.query("SELECT * FROM {notifications}") == before
    assert set(keys.types(db)) <= set(db.text_keys)
    app_gaps.note(db)
    db.close()


def test_what_an_app_lacks_is_printed_with_the_type_of_its_keys(blank_url):  # R75
    db = connect(keyed.make(blank_url, keyed.UUIDS))
    db.execute("DROP TABLE {failed_emails}")
    db.execute("DROP TABLE {sessions}")
    db.execute("CREATE TABLE sessions (id CHAR(36) PRIMARY KEY)")
    printed = "\n".join(app_gaps.statements(db)).replace("char(", "CHAR(")
    kind = db.dialect.quote
    assert f"ADD COLUMN {kind('user_id')} CHAR(36)" in printed
    assert f"{kind('destination_id')} CHAR(36)" in printed
    assert f"{kind('notice_id')} BIGINT" in printed
    db.close()


def test_a_key_of_bytes_is_refused_before_a_job_touches_a_row(blank_url):    # R75
    db = connect(keyed.make(blank_url, keyed.UUIDS._replace(mysql="BINARY(16)", sqlite="BLOB"),
                            own=False))
    migrate(db, databases.NOW, own_only=True)
    assert {"users.id:bytes", "message_logs.user_id:bytes"} <= set(app_gaps.lacking(db))
    assert misfits.sentence(db.name, "users.id:bytes") == (
        "users.id holds bytes, and keys are whole numbers or text: map a column that is, such as a "
        "generated one")
    db.close()


def test_a_reference_that_compares_otherwise_than_its_key_is_refused(blank_url):     # R75
    """It would take two users for one, or not find a user's rows."""
    db = connect(keyed.make(blank_url, keyed.MIXED))
    assert app_gaps.lacking(db) == []
    kind = "TEXT COLLATE NOCASE" if db.dialect.name == "sqlite" else f"VARCHAR(64) {keyed.CI}"
    for name in ("magic_links", "sessions"):
        db.execute(f"DROP TABLE {{{name}}}")
    for sql in ddl.create_table(db, table("sessions")):
        db.execute(sql.replace("BIGINT", "INTEGER"))
    for sql in ddl.create_table(db, table("magic_links")):
        db.execute(re.sub(r"(?m)^(  .user_id.) .*? NOT NULL", rf"\1 {kind} NOT NULL", sql))
    code, = app_gaps.lacking(db)
    own, key = ("text COLLATE NOCASE", "text COLLATE BINARY") if db.dialect.name == "sqlite" else (
        "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    assert misfits.sentence(db.name, code) == (
        f"magic_links.user_id ({own}) and users.id ({key}), which it refers to, compare keys "
        "differently: give both the same type and collation, or name the right table in [tables]")
    db.close()


def test_keys_that_the_database_keeps_apart_are_two_for_us(blank_url):     # R75
    kind = keyed.Keys("address", f"VARCHAR(64) {keyed.CI}", "TEXT COLLATE NOCASE", str)
    db = connect(keyed.make(blank_url, kind))
    db.text_keys = keys.known(db)
    for key in ("strasse", "stra\u00dfe"):
        db.insert("users", id=key)
    assert db.key("users", "Strasse") == db.key("users", "strasse")
    assert db.key("users", "strasse") != db.key("users", "stra\u00dfe")
    db.close()


@pytest.mark.parametrize("theirs, is_alike", [
    ("utf8mb4_unicode_ci", False), ("latin1_swedish_ci", False), ("utf8mb3_general_ci", True)])
def test_collations_that_mind_no_case_are_not_all_alike(mariadb, theirs, is_alike):      # R75
    """`m\u00fcller` and `muller` are one for `utf8mb4_general_ci`, and two for others; of one
    character set, they cannot even be compared. What is called alike in `utf8mb3` is."""
    url = mariadb.database()
    db = connect(keyed.make(url, keyed.UUIDS), also=(Further("tokens", "owner"),))
    kind = f"CHAR(36) CHARACTER SET {theirs.partition('_')[0]} COLLATE {theirs} NOT NULL"
    db.execute(f"CREATE TABLE tokens (id INTEGER PRIMARY KEY, owner {kind})")
    db.execute(f"ALTER TABLE {{sessions}} MODIFY user_id {kind}")
    assert [code.partition(":char")[0] for code in app_gaps.lacking(db)] == (
        [] if is_alike else ["sessions.user_id:unlike", "further:unlike:tokens:owner"])
    db.close()
    mariadb.drop(url)


@on_mariadb
def test_text_that_refers_to_a_number_is_refused(bench):     # R75
    """`7x` equals 7: the rows of one user would be another's, too."""
    bench.db.execute("ALTER TABLE {sessions} MODIFY user_id VARCHAR(40) NOT NULL")
    code, = app_gaps.lacking(bench.db)
    assert misfits.parts(code)[:3] == ("sessions", "user_id", "unlike")
    assert "and users.id (bigint(20)), which it refers to" in misfits.sentence(bench.db.name, code)


@pytest.mark.parametrize("like, length", [("01JD2P4Z6Y8X0W2V4T6R8Q0N1M", 26), ("A" * 32, 32),
                                          ("01jd2p4z6y8x0w2v4t6r8q0n1m", 26), (None, 36),
                                          ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", 36)])
def test_a_new_key_has_the_form_of_the_apps(like, length):                   # R75
    made = [keys.new(like, databases.NOW) for _ in range(50)]
    assert len(set(made)) == 50
    assert {len(key) for key in made} == {length}
    assert all(key.isupper() if like and like.isupper() else key.islower() for key in made)


def test_our_columns_follow_the_collation_of_a_key(mariadb):        # R75
    """Else a join ends with an error, or a key is refused for its letters."""
    url = mariadb.database()
    latin = "VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_swedish_ci"
    db = connect(keyed.make(url, keyed.UUIDS._replace(mysql=latin)))
    db.insert("notifications", user_id="m\u00fcller", kind="test", to_email="a@b.example",
              created_at=databases.NOW)
    for name in app_tables.TABLES:
        for column in keyed.columns(name):
            db.execute(f"ALTER TABLE {{{name}}} MODIFY {column} VARCHAR(64) {keyed.CI} NOT NULL")
    keys.forget(db)
    assert ("notifications", "user_id") in keys.unfit(db)
    migrate(db, databases.NOW)
    assert (keys.unfit(db), plan(db)) == ([], [])
    db.insert("notifications", user_id="\u03bc\u03cd\u03bb\u03b5\u03c1", kind="test",
              to_email="a@b.example", created_at=databases.NOW)
    assert [row["user_id"] for row in db.query("SELECT user_id FROM {notifications} ORDER BY id")
            ] == ["m\u00fcller", "\u03bc\u03cd\u03bb\u03b5\u03c1"]
    db.close()
    mariadb.drop(url)
