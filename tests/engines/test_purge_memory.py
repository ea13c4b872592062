"""Ten times the rows and files take the same memory: measured on whole processes.  # R18

One job stands for all that `purge(...)` makes: they differ in the words of their statements alone,
and this one has files too. What else a job adds is measured where it is: totals and further rows in
tests/every_job/test_memory.py.
"""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support.databases import bulk
from tests.support.shell import ROOT, Shell

JOB = "purge_failed_emails"
ROWS = 6000                     # of the smaller table: more than the cache of SQLite holds
PEAK = str(ROOT / "tests/support/peak.py")
pytestmark = pytest.mark.slow


def service(folder, url, rows: int, files: int) -> Shell:
    """So many old rows, so many of them with files."""
    folder.mkdir()
    made = Shell(folder, url)
    old = clock.now() - timedelta(days=30)
    for number in range(files):
        (made.spool / f"{number}.eml").write_bytes(b"mail")
    bulk(made.db, "failed_emails",
         ["user_id", "alias_id", "envelope_to", "raw_path", "status", "created_at", "finished_at"],
         [(1, 1, "a@b.example", f"{number}.eml", "sent", old, old) for number in range(rows)])
    made.configure(JOB, budget="10m")
    return made


def peak(service: Shell, *words: str) -> int:
    """KiB."""
    process = service.start(*words, launcher=PEAK)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    return int(err.splitlines()[-1])


def urls(tmp_path, mariadb, engine: str) -> list[str]:
    return [f"sqlite:///{tmp_path}/{size}.db" if engine == "sqlite" else mariadb.database()
            for size in ("one", "ten")]


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
@pytest.mark.parametrize("words", [(JOB,), (JOB, "--dry-run")], ids=["run", "dry run"])
def test_ten_times_the_rows_in_the_same_memory(tmp_path, mariadb, engine, words):      # R18
    sizes = []
    for factor, url in zip((1, 10), urls(tmp_path, mariadb, engine)):
        made = service(tmp_path / str(factor), url, ROWS * factor, 500 * factor)
        sizes.append(peak(made, *words))
        left = made.db.value("SELECT COUNT(*) FROM {failed_emails}")
        assert left == (0 if words == (JOB,) else ROWS * factor)
        made.db.close()
    assert sizes[1] <= sizes[0] * 1.1, sizes
