"""Sign-in links go when they have expired, or a day after they were used."""
from __future__ import annotations


def test_expired_ones_go_at_once(bench):
    bench.table("magic_links", [
        {"id": 1, "expires_at": bench.ago(seconds=1)},
        # exactly at its end stays
        {"id": 2, "expires_at": bench.ago(seconds=0)},
        {"id": 3, "expires_at": bench.ahead(minutes=15)},
        {"id": 4, "expires_at": bench.ago(seconds=1), "used_at": bench.ago(minutes=5)},
    ])
    assert bench.run("purge_magic_links") == {"deleted": 2}
    assert bench.ids("magic_links") == [2, 3]


def test_used_ones_go_a_day_later(bench):
    end = bench.ahead(days=7)
    bench.table("magic_links", [
        {"id": 1, "expires_at": end, "used_at": bench.ago(days=1, seconds=1)},
        {"id": 2, "expires_at": end, "used_at": bench.ago(days=1)},
        {"id": 3, "expires_at": end, "used_at": bench.ago(hours=1)},
        # still good
        {"id": 4, "expires_at": end, "used_at": None, "created_at": bench.ago(days=9)},
    ])
    assert bench.run("purge_magic_links") == {"deleted": 1}
    assert bench.ids("magic_links") == [2, 3, 4]


def test_how_long_a_used_one_is_kept_is_an_option_and_an_expired_one_goes_anyway(bench):
    bench.table("magic_links", [
        {"id": 1, "expires_at": bench.ago(seconds=1), "used_at": bench.ago(hours=2)},
        {"id": 2, "expires_at": bench.ahead(days=7), "used_at": bench.ago(days=3)},
    ])
    assert bench.run("purge_magic_links", keep_used="off") == {"deleted": 1}
    assert bench.ids("magic_links") == [2]
    assert bench.run("purge_magic_links", keep_used="7d") == {"deleted": 0}
    assert bench.run("purge_magic_links", keep_used="36h") == {"deleted": 1}
