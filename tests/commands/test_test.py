"""`jobs.py test`: a job in words, dry or for real."""
from __future__ import annotations

import json

import pytest

from jobs_lib import masking
from tests.support.product import clock
from tests.support.shell import Shell

WORDS = ("test", "retry_forwards")


@pytest.fixture
def service(tmp_path, sqlite_url):
    """Four forwards that are due and one whose file is missing; nobody listens at the relay."""
    made = Shell(tmp_path, sqlite_url, mail={"port": 9})
    made.forwards(4)
    made.forwards(1, raw_path="gone.eml")
    (tmp_path / ".env").write_text("JOBS_MAIL_SRS_SECRET=" + "k" * 40 + "\n")
    (tmp_path / ".env").chmod(0o600)
    yield made
    made.close()


def test_it_says_what_the_job_is_what_it_would_do_and_shows_no_address(service):     # R72
    before = service.db.query("SELECT * FROM {failed_emails}")
    out = service.run(*WORDS)
    assert out.startswith("retry_forwards: Retry failed forwards on the 1h, 6h, 24h, 48h "
                          "schedule\n")
    for words in ("every 5 minutes (UTC); next: ", "never ran", "delays = 1h, 6h, 24h, 48h",
                  "would be: ", "o***@home.example"):
        assert words in out, words
    assert "owner@" not in out
    assert [line for line in out.splitlines() if len(line) > 80 and "jobs.py" not in line] == []
    assert service.db.query("SELECT * FROM {failed_emails}") == before
    assert service.runs() == []
    out = service.run(*WORDS, "--limit", "2", "--set", "delays=2h, 3h")
    assert "delays = 2h, 3h" in out
    assert "test retry_forwards --live --limit 2 --set 'delays=2h, 3h'" in out
    found = service.json(*WORDS)
    assert (found["job"], found["dry_run"], found["status"]) == ("retry_forwards", True, "ok")
    assert found["samples"][0]["rows"]


def test_without_its_database_it_says_so_and_how_to_make_it(service):
    service.configure(database="sqlite:///other.db")
    for words in ((), ("--json",)):
        answer = service(*WORDS, *words)
        assert answer.code == 1
        assert "no SQLite file" in answer.err
        assert "jobs.py migrate" in answer.err
    assert not (service.folder / "other.db").exists()


def test_a_paused_job_and_one_switched_off_say_so(service):
    service.db.execute("UPDATE {job_state} SET paused_at = :now WHERE job = 'retry_forwards'",
                       now=clock.now())
    assert "paused since" in service.run(*WORDS)
    service.configure("retry_forwards", enabled="no")
    assert "[retry_forwards] enabled = no" in service.run(*WORDS)


@pytest.mark.parametrize("words, said", [
    (["retry_forward"], "did you mean 'retry_forwards'?"),
    ([], "the following arguments are required: JOB"),
    (["retry_forwards", "--limit", "0"], "expected a whole number above 0"),
    (["retry_forwards", "--set", "core.database=mysql://me:s3same@127.0.0.1:9/jobs"],
     "JOBS_CORE_DATABASE in .env"),
])
def test_wrong_words(service, words, said):
    answer = service("test", *words)
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert "s3same" not in answer.err


def test_live_runs_for_real_and_says_what_was_done(service):
    out = service.run(*WORDS, "--live", "--set", "mail.transport=maildir",
                      "--set", "mail.maildir=maildir")
    assert "id 1, attempt 1, outcome sent, to o***@home.example" in out
    assert "retry_forwards: done in" in out
    assert "4 sent, 1 failed" in out
    assert service.statuses() == {"sent": 4, "failed": 1}
    assert len(list((service.folder / "maildir" / "new").iterdir())) == 4


def test_live_ends_like_the_job_itself(service):
    service.spool.rename(service.folder / "elsewhere")
    result = json.loads(service(*WORDS, "--live", "--json").out)
    assert result["status"] == "failed"
    assert "there is no such folder" in result["error"]
    # a mistyped path must cost nobody a message
    assert service.statuses() == {"pending": 5}


@pytest.mark.parametrize("column", [
    "secret", "previous_secret", "token_hash", "ownership_token", "ciphertext", "payload",
    "body_text", "body_html", "response_excerpt", "details", "address_hash"])
def test_secrets_and_contents_are_not_shown(column):        # R72
    assert masking.value(column, "x") == "(not shown)"
    assert masking.value(column, None) is None
