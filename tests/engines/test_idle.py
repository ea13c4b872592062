"""A run ends before it loads anything where its queue has nothing to do; and only there."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.engines.due import is_idle, of_other_status
from jobs_lib.engines.rows import has_status
from tests.support.engines import on_mariadb
from tests.support.plans import analyse, problems

FINISHED = ("sent", "failed")


def found_by_an_index(bench) -> bool:
    """Whether the one deleted account of many is."""
    bench.bulk("users", [{"id": id, "status": "active", "email": f"u{id}@example.com"}
                         for id in range(1, 3001)])
    bench.table("users", [{"id": 3001, "status": "deleted"}])
    analyse(bench.db, ["users"])
    sql = f"SELECT id FROM {{users}} WHERE {has_status('deleted')} LIMIT 1"
    assert bench.db.query(sql) == [{"id": 3001}]
    return problems(bench.db, sql, {}, {"users"}) == []


def test_a_status_that_few_rows_have_is_found_by_an_index(bench):
    assert found_by_an_index(bench)


@on_mariadb
def test_a_status_that_is_an_enum_is_found_by_an_index(bench):
    bench.db.execute("ALTER TABLE {users} MODIFY status "
                     "ENUM('active', 'suspended', 'deleted') NOT NULL")
    assert found_by_an_index(bench)


STATUSES = ("pending", "sending", *FINISHED)
ENUM = "ENUM('sent', 'zzz', 'pending', 'aaa', 'failed')"
KINDS = {"words": "VARCHAR(64)", "enum": ENUM, "any case": f"{ENUM} COLLATE utf8mb4_general_ci"}


@on_mariadb
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("mapped", [False, True], ids=["ours", "theirs"])
def test_other_statuses_are_looked_for_by_an_index_whatever_the_type(bench, kind, mapped):
    """The server makes no range of an index over an ENUM: it would read all of it, in each run."""
    bench.db.execute(f"ALTER TABLE {{failed_emails}} MODIFY status {kind} NOT NULL")
    bench.bulk("failed_emails", [{"id": id, "status": FINISHED[id % 2]} for id in range(1, 3001)])
    analyse(bench.db, ["failed_emails"])
    db = bench.db
    if mapped:
        db.execute("RENAME TABLE failed_emails TO mails")
        db = connect(bench.url, tables={"failed_emails": "mails"})

    def reads() -> int:
        found = db.query("SHOW SESSION STATUS LIKE 'Handler_read_%'")
        return sum(int(row["Value"]) for row in found if "tmp" not in row["Variable_name"])
    before, queue = reads(), SimpleNamespace(db=db)
    assert is_idle(queue, "failed_emails", FINISHED)
    assert of_other_status(db, "failed_emails", STATUSES, 1000) == []
    assert reads() - before < 1000              # SHOW itself reads what it shows
    db.execute("UPDATE {failed_emails} SET status = 'aaa' WHERE id < 3")
    db.execute("UPDATE {failed_emails} SET status = 'zzz' WHERE id = 9")
    assert not is_idle(queue, "failed_emails", FINISHED)
    assert sorted(of_other_status(db, "failed_emails", STATUSES, 1000)) == [1, 2, 9]
    if mapped:
        db.execute("RENAME TABLE mails TO failed_emails")
        db.close()
