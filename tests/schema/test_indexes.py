"""No statement of a job goes through a whole table: each plan is read, on large tables, on both engines."""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import catalogue
from tests.support.bench import Bench
from tests.support.databases import NOW, bulk
from tests.support.plans import analyse, troubles

pytestmark = pytest.mark.slow

FORWARDS = 100_000
OTHERS = 20_000
LARGE = ("failed_emails", "job_runs", "overflow_hold", "spam_quarantine", "notifications", "users", "aliases")
PAST = "2026-11-01 00:00:00"


def load(db):
    """A busy service: most forwards are done, some wait, some failed; years of runs."""
    def ago(minutes):
        return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")

    forwards = []
    for number in range(FORWARDS):
        status = ("sent", "sent", "failed", "pending")[number % 4]
        done = status in ("sent", "failed")
        minutes = number % 14_000                         # ten days
        waits = ago(number % 3000 - 2500) if status == "pending" and number % 8 == 3 else None
        forwards.append((number % 500 + 1, number % 900 + 1, "to@example.org", f"{number}.eml", status,
                         ago(minutes + 90 if done else minutes % 55), waits, ago(minutes) if done else None,
                         ago(minutes) if status == "failed" else None))
    bulk(db, "failed_emails", ["user_id", "alias_id", "envelope_to", "raw_path", "status", "created_at",
                               "next_attempt_at", "finished_at", "told_at"], forwards)
    numbers = range(1, OTHERS + 1)
    bulk(db, "job_runs", ["run_id", "job", "status", "started_at", "finished_at", "duration_ms"],
         [(f"old{n}", ("retry_forwards", "purge_failed_emails")[n % 2], "ok", ago(n * 5), PAST, 80)
          for n in numbers])
    bulk(db, "overflow_hold", ["user_id", "alias_id", "raw_path", "held_at", "warning_id"],
         [(number % 500, number % 900, f"held{number}.eml", ago(number), number // 9) for number in numbers])
    bulk(db, "spam_quarantine", ["user_id", "alias_id", "raw_path", "quarantined_at"],
         [(number % 500, number % 900, f"spam{number}.eml", ago(number)) for number in numbers])
    bulk(db, "notifications", ["user_id", "kind", "to_email", "dedupe_key", "status", "created_at"],
         [(number % 500, "k", "a@example.org", f"k{number}", "sent", ago(number)) for number in numbers])
    bulk(db, "users", ["id", "email", "created_at"], [(n, f"u{n}@example.org", PAST) for n in numbers])
    bulk(db, "aliases", ["id", "user_id", "address", "created_at"],
         [(n, n % 500 + 1, f"a{n}@example.org", PAST) for n in numbers])
    analyse(db, LARGE)


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def busy(request, tmp_path_factory):
    """The bench with large tables, loaded once: the tests here change few rows."""
    folder = tmp_path_factory.mktemp("busy")
    server = request.getfixturevalue("mariadb") if request.param == "mariadb" else None
    url = server.database() if server else f"sqlite:///{folder}/jobs.db"
    bench = Bench(folder, url)
    load(bench.db)
    yield bench
    bench.db.close()
    if server:
        server.drop(url)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("job", catalogue.names())
def test_every_statement_of_a_job_is_served_by_an_index(busy, job, dry_run):
    # R15
    heard = {}
    busy.on_statement = lambda sql, values: heard.setdefault(sql, values)
    busy.attempt(job, limit=200, dry_run=dry_run)
    assert len(heard) > 5
    assert [why for sql, values in heard.items() for why in troubles(busy.db, sql, values, LARGE)] == []


# What the jobs to come will ask; each was thought of when its index was made.

COMING = {
    "held mail to warn of":
        "SELECT id FROM {overflow_hold} WHERE released_at IS NULL AND held_at < :past LIMIT 100",
    "held mail released long ago": "SELECT id FROM {overflow_hold} WHERE released_at < :past LIMIT 100",
    "the messages of a warning": "SELECT id FROM {overflow_hold} WHERE warning_id = 5",
    "old spam":
        "SELECT id FROM {spam_quarantine} WHERE quarantined_at < :past ORDER BY quarantined_at LIMIT 100",
    "notices to send": "SELECT id FROM {notifications} WHERE status = 'pending' AND priority = 1"
                       " AND next_attempt_at <= :past ORDER BY next_attempt_at LIMIT 100",
    "finished notices":
        "SELECT id FROM {notifications} WHERE status = 'sent' AND created_at < :past ORDER BY created_at",
    "an account's forwards":
        "UPDATE {failed_emails} SET status = 'failed' WHERE user_id = 7 AND status = 'pending'",
    "accounts to delete": "SELECT id FROM {users} WHERE status = 'deleted' AND deleted_at < :past",
    "accounts with a retention of their own": "SELECT id FROM {users} WHERE log_retention_days < 90",
    "aliases that end": "SELECT id FROM {aliases} WHERE active = 1 AND expires_at < :past",
    "a job's last good runs":
        "SELECT pid FROM {job_runs} WHERE job = 'retry_forwards' AND status = 'ok' ORDER BY id DESC LIMIT 10",
    "a job's last run": "SELECT status FROM {job_runs} WHERE job = 'retry_forwards' ORDER BY id DESC LIMIT 1",
    "a job's running rows": "SELECT id FROM {job_runs} WHERE job = 'retry_forwards' AND status = 'running'",
    "a slot": "SELECT id FROM {job_runs} WHERE job = 'retry_forwards' AND slot = :past",
    "old runs": "SELECT id FROM {job_runs} WHERE started_at < :past ORDER BY started_at LIMIT 100",
    "claims of dead runs": "SELECT id FROM {failed_emails} WHERE claim_run IS NOT NULL",
    "who names a spool file": "SELECT id FROM {failed_emails} WHERE raw_path IN ('1.eml', '2.eml')",
}


def test_what_the_coming_jobs_will_ask_is_served_too(busy):
    # R15
    assert [why for sql in COMING.values() for why in troubles(busy.db, sql, {"past": PAST}, LARGE)] == []


def test_the_judge_sees_a_statement_that_no_index_serves(busy):
    for sql in ("SELECT id FROM {failed_emails} WHERE envelope_from = 'x'",
                "DELETE FROM {job_runs} WHERE host = 'x'",
                "UPDATE {failed_emails} SET attempts = 0 WHERE last_code = 5"):
        assert len(troubles(busy.db, sql, {}, LARGE)) == 1


def test_after_an_outage_a_claim_takes_the_oldest_without_sorting_all(busy):
    # R15: the index is in the order of the queue, so a claim reads as many rows as it takes
    busy.db.execute("UPDATE {failed_emails} SET next_attempt_at = :past WHERE status = 'pending'", past=PAST)
    analyse(busy.db, ["failed_emails"])
    claim = ("SELECT id FROM {failed_emails} WHERE status = 'pending' AND next_attempt_at <= :now"
             " AND claim_token IS NULL ORDER BY next_attempt_at, created_at, id LIMIT 50")
    assert troubles(busy.db, claim, {"now": NOW}, LARGE) == []
    plan = str(busy.db.explain(claim, now=NOW))
    assert "failed_emails_due" in plan
    assert "filesort" not in plan
    assert "TEMP B-TREE" not in plan
