"""Quarantined messages go after a month, with the files that nobody else needs."""
from __future__ import annotations


def message(bench, id: int, **values) -> dict:
    """A row with a file of its own, 100 bytes long."""
    bench.spool(f"{id}.eml", b"x" * 100)
    return {"id": id, "raw_path": f"{id}.eml", **values}


def test_they_go_a_month_after_they_were_quarantined(bench):
    bench.table("spam_quarantine", [
        message(bench, 1, quarantined_at=bench.ago(days=30, seconds=1)),
        # exactly at the limit stays
        message(bench, 2, quarantined_at=bench.ago(days=30)),
        message(bench, 3, quarantined_at=bench.ago(days=29)),
    ])
    assert bench.run("purge_spam_quarantine") == {"deleted": 1, "files": 1, "bytes_freed": 100}
    assert bench.ids("spam_quarantine") == [2, 3]
    assert bench.spooled() == ["2.eml", "3.eml"]


def test_released_ones_count_from_the_quarantine_too(bench):
    bench.table("spam_quarantine", [
        message(bench, 1, quarantined_at=bench.ago(days=30, seconds=1),
                released_at=bench.ago(days=1)),
        message(bench, 2, quarantined_at=bench.ago(days=29), released_at=bench.ago(days=28)),
    ])
    assert bench.run("purge_spam_quarantine")["deleted"] == 1
    assert bench.ids("spam_quarantine") == [2]


def test_a_file_that_another_row_names_stays(bench):
    old = bench.ago(days=31)
    bench.table("spam_quarantine", [message(bench, 1, quarantined_at=old),
                                    message(bench, 2, quarantined_at=old),
                                    message(bench, 3, quarantined_at=old)])
    # released, and its forward is queued
    bench.table("failed_emails", [{"raw_path": "1.eml"}])
    bench.table("overflow_hold", [{"raw_path": "2.eml"}])
    assert bench.run("purge_spam_quarantine") == {"deleted": 3, "files": 1, "bytes_freed": 100}
    assert bench.spooled() == ["1.eml", "2.eml"]


def test_nobody_is_warned_and_the_log_tells_rows_and_bytes(bench):
    bench.table("spam_quarantine", [message(bench, 1, quarantined_at=bench.ago(days=31))])
    bench.run("purge_spam_quarantine")
    assert bench.ids("notifications") == []
    [event] = [event for event in bench.events("purge_spam_quarantine") if event["event"]
               == "purge"]
    assert (event["deleted"], event["bytes_freed"]) == (1, 100)


def test_how_long_is_an_option(bench):
    bench.table("spam_quarantine",
                [message(bench, 1, quarantined_at=bench.ago(days=30, seconds=1))])
    assert bench.run("purge_spam_quarantine", keep="60d")["deleted"] == 0
    assert bench.run("purge_spam_quarantine", keep="36h")["deleted"] == 1
