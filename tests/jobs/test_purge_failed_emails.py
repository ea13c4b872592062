"""Finished forwards go after their time, with the files that nobody else needs; queued ones
never."""
from __future__ import annotations


def forward(bench, id: int, status: str, **values) -> dict:
    """A row with a file of its own, 100 bytes long."""
    bench.spool(f"{id}.eml", b"x" * 100)
    return {"id": id, "status": status, "raw_path": f"{id}.eml", **values}


def test_sent_ones_go_a_week_after_they_were_sent(bench):
    bench.table("failed_emails", [
        forward(bench, 1, "sent", finished_at=bench.ago(days=7, seconds=1)),
        # exactly at the limit stays
        forward(bench, 2, "sent", finished_at=bench.ago(days=7)),
        forward(bench, 3, "sent", finished_at=bench.ago(days=1), created_at=bench.ago(days=9)),
    ])
    assert bench.run("purge_failed_emails") == {"deleted": 1, "files": 1, "bytes_freed": 100}
    assert bench.ids("failed_emails") == [2, 3]
    assert bench.spooled() == ["2.eml", "3.eml"]


def test_failed_ones_go_a_week_after_they_failed(bench):
    told = bench.ago(days=6)
    bench.table("failed_emails", [
        forward(bench, 1, "failed", finished_at=bench.ago(days=7, seconds=1), told_at=told),
        forward(bench, 2, "failed", finished_at=bench.ago(days=7), told_at=told),
        forward(bench, 3, "failed", finished_at=bench.ago(days=5), told_at=told,
                created_at=bench.ago(days=12)),
    ])
    assert bench.run("purge_failed_emails")["deleted"] == 1
    assert bench.ids("failed_emails") == [2, 3]


def test_a_failure_waits_for_its_notice_but_for_a_day_at_most(bench):
    bench.table("failed_emails", [
        # nobody was notified yet
        forward(bench, 1, "failed", finished_at=bench.ago(days=7, seconds=1)),
        forward(bench, 2, "failed", finished_at=bench.ago(days=8)),
        forward(bench, 3, "failed", finished_at=bench.ago(days=8, seconds=1)),
    ])
    assert bench.run("purge_failed_emails")["deleted"] == 1
    assert bench.ids("failed_emails") == [1, 2]


def test_without_a_time_of_its_end_the_row_counts_from_its_creation(bench):
    bench.table("failed_emails", [
        forward(bench, 1, "sent", finished_at=None, created_at=bench.ago(days=7, seconds=1)),
        forward(bench, 2, "sent", finished_at=None, created_at=bench.ago(days=7)),
        forward(bench, 3, "failed", finished_at=None, created_at=bench.ago(days=8, seconds=1)),
    ])
    assert bench.run("purge_failed_emails")["deleted"] == 2
    assert bench.ids("failed_emails") == [2]


def test_what_is_still_queued_stays_however_old_it_is(bench):      # R25
    old = bench.ago(days=900)
    bench.table("failed_emails", [
        forward(bench, 1, "pending", created_at=old),
        forward(bench, 2, "sending", created_at=old, last_attempt_at=old),
        # replayed: it waits again
        forward(bench, 3, "pending", created_at=old, finished_at=old),
    ])
    assert bench.run("purge_failed_emails") == {"deleted": 0, "files": 0, "bytes_freed": 0}
    assert bench.spooled() == ["1.eml", "2.eml", "3.eml"]


def test_how_long_is_an_option(bench):
    bench.table("failed_emails",
                [forward(bench, 1, "sent", finished_at=bench.ago(days=7, seconds=1))])
    assert bench.run("purge_failed_emails", keep="30d")["deleted"] == 0
    assert bench.run("purge_failed_emails", keep="36h")["deleted"] == 1
