"""A spool file goes with the last row that names it, after the commit, and nothing else ever
goes."""
from __future__ import annotations

import os

import pytest

from jobs_lib.engines import spool
from jobs_lib.engines.batch_delete import FILES_AT_ONCE
from tests.house.source import ROOT

JOB = "purge_failed_emails"


def old(bench, raw_path: str, **values) -> dict:
    """A row that goes."""
    return {"status": "sent", "finished_at": bench.ago(days=8), "raw_path": raw_path, **values}


def test_a_file_that_several_rows_name_goes_with_the_last(bench):
    bench.spool("shared.eml")
    bench.table("failed_emails", [old(bench, "shared.eml"), old(bench, "shared.eml"),
                                  old(bench, "shared.eml", finished_at=bench.ago(days=6))])
    assert bench.run(JOB) == {"deleted": 2, "files": 0, "bytes_freed": 0}
    assert bench.spooled() == ["shared.eml"]
    bench.now = bench.ahead(days=2)
    assert bench.run(JOB)["files"] == 1
    assert bench.spooled() == []


@pytest.mark.parametrize("table", ["overflow_hold", "spam_quarantine"])
def test_a_file_that_another_table_names_stays(bench, table):
    bench.spool("shared.eml")
    bench.table("failed_emails", [old(bench, "shared.eml")])
    bench.table(table, [{"raw_path": "shared.eml"}])
    assert bench.run(JOB)["deleted"] == 1
    assert bench.spooled() == ["shared.eml"]


def test_a_file_of_a_queued_row_stays(bench):
    bench.spool("shared.eml")
    bench.table("failed_emails", [old(bench, "shared.eml"),
                                  old(bench, "shared.eml", status="pending", finished_at=None)])
    assert bench.run(JOB)["deleted"] == 1
    assert bench.spooled() == ["shared.eml"]


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


def test_a_row_whose_file_is_gone_already_goes_all_the_same(bench):
    bench.table("failed_emails", [old(bench, "gone.eml"), old(bench, "gone/deeper.eml")])
    assert bench.run(JOB) == {"deleted": 2, "files": 0, "bytes_freed": 0}


def test_an_empty_file_counts_as_a_file(bench):
    bench.spool("empty.eml", b"")
    bench.table("failed_emails", [old(bench, "empty.eml")])
    assert bench.run(JOB) == {"deleted": 1, "files": 1, "bytes_freed": 0}


def test_files_in_folders_below_go_and_the_folders_stay(bench):
    bench.spool("2026/11/1.eml", b"x" * 10)
    bench.table("failed_emails", [old(bench, "2026/11/1.eml")])
    assert bench.run(JOB) == {"deleted": 1, "files": 1, "bytes_freed": 10}
    assert (bench.spool_dir / "2026/11").is_dir()


def test_a_file_that_the_system_will_not_remove_is_told_and_stops_nothing(bench):
    bench.spool("good.eml")
    # too long for any folder
    bench.table("failed_emails", [old(bench, "x" * 300), old(bench, "good.eml")])
    counts = bench.run(JOB)
    assert (counts["deleted"], counts["files"], counts["not_removed"]) == (2, 1, 1)
    event = next(event for event in bench.events(JOB) if event["event"] == "files not removed")
    assert event["error"] == "File name too long"


def test_the_files_of_a_batch_go_after_its_commit_and_before_the_next_batch(bench):
    names = [f"{number}.eml" for number in range(2 * FILES_AT_ONCE)]
    for name in names:
        bench.spool(name)
    bench.table("failed_emails", [old(bench, name) for name in names])
    seen = []
    bench.on_statement = lambda sql, _: seen.append((sql.split()[0], len(bench.spooled())))
    bench.run(JOB)
    deletes = [files for word, files in seen if word == "DELETE"]
    assert deletes[:2] == [2 * FILES_AT_ONCE, FILES_AT_ONCE]
    commits = [files for word, files in seen if word == "COMMIT"]
    # until its commit every file of a batch is there
    assert commits[:2] == deletes[:2]


def test_no_lookup_asks_for_one_file_at_a_time(bench):
    bench.table("failed_emails", [old(bench, f"{number}.eml") for number in range(FILES_AT_ONCE)])
    bench.run(JOB)
    assert sum("raw_path IN" in sql for sql in bench.statements) == len(spool.NAMING_TABLES)


def test_a_dry_run_counts_only_the_files_that_would_go(bench):
    for name, content in (("1.eml", b"1" * 10), ("2.eml", b"2" * 20), ("shared.eml", b"s" * 100),
                          ("held.eml", b"h")):
        bench.spool(name, content)
    bench.table("failed_emails", [old(bench, "1.eml"), old(bench, "2.eml"), old(bench, "2.eml"),
                                  old(bench, "../x"), old(bench, "shared.eml"),
                                  old(bench, "shared.eml", status="pending"),
                                  old(bench, "held.eml"), *[old(bench, "2.eml")] * 2500])
    bench.table("overflow_hold", [{"raw_path": "held.eml"}])
    told = bench.run(JOB, dry_run=True)
    assert told == {"deleted": 2506, "files": 2, "bytes_freed": 30}
    assert bench.spooled() == ["1.eml", "2.eml", "held.eml", "shared.eml"]
    assert bench.run(JOB) == told


def test_the_sample_of_a_dry_run_masks_addresses(bench):
    bench.table("failed_emails", [old(bench, "1.eml", envelope_to="jo.smith@example.org")])
    bench.run(JOB, dry_run=True)
    assert bench.samples[0]["rows"][0]["envelope_to"] == "j***@example.org"


# What engines/spool.py promises to others

def test_locate_refuses_what_leads_elsewhere(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert spool.locate(str(tmp_path), "real/1.eml") == str(tmp_path / "real/1.eml")
    for name in ("", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/.", "a\\b", "a\0b",
                 "link/1.eml"):
        with pytest.raises(spool.SpoolError):
            spool.locate(str(tmp_path), name)


def test_named_finds_the_rows_of_every_table(bench):
    bench.table("failed_emails", [{"raw_path": "a.eml"}, {"raw_path": "a.eml"}])
    bench.table("overflow_hold", [{"raw_path": "h.eml"}])
    bench.table("spam_quarantine", [{"raw_path": "q.eml"}])
    assert spool.named(bench.db, ["a.eml", "A.eml", "h.eml", "q.eml", "x.eml"]) == {"a.eml",
                                                                                    "h.eml",
                                                                                    "q.eml"}
    assert spool.named(bench.db, []) == set()


def test_named_loses_no_name_that_an_engine_takes_for_another(bench):
    # equal, says MySQL
    bench.table("failed_emails", [{"raw_path": "b.eml "}, {"raw_path": "b.eml"}])
    assert spool.named(bench.db, ["b.eml"]) == {"b.eml"}
    assert spool.named(bench.db, ["b.eml "]) == {"b.eml "}


def test_named_asks_in_groups(bench):
    asked = []
    bench.db.on_statement = lambda sql, values: asked.append(len(values["some"]))
    spool.named(bench.db, [f"{number}.eml" for number in range(1000)])
    assert asked == [600] * 3 + [400] * 3


def test_a_folder_is_made_private_and_marked_once(tmp_path):
    folder = tmp_path / "new"
    spool.mark_folder(str(folder), "abc123")
    spool.mark_folder(str(folder), "abc123")
    assert spool.mark(str(folder)) == "abc123"
    assert (folder.stat().st_mode & 0o777, (folder / ".jobs-spool").stat().st_mode
            & 0o777) == (0o700, 0o600)
    assert (folder / ".htaccess").exists()


def test_a_folder_that_is_there_is_marked_and_left_as_it_is(tmp_path):
    (tmp_path / "1.eml").write_text("mail")
    spool.mark_folder(str(tmp_path), "abc123")
    assert spool.mark(str(tmp_path)) == "abc123"
    assert (tmp_path / "1.eml").read_text() == "mail"


def test_an_empty_folder_changes_hands(tmp_path):
    spool.mark_folder(str(tmp_path), "abc123abc123")            # a first try with SQLite
    spool.mark_folder(str(tmp_path), "def456def456")
    assert spool.mark(str(tmp_path)) == "def456def456"


def test_the_mark_of_another_database_is_never_overwritten(tmp_path):
    spool.mark_folder(str(tmp_path), "abc123abc123")
    (tmp_path / "1.eml").write_text("mail")
    with pytest.raises(spool.JobsError,
                       match=r"belongs to another database \(abc123ab\.\.\., ours is def456de"):
        spool.mark_folder(str(tmp_path), "def456def456")
    assert spool.mark(str(tmp_path)) == "abc123abc123"


@pytest.mark.parametrize("what", ["this program", "a home folder"])
def test_a_folder_that_holds_more_than_a_spool_is_not_marked(tmp_path, monkeypatch, what):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = str(tmp_path if what == "a home folder" else ROOT.parent)
    with pytest.raises(spool.JobsError, match=f"holds {what}"):
        spool.mark_folder(folder, "abc123")
    assert spool.mark(folder) is None
