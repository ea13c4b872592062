"""The database port does the same on SQLite and MariaDB: one contract, each test on both (R14)."""
import contextlib
import sqlite3
from datetime import date, datetime, timedelta, timezone

import pytest

from tests.support.databases import NOW, rows, transact
from tests.support.product import Busy, DatabaseError, Duplicate, Lost, ReadOnly


@pytest.fixture
def other(db, engine_url, opened):
    """A second connection: what it sees is committed."""
    return opened(engine_url, timeout=1)


def alias(db, address, **values):
    return db.insert("aliases", **{"user_id": 1, "address": address, "created_at": NOW, **values})


def addresses(db):
    return [row["address"] for row in db.query("SELECT address FROM {aliases} ORDER BY id")]


# Statements and values

def test_pages_by_several_columns_pass_over_no_row_with_an_equal_first_one(db):
    ends = (2, 1, 1, 2, 1, 1, 3)
    for name, days, user in zip("abcdefg", ends, (1, 2, 1, 1, 2, 1, 1)):
        alias(db, name, expires_at=NOW + timedelta(days=days), user_id=user)
    sql = "SELECT id, user_id, address, expires_at FROM {aliases} WHERE id > 0"
    for size in (1, 2, 3, 7, 8):
        for key, order in ((("expires_at", "id"), "bcefadg"),
                           (("expires_at", "user_id", "id"), "cfbeadg")):
            pages = db.pages(sql, key=key, size=size)
            assert "".join(row["address"] for page in pages for row in page) == order


@pytest.mark.parametrize("table, row, column, given", [
    ("notifications", {"kind": "k", "to_email": "a@example.org"}, "body_text",
     "it's \"b\" `c` \\ 100% %s :name {x} zwölf 📧 \u202e line\r\nline\t a\0b"),
    ("users", {}, "email_limit", 2 ** 63 - 1), ("users", {}, "email_limit", -2 ** 63),
    ("header_snapshots", {"message_log_id": 1, "user_id": 1}, "ciphertext", bytes(range(256)))],
    ids=range(4))
def test_a_value_comes_back_as_it_went(db, table, row, column, given):
    db.insert(table, **row, **{column: given})
    assert db.value(f"SELECT {column} FROM {{{table}}} WHERE {column} = :value",
                    value=given) == given


def test_times_are_text_in_utc(db):
    there = datetime(2026, 7, 1, 2, tzinfo=timezone(timedelta(hours=3)))
    alias(db, "a", expires_at=there)
    db.insert("users", billing_anchor=date(2026, 1, 31))
    assert (db.value("SELECT expires_at FROM {aliases}"),
            db.value("SELECT billing_anchor FROM {users}")) == ("2026-06-30 23:00:00", "2026-01-31")


@pytest.mark.parametrize("value, error", [
    (datetime(2026, 1, 1), ValueError),      # noqa: DTZ001  no zone: whose time is it
    ("\udcff", ValueError),                  # a lone surrogate: bytes that were no text
    (2 ** 63, ValueError), ({}, TypeError)])
def test_what_cannot_be_stored_is_refused_before_it_is_sent(db, value, error):
    # R23: one bad value affects its item alone; connection and transaction go on
    with db.transaction():
        alias(db, "a@example.org")
        with pytest.raises(error):
            db.execute("UPDATE {aliases} SET address = :value", value=value)
        alias(db, "b@example.org")
    assert addresses(db) == ["a@example.org", "b@example.org"]


def test_lists_expand_and_an_empty_one_matches_nothing(db):
    ids = [alias(db, f"{letter}@example.org") for letter in "abc"]
    count = "SELECT COUNT(*) FROM {aliases} WHERE "
    assert db.value(count + "id IN (:ids)", ids=ids[:2]) == 2
    assert db.value(count + "address IN (:who)",
                    who={"a@example.org", "x'); DROP TABLE x; --"}) == 1
    assert db.value(count + "id IN (:ids)", ids=[]) == 0
    # never "all rows" for want of a list
    assert db.value(count + "id NOT IN (:ids)", ids=[]) == 0
    # SQLite 3.26 binds 999 values: whole numbers and plain words are written out
    assert db.value(count + "id IN (:ids)", ids=[ids[0], *range(10_000, 20_000)]) == 1


def test_colons_braces_and_percents_in_quotes_are_text(db):
    alias(db, "a@example.org")
    assert db.value("SELECT '10:30 {x} 100% it''s :y' FROM {aliases} "
                    "WHERE address LIKE '%@example.org' AND user_id % 2 = :odd",
                    odd=1) == "10:30 {x} 100% it's :y"


def test_ids_of_deleted_rows_are_not_given_again(db):
    # watermarks and archives count on it
    last = alias(db, "a@example.org")
    db.execute("DELETE FROM {aliases}")
    assert alias(db, "b@example.org") > last


def test_a_second_row_with_a_unique_key_is_a_duplicate_and_its_value_is_not_shown(db):
    alias(db, "someone@example.org")
    with db.transaction():                       # a duplicate does not break the transaction
        with pytest.raises(Duplicate) as caught:
            alias(db, "someone@example.org")
        alias(db, "b@example.org")
    assert "address" in str(caught.value)
    assert "someone" not in str(caught.value)
    assert addresses(db) == ["someone@example.org", "b@example.org"]


def test_a_created_at_that_is_left_out_is_the_present_second_in_utc(db, request):
    # The server's own zone is -05:00: a writer that leaves it out must not shift the first retry by
    # hours.
    sql = "INSERT INTO {}users (email) VALUES ('a@example.org')"
    if db.dialect.name == "sqlite":
        with contextlib.closing(sqlite3.connect(db._target.path)) as theirs, theirs:
            theirs.execute(sql.format(""))
    else:
        name = db.value("SELECT DATABASE()")
        request.getfixturevalue("mariadb").root(sql.format(f"`{name}`."))
    written = datetime.fromisoformat(db.value("SELECT created_at FROM {users}"))
    age = datetime.now(timezone.utc) - written.replace(tzinfo=timezone.utc)
    assert abs(age) < timedelta(minutes=5)


# Transactions

@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_transaction_is_seen_by_others_as_a_whole_or_not_at_all(db, other, error):
    with db.transaction():
        alias(db, "a@example.org")
        assert addresses(other) == []
    assert addresses(other) == ["a@example.org"]
    with pytest.raises(error), db.transaction():      # noqa: PT012
        alias(db, "b@example.org")
        raise error
    assert addresses(db) == addresses(other) == ["a@example.org"]


def test_a_snapshot_sees_one_moment_while_others_write(db, other, engine_url, opened):
    reader = opened(engine_url, readonly=True)
    alias(db, "before@example.org")
    with reader.snapshot():
        assert addresses(reader) == ["before@example.org"]
        alias(db, "after@example.org")
        with db.transaction():
            db.execute("DELETE FROM {aliases} WHERE address = 'before@example.org'")
        assert addresses(reader) == ["before@example.org"]
        assert addresses(other) == ["after@example.org"]
        with pytest.raises(ReadOnly):
            reader.execute("DELETE FROM {aliases}")
    assert addresses(reader) == ["after@example.org"]


def test_a_trial_takes_back_all_of_itself_and_ends_well(db):
    with db.trial():
        alias(db, "a@example.org")
        with pytest.raises(Duplicate):
            alias(db, "a@example.org")
        assert addresses(db) == ["a@example.org"]
    assert addresses(db) == []


def test_a_connection_thrown_away_or_closed_within_a_transaction_stores_nothing_of_it(db, other):
    with pytest.raises(Lost, match="nothing of it is stored"):
        transact(db, lambda: alias(db, "a@example.org"), db.invalidate)
    assert addresses(db) == addresses(other) == []
    # a closed database opens no other one
    with pytest.raises(DatabaseError):
        transact(db, lambda: alias(db, "a@example.org"), db.close)
    with pytest.raises(DatabaseError, match="closed"):
        db.query("SELECT id FROM {aliases}")
    assert addresses(other) == []


@pytest.mark.slow
def test_a_writer_that_waits_too_long_is_busy_and_can_go_on_later(db, other):    # R16
    with db.transaction():
        id = alias(db, "a@example.org")
        with pytest.raises(Busy):
            other.insert("aliases", user_id=2, address="a@example.org", created_at=NOW)
        with pytest.raises(Busy):
            transact(other, lambda: alias(other, "b@example.org"),
                     lambda: alias(other, "a@example.org"))
    assert addresses(db) == ["a@example.org"]
    assert other.execute("DELETE FROM {aliases} WHERE id = :id", id=id) == 1


# Reading only

WRITES = ["INSERT INTO {meta} (name, value) VALUES ('x', 'y')", "UPDATE {meta} SET value = 'z'",
          "DELETE FROM {meta}", "CREATE TABLE stray (a INT)", "DROP TABLE {meta}",
          "CREATE INDEX stray ON {meta} (value)"]


def test_the_database_itself_refuses_to_write_in_a_dry_run(db, engine_url, opened):        # R11
    before = rows(db)
    db.close()
    dry = opened(engine_url, readonly=True)
    for sql in WRITES:
        with pytest.raises(ReadOnly, match=r"READ ONLY|a readonly database"):
            dry.execute(sql)
        with pytest.raises(ReadOnly), dry.transaction():
            dry.execute(sql)
    dry.invalidate()                             # still so on the connection opened next
    with pytest.raises(ReadOnly):
        dry.execute(WRITES[0])
    assert rows(dry) == before
