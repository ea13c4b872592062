"""Audit rows go after a year, critical ones after seven; with a store, only out of an archive that
was read back."""
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.servers.ftps import PASSWORD, Ftps
from tests.support import databases
from tests.support.archives import check_none_is_lost, lines, named
from tests.support.bench import Bench
from tests.support.product import FolderStore

JOB = "archive_audit_logs"
OTHERS = "audit-20261124T142905Z-other-1.jsonl.gz"
STORED = {"archived": 0, "archives": 0, "deleted": 0, "expired": 0}


@pytest.fixture
def disk(tmp_path):
    """A bench on SQLite: what has to do with files alone."""
    made = Bench(tmp_path, f"sqlite:///{tmp_path}/jobs.db")
    made.config(archive={"store": "archives"})
    yield made
    made.db.close()


def old(bench, number: int = 3, **values) -> list[dict]:
    """Rows that are due. As they are in the table."""
    ids = bench.table("audit_logs",
                      [{"event": f"login-{at}", "created_at": bench.ago(days=400, seconds=at),
                        **values} for at in range(number)])
    return bench.db.query("SELECT * FROM {audit_logs} WHERE id IN (:ids) ORDER BY id", ids=ids)


def archives(bench) -> list[dict]:
    return bench.rows("audit_archives")


def files(bench) -> list[str]:
    return sorted(path.name for path in (bench.folder / "archives").glob("audit-*"))


def held(bench) -> list[dict]:
    """All rows that archives hold."""
    rows = [row for rows in named(bench.db, bench.folder / "archives").values() for row in rows]
    return sorted(rows, key=lambda row: row["id"])


def test_an_archive_has_ten_thousand_rows_and_none_is_in_two(bench):        # R57
    bench.config(archive={"store": "archives"})
    databases.bulk(bench.db, "audit_logs", ["event", "severity", "created_at"],
                   [("login", ("info", "critical")[at % 5 == 0],
                     bench.ago(days=3000, seconds=at // 200)) for at in range(10_100)])
    before = bench.rows("audit_logs")
    assert bench.run(JOB) == {"archived": 10_100, "archives": 2, "deleted": 10_100, "expired": 0}
    check_none_is_lost(bench.db, bench.folder / "archives", before)
    assert [row["row_count"] for row in archives(bench)] == [10_000, 100]


# What is not as it should be


def test_a_row_that_changed_after_it_was_archived_goes_too(disk):
    before = old(disk, 3)
    ids = [row["id"] for row in before]

    def change() -> None:
        disk.db.execute("UPDATE {audit_logs} SET actor = 'anonymous' WHERE id = :id", id=ids[0])
        disk.db.execute("DELETE FROM {audit_logs} WHERE id = :id", id=ids[1])
    disk.meanwhile("SET status = 'verified'", change)
    assert disk.run(JOB)["deleted"] == 2
    assert (disk.ids("audit_logs"), held(disk)) == ([], before)


def test_a_new_row_under_an_old_id_stays(disk):
    """Where a server gives ids again after a restart (MariaDB 10.2, MySQL 5.7)."""
    before = old(disk, 3)
    disk.run(JOB)
    disk.db.execute("UPDATE {audit_archives} SET status = 'verified'")         # as a kill leaves it
    disk.table("audit_logs", [{"id": before[1]["id"], "created_at": disk.ago(days=1)},
                              {"id": before[2]["id"], "created_at": disk.ago(days=500)}])
    assert disk.run(JOB)["deleted"] == 1
    assert disk.ids("audit_logs") == [before[1]["id"]]
    assert archives(disk)[0]["status"] == "purged"


def spoil(path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("act, said", [
    (spoil, "is not what was written: its SHA-256 is another"),
    (lambda path: path.unlink(), "is verified and its rows are not all deleted yet, but it is not"),
])
# R57
def test_a_verified_archive_that_is_not_whole_any_more_stops_everything(disk, act, said):
    before = old(disk, 3)
    disk.run(JOB)
    disk.table("audit_logs", before)
    disk.db.execute("UPDATE {audit_archives} SET status = 'verified'")
    act(disk.folder / "archives" / files(disk)[0])
    assert said in disk.fails(JOB)
    assert disk.rows("audit_logs") == before
    assert disk.result["counts"] == STORED


def test_an_archive_that_is_not_what_was_written_deletes_nothing(disk, monkeypatch):        # R57
    before, put = old(disk, 3), FolderStore.put

    def other(store, name: str, blocks) -> None:
        put(store, name, blocks)
        spoil(disk.folder / "archives" / name)
    monkeypatch.setattr(FolderStore, "put", other)
    assert "is not what was written" in disk.fails(JOB)
    assert disk.rows("audit_logs") == before
    monkeypatch.undo()
    disk.run(JOB)
    assert (held(disk), len(files(disk))) == (before, 1)


def test_a_folder_that_is_gone_fails_in_one_sentence_and_the_next_run_goes_on(disk):
    old(disk, 2)
    disk.run(JOB)
    before = old(disk, 3)
    os.rename(disk.folder / "archives", disk.folder / "unmounted")
    assert disk.fails(JOB) == (f"[archive] store: there is no folder {disk.folder}/archives, and "
                               "archives should be in it: see whether its disk is mounted")
    assert disk.rows("audit_logs") == before
    os.rename(disk.folder / "unmounted", disk.folder / "archives")
    assert disk.run(JOB)["archived"] == 3


def test_a_store_that_was_lost_deletes_nothing_and_one_that_moved_is_no_trouble(disk):      # R57
    before = old(disk, 3)
    disk.run(JOB)
    disk.table("audit_logs", before[1:])
    disk.db.execute("UPDATE {audit_archives} SET status = 'verified'")
    disk.config(archive={"store": ""})
    assert "set [archive] store back to where it is" in disk.fails(JOB)
    assert disk.rows("audit_logs") == before[1:]
    os.rename(disk.folder / "archives", disk.folder / "moved")
    disk.config(archive={"store": "moved"})
    assert disk.run(JOB)["deleted"] == 2


# Two hosts

def someone_else(bench, status: str, run_status: str = "running") -> int:
    """A run of another host, with an archive. The archive's id."""
    bench.table("job_runs", [{"run_id": "other", "job": JOB, "status": run_status,
                              "installation": "far away", "started_at": bench.ago(minutes=1),
                              "lease_until": bench.ahead(minutes=5)}])
    (bench.folder / "archives").mkdir(exist_ok=True)
    return bench.table("audit_archives",
                       [{"location": f"{bench.folder}/archives/{OTHERS}", "status": status,
                         "created_at": bench.ago(minutes=1)}])[0]


@pytest.mark.parametrize("status", ["writing", "verified"])
def test_the_archive_of_a_run_that_lives_is_left_alone(bench, status):
    bench.config(archive={"store": "archives"})
    before = old(bench, 3)
    someone_else(bench, status)
    rows = archives(bench)
    assert bench.run(JOB) == STORED
    assert (bench.result["status"], bench.result["stop_reason"]) == ("partial",
                                                                     "another run archives")
    assert (bench.rows("audit_logs"), archives(bench)) == (before, rows)


def test_the_unverified_archive_of_a_dead_run_is_discarded(bench):
    bench.config(archive={"store": "archives"})
    before = old(bench, 3)
    id = someone_else(bench, "writing", "vanished")
    (bench.folder / "archives" / f"{OTHERS}.part").write_bytes(b"half")
    assert bench.run(JOB)["archived"] == 3
    assert id not in bench.ids("audit_archives")
    assert (held(bench), len(files(bench))) == (before, 1)


def test_a_run_that_was_taken_for_dead_deletes_nothing(disk):
    before = old(disk, 3)
    disk.meanwhile("SET status = 'verified'", "UPDATE {audit_archives} SET sha256 = 'discarded'")
    assert "was discarded by another run" in disk.fails(JOB)
    assert disk.rows("audit_logs") == before


# Old archives

def test_archives_go_after_their_time_where_they_are(disk):
    for _ in range(3):
        old(disk, 1)
        disk.run(JOB)
    for row, days in zip(archives(disk), (2554, 2555, 2556)):
        disk.db.execute("UPDATE {audit_archives} SET created_at = :then WHERE id = :id",
                        then=disk.ago(days=days, seconds=1), id=row["id"])
    gone, elsewhere = Path(archives(disk)[1]["location"]), disk.folder / "elsewhere"
    os.rename(disk.folder / "archives", elsewhere)
    disk.config(archive={"store": "new"})
    assert disk.run(JOB)["expired"] == 0        # that store is not ours to see
    os.rename(elsewhere, disk.folder / "archives")
    disk.config(archive={"store": "archives"})
    gone.unlink()                               # somebody has deleted it already
    assert disk.run(JOB, dry_run=True, **{"archive.keep": "off"})["expired"] == 0
    assert disk.run(JOB, dry_run=True)["expired"] == 2
    assert disk.run(JOB)["expired"] == 2
    assert [os.path.basename(row["location"]) for row in archives(disk)] == files(disk)
    assert len(files(disk)) == 1


# FTPS

def test_rows_go_to_a_server_and_are_read_back_from_it(disk):
    before = old(disk, 500, details="x" * 300)
    with Ftps() as server:
        disk.config(archive={"store": server.url("s3same"), "ca_file": server.ca_file})
        error = disk.fails(JOB)
        assert "it refused the user or the password" in error
        assert "s3same" not in error + json.dumps(disk.events(JOB)) + str(archives(disk))
        disk.config(archive={"store": server.url(), "ca_file": server.ca_file})
        assert disk.run(JOB) == {"archived": 500, "archives": 1, "deleted": 500, "expired": 0}
        [row], [name] = archives(disk), server.names()
        assert row["location"] == f"ftps://localhost:{server.port}/audit/{name}"
        assert sorted(lines(server.archive / name), key=lambda row: row["id"]) == before
        assert PASSWORD not in json.dumps(disk.events(JOB))
        disk.db.execute("UPDATE {audit_archives} SET created_at = :then", then=disk.ago(days=9999))
        assert disk.run(JOB)["expired"] == 1
        assert server.names() == []


def test_a_server_that_dies_in_the_middle_of_a_file_costs_nothing(disk):        # R57
    before = old(disk, 3000, details=os.urandom(100).hex())
    with Ftps(rate=30_000) as server:
        disk.config(archive={"store": server.url(), "ca_file": server.ca_file})
        disk.meanwhile("SELECT * FROM {audit_logs}", server.kill, number=5)         # a page each
        assert disk.fails(JOB).startswith(f"[archive] store ftps://localhost:{server.port}/audit: ")
    assert disk.rows("audit_logs") == before
    assert [row["status"] for row in archives(disk)] == ["writing"]
    with Ftps() as server:
        disk.config(archive={"store": server.url(), "ca_file": server.ca_file})
        assert disk.run(JOB)["archived"] == 3000
        [name] = server.names()
        assert sorted(lines(server.archive / name), key=lambda row: row["id"]) == before
    assert [row["status"] for row in archives(disk)] == ["purged"]
