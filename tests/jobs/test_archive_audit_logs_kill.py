"""Killed at any point, each audit row is in the table or in exactly one archive that is named as
verified."""
from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support.archives import check_none_is_lost
from tests.support.databases import bulk
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

pytestmark = pytest.mark.slow

JOB = "archive_audit_logs"
ROWS, YOUNG = 1500, 7
ARCHIVE, FOLDER = "jobs_lib.features.archives.archive", "jobs_lib.ports.storage.folder"

STATEMENTS = {                                  # just before it runs, the first or second time
    "before the archive has a row": ("INSERT INTO {audit_archives}", 1),
    "between its name and `verified`": ("SET status = 'verified'", 1),
    "after `verified`, before the first row goes": ("DELETE FROM {audit_logs}", 1),
    "while rows go": ("DELETE FROM {audit_logs}", 2),
    "before `purged`": ("SET status = 'purged'", 1),
}
TRANSACTIONS = {
    "before its row is stored": ("COMMIT", 1),
    "in a batch that is not stored": ("COMMIT", 2),
}
CALLS = {                                       # before that call
    "before it is written": (f"{FOLDER}:FolderStore.put", 1),
    "before it has its name": (f"{FOLDER}:publish", 1),
    "before it is read back": (f"{ARCHIVE}:read_back", 1),
    "while it is read back": (f"{ARCHIVE}:digest", 2),
}
# a second kill, in the run that clears up after the first
LEFTOVERS = {
    "an unverified archive": ("SET status = 'verified'", ("SET sha256 = :mark",
                                                          "DELETE FROM {audit_archives}")),
    "a verified one": ("DELETE FROM {audit_logs}", ("DELETE FROM {audit_logs}",
                                                    "SET status = 'purged'")),
}


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def service(request, tmp_path_factory):
    """One for all points: `fill` starts again."""
    folder = tmp_path_factory.mktemp("archiving")
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    url = server.database() if server else f"sqlite:///{folder}/jobs.db"
    made = Shell(folder, url, archive={"store": "archives"})
    yield made
    made.db.close()
    if server:
        server.drop(url)


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


@pytest.mark.parametrize("point", STATEMENTS)
def test_killed_at_a_statement(on_disk, point):         # R57, proven by kill
    strike_and_check(on_disk, STATEMENTS[point])


@pytest.mark.parametrize("point", TRANSACTIONS)
# R57, proven by kill, on both engines
def test_killed_before_a_transaction_is_stored(service, point):
    strike_and_check(service, TRANSACTIONS[point])


def strike_and_check(service, point: tuple) -> None:
    for _ in REPEATS:
        before = fill(service)
        killed(service, *point)
        check(service, before)
        finish(service, before)


@pytest.mark.parametrize("point", CALLS)
def test_killed_in_the_middle_of_a_file(on_disk, point):        # R57, proven by kill
    for _ in REPEATS:
        before = fill(on_disk)
        call, number = CALLS[point]
        on_disk.run(JOB, code=-signal.SIGKILL, kill=f"{call}:before:{number}")
        assert len(on_disk.db.query("SELECT id FROM {audit_logs}")) == ROWS + YOUNG
        check(on_disk, before)
        finish(on_disk, before)


@pytest.mark.parametrize("left", LEFTOVERS)
def test_killed_while_it_clears_up_after_a_kill(on_disk, left):         # R57, proven by kill
    for _ in REPEATS:
        before = fill(on_disk)
        first, later = LEFTOVERS[left]
        killed(on_disk, first)
        for at in later:
            killed(on_disk, at)
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
