"""The database port does the same on SQLite and on MariaDB."""
from __future__ import annotations

from datetime import datetime, timezone

import pytest

from jobs_lib.errors import Duplicate
from jobs_lib.ports.db import connect
from jobs_lib.schema.migrations import check, migrate

NOW = datetime(2026, 11, 24, 14, 30, 5, tzinfo=timezone.utc)


@pytest.fixture
def db(engine_url):
    database = connect(engine_url, create=True)
    migrate(database, NOW)
    yield database
    database.close()


def test_migrate_makes_all_that_check_asks_for(db):
    check(db)
    assert migrate(db, NOW) == []


def test_insert_query_execute(db):
    first = db.insert("aliases", user_id=1, address="a@example.org", created_at=NOW)
    second = db.insert("aliases", user_id=1, address="b@example.org", created_at=NOW)
    assert second > first
    assert db.row("SELECT address, created_at, active, expires_at FROM {aliases} WHERE id = :id", id=first) == {
        "address": "a@example.org", "created_at": "2026-11-24 14:30:05", "active": 1, "expires_at": None}
    assert db.execute("UPDATE {aliases} SET active = :on WHERE id IN (:ids)", on=True, ids=[first, second]) == 2
    assert db.value("SELECT COUNT(*) FROM {aliases} WHERE address IN (:who)", who=[]) == 0
    with pytest.raises(Duplicate):
        db.insert("aliases", user_id=1, address="a@example.org", created_at=NOW)


def test_transaction_rolls_back(db):
    with pytest.raises(KeyError), db.transaction():
        db.insert("meta", name="x", value="1")
        raise KeyError
    assert db.row("SELECT * FROM {meta} WHERE name = 'x'") is None


def test_upsert(db):
    for _ in range(2):
        db.upsert("mail_counters", {"span": "hour", "bucket": 7}, {"failures": 1}, {"recipients": 5})
    assert db.query("SELECT recipients, failures FROM {mail_counters}") == [{"recipients": 10, "failures": 1}]
