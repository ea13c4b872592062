"""What a run does while its database is busy with others: it takes smaller batches; one that has
to give way is tried again in halves."""
from __future__ import annotations

from contextlib import closing, contextmanager

import pytest

from jobs_lib.database.connection import connect
from tests.engines.test_purge import LOGS, logs
from tests.support.databases import bulk
from tests.support.engines import on_mariadb, on_sqlite

ROWS = 3_000


def slow_batches(bench, seconds: float = 0.6) -> list[int]:
    """From now on a batch takes this long; the widths of the ranges, as they come."""
    widths: list[int] = []

    def hear(sql, values) -> None:
        if sql.startswith("DELETE"):
            bench.clock.seconds += seconds
            widths.append(len(values["ids"]) if "ids" in values
                          else values["high"] - values["low"] + 1)
    bench.on_statement = hear
    return widths


@contextmanager
def locked(bench, id: int):
    """The app has changed a log row in an open transaction; yields what ends that."""
    bench.timeout = 1.0
    with closing(connect(bench.url)) as other:
        other.execute("BEGIN")
        other.execute("UPDATE {message_logs} SET bytes_used = 7 WHERE id = :id", id=id)
        yield lambda: other.execute("ROLLBACK")


@on_mariadb
@pytest.mark.slow
@pytest.mark.parametrize("tries", [2, 5])
def test_a_batch_that_meets_a_lock_is_tried_again_in_halves(bench, tries):         # R16
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    widths: list[int] = []
    with locked(bench, 1500) as let_go:
        def hear(sql, values) -> None:
            if sql.startswith("DELETE"):
                widths.append(values["high"] - values["low"] + 1)
                if len(widths) == tries + 2:
                    let_go()
        bench.on_statement = hear
        assert bench.run(LOGS) == {"deleted": ROWS}
    assert bench.result["status"] == "ok"
    # the second batch meets it: what is before it goes, in halves
    assert widths[1] == 2000
    assert widths[2] == 1000
    assert min(widths) < 500 or tries == 2


@on_mariadb
@pytest.mark.slow
def test_the_deletion_of_an_account_is_tried_again_in_halves(bench):               # R16
    user = bench.table("users", [{"status": "deleted", "deleted_at": bench.ago(days=30)}])[0]
    bulk(bench.db, "message_logs", ["id", "user_id", "direction", "status", "created_at"],
         [(id, user, "forward", "delivered", bench.ago(days=1, seconds=id))
          for id in range(1, ROWS + 1)])
    widths: list[int] = []
    tries: list[int] = []
    with locked(bench, 1500) as let_go:
        def hear(sql, values) -> None:
            if "FROM {message_logs}" in sql and "OFFSET :skipped" in sql:
                widths.append(values["skipped"] + 1)
            if sql.startswith("DELETE FROM {message_logs}"):
                tries.append(widths[-1])
                if len(tries) == 5:
                    let_go()
        bench.on_statement = hear
        assert bench.run("delete_accounts")["erased"] == 1
    # by the fourth: the fifth meets the lock no more
    assert any(after == before // 2 for before, after in zip(tries, tries[1:4]))
    assert (bench.result["status"], bench.ids("message_logs")) == ("ok", [])


@on_sqlite
def test_on_sqlite_what_a_batch_waits_for_another_writer_makes_it_smaller(bench):  # R16
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    widths = slow_batches(bench, 0)
    count = bench.on_statement

    def hear(sql, values) -> None:
        count(sql, values)
        if sql == "BEGIN IMMEDIATE":
            bench.clock.seconds += 0.4
    bench.on_statement = hear
    begin = bench.clock.seconds
    assert bench.run(LOGS) == {"deleted": ROWS}
    assert widths[:5] == [1000, 500, 250, 125, 100]
    # and others get as long as that to write
    assert bench.clock.seconds - begin >= 2 * 0.4 * (len(widths) - 1)
