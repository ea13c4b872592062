"""Header snapshots are deleted when their log row is missing or expired; no others ever are."""
from __future__ import annotations

import re

import pytest

from tests.support.databases import bulk
from tests.support.product import connect

JOB = "purge_header_snapshots"


def pair(bench, id: int, created_at) -> None:
    """A log row with a snapshot of the same id, which is young itself: the row's age counts."""
    bench.table("message_logs", [{"id": id, "user_id": 1, "created_at": created_at}])
    bench.table("header_snapshots", [{"id": id, "message_log_id": id, "user_id": 1}])


@pytest.mark.parametrize("of_logs", ["90d", "off"])         # one without a row goes all the same
@pytest.mark.parametrize("keep, gone", [("", []), ("off", []), ("30d", [31]), ("95d", [])])
def test_headers_are_kept_as_long_as_their_rows_or_shorter(bench, of_logs, keep, gone):
    bench.config(purge_message_logs={"keep": of_logs})
    bench.table("header_snapshots", [{"id": 99, "message_log_id": 99}])
    for days in (29, 30, 31):                               # exactly at the limit stays
        pair(bench, days, bench.ago(days=days, seconds=days == 31))
    told = bench.run(JOB, keep=keep, dry_run=True)
    assert bench.run(JOB, keep=keep) == told == {"deleted": 1 + len(gone)}
    assert bench.ids("header_snapshots") == [days for days in (29, 30, 31) if days not in gone]
    assert bench.ids("message_logs") == [29, 30, 31]


@pytest.mark.parametrize("rows", [0, 2000])
def test_a_whole_page_goes_among_others_that_stay(bench, rows):
    bulk(bench.db, "message_logs", ["id", "user_id", "direction", "status", "created_at"],
         [(id, 1, "send", "spam", bench.now) for id in range(1, rows + 1)])
    bulk(bench.db, "header_snapshots", ["id", "message_log_id", "user_id"],
         [(id, id if id <= rows else id * 7, 1) for id in range(1, rows + 901)])
    assert bench.run(JOB) == {"deleted": 0, "held": 900}
    # one whose row is restored meanwhile keeps its headers
    bench.meanwhile("BEGIN", "INSERT INTO {message_logs} (id, user_id, direction, status, "
                    f"created_at) VALUES ({(rows + 1) * 7}, 1, 'send', 'spam', :now)")
    assert bench.run(JOB, yes=True) == {"deleted": 899}
    assert bench.ids("header_snapshots") == [*range(1, rows + 2)]


def test_a_row_and_its_headers_that_come_meanwhile_are_safe(bench):
    """Written in one transaction, at each moment of the run, between two that go."""
    bench.table("header_snapshots", [{"id": id, "message_log_id": id} for id in (1, 9000)])
    other, came = connect(bench.url, timeout=1), []

    def write(sql, _):
        if bench.db.dialect.name == "sqlite" and came and sql.startswith(("SELECT", "DELETE",
                                                                "COMMIT")) and came[-1] == "in":
            # SQLite: the run holds the one write lock
            return
        if re.match("BEGIN|START", sql):
            came.append("in")
        else:
            came.append(100 + len(came))
            with other.transaction():
                other.insert("message_logs", id=came[-1], user_id=1, direction="send",
                             status="spam", created_at=bench.now)
                other.insert("header_snapshots", id=came[-1], message_log_id=came[-1], user_id=1)
        if sql.startswith("COMMIT"):
            came.append("out")
    bench.on_statement = write
    assert bench.run(JOB) == {"deleted": 2}
    other.close()
    numbers = [number for number in came if isinstance(number, int)]
    assert len(numbers) > 5
    assert bench.ids("header_snapshots") == numbers
