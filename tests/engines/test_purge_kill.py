"""Killed at any point, a purge loses no file of a row that stays and leaves none without a row; the
next run finishes the work."""
from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.product import clock
from tests.support.shell import Shell, at_sql

JOB = "purge_failed_emails"
ROWS, SHARED, YOUNG = 350, 20, 30

POINTS = {
    "before the first batch": ("DELETE FROM {failed_emails}", 1),
    "files deleted, not committed": ("COMMIT", 2),
    "between the deletion and the first file": ("SELECT raw_path FROM {failed_emails} WHERE", 2),
    "while the files are looked up": ("SELECT raw_path FROM {spam_quarantine} WHERE", 1),
    "in a later batch": ("DELETE FROM {failed_emails}", 3),
    "when all is deleted": ("last_options = :", 1),
}


@pytest.fixture
def service(tmp_path, engine_url):
    """Old rows with a file each, some of which a young row names too, and young ones."""
    made = Shell(tmp_path, engine_url)
    made.knows_rules(JOB)
    fill(made, ROWS)
    return made


def fill(made: Shell, rows: int) -> None:
    old, young = clock.now() - timedelta(days=30), clock.now() - timedelta(hours=1)
    with made.db.transaction():
        for number in range(rows):
            name = f"{number}.eml"
            (made.spool / name).write_bytes(b"mail")
            row(made, name, old)
            if number < SHARED:
                row(made, name, young)
        for number in range(YOUNG):
            (made.spool / f"young{number}.eml").write_bytes(b"mail")
            row(made, f"young{number}.eml", young)


def row(service, name: str, finished) -> None:
    service.db.insert("failed_emails", user_id=1, alias_id=1, envelope_to="a@b.example",
                      raw_path=name,
                      status="sent", created_at=finished, finished_at=finished)


def messages(service) -> set[str]:
    return {path.name for path in Path(service.spool).glob("*.eml")}


def check_nothing_is_lost(service) -> None:
    """Each row that stays has its file, and each file has a row."""
    rows = service.db.query("SELECT raw_path, finished_at FROM {failed_emails}")
    limit = clock.text(clock.now() - timedelta(days=7))
    assert {row["raw_path"] for row in rows if row["finished_at"] > limit} <= messages(service)
    assert messages(service) <= {row["raw_path"] for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point(service, point):             # R2
    at, number = POINTS[point]
    service.run(JOB, code=-signal.SIGKILL, kill=at_sql(at, number))
    check_nothing_is_lost(service)
    service.job(JOB)
    check_nothing_is_lost(service)
    assert service.statuses() == {"sent": SHARED + YOUNG}
    runs = [run["status"] for run in service.db.query("SELECT status FROM {job_runs} ORDER BY id")]
    assert runs == ["vanished", "ok"]
