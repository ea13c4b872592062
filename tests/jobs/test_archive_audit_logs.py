"""Audit rows go after a year, critical ones after seven; with a store, only out of an archive that
was read back."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.features.archives import catalogue, format, run, write
from jobs_lib.features.archives.format import read_manifest
from tests.servers.ftps import PASSWORD, Ftps
from tests.support import databases
from tests.support.archives import check_none_is_lost, lines, named
from tests.support.bench import Bench
from tests.support.shell import ROOT, Shell

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


# The rule

def test_rows_go_after_a_year_and_critical_ones_after_seven(bench):
    bench.table("audit_logs", [
        {"id": 1, "created_at": bench.ago(days=365, seconds=1)},
        # at the limit: stays
        {"id": 2, "created_at": bench.ago(days=365)},
        {"id": 3, "severity": "warning", "created_at": bench.ago(days=366)},
        {"id": 4, "severity": "critical", "created_at": bench.ago(days=2555)},
        {"id": 5, "severity": "critical", "created_at": bench.ago(days=2555, seconds=1)},
        {"id": 6, "severity": "unheard", "created_at": bench.ago(days=9000)},
    ])
    assert bench.run(JOB) == {"deleted": 3}
    assert bench.ids("audit_logs") == [2, 4, 6]
    assert archives(bench) == []


def test_a_store_that_is_off_is_no_store(disk):
    old(disk, 2)
    disk.config(archive={"store": "off"})
    assert disk.run(JOB) == {"deleted": 2}
    assert not (disk.folder / "off").exists()


def test_with_a_store_the_same_rows_go_out_of_an_archive(bench):        # R57
    bench.config(archive={"store": "archives"})
    bench.table("audit_logs", [
        {"id": 1, "user_id": 8, "actor": "app", "event": "login", "ip": "2001:db8::1",
         "details": '["ö\\n\u2028"]', "created_at": bench.ago(days=365, seconds=1)},
        {"id": 2, "created_at": bench.ago(days=365)},
        {"id": 3, "severity": "critical", "created_at": bench.ago(days=2555)},
        {"id": 4, "severity": "critical", "created_at": bench.ago(days=2555, seconds=1)},
    ])
    before = bench.rows("audit_logs")
    assert bench.run(JOB) == {"archived": 2, "archives": 1, "deleted": 2, "expired": 0}
    assert bench.ids("audit_logs") == [2, 3]
    assert held(bench) == [before[0], before[3]]
    [row] = archives(bench)
    [name, manifest_name] = files(bench)
    told = read_manifest([(bench.folder / "archives" / manifest_name).read_bytes()])
    assert (row["location"], row["status"]) == (f"{bench.folder}/archives/{name}", "purged")
    assert (row["row_count"], row["first_id"], row["last_id"], row["cutoff"]) == (
        2, 1, 4, clock.text(bench.ago(days=365)))
    assert row["sha256"] == told["sha256"]
    assert told["cutoffs"] == {"info": clock.text(bench.ago(days=365)),
                               "warning": clock.text(bench.ago(days=365)),
                               "critical": clock.text(bench.ago(days=2555))}
    assert (told["file"], told["columns"]) == (name, list(before[0]))
    assert bench.run(JOB) == STORED             # R12
    assert len(archives(bench)) == 1


def test_many_rows_fill_several_archives_and_none_is_in_two(bench, monkeypatch):        # R57
    monkeypatch.setattr(write, "MOST_ROWS", 400)
    monkeypatch.setattr(write, "PAGE_ROWS", 90)
    bench.config(archive={"store": "archives"})
    databases.bulk(bench.db, "audit_logs", ["event", "severity", "created_at"],
                   [("login", ("info", "critical")[at % 5 == 0],
                     bench.ago(days=3000, seconds=at // 200)) for at in range(1000)])
    before = bench.rows("audit_logs")
    assert bench.run(JOB) == {"archived": 1000, "archives": 3, "deleted": 1000, "expired": 0}
    check_none_is_lost(bench.db, bench.folder / "archives", before)
    assert [row["row_count"] for row in archives(bench)] == [400, 400, 200]
    events = [event for event in bench.events(JOB) if event["event"] == "archived"]
    assert [(event["rows"], event["sha256"]) for event in events] == [
        (row["row_count"], row["sha256"]) for row in archives(bench)]


def test_an_archive_is_no_larger_than_it_may_be(disk, monkeypatch):
    monkeypatch.setattr(write, "MOST_BYTES", 10_000)
    old(disk, 50, details="x" * 900)
    disk.run(JOB)
    assert len(archives(disk)) > 3
    assert max(read_manifest([path.read_bytes()])["rows_bytes"]
               for path in (disk.folder / "archives").glob("*.json")) < 12_000


def test_a_limit_caps_the_rows(disk):
    old(disk, 7)
    assert disk.run(JOB, limit=3) == {"archived": 3, "archives": 1, "deleted": 3, "expired": 0}
    assert disk.result["stop_reason"] == "limit"
    assert len(disk.ids("audit_logs")) == 4
    disk.run(JOB)
    assert [row["row_count"] for row in archives(disk)] == [3, 4]


def test_writing_leaves_time_for_the_rest(disk, monkeypatch):        # R4
    monkeypatch.setattr(write, "PAGE_ROWS", 100)
    old(disk, 2000)
    disk.on_statement = lambda sql, _: disk.clock.sleep(2 if sql.startswith("SELECT * FROM "
                                                                            "{audit_logs}") else 0)
    counts = disk.run(JOB, budget="30s")
    assert disk.result["status"] == "partial"
    assert 0 < counts["archived"] == counts["deleted"] < 2000
    assert {row["status"] for row in archives(disk)} <= {"purged", "writing"}
    disk.on_statement = None
    disk.run(JOB)
    assert len(held(disk)) == 2000
    assert {row["status"] for row in archives(disk)} == {"purged"}
    assert len(files(disk)) == 2 * len(archives(disk))


# R4 R57
def test_a_run_that_has_to_end_while_it_reads_back_leaves_it_to_the_next(disk, monkeypatch):
    before = old(disk, 1200)
    real = format._row

    def slow(*args):
        disk.clock.sleep(0.3)
        return real(*args)
    monkeypatch.setattr(format, "_row", slow)
    assert disk.run(JOB) == STORED
    assert (disk.result["status"], disk.result["stop_reason"]) == ("partial", "budget")
    assert disk.rows("audit_logs") == before
    monkeypatch.undo()
    assert disk.run(JOB) == {"archived": 1200, "archives": 1, "deleted": 1200, "expired": 0}
    assert len(files(disk)) == 2


def test_a_dry_run_counts_the_same_and_touches_nothing(bench):      # R11
    bench.config(archive={"store": "archives"})
    old(bench, 3)
    before = databases.rows(bench.db)
    told = bench.run(JOB, dry_run=True)
    assert databases.rows(bench.db) == before
    assert not (bench.folder / "archives").exists()
    step = bench.samples[0]["step"]
    assert step == f"archive 3 rows in 1 file or more, in {bench.folder}/archives"
    assert bench.run(JOB) == told


def test_a_dry_run_opens_no_connection_and_shows_no_login(disk):        # R11
    disk.config(archive={"store": "ftps://me:s3same@127.0.0.1:9/audit"})
    old(disk, 1)
    assert disk.run(JOB, dry_run=True)["archived"] == 1
    assert disk.samples[0]["step"].endswith("in ftps://127.0.0.1:9/audit")


def test_a_shortened_limit_stops_before_anything_is_archived(disk):         # R19
    databases.bulk(disk.db, "audit_logs", ["event", "created_at"], [("login", disk.ago(days=30))]
                   * 10_001)
    disk.run(JOB)
    assert "Nothing was deleted" in disk.fails(JOB, keep="3d")
    assert len(disk.ids("audit_logs")) == 10_001
    assert archives(disk) == []


# What is not as it should be

def test_a_row_that_changed_after_it_was_archived_goes_too(disk, monkeypatch):
    before = old(disk, 3)
    real = run._delete

    def delete(ctx, *args):
        disk.db.execute("UPDATE {audit_logs} SET user_id = NULL, actor = 'anonymous' "
                        "WHERE id = :id", id=before[0]["id"])
        # somebody else was quicker
        disk.db.execute("DELETE FROM {audit_logs} WHERE id = :id", id=before[1]["id"])
        real(ctx, *args)
    monkeypatch.setattr(run, "_delete", delete)
    assert disk.run(JOB)["deleted"] == 2
    assert disk.ids("audit_logs") == []
    assert held(disk) == before


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


def damaged(bench) -> None:
    [name] = [name for name in files(bench) if name.endswith(".gz")]
    path = bench.folder / "archives" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil, said", [
    (damaged, "was verified before and is not whole any more"),
    (lambda bench: [(bench.folder / "archives" / name).unlink() for name in files(bench)],
     "is verified and its rows are not all deleted yet, but it is not in"),
    (lambda bench: bench.db.execute("UPDATE {audit_archives} SET sha256 = 'x'"),
     "it is not the one that the table audit_archives names"),
])
# R57
def test_a_verified_archive_that_is_not_whole_any_more_stops_everything(disk, spoil, said):
    before = old(disk, 3)
    disk.run(JOB)
    disk.table("audit_logs", before)
    disk.db.execute("UPDATE {audit_archives} SET status = 'verified'")
    spoil(disk)
    assert said in disk.fails(JOB)
    assert disk.rows("audit_logs") == before
    assert disk.result["counts"] == STORED


def test_an_archive_that_is_not_what_was_written_deletes_nothing(disk, monkeypatch):        # R57
    before = [old(disk, 1, id=id)[0] for id in (10, 20, 30)]
    real = format.line
    monkeypatch.setattr(format, "line",
                        lambda row: real({**row, "id": {20: 21}.get(row["id"], row["id"])}))
    assert "is not what was written: it is another file" in disk.fails(JOB)
    assert disk.rows("audit_logs") == before
    monkeypatch.undo()
    disk.run(JOB)
    assert held(disk) == before
    assert len(files(disk)) == 2


def test_a_folder_that_is_gone_fails_in_one_sentence_and_the_next_run_goes_on(disk):
    old(disk, 2)
    disk.run(JOB)
    before = old(disk, 3)
    os.rename(disk.folder / "archives", disk.folder / "unmounted")
    assert disk.fails(JOB) == (f"[archive] store: there is no folder {disk.folder}/archives, and "
                               "archives should be in it: see whether its disk is mounted. No row "
                               "was deleted")
    assert disk.rows("audit_logs") == before
    os.rename(disk.folder / "unmounted", disk.folder / "archives")
    assert disk.run(JOB)["archived"] == 3


def test_trouble_with_the_store_says_what_became_of_the_rows(disk, monkeypatch):
    old(disk, 2)
    (disk.folder / "archives").write_text("x")
    assert disk.fails(JOB).endswith("name a folder, or one that can be made. No row was deleted")
    (disk.folder / "archives").unlink()
    monkeypatch.setattr(write, "MOST_ROWS", 1)
    real = run._delete

    def fill(*args):
        real(*args)
        monkeypatch.setattr(os, "rename", full)

    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(run, "_delete", fill)
    assert disk.fails(JOB) == (
        f"[archive] store {disk.folder}/archives: No space left on device: make room there, or "
        "name another folder. Rows deleted: 1, all of them in an archive")
    assert len(disk.ids("audit_logs")) == 1


@pytest.mark.parametrize("store", ["spool", "spool/archives", "state", "log", ".", "/",
                                   ROOT / "jobs_lib/archives"])
def test_a_folder_of_another_use_is_refused(disk, store):
    old(disk, 1)
    disk.config(archive={"store": store})
    assert "give archives a folder of their own" in disk.fails(JOB)
    assert len(disk.ids("audit_logs")) == 1


def test_a_store_that_was_lost_deletes_nothing(disk):        # R57
    before = old(disk, 3)
    disk.run(JOB)
    disk.table("audit_logs", before)
    disk.db.execute("UPDATE {audit_archives} SET status = 'verified'")
    disk.config(archive={"store": ""})
    assert disk.run(JOB, dry_run=True) == {"deleted": 3}
    assert "a run would stop: [archive] store is not set" in disk.samples[0]["note"]
    assert disk.fails(JOB) == ("[archive] store is not set, but the rows of "
                               f"{archives(disk)[0]['location']} are not all deleted yet: set "
                               "[archive] store back to where it is; nothing was deleted")
    assert disk.rows("audit_logs") == before
    disk.config(archive={"store": "archives"})
    assert disk.run(JOB)["deleted"] == 3


def test_a_store_that_was_given_up_is_told_once_a_run(disk):
    old(disk, 2)
    disk.run(JOB)
    old(disk, 2)
    disk.config(archive={"store": ""})
    assert disk.run(JOB) == {"deleted": 2}
    assert [(event["level"], event["number"]) for event in disk.events(JOB)
            if event["event"] == "archives are known, but no store is set"] == [("warning", 1)]


def test_a_store_that_moved_is_no_trouble(disk):
    before = old(disk, 3)
    disk.run(JOB)
    disk.table("audit_logs", before[1:])
    disk.db.execute("UPDATE {audit_archives} SET status = 'verified'")
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
    assert len(files(bench)) == 2
    assert held(bench) == before


def test_the_unverified_archive_in_another_folder_is_removed_there(disk):
    id = someone_else(disk, "writing", "vanished")
    for name in (f"{OTHERS}.part", catalogue.names(OTHERS)[1], "mine.txt"):
        (disk.folder / "archives" / name).write_bytes(b"half")
    disk.config(archive={"store": "new"})
    disk.run(JOB)
    assert [path.name for path in (disk.folder / "archives").iterdir()] == ["mine.txt"]
    assert id not in disk.ids("audit_archives")
    assert "left behind" not in json.dumps(disk.events(JOB))


@pytest.mark.parametrize("place", ["ftps://backup.example/audit", "/nowhere/archives"])
def test_an_unverified_archive_that_cannot_be_reached_is_reported(disk, place):
    id = someone_else(disk, "writing", "vanished")
    disk.db.execute("UPDATE {audit_archives} SET location = :there", there=f"{place}/{OTHERS}")
    disk.run(JOB)
    assert id not in disk.ids("audit_archives")
    assert [event["store"] for event in disk.events(JOB)
            if event["event"]
            == "a part of it may be left behind in another store: delete it"] == [place]


def test_who_begins_at_the_same_moment_gives_way(disk, monkeypatch):
    before = old(disk, 3)
    real = run.expire

    def late(*args):
        someone_else(disk, "writing")
        return real(*args)
    monkeypatch.setattr(run, "expire", late)
    assert disk.run(JOB) == STORED
    assert disk.result["stop_reason"] == "another run archives"
    assert disk.rows("audit_logs") == before
    assert len(archives(disk)) == 1


def test_a_run_that_was_taken_for_dead_deletes_nothing(disk, monkeypatch):
    before = old(disk, 3)
    real = write.verify

    def discarded(*args):
        disk.db.execute("UPDATE {audit_archives} SET created_at = :later",
                        later=disk.ahead(seconds=1))
        return real(*args)
    monkeypatch.setattr(write, "verify", discarded)
    assert "was discarded by another run" in disk.fails(JOB)
    assert disk.rows("audit_logs") == before


@pytest.mark.slow
def test_two_hosts_at_once_archive_each_row_once(tmp_path, engine_url):      # R12 R57
    service = Shell(tmp_path, engine_url, archive={"store": "archives"})
    databases.bulk(service.db, "audit_logs", ["event", "created_at"],
                   [("login", clock.now() - timedelta(days=400, seconds=at % 50))
                    for at in range(3000)])
    before = service.db.query("SELECT * FROM {audit_logs}")
    small = "jobs_lib.features.archives.write:MOST_ROWS=700"
    both = [service.start(JOB, "--json", small=small, JOBS_CORE_STATE_DIR=f"state{host}")
            for host in (1, 2, 3)]
    outs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], outs
    check_none_is_lost(service.db, tmp_path / "archives", before)
    service.run(JOB)
    check_none_is_lost(service.db, tmp_path / "archives", before)
    assert service.db.value("SELECT COUNT(*) FROM {audit_logs}") == 0
    assert service.statuses("audit_archives").keys() == {"purged"}


# Old archives

def aged(bench, *days: int) -> None:
    """An archive for each of this many days."""
    for number in days:
        old(bench, 1)
        bench.run(JOB)
        bench.db.execute("UPDATE {audit_archives} SET created_at = :then WHERE id = :id",
                         then=bench.ago(days=number, seconds=1), id=archives(bench)[-1]["id"])


def test_archives_go_after_their_time_with_both_files(disk):
    aged(disk, 2554, 2555)
    assert disk.run(JOB, dry_run=True, **{"archive.keep": "off"})["expired"] == 0
    assert disk.run(JOB, dry_run=True)["expired"] == 1
    assert disk.run(JOB)["expired"] == 1
    [row] = archives(disk)
    assert files(disk) == [os.path.basename(row["location"]), catalogue.names(row["location"])[1]]


def test_an_old_archive_whose_files_are_gone_leaves_no_row(disk):
    aged(disk, 2555)
    for name in files(disk):
        (disk.folder / "archives" / name).unlink()
    assert disk.run(JOB)["expired"] == 1
    assert archives(disk) == []


def test_an_old_archive_in_another_store_stays_named(disk):
    aged(disk, 2555)
    disk.config(archive={"store": "new"})
    assert disk.run(JOB)["expired"] == 0
    assert len(archives(disk)) == 1
    assert [event["event"] for event in disk.events(JOB)][-3:-1] == [("old archives in another "
                                                                     "store"), "purge"]


def test_many_old_archives_in_another_store_stop_nothing_and_are_not_counted(disk):
    aged(disk, *range(12))
    disk.db.execute("UPDATE {audit_archives} SET created_at = :then",
                    then=disk.ago(days=2555, seconds=1))
    disk.config(archive={"store": "new"})
    old(disk, 2)
    assert disk.run(JOB, dry_run=True)["expired"] == 0
    assert disk.run(JOB) == {"archived": 2, "archives": 1, "deleted": 2, "expired": 0}
    assert len(archives(disk)) == 13
    aged(disk, 2555)
    assert disk.run(JOB, dry_run=True)["expired"] == disk.run(JOB)["expired"] == 1


def test_an_old_archive_that_was_moved_by_hand_goes_too(disk):
    aged(disk, 2555)
    os.rename(disk.folder / "archives", disk.folder / "moved")
    disk.config(archive={"store": "moved"})
    assert disk.run(JOB)["expired"] == 1
    assert archives(disk) == []
    assert list((disk.folder / "moved").glob("audit-*")) == []


@pytest.mark.parametrize("before", ["2555d", "off"])
def test_archives_that_go_by_a_shorter_keep_alone_have_to_be_confirmed(disk, before):
    aged(disk, 9, 11)
    disk.config(archive={"store": "archives", "keep": before})
    disk.run(JOB)
    said = (f"1 of 2 archives would be deleted: [archive] keep is 10d, it was {before} at the last "
            "good run. Nothing was deleted.")
    disk.config(archive={"store": "archives", "keep": "10d"})
    assert disk.run(JOB, dry_run=True)["expired"] == 1
    assert f"a run would stop: {said}" in json.dumps(disk.samples)
    for _ in range(2):
        assert said in disk.fails(JOB, keep="364d")             # whatever else changes
    assert len(files(disk)) == 4
    assert disk.run(JOB, yes=True)["expired"] == 1
    disk.config(archive={"store": "archives", "keep": "8d"})
    assert "1 of 1 archives would be deleted: [archive] keep is 8d, it was 10d" in disk.fails(JOB)
    disk.config(archive={"store": "archives", "keep": "228h"})
    assert disk.run(JOB)["expired"] == 0                        # nothing would go: nothing to ask
    disk.db.execute("UPDATE {audit_archives} SET created_at = :then", then=disk.ago(days=11))
    assert disk.run(JOB)["expired"] == 1                        # as the known limit has it


def test_most_archives_at_once_have_to_be_confirmed(disk):
    aged(disk, *range(12))
    # else it is seen that it became shorter
    disk.db.execute("UPDATE {job_state} SET last_options = NULL")
    assert ("11 of 12 archives would be deleted: [archive] keep is 1h. Nothing was deleted."
            in disk.fails(JOB, **{"archive.keep": "1h"}))
    assert len(files(disk)) == 24
    assert disk.run(JOB, yes=True, **{"archive.keep": "1h"})["expired"] == 11


# FTPS

@pytest.fixture(scope="module")
def server():
    with Ftps() as made:
        yield made


@pytest.fixture
def far(disk, server):
    """A bench whose store is the server."""
    for path in server.archive.iterdir():
        path.unlink()
    disk.config(archive={"store": server.url(), "ca_file": server.ca_file})
    return disk


def test_rows_go_to_a_server_and_are_read_back_from_it(far, server):
    before = old(far, 500, details="x" * 300)
    assert far.run(JOB) == {"archived": 500, "archives": 1, "deleted": 500, "expired": 0}
    [row] = archives(far)
    assert row["location"].startswith(f"ftps://localhost:{server.port}/audit/audit-")
    [name, _] = server.names()
    assert sorted(lines(server.archive / name), key=lambda row: row["id"]) == before
    assert PASSWORD not in json.dumps(far.events(JOB))
    far.db.execute("UPDATE {audit_archives} SET created_at = :then", then=far.ago(days=9999))
    assert far.run(JOB)["expired"] == 1
    assert server.names() == []


def test_a_server_that_dies_in_the_middle_of_a_file_costs_nothing(disk):        # R57
    before = old(disk, 3000, details=os.urandom(100).hex())
    with Ftps(rate=30_000) as server:
        disk.config(archive={"store": server.url(), "ca_file": server.ca_file})
        real = format.line
        calls = []

        def line(row):
            calls.append(row)
            if len(calls) == 1500:
                server.kill()
            return real(row)
        format.line = line
        try:
            assert disk.fails(JOB).startswith("[archive] store "
                                              f"ftps://localhost:{server.port}/audit: ")
        finally:
            format.line = real
    assert disk.rows("audit_logs") == before
    assert [row["status"] for row in archives(disk)] == ["writing"]
    with Ftps() as server:
        disk.config(archive={"store": server.url(), "ca_file": server.ca_file})
        assert disk.run(JOB)["archived"] == 3000
        [name, _] = server.names()
        assert sorted(lines(server.archive / name), key=lambda row: row["id"]) == before
    assert [row["status"] for row in archives(disk)] == ["purged"]


def test_a_wrong_password_fails_in_one_sentence_without_it(far, server):
    before = old(far, 3)
    far.config(archive={"store": server.url("s3same"), "ca_file": server.ca_file})
    error = far.fails(JOB)
    assert "it refused the user or the password" in error
    assert "s3same" not in error + json.dumps(far.events(JOB)) + str(archives(far))
    assert far.rows("audit_logs") == before
    far.config(archive={"store": server.url(), "ca_file": server.ca_file})
    assert far.run(JOB)["deleted"] == 3


# The rest

def test_nothing_of_tls_is_loaded_for_a_folder(disk):       # R10
    old(disk, 1)
    code = (f"import sys; from jobs_lib.cli import main as cli; cli.main([{JOB!r}, '--config', "
            f"'{disk.folder}/config.ini']);print([name for name in ('ssl', 'ftplib', 'smtplib', "
            "'email') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
    assert len(files(disk)) == 2


@pytest.mark.slow
def test_ten_times_the_rows_take_the_same_memory(tmp_path):        # R18
    sizes = []
    for number in (3000, 30_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        service = Shell(folder, f"sqlite:///{folder}/jobs.db", archive={"store": "archives"})
        long_ago = clock.now() - timedelta(days=400)
        databases.bulk(service.db, "audit_logs", ["event", "details", "created_at"],
                       [("login", "x" * 200, long_ago)] * number)
        process = service.start(JOB, launcher=str(ROOT / "tests/support/peak.py"),
                                small="jobs_lib.features.archives.write:MOST_ROWS=3000")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        assert service.db.value("SELECT COUNT(*) FROM {audit_logs}") == 0
        assert service.statuses("audit_archives") == {"purged": number // 3000}
        sizes.append(int(err.splitlines()[-1]))
        service.db.close()
    assert sizes[1] <= sizes[0] * 1.1, sizes
