"""`list` and `status` agree, and say of a mistake whose it is."""
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


def test_a_mistake_in_a_section_is_one_incident_of_all_jobs_that_need_it(asked):
    for job in ("retry_forwards", "send_notifications"):
        asked.db.upsert("job_state", {"job": job},
                        {"due_after": clock.now() - timedelta(hours=9)})
    ran(asked, "purge_sessions")
    asked.ini("[mail]\nhots = relay.example\n[alerts]\nemail = me@home.example\n")
    found = json.loads(asked("status", "--json")[1])
    assert [each["key"] for each in found["incidents"]] == ["configuration:mail"]
    assert found["incidents"][0]["jobs"] == ["retry_forwards", "send_notifications"]
    assert {job["name"] for job in found["jobs"] if job["state"] == "misconfigured"} == {
        "retry_forwards", "send_notifications"}
    listed = {job["name"]: job for job in json.loads(asked("list", "--json")[1])}
    assert "[mail] hots" in listed["retry_forwards"]["problems"][0]
    assert listed["retry_forwards"]["when"] == "every 5 minutes"


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_the_version(asked, word):
    code, out = asked(word)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("jobs.py ")
    assert ", Python 3." in out
