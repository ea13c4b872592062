"""`list --short` and `status JOB`: a line a job, and one job's health, in the words of `list` and
`status`."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.cli.main import main
from jobs_lib.database.connection import connect


@pytest.fixture
def asked(tmp_path, sqlite_url, capsys):
    """A function that calls jobs.py in this process: (exit code, what it prints). `asked.db`."""
    config = tmp_path / "config.ini"

    def ask(*words: str) -> tuple[int, str]:
        code = main(["--config", str(config), *words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out + printed.err

    def ini(text: str = "") -> None:
        config.write_text(f"[core]\ndatabase = {sqlite_url}\nstate_dir = state\n"
                          f"log_dir = log\n{text}")

    ask.ini, ask.db = ini, connect(sqlite_url)
    ini()
    yield ask
    ask.db.close()


def known(asked, job: str, minutes: int, schedule: str = "*/5 * * * *"):
    """The job is due since so many minutes, rounded to its schedule."""
    asked.ini(f"[{job}]\nschedule = {schedule}\n")
    asked.db.upsert("job_state", {"job": job},
                    {"due_after": clock.now() - timedelta(minutes=minutes)})


def ran(asked, job: str, status: str = "ok", ago: timedelta = timedelta(minutes=3), **more):
    at = clock.now() - ago
    asked.db.insert("job_runs", run_id=f"{job}{ago.total_seconds()}", **{
        "job": job, "status": status, "started_at": at, "finished_at": at, "duration_ms": 20,
        "trigger_type": "scheduled", "counts": "{}", **more})


@pytest.mark.parametrize("minutes, word", [(12, "due now"), (50, "overdue")])
def test_status_and_list_agree_on_what_is_due(asked, minutes, word):       # R59
    known(asked, "retry_forwards", minutes)
    listed = {job["name"]: job for job in json.loads(asked("list", "--json")[1])}
    shown = {job["name"]: job for job in json.loads(asked("status", "--json")[1])["jobs"]}
    for name, job in shown.items():
        assert (job["due_since"], job["overdue"]) == (listed[name]["due_since"],
                                                      listed[name]["overdue"]), name
    assert shown["retry_forwards"]["due_since"]
    row = next(line for line in asked("status")[1].splitlines() if line.startswith(
        "retry_forwards "))
    assert row.endswith(word)


def test_one_jobs_health_shows_its_runs_its_next_one_and_its_queue(asked):      # R59
    known(asked, "retry_forwards", 2)
    ran(asked, "retry_forwards", counts='{"sent": 3}')
    ran(asked, "send_notifications", "failed", error="not about this one")
    code, out = asked("status", "retry_forwards")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "retry_forwards: ok"
    assert lines[1].startswith("Retry failed forwards")
    assert "Queue:     forwarded mail: 0 waiting, 0 due" in out
    assert "3 sent" in out
    assert "not about this one" not in out
    found = json.loads(asked("status", "retry_forwards", "--json")[1])
    assert (found["job"]["name"], found["incidents"], found["queue"]["name"]) == (
        "retry_forwards", [], "forwards")
    assert [run["counts"] for run in found["runs"]] == [{"sent": 3}]
    assert json.loads(asked("status", "purge_sessions", "--json")[1])["queue"] is None


def waits(asked, job: str = "retry_forwards") -> str:
    """What it waits for, in a sentence."""
    out = " ".join(asked("status", job)[1].split())
    text = out.partition("Waits for: ")[2].partition(" Last good: ")[0]
    found = json.loads(asked("status", job, "--json")[1])["waits_for"]
    assert found[:12] == text[:12]
    return text


def test_it_says_what_a_job_waits_for(asked):
    known(asked, "retry_forwards", 0)
    assert waits(asked).startswith("its next time, ")
    known(asked, "retry_webhooks", 12)
    assert waits(asked, "retry_webhooks").startswith("cron: it is due since ")
    known(asked, "retry_webhooks", 60)
    assert "is cron running?" in waits(asked, "retry_webhooks")
    asked.db.upsert("job_state", {"job": "retry_forwards"}, {"paused_at": clock.now()})
    assert "`jobs.py resume retry_forwards`" in waits(asked)
    asked.ini("[retry_forwards]\nenabled = no\n")
    assert waits(asked) == "you: it is switched off, by [retry_forwards] enabled = no"
    asked.ini("[retry_forwards]\nbudget = never\n")
    assert waits(asked) == "you: retry_forwards cannot be used"


def test_a_run_that_is_to_be_carried_on_waits_for_the_next_tick(asked):
    slot = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    known(asked, "purge_sessions", 60, f"{slot.minute} {slot.hour} * * *")
    ran(asked, "purge_sessions", "partial", slot=slot, stop_reason="budget")
    assert waits(asked, "purge_sessions") == (
        "cron: its last run ended early (budget), and the next run-due carries it on")


def test_a_run_that_gave_way_to_a_busy_database_says_what_it_saw(asked):          # R16
    slot = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    known(asked, "purge_sessions", 60, f"{slot.minute} {slot.hour} * * *")
    ran(asked, "purge_sessions", "partial", slot=slot, stop_reason="busy",
        error="47 threads were running in the database, the limit is 25")
    assert waits(asked, "purge_sessions") == (
        "cron: its last run ended early (47 threads were running in the database, the limit is 25),"
        " and the next run-due carries it on")


def test_mail_jobs_wait_for_a_paused_relay(asked):
    asked.db.upsert("relay_state", {"id": 1}, {"paused_until": clock.now() + timedelta(minutes=20),
                                               "reason": "535 who are you", "failures": 3,
                                               "since": clock.now() - timedelta(hours=1)})
    asked.ini("[mail]\nhost = relay.example\n")
    assert waits(asked).startswith("the relay: sending is paused until ")
    code, out = asked("status", "retry_forwards")
    assert (code, "outgoing mail has been paused" in out) == (1, True)
    code, out = asked("status", "purge_sessions")
    assert (code, "outgoing mail has been paused" in out) == (0, False)


def test_an_incident_of_a_job_is_shown_with_it(asked):
    for number in range(3):
        ran(asked, "retry_webhooks", "failed", timedelta(minutes=9 - number), error="no network")
    code, out = asked("status", "retry_webhooks")
    assert (code, out.count("no network")) == (1, 4)            # the incident, and each run
    assert "! retry_webhooks has failed 3 times" in out
    assert asked("status", "retry_forwards")[0] == 0


def test_a_job_that_is_not_there(asked):
    code, out = asked("status", "retry_forward")
    assert code == 2
    assert "there is no job 'retry_forward'; did you mean 'retry_forwards'?" in out


def test_a_mistake_in_a_section_is_one_incident_of_all_jobs_that_need_it(asked):
    for job in ("retry_forwards", "send_notifications"):
        asked.db.upsert("job_state", {"job": job},
                        {"due_after": clock.now() - timedelta(hours=9)})
    ran(asked, "purge_sessions")
    asked.ini("[mail]\nhots = relay.example\n[alerts]\nemail = me@home.example\n")
    error = json.loads(asked("status", "--json")[1])["incidents"][0]["error"]
    asked.db.insert("alerts", alert_key="channel:email", kind="channel", what="No alert",
                    subject="alerts by e-mail do not arrive", since=clock.now(),
                    first_seen_at=clock.now(), last_error=error)
    found = json.loads(asked("status", "--json")[1])
    assert [each["key"] for each in found["incidents"]] == ["config:mail"]
    assert found["incidents"][0]["jobs"] == ["retry_forwards", "send_notifications"]
    assert {job["name"] for job in found["jobs"] if job["state"] == "misconfigured"} == {
        "retry_forwards", "send_notifications"}
    listed = {job["name"]: job for job in json.loads(asked("list", "--json")[1])}
    assert "[mail] hots" in listed["retry_forwards"]["problems"][0]
    assert listed["retry_forwards"]["when"] == "every 5 minutes"
    assert waits(asked) == "you: mail cannot be used"


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_the_version(asked, word):
    code, out = asked(word)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("jobs.py ")
    assert ", Python 3." in out
