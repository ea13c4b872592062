"""An export of ten times the rows takes the same memory, on both engines.  # R18, R52"""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support.databases import bulk
from tests.support.shell import ROOT, Shell

PEAK = str(ROOT / "tests/support/peak.py")
ROWS, MOST_KB = 3000, 16 * 1024
pytestmark = pytest.mark.slow


def peak(service: Shell, rows: int) -> int:
    """KiB of a run that exports an account with so many log rows, and texts of some kB beside
    them."""
    now = clock.now()
    user = service.db.insert("users", email=f"u{rows}@home.example", created_at=now)
    bulk(service.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(user, "send", "spam", now - timedelta(seconds=n // 2)) for n in range(rows)])
    bulk(service.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "status",
                                            "payload", "created_at"],
         [(user, 1, f"e{n}", "delivered", "x" * 20_000, now) for n in range(rows // 50)])
    service.db.insert("export_requests", user_id=user, requested_at=now)
    process = service.start("export_accounts", launcher=PEAK)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert service.statuses("export_requests") == {"ready": service.db.value("SELECT COUNT(*) FROM "
                                                                             "{export_requests}")}
    return int(err.splitlines()[-1])


def test_ten_times_the_rows_in_the_same_memory(engine_url, tmp_path):
    folder = tmp_path / "service"
    folder.mkdir()
    service = Shell(folder, engine_url, core={"app_url": "https://mail.example.org"},
                      export={"dir": "exports"})
    none, some, many = (peak(service, rows) for rows in (0, ROWS, 10 * ROWS))
    service.db.close()
    assert many <= some * 1.1
    assert many - none < MOST_KB
