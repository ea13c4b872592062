"""A threshold is recorded once in a cycle, and its user is notified once, of the highest."""
from __future__ import annotations

import pytest

from tests.support.product import ConfigError, clock, thresholds

JOB = "check_usage_thresholds"
NONE = {"users": 0, "events": 0, "notices": 0}
GB = 1024 ** 3


def user(id: int = 1, emails=None, bytes=None, anchor="2026-11-15", **values) -> dict:
    """By default nine days into its cycle, which is 31 %."""
    return {"id": id, "email": f"u{id}@home.example", "name": f"U{id}", "email_limit": emails,
            "bandwidth_limit_bytes": bytes, "billing_anchor": anchor,
            "created_at": "2026-01-03 10:00:00", **values}


def used(emails: int = 0, bytes: int = 0, day="2026-11-20", user_id: int = 1) -> dict:
    return {"user_id": user_id, "day": day, "email_count": emails, "bytes_used": bytes}


def crossed(bench, metric="emails", id: int = 1) -> list[int]:
    """The thresholds of a user and metric."""
    return sorted(row["threshold"] for row in bench.rows("usage_events")
                  if (row["user_id"], row["metric"]) == (id, metric))


# What counts

# {what: (the user, what was used, thresholds of e-mails, thresholds of bytes)}
CASES: dict = {
    "below 60 %": ({"emails": 1000}, [used(599)], [], []),
    "at 60 %": ({"emails": 1000}, [used(600)], [60], []),
    "below 70 %": ({"emails": 1000}, [used(699)], [60], []),
    "at 80 %": ({"emails": 1000}, [used(800)], [60, 70, 80], []),
    "below the limit": ({"emails": 1000}, [used(999)], [60, 70, 80], []),
    "over it": ({"emails": 1000}, [used(5000)], [60, 70, 80, 100], []),
    "both limits": ({"emails": 1000, "bytes": 10 * GB}, [used(800, 6 * GB)], [60, 70, 80], [60]),
    "of bytes alone": ({"bytes": 10 * GB}, [used(800, 6 * GB)], [], [60]),
    "no limit": ({}, [used(800, 6 * GB)], [], []),
    "days before and after the cycle": (
        {"emails": 100}, [used(1000, day="2026-11-14"), used(40, day="2026-11-15"),
                          used(40, day="2026-11-24"), used(1000, day="2026-12-15")],
        [60, 70, 80], []),
    "without an anchor, the day of the account": (
        {"emails": 10, "anchor": None, "created_at": "2025-06-20 23:59:59"},
        [used(9, day="2026-11-19"), used(6, day="2026-11-20")], [60], []),
    "suspended": ({"emails": 100, "status": "suspended"}, [used(70)], [60, 70], []),
    "deleted": ({"emails": 100, "status": "deleted"}, [used(70)], [], []),
    # the queue fails it, and the app shows it
    "an address that cannot be used": ({"emails": 100, "email": "nowhere"}, [used(70)], [60, 70],
                                       [])}


def test_thresholds_that_are_reached_are_recorded_and_active_users_notified(bench):
    bench.table("users", [user(id, **case[0]) for id, case in enumerate(CASES.values(), 1)])
    bench.table("usage_daily", [{**row, "user_id": id} for id, case in enumerate(CASES.values(), 1)
                                for row in case[1]])
    counts = bench.run(JOB)
    assert {what: (crossed(bench, "emails", id), crossed(bench, "bandwidth", id))
            for id, what in enumerate(CASES, 1)} == {
        what: (emails, bytes) for what, (_, _, emails, bytes) in CASES.items()}
    number = sum(bool(emails or bytes) for _, _, emails, bytes in CASES.values())
    assert (counts["users"], counts["notices"]) == (number, number - 1)
    assert bench.run(JOB) == NONE


def test_an_event_holds_what_a_dashboard_shows(bench):
    bench.table("users", [user(bytes=10 * GB)])
    bench.table("usage_daily", [used(5, 4 * GB), used(5, 3 * GB - 1, day="2026-11-21")])
    bench.run(JOB)
    [row] = bench.rows("usage_events")
    assert row == {"id": 1, "user_id": 1, "cycle_start": "2026-11-15", "metric": "bandwidth",
                   "threshold": 60, "used": 7 * GB - 1, "limit_value": 10 * GB,
                   "elapsed_percent": 32, "created_at": clock.text(bench.now)}


# {what: (the user, [(what is new: the time, usage, the limit, options of the run; the thresholds
# that are recorded then; of which its user is notified)])}
STORIES: dict = {
    "as usage grows each threshold counts once": ({"emails": 100}, [
        ({"used": used(number, day=f"2026-11-{day}")}, found, found) for day, number, found in (
            (16, 50, []), (17, 10, [60]), (18, 5, []), (19, 5, [70]), (20, 9, []), (21, 1, [80]),
            (22, 20, [100]), (23, 50, []))]),
    "a raised limit takes nothing back and judges what comes": ({"emails": 100}, [
        ({"used": used(75)}, [60, 70], [70]),
        ({"limit": 1000, "used": used(700, day="2026-11-21")}, [], []),
        ({"used": used(25, day="2026-11-22")}, [80], [80])]),
    "the next cycle starts from zero": ({"emails": 100}, [
        ({"used": used(100)}, [60, 70, 80, 100], [100]),
        ({"now": "2026-12-18 00:00:00", "used": used(80, day="2026-12-16")}, [60, 70, 80], [80])]),
    "a cycle begins on the last day of a month without the anchor's": (
        {"emails": 100, "anchor": "2026-01-31"}, [
            ({"used": used(100, day="2026-02-27"), "now": "2026-02-27 23:59:59"}, [80, 100], [100]),
            ({"used": used(70, day="2026-02-28"), "now": "2026-02-28 00:00:00"}, [60, 70], [70]),
            ({"used": used(20, day="2026-03-30"), "now": "2026-03-30 23:59:59"}, [80], [80]),
            ({"used": used(60, day="2026-03-31"), "now": "2026-03-31 00:00:00"}, [60], [60])]),
    "notices can be switched off": ({"emails": 100}, [
        ({"used": used(70), "notify": "no"}, [60, 70], []), ({}, [], [])]),
    "thresholds can be chosen": ({"emails": 100}, [         # 32 % of the cycle have gone
        ({"used": used(100), "thresholds": "90, 50:31"}, [90], [90]),
        ({"thresholds": "90, 50:32"}, [], []), ({"thresholds": "90, 50 : 33"}, [50], []),
        ({"thresholds": "1,100"}, [1, 100], [100])]),
    # of November: a second before its half, and before 70 %
    "an early share counts only early": ({"emails": 1000, "anchor": "2026-01-01"}, [
        ({"used": used(1000, day="2026-11-02"), "now": "2026-11-30 23:59:59"}, [80, 100], [100]),
        ({"now": "2026-11-22 00:00:00"}, [], []), ({"now": "2026-11-21 23:59:59"}, [70], []),
        ({"now": "2026-11-16 00:00:00"}, [], []), ({"now": "2026-11-15 23:59:59"}, [60], [])])}


@pytest.mark.parametrize("name", STORIES)
def test_each_threshold_counts_once_in_a_cycle(bench, name):
    values, steps = STORIES[name]
    bench.table("users", [user(**values)])
    for new, found, notices in steps:
        options = dict(new)
        bench.now = clock.parse(options.pop("now", clock.text(bench.now)))
        bench.table("usage_daily", [options.pop("used")] if "used" in options else [])
        bench.db.execute("UPDATE {users} SET email_limit = COALESCE(:limit, email_limit)",
                         limit=options.pop("limit", None))
        before, told = bench.ids("usage_events"), len(bench.rows("notifications"))
        bench.run(JOB, **options)
        assert sorted(row["threshold"] for row in bench.rows("usage_events")
                      if row["id"] not in before) == found, new
        assert [int(row["dedupe_key"].rpartition(":")[2])
                for row in bench.rows("notifications")[told:]] == notices, new


@pytest.mark.parametrize(("now", "found"), [
    ("2026-11-15 00:00:00", [80, 100]), ("2026-11-16 23:59:59", [80, 100]),
    ("2026-11-17 00:00:00", [])])
def test_for_48_hours_a_cycle_that_has_ended_is_recorded_without_a_notice(bench, now, found):
    bench.now = clock.parse(now)
    bench.table("users", [user(emails=100)])
    bench.table("usage_daily", [used(100, day="2026-11-14")])
    assert bench.run(JOB) == {"users": bool(found), "events": len(found), "notices": 0}
    assert [(row["cycle_start"], row["threshold"], row["elapsed_percent"])
            for row in bench.rows("usage_events")] == [
        ("2026-10-15", percent, 100) for percent in found]


def test_a_limit_that_is_raised_meanwhile_is_the_one_that_counts(bench):
    bench.table("users", [user(id, emails=100) for id in (1, 2)])
    bench.table("usage_daily", [used(70, user_id=id) for id in (1, 2)])
    bench.meanwhile("BEGIN", "UPDATE {users} SET email_limit = 1000 WHERE id = 1")
    assert bench.run(JOB) == {"users": 1, "events": 2, "notices": 1}
    assert crossed(bench, id=2) == [60, 70]


def test_one_notice_names_both_limits_the_higher_first(bench):
    bench.table("users", [user(emails=5000, bytes=10 * GB)])
    bench.table("usage_daily", [used(4100, 7 * GB)])
    assert bench.run(JOB) == {"users": 1, "events": 5, "notices": 1}
    [row] = bench.rows("notifications")
    assert row["dedupe_key"] == "usage-threshold:1:2026-11-15:emails:80"
    text = " ".join(row["body_text"].split())
    for fact in ("82%", "4,100 of 5,000 emails", "70%", "7.0 GB of 10 GB", "15 December 2026"):
        assert fact in text


def test_a_threshold_that_is_none_is_refused(bench):
    for value in ("", "0", "101", "60%", "60:0", "60:50:40", "60, 60:50"):
        with pytest.raises(ConfigError, match="thresholds"):
            bench.run(JOB, thresholds=value)


def test_all_pages_are_looked_at(bench, monkeypatch):
    """More than one of them, and the last one is full."""
    monkeypatch.setattr(thresholds, "PAGE", 7)
    ids = range(1, 29)
    bench.bulk("users", [user(id, emails=100) for id in ids])
    bench.bulk("usage_daily", [used(60, user_id=id) for id in ids])
    assert bench.run(JOB) == {"users": 28, "events": 28, "notices": 28}
    assert bench.run(JOB) == NONE                           # R12


