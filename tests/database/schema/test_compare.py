"""What a database lacks is named, with the statement that fixes it, on both engines."""
from __future__ import annotations

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.schema import compare, ddl
from jobs_lib.database.schema.migrations import migrate
from jobs_lib.database.schema.tables import table, tables
from tests.support import adopted
from tests.support.databases import NOW, migrated


@pytest.fixture
def db(blank_url):
    database = migrated(blank_url)
    yield database
    database.close()


def short(db, only=None):
    found = ddl.differences(db, only) if only else compare.differences(db)
    return [(each.table and each.table.name, each.kind, each.name) for each in found]


def fix(db):
    for found in compare.differences(db):
        for sql in found.statements:
            db.execute(sql)


def test_a_migrated_database_lacks_nothing(db):
    assert compare.differences(db) == []


def test_a_missing_index_comes_with_its_create_index(db):          # R15
    db.execute(ddl.drop_index(db, table("sessions"), "sessions_expiry")[0])
    found, = compare.differences(db)
    assert (found.kind, found.name, found.purpose) == ("index", "sessions_expiry", "purge_sessions")
    quote = db.dialect.quote
    sql, = found.statements
    assert sql == (f"CREATE INDEX {quote('sessions_expiry')} ON {quote('sessions')} "
                   f"({quote('expires_at')})")
    fix(db)
    assert compare.differences(db) == []


def test_each_index_is_missed(db):                                  # R15
    """Unless another begins with the same columns."""
    for each in tables():
        for index in each.indexes:
            db.execute(ddl.drop_index(db, each, index.name)[0])
            serves = any(other.columns[:len(index.columns)] == index.columns
                         for other in each.indexes if other.name != index.name)
            kind = "unique index" if index.unique else "index"
            assert short(db, each) == ([] if serves and not index.unique
                                       else [(each.name, kind, index.name)])
            db.execute(ddl.create_index(db, each, index))


def test_a_unique_index_that_is_none_is_missed_and_made_again(db):
    db.execute(ddl.drop_index(db, table("job_runs"), "job_runs_slot")[0])
    slot = next(index for index in table("job_runs").indexes if index.unique)
    db.execute(ddl.create_index(db, table("job_runs"), slot._replace(unique=False)))
    assert short(db) == [("job_runs", "unique index", "job_runs_slot")]
    fix(db)
    assert compare.differences(db) == []


# R75: an app may have two of an address, such as a deleted alias beside a new one
def test_of_an_apps_own_table_no_unique_index_is_asked_for(blank_url):
    url = adopted.make(blank_url)
    db = connect(url, tables=adopted.TABLES, columns=adopted.COLUMNS)
    migrate(db, NOW, own_only=True)
    aliases = table("aliases")
    db.execute(ddl.drop_index(db, aliases, "aliases_address")[0])
    found, = ddl.differences(db, aliases)
    assert (found.kind, found.name) == ("index", "aliases_address")
    for _ in range(2):
        db.insert("aliases", user_id=1, address="box@alias.example", created_at=NOW)
    fix(db)
    db.insert("aliases", user_id=1, address="box@alias.example", created_at=NOW)
    assert ddl.differences(db, aliases) == []
    db.close()


def test_an_index_of_another_name_or_a_wider_one_is_as_good(db):
    db.execute(ddl.drop_index(db, table("sessions"), "sessions_expiry")[0])
    db.execute("CREATE INDEX theirs ON sessions (expires_at, user_id)")
    assert compare.differences(db) == []


def test_columns_and_tables_are_missed(db, blank_url):
    db.execute("DROP TABLE usage_weekly")
    db.execute("DROP TABLE magic_links")
    db.execute("CREATE TABLE magic_links (id INTEGER PRIMARY KEY, user_id BIGINT, token_hash "
               "VARCHAR(64), expires_at DATETIME, created_at DATETIME)")
    assert short(db) == [("magic_links", "column", "used_at"), *(
        ("magic_links", "index", index.name) for index in table("magic_links").indexes),
        ("usage_weekly", "table", "usage_weekly")]
    column = compare.differences(db)[0]
    assert column.statements[0].startswith(f"ALTER TABLE {db.dialect.quote('magic_links')} ADD "
                                           "COLUMN ")
    fix(db)
    assert compare.differences(db) == []


def test_an_apps_own_names_are_used(blank_url):
    names = {"prefix": "bj_", "tables": {"sessions": "theirs"}}
    db = migrated(blank_url, prefix="bj_")
    db.close()
    db = connect(blank_url, **names)
    found, = compare.differences(db)
    assert (found.table.name, found.kind, found.name) == ("sessions", "table", "theirs")
    db.close()
