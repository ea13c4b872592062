"""A clock in doubt deletes nothing; everything else goes on, and the right clock finds all as it
was."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.monitoring import overview
from jobs_lib.runner import clock_doubt
from tests.support import databases
from tests.support.bench import Bench


def minutes(bench, number: int) -> None:
    bench.now += timedelta(minutes=number)


def session(bench, **row) -> None:
    """One that ends in 10 days."""
    bench.table("sessions", [{"user_id": 1, "created_at": bench.now, "last_seen_at": bench.now,
                              "expires_at": bench.ahead(days=10), **row}])


def incidents(bench) -> list:
    """What `status` says needs somebody."""
    with bench.ports() as (config, _):
        found = overview.collect(config, bench.db, bench.now)
    return [(each["kind"], each["subject"]) for each in found["incidents"]]


def of_clock(bench) -> list:
    """What it says of the clock."""
    return [subject for kind, subject in incidents(bench) if kind == "doubt"]


@pytest.fixture
def known(bench):
    """A run was here just now, and one session is far from its end."""
    bench.run("purge_sessions")
    session(bench)
    minutes(bench, 5)
    return bench


# What is in doubt, and until when

def test_a_clock_400_days_ahead_deletes_nothing_and_says_so(known):                            # R68
    known.set_clock(days=400)
    result = known.attempt("purge_sessions")
    assert (result["status"], result["counts"]) == ("partial", {"deleted": 0})
    assert ("it says 2027-12-29 14:35 UTC, 400 days after the last run; nothing is deleted"
            in result["stop_reason"])
    assert known.ids("sessions") == [1]
    assert of_clock(known) == ["deletions are paused: the clock is in doubt"]


def test_with_max_clock_jump_off_the_clock_is_always_trusted(known):                           # R68
    known.config(core={"max_clock_jump": "off"})
    known.set_clock(days=400)
    assert known.run("purge_sessions") == {"deleted": 1}
    assert of_clock(known) == []


def test_a_jump_of_no_more_than_the_option_says_is_none(known):                                # R68
    known.config(core={"max_clock_jump": "30d"})
    known.set_clock(days=29)
    assert known.run("purge_sessions") == {"deleted": 1}


def test_the_first_run_of_all_is_not_in_doubt(bench):                                          # R68
    session(bench, expires_at=bench.ago(days=1))
    assert bench.run("purge_sessions") == {"deleted": 1}


def test_the_right_clock_ends_the_doubt_at_once(known):                                        # R68
    known.set_clock(days=400)
    known.run("purge_sessions")
    known.set_clock()
    session(known, expires_at=known.ago(days=1))
    assert known.attempt("purge_sessions")["counts"] == {"deleted": 1}
    assert known.ids("sessions") == [1]
    assert of_clock(known) == []


def test_a_clock_that_stays_there_is_trusted_after_an_hour(known):                             # R68
    known.set_clock(days=400)
    assert known.run("purge_sessions") == {"deleted": 0}
    minutes(known, 59)
    assert known.run("purge_sessions") == {"deleted": 0}
    minutes(known, 1)
    assert known.run("purge_sessions") == {"deleted": 1}
    minutes(known, 1)
    assert known.attempt("purge_sessions")["status"] == "ok"


def test_a_clock_that_jumps_again_within_the_hour_starts_the_hour_again(known):     # R68
    known.set_clock(days=400)
    known.run("purge_sessions")
    known.set_clock(days=800)
    known.run("purge_sessions")
    minutes(known, 59)
    assert known.run("purge_sessions") == {"deleted": 0}


def test_a_clock_set_back_by_two_days_is_in_doubt_too(known):                                  # R68
    known.set_clock(days=-2)
    assert "2 days before the last run" in known.attempt("purge_sessions")["stop_reason"]
    known.set_clock()
    assert known.attempt("purge_sessions")["status"] == "ok"


def test_yes_in_a_run_by_hand_ends_the_doubt_for_all(known):                                   # R68
    known.set_clock(days=400)
    known.run("purge_magic_links")
    assert known.run("purge_sessions", yes=True) == {"deleted": 1}
    assert known.attempt("purge_magic_links")["status"] == "ok"


# R11, R68
def test_a_dry_run_says_that_nothing_would_go_and_notes_nothing(known):
    known.set_clock(days=400)
    before = databases.rows(known.db)
    result = known.attempt("purge_sessions", dry_run=True)
    assert result["counts"] == {"deleted": 0}
    assert result["stop_reason"].startswith(clock.IN_DOUBT)
    assert databases.rows(known.db) == before


def test_a_host_that_was_off_for_three_days_waits_an_hour(known):                              # R68
    minutes(known, 3 * 24 * 60)
    known.starts += 1
    assert known.attempt("purge_sessions")["stop_reason"].startswith(clock.IN_DOUBT)
    minutes(known, 60)
    assert known.attempt("purge_sessions")["status"] == "ok"


def test_a_host_that_only_had_no_run_for_three_days_is_not_in_doubt(known):                    # R68
    minutes(known, 3 * 24 * 60)
    assert known.attempt("purge_sessions")["status"] == "ok"


def test_a_host_without_a_boot_time_trusts_a_job_that_is_not_due_more_often(known):            # R68
    known.starts = None
    known.config(purge_sessions={"schedule": "17 4 * * 1"})
    known.now += timedelta(days=6) - timedelta(hours=10, minutes=18)            # the Monday after
    known.run("purge_sessions", yes=True)
    for _ in range(3):
        known.now += timedelta(days=7, seconds=20)
        assert known.attempt("purge_sessions")["status"] == "ok"
    known.set_clock(days=400)
    assert known.attempt("purge_sessions")["status"] == "partial"


def test_an_unreadable_look_in_meta_counts_as_none(known):                             # R67
    for value in ("", "|||", "never|x|-1|y", "2026-11-24 14:30:05", "9999-99-99 00:00:00|a|b"):
        for name in (clock_doubt.TRUSTED, clock_doubt.DOUBTED):
            known.db.upsert("meta", {"name": name}, {"value": value})
        assert known.attempt("purge_sessions")["status"] in ("ok", "partial"), value


def test_the_servers_clock_is_a_second_witness(mariadb_bench):                                 # R68
    bench = mariadb_bench
    session(bench, expires_at=bench.ago(days=1))
    bench.server_skew = timedelta(minutes=-16)
    reason = bench.attempt("purge_sessions")["stop_reason"]
    assert ("this host says 2026-11-24 14:30 UTC and the database server 2026-11-24 14:14 UTC"
            in reason)
    minutes(bench, 120)
    # no second look of the same host outweighs it
    assert bench.run("purge_sessions") == {"deleted": 0}
    bench.server_skew = timedelta(minutes=-14)
    assert bench.run("purge_sessions") == {"deleted": 1}


def test_the_servers_own_clock_is_asked(mariadb_bench, monkeypatch):                           # R68
    monkeypatch.setattr(databases, "set_clock", lambda db, moment: None)
    bench = mariadb_bench
    bench.now = datetime.now(timezone.utc).replace(microsecond=0)
    assert bench.attempt("purge_sessions")["status"] == "ok"
    bench.set_clock(hours=3)
    assert "and the database server" in bench.attempt("purge_sessions")["stop_reason"]


@pytest.fixture
def mariadb_bench(tmp_path, mariadb, pool):
    """The bench where the database has a clock of its own: SQLite has none but the host's."""
    url = pool.mariadb(mariadb)
    made = Bench(tmp_path, url)
    yield made
    made.db.close()
    pool.give_back(mariadb, url)


# Every job

def test_what_was_resumed_by_a_clock_that_was_ahead_is_due_by_the_right_one(bench):            # R68
    bench.table("job_state", [{"job": job.name, "due_after": bench.ahead(minutes=1)}
                              for job in catalogue.load_all([])])
    # before the next slot it may have been the right one
    assert "purge_sessions" not in bench.tick()
    bench.db.execute("UPDATE {job_state} SET due_after = :ahead", ahead=bench.ahead(days=400))
    assert "purge_sessions" in bench.tick()


def test_an_account_shut_by_a_clock_that_was_ahead_is_kept_no_longer_than_its_grace(bench):    # R68
    bench.run("delete_accounts")
    bench.set_clock(days=400)
    bench.table("users", [{"email": "jane@home.example", "status": "deleted",
                           "deleted_at": bench.now}])
    bench.run("delete_accounts")
    bench.set_clock()
    bench.run("delete_accounts")
    assert [row["erase_after"]
            for row in bench.rows("account_deletions")] == [clock.text(bench.ahead(days=7))]
    minutes(bench, 8 * 24 * 60)
    assert bench.run("delete_accounts")["erased"] == 1


# R54, R68
def test_an_export_made_by_a_clock_that_was_ahead_does_not_stay_for_so_long(bench):
    bench.run("export_accounts")
    bench.table("export_requests",
                [{"user_id": 1, "status": "ready", "started_at": bench.ahead(days=400),
                  "finished_at": bench.ahead(days=400), "expires_at": bench.ahead(days=407)}])
    bench.run("export_accounts")
    assert bench.rows("export_requests")[0]["expires_at"] == clock.text(bench.ahead(days=7))


def test_domains_delayed_by_a_clock_that_was_ahead_are_looked_at_now(bench):                   # R68
    bench.config(dns={"mx_hosts": "mx.example.org"})
    bench.table("users", [{"id": 1, "email": "jane@home.example", "status": "active"}])
    bench.table("domains", [{"user_id": 1, "name": "ahead.example", "status": "verified",
                             "ownership_token": "code", "failures": 4,
                             "next_check_at": bench.ahead(days=401),
                             "failing_since": bench.ahead(days=400),
                             "warned_at": bench.ahead(days=400)}])
    assert bench.run("check_domains")["checked"] == 1
    assert bench.rows("domains")[0]["failing_since"] == clock.text(bench.now)


# R60, R68
def test_an_alert_sent_by_a_clock_that_was_ahead_is_repeated_a_day_later(bench):
    bench.config(alerts={"email": "ops@example.org"}, mail={"from": "jobs@example.org",
                                                            "domain": "example.org"},
                 core={"max_clock_jump": "off"}, check_jobs={"enabled": "yes"})
    failing = [{"job": "purge_sessions", "status": "failed", "run_id": f"run{at}",
                "error": "broken", "started_at": bench.ago(hours=at),
                "finished_at": bench.ago(hours=at)} for at in (3, 2, 1)]
    bench.table("job_runs", failing)
    bench.run("check_jobs")
    bench.db.execute("UPDATE {alerts} SET notified_at = :ahead, since = :ahead",
                     ahead=bench.ahead(days=400))
    bench.run("check_jobs")
    minutes(bench, 24 * 60)
    bench.run("check_jobs")
    assert len(bench.outbox) == 2


# R2, R68
def test_a_run_of_another_host_that_died_by_a_clock_that_was_ahead_is_vanished(bench):
    bench.table("job_runs", [{"job": "purge_sessions", "status": "running", "run_id": "far",
                              "installation": "other", "lock_name": "file",
                              "started_at": bench.ahead(days=400),
                              "heartbeat_at": bench.ahead(days=400),
                              "lease_until": bench.ahead(days=400)}])
    bench.run("purge_sessions")
    assert [row["status"] for row in bench.rows("job_runs")] == ["vanished", "ok"]


def test_a_suspended_run_is_carried_on_each_quarter_of_an_hour(bench):                         # R68
    bench.table("job_state", [{"job": job.name} for job in catalogue.load_all([])])
    bench.tick()
    minutes(bench, 5)
    bench.set_clock(days=400)
    runs = 0
    for _ in range(60):
        runs += bench.tick().get("purge_spam_quarantine", {}).get("status") == "partial"
        minutes(bench, 1)
    assert runs == 4
    assert bench.tick()["purge_spam_quarantine"]["status"] == "ok"
