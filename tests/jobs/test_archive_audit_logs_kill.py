"""Killed at any point, each audit row is in the table or in exactly one archive that is named as
verified."""
from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from tests.support.archives import check_none_is_lost
from tests.support.databases import bulk
from tests.support.product import clock
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

pytestmark = pytest.mark.slow

JOB = "archive_audit_logs"
ROWS, YOUNG = 1500, 7
ARCHIVE, FOLDER = "jobs_lib.features.archives.run", "jobs_lib.ports.storage.folder"

CALLS = {                                       # before that call
    "before it is written": (f"{FOLDER}:FolderStore.put", 1),
    "before it is read back": (f"{ARCHIVE}:read_back", 1),
    "while it is read back": (f"{ARCHIVE}:digest", 2),
}


@pytest.fixture
def on_disk(tmp_path):
    """Statements that stand alone, and what happens within a file, are the same on both engines."""
    return Shell(tmp_path, f"sqlite:///{tmp_path}/jobs.db", archive={"store": "archives"})


def fill(service) -> list[dict]:
    """No archive; old rows, critical ones among them, and young ones. All of the rows."""
    for table in ("audit_logs", "audit_archives"):
        service.db.execute(f"DELETE FROM {{{table}}}")
    for path in (service.folder / "archives").glob("audit-*"):
        path.unlink()
    now = clock.now()
    bulk(service.db, "audit_logs", ["user_id", "event", "severity", "details", "created_at"],
         [(number % 9, "login", ("info", "warning", "critical")[number % 3], f'{{"n": {number}}}',
           now - timedelta(days=3000, seconds=number % 60)) for number in range(ROWS)])
    bulk(service.db, "audit_logs", ["event", "severity", "created_at"], [("login", "info", now)]
         * YOUNG)
    return service.db.query("SELECT * FROM {audit_logs} ORDER BY id")


def check(service, before: list[dict]) -> None:
    check_none_is_lost(service.db, service.folder / "archives", before)


def finish(service, before: list[dict]) -> None:
    """The next run does the rest, and leaves no file that is not named."""
    assert service.job(JOB)["status"] == "ok"
    check(service, before)
    assert service.db.value("SELECT COUNT(*) FROM {audit_logs}") == YOUNG
    assert set(service.statuses("audit_archives")) == {"purged"}
    names = {row["location"].rpartition("/")[2]
             for row in service.db.query("SELECT location FROM {audit_archives}")}
    files = {path.name for path in (service.folder / "archives").iterdir()}
    assert files == {*names, ".htaccess"}


def killed(service, at: str, number: int = 1) -> None:
    service.run(JOB, code=-signal.SIGKILL, kill=at_sql(at, number))


@pytest.mark.parametrize("point", CALLS)
def test_killed_in_the_middle_of_a_file(on_disk, point):        # R57, proven by kill
    for _ in REPEATS:
        before = fill(on_disk)
        call, number = CALLS[point]
        on_disk.run(JOB, code=-signal.SIGKILL, kill=f"{call}:before:{number}")
        assert len(on_disk.db.query("SELECT id FROM {audit_logs}")) == ROWS + YOUNG
        check(on_disk, before)
        finish(on_disk, before)


def test_killed_while_old_archives_go(on_disk):
    for _ in REPEATS:
        before = fill(on_disk)
        finish(on_disk, before)
        long_ago = clock.now() - timedelta(days=2600)
        on_disk.db.execute("UPDATE {audit_archives} SET created_at = :long_ago", long_ago=long_ago)
        killed(on_disk, "DELETE FROM {audit_archives}")
        # a row without a file, not the other way round
        assert on_disk.statuses("audit_archives")["purged"] >= 1
        finish_empty(on_disk)


def finish_empty(service) -> None:
    assert service.job(JOB)["counts"]["expired"] == 1
    assert service.statuses("audit_archives") == {}
    assert [path.name for path in (service.folder / "archives").iterdir()] == [".htaccess"]
