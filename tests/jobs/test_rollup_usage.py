"""Usage by day and week is what log rows and kept totals add up to, whatever was purged, came late
or went."""
from __future__ import annotations

import contextlib
import threading
from datetime import date, datetime, timedelta, timezone

import pytest

from tests.support.databases import bulk, lax
from tests.support.engines import on_mariadb
from tests.support.product import Busy, connect, rollup
from tests.support.totals import added_up

JOB, PURGE = "rollup_usage", "purge_message_logs"
LOG = ["user_id", "direction", "status", "bytes_used", "created_at"]
MIDNIGHT = datetime(2026, 11, 24, tzinfo=timezone.utc)


def log(created_at, user_id: int = 1, bytes_used: int = 10, **values) -> dict:
    return {"user_id": user_id, "direction": "forward", "status": "delivered",
            "bytes_used": bytes_used, "created_at": created_at, **values}


def users(bench, number: int = 3) -> None:
    bench.table("users", [{"id": id} for id in range(1, number + 1)])


def daily(db) -> list[tuple]:
    return [tuple(row.values()) for row in
            db.query("SELECT user_id, day, email_count, bytes_used FROM {usage_daily} "
                     "ORDER BY 1, 2")]


def weekly(db) -> list[tuple]:
    return [tuple(row.values()) for row in
            db.query("SELECT user_id, week_start, email_count, bytes_used FROM {usage_weekly} "
                     "ORDER BY 1, 2")]


def detail(db, first: str = "") -> list[tuple]:
    """What `usage_daily` has to say, by log rows and kept totals."""
    return [(row["user_id"], row["day"], int(row["number"]), int(row["bytes"])) for row in db.query(
        "SELECT user_id, day, SUM(email_count) AS number, SUM(bytes_used) AS bytes "
        f"FROM {added_up(db)} WHERE user_id IN"
        " (SELECT id FROM {users} WHERE status <> 'deleted') GROUP BY user_id, day ORDER BY 1, 2")
        if row["day"] >= first]


def by_week(days: list[tuple]) -> list[tuple]:
    """The same, added up by Monday, with a calendar of its own."""
    weeks: dict = {}
    for user, day, number, size in days:
        year, week, _ = date.fromisoformat(day).isocalendar()
        monday = date.fromisocalendar(year, week, 1).isoformat()
        old = weeks.get((user, monday), (0, 0))
        weeks[user, monday] = (old[0] + number, old[1] + size)
    return sorted((*key, *sums) for key, sums in weeks.items())


def agrees(bench) -> bool:
    """To the byte."""
    return daily(bench.db) == detail(bench.db) and weekly(bench.db) == by_week(daily(bench.db))


# What is added up

@pytest.mark.parametrize("used", [2 ** 63 - 1, 2 ** 40 + 1, -1])
# R67 R58: sums stopped three jobs
def test_a_size_that_no_message_can_have_counts_as_0(bench, used):
    bench.table("users", [{"id": id, "bandwidth_limit_bytes": 15} for id in (1, 2)])
    then = bench.ago(days=100)
    bench.table("message_logs", [log(when, user_id, size) for when in (then, bench.ago(minutes=5))
                                 for user_id, size in ((1, used), (1, used), (1, 10),
                                                       (2, 2 ** 40))])
    before, days = detail(bench.db), [then.date().isoformat(), bench.now.date().isoformat()]
    assert before == [(1, day, 3, 10) for day in days] + [(2, day, 1, 2 ** 40) for day in days]
    bench.run(JOB)
    assert daily(bench.db) == before
    assert bench.run(PURGE, keep="90d") == {"deleted": 4}
    assert bench.run(PURGE, keep="1d", yes=True) == {"deleted": 0}
    assert detail(bench.db) == before
    bench.run(JOB)
    assert agrees(bench)
    bench.run("check_usage_thresholds")
    used = {(event["user_id"], event["used"]) for event in bench.rows("usage_events")}
    assert used == {(1, 10), (2, 2 ** 40)}


@pytest.mark.parametrize("none, day", [
    ("2026-02-31 10:00:00", "2026-02-28"), ("2026-11-00 00:00:00", "2026-10-31"),
    ("2026-00-10 10:00:00", "2025-12-31")])
# R67 R58: two jobs stopped
def test_a_message_of_a_day_that_is_none_counts_for_the_day_before(bench, none, day):
    users(bench)
    writer = lax(bench.url)

    def come_in(user_id: int) -> None:
        writer.insert("message_logs", **log(none, user_id))
        bench.table("message_logs", [log(bench.ago(days=2), user_id),
                                     log(bench.ago(days=400), user_id)])

    for user_id in (1, 2):          # in the first run, which looks for all days, and in a later one
        come_in(user_id)
        bench.run(JOB)
        assert (user_id, day, 1, 10) in daily(bench.db)
        assert agrees(bench)
    come_in(3)                      # purged before any run has seen it
    before = detail(bench.db)
    assert bench.run(PURGE, keep="10d", yes=True) == {"deleted": 6}
    assert detail(bench.db) == before
    bench.run(JOB)
    assert agrees(bench)
    assert (3, day, 1, 10) in daily(bench.db)
    bench.run(JOB, **{"from": "2024-01-01"})
    assert agrees(bench)


def test_a_day_begins_at_midnight_utc_and_a_week_on_monday(bench):
    users(bench, 2)
    bench.table("message_logs", [
        log(MIDNIGHT, bytes_used=1), log(MIDNIGHT - timedelta(seconds=1), bytes_used=2),
        log(datetime(2026, 11, 23, tzinfo=timezone.utc), bytes_used=4),                # Monday
        log(datetime(2026, 11, 22, 23, 59, 59, tzinfo=timezone.utc), bytes_used=8),
        log(bench.now, user_id=2, bytes_used=2 ** 40)])
    assert bench.run(JOB) == {"days": 3, "deleted": 0}
    assert daily(bench.db) == [(1, "2026-11-22", 1, 8), (1, "2026-11-23", 2, 6),
                               (1, "2026-11-24", 1, 1),
                               (2, "2026-11-24", 1, 2 ** 40)]
    assert weekly(bench.db) == [(1, "2026-11-16", 1, 8), (1, "2026-11-23", 3, 7),
                                (2, "2026-11-23", 1, 2 ** 40)]


def test_a_run_that_is_cut_short_is_continued_at_the_day_where_it_was(bench):       # R4
    users(bench)
    bench.table("message_logs", [log(bench.ago(days=age)) for age in (0, 3, 400)])
    bench.table("message_stats", [{"user_id": 2, "day": "2025-01-31", "direction": "send",
                                   "status": "spam", "email_count": 7, "bytes_used": 70}])
    assert bench.run(JOB, dry_run=True)["days"] == 4
    assert bench.run(JOB, limit=2)["days"] == 2
    assert bench.result["stop_reason"] == "limit"
    assert [row[1] for row in daily(bench.db)] == ["2025-10-20", "2025-01-31"]
    assert bench.run(JOB, limit=1)["days"] == 1
    assert bench.run(JOB)["days"] == 1
    assert agrees(bench)
    assert bench.run(JOB)["days"] == 1                          # today


def test_what_changes_within_48_hours_is_seen(bench):
    users(bench)
    old, young = bench.table("message_logs", [log(bench.ago(days=3)), log(bench.ago(hours=48))])
    bench.run(JOB)
    bench.db.execute("UPDATE {message_logs} SET bytes_used = 99 WHERE id IN (:ids)",
                     ids=[old, young])
    assert bench.run(JOB)["days"] == 1                          # and no others are looked at
    assert [row[3] for row in daily(bench.db)][:2] == [10, 99]
    bench.run(JOB, **{"from": "2026-11-21"})                    # what is older, a rebuild sees
    assert agrees(bench)


def test_a_row_that_comes_in_late_is_found_by_its_id(bench):
    users(bench)
    bench.table("message_logs", [log(bench.now, id=2000)])
    bench.run(JOB)
    bench.table("message_logs", [log(bench.ago(days=60)), log(bench.ahead(days=2))])
    assert bench.run(JOB)["days"] == 3
    assert agrees(bench)
    # committed after others with higher ids
    bench.table("message_logs", [log(bench.ago(days=2), id=1003)])
    assert bench.run(JOB)["days"] == 3
    assert agrees(bench)


def test_a_clock_that_was_wrong_once_hides_no_day(bench):
    users(bench)
    bench.table("message_logs", [log(bench.now)])
    bench.now = bench.ahead(days=5000)
    bench.run(JOB)
    bench.now = bench.ago(days=5000)
    bench.table("message_logs", [log(bench.ago(days=60)), log(bench.ago(days=1))])
    bench.run(JOB)
    assert agrees(bench)


@pytest.mark.parametrize("last", [3, None])
def test_a_log_whose_ids_start_again_is_read_as_a_whole(bench, last):
    users(bench)
    bench.table("message_logs", [log(bench.now, id=5000)])
    bench.run(JOB)
    bench.db.execute("DELETE FROM {message_logs}")
    if last:
        bench.table("message_logs", [log(bench.ago(days=60), id=id) for id in range(1, last + 1)])
    bench.run(JOB)
    assert agrees(bench)


def test_a_late_row_that_is_purged_before_any_run_saw_it_is_counted(bench):       # R58
    users(bench)
    bench.table("message_logs", [log(bench.now)])
    bench.run(JOB)
    for age in (95, 99, 97):
        bench.table("message_logs", [log(bench.ago(days=age))])
    assert bench.run(PURGE) == {"deleted": 3}
    bench.run(JOB)
    assert agrees(bench)


def test_rows_without_detail_any_more_go(bench):
    users(bench)
    gone, = bench.table("message_logs", [log(bench.ago(days=1))])
    bench.table("message_logs", [log(bench.ago(days=1), user_id=2), log(bench.now)])
    bench.run(JOB)
    bench.db.execute("DELETE FROM {message_logs} WHERE id = :id", id=gone)
    bench.db.upsert("usage_daily", {"user_id": 3, "day": "2026-11-23"},
                    {"email_count": 5, "bytes_used": 5})
    bench.db.upsert("usage_weekly", {"user_id": 3, "week_start": "2026-11-23"},
                    {"email_count": 5, "bytes_used": 5})
    bench.run(JOB)
    assert agrees(bench)
    assert [row[:2] for row in daily(bench.db)] == [(1, "2026-11-24"), (2, "2026-11-23")]


def test_a_time_that_is_none_stops_nothing(bench):
    users(bench)
    times = ["1000-01-01 00:00:00", "9999-12-26 00:00:00", "9999-12-27 00:00:00",
             "9999-12-31 00:00:00", "0999-12-31 00:00:00"]
    if bench.url.startswith("sqlite:"):
        times += ["2026-13-45 10:00:00", "", "soon", "2026"]
    for text in times:
        bench.table("message_logs", [log(text)])
    bench.table("message_logs", [log(bench.now)])
    bench.run(JOB, keep="off")
    bench.table("message_logs", [log(text) for text in times])
    bench.run(JOB, keep="off")
    assert daily(bench.db) == [(1, "1000-01-01", 2, 20), (1, "2026-11-24", 1, 10),
                               (1, "9999-12-26", 2, 20)]
    assert bench.run(JOB, keep="off", **{"from": "2026-11-24"})["days"] == 2


# A rebuild

def test_a_rebuild_begins_with_the_day_asked_for(bench):
    users(bench)
    bench.table("message_logs", [log(bench.ago(days=age)) for age in range(60)])
    bench.run(JOB)
    right = daily(bench.db), weekly(bench.db)
    bench.db.execute("UPDATE {usage_daily} SET bytes_used = 7")
    assert bench.run(JOB, **{"from": "2026-10-10"})["days"] == 46
    assert max(row[1] for row in daily(bench.db) if row[3] == 7) == "2026-10-09"
    assert bench.run(JOB, **{"from": "2026-09-01"})["days"] == 60
    assert (daily(bench.db), weekly(bench.db)) == right
    assert "has not begun" in bench.fails(JOB, **{"from": "2026-11-25"})


# Retention

def test_whole_weeks_go_once_they_are_past_keep(bench):
    users(bench)
    bench.config(rollup_usage={"keep": "14d"})
    bench.table("message_logs", [log(bench.ago(days=age)) for age in range(20)])
    assert bench.run(JOB) == {"days": 16, "deleted": 0}
    assert daily(bench.db) == detail(bench.db, "2026-11-09")    # the Monday of two weeks ago
    bench.now = bench.ahead(days=14)
    assert bench.run(JOB)["deleted"] == 14 + 2
    assert daily(bench.db) == detail(bench.db, "2026-11-23")
    assert weekly(bench.db) == by_week(daily(bench.db))


def test_a_keep_that_is_suddenly_much_shorter_has_to_be_confirmed(bench):       # R19
    users(bench)
    bench.run(JOB)
    bulk(bench.db, "usage_daily", ["user_id", "day"], [(id, "2026-08-01") for id in range(1, 12)])
    bench.config(rollup_usage={"keep": "30d"})
    assert bench.run(JOB)["deleted"] == 0
    assert bench.result["counts"]["held"] == 11
    assert bench.run(JOB, yes=True)["deleted"] == 11


# Others who write beside it

def test_users_who_are_deleted_or_gone_have_no_rows(bench):
    users(bench, 4)
    bench.table("message_logs", [log(bench.now, user_id=id) for id in range(1, 6)])
    bench.db.execute("UPDATE {users} SET status = 'deleted' WHERE id = 2")
    bench.db.execute("UPDATE {users} SET status = 'suspended' WHERE id = 3")
    bench.run(JOB)
    assert [row[0] for row in daily(bench.db)] == [1, 3, 4]
    bench.db.execute("DELETE FROM {users} WHERE id = 4")
    bench.run(JOB)
    assert [row[0] for row in daily(bench.db)] == [row[0] for row in weekly(bench.db)] == [1, 3]


@pytest.mark.parametrize("at", ["INSERT INTO {usage_daily}", "DELETE FROM {usage_daily}",
                                "INSERT INTO {usage_weekly}", "DELETE FROM {usage_weekly}",
                                "COMMIT"])
def test_an_account_that_is_deleted_meanwhile_gets_no_row_back(bench, at):
    """Whoever deletes it first changes its status: before our check of it, or after our commit."""
    users(bench, 2)
    bench.table("message_logs", [log(bench.now), log(bench.now, user_id=2)])
    bench.run(JOB)
    other, struck = connect(bench.url, timeout=0.1), []

    def delete_account(sql, _):
        if sql.startswith(at) and not struck and any("INSERT INTO {usage_daily}" in one
                                                     for one in bench.statements):
            struck.append(False)
            with contextlib.suppress(Busy):
                erase(other)
                struck[0] = True
    bench.on_statement = delete_account
    bench.run(JOB)
    bench.on_statement = None
    if not struck[0]:                   # it had to wait until our commit
        erase(other)
    other.close()
    assert [row[0] for row in daily(bench.db)] == [row[0] for row in weekly(bench.db)] == [1]
    assert struck == [at == "INSERT INTO {usage_daily}" and not bench.url.startswith("sqlite:")]


def erase(db) -> None:
    """What the app and the deletion of an account do to the second user."""
    for sql in ("UPDATE {users} SET status = 'deleted' WHERE id = 2",
                "DELETE FROM {usage_weekly} WHERE user_id = 2",
                "DELETE FROM {usage_daily} WHERE user_id = 2",
                "DELETE FROM {message_logs} WHERE user_id = 2", "DELETE FROM {users} WHERE id = 2"):
        db.execute(sql)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["INSERT INTO {meta}", "INSERT INTO {usage_daily}",
                                "DELETE FROM {usage_daily}", "INSERT INTO {usage_weekly}",
                                "COMMIT"])
# R58
def test_a_late_row_that_is_written_and_purged_in_mid_day_is_counted_in_the_end(bench, at):
    users(bench)
    bench.config(purge_message_logs={"keep": "1d"})
    bench.table("message_logs", [log(bench.ago(days=2))])
    other, struck = bench.second_host(), []
    other.config(purge_message_logs={"keep": "1d"})
    other.timeout, other.db = 0.1, connect(bench.url, timeout=0.1)

    def meddle(sql, values):
        if sql.startswith(at) and not struck and any("FROM {message_stats}" in sql
                                                     for sql in bench.statements):
            struck.append(sql)
            with contextlib.suppress(Busy):
                other.table("message_logs", [log(bench.ago(days=2))])
            other.attempt(PURGE)
    bench.on_statement = meddle
    bench.run(JOB)
    assert struck
    other.db.close()
    bench.on_statement = None
    bench.run(JOB)
    bench.run(PURGE)
    bench.run(JOB)
    assert agrees(bench)


@on_mariadb          # nobody else can write meanwhile
def test_a_day_is_read_at_one_moment_also_if_a_purge_ends_in_the_middle_of_it(bench):      # R58
    """The rollup's own statement has read one table, and waits there for the purge, before it reads
    the other."""
    day, other = bench.ago(days=2).date().isoformat(), connect(bench.url)
    bench.table("users", [{"id": 1}])
    bench.table("message_stats", [{"user_id": 1, "day": day, "direction": "send", "status": "spam",
                                   "email_count": 6, "bytes_used": 6}])
    bench.table("message_logs", [log(bench.ago(days=2))])
    bench.db.execute("CREATE VIEW held_stats AS SELECT * FROM message_stats WHERE"
                     " GET_LOCK(CONCAT('held', bytes_used * 0), 60) >= 0")
    other.name.mapped["message_stats"] = "held_stats"
    bench.db.value("SELECT GET_LOCK('held0', 0)")
    after = bench.ago(days=1).date().isoformat()
    reader = threading.Thread(target=lambda: other.batch(lambda: rollup._write(
        other, "usage_daily", "day", rollup.DETAIL, day=day, next_day=after)), daemon=True)
    reader.start()
    while not bench.db.value("SELECT COUNT(*) FROM information_schema.processlist "
                             "WHERE state = 'User lock'"):
        assert reader.is_alive()
    assert bench.run(PURGE, keep="1d") == {"deleted": 1}
    assert reader.is_alive()
    bench.db.value("SELECT RELEASE_LOCK('held0')")
    reader.join(20)
    other.close()
    assert bench.rows("message_logs") == []
    assert daily(bench.db) == [(1, day, 7, 16)]
