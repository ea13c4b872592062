"""Killed at any point, nothing can be downloaded that is not whole, and the next run finishes the
work."""
from __future__ import annotations

import json
import re
import shutil
import signal
import time
from datetime import timedelta

import pytest

import jobs_lib
from tests.support.databases import bulk
from tests.support.exports import check
from tests.support.product import clock
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

pytestmark = pytest.mark.slow

JOB = "export_accounts"
ROWS, KEY = 2500, "k" * 40

STATEMENTS = {                                  # just before it runs
    "between two pages": ("FROM {message_logs} WHERE user_id = :user AND", 2),
    "before it is `ready`": ("SET status = 'ready'", 2),        # the first is the rehearsal
    "before its owner is told": ("INSERT INTO {notifications}", 1),
    "before one ends": ("SET status = 'expired'", 1),
}
CALLS = {                                       # before or after that call
    "in the middle of a file": ("jobs_lib.features.exports.encoding:_encode", ROWS // 2, "before"),
    "before it is read back": ("jobs_lib.features.exports.writer:_read_back", 1, "before"),
    "after it has its name": ("jobs_lib.features.exports.run:publish", 1, "after"),
    "before a file goes": ("jobs_lib.features.exports.files:remove", 1, "before"),
    "after a file went": ("jobs_lib.features.exports.files:remove", 1, "after"),
}


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def service(request, tmp_path_factory):
    """One for all points: `fill` starts again."""
    folder = tmp_path_factory.mktemp("exporting")
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    url = server.database() if server else f"sqlite:///{folder}/jobs.db"
    yield from made(folder, url)
    if server:
        server.drop(url)


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """What happens within a file is the same on both engines."""
    folder = tmp_path_factory.mktemp("on-disk")
    yield from made(folder, f"sqlite:///{folder}/jobs.db")


def made(folder, url: str):
    """An account with many rows, and its first export, kept aside to be laid back."""
    service = Shell(folder, url, core={"app_url": "https://mail.example.org", "secret_key": KEY},
                      export={"dir": "exports"})
    now, user = clock.now(), service.owner()["user_id"]
    bulk(service.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(user, "forward", "delivered", now - timedelta(seconds=number // 3))
          for number in range(ROWS)])
    service.db.insert("export_requests", user_id=user, requested_at=now)
    service.job(JOB)
    service.first = service.db.row("SELECT * FROM {export_requests}")
    service.first_link = service.db.value("SELECT body_text FROM {notifications}")
    next(service.folder.glob("exports/export-*")).rename(service.folder / "first.zip")
    yield service
    service.db.close()


def fill(service) -> None:
    """An export whose time is over, a live one from the day before yesterday, and a request."""
    for table in ("export_requests", "notifications"):
        service.db.execute(f"DELETE FROM {{{table}}}")
    for path in service.folder.glob("exports/export-*"):
        path.unlink()
    old, name = clock.now() - timedelta(days=2), service.first["file_name"]
    first = {**service.first, "started_at": old, "finished_at": old}
    over = {**first, "id": 90, "file_name": name.replace("export-", "export-90"),
            "token_hash": "0" * 64, "expires_at": old}
    for row in (first, over):
        service.db.insert("export_requests", **row)
        shutil.copy(service.folder / "first.zip", service.folder / "exports" / row["file_name"])
    service.db.insert("export_requests", user_id=service.first["user_id"], requested_at=clock.now())


def downloads(service) -> list:
    """Every export that can be downloaded now, by the tokens that its owner may have; each is
    whole."""
    bodies = [service.first_link, *(row["body_text"] for row in service.db.query(
        "SELECT body_text FROM {notifications} WHERE body_text IS NOT NULL ORDER BY id"))]
    tokens = [found[1] for body in bodies if (found := re.search(r"\?t=([\w-]+)", body))]
    opened = [export for token in tokens
              if (export := jobs_lib.find_export(token, str(service.folder / "config.ini")))]
    for export in opened:
        check(export.path)
    return [export.request_id for export in opened]


def finish(service) -> None:
    """After the kill at most one whole export is live; after the next run exactly the new one is,
    told of once."""
    second = service.db.value("SELECT MAX(id) FROM {export_requests}")
    assert len(downloads(service)) == 1
    assert service.job(JOB)["status"] == "ok"
    assert downloads(service) == [second]
    service.job(JOB)                    # the older one's time is over by then
    rows = service.db.query("SELECT status, file_name FROM {export_requests} ORDER BY id")
    assert [row["status"] for row in rows] == ["expired", "expired", "ready"]
    assert [path.name for path in service.folder.glob("exports/export-*")] == [rows[2]["file_name"]]
    assert [row["dedupe_key"] for row in service.db.query("SELECT dedupe_key FROM {notifications} "
                                                          "ORDER BY id")] == [
        f"export-ready:{second}"]


@pytest.mark.parametrize("point", STATEMENTS)
def test_killed_at_a_statement(service, point):         # R52, proven by kill, on both engines
    at, number = STATEMENTS[point]
    for _ in REPEATS:
        fill(service)
        service.run(JOB, code=-signal.SIGKILL, kill=at_sql(at, number))
        finish(service)


@pytest.mark.parametrize("point", CALLS)
def test_killed_within_a_file(on_disk, point):          # R52, proven by kill
    call, number, when = CALLS[point]
    for _ in REPEATS:
        fill(on_disk)
        on_disk.run(JOB, code=-signal.SIGKILL, kill=f"{call}:{when}:{number}")
        finish(on_disk)


def test_killed_three_times_it_has_failed_and_its_owner_is_notified(on_disk):
    fill(on_disk)
    for _ in range(3):
        on_disk.run(JOB, code=-signal.SIGKILL, kill=at_sql("SET status = 'ready'", 2))
    assert on_disk.job(JOB)["counts"]["failed"] == 1
    assert on_disk.statuses("export_requests") == {"ready": 1, "expired": 1, "failed": 1}
    assert [row["kind"]
            for row in on_disk.db.query("SELECT kind FROM {notifications}")] == ["export_failed"]
    assert len(list(on_disk.folder.glob("exports/export-*"))) == 1


def test_the_file_of_a_killed_run_goes_with_the_account(tmp_path, engine_url):         # R56
    service = next(made(tmp_path, engine_url))
    fill(service)
    call, number, when = CALLS["in the middle of a file"]
    service.run(JOB, code=-signal.SIGKILL, kill=f"{call}:{when}:{number}")
    assert len(list(service.folder.glob("exports/export-*"))) == 2      # one is over
    service.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :ago",
                       ago=clock.now() - timedelta(days=30))
    service.db.execute("UPDATE {job_runs} SET status = 'vanished' WHERE status = 'running'")
    assert service.job("delete_accounts")["counts"]["files"] == 2
    assert list(service.folder.glob("exports/export-*")) == []


def test_sigterm_gives_the_attempt_back(on_disk):
    fill(on_disk)
    now, user = clock.now(), on_disk.first["user_id"]
    bulk(on_disk.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(user, "send", "spam", now)] * 20_000)
    run = on_disk.start(JOB, "--json")
    end = time.monotonic() + 60
    while not list(on_disk.folder.glob("exports/*.part")):
        # by what is seen, never by the clock
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)
    assert json.loads(out)["status"] == "interrupted", out + err
    row = on_disk.db.query("SELECT * FROM {export_requests} ORDER BY id")[2]
    assert (row["status"], row["attempts"], row["file_name"], row["claim_run"]) == ("queued", 0,
                                                                                    None, None)
    assert not list(on_disk.folder.glob("exports/*.part"))
    assert len(downloads(on_disk)) == 1
