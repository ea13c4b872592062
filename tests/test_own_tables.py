"""What our own tables hold is memory: where it cannot be read, a run goes on as if there were none.

A tool, a disk or a hand may have written anything into them: nobody has to repair them before the
jobs run again.
"""
from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from tests.support import databases
from tests.support.product import DatabaseError
from tests.test_hostile_rows import JOBS, configured, healthy

pytestmark = pytest.mark.slow
UNREADABLE = ("not json", '{"idle": "x", "keep": [1], "log_row": null}', "5", -2**63, 2**63 - 1,
              "2026-02-31 10:00:00", "0001-01-01", "", None, b"\xff\xfe")
# (table, columns, the jobs that read them)
MEMORY = [("job_state", ("last_options",), JOBS),
          *(("meta", ("value",), [job]) for job in ("purge_sessions", "purge_failed_emails",
                                                    "rollup_usage", "purge_message_logs")),
          ("account_deletions", ("counts", "requested_at", "revoked_at", "erase_after"),
           ["delete_accounts"]),
          ("audit_archives", ("location", "created_at"), ["archive_audit_logs"])]
# of `meta`, by `migrate`
FOR_LIFE = "name NOT IN ('database_id', 'schema', 'names', 'tables')"


@pytest.mark.parametrize("name, columns, jobs", MEMORY, ids=[name for name, _, _ in MEMORY])
# R67: last_options = 'not json' ended purges
def test_unreadable_memory_is_no_memory(bench, name, columns, jobs):
    """Column by column, in each of which the others are as they were."""
    configured(bench)
    healthy(bench)
    for job in JOBS:
        bench.run(job)
    before = bench.rows(name)
    for column in columns:
        spoil(bench, name, column, jobs)
        bench.db.execute(f"DELETE FROM {{{name}}}")
        for row in before:
            bench.db.insert(name, **row)


def spoil(bench, name: str, column: str, jobs: list[str]) -> None:
    """Let the jobs run with each of these values in a column."""
    writer, wrong, tried = databases.lax(bench.url), [], 0
    for value in UNREADABLE:
        for row in bench.rows("message_logs")[:1] or [{"user_id": 7, "direction": "forward",
                                                       "status": "delivered"}]:
            bench.table("message_logs", [{**row, "id": None, "created_at": at} for at in
                                         (bench.now, bench.ago(days=100))])
        with suppress(DatabaseError):           # the engine takes no such value: as well
            tried += writer.execute(f"UPDATE {{{name}}} SET {column} = :value WHERE "
                                    + (FOR_LIFE if name == "meta" else "1 = 1"), value=value)
        bench.now += timedelta(minutes=61)
        for job in jobs:
            result = bench.attempt(job)
            if result["status"] != "ok" or result["counts"].get("defects"):
                wrong.append(f"{column} = {value!r}: {job}: {result['status']}, "
                             f"{result['stop_reason']}, {result['error']}")
    writer.close()
    assert tried
    assert not wrong, "\n".join(wrong)
