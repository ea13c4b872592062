"""What is to do is found by an index where few of many rows are due, whatever the type of their
status."""
from __future__ import annotations

import pytest

from tests.support.engines import on_mariadb
from tests.support.plans import analyse, problems

ENUM = "ENUM('sent', 'zzz', 'pending', 'sending', 'aaa', 'failed')"
KINDS = {"words": "VARCHAR(64)", "enum": ENUM, "any case": f"{ENUM} COLLATE utf8mb4_general_ci"}


def reads_too_much(bench, job: str, table: str) -> list[str]:
    """What is wrong with the plans of the statements of an idle run of the job."""
    analyse(bench.db, [table])
    heard: dict = {}
    bench.on_statement = lambda sql, values: heard.setdefault(sql, dict(values))
    bench.run(job)
    bench.on_statement = None
    large = {bench.db.name(table)}
    return [why for sql, values in heard.items() if f"{{{table}}}" in sql
            for why in problems(bench.db, sql, values, large)]


@on_mariadb
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_idle_queue_reads_none_of_what_is_finished(bench, kind):
    """The server makes no range of an index over an ENUM: it would read all of it, in each run."""
    bench.db.execute(f"ALTER TABLE {{failed_emails}} MODIFY status {kind} NOT NULL")
    bench.bulk("failed_emails", [
        {"id": id, "status": ("sent", "failed")[id % 2], "notified_at": bench.now,
         "finished_at": bench.now, "raw_path": "x"} for id in range(1, 3001)])
    assert reads_too_much(bench, "retry_forwards", "failed_emails") == []


@on_mariadb
def test_one_deleted_account_is_found_where_the_status_is_an_enum(bench):
    """Where it is a word: tests/every_job/test_plans.py."""
    bench.db.execute("ALTER TABLE {users} MODIFY status "
                     "ENUM('active', 'suspended', 'deleted') NOT NULL")
    bench.bulk("users", [{"id": id, "status": "active", "email": f"u{id}@example.com"}
                         for id in range(1, 3001)])
    bench.table("users", [{"id": 3001, "status": "deleted", "deleted_at": bench.now}])
    assert reads_too_much(bench, "delete_accounts", "users") == []
    assert bench.result["counts"]["revoked"] == 1
