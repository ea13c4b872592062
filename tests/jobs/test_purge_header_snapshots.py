"""Header snapshots are deleted when their log row is missing or expired; no others ever are."""
from __future__ import annotations

import re

import pytest

from tests.support.databases import bulk
from tests.support.product import connect, header_snapshots, safety_stop

JOB = "purge_header_snapshots"
LOGS = "purge_message_logs"


def pair(bench, id: int, created_at, user_id: int = 1) -> None:
    """A log row with a snapshot of the same id, which is young itself: the row's age counts."""
    bench.table("message_logs", [{"id": id, "user_id": user_id, "created_at": created_at}])
    bench.table("header_snapshots", [{"id": id, "message_log_id": id, "user_id": user_id}])


def many(db, logs: int, snapshots: int, created_at) -> None:
    """This many log rows, and this many snapshots, from id 1 on."""
    bulk(db, "message_logs", ["id", "user_id", "direction", "status", "created_at"],
         [(id, 1, "send", "spam", created_at) for id in range(1, logs + 1)])
    bulk(db, "header_snapshots", ["id", "message_log_id", "user_id"],
         [(id, id, 1) for id in range(1, snapshots + 1)])


@pytest.fixture
def few(monkeypatch):
    """Windows of ten snapshots, and safety stops from eleven on."""
    monkeypatch.setattr(header_snapshots, "WINDOW", 10)
    monkeypatch.setattr(safety_stop, "MOST_ROWS", 10)


# Which

def test_what_has_no_log_row_goes_however_young_it_is(bench):
    pair(bench, 2, bench.ago(days=1))
    bench.table("header_snapshots", [{"id": 1, "message_log_id": 1}, {"id": 3, "message_log_id": 3},
                                     {"id": 4, "message_log_id": 3}])
    assert bench.run(JOB) == {"deleted": 3, "orphans": 3}
    assert bench.ids("header_snapshots") == [2]


def test_what_is_past_the_logs_time_goes_though_the_row_is_there(bench):
    pair(bench, 1, bench.ago(days=90, seconds=1))
    pair(bench, 2, bench.ago(days=90))                      # exactly at the limit stays
    pair(bench, 3, bench.ago(days=1))
    bench.table("header_snapshots", [{"id": 4, "message_log_id": 1},
                                     {"id": 5, "message_log_id": 2}])
    assert bench.run(JOB) == {"deleted": 2, "orphans": 0}
    assert bench.ids("header_snapshots") == [2, 3, 5]
    assert bench.ids("message_logs") == [1, 2, 3]


@pytest.mark.parametrize("days, kept", [(None, 90), (10, 10), (3, 3), (1, 3), (-7, 3), (90, 90),
                                        (500, 90)])
def test_the_owners_own_retention_counts_for_headers_too(bench, days, kept):
    bench.table("users", [{"id": 1, "log_retention_days": days},
                          {"id": 2, "log_retention_days": 40}])
    pair(bench, 1, bench.ago(days=kept, seconds=1))
    pair(bench, 2, bench.ago(days=kept))
    pair(bench, 3, bench.ago(days=40), user_id=2)
    pair(bench, 4, bench.ago(days=89), user_id=3)           # nobody knows this user
    assert bench.run(JOB) == {"deleted": 1, "orphans": 0}
    assert bench.ids("header_snapshots") == [2, 3, 4]


# How long

@pytest.mark.parametrize("headers, logs, gone", [
    ("", {"keep": "60d"}, {50: False, 61: True}),           # as the logs
    ("30d", {"keep": "60d"}, {29: False, 31: True}),        # shorter than the logs
    ("30d", {"keep": "20d"}, {19: False, 21: True}),        # never longer than the logs
    ("30d", {"keep": "off"}, {29: False, 31: True}),        # set for headers alone
    ("", {"keep": "off"}, {900: False}),
    ("off", {"keep": "60d"}, {900: False}),
    # a job for logs that is switched off has no time
    ("", {"keep": "20d", "enabled": "no"}, {900: False}),
    ("30d", {"keep": "20d", "enabled": "no"}, {30: False, 31: True}),
])
def test_which_of_the_two_times_counts(bench, headers, logs, gone):
    bench.config(**{LOGS: logs})
    bench.table("users", [{"id": 9, "log_retention_days": 5}])
    for days in gone:
        pair(bench, days, bench.ago(days=days))
    # orphans go by any option
    bench.table("header_snapshots", [{"id": 1000, "message_log_id": 1000}])
    if headers == "" and 900 in gone:       # where all logs are kept: also who chose a time
        pair(bench, 1001, bench.ago(days=300), user_id=9)
        gone = {**gone, 1001: False}
    assert bench.run(JOB, keep=headers) == {"deleted": 1 + sum(gone.values()), "orphans": 1}
    assert bench.ids("header_snapshots") == [days for days in gone if not gone[days]]


# How

def test_windows_end_between_any_two_rows(bench, few):
    bench.table("header_snapshots", [{"message_log_id": id} for id in (5, 5, 9, *range(100, 125),
                                                                       *[200] * 25, 900)])
    for id in (9, 110, 200):
        bench.table("message_logs", [{"id": id, "created_at": bench.now}])
    assert bench.run(JOB, dry_run=True) == {"deleted": 27, "orphans": 27}
    assert bench.run(JOB) == {"deleted": 27, "orphans": 27}
    assert sorted(row["message_log_id"] for row in bench.rows("header_snapshots")) == [9, 110,
                                                                                       *[200] * 25]


def test_a_row_and_its_headers_that_come_meanwhile_are_safe(bench):
    """Written in one transaction, at each moment of the run, between two that go."""
    bench.table("header_snapshots", [{"id": id, "message_log_id": id} for id in (1, 9000)])
    other, came = connect(bench.url, timeout=1), []

    def write(sql, _):
        if bench.db.dialect.by_key and came and sql.startswith(("SELECT", "DELETE",
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
    assert bench.run(JOB) == {"deleted": 2, "orphans": 2}
    other.close()
    numbers = [number for number in came if isinstance(number, int)]
    assert len(numbers) > 5
    assert bench.ids("header_snapshots") == numbers


def test_a_row_that_is_restored_before_the_batch_keeps_its_headers(bench):
    bench.table("header_snapshots", [{"id": 1, "message_log_id": 1},
                                     {"id": 2, "message_log_id": 2}])
    bench.meanwhile("BEGIN", "INSERT INTO {message_logs} (id, user_id, direction, status, "
                    "bytes_used, created_at) VALUES (1, 1, 'send', 'spam', 0, :now)")
    assert bench.run(JOB) == {"deleted": 1, "orphans": 1}
    assert bench.ids("header_snapshots") == [1]


# Safety

def test_too_many_orphans_look_like_a_log_that_was_lost(bench, few):       # R19
    many(bench.db, 10, 21, bench.now)
    message = ("11 of 21 rows of header_snapshots would be deleted: they have no row in "
               "message_logs, which looks like a wrong or an empty table of logs. Nothing was "
               "deleted. If this is intended, run `jobs.py purge_header_snapshots --yes` once; if "
               "not, check [tables] message_logs")
    assert bench.fails(JOB) == message
    assert len(bench.ids("header_snapshots")) == 21


@pytest.mark.parametrize("where, option", [(LOGS, "[purge_message_logs] keep"),
                                           (JOB, "[purge_header_snapshots] keep")])
def test_a_time_that_was_shortened_by_mistake_stops_it(bench, few, where, option):       # R19
    many(bench.db, 20, 20, bench.ago(days=30))
    assert bench.run(JOB) == {"deleted": 0, "orphans": 0}
    bench.config(**{where: {"keep": "9d"}})
    assert bench.fails(JOB) == (
        f"20 of 20 rows of header_snapshots would be deleted: {option} is 9d, it was 90d at the "
        "last good run. Nothing was deleted. If this is intended, run `jobs.py "
        "purge_header_snapshots --yes` once, with the same --set if there was one; if not, correct "
        "the option")
    assert len(bench.ids("header_snapshots")) == 20
    assert bench.run(JOB, yes=True)["deleted"] == 20
    bench.config(**{where: {"keep": "90d"}})
