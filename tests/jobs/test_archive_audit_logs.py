"""Audit rows go after a year, critical ones after seven; with a store, only out of an archive that
was read back: at any kill each row is in the table or in exactly one archive."""
from __future__ import annotations

import gzip
import hashlib
import json
import os

import pytest

from tests.servers.ftps import PASSWORD, Ftps
from tests.support import databases
from tests.support.archives import lines, named
from tests.support.bench import Bench
from tests.support.product import FolderStore, clock

JOB = "archive_audit_logs"
STORE = {"store": "archives"}
OTHERS = "audit-20261124T142905Z-other-1.jsonl.gz"
STORED = {"archived": 0, "archives": 0, "deleted": 0, "expired": 0}
ODD = [
    {"id": 3, "user_id": 8, "actor": "app", "event": "login", "severity": "info",
     "ip": "2001:db8::1", "details": '{"agent": "é \\"x\\""}', "created_at": "2025-01-02 03:04:05"},
    {"id": 4, "user_id": None, "actor": "", "event": "line\nend", "severity": "warning",
     "ip": "", "details": None, "created_at": "2025-01-02 03:04:05"},
    {"id": 9, "user_id": 8, "actor": "ops", "event": "note", "severity": "critical", "ip": "",
     "details": "no JSON: 𝄞\u2028", "created_at": "2016-12-31 23:59:59"}]


@pytest.fixture
def disk(tmp_path):
    """A bench on SQLite: what has to do with files alone."""
    made = Bench(tmp_path, f"sqlite:///{tmp_path}/jobs.db")
    made.config(archive=STORE)
    yield made
    made.db.close()


def old(bench, number: int = 3, **values) -> list[dict]:
    """Rows that are due. As they are in the table."""
    ids = bench.table("audit_logs",
                      [{"event": f"login-{at}", "created_at": bench.ago(days=400, seconds=at),
                        **values} for at in range(number)])
    return bench.db.query("SELECT * FROM {audit_logs} WHERE id IN (:ids) ORDER BY id", ids=ids)


def unfinished(bench) -> list[dict]:
    """Rows of a verified archive that were not deleted yet, as a kill leaves them."""
    before = old(bench, 3)
    bench.run(JOB)
    bench.db.execute("UPDATE {audit_archives} SET status = 'verified'")
    return before


def files(bench) -> list[str]:
    return sorted(path.name for path in (bench.folder / "archives").glob("audit-*"))


def held(bench) -> list[dict]:
    """All rows that archives hold."""
    rows = [row for rows in named(bench.db, bench.folder / "archives").values() for row in rows]
    return sorted(rows, key=lambda row: row["id"])


def test_an_archive_is_json_lines_that_zcat_and_sha256sum_read(bench):       # R57
    bench.config(archive=STORE)
    young = {**ODD[0], "id": 11, "created_at": clock.text(bench.ago(days=365))}
    bench.table("audit_logs", [*ODD, {**ODD[0], "id": 10, "severity": "critical"}, young])
    assert bench.run(JOB) == {**STORED, "archived": 3, "archives": 1, "deleted": 3}
    assert bench.ids("audit_logs") == [10, 11]
    [archive] = bench.rows("audit_archives")
    content = (bench.folder / "archives" / files(bench)[0]).read_bytes()
    assert (archive["location"], archive["sha256"]) == (
        f"{bench.folder}/archives/{files(bench)[0]}", hashlib.sha256(content).hexdigest())
    *rows, end = gzip.decompress(content).decode("utf-8").split("\n")
    assert ([json.loads(line) for line in rows], end) == (ODD, "")
    assert [archive[name] for name in ("row_count", "first_id", "last_id", "status", "cutoff")] == [
        3, 3, 9, "purged", clock.text(bench.ago(days=365))]


def test_an_archive_has_ten_thousand_rows_and_none_is_in_two(bench):        # R57
    bench.config(archive=STORE)
    databases.bulk(bench.db, "audit_logs", ["event", "severity", "created_at"],
                   [("login", ("info", "critical")[at % 5 == 0],
                     bench.ago(days=3000, seconds=at // 200)) for at in range(10_100)])
    before = bench.rows("audit_logs")
    assert bench.run(JOB) == {"archived": 10_100, "archives": 2, "deleted": 10_100, "expired": 0}
    assert (held(bench), bench.ids("audit_logs")) == (before, [])
    assert [row["row_count"] for row in bench.rows("audit_archives")] == [10_000, 100]


def test_a_row_that_changed_after_it_was_archived_goes_too(disk):
    before = old(disk, 3)
    ids = [row["id"] for row in before]

    def change() -> None:
        disk.db.execute("UPDATE {audit_logs} SET actor = 'anonymous' WHERE id = :id", id=ids[0])
        disk.db.execute("DELETE FROM {audit_logs} WHERE id = :id", id=ids[1])
    disk.meanwhile("SET status = 'verified'", change)
    assert disk.run(JOB)["deleted"] == 2
    assert (disk.ids("audit_logs"), held(disk)) == ([], before)


def test_a_row_that_got_the_id_of_an_archived_one_stays(bench):     # R57
    """As MySQL 5.7 gives it after a restart, once the newest rows are gone."""
    bench.config(archive=STORE)
    number = unfinished(bench)[-1]["id"]
    bench.table("audit_logs", [{"id": number, "event": "new", "created_at": bench.now}])
    assert bench.run(JOB)["deleted"] == 0
    assert bench.ids("audit_logs") == [number]


def spoil(path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("act, said", [
    (spoil, "is not what was written: its SHA-256 differs"),
    (lambda path: path.unlink(), "No such file or directory"),
    (lambda path: os.rename(path.parent, path.parent.with_name("unmounted")),
     "there is no folder")])
def test_a_verified_archive_that_is_not_whole_any_more_stops_everything(disk, act, said):     # R57
    before = unfinished(disk)
    disk.table("audit_logs", before)
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


def test_a_store_that_was_lost_deletes_nothing_and_one_that_moved_is_followed(disk):      # R57
    before = unfinished(disk)
    disk.table("audit_logs", before[1:])
    disk.config(archive={"store": ""})
    assert "set [archive] store back to where it is" in disk.fails(JOB)
    assert disk.rows("audit_logs") == before[1:]
    os.rename(disk.folder / "archives", disk.folder / "moved")
    disk.config(archive={"store": "moved"})
    assert disk.run(JOB)["deleted"] == 2


@pytest.mark.parametrize("status, of_run, is_left", [
    ("writing", "running", True), ("verified", "running", True), ("writing", "vanished", False)])
def test_an_unfinished_archive_is_left_to_a_living_run(bench, status, of_run, is_left):
    bench.config(archive=STORE)
    before = old(bench, 3)
    bench.table("job_runs", [{"run_id": "other", "job": JOB, "status": of_run,
                              "installation": "far away", "started_at": bench.ago(minutes=1),
                              "lease_until": bench.ahead(minutes=5)}])
    folder = bench.folder / "archives"
    folder.mkdir()
    (folder / f"{OTHERS}.part").write_bytes(b"half")
    bench.table("audit_archives", [{"location": f"{folder}/{OTHERS}", "status": status,
                                    "created_at": bench.ago(minutes=1)}])
    theirs = bench.rows("audit_archives")
    counts = bench.run(JOB)
    if is_left:
        assert (counts, bench.result["stop_reason"]) == (STORED, "another run is archiving")
        assert (bench.rows("audit_logs"), bench.rows("audit_archives")) == (before, theirs)
    else:
        assert (counts["archived"], held(bench), len(files(bench))) == (3, before, 1)
        assert theirs[0]["id"] not in bench.ids("audit_archives")


def test_a_run_that_was_taken_for_dead_deletes_nothing(disk):
    before = old(disk, 3)
    disk.meanwhile("SET status = 'verified'", "UPDATE {audit_archives} SET sha256 = 'discarded'")
    assert "was discarded by another run" in disk.fails(JOB)
    assert disk.rows("audit_logs") == before


def test_an_archive_without_a_name_takes_no_other_file_with_it(disk):
    """The store may be a folder that others use, too."""
    store = disk.folder / "archives"
    old(disk)
    disk.run(JOB)
    (store / "theirs").write_text("x")
    disk.db.execute("UPDATE {audit_archives} SET location = :store, created_at = :then",
                    store=f"{store}/", then=disk.ago(days=9000))
    assert disk.run(JOB)["expired"] == 1
    assert {*files(disk), "theirs"} < {each.name for each in store.iterdir()}
    assert len(files(disk)) == 1


def test_archives_go_after_their_time_where_they_are(bench):
    bench.config(archive=STORE)
    for _ in range(3):
        old(bench, 11)
        bench.run(JOB)
    for row, days in zip(bench.rows("audit_archives"), (2554, 2555, 2556)):
        bench.db.execute("UPDATE {audit_archives} SET created_at = :then WHERE id = :id",
                        then=bench.ago(days=days, seconds=1), id=row["id"])
    archives, elsewhere = bench.folder / "archives", bench.folder / "elsewhere"
    archives.rename(elsewhere)
    bench.config(archive={"store": "new"})
    assert bench.run(JOB)["expired"] == 0        # that store is not ours to see
    elsewhere.rename(archives)
    bench.config(archive=STORE)
    # somebody has deleted one already
    (archives / os.path.basename(bench.rows("audit_archives")[1]["location"])).unlink()
    bench.table("audit_archives", [{"location": "/far/a", "status": "purged", "row_count": 5,
                                    "created_at": bench.ago(days=2600)}])
    assert bench.run(JOB, dry_run=True, **{"archive.keep": "off"})["expired"] == 0
    for how, expired in (({"dry_run": True, "limit": 1}, 1), ({"dry_run": True}, 2), ({}, 2)):
        counts = bench.run(JOB, **how, **{"archive.keep": "9d"})
        assert (counts["expired"], counts["held"]) == (expired, 11)     # its rows  # R11 R80
    assert "because of [archive] keep = 9d (was 2555d). They stay" in str(bench.events(JOB))
    left = bench.rows("audit_archives")[0]
    assert files(bench) == [os.path.basename(left["location"])]
    bench.run(JOB, **{"archive.store": "off"})                  # nothing of it would go
    assert "rule:audit_archives" not in str(bench.rows("job_state"))


def test_rows_go_to_a_server_and_are_read_back_from_it(disk):
    before = old(disk, 500, details="x" * 300)
    with Ftps() as server:
        disk.config(archive={"store": server.url("s3same"), "ca_file": server.ca_file})
        error = disk.fails(JOB)
        assert ": 530 " in error
        assert "s3same" not in error + str(disk.events(JOB)) + str(disk.rows("audit_archives"))
        disk.config(archive={"store": server.url(), "ca_file": server.ca_file})
        assert disk.run(JOB) == {"archived": 500, "archives": 1, "deleted": 500, "expired": 0}
        [row], [name] = disk.rows("audit_archives"), server.names()
        assert row["location"] == f"ftps://localhost:{server.port}/audit/{name}"
        assert sorted(lines(server.archive / name), key=lambda row: row["id"]) == before
        assert PASSWORD not in json.dumps(disk.events(JOB))
        disk.db.execute("UPDATE {audit_archives} SET created_at = :then", then=disk.ago(days=3000))
        assert disk.run(JOB)["expired"] == 1
        assert server.names() == []
