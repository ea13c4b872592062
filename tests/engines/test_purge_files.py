"""A spool file goes with the last row that names it, in the same transaction, and nothing else ever
goes."""
from __future__ import annotations

import json
import os

import pytest

from tests.support.require import on_mariadb
from tests.support.shell import Shell, until

JOB = "purge_failed_emails"


def old(bench, raw_path: str, **values) -> dict:
    """A row that goes."""
    return {"status": "sent", "finished_at": bench.ago(days=8), "raw_path": raw_path, **values}


@pytest.mark.parametrize("table", ["failed_emails", "overflow_hold", "spam_quarantine"])
def test_a_file_that_several_rows_name_goes_with_the_last(bench, table):
    bench.spool("shared.eml")
    bench.table("failed_emails", [old(bench, "shared.eml"), old(bench, "shared.eml")])
    bench.table(table, [{"raw_path": "shared.eml"}])
    assert bench.run(JOB) == {"deleted": 2, "files": 0, "bytes_freed": 0}
    assert bench.spooled() == ["shared.eml"]
    bench.db.execute(f"DELETE FROM {{{table}}}")
    bench.table("failed_emails", [old(bench, "shared.eml")])
    assert bench.run(JOB)["files"] == 1
    assert bench.spooled() == []


@on_mariadb
def test_of_two_jobs_that_delete_its_last_two_rows_one_deletes_it(tmp_path, engine_url):
    """The second waits for the first one's COMMIT before it asks who names the file. (SQLite has
    one writer at a time.)"""
    service = Shell(tmp_path, engine_url)
    (service.spool / "shared.eml").write_bytes(b"mail")
    long_ago = "2026-01-01 00:00:00"
    service.db.insert("failed_emails", user_id=1, alias_id=1, envelope_to="a@b.example",
                      raw_path="shared.eml", status="sent", finished_at=long_ago)
    service.db.insert("spam_quarantine", user_id=1, alias_id=1, raw_path="shared.eml",
                      quarantined_at=long_ago)
    with service.db.transaction():
        service.db.execute("DELETE FROM {spam_quarantine}")
        process = service.start(JOB)
        until(lambda: service.db.value(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() "
            "AND info LIKE '%spam_quarantine%FOR UPDATE%'"))
    process.communicate(timeout=60)
    assert service.statuses() == {}
    assert not (service.spool / "shared.eml").exists()


@pytest.mark.parametrize("name", ["../outside.eml", "/{outside}", "box/../../outside.eml",
                                  "./outside.eml", "", "a\\b", "link/outside.eml", "link.eml",
                                  "box"])
def test_a_bad_name_removes_nothing(bench, name):
    outside = bench.folder / "outside.eml"
    outside.write_text("not ours")
    (bench.spool_dir / "box").mkdir()
    (bench.spool_dir / "link").symlink_to(bench.folder)
    (bench.spool_dir / "link.eml").symlink_to(outside)
    name = name.replace("{outside}", str(outside))
    bench.table("failed_emails", [old(bench, name)])
    assert bench.run(JOB) == {"deleted": 1, "files": 0, "bytes_freed": 0}
    assert outside.read_text() == "not ours"
    assert os.path.islink(bench.spool_dir / "link.eml")
    assert (bench.spool_dir / "box").is_dir()


def test_files_go_folders_stay_and_a_file_that_is_gone_already_keeps_no_row(bench):
    bench.spool("2026/11/1.eml", b"x" * 10)
    # the last one is too long for any folder
    bench.table("failed_emails", [old(bench, name) for name in (
        "2026/11/1.eml", "gone.eml", "gone/deeper.eml", "x" * 300)])
    assert bench.run(JOB) == {"deleted": 4, "files": 1, "bytes_freed": 10}
    assert (bench.spool_dir / "2026/11").is_dir()


def test_a_row_whose_file_cannot_be_deleted_stays(bench, monkeypatch):
    bench.spool("1.eml")
    bench.table("failed_emails", [old(bench, "1.eml")])
    unlink = os.unlink

    def refuse(path, **how) -> None:
        """Whoever asks for a file of the spool may not."""
        if path.endswith(".eml"):
            raise PermissionError(13, "Permission denied")
        unlink(path, **how)
    monkeypatch.setattr("os.unlink", refuse)
    assert "cannot be deleted (Permission denied), so its row is kept" in bench.fails(JOB)
    monkeypatch.undo()
    assert bench.run(JOB)["files"] == 1


@pytest.mark.parametrize("mark", ["0123456789abcdef0123456789abcdef\n", "", None])
@pytest.mark.parametrize("job", [JOB, "purge_spam_quarantine", "expire_overflow_hold",
                                 "retry_forwards"])
def test_a_spool_without_the_mark_of_this_database_stops_the_job(bench, job, mark):
    bench.table("failed_emails", [old(bench, "1.eml"), old(bench, "2.eml", status="pending")])
    path = bench.spool_dir / ".jobs-spool"
    path.unlink() if mark is None else path.write_text(mark)
    assert "does not carry the mark of this database" in bench.fails(job)
    bench.spool_dir.rename(bench.folder / "away")
    assert "there is no such folder" in bench.fails(job)
    assert [row["status"] for row in bench.rows("failed_emails")] == ["sent", "pending"]


@pytest.mark.parametrize("is_there", [False, True])         # or a mount point without its disk
def test_migrate_marks_no_folder_without_the_files_of_what_waits(tmp_path, engine_url, is_there):
    service = Shell(tmp_path, engine_url)
    for name in ("1.eml", "2.eml", "3.eml"):
        service.db.insert("failed_emails", user_id=1, alias_id=1, envelope_to="a@b.example",
                          raw_path=name)
    service.spool.rename(tmp_path / "away")
    if is_there:
        service.spool.mkdir(0o700)
    ended = service("migrate")
    assert ended.code == 1
    assert "none of the 3 waiting messages looked at is in" in " ".join(ended.err.split())
    assert not (service.spool / ".jobs-spool").exists()
    why = "does not carry the mark" if is_there else "there is no such folder"
    assert why in " ".join(service("doctor").out.split())
    incident, = [each for each in json.loads(service("status", "--json").out)["incidents"]
                 if each["key"] == "configuration:[spool] dir"]
    assert why in str(incident)
    if is_there:
        service.spool.rmdir()
    (tmp_path / "away").rename(service.spool)
    assert service("migrate").code == 0
    service.close()


def test_mail_that_is_lost_with_its_spool_is_cancelled_before_migrate(tmp_path, engine_url):  # R20
    """A backup of the database alone, of a time when one was being sent; and its tables are not as
    this bundle needs them."""
    service = Shell(tmp_path, engine_url)
    for number, status in enumerate(["sending", *["pending"] * 3]):
        service.db.insert("failed_emails", user_id=1, alias_id=1, envelope_to="a@b.example",
                          raw_path=f"{number}.eml", status=status)
    service.spool.rename(tmp_path / "away")
    service.db.upsert("meta", {"name": "names"}, {"value": "others"})
    assert "file names are wrong" in " ".join(service("migrate").err.split())
    assert service.run("cancel", "forwards", "--all") == "3 forwards cancelled, nothing is sent\n"
    assert service("migrate").code == 0
    service.close()
