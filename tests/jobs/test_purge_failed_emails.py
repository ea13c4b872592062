"""Finished forwards go after their time, with the files that nobody else needs; queued ones never."""
from __future__ import annotations

import pytest


def forward(bench, id: int, status: str, **values) -> dict:
    """A row of the queue with a file of its own."""
    bench.spool(f"{id}.eml", b"x" * 100)
    return {"id": id, "status": status, "raw_path": f"{id}.eml", **values}


def test_sent_ones_go_a_week_after_they_were_sent(bench):
    bench.table("failed_emails", [
        forward(bench, 1, "sent", finished_at=bench.ago(days=7, seconds=1)),
        forward(bench, 2, "sent", finished_at=bench.ago(days=7)),                # exactly at the limit stays
        forward(bench, 3, "sent", finished_at=bench.ago(days=1), created_at=bench.ago(days=9)),
    ])
    assert bench.run("purge_failed_emails") == {"deleted": 1, "files": 1, "bytes_freed": 100}
    assert bench.ids("failed_emails") == [2, 3]
    assert bench.spooled() == ["2.eml", "3.eml"]
