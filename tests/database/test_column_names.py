"""Columns that an app calls otherwise: our statements reach them, and rows keep our names."""
from __future__ import annotations

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.dialects import sqlite
from jobs_lib.database.names import Names
from jobs_lib.database.schema import app_tables, ddl
from jobs_lib.database.schema.tables import table, tables
from jobs_lib.database.statement import Statement
from jobs_lib.errors import DatabaseError

MAPPED = {"users": "members"}
# Crosswise on purpose: what is `name` here is `status` there.
RENAMED = {"users": {"id": "nr", "email": "mail", "name": "status", "status": "name"},
           "aliases": {"user_id": "userId", "address": "full_address"},
           "message_logs": {"bytes_used": "size", "created_at": "at"}}


def written(sql: str, columns: dict | None = None) -> str:
    """The statement as SQLite gets it, without the quotes."""
    names = Names("", MAPPED, RENAMED if columns is None else columns)
    return Statement(sql, sqlite, names).plain.translate(dict.fromkeys(map(ord, '"[]')))


# Ours, an arrow, theirs. An empty line, or a remark, parts two statements.
STATEMENTS = """
SELECT id, email FROM {users} WHERE status = 'status'
-> SELECT nr AS id, mail AS email FROM members WHERE name = 'status'

SELECT COUNT(*), MAX(id) AS last FROM {users} -> SELECT COUNT(*), MAX(nr) AS last FROM members

SELECT {users}.email FROM {users} -> SELECT members.mail AS email FROM members

SELECT u.email AS mail FROM {users} u WHERE u.id = :id -> SELECT u.mail AS mail FROM members u WHERE
u.nr = :id

SELECT name FROM {job_runs} -> SELECT name FROM job_runs

UPDATE {users} SET status = :status WHERE id IN (:ids) -> UPDATE members SET name = :status WHERE nr
IN (:ids)

DELETE FROM {users} NOT INDEXED WHERE id < :id -> DELETE FROM members NOT INDEXED WHERE nr < :id

-- Each name belongs to the innermost query that has it.
SELECT id FROM {users} WHERE NOT EXISTS (SELECT 1 FROM {aliases} WHERE user_id = {users}.id AND
active = 1)
-> SELECT nr AS id FROM members WHERE NOT EXISTS (SELECT 1 FROM aliases WHERE userId = members.nr
AND active = 1)

SELECT id FROM {aliases} WHERE (SELECT status FROM {users} WHERE {users}.id = user_id) = :status
-> SELECT id FROM aliases WHERE (SELECT name AS status FROM members WHERE members.nr = userId) =
:status

SELECT id FROM {notifications} WHERE status = :a AND (SELECT status FROM {users} WHERE {users}.id =
1) = :b
-> SELECT id FROM notifications WHERE status = :a AND (SELECT name AS status FROM members WHERE
members.nr = 1) = :b

-- Where an output's name goes before a column's, the table is said.
SELECT name FROM {users} ORDER BY name, status
-> SELECT status AS name FROM members ORDER BY members.status, members.name

SELECT MAX(email) AS email FROM {users} GROUP BY status ORDER BY email
-> SELECT MAX(mail) AS email FROM members GROUP BY members.name ORDER BY email

SELECT day, SUM(n) AS n FROM (SELECT DATE(created_at) AS day, 1 AS n FROM {message_logs}) AS parts
GROUP BY day
-> SELECT day, SUM(n) AS n FROM (SELECT DATE(at) AS day, 1 AS n FROM message_logs) AS parts GROUP BY
day

SELECT email FROM (SELECT email FROM {users} UNION ALL SELECT address FROM {aliases} ORDER BY email)
AS all_of_them
-> SELECT email FROM (SELECT mail AS email FROM members UNION ALL SELECT full_address AS address
FROM aliases
   ORDER BY email) AS all_of_them

INSERT INTO {message_stats} (user_id, bytes_used) SELECT user_id, SUM(bytes_used) FROM
{message_logs} WHERE id = 1
   ON CONFLICT (user_id) DO UPDATE SET bytes_used = {message_stats}.bytes_used + excluded.bytes_used
-> INSERT INTO message_stats (user_id, bytes_used) SELECT user_id, SUM(size) FROM message_logs WHERE
id = 1
   ON CONFLICT (user_id) DO UPDATE SET bytes_used = message_stats.bytes_used + excluded.bytes_used

INSERT INTO {users} (email) VALUES (:email) ON CONFLICT (email) DO UPDATE SET name = excluded.name
-> INSERT INTO members (mail) VALUES (:email) ON CONFLICT (mail) DO UPDATE SET status =
excluded.status
"""
PAIRS = [" ".join(line.strip() for line in block.split("\n")
                  if not line.startswith("--")).split(" -> ")
         for block in STATEMENTS.strip().split("\n\n")]


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_a_statement_says_their_names(ours, theirs):
    assert written(ours) == theirs


def test_a_name_that_two_tables_have_must_say_whose_it_is():
    with pytest.raises(DatabaseError, match="id may be a column of users or aliases: the statement "
                       "has to say which"):
        written("SELECT {users}.email FROM {users} JOIN {aliases} "
                "ON {aliases}.user_id = {users}.id WHERE id = 1")


@pytest.fixture
def db(blank_url):
    database = connect(blank_url, create=True, tables=MAPPED, columns=RENAMED)
    for each in (table("users"), table("aliases"), table("message_logs"), table("message_stats")):
        for sql in ddl.create_table(database, each):
            database.execute(sql)
    yield database
    database.close()


def test_rows_keep_our_names(db):
    db.insert("users", id=1, email="a@example.org", name="zed", status="active")
    db.insert("users", id=2, email="b@example.org", name="amy", status="suspended")
    assert db.query("SELECT id, email FROM {users} ORDER BY name") == [
        {"id": 2, "email": "b@example.org"}, {"id": 1, "email": "a@example.org"}]
    first = db.row("SELECT * FROM {users} WHERE id = 1")
    assert set(first) == {column.name for column in table("users").columns}
    assert (first["email"], first["name"], first["status"]) == ("a@example.org", "zed", "active")
    assert db.query("SELECT DISTINCT status FROM {users} ORDER BY status DESC") == [
        {"status": "suspended"}, {"status": "active"}]
    # as the app reads it
    assert db.value("SELECT mail FROM members WHERE nr = 1") == "a@example.org"


def test_writes_reach_their_columns(db):
    db.upsert("users", {"id": 1}, {"email": "a@example.org"})
    db.upsert("users", {"id": 1}, {"email": "b@example.org"})
    assert db.query("SELECT nr, mail FROM members") == [{"nr": 1, "mail": "b@example.org"}]
    db.insert("message_logs", id=1, user_id=1, direction="forward", status="delivered",
              bytes_used=5, created_at="2026-11-24 15:05:00")
    keys = "user_id, COALESCE(alias_id, 0), DATE(created_at), direction, status"
    for _ in range(2):
        db.insert_select_adding(
            "message_stats", ("user_id", "alias_id", "day", "direction", "status"),
            ("email_count", "bytes_used"), f"SELECT {keys}, COUNT(*), SUM(bytes_used) "
            f"FROM {{message_logs}} WHERE id = 1 GROUP BY {keys}")
    assert db.query("SELECT day, email_count, bytes_used FROM {message_stats}") == [
        {"day": "2026-11-24", "email_count": 2, "bytes_used": 10}]


def test_the_catalogue_is_read_by_our_names(db):
    assert db.columns("users") == {column.name for column in table("users").columns}
    assert ["status", "deleted_at"] in db.indexes("users").values()
    assert ddl.missing(db, table("users")) == []


def test_a_column_that_is_not_there_is_no_text(blank_url):
    db = connect(blank_url, create=True, columns={"users": {"email": "mail"}})
    db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    with pytest.raises(DatabaseError, match="mail"):
        db.query("SELECT id FROM {users} WHERE email IS NOT NULL")
    db.close()


def test_a_column_of_theirs_with_one_of_our_names_is_kept_apart(blank_url):
    db = connect(blank_url, create=True, columns={"users": {"email": "Mail"}})
    db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, MAIL VARCHAR(99), email INTEGER)")
    db.insert("users", id=1, email="a@example.org")
    assert db.query("SELECT * FROM {users}") == [{"id": 1, "email": "a@example.org",
                                                  "app_email": None}]
    assert {"email", "app_email"} <= db.columns("users")
    db.close()


def test_every_table_of_an_app_can_have_other_names_for_all_its_columns():
    renamed = {name: {column.name: f"c_{column.name}" for column in table(name).columns}
               for name in app_tables.TABLES}
    for each in tables():
        columns = [column.name for column in each.columns]
        text = written(f"SELECT {', '.join(columns)} FROM {{{each.name}}}", renamed)
        assert all((f"c_{name} AS {name}" in text) is (each.owner == "app") for name in columns)


@pytest.mark.parametrize("how", [{"users": {"email": 'm"'}}, {"user": {"email": "mail"}}])
def test_what_cannot_be_a_name_is_refused(how):
    with pytest.raises(DatabaseError):
        Names("", {}, how)
