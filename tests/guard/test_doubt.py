"""While the clock or the database is in doubt nothing is deleted or given up by its age; what is
right again finds all as it was."""
from __future__ import annotations

import re
import subprocess
from datetime import timedelta

import pytest

from tests.house.source import ROOT
from tests.support import databases
from tests.support.product import catalogue, clock

JOB = "purge_sessions"                  # each day at 2:23


def ticks(bench, hours: int, every: int = 1) -> None:
    """A tick at each full hour, or every so many, for so long."""
    for _ in range(0, hours, every):
        bench.tick()
        bench.now += timedelta(hours=every)


def few(bench, **sections) -> None:
    """All jobs are off but these: it goes for each of them."""
    off = {name: {"enabled": "no"} for name in catalogue.names()
           if name not in (JOB, "check_jobs", "send_notifications")}
    bench.config(mail={"from": "jobs@example.org", "domain": "example.org"},
                 alerts={"queue_age": "off"}, **{**off, **sections})


def session(bench) -> None:
    """One that ends in 10 days."""
    bench.table("sessions", [{"user_id": 1, "created_at": bench.now, "last_seen_at": bench.now,
                              "expires_at": bench.ahead(days=10)}])


def incidents(bench) -> list[str]:
    """The keys of what `status` says needs somebody, but of jobs that are late."""
    printed = bench.json("status", code=None)
    return [each["key"] for each in printed["incidents"] if each["kind"] != "late"]


@pytest.fixture
def known(bench):
    """Cron came for two days, and one session is far from its end."""
    few(bench)
    bench.tick()
    bench.now += timedelta(minutes=30)
    ticks(bench, 48, every=4)
    session(bench)
    return bench


# The clock

@pytest.mark.parametrize("days", [61, 400])
def test_a_gap_of_more_than_60_days_needs_a_person(known, days):            # R68
    known.now += timedelta(days=days)
    ticks(known, 80, every=4)
    assert known.ids("sessions") == [1]
    assert incidents(known) == ["doubt:clock"]
    known.command("resume", "all")
    known.tick()
    assert known.ids("sessions") == []


@pytest.mark.quick
@pytest.mark.parametrize("days", [400, -2])
def test_the_right_clock_ends_the_doubt_at_once(known, days):                         # R68
    known.now += timedelta(days=days)
    known.attempt(JOB)
    assert incidents(known) == ["doubt:clock"]
    known.now -= timedelta(days=days)
    known.tick()
    assert (incidents(known), known.ids("sessions")) == ([], [1])


def test_a_job_that_runs_in_the_doubt_says_so_and_is_carried_on_after_it(known):      # R68
    known.now += timedelta(days=14)
    result = known.tick()[JOB]
    assert (result["status"], result["counts"]) == ("partial", {"deleted": 0})
    assert "and the last run before it jumped began at" in result["stop_reason"]
    assert JOB not in known.tick()
    known.command("resume", "all")
    assert known.tick()[JOB]["status"] == "ok"
    assert known.ids("sessions") == []


@pytest.mark.parametrize("option, is_trusted", [("off", True), ("30d", True), ("1d", False)])
def test_the_option_says_how_far_a_clock_may_jump(known, option, is_trusted):         # R68
    few(known, core={"max_clock_jump": option})
    known.now += timedelta(days=29)
    ticks(known, 1)
    assert (known.ids("sessions") == []) == is_trusted
    assert (incidents(known) == []) == is_trusted


def test_jobs_that_run_once_a_week_alone_are_in_no_doubt(bench):                      # R68
    few(bench, **{JOB: {"schedule": "17 4 * * 1"}, "check_jobs": {"enabled": "no"},
                  "send_notifications": {"enabled": "no"}})
    bench.tick()
    ticks(bench, 24 * 21, every=12)
    session(bench)
    ticks(bench, 24 * 18, every=12)
    assert bench.ids("sessions") == []


def test_a_job_that_alone_was_kept_from_running_is_in_no_doubt(known):                # R68
    known.command("pause", JOB)
    ticks(known, 24 * 11, every=8)
    known.db.execute("UPDATE {job_state} SET paused_at = NULL WHERE job = :job", job=JOB)
    ticks(known, 24)
    assert known.ids("sessions") == []


def test_whoever_runs_a_job_by_hand_now_and_then_is_in_no_doubt(bench):               # R68
    session(bench)
    bench.run(JOB)
    bench.now += timedelta(days=11)
    assert bench.run(JOB) == {"deleted": 1}


def test_a_dry_run_says_that_nothing_would_go_and_notes_nothing(known):     # R11 R68
    known.now += timedelta(days=14)
    before = databases.rows(known.db)
    result = known.attempt(JOB, dry_run=True)
    assert result["counts"] == {"deleted": 0}
    assert result["stop_reason"].startswith("in doubt: the clock")
    assert databases.rows(known.db) == before


def test_slots_taken_by_a_clock_that_was_ahead_are_due_again(known):                  # R68
    known.now += timedelta(hours=20)
    known.tick()
    known.now -= timedelta(hours=20)
    ticks(known, 24)
    begun = [row["started_at"] for row in known.rows("job_runs") if row["job"] == JOB]
    assert clock.text(known.ago(hours=24)) < begun[-1] < clock.text(known.now)


# A restored backup

TABLES = ("job_runs", "meta", "notifications", "sessions")


def restore(bench, *before: list[dict]) -> None:
    """Put the tables back as they were."""
    for name, rows in zip(TABLES, before):
        bench.db.execute(f"DELETE FROM {{{name}}}")
        for row in rows:
            bench.db.insert(name, **row)


@pytest.fixture
def restored(known):
    """A service whose database was restored as it was before the last tick, which sent a notice."""
    known.tick()
    known.now += timedelta(minutes=5)
    known.db.insert("notifications", user_id=None, kind="x", to_email="ann@home.example",
                    created_at=known.now)
    before = [*map(known.rows, TABLES)]
    ticks(known, 1)
    known.outbox.clear()
    restore(known, *before)
    return known


@pytest.mark.quick
def test_nothing_is_sent_or_deleted_until_a_person_says_so(restored):                 # R81
    restored.now += timedelta(days=11)
    few(restored, core={"app_url": "https://a.example"}, export={"dir": "exports"},
        export_accounts={"enabled": "yes"})
    restored.table("users", [{"id": 1, "status": "active", "email": "a@b.example"}])
    restored.table("export_requests", [{"user_id": 1}])
    sent = restored.ids("notifications")
    restored.tick()             # a new notice would have an id that the log lists as sent
    assert (restored.ids("notifications"), restored.ids("sessions")) == (sent, [1])
    assert (len(restored.outbox), incidents(restored)) == (0, ["doubt:restored"])
    look = restored.json("status", code=1)["incidents"][0]
    assert (look["command"].split()[-1], "cancel that first" in look["what"]) == ("queue", True)
    # the page finds in the log what was sent
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    since = look["what"].partition("sent since ")[2][:16]
    line = re.search("\nawk .*sent.*", page)[0].replace("2026-11-24 14:30", since)
    day, time, *item = subprocess.check_output(line.replace("var/", ""), shell=True, text=True,
                                               cwd=restored.folder).split()
    assert (item, f"{day} {time}" >= since) == (["send_notifications", "1"], True)
    said = restored.command("resume", "all")
    assert re.match("The database is trusted again.*1 waiting.*`jobs.py cancel QUEUE ID", said)
    assert incidents(restored) == []
    ticks(restored, 26)
    assert (len(restored.outbox), restored.ids("sessions"), incidents(restored)) == (2, [], [])


def test_a_restore_is_seen_by_a_second_host_whose_folder_was_not_restored(known):     # R81
    other, witness = known.second_host(), known.folder / "state" / "witness"
    ticks(known, 1)
    before, kept = [*map(known.rows, TABLES)], witness.read_text()
    ticks(known, 1)
    other.now = known.now
    other.run(JOB)                          # it has seen what is lost now
    restore(known, *before)
    witness.write_text(kept)
    known.tick()
    assert incidents(known) == []
    other.run(JOB)
    assert incidents(known) == ["doubt:restored"]


@pytest.mark.parametrize("days, change", [
    (0, "UPDATE {meta} SET value = 'another' WHERE name = 'database_id'"),
    (91, "DELETE FROM {job_runs}")])            # the history keeps them no longer
def test_a_new_database_and_old_runs_that_are_gone_are_none(known, days, change):      # R81
    known.now += timedelta(days=days)
    known.db.execute("DELETE FROM {job_runs}")
    known.db.execute(change)
    known.attempt(JOB)
    assert incidents(known) == []
