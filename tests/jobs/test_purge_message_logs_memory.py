"""Ten times the rows, headers and users with a time of their own take the same memory.  # R18"""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support.databases import bulk
from tests.support.shell import ROOT, Shell

PEAK = str(ROOT / "tests/support/peak.py")
pytestmark = pytest.mark.slow


def service(folder, factor: int) -> Shell:
    """Old rows; users with one row each past their own time; headers of most of these, and of rows
    that are gone."""
    folder.mkdir()
    made, users, rows = Shell(folder, f"sqlite:///{folder}/jobs.db"), 80 * factor, 16_000 * factor
    now = clock.now()
    old, past = now - timedelta(days=95), now - timedelta(days=20)
    bulk(made.db, "users", ["id", "email", "log_retention_days", "created_at"],
         [(id, f"u{id}@home.example", 7 + id % 2, now) for id in range(1, users + 1)])
    bulk(made.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(id % 50, "send", "spam", old) for id in range(1000)])
    while made.db.value("SELECT MAX(id) FROM {message_logs}") < rows:
        made.db.execute("INSERT INTO {message_logs} (user_id, direction, status, created_at)"
                        " SELECT user_id, direction, status, created_at FROM {message_logs} "
                        "WHERE id <= :rest", rest=rows
                        - made.db.value("SELECT MAX(id) FROM {message_logs}"))
    made.db.execute("INSERT INTO {header_snapshots} (message_log_id, user_id, created_at)"
                    " SELECT id + :half, user_id, created_at FROM {message_logs} WHERE id > 0",
                    half=rows // 2)
    bulk(made.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(id, "send", "spam", past) for id in range(1, users + 1)])
    return made


def peak(service: Shell, *words: str) -> int:
    """KiB."""
    process = service.start(*words, launcher=PEAK)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return int(err.splitlines()[-1])


def test_ten_times_as_much_in_the_same_memory(tmp_path):       # R18
    sizes: dict = {}
    for factor in (1, 10):
        made = service(tmp_path / str(factor), factor)
        for words in (("purge_message_logs", "--dry-run"), ("purge_message_logs",),
                      ("purge_header_snapshots", "--yes")):
            sizes.setdefault(words, []).append(peak(made, *words))
        assert made.db.value("SELECT COUNT(*) FROM {message_logs}") == 0
        assert made.db.value("SELECT COUNT(*) FROM {header_snapshots}") == 0
        made.db.close()
    assert {words: pair for words, pair in sizes.items() if pair[1] > pair[0] * 1.1} == {}
