"""`forecast`: what the coming days will delete, warn of and send, and a mistyped retention in it.

# R77
"""
from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from jobs_lib import catalogue
from jobs_lib.engines import outlook, safety_stop
from jobs_lib.engines.rules import Purge, Rule, keep, purge
from jobs_lib.monitoring import forecast
from jobs_lib.output import forecast as shown
from tests.support.databases import bulk
from tests.support.patience import SOON
from tests.support.shell import Shell

PURGES = [job.name for job in catalogue.load_all() if isinstance(job.run, Purge)]


def collect(bench, days: int = 30) -> dict:
    with bench.ports() as (config, ports):
        return forecast.collect(config, ports.database(readonly=True), ports, days)


def item(found: dict, job: str, what: str) -> dict:
    return next(item for each in found["jobs"] if each["name"] == job for item in each["items"]
                if item["what"] == what)


def subjects(found: dict) -> list[str]:
    return [each["subject"] for each in found["warnings"]]


def sessions(bench, number: int, **age) -> None:
    bulk(bench.db, "sessions", ["user_id", "token_hash", "created_at", "last_seen_at",
                                "expires_at"],
         [(1, f"{number}-{at}-{age}", bench.ago(days=100), bench.ago(**age), bench.ahead(days=300))
          for at in range(number)])


def good_runs(bench, job: str, *deleted: int, **limits) -> None:
    """Runs that deleted so much each, the last of them with these retentions, in seconds."""
    for number, count in enumerate(deleted):
        bench.db.insert("job_runs", run_id=f"{job}-{number}", job=job, status="ok",
                        started_at=bench.ago(days=len(deleted) - number),
                        counts=json.dumps({"deleted": count}))
    bench.db.upsert("job_state", {"job": job}, {"last_options": json.dumps(limits)})


def test_rows_count_on_the_day_on_which_they_become_due(bench):        # R77
    bench.now = bench.now.replace(hour=14)
    bench.table("sessions", [
        {"id": 1, "expires_at": bench.ago(seconds=1)},                     # due now
        {"id": 2, "expires_at": bench.ahead(seconds=0)},                   # a second later
        {"id": 3, "expires_at": bench.ahead(days=2)},
        {"id": 4, "expires_at": bench.ahead(days=2, hours=1)},
        {"id": 5, "expires_at": bench.ahead(days=40)},                     # not in these 30 days
        # expires on the 20th day, and is idle for too long on the 2nd: it counts once
        {"id": 6, "expires_at": bench.ahead(days=20), "last_seen_at": bench.ago(days=28)},
    ])
    assert item(collect(bench), "purge_sessions", "rows of sessions") == {
        "act": "delete", "what": "rows of sessions", "now": 1, "held_back": 0, "total": 5,
        "busiest": 3, "busiest_day": "2026-11-26", "more": False}
    assert item(collect(bench, 1), "purge_sessions", "rows of sessions")["total"] == 2


def test_the_numbers_are_those_that_runs_then_delete(bench):            # R77
    for age in range(0, 60, 3):
        sessions(bench, 2, days=age)
    expected = item(collect(bench, 10), "purge_sessions", "rows of sessions")
    deleted = []
    for _ in range(11):
        deleted.append(bench.run("purge_sessions")["deleted"])
        bench.now = bench.ahead(days=1)
    assert (expected["now"], expected["total"]) == (deleted[0], sum(deleted))


def test_every_purge_is_there_without_code_of_its_own(bench, monkeypatch):     # R77
    new = purge(table="magic_links", schedule="0 3 * * *",
                options={"keep_new": keep("1d", "How long.")},
                rules=(Rule("created_at", option="keep_new"),))._replace(name="purge_new")
    jobs = [*catalogue.load_all(), new]
    monkeypatch.setattr(forecast.catalogue, "load_all", lambda broken: jobs)
    bench.table("magic_links", [{"created_at": bench.ago(days=1, seconds=1),
                                 "expires_at": bench.ahead(days=60)}])
    found = collect(bench)
    assert item(found, "purge_new", "rows of magic_links")["now"] == 1
    assert {job["name"] for job in found["jobs"] if job["items"]} >= {"purge_new", *PURGES}
    assert [job["not_counted"] for job in found["jobs"]] == [None] * len(jobs)


def test_what_another_rule_keeps_is_not_promised(bench):
    bench.table("overflow_hold", [{"held_at": bench.ago(days=31)}])        # nobody was warned
    found = item(collect(bench), "expire_overflow_hold", "rows of overflow_hold")
    assert (found["now"], found["held_back"]) == (0, 1)


def test_what_expires_and_who_is_notified(bench):                       # R77
    bench.table("users", [{"id": 1, "email": "ann@example.org", "status": "deleted",
                           "deleted_at": bench.ago(days=2)}])
    bench.table("aliases", [
        {"active": 1, "expires_at": bench.ago(days=1)},
        {"active": 1, "expires_at": bench.ahead(days=2)},
        {"active": 1, "expires_at": bench.ahead(days=20)},
        {"active": 0, "expires_at": bench.ahead(days=20)},
        {"active": 1, "expires_at": bench.ahead(days=32)}])
    bench.table("overflow_hold", [{"held_at": bench.ago(days=9)}])
    bench.table("destinations", [{"user_id": 1, "created_at": bench.ago(days=1)}])
    bench.table("export_requests", [{"user_id": 1, "status": "ready",
                                     "expires_at": bench.ahead(days=3)}])
    bench.table("audit_archives", [{"status": "purged", "created_at": bench.ago(days=99),
                                    "location": "folder:a"}])
    bench.config(archive={"keep": "100d"})
    found = collect(bench)
    numbers = {(job["name"], each["act"], each["what"]): (each["now"], each["total"])
               for job in found["jobs"] for each in job["items"]}
    aliases, destinations = "expire_aliases", "expire_destination_verifications"
    assert numbers[aliases, "deactivate", "aliases that have ended"] == (1, 3)
    assert numbers[aliases, "notify of", "aliases that are about to end"] == (1, 3)
    assert numbers["expire_overflow_hold", "warn of", "held messages"] == (0, 1)
    # nobody was warned yet, and by then they will be
    assert numbers["expire_overflow_hold", "delete", "rows of overflow_hold"] == (0, 1)
    assert numbers[destinations, "remind of", "unverified destinations"] == (0, 1)
    assert numbers[destinations, "notify of", "removals of destinations"] == (0, 1)
    assert numbers[destinations, "delete", "unverified destinations"] == (0, 1)
    assert numbers["delete_accounts", "erase", "deleted accounts"] == (0, 1)
    assert numbers["export_accounts", "expire", "exports"] == (0, 1)
    assert numbers["archive_audit_logs", "remove", "old archives"] == (0, 1)
    assert found["mail"]["notices"] == 6


# A retention that was mistyped

def test_a_shorter_retention_that_the_safety_stop_refuses(bench, monkeypatch):        # R77
    monkeypatch.setattr(safety_stop, "MOST_ROWS", 10)
    sessions(bench, 20, days=5)
    good_runs(bench, "purge_sessions", 1, 2, 1, idle=30 * 86400)
    bench.config(purge_sessions={"idle": "3d"})
    [warning] = collect(bench)["warnings"]
    assert warning["subject"] == ("purge_sessions: its next run will stop before it deletes "
                                  "anything")
    assert warning["what"].startswith(
        "20 of 20 rows of sessions would be deleted: [purge_sessions] idle is 3d, it was 30d at "
        "the last good run")


def test_a_shorter_retention_that_no_safety_stop_refuses(bench):        # R77
    sessions(bench, 150, days=5)
    good_runs(bench, "purge_sessions", 1, 2, 1, idle=30 * 86400)
    bench.config(purge_sessions={"idle": "3d"})
    [warning] = collect(bench)["warnings"]
    assert warning["subject"] == "purge_sessions: its next run will delete far more than usual"
    assert warning["what"] == (
        "150 rows of sessions, where the last 3 good runs deleted at most 2; [purge_sessions] idle "
        "is 3d, it was 30d at the last good run. No safety stop holds this back.")


def test_a_few_rows_by_a_shorter_retention(bench):
    sessions(bench, 5, days=5)
    good_runs(bench, "purge_sessions", 1, idle=30 * 86400)
    bench.config(purge_sessions={"idle": "3d"})
    assert subjects(collect(bench)) == ["purge_sessions: a retention is shorter than it was"]


def test_a_retention_of_a_hundred_years(bench):                         # R77
    sessions(bench, 50, days=5)
    good_runs(bench, "purge_sessions", 4, 5, 6, idle=30 * 86400)
    bench.config(purge_sessions={"idle": "36500d"})
    [warning] = collect(bench)["warnings"]
    assert warning["subject"] == "purge_sessions: nothing becomes due any more"
    assert "idle is 36500d, it was 30d at the last good run" in warning["what"]
    good_runs(bench, "purge_other", idle=36500 * 86400)
    bench.db.execute("UPDATE {job_state} SET last_options = NULL")      # known since by every run
    assert subjects(collect(bench)) == [warning["subject"]]


def test_a_job_of_two_purges_is_judged_by_what_both_delete(bench):
    good_runs(bench, "purge_job_history", 4, 5, 6)
    bench.table("attempts", [{"began_at": bench.ago(days=31)}])
    assert subjects(collect(bench)) == []
    bench.db.execute("DELETE FROM {attempts}")
    [warning] = collect(bench)["warnings"]
    assert warning["what"] == (
        "no rows of job_runs and no rows of attempts within the forecast, where the last 3 good "
        "runs deleted at most 6; no retention was changed.")


def test_a_retention_that_was_switched_off(bench):                     # R77
    good_runs(bench, "purge_failed_emails", 4, keep=30 * 86400)
    bench.config(purge_failed_emails={"keep": "off"})
    [warning] = collect(bench)["warnings"]
    assert warning["subject"] == "purge_failed_emails: a retention is longer than it was"
    assert "[purge_failed_emails] keep is off, it was 30d at the last good run" in warning["what"]
    bench.db.execute("DELETE FROM {job_runs}")
    good_runs(bench, "purge_failed_emails", *[0] * 10, keep=30 * 86400)   # it has long been off
    assert subjects(collect(bench)) == []


def test_a_shorter_retention_by_which_nothing_is_due(bench):
    good_runs(bench, "purge_sessions", 1, idle=30 * 86400)
    bench.config(purge_sessions={"idle": "3d"})
    [warning] = collect(bench)["warnings"]
    assert warning["what"] == ("[purge_sessions] idle is 3d, it was 30d at the last good run; the "
                               "next run will delete up to 0 rows of sessions.")


def test_many_rows_without_a_change_are_unusual_too(bench):
    sessions(bench, 150, days=31)
    good_runs(bench, "purge_sessions", 1, 2, 1, idle=30 * 86400)
    [warning] = collect(bench)["warnings"]
    assert "no retention was changed" in warning["what"]


def test_a_first_run_that_deletes_a_large_share(bench):                # R77
    sessions(bench, 301, days=5)
    sessions(bench, 50, days=1)
    bench.config(purge_sessions={"idle": "3d"})
    [warning] = collect(bench)["warnings"]
    assert warning["subject"] == ("purge_sessions: its first run will delete a large share of a "
                                  "table")
    assert warning["what"] == (
        "first run: 301 of 351 rows of sessions; [purge_sessions] idle is 3d, the default is 30d. "
        "No safety stop holds this back.")
    sessions(bench, 302, days=2)                                        # now it is less than half
    assert subjects(collect(bench)) == ["purge_sessions: a retention is shorter than its default"]


def test_a_first_run_by_a_shorter_retention_than_the_default(bench):
    bench.config(purge_sessions={"idle": "3d"})
    [warning] = collect(bench)["warnings"]
    assert warning["what"] == (
        "first run: 0 rows of sessions; [purge_sessions] idle is 3d, the default is 30d.")
    good_runs(bench, "purge_sessions", 0, idle=3 * 86400)
    assert subjects(collect(bench)) == []


def test_a_first_run_by_the_default_deletes_a_large_share_too(bench):
    sessions(bench, 301, days=31)
    [warning] = collect(bench)["warnings"]
    assert warning["what"].startswith(
        "first run: 301 of 301 rows of sessions; no retention is shorter than its default.")


def test_a_first_run_and_a_usual_one_stand_out_in_nothing(bench):
    sessions(bench, 150, days=31)
    assert subjects(collect(bench)) == []
    good_runs(bench, "purge_sessions", 20, 30, 40, idle=30 * 86400)
    assert subjects(collect(bench)) == []


# Jobs that do not run, and the mail

def test_a_disabled_or_paused_job_says_what_it_will_not_do(bench):      # R77
    sessions(bench, 3, days=31)
    bench.table("failed_emails", [{"status": "pending"}] * 2)
    bench.config(purge_sessions={"enabled": "no"})
    bench.db.upsert("job_state", {"job": "retry_forwards"}, {"paused_at": bench.ago(days=1)})
    bench.db.upsert("job_state", {"job": "purge_magic_links"}, {"paused_at": bench.ago(days=1)})
    assert [(each["subject"], each["what"], each["fix"]) for each in collect(bench)["warnings"]
            ] == [
        ("purge_sessions is disabled", "It will not delete 3 rows of sessions.",
         "[purge_sessions] enabled = yes starts it again."),
        ("retry_forwards is paused", "It will not send 2 forwards.",
         "`jobs.py resume retry_forwards` ends the pause.")]


@pytest.mark.parametrize("limits, waiting, hours, bound_by", [
    ({}, 50, 0, None),
    ({"per_hour": "10"}, 8, 0, None),                   # a tenth is reserved for urgent mail
    ({"per_hour": "10"}, 28, 3, "[mail] per_hour = 10"),
    ({"per_hour": "10", "per_day": "20"}, 28, 24, "[mail] per_day = 20"),
])
def test_when_the_mail_that_waits_is_sent(bench, limits, waiting, hours, bound_by):    # R77
    bench.config(mail={"per_hour": "off", "urgent_share": "10", **limits})
    bench.table("failed_emails", [{"status": "pending"}] * (waiting - 5))
    bench.table("notifications", [{"status": "pending"}] * 5)
    mail = collect(bench)["mail"]
    assert (mail["waiting"], mail["bound_by"]) == (waiting, bound_by)
    assert mail["done_at"] == f"{bench.ahead(hours=hours):%Y-%m-%d %H:%M:%S}"


def test_mail_that_is_not_sent_as_things_are(bench):                    # R77
    bench.table("users", [{"id": 7, "email": "ann@example.org", "status": "suspended"}])
    bench.table("failed_emails", [{"status": "pending", "user_id": 7}, {"status": "pending"},
                                  {"status": "pending"}])
    bench.table("webhook_deliveries", [{"status": "pending"}])
    bench.table("notifications", [{"status": "pending"}])
    bench.db.upsert("job_state", {"job": "send_notifications"}, {"paused_at": bench.ago(days=1)})
    found = collect(bench)
    assert found["mail"]["waiting"] == 2
    screen = SimpleNamespace(width=10_000, at=str)
    [line] = shown._mail(found, screen)
    assert line.startswith(
        "Mail: 3 forwards wait, 1 of them because the owner is suspended. 1 notification waits, "
        "and send_notifications does not run. 1 webhook waits. The mail limits let 2 messages go "
        "at once. ")


def test_what_was_sent_counts_and_a_long_queue_stands_out(bench):
    bench.config(mail={"per_day": "10", "per_hour": "off", "urgent_share": "0"})
    bench.table("failed_emails", [{"status": "pending"}] * 25)
    bench.db.insert("mail_counters", span="day", bucket=int(bench.now.timestamp()) // 900,
                    recipients=8)
    found = collect(bench)
    assert found["mail"]["limits"] == [{"per": "day", "limit": 10, "usable": 10, "free": 2}]
    assert subjects(found) == ["mail waits longer than a day"]


def test_more_notices_than_a_day_s_mail(bench):
    bench.config(mail={"per_day": "10", "per_hour": "off", "urgent_share": "0"})
    bench.table("aliases", [{"active": 1, "expires_at": bench.ahead(days=20)}] * 15)
    assert subjects(collect(bench)) == ["more notices than a day's mail"]


# Large tables, broken jobs

def test_counting_ends_at_a_number(bench, monkeypatch):                 # R77
    monkeypatch.setattr(outlook, "MOST", 10)
    sessions(bench, 25, days=31)
    found = item(collect(bench), "purge_sessions", "rows of sessions")
    assert (found["now"], found["more"]) == (10, True)


def test_a_statement_that_takes_too_long_is_ended(bench):               # R77
    with bench.ports() as (_, ports):
        db = ports.database(readonly=True)
        began = time.monotonic()
        slow = ("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                "90000000000) SELECT COUNT(*) FROM n" if db.dialect.__name__.endswith("sqlite")
                else "SELECT SLEEP(60)")
        with forecast.TimeLimit(db, 0.3, time.monotonic) as limit:
            with pytest.raises(forecast.DatabaseError):
                db.value(slow)
            assert not limit.has_time()
        assert time.monotonic() - began < SOON
        assert db.value("SELECT 1 AS one") == 1


def test_a_shorter_retention_stands_out_where_nothing_could_be_counted(bench, monkeypatch):
    good_runs(bench, "purge_sessions", 1, idle=30 * 86400)
    bench.config(purge_sessions={"idle": "3d"})

    def no_answer(_self, _coming):
        bench.clock.seconds += 1000
        raise forecast.DatabaseError("ended")
    monkeypatch.setattr(outlook.Counter, "outlook", no_answer)
    found = collect(bench)
    assert subjects(found) == ["purge_sessions: a retention is shorter than it was"]
    assert {job["not_counted"] for job in found["jobs"]} == {
        None, "the database did not answer in time"}


# The command

@pytest.fixture
def service(tmp_path, sqlite_url):
    return Shell(tmp_path, sqlite_url)


def test_as_a_person_sees_it_and_as_json(service):                      # R77
    service.db.insert("sessions", user_id=1, token_hash="a", created_at="2026-01-01 00:00:00",
                      last_seen_at="2026-01-01 00:00:00", expires_at="2026-01-02 00:00:00")
    lines = service.on_terminal("forecast", "--days", "7")
    assert lines[0].startswith("The next 7 days, until ")
    assert "  delete rows of sessions        1       1" in lines
    assert max(map(len, lines)) <= 80
    found = service.json("forecast", "--days", "7")
    assert (found["days"], found["warnings"], found["problems"]) == (7, [], [])
    before = service.db.query("SELECT * FROM {sessions}")
    service.run("forecast")
    assert service.db.query("SELECT * FROM {sessions}") == before


@pytest.mark.parametrize("words", [("--days", "0"), ("--days", "many"), ("--days", "400"), ("7",)])
def test_wrong_words_get_a_sentence(service, words):
    done = service("forecast", *words)
    assert (done.code, done.err.count("\n"), done.out) == (2, 1, "")
