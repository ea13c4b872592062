"""Killed at any point, nothing can be downloaded that is not whole, and the next run finishes the
work. Kills at drawn points: tests/storm."""
from __future__ import annotations

import re
import signal
from datetime import timedelta

import pytest

import jobs_lib
from tests.support.databases import bulk
from tests.support.exports import check
from tests.support.product import clock
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

pytestmark = pytest.mark.slow

JOB, ROWS = "export_accounts", 2500
HALF_WRITTEN = f"jobs_lib.features.exports.writer:_encode:before:{ROWS // 2}"
IS_READY = at_sql("SET status = 'ready'", 2)            # the first is the rehearsal
POINTS = {
    "in the middle of a file": HALF_WRITTEN,
    "between two pages": at_sql("FROM {message_logs} WHERE user_id = :user AND", 2),
    "before it is read back": "jobs_lib.features.exports.writer:_read_back:before:1",
    "after it has its name": "jobs_lib.features.exports.requests:publish:after:1",
    "before it is `ready`": IS_READY,
    "before its owner is told": at_sql("INSERT INTO {notifications}"),
    "after an older file went": "jobs_lib.features.exports.files:remove:after:1",
}


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


def downloads(service) -> list:
    """Every export that can be downloaded now, by the tokens that its owner was given; each is
    whole."""
    bodies = service.db.query("SELECT body_text FROM {notifications}")
    opened = [jobs_lib.find_export(token, str(service.folder / "config.ini")) for row in bodies
              for token in re.findall(r"\?t=([\w-]+)", row["body_text"])]
    for export in filter(None, opened):
        check(export.path)
    return [export.request_id for export in opened if export]


def files(service) -> list[str]:
    return [path.name for path in service.folder.glob("exports/export-*")]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point(service, point):         # R2 R52, proven by kill
    for _ in REPEATS:
        asked = ask_again(service)
        service.run(JOB, code=-signal.SIGKILL, kill=POINTS[point])
        assert downloads(service) == []
        assert service.job(JOB)["status"] == "ok"
        assert downloads(service) == [asked]
        *older, row = service.db.query("SELECT * FROM {export_requests} ORDER BY id")
        assert ({each["status"] for each in older}, row["status"]) == ({"expired"}, "ready")
        assert files(service) == [row["file_name"]]
        assert [each["dedupe_key"] for each in service.db.query(
            "SELECT dedupe_key FROM {notifications} ORDER BY id")] == [
            f"export-ready:{each['id']}" for each in (*older, row)]


def test_killed_three_times_it_has_failed_and_its_owner_is_notified(service):
    ask_again(service)
    for _ in range(3):
        service.run(JOB, code=-signal.SIGKILL, kill=IS_READY)
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
    assert (files(service), downloads(service)) == ([], [])
