"""Finished deliveries go after a month; queued ones never."""
from __future__ import annotations


def test_finished_ones_go_a_month_after_their_event(bench):
    bench.table("webhook_deliveries", [
        {"id": 1, "status": "delivered", "created_at": bench.ago(days=30, seconds=1)},
        # exactly at the limit stays
        {"id": 2, "status": "delivered", "created_at": bench.ago(days=30)},
        {"id": 3, "status": "failed", "created_at": bench.ago(days=30, seconds=1)},
        {"id": 4, "status": "failed", "created_at": bench.ago(days=30)},
        {"id": 5, "status": "delivered", "created_at": bench.ago(days=1)},
    ])
    assert bench.run("purge_webhook_deliveries") == {"deleted": 2}
    assert bench.ids("webhook_deliveries") == [2, 4, 5]


def test_it_is_the_event_that_counts_and_not_the_last_attempt(bench):
    bench.table("webhook_deliveries", [
        {"id": 1, "status": "failed", "created_at": bench.ago(days=31),
         "finished_at": bench.ago(days=27)},
        {"id": 2, "status": "failed", "created_at": bench.ago(days=31), "finished_at": None},
    ])
    assert bench.run("purge_webhook_deliveries") == {"deleted": 2}


def test_what_is_still_queued_stays_however_old_it_is(bench):      # R25
    old = bench.ago(days=900)
    bench.table("webhook_deliveries", [
        {"id": 1, "status": "pending", "created_at": old},
        {"id": 2, "status": "sending", "created_at": old, "last_attempt_at": old},
        # replayed: it waits again
        {"id": 3, "status": "pending", "created_at": old, "finished_at": old},
    ])
    assert bench.run("purge_webhook_deliveries") == {"deleted": 0}
    assert bench.ids("webhook_deliveries") == [1, 2, 3]


def test_how_long_is_an_option(bench):
    bench.table("webhook_deliveries",
                [{"status": "delivered", "created_at": bench.ago(days=30, seconds=1)}])
    assert bench.run("purge_webhook_deliveries", keep="60d") == {"deleted": 0}
    assert bench.run("purge_webhook_deliveries", keep="36h") == {"deleted": 1}
