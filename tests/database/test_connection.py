"""The database port does the same on SQLite and on MariaDB: one contract, each test on both
(R14)."""
from __future__ import annotations

import threading
from datetime import date, datetime, timedelta, timezone

import pytest

from jobs_lib.database.connection import Lost, connect
from jobs_lib.errors import Busy, DatabaseError, Duplicate, ReadOnly
from tests.support.databases import NOW, fail, files, migrated, rows, transact


@pytest.fixture
def db(engine_url):
    database = migrated(engine_url)
    yield database
    database.close()


@pytest.fixture
def other(db, engine_url):
    """A second connection: what it sees is committed."""
    database = connect(engine_url, timeout=1)
    yield database
    database.close()


def alias(db, address, **values):
    return db.insert("aliases", **{"user_id": 1, "address": address, "created_at": NOW, **values})


def addresses(db):
    return [row["address"] for row in db.query("SELECT address FROM {aliases} ORDER BY id")]


# Statements and values

def test_rows_come_as_dicts_with_times_as_text(db):
    first = alias(db, "a@example.org", expires_at=NOW + timedelta(days=1))
    assert db.row("SELECT id, address, active, expires_at, domain_id FROM {aliases}") == {
        "id": first, "address": "a@example.org", "active": 1, "expires_at": "2026-11-25 14:30:05",
        "domain_id": None}


def test_no_row_is_none_and_an_empty_list(db):
    assert db.query("SELECT id FROM {aliases}") == []
    assert db.row("SELECT id FROM {aliases}") is None
    assert db.value("SELECT id FROM {aliases}") is None


def test_pages_hold_every_row_once_in_the_order_of_the_key(db):
    for name in "abcdefg":
        alias(db, name, active=name != "c")
    found = [[row["address"] for row in page] for page in db.pages(
        "SELECT id, address FROM {aliases} WHERE active = :active", active=1, size=3)]
    assert found == [["a", "b", "d"], ["e", "f", "g"]]
    assert list(db.pages("SELECT id FROM {aliases} WHERE active = 7", size=3)) == []


def test_pages_by_several_columns_pass_over_no_row_with_an_equal_first_one(db):
    ends = (2, 1, 1, 2, 1, 1, 3)
    for name, days, user in zip("abcdefg", ends, (1, 2, 1, 1, 2, 1, 1)):
        alias(db, name, expires_at=NOW + timedelta(days=days), user_id=user)
    sql = "SELECT id, user_id, address, expires_at FROM {aliases} WHERE id > 0"
    for size in (1, 2, 3, 7, 8):
        assert [row["address"] for page in db.pages(sql, key=("expires_at", "id"), size=size)
                for row in page] == list("bcefadg")
        assert [row["address"] for page in db.pages(sql, key=("expires_at", "user_id", "id"),
                                                    size=size) for row in page] == list("cfbeadg")


def test_pages_know_where_they_were_whatever_becomes_of_a_page(db):
    for name in "abcde":
        alias(db, name)
    found = []
    for page in db.pages("SELECT id, address FROM {aliases} WHERE active = 1", size=2):
        db.execute("DELETE FROM {aliases} WHERE id IN (:ids)", ids=[row["id"] for row in page])
        while page:
            found.append(page.pop(0)["address"])
    assert found == list("abcde")


def test_the_size_of_a_page_may_follow_from_the_page_before(db):
    for name in "abcdefg":
        alias(db, name)
    sizes = [len(page) for page in db.pages("SELECT id FROM {aliases} WHERE active = 1",
                                            size=lambda page: 2 * len(page) or 1)]
    assert sizes == [1, 2, 4]


@pytest.mark.parametrize("value", ["", "it's", 'a "b" `c` \\ 100% %s :name {x}', "zwölf 📧 \u202e",
                                   "line\r\nline\t", "a\0b"])
def test_text_comes_back_as_it_went(db, value):
    db.insert("notifications", kind="k", to_email="a@example.org", body_text=value, created_at=NOW)
    assert db.value("SELECT body_text FROM {notifications} WHERE body_text = :value",
                    value=value) == value


@pytest.mark.parametrize("value", [0, -1, 2 ** 63 - 1, -2 ** 63, None])
def test_whole_numbers_come_back_as_they_went(db, value):
    db.insert("users", email_limit=value, created_at=NOW)
    assert db.value("SELECT email_limit FROM {users}") == value


def test_other_values_come_back_as_they_went(db):
    db.insert("header_snapshots", message_log_id=1, user_id=1, ciphertext=bytes(range(256)),
              created_at=NOW)
    db.insert("spam_quarantine", user_id=1, alias_id=1, raw_path="x", score=5.5, quarantined_at=NOW)
    db.insert("users", billing_anchor=date(2026, 1, 31), created_at=NOW)
    assert db.value("SELECT ciphertext FROM {header_snapshots}") == bytes(range(256))
    assert db.value("SELECT score FROM {spam_quarantine}") == 5.5
    assert db.value("SELECT billing_anchor FROM {users}") == "2026-01-31"


def test_a_time_in_another_zone_is_stored_in_utc(db):
    alias(db, "a@example.org", expires_at=datetime(2026, 7, 1, 2, 0,
                                                   tzinfo=timezone(timedelta(hours=3))))
    assert db.value("SELECT expires_at FROM {aliases}") == "2026-06-30 23:00:00"


@pytest.mark.parametrize("value, error", [
    (datetime(2026, 1, 1), ValueError),      # noqa: DTZ001  no zone: whose time is it
    ("\udcff", ValueError),                  # a lone surrogate: bytes that were no text
    (2 ** 63, ValueError), ({}, TypeError), (object(), TypeError)])
def test_what_cannot_be_stored_is_refused_before_it_is_sent(db, value, error):
    # R23: one bad value affects its item alone; connection and transaction go on
    with db.transaction():
        alias(db, "a@example.org")
        with pytest.raises(error):
            db.execute("UPDATE {aliases} SET address = :value", value=value)
        alias(db, "b@example.org")
    assert addresses(db) == ["a@example.org", "b@example.org"]


def test_a_value_that_is_not_given_is_an_error(db):
    with pytest.raises(KeyError):
        db.query("SELECT :a", b=1)


def test_lists_expand_and_an_empty_one_matches_nothing(db):
    ids = [alias(db, f"{letter}@example.org") for letter in "abc"]
    count = "SELECT COUNT(*) FROM {aliases} WHERE "
    assert db.value(count + "id IN (:ids)", ids=ids[:2]) == 2
    assert db.value(count + "address IN (:who)",
                    who={"a@example.org", "x'); DROP TABLE x; --"}) == 1
    assert db.value(count + "id IN (:ids)", ids=[]) == 0
    # never "all rows" for want of a list
    assert db.value(count + "id NOT IN (:ids)", ids=[]) == 0


def test_ten_thousand_ids_fit_into_one_list(db):
    # SQLite 3.26 binds 999 values: whole numbers and plain words are written out
    ids = [alias(db, "a@example.org"), *range(10_000, 20_000)]
    assert db.execute("UPDATE {aliases} SET active = 0 WHERE id IN (:ids)", ids=ids) == 1
    with pytest.raises(ValueError, match="at most 900"):
        db.query("SELECT id FROM {aliases} WHERE address IN (:who)", who=[f"no {id}" for id in ids])


def test_colons_braces_and_percents_in_quotes_are_text(db):
    alias(db, "a@example.org")
    assert db.value("SELECT '10:30 {x} 100% it''s :y' FROM {aliases} "
                    "WHERE address LIKE '%@example.org'"
                    " AND user_id % 2 = :odd", odd=1) == "10:30 {x} 100% it's :y"


def test_matched_rows_are_counted_not_changed_ones(db):
    alias(db, "a@example.org", active=1)
    assert db.execute("UPDATE {aliases} SET active = 1") == 1
    assert db.execute("UPDATE {aliases} SET active = 1 WHERE id = -1") == 0
    assert db.execute("DELETE FROM {aliases}") == 1


def test_sums_of_whole_numbers_are_whole_numbers(db):
    for size in (1, 2 ** 40):
        db.insert("message_logs", user_id=1, direction="send", status="spam", bytes_used=size,
                  created_at=NOW)
    total = db.value("SELECT SUM(bytes_used) FROM {message_logs}")
    assert (total, type(total)) == (2 ** 40 + 1, int)
    assert db.value("SELECT AVG(user_id * 1.5) FROM {message_logs}") == 1.5


def test_two_bars_join_text(db):
    alias(db, "a@example.org")
    assert db.value("SELECT 'x-' || address FROM {aliases}") == "x-a@example.org"


def test_ids_of_deleted_rows_are_not_given_again(db):
    # watermarks and archives count on it
    last = alias(db, "a@example.org")
    db.execute("DELETE FROM {aliases}")
    assert alias(db, "b@example.org") > last


def test_text_is_compared_exactly(db):
    alias(db, "a@example.org")
    assert db.value("SELECT COUNT(*) FROM {aliases} WHERE address = 'A@example.org'") == 0
    db.insert("magic_links", user_id=1, token_hash="abc", expires_at=NOW, created_at=NOW)
    assert db.value("SELECT COUNT(*) FROM {magic_links} WHERE token_hash = 'ABC'") == 0


def test_a_second_row_with_a_unique_key_is_a_duplicate_and_its_value_is_not_shown(db):
    alias(db, "someone@example.org")
    with pytest.raises(Duplicate) as caught:
        alias(db, "someone@example.org")
    assert "address" in str(caught.value)
    assert "someone" not in str(caught.value)
    with db.transaction():                       # a duplicate does not break the transaction
        with pytest.raises(Duplicate):
            alias(db, "someone@example.org")
        alias(db, "b@example.org")
    assert addresses(db) == ["someone@example.org", "b@example.org"]


def test_a_triggers_own_words_are_masked_whatever_kind_of_error_they_look_like(db):       # R72
    lite = db.dialect.name == "sqlite"
    words = "UNIQUE constraint failed: jo.doe@home.example" if lite else (
        "Duplicate entry for key jo.doe@home.example")
    refuse = (f"BEGIN SELECT RAISE(ABORT, '{words}'); END" if lite else
              "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1062, "
              f"MESSAGE_TEXT = '{words}'")
    db.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON sessions {refuse}")
    with pytest.raises(Duplicate) as raised:
        db.insert("sessions", user_id=1, token_hash="x", expires_at="2026-11-24 14:30:05")
    assert "j***@home.example" in str(raised.value)
    assert "jo.doe" not in str(raised.value)
    db.execute("DROP TRIGGER refuse")


def test_a_run_without_a_slot_is_never_a_duplicate(db):
    for slot, expected in ((None, 1), (None, 2), (NOW, 3)):
        db.insert("job_runs", run_id=str(expected), job="j", slot=slot, status="ok", started_at=NOW)
    with pytest.raises(Duplicate):               # R6
        db.insert("job_runs", run_id="4", job="j", slot=NOW, status="ok", started_at=NOW)


def test_a_missing_value_or_a_too_long_one_is_an_error(db):
    with pytest.raises(DatabaseError):
        # no envelope_to
        db.insert("failed_emails", user_id=1, alias_id=1, raw_path="x", created_at=NOW)
    with pytest.raises(ValueError, match="cannot be a column"):
        db.insert("aliases", **{"user_id) --": 1})


def test_upsert_sets_and_adds(db):
    key = {"span": "hour", "bucket": 7}
    db.upsert("mail_counters", key, {"failures": 1}, {"recipients": 5})
    db.upsert("mail_counters", key, {"failures": 0}, {"recipients": 2})
    db.upsert("mail_counters", {"span": "hour", "bucket": 8}, add={"recipients": 1})
    assert db.query("SELECT bucket, recipients, failures FROM {mail_counters} ORDER BY bucket") == [
        {"bucket": 7, "recipients": 7, "failures": 0}, {"bucket": 8, "recipients": 1,
                                                        "failures": 0}]


def test_upsert_of_a_key_alone_leaves_the_row_as_it_is(db):
    db.upsert("meta", {"name": "x"}, {"value": "1"})
    db.upsert("meta", {"name": "x"})
    db.upsert("meta", {"name": "y"})
    assert db.query("SELECT name, value FROM {meta} WHERE name IN ('x', 'y') ORDER BY name") == [
        {"name": "x", "value": "1"}, {"name": "y", "value": ""}]


def test_a_created_at_that_is_left_out_is_the_present_second_in_utc(db):
    # The server's own zone is -05:00: a writer that leaves it out must not shift the first retry by
    # hours.
    db.insert("users", email="a@example.org")
    text = db.value("SELECT created_at FROM {users}")
    written = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    assert abs(written - datetime.now(timezone.utc)) < timedelta(minutes=5)


def test_each_statement_is_shown_to_the_hook_before_it_runs(db):
    seen = []
    db.on_statement = lambda sql, values: seen.append((sql, values))
    with db.transaction():
        db.execute("UPDATE {aliases} SET active = :on", on=True)
    assert seen[1] == ("UPDATE {aliases} SET active = :on", {"on": True})
    assert [sql.split()[0].replace("START", "BEGIN") for sql, _ in seen] == ["BEGIN", "UPDATE",
                                                                             "COMMIT"]


def test_unknown_tables_are_refused(db):
    with pytest.raises(DatabaseError, match="no table 'user' in the schema"):
        db.query("SELECT * FROM {user}")


def test_explain_gives_the_engines_plan(db):
    plan = str(db.explain("SELECT id FROM {failed_emails} WHERE raw_path = :path", path="x"))
    assert "failed_emails_path" in plan


# Transactions

def test_what_is_committed_is_seen_by_a_second_connection(db, other):
    with db.transaction():
        alias(db, "a@example.org")
        assert addresses(other) == []
    assert addresses(other) == ["a@example.org"]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_any_exception_rolls_back(db, other, error):
    with pytest.raises(error):
        transact(db, lambda: alias(db, "a@example.org"), fail(error))
    assert addresses(db) == addresses(other) == []
    alias(db, "b@example.org")
    assert addresses(other) == ["b@example.org"]


def test_a_snapshot_sees_one_moment_while_others_write(db, other, engine_url):
    reader = connect(engine_url, readonly=True)
    alias(db, "before@example.org")
    with reader.snapshot():
        alias(db, "after@example.org")
        with db.transaction():
            db.execute("DELETE FROM {aliases} WHERE address = 'before@example.org'")
        assert addresses(reader) == ["before@example.org"]
        assert addresses(reader) == ["before@example.org"]
        assert addresses(other) == ["after@example.org"]
        with pytest.raises(ReadOnly):
            reader.execute("DELETE FROM {aliases}")
    assert addresses(reader) == ["after@example.org"]
    reader.close()


def test_it_is_known_whether_a_snapshot_bars_writers(db, engine_url):
    assert not db.snapshot_blocks_writers()
    if db.dialect.name == "sqlite":
        db.query("PRAGMA journal_mode = DELETE")
        assert db.snapshot_blocks_writers()


def test_transactions_cannot_be_nested(db):
    with db.transaction():
        alias(db, "a@example.org")
        with pytest.raises(RuntimeError), db.transaction():
            pass
        alias(db, "b@example.org")
    assert addresses(db) == ["a@example.org", "b@example.org"]


def test_a_read_sees_each_commit_of_others_within_a_run(db, other):
    assert addresses(other) == []
    alias(db, "a@example.org")
    assert addresses(other) == ["a@example.org"]


def test_a_connection_thrown_away_within_a_transaction_stores_nothing_of_it(db, other):
    with pytest.raises(Lost, match="nothing of it is stored"):
        transact(db, lambda: alias(db, "a@example.org"), db.invalidate)
    assert addresses(db) == addresses(other) == []


def test_a_transaction_that_a_signal_left_open_is_forgotten(db, other):
    # a signal can strike between `with` and its block, where no __exit__ is called
    db.transaction().__enter__()
    alias(db, "a@example.org")
    db.invalidate()
    alias(db, "b@example.org")
    transact(db, lambda: alias(db, "c@example.org"))
    assert addresses(other) == ["b@example.org", "c@example.org"]


def test_a_connection_thrown_away_is_opened_again_by_the_next_use(db):
    for use in (lambda: alias(db, "a@example.org"), lambda: addresses(db)):
        db.invalidate()
        use()
    db.invalidate()
    with db.transaction():
        alias(db, "b@example.org")
    assert addresses(db) == ["a@example.org", "b@example.org"]


def test_ping_never_opens_another_connection(db):
    db.ping()
    db.invalidate()
    with pytest.raises(DatabaseError):
        db.ping()


def test_a_closed_database_stays_closed(db, other):
    with pytest.raises(DatabaseError):
        transact(db, lambda: alias(db, "a@example.org"), db.close)
    with pytest.raises(DatabaseError, match="closed"):
        db.query("SELECT id FROM {aliases}")
    assert addresses(other) == []
    db.close()


def test_batch_does_its_work_once_and_gives_its_result(db, other):
    calls = []
    made = db.batch(lambda: calls.append(1) or alias(db, "a@example.org"))
    assert made == db.value("SELECT id FROM {aliases}")
    assert len(calls) == 1
    with pytest.raises(ZeroDivisionError):
        db.batch(lambda: alias(db, "b@example.org") / 0)
    assert addresses(other) == ["a@example.org"]


@pytest.mark.slow
def test_a_writer_that_waits_too_long_is_busy_and_can_go_on_later(db, other):
    # R16
    with db.transaction():
        id = alias(db, "a@example.org")
        with pytest.raises(Busy):
            other.insert("aliases", user_id=2, address="a@example.org", created_at=NOW)
        with pytest.raises(Busy):
            transact(other, lambda: alias(other, "b@example.org"),
                     lambda: alias(other, "a@example.org"))
    assert addresses(db) == ["a@example.org"]
    assert other.execute("DELETE FROM {aliases} WHERE id = :id", id=id) == 1


def test_a_short_writer_is_waited_for(db, engine_url):
    taken, done = threading.Event(), []

    def holder():
        mine = connect(engine_url)
        with mine.transaction():
            mine.insert("aliases", user_id=1, address="a@example.org", created_at=NOW)
            taken.set()
            done.append(threading.Event().wait(0.3))
        mine.close()

    thread = threading.Thread(target=holder)
    thread.start()
    taken.wait(10)
    with pytest.raises(Duplicate):
        alias(db, "a@example.org")
    thread.join()
    assert done


# Reading only

WRITES = ["INSERT INTO {meta} (name, value) VALUES ('x', 'y')", "UPDATE {meta} SET value = 'z'",
          "DELETE FROM {meta}", "CREATE TABLE stray (a INT)", "DROP TABLE {meta}",
          "CREATE INDEX stray ON {meta} (value)"]


@pytest.mark.parametrize("sql", WRITES)
def test_the_database_itself_refuses_to_write_in_a_dry_run(db, engine_url, sql):
    # R11
    before = rows(db)
    db.close()
    dry = connect(engine_url, readonly=True)
    with pytest.raises(ReadOnly):
        dry.execute(sql)
    with pytest.raises(ReadOnly,
                       match=r"^the database \S+ cannot be written|jobs\.db cannot be written"):
        dry.execute("DELETE FROM {sessions}")
    with pytest.raises(ReadOnly), dry.transaction():
        dry.execute(sql)
    dry.invalidate()                             # still so on the connection opened next
    with pytest.raises(ReadOnly):
        dry.execute(sql)
    assert rows(dry) == before
    dry.close()


def test_a_dry_run_reads_while_another_writes(db, engine_url):
    alias(db, "a@example.org")
    dry = connect(engine_url, readonly=True)
    with dry.transaction():
        assert dry.value("SELECT address FROM {aliases}" + dry.for_update) == "a@example.org"
        alias(db, "b@example.org")
    assert addresses(dry) == ["a@example.org", "b@example.org"]
    dry.close()


def test_a_dry_run_leaves_no_file_changed(db, engine_url, tmp_path):
    # R11
    db.close()
    before = files(tmp_path)
    dry = connect(engine_url, readonly=True)
    rows(dry)
    dry.close()
    assert files(tmp_path) == before


# Names

def test_prefix_and_mapped_names(blank_url):
    plain = migrated(blank_url)
    prefixed = migrated(blank_url, prefix="bj_")
    mapped = connect(blank_url, prefix="bj_", tables={"aliases": "aliases"})
    alias(plain, "plain@example.org")
    alias(prefixed, "prefixed@example.org")
    assert addresses(plain) == ["plain@example.org"]
    assert addresses(prefixed) == ["prefixed@example.org"]
    assert addresses(mapped) == ["plain@example.org"]              # a mapped name is the whole name
    assert {"aliases", "bj_aliases"} <= plain.tables()
    for database in (plain, prefixed, mapped):
        database.close()


@pytest.mark.parametrize("names", [{"prefix": "a b"}, {"prefix": "x`"}, {"prefix": "ü"},
                                   {"tables": {"users": 'u"'}}, {"tables": {"user": "people"}}])
def test_names_that_cannot_be_are_refused(blank_url, names):
    with pytest.raises(DatabaseError):
        connect(blank_url, create=True, **names)


def test_the_catalogue_is_told_by_our_names(blank_url):
    db = migrated(blank_url, prefix="bj_")
    assert {"key", "name", "value"} - db.columns("meta") == {"key"}
    assert db.indexes("job_runs")["bj_job_runs_slot"] == ["job", "slot"]
    db.close()
    assert connect(blank_url).columns("users") == set()


def test_database_errors_do_not_carry_the_drivers_own(db):
    # its words hold values of rows, and a log prints the whole chain of an exception
    with pytest.raises(DatabaseError) as caught:
        db.query("SELECT nonsense FROM {aliases} WHERE address = :a", a="someone@example.org")
    assert caught.value.__suppress_context__
    assert "someone" not in str(caught.value)
    assert "nonsense" in str(caught.value)


