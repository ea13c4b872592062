"""Killed, nothing can be downloaded that is not whole, and the next run finishes the work or gives
up. That each file is whole wherever a kill struck: tests/storm."""
from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from tests.support.databases import bulk
from tests.support.product import clock
from tests.support.shell import Shell, at_sql

pytestmark = pytest.mark.slow

JOB, ROWS = "export_accounts", 2500
HALF_WRITTEN = f"jobs_lib.features.exports.writer:_encode:before:{ROWS // 2}"
IS_READY = at_sql("SET status = 'ready'", 2)            # the first is the rehearsal


@pytest.fixture
def service(tmp_path, engine_url):
    """An account with many rows, whose first export was made."""
    made = Shell(tmp_path, engine_url, export={"dir": "exports"},
                 core={"app_url": "https://mail.example.org", "secret_key": "k" * 40})
    now, user = clock.now(), made.owner()["user_id"]
    bulk(made.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(user, "forward", "delivered", now - timedelta(seconds=number // 3))
          for number in range(ROWS)])
    made.db.insert("export_requests", user_id=user, requested_at=now)
    made.job(JOB)
    yield made
    made.close()


def ask_again(service) -> int:
    """The time of what was made is over, and its owner asks for another: its id."""
    service.db.execute("UPDATE {export_requests} SET started_at = :ago, finished_at = :ago, "
                       "expires_at = :ago", ago=clock.now() - timedelta(days=2))
    return service.db.insert("export_requests", requested_at=clock.now(),
                             user_id=service.db.value("SELECT id FROM {users}"))


def files(service) -> list[str]:
    return [path.name for path in service.folder.glob("exports/export-*")]


def test_killed_three_times_it_has_failed_and_its_owner_is_notified(service):
    # R2 R52, proven by kill
    ask_again(service)
    for _ in range(3):
        service.run(JOB, code=-signal.SIGKILL, kill=IS_READY)
        assert "ready" not in service.statuses("export_requests")
    assert service.job(JOB)["counts"]["failed"] == 1
    assert service.statuses("export_requests") == {"expired": 1, "failed": 1}
    assert [row["kind"] for row in service.db.query(
        "SELECT kind FROM {notifications} ORDER BY id")] == ["export_ready", "export_failed"]
    assert files(service) == []


def test_the_file_of_a_killed_run_goes_with_the_account(service):         # R56
    service.db.insert("export_requests", user_id=service.db.value("SELECT id FROM {users}"),
                      requested_at=clock.now())
    service.run(JOB, code=-signal.SIGKILL, kill=HALF_WRITTEN)
    assert len([*service.folder.glob("exports/*export-*")]) == 2
    service.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :ago",
                       ago=clock.now() - timedelta(days=30))
    service.db.execute("UPDATE {job_runs} SET status = 'vanished' WHERE status = 'running'")
    assert service.job("delete_accounts")["counts"]["files"] == 2
    assert [*service.folder.glob("exports/*export-*")] == []


def test_sigterm_gives_the_attempt_back(service):           # R5
    asked = ask_again(service)
    assert service.job(JOB, terminate=HALF_WRITTEN, code=None)["status"] == "interrupted"
    row = service.db.row("SELECT * FROM {export_requests} WHERE id = :id", id=asked)
    assert (row["status"], row["attempts"], row["file_name"], row["claim_run"]) == (
        "queued", 0, None, None)
    assert files(service) == []
