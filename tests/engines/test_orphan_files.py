"""A file that no row names goes in time; each safeguard by itself keeps all others."""
from __future__ import annotations

import json
import os
import time
from datetime import datetime, timedelta, timezone

import pytest

from jobs_lib.engines import orphan_files, spool
from tests.support import databases
from tests.support.engines import on_sqlite

JOB = "purge_failed_emails"
HOUR = timedelta(hours=1)


@pytest.fixture
def swept(bench):
    """A spool with one file that a row names and one that none does. A file's ctime cannot be set,
    so the runs are in the future: two hours from now, when all files are old."""
    bench.now = datetime.now(timezone.utc).replace(microsecond=0) + 2 * HOUR
    bench.spool("named.eml")
    bench.spool("orphan.eml", b"x" * 50)
    bench.table("failed_emails", [{"raw_path": "named.eml", "status": "pending"}])
    return bench


def twice(bench, apart: timedelta = HOUR, **how) -> dict:
    """Two runs; the counts of the second."""
    bench.run(JOB, **how)
    bench.now += apart
    return bench.run(JOB, **how)


def orphans(bench, number: int) -> None:
    for at in range(number):
        bench.spool(f"o{at}.eml")


def named(bench, number: int) -> None:
    for at in range(number):
        bench.spool(f"n{at}.eml")
    bench.table("failed_emails", [{"raw_path": f"n{at}.eml", "status": "pending"}
                                  for at in range(number)])


def test_a_file_that_no_row_names_goes_in_the_second_sweep(swept):
    assert swept.run(JOB) == {"deleted": 0, "files": 0, "bytes_freed": 0}
    assert swept.spooled() == ["named.eml", "orphan.eml"]
    swept.now += HOUR
    assert swept.run(JOB) == {"deleted": 0, "files": 0, "bytes_freed": 50, "orphans": 1}
    assert swept.spooled() == ["named.eml"]
    assert swept.rows("spool_suspects") == []


def test_a_sweep_logs_what_it_saw(swept):
    twice(swept)
    event = [event for event in swept.events(JOB) if event["event"] == "sweep"][-1]
    assert (event["files"], event["unnamed"], event["orphans"], event["reason"]) == (2, 1, 1,
                                                                                     "done")


# The two sweeps

def test_two_sweeps_less_than_an_hour_apart_are_one(swept):
    assert "orphans" not in twice(swept, HOUR - timedelta(seconds=1))
    assert swept.spooled() == ["named.eml", "orphan.eml"]


def test_a_folder_is_looked_at_once_an_hour_at_most(swept):
    swept.run(JOB)
    swept.now += HOUR - timedelta(seconds=1)
    swept.run(JOB)
    assert not any("spool_suspects" in sql for sql in swept.statements)


def test_what_was_found_under_a_wrong_clock_goes_an_hour_after_it_is_right(swept):     # R68
    swept.config(core={"max_clock_jump": "off"})
    swept.now += timedelta(days=40)
    swept.run(JOB)
    swept.now -= timedelta(days=40)
    assert "orphans" not in twice(swept, HOUR - timedelta(minutes=1))
    swept.now += HOUR
    assert swept.run(JOB)["orphans"] == 1


def test_a_clock_set_back_does_not_stop_the_sweeps(swept):
    swept.config(core={"max_clock_jump": "off"})
    swept.now += timedelta(days=30)
    swept.run(JOB)
    swept.now -= timedelta(days=30)
    swept.run(JOB)
    assert any("spool_suspects" in sql for sql in swept.statements)
    assert swept.spooled() == ["named.eml", "orphan.eml"]


def test_a_file_that_got_a_row_between_the_sweeps_is_kept(swept):
    swept.run(JOB)
    [row] = swept.table("spam_quarantine", [{"raw_path": "orphan.eml"}])
    swept.now += HOUR
    swept.run(JOB)
    assert swept.spooled() == ["named.eml", "orphan.eml"]
    swept.db.execute("DELETE FROM {spam_quarantine} WHERE id = :id", id=row)
    swept.now += HOUR
    swept.run(JOB)
    # the first sweep that found it so again
    assert swept.spooled() == ["named.eml", "orphan.eml"]


def test_a_file_that_gets_a_row_during_the_sweep_stays(swept):
    swept.run(JOB)
    swept.now += HOUR

    def claim(sql, _):
        if sql.startswith("SELECT path_hash, path FROM"):
            swept.on_statement = None
            swept.table("overflow_hold", [{"raw_path": "orphan.eml"}])
    swept.on_statement = claim
    assert "orphans" not in swept.run(JOB)
    assert swept.spooled() == ["named.eml", "orphan.eml"]


# The database

@pytest.mark.parametrize("content", ["0123456789abcdef0123456789abcdef\n", "", None])
def test_a_folder_with_another_mark_or_none_is_neither_purged_nor_swept(swept, content):
    mark = swept.spool_dir / ".jobs-spool"
    mark.unlink() if content is None else mark.write_text(content)
    swept.table("failed_emails",
                [{"raw_path": "named.eml", "status": "sent", "finished_at": swept.ago(days=8)}])
    for _ in range(2):
        assert "does not carry the mark of this database" in swept.fails(JOB)
        swept.now += HOUR
    assert swept.spooled() == ["named.eml", "orphan.eml"]
    assert len(swept.ids("failed_emails")) == 2         # a row never goes where its file cannot


def test_the_sweep_itself_looks_at_the_mark(swept, monkeypatch):
    monkeypatch.setattr(spool, "need_folder", lambda db, section_of: None)
    (swept.spool_dir / ".jobs-spool").write_text("0123456789abcdef0123456789abcdef\n")
    assert twice(swept) == {"deleted": 0, "files": 0, "bytes_freed": 0}
    assert swept.spooled() == ["named.eml", "orphan.eml"]
    assert "does not carry the mark" in swept.events(JOB)[-2]["reason"]


def test_without_an_id_in_the_database_no_mark_is_good(swept):
    swept.db.execute("DELETE FROM {meta} WHERE name = 'database_id'")
    (swept.spool_dir / ".jobs-spool").write_text("")
    swept.attempt(JOB)
    swept.now += HOUR
    swept.attempt(JOB)
    assert swept.spooled() == ["named.eml", "orphan.eml"]


def test_another_folder_is_never_swept(swept):
    other = swept.folder / "other"
    other.mkdir()
    (other / "precious.txt").write_text("not ours")
    swept.config(spool={"dir": "other"})
    swept.fails(JOB)
    swept.now += HOUR
    swept.fails(JOB)
    assert (other / "precious.txt").exists()


def test_a_folder_that_changes_its_owner_in_mid_sweep_loses_nothing(swept):
    swept.run(JOB)
    swept.now += HOUR

    def change_owner(sql, _) -> None:
        if sql.startswith("DELETE FROM {spool_suspects} WHERE last_seen_at"):
            (swept.spool_dir / ".jobs-spool").write_text("someone else")
    swept.on_statement = change_owner
    assert "orphans" not in swept.run(JOB)
    assert swept.spooled() == ["named.eml", "orphan.eml"]


@pytest.mark.parametrize("section, option", [("core", "state_dir"), ("core", "log_dir"),
                                             ("export", "dir"), ("archive", "store")])
@pytest.mark.parametrize("job", [JOB, "retry_forwards"])
def test_a_folder_with_our_own_files_in_it_is_never_used(swept, section, option, job):
    swept.config(**{section: {option: "spool/ours"}})
    for _ in range(2):
        assert f"that holds [{section}] {option}" in swept.fails(job)
        swept.now += HOUR
    assert "orphan.eml" in swept.spooled()


@on_sqlite
def test_the_folder_with_the_sqlite_database_is_never_used(swept, tmp_path_factory):
    file, out = swept.db.file, tmp_path_factory.mktemp("out")
    swept.config(spool={"dir": os.path.dirname(file)}, export={"dir": out / "exports"},
                 core={"state_dir": out / "state", "log_dir": out / "log"})
    for job in (JOB, "retry_forwards"):
        assert f"that holds [core] database ({file})" in swept.fails(job)


def test_a_mistake_in_a_section_of_another_job_keeps_no_mail_waiting(swept):
    swept.config(export={"dir": "/dev/null", "url": "nowhere"}, archive={"store": "ftp://x"})
    swept.run("retry_forwards")


def test_with_an_empty_database_a_full_folder_is_left_alone(swept):
    named(swept, 150)
    databases.empty(swept.db)
    for _ in range(3):
        assert "no row names any of the 152 files" in swept.fails(JOB, yes=True)
        swept.now += HOUR
    assert len(swept.spooled()) == 152


def test_with_an_empty_database_a_small_folder_is_left_alone(swept):
    databases.empty(swept.db)
    assert "orphans" not in twice(swept)
    assert swept.spooled() == ["named.eml", "orphan.eml"]
    swept.run(JOB, dry_run=True)
    assert swept.samples[-1]["step"] == (
        f"leave alone 2 files in {swept.spool_dir}: no row names one with this ending in the same "
        "folder")


# What is mail

def test_only_files_beside_one_that_a_row_names_and_with_its_ending_go(bench):
    """A spool that is the app's own folder: its mail is in one of those below."""
    bench.now = datetime.now(timezone.utc).replace(microsecond=0) + 2 * HOUR
    kept = ["app.db", "app.db-wal", "mails/README", "mails/index.php", "mails/other/1.eml",
            "public/index.php", "public/logo.eml", "settings.env"]
    for name in (*kept, "mails/named.eml", "mails/orphan.eml"):
        bench.spool(name)
    bench.table("failed_emails", [{"raw_path": "mails/named.eml"}])
    assert twice(bench)["orphans"] == 1
    assert bench.spooled() == sorted([*kept, "mails/named.eml"])
    assert [event["left_alone"] for event in bench.events(JOB)
            if event["event"] == "sweep"][-1] == 8


def test_what_is_left_alone_does_not_hide_that_too_much_mail_has_lost_its_rows(swept):
    orphans(swept, 150)
    for number in range(1000):
        swept.spool(f"public/{number}.jpg")
    assert "151 of 152 files" in swept.fails(JOB)


def test_more_kinds_than_are_told_apart_are_left_alone(swept, monkeypatch):
    monkeypatch.setattr(orphan_files, "MOST_KINDS", 0)
    assert "orphans" not in twice(swept)


# The stop rule

@pytest.mark.parametrize("unnamed, with_row, stops", [
    (100, 1, False),            # not above 100 files
    (101, 403, True),           # 101 of 504 are more than a fifth
    (101, 404, False),          # 101 of 505 are a fifth
])
def test_too_many_files_without_a_row_stop_the_sweep(bench, unnamed, with_row, stops):
    bench.now = datetime.now(timezone.utc).replace(microsecond=0) + 2 * HOUR
    orphans(bench, unnamed)
    named(bench, with_row)
    assert (bench.attempt(JOB)["status"] == "failed") is stops
    bench.now += HOUR
    assert (bench.attempt(JOB)["status"] == "failed") is stops
    assert len(bench.spooled()) == (unnamed + with_row if stops else with_row)


def test_a_stopped_sweep_says_what_to_look_at_and_keeps_the_counts(swept):
    orphans(swept, 150)
    swept.table("failed_emails",
                [{"raw_path": "x", "status": "sent", "finished_at": swept.ago(days=8)}])
    assert swept.fails(JOB) == (
        f"151 of 152 files in {swept.spool_dir} would be deleted: no row names them, which looks "
        "like a wrong or an empty database. Nothing was deleted. If this is intended, run `jobs.py "
        f"{JOB} --yes` once, an hour from now or later; if not, check [core] database and [spool] "
        "dir")
    assert swept.result["counts"] == {"deleted": 1, "files": 0, "bytes_freed": 0}
    [event] = [event for event in swept.events(JOB) if event["event"] == "safety stop"]
    assert (event["level"], event["error"]) == ("error", swept.result["error"])


def test_a_stopped_sweep_is_tried_again_by_the_next_run(swept):
    orphans(swept, 150)
    swept.fails(JOB)
    swept.now += timedelta(minutes=15)              # when a failed slot is tried again
    swept.fails(JOB)


def test_yes_confirms_a_sweep_that_was_stopped_before(swept):
    orphans(swept, 150)
    swept.fails(JOB)
    swept.now += HOUR
    assert swept.run(JOB, yes=True)["orphans"] == 151
    assert swept.spooled() == ["named.eml"]


def test_yes_does_not_confirm_what_nobody_was_told_of(swept):
    swept.run(JOB)
    orphans(swept, 150)
    swept.now += HOUR
    assert "no row names them" in swept.fails(JOB, yes=True)
    assert len(swept.spooled()) == 152


def test_yes_does_not_shorten_the_two_sweeps(swept):
    orphans(swept, 150)
    swept.fails(JOB)
    swept.now += timedelta(minutes=59)
    assert "orphans" not in swept.run(JOB, yes=True)
    assert len(swept.spooled()) == 152


# The files

def test_a_fresh_file_stays(swept):
    now = time.time()
    swept.now = datetime.fromtimestamp(int(now), timezone.utc) + timedelta(minutes=59)
    assert "orphans" not in twice(swept, timedelta(seconds=0))
    swept.now = datetime.fromtimestamp(int(now), timezone.utc) + timedelta(minutes=59)
    swept.run(JOB)
    assert swept.rows("spool_suspects") == []


def test_a_file_touched_between_the_sweeps_stays(swept):
    swept.run(JOB)
    later = (swept.now + timedelta(minutes=30)).timestamp()
    os.utime(swept.spool_dir / "orphan.eml", (later, later))
    swept.now += HOUR
    assert "orphans" not in swept.run(JOB)
    assert swept.spooled() == ["named.eml", "orphan.eml"]


def test_a_file_touched_during_the_sweep_stays(swept):
    swept.run(JOB)
    swept.now += HOUR
    later = (swept.now - timedelta(minutes=30)).timestamp()
    swept.on_statement = lambda sql, _: os.utime(swept.spool_dir / "orphan.eml", (later, later)) \
        if sql.startswith("SELECT path_hash, path FROM") else None
    assert "orphans" not in swept.run(JOB)
    assert swept.spooled() == ["named.eml", "orphan.eml"]


def test_an_old_mtime_is_not_enough(bench):
    """`tar` and `cp -p` give a file that was just put there the time of another."""
    bench.now = datetime.now(timezone.utc).replace(microsecond=0)
    path = bench.spool("restored.eml")
    os.utime(path, (0, 0))
    bench.run(JOB)
    assert bench.rows("spool_suspects") == []


def test_links_are_neither_removed_nor_followed(swept):
    outside = swept.folder / "outside"
    outside.mkdir()
    (outside / "precious.eml").write_text("not ours")
    (swept.spool_dir / "folder-link").symlink_to(outside)
    (swept.spool_dir / "file-link.eml").symlink_to(outside / "precious.eml")
    (swept.spool_dir / "broken-link.eml").symlink_to("nowhere")
    assert twice(swept)["orphans"] == 1
    assert (outside / "precious.eml").exists()
    assert sorted(name for name in os.listdir(swept.spool_dir) if "link" in name) == [
        "broken-link.eml", "file-link.eml", "folder-link"]


def test_links_and_hidden_files_are_not_even_counted(swept):
    (swept.spool_dir / "link.eml").symlink_to("named.eml")
    (swept.spool_dir / "folder").symlink_to(swept.spool_dir)
    (swept.spool_dir / ".hidden.eml").write_text("x")
    assert sorted(path for path, _ in orphan_files.files(str(swept.spool_dir))) == ["named.eml",
                                                                                    "orphan.eml"]


def test_a_folder_swapped_for_a_link_in_mid_sweep_leads_nowhere(swept):
    outside = swept.folder / "outside"
    outside.mkdir()
    (outside / "1.eml").write_text("not ours")
    swept.spool("box/1.eml")
    swept.run(JOB)
    swept.now += HOUR

    def swap(sql, _):
        if sql.startswith("SELECT path_hash, path FROM") and not os.path.islink(swept.spool_dir
                                                                                / "box"):
            os.rename(swept.spool_dir / "box", swept.folder / "moved")
            (swept.spool_dir / "box").symlink_to(outside)
    swept.on_statement = swap
    assert swept.run(JOB)["orphans"] == 1           # orphan.eml alone
    assert (outside / "1.eml").exists()


def test_only_regular_files_go(swept):
    os.mkfifo(swept.spool_dir / "pipe.eml")
    (swept.spool_dir / "empty-folder.eml").mkdir()
    assert twice(swept)["orphans"] == 1
    assert {"pipe.eml", "empty-folder.eml"} <= set(os.listdir(swept.spool_dir))


def test_hidden_files_and_folders_are_left_alone(swept):
    (swept.spool_dir / ".hidden").write_text("of the spool itself")
    (swept.spool_dir / ".tmp").mkdir()
    (swept.spool_dir / ".tmp" / "half-written.eml").write_text("x")
    before = {name for name in os.listdir(swept.spool_dir) if name.startswith(".")}
    assert {".jobs-spool", ".htaccess", ".hidden", ".tmp"} == before
    assert twice(swept)["orphans"] == 1
    assert {name for name in os.listdir(swept.spool_dir) if name.startswith(".")} == before
    assert (swept.spool_dir / ".tmp" / "half-written.eml").exists()


@pytest.mark.parametrize("table", ["failed_emails", "overflow_hold", "spam_quarantine"])
def test_a_file_that_any_table_names_stays(swept, table):
    swept.spool("shared.eml")
    swept.table(table, [{"raw_path": "shared.eml"}])
    assert twice(swept)["orphans"] == 1
    assert swept.spooled() == ["named.eml", "shared.eml"]


@pytest.mark.parametrize("spelling", ["./box/1.eml", "{folder}/box/1.eml"])
def test_a_file_that_a_row_names_in_a_wrong_spelling_stays(swept, spelling):
    """A row of an app that writes whole paths cannot be forwarded, but its mail must not be lost
    for that."""
    swept.spool("box/1.eml")
    swept.table("failed_emails", [{"raw_path": spelling.replace("{folder}", str(swept.spool_dir))}])
    assert twice(swept)["orphans"] == 1
    assert swept.spooled() == ["box/1.eml", "named.eml"]


@pytest.mark.parametrize("name", ["brief-\u00fc.eml", "back\\slash.eml", "new\nline.eml",
                                  b"bytes-\xff.eml"])
def test_a_name_that_no_row_can_hold_is_left_alone(swept, name):
    path = os.path.join(os.fsencode(swept.spool_dir), os.fsencode(name))
    with open(path, "wb"):
        pass
    assert twice(swept)["orphans"] == 1
    assert os.path.exists(path)


@pytest.mark.parametrize(("deep", "by_a_row"), [("2026/11/24", "2027/1/3"), ("a3/ff", "07/bc"),
                                                ("9f1c-22", "ab12-7e")])
def test_files_deep_down_are_found(swept, deep, by_a_row):
    """A folder by its date, or by a hash, counts as the one in which a row names a file: all its
    own rows are deleted by now."""
    swept.spool(f"{deep}/deep.eml")
    swept.spool(f"{by_a_row}/named.eml")
    swept.table("failed_emails", [{"raw_path": f"{by_a_row}/named.eml"}])
    assert twice(swept)["orphans"] == 2
    assert swept.spooled() == sorted([f"{by_a_row}/named.eml", "named.eml"])


@pytest.mark.parametrize("folder", ["mails", "feed", "drafts2"])
def test_a_folder_of_another_name_is_left_alone(swept, folder):
    swept.spool(f"{folder}/letter.eml")
    swept.spool("07/named.eml")
    swept.table("failed_emails", [{"raw_path": "07/named.eml"}])
    assert twice(swept)["orphans"] == 1
    assert f"{folder}/letter.eml" in swept.spooled()


# Cost and end

@pytest.mark.slow
def test_the_queries_are_few(swept):        # a million files must not need a million queries
    named(swept, 1500)
    swept.run(JOB)
    assert len(swept.statements) < 60


def test_new_suspects_are_noted_up_to_a_number_a_sweep(swept, monkeypatch):
    monkeypatch.setattr(orphan_files, "NEW_SUSPECTS", 30)
    orphans(swept, 50)
    named(swept, 300)
    swept.run(JOB)
    assert len(swept.rows("spool_suspects")) == 30
    swept.now += HOUR
    assert swept.run(JOB)["orphans"] == 30
    assert len(swept.rows("spool_suspects")) == 21


def test_a_sweep_stops_with_the_run_and_removes_nothing_it_has_not_judged(swept):
    named(swept, 300)
    swept.run(JOB)
    swept.now += HOUR
    swept.on_statement = lambda sql, _: swept.clock.sleep(2 if "raw_path IN" in sql else 0)
    swept.run(JOB, budget="3s")
    assert (swept.result["status"], swept.result["stop_reason"]) == ("partial", "budget")
    assert "orphan.eml" in swept.spooled()


def test_no_sweep_without_a_finished_purge(swept):
    swept.table("failed_emails", [{"status": "sent", "finished_at": swept.ago(days=9)}
                                  for _ in range(3)])
    swept.run(JOB, limit=1)
    assert swept.result["stop_reason"] == "limit"
    assert not any("spool_suspects" in sql for sql in swept.statements)


def test_a_dry_run_tells_what_it_finds_and_notes_nothing(swept):      # R11
    before = databases.rows(swept.db)
    assert swept.run(JOB, dry_run=True)["unnamed"] == 1
    assert databases.rows(swept.db) == before
    step = swept.samples[-1]
    assert step["step"] == f"remove files that no row names: 1 of 2 in {swept.spool_dir}"
    assert step["note"] == (
        "each is removed when two runs, an hour or more apart, have found it so")


def test_a_dry_run_tells_that_a_sweep_would_stop(swept):
    orphans(swept, 150)
    swept.run(JOB, dry_run=True)
    assert "a run would stop: 151 of 152 files" in swept.samples[-1]["note"]


def test_a_dry_run_fails_over_a_folder_as_a_run_would(swept):
    (swept.spool_dir / ".jobs-spool").unlink()
    assert "does not carry the mark of this database" in swept.fails(JOB, dry_run=True)


def test_before_an_app_is_adopted_they_are_counted(swept):          # R74
    """It may keep something else in that folder."""
    swept.db.upsert("meta", {"name": "unconfirmed"}, {"value": "*"})
    found = {job["name"]: job["items"]
             for job in json.loads(swept.command("adopt", "--json"))["jobs"]}
    item, = (item for items in found.values() for item in items if item["act"] == "remove")
    assert (item["what"], item["number"], item["sample"]) == ("files that no row names", 1,
                                                              ["orphan.eml"])
    assert "  remove files that no row names        1" in (shown := swept.command("adopt"))
    assert "    such as orphan.eml\n" in shown
    assert swept.spooled() == ["named.eml", "orphan.eml"]
    swept.command("adopt", "--confirm", JOB)
    found = {job["name"]: job["items"]
             for job in json.loads(swept.command("adopt", "--json"))["jobs"]}
    assert [item for item in found[JOB] if item["act"] == "remove"] == []


# Names of files that lead nowhere

def wrong_names(bench, number: int = 3) -> str:
    """Mail that waits under names that [columns] makes wrong. What each job says."""
    for at in range(number):
        bench.spool(f"w{at}.eml")
    bench.table("failed_emails", [{"raw_path": f"mails/w{at}.eml"} for at in range(number)])
    return (f"none of the {number} waiting messages looked at is in [spool] dir = "
            f"{bench.spool_dir}, such as mails/w0.eml: ")


def test_nothing_is_removed_while_no_waiting_row_names_a_file_that_is_there(swept):
    """Those of another table do."""
    swept.db.execute("DELETE FROM {failed_emails}")
    swept.table("spam_quarantine", [{"raw_path": "named.eml"}])
    words = wrong_names(swept)
    assert "orphans" not in twice(swept)
    assert words in [event for event in swept.events(JOB)
                     if event["event"] == "sweep left out"][-1]["reason"]
    assert len(swept.spooled()) == 5
    swept.run(JOB, dry_run=True)
    assert words in swept.samples[-1]["note"]
    assert words in json.loads(swept.command("adopt", "--json"))["problems"][-1]


def test_a_row_without_a_name_is_not_the_example(swept):
    swept.db.execute("DELETE FROM {failed_emails}")
    wrong = wrong_names(swept)
    swept.table("failed_emails", [{"raw_path": ""}])
    problem = json.loads(swept.command("adopt", "--json"))["problems"][-1]
    assert wrong.replace("the 3 waiting", "the 4 waiting") in problem


def test_one_waiting_row_with_its_file_is_enough_to_remove_others(swept):
    wrong_names(swept)
    assert twice(swept)["orphans"] == 4
