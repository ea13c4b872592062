"""Sessions go past their absolute or idle limit; live ones never."""
from __future__ import annotations


def test_past_the_absolute_limit_they_go_however_busy(bench):
    bench.table("sessions", [
        {"id": 1, "expires_at": bench.ago(seconds=1), "last_seen_at": bench.ago(minutes=1)},
        # exactly at it stays
        {"id": 2, "expires_at": bench.ago(seconds=0), "last_seen_at": bench.ago(minutes=1)},
        {"id": 3, "expires_at": bench.ahead(days=1), "last_seen_at": bench.ago(minutes=1)},
    ])
    assert bench.run("purge_sessions") == {"deleted": 1}
    assert bench.ids("sessions") == [2, 3]


def test_idle_for_a_month_they_go_within_the_absolute_limit_too(bench):
    end = bench.ahead(days=300)
    bench.table("sessions", [
        {"id": 1, "expires_at": end, "last_seen_at": bench.ago(days=30, seconds=1)},
        {"id": 2, "expires_at": end, "last_seen_at": bench.ago(days=30)},
        {"id": 3, "expires_at": end, "last_seen_at": bench.ago(days=1),
         "created_at": bench.ago(days=60)},
    ])
    assert bench.run("purge_sessions") == {"deleted": 1}
    assert bench.ids("sessions") == [2, 3]


def test_how_long_one_may_be_idle_is_an_option_and_the_absolute_limit_holds_anyway(bench):
    bench.table("sessions", [
        {"id": 1, "expires_at": bench.ago(seconds=1), "last_seen_at": bench.ago(hours=1)},
        {"id": 2, "expires_at": bench.ahead(days=300), "last_seen_at": bench.ago(days=40)},
    ])
    assert bench.run("purge_sessions", idle="off") == {"deleted": 1}
    assert bench.run("purge_sessions", idle="60d") == {"deleted": 0}
    assert bench.run("purge_sessions", idle="36h") == {"deleted": 1}
