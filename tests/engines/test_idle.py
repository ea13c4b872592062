"""What is to do is found by an index where few of many rows are due, whatever the type of their
status."""
from __future__ import annotations

import pytest

from tests.support.engines import on_mariadb
from tests.support.plans import analyse, problems

ENUM = "ENUM('sent', 'zzz', 'pending', 'sending', 'aaa', 'failed')"
KINDS = {"words": "VARCHAR(64)", "enum": ENUM, "any case": f"{ENUM} COLLATE utf8mb4_general_ci"}


@on_mariadb
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_idle_queue_reads_none_of_what_is_finished(bench, kind):
    """The server makes no range of an index over an ENUM: it would read all of it, in each run."""
    bench.db.execute(f"ALTER TABLE {{failed_emails}} MODIFY status {kind} NOT NULL")
    bench.bulk("failed_emails", [
        {"id": id, "status": ("sent", "failed")[id % 2], "notified_at": bench.now,
         "finished_at": bench.now, "raw_path": "x"} for id in range(1, 3001)])
    analyse(bench.db, ["failed_emails"])
    heard: dict = {}
    bench.on_statement = lambda sql, values: heard.setdefault(sql, dict(values))
    bench.run("retry_forwards")
    bench.on_statement = None
    large = {bench.db.name("failed_emails")}
    assert [why for sql, values in heard.items() if "{failed_emails}" in sql
            for why in problems(bench.db, sql, values, large)] == []
