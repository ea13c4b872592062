"""Columns for which an expression stands: our statements read it, and write by it."""
from __future__ import annotations

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.dialects import sqlite
from jobs_lib.database.expressions import parse
from jobs_lib.database.names import Names
from jobs_lib.database.statement import Statement
from jobs_lib.errors import DatabaseError

MAPPED = {"users": "members"}
STATUS = ("CASE state WHEN 2 THEN 'suspended' WHEN 3 THEN 'deleted' ELSE 'active' END\n"
          "write state = CASE :value WHEN 'suspended' THEN 2 WHEN 'deleted' THEN 3 ELSE 1 END")
EXPRESSIONS = {"users": {"status": STATUS, "email": "mail",
                         "deleted_at": "CASE WHEN gone THEN updated END\n"
                                       "write gone = :value IS NOT NULL\nwrite updated = :value",
                         "name": "COALESCE(name, login)"},
               "message_logs": {"bytes_used": "kb * 1024\nwrite kb = :value / 1024"}}
READ = "(CASE members.state WHEN 2 THEN 'suspended' WHEN 3 THEN 'deleted' ELSE 'active' END)"
WRITTEN = "state = CASE (%s) WHEN 'suspended' THEN 2 WHEN 'deleted' THEN 3 ELSE 1 END"


def written(sql: str) -> str:
    """The statement as SQLite gets it, without the quotes of names."""
    names = Names("", MAPPED, EXPRESSIONS)
    return " ".join(Statement(sql, sqlite, names).plain.translate(
        dict.fromkeys(map(ord, '"[]'))).split())


PAIRS = [
    ("SELECT id, status FROM {users} WHERE status = 'active'",
     f"SELECT id, {READ} AS status FROM members WHERE {READ} = 'active'"),
    ("SELECT u.status AS how FROM {users} u", f"SELECT {READ} AS how FROM members u".replace(
        "members.", "u.")),
    (("SELECT 1 FROM {aliases} WHERE EXISTS (SELECT 1 FROM {users} WHERE {users}.id = user_id "
     "AND {users}.status <> 'deleted')"),
     ("SELECT 1 FROM aliases WHERE EXISTS (SELECT 1 FROM members WHERE members.id = user_id "
     f"AND {READ} <> 'deleted')")),
    ("SELECT status, COUNT(*) AS number FROM {users} GROUP BY status ORDER BY status DESC",
     (f"SELECT {READ} AS status, COUNT(*) AS number FROM members GROUP BY {READ} ORDER BY {READ} "
     "DESC")),
    ("UPDATE {users} SET status = :to WHERE id IN (:ids) AND status = 'active'",
     f"UPDATE members SET {WRITTEN % ':to'} WHERE id IN (:ids) AND {READ} = 'active'"),
    # one of ours may be two of theirs; what is set may say what was there
    ("UPDATE {users} SET deleted_at = COALESCE(deleted_at, :now), email = '' WHERE id = 1",
     ("UPDATE members SET gone = (COALESCE((CASE WHEN members.gone THEN members.updated END), "
     ":now)) IS NOT NULL, updated = (COALESCE((CASE WHEN members.gone THEN members.updated END), "
     ":now)), mail = '' WHERE id = 1")),
    ("UPDATE {users} SET email = '', status = 'deleted'",
     f"UPDATE members SET mail = '', {WRITTEN}" % "'deleted'"),
    (("INSERT INTO {users} (id, status, email) VALUES (:id, :how, ''), (2, LOWER('A, b'), :mail), "
      "((1), ('x'), '')"),
     (f"INSERT INTO members (id, state, mail) VALUES (:id, {WRITTEN[8:] % ':how'}, ''), "
      + "(2, {}, :mail), ((1), {}, '')".format(WRITTEN[8:] % "LOWER('A, b')",
                                               WRITTEN[8:] % "('x')"))),
    ("SELECT * FROM {message_logs} WHERE bytes_used > 5",
     ("SELECT *, (message_logs.kb * 1024) AS expression_bytes_used FROM message_logs "
     "WHERE (message_logs.kb * 1024) > 5")),
    ("SELECT MAX(bytes_used) AS bytes_used FROM {message_logs} ORDER BY bytes_used",
     "SELECT MAX((message_logs.kb * 1024)) AS bytes_used FROM message_logs ORDER BY bytes_used"),
]


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_a_statement_has_the_expression_in_place_of_the_name(ours, theirs):
    assert written(ours) == theirs


@pytest.mark.parametrize("sql", ["UPDATE {users} SET name = 'x'",
                                 "INSERT INTO {users} (name) VALUES ('x')"])
def test_what_can_only_be_read_is_not_written(sql):
    with pytest.raises(DatabaseError, match=r"\[columns\] users.name can only be read"):
        written(sql)


@pytest.mark.parametrize("text, columns", [
    ("IF(disabled, updated_at, NULL)", "disabled updated_at"),
    ("datetime(created, 'unixepoch')", "created"),
    ("FROM_UNIXTIME(created) + INTERVAL 1 DAY - INTERVAL hours HOUR", "created hours"),
    ("made + INTERVAL YEAR(age) DAY", "made age"), ("made + INTERVAL `day` DAY", "made day"),
    ("`order` + `key`", "order key"),
    ("CAST(price AS DECIMAL(10, 2)) * amount", "price amount"),
    ("LOWER(name COLLATE utf8mb4_bin, other)", "name other"),
    ("CASE WHEN a IS NOT NULL AND b IN ('x', 'it''s') THEN 1.5 ELSE c DIV 2 END", "a b c"),
    ("json_extract(data, '$.size')", "data"),
    ("(NULL)", ""), ("NULL", ""), ("0", ""),
    ("a + 1\nwrite `b` = :value - 1", "a b"),
])
def test_columns_are_told_from_words_of_sql(text, columns):
    assert parse(text).columns == tuple(columns.split())


@pytest.mark.parametrize("text, wrong", [
    ("e-mail", "blanks around its operators"),
    ("mail address", "what joins mail and address?"),
    ('"mail"', "text in 'single quotes'"),
    ("a + 1; DROP TABLE users", "without a semicolon"),
    ("(SELECT 1)", "without SELECT"),
    ("a + 1 -- seconds", "no comment"), ("a /* b */", "no comment"), ("a # b", "no comment"),
    ("users.state + 1", "without their table"),
    ("IF(a, b", r"a \) for each"), ("a + b)", r"a \( before each"),
    ("'active", "at the end of the text"), ("`a", "at the end of the name"),
    ("'a\\' + b", r"no backslash .*; CHAR\(92\) is a backslash"),
    ("a + :value", "belongs behind `write COLUMN =`"),
    ("a + :now", "and not :now"), ("a + ?", r"'\?' cannot be"), ("{users}", "'{' cannot be"),
    ("a + 1\nwrite a + 1", "expected `write COLUMN = ...`"),
    ("a + 1\nwrite a = 1", "expected :value"),
    ("`a b` + 1", "cannot be a column"),
])
def test_what_is_no_expression_is_refused_with_a_sentence(text, wrong):
    with pytest.raises(ValueError, match=wrong):
        parse(text)
    with pytest.raises(DatabaseError, match=wrong):
        Names("", {}, {"users": {"status": text}})


@pytest.fixture
def db(blank_url):
    database = connect(blank_url, create=True, tables=MAPPED, columns=EXPRESSIONS)
    database.execute("CREATE TABLE members (id INTEGER PRIMARY KEY, mail VARCHAR(99), state INTEGER"
                     ", status INTEGER, gone INTEGER, updated DATETIME, login VARCHAR(9), "
                     "name VARCHAR(9))")
    yield database
    database.close()


def test_rows_keep_our_names_and_have_what_the_expression_returns(db):
    db.execute("INSERT INTO members VALUES (1, 'a@example.org', 2, 77, 1, '2026-11-24 15:05:00', "
               "'zed', NULL), (2, 'b@example.org', 1, 78, 0, '2026-11-24 15:05:00', 'x', 'amy')")
    assert db.query("SELECT id, status, name FROM {users} ORDER BY name") == [
        {"id": 2, "status": "active", "name": "amy"},
        {"id": 1, "status": "suspended", "name": "zed"}]
    row = db.row("SELECT * FROM {users} WHERE status = 'suspended'")
    # the app's own column of that name is another thing
    assert (row["status"], row["app_status"], row["name"], row["deleted_at"]) == (
        "suspended", 77, "zed", "2026-11-24 15:05:00")
    assert "expression_status" not in row
    assert db.query("SELECT status, COUNT(*) AS number FROM {users} GROUP BY status "
                    "ORDER BY number, status") == [{"status": "active", "number": 1},
                                                   {"status": "suspended", "number": 1}]
    assert db.query("SELECT DISTINCT status FROM {users} ORDER BY status DESC") == [
        {"status": "suspended"}, {"status": "active"}]
    assert [[row["id"] for row in page] for page in db.pages(
        "SELECT id, deleted_at FROM {users} WHERE deleted_at IS NOT NULL",
        key=("deleted_at", "id"), size=1)] == [[1]]


def test_what_a_job_writes_is_stored_as_the_app_has_it(db):
    db.insert("users", id=1, email="a@example.org", status="deleted",
              deleted_at="2026-11-24 15:05:00")
    db.insert("users", id=2, email="b@example.org", status="active")
    stored = "SELECT state, gone, updated FROM members ORDER BY id"
    assert db.query(stored) == [{"state": 3, "gone": 1, "updated": "2026-11-24 15:05:00"},
                                {"state": 1, "gone": None, "updated": None}]
    assert db.execute("UPDATE {users} SET status = :to, deleted_at = NULL WHERE status = 'deleted'",
                      to="active") == 1
    assert db.query(stored)[0] == {"state": 1, "gone": 0, "updated": None}


INDEXED = {
    "sqlite": ("(datetime(ends, 'unixepoch'))", "CAST(strftime('%s', :value) AS INTEGER)"),
    "mysql": ("('1970-01-01 00:00:00' + INTERVAL ends SECOND)", "UNIX_TIMESTAMP(:value)")}


def test_what_is_read_may_be_generated_with_an_index_and_its_source_be_written(blank_url):
    generated, write = INDEXED[blank_url.partition(":")[0]]
    db = connect(blank_url, create=True, columns={"aliases": {
        "expires_at": f"ends_utc\nwrite ends = {write}"}})
    db.execute("CREATE TABLE aliases (id INTEGER PRIMARY KEY, ends BIGINT, "
               f"ends_utc DATETIME GENERATED ALWAYS AS {generated} VIRTUAL)")
    db.execute("CREATE INDEX aliases_end ON aliases (ends_utc)")
    for number in range(50):
        db.insert("aliases", id=number, expires_at=f"2026-11-24 15:00:{number:02}")
    sql = "SELECT id, expires_at FROM {aliases} WHERE expires_at < :now"
    assert db.query(sql, now="2026-11-24 15:00:01") == [
        {"id": 0, "expires_at": "2026-11-24 15:00:00"}]
    assert "aliases_end" in str(db.explain(sql, now="2026-11-24 15:00:01"))
    db.execute("UPDATE {aliases} SET expires_at = NULL WHERE id = 1")
    assert db.query("SELECT ends, ends_utc FROM aliases WHERE id = 1") == [
        {"ends": None, "ends_utc": None}]
    db.close()


def test_sqlite_uses_an_index_over_the_same_expression(sqlite_url):
    db = connect(sqlite_url, columns={"sessions": {
        "expires_at": "datetime(ends, 'unixepoch')"}})
    db.execute("ALTER TABLE sessions ADD COLUMN ends INTEGER")
    db.execute("CREATE INDEX sessions_end ON sessions (datetime(ends, 'unixepoch'))")
    plan = db.explain("SELECT s.id FROM {sessions} s WHERE s.expires_at < :now", now="2026-11-24")
    assert "sessions_end" in str(plan)
    db.close()


def test_a_percent_sign_is_the_apps(blank_url):
    db = connect(blank_url, create=True, columns={"sessions": {"token_hash": "no % 7"}})
    db.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY, no INTEGER)")
    db.execute("INSERT INTO sessions VALUES (1, 9)")
    assert db.value("SELECT token_hash FROM {sessions}") == 2
    assert " % 7" in db.as_text("SELECT token_hash FROM {sessions}")
    assert db.value(db.as_text("SELECT token_hash FROM {sessions}")) == 2
    db.close()
