"""Usage by day and week is what rows and kept totals make, whatever was purged or came late."""
from __future__ import annotations

import contextlib
from collections import Counter
from datetime import date, datetime, timedelta, timezone

import pytest

from tests.support.databases import added_up, bulk, lax
from tests.support.product import Busy, connect

JOB, PURGE = "rollup_usage", "purge_message_logs"
MIDNIGHT = datetime(2026, 11, 24, tzinfo=timezone.utc)


@pytest.fixture
def usage(bench):
    """The bench with ten users."""
    bench.table("users", [{"id": id, "bandwidth_limit_bytes": 15} for id in range(1, 11)])
    return bench


def log(created_at, user_id: int = 1, bytes_used: int = 10, **values) -> dict:
    return {"user_id": user_id, "direction": "forward", "status": "delivered",
            "bytes_used": bytes_used, "created_at": created_at, **values}


def logged(bench, *ages: float, **values) -> None:
    """A message so many days ago each."""
    bench.table("message_logs", [log(bench.ago(days=age), **values) for age in ages])


def added(db, table: str = "usage_daily") -> list[tuple]:
    """(user, day or Monday, messages, bytes)"""
    return [tuple(row.values()) for row in db.query(f"SELECT * FROM {{{table}}} ORDER BY 1, 2")]


def detail(db, first: str = "") -> list[tuple]:
    """What `usage_daily` has to say, by log rows and kept totals."""
    return [(row["user_id"], row["day"], int(row["number"]), int(row["bytes"])) for row in db.query(
        "SELECT user_id, day, SUM(email_count) AS number, SUM(bytes_used) AS bytes "
        f"FROM {added_up(db)} WHERE user_id IN (SELECT id FROM {{users}} WHERE status <> 'deleted')"
        " GROUP BY user_id, day ORDER BY 1, 2") if row["day"] >= first]


def agrees(bench, first: str = "") -> bool:
    """To the byte; weeks by a calendar of its own."""
    days, number, size = added(bench.db), Counter(), Counter()
    for user, day, messages, octets in days:
        year, week, _ = date.fromisoformat(day).isocalendar()
        monday = date.fromisocalendar(year, week, 1).isoformat()
        number[user, monday] += messages
        size[user, monday] += octets
    weeks = [(*key, number[key], size[key]) for key in sorted(number)]
    return (days, weeks) == (detail(bench.db, first), added(bench.db, "usage_weekly"))


def users(bench) -> list[int]:
    """Who has rows of this day, and the same of this week."""
    found = [row[0] for row in added(bench.db)]
    assert found == [row[0] for row in added(bench.db, "usage_weekly")]
    return found


@pytest.mark.parametrize("used", [2 ** 63 - 1, 2 ** 40 + 1, -1])
# R67 R58: sums stopped three jobs
def test_a_size_that_no_message_can_have_counts_as_0(usage, used):
    then = usage.ago(days=100)
    usage.table("message_logs", [log(when, user_id, size) for when in (then, usage.ago(minutes=5))
                                 for user_id, size in ((1, used), (1, used), (1, 10),
                                                       (2, 2 ** 40))])
    before, days = detail(usage.db), [then.date().isoformat(), usage.now.date().isoformat()]
    assert before == [(1, day, 3, 10) for day in days] + [(2, day, 1, 2 ** 40) for day in days]
    usage.run(JOB)
    assert added(usage.db) == before
    assert usage.run(PURGE, keep="90d") == {"deleted": 4}
    usage.run(PURGE, keep="1d", yes=True)
    assert detail(usage.db) == before
    usage.run(JOB)
    assert agrees(usage)
    usage.run("check_usage_thresholds")
    used = {(event["user_id"], event["used"]) for event in usage.rows("usage_events")}
    assert used == {(1, 10), (2, 2 ** 40)}


@pytest.mark.parametrize("none, day", [
    ("2026-02-31 10:00:00", "2026-02-28"), ("2026-11-00 00:00:00", "2026-10-31"),
    ("2026-00-10 10:00:00", "2025-12-31")])
# R67 R58: two jobs stopped
def test_a_message_of_a_day_that_is_none_counts_for_the_day_before(usage, none, day):
    writer = lax(usage.url)

    def come_in(user_id: int) -> None:
        writer.insert("message_logs", **log(none, user_id))
        logged(usage, 2, 400, user_id=user_id)

    for user_id in (1, 2):          # in the first run, which looks for all days, and in a later one
        come_in(user_id)
        usage.run(JOB)
        assert (user_id, day, 1, 10) in added(usage.db)
        assert agrees(usage)
    come_in(3)                      # purged before any run has seen it
    before = detail(usage.db)
    assert usage.run(PURGE, keep="10d", yes=True) == {"deleted": 6}
    assert detail(usage.db) == before
    for options in ({}, {"from": "2024-01-01"}):
        usage.run(JOB, **options)
        assert agrees(usage)
    assert (3, day, 1, 10) in added(usage.db)


def test_a_day_whose_week_has_no_end_stops_nothing(usage):         # R67
    logged(usage, 0)
    usage.table("message_logs", [log(f"{day} 00:00:00") for day in (
        "0999-12-31", "1000-01-01", "9999-12-26", "9999-12-27", "9999-12-30", "9999-12-31")])
    for _ in range(2):
        usage.run(JOB, keep="off")
    assert added(usage.db) == [(1, day, 1, 10) for day in (
        "1000-01-01", "2026-11-24", "9999-12-26")]


def test_a_day_begins_at_midnight_utc_and_a_week_on_monday(usage):
    second = timedelta(seconds=1)
    monday = MIDNIGHT - timedelta(days=1)
    usage.table("message_logs", [
        log(MIDNIGHT, bytes_used=1), log(MIDNIGHT - second, bytes_used=2),
        log(monday, bytes_used=4), log(monday - second, bytes_used=8),
        log(usage.now, user_id=2, bytes_used=2 ** 40)])
    assert usage.run(JOB) == {"days": 3, "deleted": 0}
    assert added(usage.db) == [(1, "2026-11-22", 1, 8), (1, "2026-11-23", 2, 6),
                               (1, "2026-11-24", 1, 1), (2, "2026-11-24", 1, 2 ** 40)]
    assert added(usage.db, "usage_weekly") == [
        (1, "2026-11-16", 1, 8), (1, "2026-11-23", 3, 7), (2, "2026-11-23", 1, 2 ** 40)]


def test_a_run_that_is_cut_short_is_continued_at_the_day_where_it_was(usage):       # R4
    logged(usage, 0, 3, 400)
    usage.table("message_stats", [{"user_id": 2, "day": "2025-01-31", "direction": "send",
                                   "status": "spam", "email_count": 7, "bytes_used": 70}])
    assert usage.run(JOB, dry_run=True)["days"] == 4
    assert usage.run(JOB, limit=2)["days"] == 2
    assert usage.result["stop_reason"] == "limit"
    assert [row[1] for row in added(usage.db)] == ["2025-10-20", "2025-01-31"]
    assert usage.run(JOB, limit=1)["days"] == 1
    assert usage.run(JOB)["days"] == 1
    assert agrees(usage)
    assert usage.run(JOB)["days"] == 1                          # today


def test_what_changes_within_48_hours_is_seen(usage):
    logged(usage, 3, 2)
    usage.run(JOB)
    usage.db.execute("UPDATE {message_logs} SET bytes_used = 99")
    assert usage.run(JOB)["days"] == 1                          # and no others are looked at
    assert [row[3] for row in added(usage.db)] == [10, 99]
    usage.run(JOB, **{"from": "2026-11-21"})                    # what is older, a rebuild sees
    assert agrees(usage)


def test_a_row_that_comes_in_late_is_found_by_its_id(usage):
    logged(usage, 0, id=2000)
    usage.run(JOB)
    logged(usage, 60, -2)
    assert usage.run(JOB)["days"] == 3
    assert agrees(usage)
    logged(usage, 2, id=1003)                   # committed after others with higher ids
    assert usage.run(JOB)["days"] == 3
    assert agrees(usage)


def test_a_clock_that_was_wrong_once_hides_no_day(usage):
    logged(usage, 0)
    usage.now = usage.ahead(days=5000)
    usage.run(JOB)
    usage.now = usage.ago(days=5000)
    logged(usage, 60, 1)
    usage.run(JOB)
    assert agrees(usage)


@pytest.mark.parametrize("last", [3, 0])
def test_a_log_whose_ids_start_again_is_read_as_a_whole(usage, last):
    logged(usage, 0, id=5000)
    usage.run(JOB)
    usage.db.execute("DELETE FROM {message_logs}")
    for id in range(1, last + 1):
        logged(usage, 60, id=id)
    usage.run(JOB)
    assert agrees(usage)


def test_rows_without_detail_any_more_go(usage):
    logged(usage, 1, 0)
    logged(usage, 1, user_id=2)
    usage.run(JOB)
    usage.db.execute("DELETE FROM {message_logs} WHERE user_id = 1 AND created_at < :today",
                     today=MIDNIGHT)
    for table, day in (("usage_daily", "day"), ("usage_weekly", "week_start")):
        usage.table(table, [{"user_id": 3, day: "2026-11-23", "email_count": 5, "bytes_used": 5}])
    usage.run(JOB)
    assert agrees(usage)
    assert [row[:2] for row in added(usage.db)] == [(1, "2026-11-24"), (2, "2026-11-23")]


def test_a_rebuild_begins_with_the_day_asked_for(usage):
    logged(usage, *range(60))
    usage.run(JOB)
    usage.db.execute("UPDATE {usage_daily} SET bytes_used = 7")
    assert usage.run(JOB, **{"from": "2026-10-10"})["days"] == 46
    assert max(row[1] for row in added(usage.db) if row[3] == 7) == "2026-10-09"
    assert usage.run(JOB, **{"from": "2026-09-01"})["days"] == 60
    assert agrees(usage)
    assert "has not begun" in usage.fails(JOB, **{"from": "2026-11-25"})


def test_whole_weeks_go_once_they_are_past_keep(usage):
    usage.config(rollup_usage={"keep": "14d"})
    logged(usage, *range(20))
    assert usage.run(JOB) == {"days": 16, "deleted": 0}
    assert agrees(usage, "2026-11-09")          # the Monday of two weeks ago
    usage.now = usage.ahead(days=14)
    assert usage.run(JOB)["deleted"] == 14 + 2
    assert agrees(usage, "2026-11-23")


def test_a_keep_that_is_suddenly_much_shorter_has_to_be_confirmed(usage):       # R19
    usage.run(JOB)
    bulk(usage.db, "usage_daily", ["user_id", "day"], [(id, "2026-08-01") for id in range(1, 12)])
    usage.config(rollup_usage={"keep": "30d"})
    assert usage.run(JOB)["deleted"] == 0
    assert usage.result["counts"]["held"] == 11
    assert usage.run(JOB, yes=True)["deleted"] == 11


def test_users_who_are_missing_have_no_rows(usage):
    usage.table("message_logs", [log(usage.now, user_id=id) for id in (1, 2, 3, 4, 11)])
    usage.db.execute("UPDATE {users} SET status = 'suspended' WHERE id = 3")
    usage.run(JOB)
    assert users(usage) == [1, 2, 3, 4]
    usage.db.execute("DELETE FROM {users} WHERE id = 4")
    usage.run(JOB)
    assert users(usage) == [1, 2, 3]


def test_users_who_are_all_marked_as_deleted_by_mistake_lose_no_day(usage):         # R79
    for day, status in enumerate(["active", *["deleted"] * 4, "active"]):
        usage.now = MIDNIGHT + timedelta(days=day)
        usage.table("message_logs", [log(usage.now, user_id=id) for id in range(1, 11)])
        usage.db.execute("UPDATE {users} SET status = :status", status=status)
        usage.run("delete_accounts")
        usage.run(JOB)
    assert agrees(usage)


@pytest.mark.parametrize("at", ["INSERT INTO {usage_daily}", "DELETE FROM {usage_daily}",
                                "INSERT INTO {usage_weekly}", "DELETE FROM {usage_weekly}",
                                "COMMIT"])
def test_an_account_that_is_erased_meanwhile_has_no_row_in_the_end(usage, at):     # R56
    usage.table("message_logs", [log(usage.now), log(usage.now, user_id=2)])
    usage.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :then WHERE id = 2",
                     then=usage.ago(days=40))
    run_and_strike(usage, at, lambda other: other.attempt("delete_accounts"))
    usage.now = usage.ahead(hours=1)
    usage.run("delete_accounts")
    assert (users(usage), usage.db.value("SELECT COUNT(*) FROM {users} WHERE id = 2")) == ([1], 0)


def run_and_strike(bench, at: str, act) -> None:
    """A run. Once totals were read, and just before a statement that begins like this, another host
    does something once, or has to wait for us."""
    other, struck = bench.second_host(), []
    other.timeout, other.db = 0.1, connect(bench.url, timeout=0.1)

    def hear(sql: str, _values) -> None:
        if sql.startswith(at) and not struck and any("FROM {message_stats}" in one
                                                     for one in bench.statements):
            struck.append(sql)
            with contextlib.suppress(Busy):
                act(other)
    bench.on_statement = hear
    bench.run(JOB)
    assert struck
    bench.on_statement = None
    other.db.close()


@pytest.mark.slow
@pytest.mark.parametrize("at", ["INSERT INTO {meta}", "INSERT INTO {usage_daily}",
                                "DELETE FROM {usage_daily}", "INSERT INTO {usage_weekly}",
                                "COMMIT"])
def test_a_late_row_that_is_written_and_purged_in_mid_day_is_counted_in_the_end(usage, at):  # R58
    def meddle(other) -> None:
        other.config(purge_message_logs={"keep": "1d"})
        with contextlib.suppress(Busy):
            logged(other, 2)
        other.attempt(PURGE)
    usage.config(purge_message_logs={"keep": "1d"})
    logged(usage, 2)
    run_and_strike(usage, at, meddle)
    for job in (JOB, PURGE, JOB):
        usage.run(job)
    assert agrees(usage)
