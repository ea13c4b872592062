"""What our own tables hold is memory: where it cannot be read, a run goes on as if there were none.

A tool, a disk or a hand may have written anything into them: nobody has to repair them before the
jobs run again.
"""
from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from jobs_lib.errors import DatabaseError
from tests.support import databases
from tests.test_hostile_rows import JOBS, configured, healthy

UNREADABLE = ("not json", '{"idle": "x", "keep": [1], "log_row": null}', "5", -2**63, 2**63 - 1,
              "2026-02-31 10:00:00", "0001-01-01", "", None, b"\xff\xfe")
MEMORY = [("job_state", "last_options", JOBS),
          *(("meta", "value", [job]) for job in ("purge_sessions", "purge_failed_emails")),
          *(("rollup_state", column, ["rollup_usage", "purge_message_logs"])
            for column in ("log_row", "newest", "noted_at")),
          ("rollup_days", "day", ["rollup_usage"]),
          *(("account_deletions", column, ["delete_accounts"])
            for column in ("counts", "requested_at", "revoked_at", "erase_after")),
          *(("audit_archives", column, ["archive_audit_logs"]) for column in ("location",
                                                                              "created_at"))]
# of `meta`, by `migrate`
FOR_LIFE = "name NOT IN ('database_id', 'tables', 'app_tables', 'message_totals')"


@pytest.mark.parametrize("name, column, jobs", MEMORY, ids=lambda value: value if isinstance(value,
                                                                                             str)
                         else "")
# R67: last_options = 'not json' ended purges
def test_unreadable_memory_is_no_memory(bench, name, column, jobs):
    configured(bench)
    healthy(bench)
    for job in JOBS:
        bench.run(job)
    bench.db.upsert("rollup_days", {"day": "2026-11-20"})
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
                wrong.append(f"{value!r}: {job}: {result['status']}, {result['stop_reason']}, "
                             f"{result['error']}")
    assert tried
    assert not wrong, "\n".join(wrong)
