"""`jobs.py test`: a job in words, dry or for real."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs_lib import clock, masking
from jobs_lib.commands import demo
from jobs_lib.database.connection import connect
from tests.support import databases
from tests.test_dry_run import files

ROOT = Path(__file__).resolve().parents[2]
RELAY = "127.0.0.1"            # nobody listens on port 9, and nobody may be asked


@pytest.fixture
def service(tmp_path):
    """The sample service as the demo builds it, before anything has run; its mail would go to a
    relay."""
    return Installation(tmp_path)


class Installation:
    """The demo's folder, with a relay in place of its Maildir."""

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


# Dry

def test_it_says_what_the_job_is_and_when_it_runs(service):
    out, err = service.test("retry_forwards")
    assert err == ""
    assert out.startswith("retry_forwards: Retry failed forwards on the 1h, 6h, 24h, 48h "
                          "schedule\n")
    for words in ("every 5 minutes (UTC); next: ", "never ran", "delays = 1h, 6h, 24h, 48h",
                  "would be: "):
        assert words in out, words


def test_it_shows_rows_with_masked_addresses_and_keeps_80_columns(service):
    out, _ = service.test("retry_forwards")
    assert "j***@home.example" in out
    assert "jane@" not in out
    assert [line for line in out.splitlines() if len(line) > 80 and "jobs.py" not in line] == []
    out, _ = service.test("retry_forwards", "--limit", "2", "--set", "delays=2h, 3h")
    assert "delays = 2h, 3h" in out
    assert "test retry_forwards --live --limit 2 --set 'delays=2h, 3h'" in out
    found = json.loads(service.test("retry_forwards", "--json")[0])
    assert (found["job"], found["dry_run"], found["status"]) == ("retry_forwards", True, "ok")
    assert found["samples"][0]["rows"]


def test_without_its_database_it_says_so_and_how_to_make_it(service):
    service.configure("sqlite:///jobs.db", "sqlite:///other.db")
    for words in (("retry_forwards",), ("retry_forwards", "--json")):
        _, err = service.test(*words, code=1)
        assert "no SQLite file" in err
        assert "jobs.py migrate" in err
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
    (["retry_forwards", "--limit", "0"], "expected a whole number above 0"),
])
def test_wrong_words(service, words, expected):
    assert expected in service.test(*words, code=2)[1]


# Live

def test_live_runs_for_real_and_says_what_was_done(service):
    out, _ = service.test("retry_forwards", "--live", "--set", "mail.transport=maildir")
    assert "id 1, attempt 1, outcome sent, to j***@home.example" in out
    assert "retry_forwards: done in" in out
    assert "4 sent, 2 failed" in out
    assert service.db.value("SELECT COUNT(*) FROM {failed_emails} "
                            "WHERE status = 'sent' AND id < 7") == 4
    assert len(list((service.folder / "maildir" / "new").iterdir())) == 4


def test_live_ends_like_the_job_itself(service):
    (service.folder / "spool").rename(service.folder / "elsewhere")
    queue = databases.rows(service.db)["failed_emails"]
    result = json.loads(service.test("retry_forwards", "--live", "--json", code=1)[0])
    assert result["status"] == "failed"
    assert "there is no such folder" in result["error"]
    # a mistyped path must cost nobody a message
    assert databases.rows(service.db)["failed_emails"] == queue


# What may be shown


@pytest.mark.parametrize("column", [
    "secret", "previous_secret", "token_hash", "ownership_token", "ciphertext", "payload",
    "body_text", "body_html", "response_excerpt", "details", "address_hash"])
def test_secrets_and_contents_are_not_shown(column):        # R72
    assert masking.value(column, "x") == "(not shown)"
    assert masking.value(column, None) is None
