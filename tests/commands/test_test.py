"""`jobs.py test`: a job in words; dry, for real, or for real on a copy that leaves the original as
it was."""
from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from jobs_lib import clock, masking
from jobs_lib.commands import demo
from jobs_lib.config import loader, settings
from jobs_lib.database import copies
from jobs_lib.database.connection import connect
from jobs_lib.launch import sandbox
from tests.support import databases
from tests.support.shell import Shell, until
from tests.test_dry_run import files

ROOT = Path(__file__).resolve().parents[2]
RELAY = "127.0.0.1"            # nobody listens on port 9, and nobody may be asked


@pytest.fixture
def service(tmp_path):
    """The sample service as the demo builds it, before anything has run; its mail would go to a
    relay."""
    return Installation(tmp_path)


class Installation:
    """The demo's folder, with a relay in place of its Maildir, and room for sandboxes of its
    own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder / "service", folder / "tmp"
        self.temporary.mkdir()
        demo.build(str(self.folder)).ports.close()
        self.configure("transport = maildir", f"host = {RELAY}\nport = 9\nsecurity = none")
        self.db = connect("sqlite:///jobs.db", base=str(self.folder))

    def configure(self, old: str, new: str) -> None:
        """Replace words in config.ini."""
        path = self.folder / "config.ini"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def start(self, *words: str, **environment: str) -> subprocess.Popen:
        """Start `jobs.py test WORDS` above the service's folder."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "jobs.py"), "--config", "service/config.ini", "test",
             *words], text=True,
            cwd=self.folder.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.temporary),
                 "PYTHONDONTWRITEBYTECODE": "1", **environment})

    def test(self, *words: str, code: int = 0, **environment: str) -> tuple[str, str]:
        """(stdout, stderr) of `jobs.py test WORDS`, which must end with `code`."""
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, out + err
        return out, err

    def state(self) -> tuple:
        """Everything that must stay as it is: every row, and every file's content, mode and
        time."""
        return databases.rows(self.db), files(self.folder)

    def left_over(self) -> list[str]:
        """What is in the temporary folder."""
        return sorted(os.listdir(self.temporary))


# Dry

def test_it_says_what_the_job_is_when_it_runs_and_what_it_needs(service):
    out, err = service.test("retry_forwards")
    assert err == ""
    assert out.startswith("retry_forwards: Retry failed forwards on the 1h, 6h, 24h, 48h "
                          "schedule\n")
    for words in ("every 5 minutes (UTC); next: ", "never ran", "delays = 1h, 6h, 24h, 48h",
                  "database sqlite:///jobs.db: there", "spool service/spool: there",
                  "mail 127.0.0.1:9 (none), without a login: not contacted by a dry run"):
        assert words in out, words


def test_it_shows_rows_with_masked_addresses_and_keeps_80_columns(service):
    out, _ = service.test("retry_forwards")
    assert "j***@home.example" in out
    assert "jane@" not in out
    assert [line for line in out.splitlines() if len(line) > 80 and "jobs.py" not in line] == []


def test_limit_and_set_hold_and_are_part_of_the_next_commands(service):
    out, _ = service.test("retry_forwards", "--limit", "2", "--set", "delays=2h, 3h")
    assert "delays = 2h, 3h" in out
    assert "test retry_forwards --live --limit 2 --set 'delays=2h, 3h'" in out


def test_json_is_one_document(service):
    found = json.loads(service.test("retry_forwards", "--json")[0])
    assert (found["job"], found["dry_run"], found["status"]) == ("retry_forwards", True, "ok")
    assert {need["need"]: need["state"] for need in found["needs"]} == {
        "database": "there", "spool": "there", "mail": "there", "state": "there", "log": "there"}
    assert found["samples"][0]["rows"]


def test_what_is_missing_is_said(service):
    (service.folder / "spool").rename(service.folder / "moved")
    out, _ = service.test("purge_failed_emails", code=1)
    assert "spool service/spool: not there" in out


def test_without_its_database_it_says_so_and_how_to_make_it(service):
    service.configure("sqlite:///jobs.db", "sqlite:///other.db")
    for words in (("retry_forwards",), ("retry_forwards", "--json")):
        out, _ = service.test(*words, code=1)
        assert "no SQLite file" in out
        assert "jobs.py migrate" in out
    assert not (service.folder / "other.db").exists()


def test_a_paused_job_and_one_switched_off_say_so(service):
    service.db.execute("UPDATE {job_state} SET paused_at = :now WHERE job = 'retry_forwards'",
                       now=clock.now())
    assert "paused since" in service.test("retry_forwards")[0]
    service.configure("[spool]", "[retry_forwards]\nenabled = no\n[spool]")
    assert "[retry_forwards] enabled = no" in service.test("retry_forwards")[0]


def test_a_password_is_not_shown(service):
    _, err = service.test("retry_forwards", "--set",
                          "core.database=mysql://me:s3same@127.0.0.1:9/jobs", code=2)
    assert "s3same" not in err
    assert "JOBS_CORE_DATABASE in .env" in err


@pytest.mark.parametrize("words, expected", [
    (["retry_forward"], "did you mean 'retry_forwards'?"),
    ([], "the following arguments are required: JOB"),
    (["retry_forwards", "--live", "--sandbox"], "not allowed with argument"),
    (["retry_forwards", "--max-size", "much"], "expected a size"),
    (["retry_forwards", "--limit", "0"], "expected a whole number above 0"),
])
def test_wrong_words(service, words, expected):
    assert expected in service.test(*words, code=2)[1]


# Live

def test_live_runs_for_real_and_says_what_was_done(service):
    out, _ = service.test("retry_forwards", "--live", "--set", "mail.transport=maildir")
    assert "id 1, attempt 1, outcome sent, to j***@home.example" in out
    assert "retry_forwards: done in" in out
    assert "6 sent, 2 failed" in out
    assert service.db.value("SELECT COUNT(*) FROM {failed_emails} "
                            "WHERE status = 'sent' AND id < 7") == 6
    assert len(list((service.folder / "maildir" / "new").iterdir())) == 6


def test_live_ends_like_the_job_itself(service):
    (service.folder / "spool").rename(service.folder / "elsewhere")
    queue = databases.rows(service.db)["failed_emails"]
    result = json.loads(service.test("retry_forwards", "--live", "--json", code=1)[0])
    assert result["status"] == "failed"
    assert "there is no such folder" in result["error"]
    # a mistyped path must cost nobody a message
    assert databases.rows(service.db)["failed_emails"] == queue


# In a sandbox

def test_a_sandbox_changes_nothing_of_the_original(service):                # R11
    before = service.state()
    out, _ = service.test("retry_forwards", "--sandbox")
    assert "6 sent, 2 failed" in out
    assert service.state() == before
    assert service.left_over() == []


def test_a_sandbox_makes_no_folder_of_the_original(service):                # R11
    service.configure("state_dir = state\nlog_dir = log",
                      "state_dir = gone/state\nlog_dir = gone/log")
    service.test("retry_forwards", "--sandbox")
    assert not (service.folder / "gone").exists()


def test_it_shows_each_row_that_changed_and_how(service):
    out, _ = service.test("retry_forwards", "--sandbox")
    assert "  failed_emails: 9 changed\n    id 1\n      status:          pending -> sent\n" in out
    assert "      attempts:        0 -> 1\n" in out
    assert "... and 4 more" in out
    assert "  notifications: 1 added\n" in out
    assert "body_text:  (not shown)" in out
    assert "job_runs 1 added" in out
    assert "jane@" not in out


def test_it_shows_deleted_files_and_the_mail_that_would_have_gone_out(service):
    out, _ = service.test("retry_forwards", "--sandbox")
    assert "Files in the spool that changed\n  deleted: ticket.eml\n" in out
    outbox = out.partition("Mail that would have gone out\n")[2]
    assert outbox.count("j***@home.example") == 6
    assert "Grüße aus Köln" in outbox


def test_it_shows_rows_that_were_deleted(service):
    out, _ = service.test("purge_failed_emails", "--sandbox")
    assert ("  failed_emails: 2 deleted\n    id 14  deleted: status sent, "
            "envelope_to j***@work.example, ") in out
    assert "deleted: recipe.eml" in out
    assert "Mail that would have gone out\n  none" in out


def test_its_json_has_every_change(service):
    found = json.loads(service.test("retry_forwards", "--sandbox", "--json")[0])
    assert found["status"] == "ok"
    table = found["sandbox"]["tables"]["failed_emails"]
    assert (table["added"], table["changed"], table["deleted"]) == (0, 9, 0)
    assert len(table["rows"]) == 9
    assert table["rows"][0]["key"] == {"id": 1}
    assert table["rows"][0]["columns"]["status"] == ["pending", "sent"]
    assert found["sandbox"]["spool"] == {"added": [], "changed": [], "deleted": ["ticket.eml"]}
    assert len(found["sandbox"]["outbox"]) == 6
    assert found["sandbox"]["folder"] is None


def test_a_copy_that_is_kept_shares_no_file_and_is_private(service):
    found = json.loads(service.test("retry_forwards", "--sandbox", "--keep", "--json")[0])
    folder = Path(found["sandbox"]["folder"])
    assert service.left_over() == [folder.name]
    assert folder.stat().st_mode & 0o777 == 0o700
    originals = {path.stat().st_ino for path in service.folder.rglob("*")}
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_ino not in originals
        assert path.is_dir() or path.stat().st_nlink == 1
    copy = connect(f"sqlite:///{folder}/jobs.db")
    assert copy.value("SELECT status FROM {failed_emails} WHERE id = 1") == "sent"
    copy.close()
    assert sorted(path.name for path in (folder / "outbox"
                                         / "new").iterdir())[0] == "forward-1.jobs"
    assert (folder / "log" / "retry_forwards.log").exists()
    assert (folder / "state" / "locks" / "retry_forwards.lock").exists()


def test_the_copy_has_the_same_key_so_that_loops_are_seen_there_too(service):
    (service.folder / "state" / "secret").write_text("the key of this installation\n")
    found = json.loads(service.test("retry_forwards", "--sandbox", "--keep", "--json")[0])
    copied = Path(found["sandbox"]["folder"]) / "state" / "secret"
    assert copied.read_text() == "the key of this installation\n"


def test_it_copies_a_database_that_is_being_written(service):
    # still in the -wal
    service.db.execute("UPDATE {failed_emails} SET last_error = 'committed' WHERE id = 8")
    writer = sqlite3.connect(service.folder / "jobs.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE failed_emails SET status = 'failed'")
    found = json.loads(service.test("retry_forwards", "--sandbox", "--keep", "--json")[0])
    writer.execute("ROLLBACK")
    writer.close()
    assert found["counts"]["sent"] == 6
    copy = connect(f"sqlite:///{found['sandbox']['folder']}/jobs.db")
    assert copy.value("SELECT last_error FROM {failed_emails} WHERE id = 8") == "committed"
    copy.close()


def test_a_real_run_in_progress_does_not_matter(service):
    from jobs_lib.runner.locks import FileLock
    lock = FileLock(str(service.folder / "state"), "retry_forwards")
    lock.acquire("a run")
    try:
        assert "6 sent" in service.test("retry_forwards", "--sandbox")[0]
    finally:
        lock.release()


def test_too_large_a_copy_is_refused_and_how_to_allow_it_is_said(service):
    (service.folder / "spool" / "large.eml").write_bytes(bytes(3 * 1024 ** 2))
    _, err = service.test("retry_forwards", "--sandbox", "--max-size", "2MB", code=2)
    enough = re.search(r"files of the spool, 3\.0 MB\), and the limit is 2MB: allow more by "
                       r"--max-size (\d+MB)", err)
    assert service.left_over() == []
    assert "6 sent" in service.test("retry_forwards", "--sandbox", "--max-size", enough[1])[0]


def test_a_full_disk_is_reported_before_anything_is_copied(service, monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "disk_usage", lambda path: type("Usage", (),
                                                                        {"free": 10 * 1024 ** 2}))
    session = demo_session(service)
    with pytest.raises(sandbox.UsageError,
                       match=r"has 10 MB left: make room, or set the environment variable "
                             r"TMPDIR"):
        sandbox.Sandbox(session, 10 ** 9)


def demo_session(service):
    from jobs_lib.config import loader
    return loader.load(str(service.folder / "config.ini"), beside=str(service.folder), environ={})


def test_tables_of_an_app_under_its_own_names_are_compared_too(service):
    for table in ("failed_emails", "users", "job_runs"):
        service.db.execute(f"ALTER TABLE {{{table}}} RENAME TO theirs_{table}")
    service.configure("[spool]",
                      "[tables]\nfailed_emails = theirs_failed_emails\nusers = theirs_users\n"
                                 "job_runs = theirs_job_runs\n[spool]")
    found = json.loads(service.test("retry_forwards", "--sandbox", "--json")[0])
    assert found["sandbox"]["tables"]["failed_emails"]["changed"] == 9
    assert found["sandbox"]["tables"]["notifications"]["added"] == 1


def test_a_database_on_a_server_is_no_case_for_a_sandbox(service):
    _, err = service.test("retry_forwards", "--sandbox", "--set",
                          "core.database=mysql://me@127.0.0.1/x", code=2)
    assert "a sandbox is a copy of an SQLite file, and this database is on a server" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_copy_is_deleted_when_its_maker_is_stopped(service, number):
    with service.db.transaction():
        for name in range(1500):                    # work enough to be met in the middle of it
            path = service.folder / "spool" / f"more-{name}.eml"
            path.write_bytes(b"Subject: more\r\n\r\n" + b"x" * 1000)
            service.db.insert("failed_emails", user_id=1, alias_id=1, destination_id=1,
                              envelope_from="a@b.example", envelope_to="jane@home.example",
                              raw_path=path.name, created_at=clock.now(),
                              next_attempt_at=clock.now())
    process = service.start("retry_forwards", "--sandbox", "--set", "mail.per_hour=off")
    until(lambda: any(service.temporary.glob("jobs-sandbox-*/outbox/new/*")))
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0, out + err
    assert service.left_over() == []


def test_every_folder_that_a_run_may_write_is_redirected():
    paths = {(section, name) for section, options in settings.SECTIONS.items() for name,
             option in options.items() if option.kind.name.startswith("path")}
    assert paths == sandbox.WRITTEN.keys() | sandbox.READ


# What two copies have differently

def pair(tmp_path, table: str, before: list, after: list) -> list:
    names = []
    for name, rows in (("before.db", before), ("after.db", after)):
        raw = sqlite3.connect(tmp_path / name)
        raw.execute(table)
        raw.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        raw.commit()
        raw.close()
        names.append(str(tmp_path / name))
    return [(change.kind, change.key, change.before, change.after)
            for change in copies.differences(*names, "t")]


def test_added_changed_and_deleted_rows_are_distinguished(tmp_path):
    found = pair(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB)",
                 [(1, "same", None), (2, "old", b"\0"), (3, None, None), (4, "gone", None)],
                 [(1, "same", None), (2, "new", b"\0"), (3, "", None), (5, "come", None)])
    assert found == [
        ("changed", {"id": 2}, {"id": 2, "a": "old", "b": b"\0"},
         {"id": 2, "a": "new", "b": b"\0"}),
        ("changed", {"id": 3}, {"id": 3, "a": None, "b": None}, {"id": 3, "a": "", "b": None}),
        ("added", {"id": 5}, {}, {"id": 5, "a": "come", "b": None}),
        ("deleted", {"id": 4}, {"id": 4, "a": "gone", "b": None}, {}),
    ]


def test_a_key_of_several_columns(tmp_path):
    found = pair(tmp_path, "CREATE TABLE t (a TEXT, b TEXT, c INTEGER, PRIMARY KEY (a, b))",
                 [("x", "1", 10), ("x", "2", 20)], [("x", "1", 10), ("x", "2", 21)])
    assert found == [("changed", {"a": "x", "b": "2"}, {"a": "x", "b": "2", "c": 20},
                      {"a": "x", "b": "2", "c": 21})]


def test_a_table_that_is_not_there_has_no_differences(tmp_path):
    (tmp_path / "a.db").touch()
    assert list(copies.differences(str(tmp_path / "a.db"), str(tmp_path / "a.db"), "t")) == []


# What may be shown

@pytest.mark.parametrize("words, shown", [
    ("550 <jane@home.example>: full", "550 <j***@home.example>: full"),
    ("jane@home.example,tom@reed.example", "j***@home.example,t***@reed.example"),
    ("bounce+jane=home.example@list.example", "b***@list.example"),
    ("see https://a.example/x?token=1#y, please", "see https://a.example/x?... please"),
    ("https://me:secret@a.example/", "https://a.example/"),
    ("no address at all: 5 @ 3", "no address at all: 5 @ 3"),
])
def test_text_is_masked(words, shown):
    assert masking.text(words) == shown


@pytest.mark.parametrize("column", [
    "secret", "previous_secret", "token_hash", "token_nonce", "ownership_token", "ciphertext",
    "payload", "body_text",
    "body_html", "response_excerpt", "details", "address_hash", "claim_token"])
def test_secrets_and_contents_are_not_shown(column):
    assert masking.value(column, "x") == "(not shown)"
    assert masking.value(column, None) is None


@pytest.mark.parametrize("words, said",
                         [(["--keep"], "--keep"), (["--max-size", "2MB"], "--max-size")])
def test_what_belongs_to_the_sandbox_is_refused_without_it(service, words, said):
    assert f"{said} goes with --sandbox only" in service.test("retry_forwards", *words, code=2)[1]


def test_a_sandbox_is_offered_only_where_there_can_be_one(tmp_path, engine_url):
    out = Shell(tmp_path, engine_url).run("test", "retry_forwards")
    assert "--live" in out
    assert ("--sandbox" in out) == engine_url.startswith("sqlite:")


def test_a_copy_whose_maker_was_killed_is_deleted_by_the_next_sandbox(service):
    code = ("import os, sys; from jobs_lib.config import loader as config; from jobs_lib.launch "
            "import sandbox\ngiven = config.load(sys.argv[1], beside='.')\n"
            "with sandbox.Sandbox(given, 2 ** 30): os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, "-c", code, str(service.folder / "config.ini")], cwd=ROOT,
                   env={"PATH": os.environ["PATH"], "TMPDIR": str(service.temporary)})
    assert len(service.left_over()) == 1
    (service.temporary / "jobs-sandbox-kept").mkdir()
    out = service.test("retry_forwards", "--sandbox")[0]
    assert "Removed what 1 sandbox left behind: killed before the end.\n" in out
    assert service.left_over() == ["jobs-sandbox-kept"]
    assert "left behind" not in service.test("retry_forwards", "--sandbox")[0]


def test_a_copy_in_use_or_kept_is_left_alone(service, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(service.temporary))
    given = loader.load(str(service.folder / "config.ini"), beside=".", environ={})
    with sandbox.Sandbox(given, 2 ** 30) as box:
        assert sandbox.remove_left_over() == 0
        box.keep = True
    assert sandbox.remove_left_over() == 0
    assert service.left_over() == [os.path.basename(box.folder)]
