"""`pause`, `resume` and `test`: what is paused, what goes on, and what a run would do."""
from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from tests.support.product import catalogue, clock
from tests.support.shell import Shell

JOB, JOBS = "retry_forwards", catalogue.names()


@pytest.fixture
def due(tmp_path, engine_url):
    """An installation whose one enabled job is due."""
    service = Shell(tmp_path, engine_url, **{name: {"enabled": "no"} for name in JOBS
                                             if name != JOB})
    service.db.execute("UPDATE {job_state} SET due_after = NULL")
    yield service
    service.close()


def test_a_paused_job_is_not_started_by_cron_but_by_hand(due):
    due.run("pause", JOB)
    due.run("run-due")
    due.run(JOB, "--scheduled")
    assert due.runs() == []
    assert due.job(JOB)["status"] == "ok"
    due.db.execute("DELETE FROM {job_state}")           # it was never seen
    due.run("pause", JOB)
    due.run("run-due")
    assert len(due.runs()) == 1


def test_resuming_fires_nothing_by_itself(due):         # R7
    resumed = clock.now().replace(minute=31, second=30)         # between two of its times
    due.run("pause", JOB, now=clock.text(resumed))
    out = due.run("resume", JOB, now=clock.text(resumed))
    assert out.startswith(f"{JOB} has never run. A dry run says: nothing to do\n")
    assert f"{JOB} is resumed. It had been paused since " in out
    due.run("run-due", now=clock.text(resumed))
    assert due.runs() == []
    due.run("run-due", now=clock.text(resumed + timedelta(minutes=5)))  # the next has come
    assert len(due.runs()) == 1


def test_all_jobs_are_paused_and_resumed_at_once(service):
    def paused() -> int:
        return service.db.value("SELECT COUNT(*) FROM {job_state} WHERE paused_at IS NOT NULL")
    assert service.run("pause", "all").startswith(f"All {len(JOBS)} jobs are paused")
    assert paused() == len(JOBS)
    done = service("resume", "all", terminate="jobs_lib.runner.runner:Run._dry:before:2")
    assert (done.code, paused()) == (1, len(JOBS) - 1)
    service.configure("purge_sessions", idle="for ever")    # keeps no other paused
    *first, last = service.run("resume", "all").splitlines()
    assert [line.split()[0] for line in first] == ["purge_sessions"]
    assert (paused(), last.partition(":")[0]) == (0, f"{len(JOBS) - 1} jobs resumed")
    assert service.run("resume", "all") == "No job is paused; nothing was changed.\n"


@pytest.fixture
def forwards(service):
    """Four forwards that are due and one whose file is missing; nobody listens at the relay."""
    service.configure("mail", port=9)
    service.forwards(4)
    service.forwards(1, raw_path="gone.eml")
    (service.folder / ".env").write_text("JOBS_MAIL_SRS_SECRET=" + "k" * 40 + "\n")
    (service.folder / ".env").chmod(0o600)
    return service


def test_it_says_what_the_job_is_what_it_would_do_and_shows_no_address(forwards):     # R72
    out = forwards.run("test", JOB, "--limit", "2", "--set", "delays=2h, 3h")
    assert out.startswith(f"{JOB}: Retry failed forwards on the 1h, 6h, 24h, 48h schedule\n")
    for words in ("every 5 minutes", "delays = 2h, 3h", "would be: ",
                  "o***@home.example", f"test {JOB} --live --limit 2 --set 'delays=2h, 3h'"):
        assert words in out, words
    assert "owner@" not in out
    assert [line for line in out.splitlines() if len(line) > 80 and "jobs.py" not in line] == []
    found = forwards.json("test", JOB)
    assert (found["job"], found["dry_run"], found["status"]) == (JOB, True, "ok")
    assert found["samples"][0]["rows"]
    assert (forwards.statuses(), forwards.runs()) == ({"pending": 5}, [])
    forwards.run("pause", JOB)
    assert forwards.run("test", JOB).splitlines()[3].endswith("paused")
    forwards.configure(JOB, enabled="no")
    assert forwards.run("test", JOB).splitlines()[3].endswith("off")


def test_a_narrow_table_cuts_no_id_and_no_time(service):       # R72
    came = clock.text(clock.now() - timedelta(days=100))
    service.db.insert("notifications", kind="account_deletion_scheduled", status="failed",
                      to_email="somebody@home.example", created_at=came, finished_at=came)
    out = service.run("test", "purge_notifications")
    assert f" {came[:16]}  {came[:16]}\n" in out
    assert [line for line in out.splitlines() if len(line) > 80 and "jobs.py" not in line] == []


def test_live_runs_for_real_and_ends_like_the_job_itself(forwards):
    forwards.spool.rename(forwards.folder / "elsewhere")
    result = json.loads(forwards("test", JOB, "--live", "--json").out)
    assert (result["status"], "there is no such folder" in result["error"]) == ("failed", True)
    # a mistyped path must cost nobody a message
    assert forwards.statuses() == {"pending": 5}
    (forwards.folder / "elsewhere").rename(forwards.spool)
    out = forwards.run("test", JOB, "--live", "--set", "mail.transport=maildir",
                       "--set", "mail.maildir=maildir")
    assert re.search(f"{JOB}: done in .*: 4 sent, 1 failed", out)
    assert forwards.statuses() == {"sent": 4, "failed": 1}
    assert len(list((forwards.folder / "maildir" / "new").iterdir())) == 4
