"""Ten times the rows take a job the same memory, on both engines."""
from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.db import Client
from tests.support.product import clock
from tests.support.shell import Shell

FEW, MOST = 2000, 1.2               # rows of the smaller one; a few caches fill up meanwhile
OWNER = 1                           # has all rows of the export
RUNS = (("rollup_usage", "--dry-run"), ("rollup_usage",), ("check_usage_thresholds",),
        ("export_accounts",), ("purge_header_snapshots",),
        ("purge_header_snapshots", "--yes"),
        ("purge_message_logs", "--dry-run"), ("purge_message_logs",), ("archive_audit_logs",),
        ("purge_sessions",), ("purge_notifications",), ("purge_webhook_deliveries",),
        ("purge_failed_emails", "--dry-run"), ("purge_failed_emails",))


def fill(db: Client, number: int) -> None:
    """So many rows of each kind, all of them old, and each with something for its job."""
    now = clock.now().replace(microsecond=0)
    old, numbers = now - timedelta(days=400), range(1, number + 1)
    db.insert_all("users", [{"id": id, "email": f"u{id}@home.example", "created_at": old,
                             "log_retention_days": 7 + id % 2, "email_limit": 100 + id % 7}
                            for id in numbers])
    db.insert_all("usage_daily", [{"user_id": id, "day": now.date(), "email_count": 40,
                                   "bytes_used": 0} for id in numbers])
    db.insert_all("message_logs", [
        {"id": id, "user_id": OWNER if id % 2 else id, "direction": "send", "status": "spam",
         "created_at": now - timedelta(days=95 + id * 30 // number)} for id in numbers])
    db.insert_all("header_snapshots", [{"message_log_id": id + number // 2, "user_id": id,
                                        "created_at": old} for id in numbers])
    db.insert_all("audit_logs", [{"user_id": OWNER, "event": "login", "details": "x" * 200,
                                  "created_at": old} for id in numbers])
    db.insert_all("sessions", [{"user_id": id, "token_hash": f"{id:064x}", "created_at": old,
                                "last_seen_at": old, "expires_at": old} for id in numbers])
    db.insert_all("notifications", [{"user_id": id, "kind": "own", "to_email": "a@b.example",
                                     "subject": "x" * 100, "status": "sent", "created_at": old}
                                    for id in numbers])
    db.insert_all("webhook_deliveries", [
        {"user_id": OWNER, "webhook_id": 1, "event_id": f"e{id}", "event_type": "own",
         "payload": "x" * 500, "status": "delivered", "created_at": old} for id in numbers])
    db.insert_all("failed_emails", [
        {"user_id": OWNER, "alias_id": 1, "envelope_to": "a@b.example", "status": "sent",
         "envelope_from": "c@d.example", "raw_path": f"{id}.eml", "created_at": old,
         "finished_at": old} for id in numbers])
    db.insert("export_requests", user_id=OWNER, requested_at=now)


def peaks(folder, url: str, number: int) -> dict:
    """{what was run: KiB that it took}."""
    folder.mkdir()
    service = Shell(folder, url, core={"app_url": "https://app.example"},
                    archive={"store": "archive"}, export={"dir": "exports"})
    (folder / "archive").mkdir()
    db, found = Client(url), {}
    for table in db.tables():
        if table != "meta":
            db.execute(f"DELETE FROM {{{table}}}")
    service.knows_rules("purge_message_logs", "archive_audit_logs", "purge_sessions",
                        "purge_notifications", "purge_webhook_deliveries", "purge_failed_emails")
    fill(db, number)
    for words in RUNS:
        process = service.start(*words, peak="yes",
                                small="jobs_lib.features.archives:MOST_ROWS=1000")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
        found[words] = int(err.splitlines()[-1])
    gone = ("message_logs", "audit_logs", "sessions", "webhook_deliveries", "failed_emails")
    assert [name for name in gone if db.value(f"SELECT COUNT(*) FROM {{{name}}}")] == []
    assert db.value("SELECT status FROM {export_requests}") == "ready"
    service.close(), db.close()
    return found


@pytest.mark.slow
def test_ten_times_the_rows_take_the_same_memory(tmp_path, engine_url):     # R18 R52
    few = peaks(tmp_path / "few", engine_url, FEW)
    many = peaks(tmp_path / "many", engine_url, 10 * FEW)
    assert {words: (few[words], many[words]) for words in RUNS
            if many[words] > MOST * few[words]} == {}
