"""A notice that held mail or a removal still needs stays (test_purges.py has the rest)."""
from __future__ import annotations


def test_a_notice_stays_as_long_as_mail_that_nobody_released_is_held_for_it(bench):
    old = bench.ago(days=91)
    bench.table("notifications", [{"id": id, "status": status, "created_at": old}
                                  for id, status in ((1, "sent"), (2, "failed"), (3, "sent"),
                                                     (4, "sent"))])
    held = {"held_at": bench.ago(days=300), "warned_at": old}
    bench.table("overflow_hold", [
        {**held, "warning_id": 1},
        {**held, "warning_id": 2},
        # mail that goes anyway needs it no more
        {**held, "warning_id": 3, "released_at": old},
        {**held, "warning_id": 4}, {**held, "warning_id": 4, "released_at": old},
        # never warned of, and in nobody's way
        {**held, "warning_id": None},
    ])
    assert bench.run("purge_notifications", dry_run=True) == {"deleted": 1}
    assert bench.run("purge_notifications") == {"deleted": 1}
    assert bench.ids("notifications") == [1, 2, 4]
    bench.db.execute("DELETE FROM {overflow_hold}")
    assert bench.run("purge_notifications") == {"deleted": 3}


def test_a_notice_of_a_removal_stays_as_long_as_it_counts(bench):
    bench.table("notifications", [
        {"id": 1, "kind": "destination_removal", "status": "sent",
         "created_at": bench.ago(days=60, seconds=1)},
        {"id": 2, "kind": "destination_removal", "status": "sent",
         "created_at": bench.ago(days=60)},
        {"id": 3, "kind": "alias_expired", "status": "sent", "created_at": bench.ago(days=8)},
    ])
    assert bench.run("purge_notifications", keep="7d") == {"deleted": 2}
    assert bench.ids("notifications") == [2]
