"""No statement of a run goes through all rows of a table that grows, whatever is due."""
from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from tests.every_job.test_cut_short import JOBS, maker
from tests.support.bench import NOW
from tests.support.plans import analyse, problems
from tests.support.product import Response, Result
from tests.support.require import on_mariadb

NUMBER = 6000
ANSWERS = (204, 500, 503, 410)      # of endpoints, by their owner
REPLIES = (Result("sent", 250, "2.0.0", "taken"), Result("retry", 451, "4.3.0", "later"),
           Result("final", 550, "5.1.1", "no such user"), Result("sent", 250, "2.0.0", "taken"))
MOMENTS = tuple(NOW - timedelta(hours=hours) for hours in range(400, 1900, 5))
DAYS = tuple(NOW.date() - timedelta(days=day) for day in range(20, 320))
ENDS = (*["ok"] * 35, "partial", "skipped", "failed", "vanished", "timeout")
# Rows for which no job has anything to do: most of what there is. Of a tuple, each in turn.
DONE = {
    "users": {}, "aliases": {}, "destinations": {"verified_at": "now"},
    "domains": {"ownership_token": "t", "status": "failed"},
    "message_logs": {"direction": "send", "status": "spam", "created_at": MOMENTS},
    "header_snapshots": {},
    "failed_emails": {"alias_id": 1, "status": "sent", "finished_at": "now"},
    "overflow_hold": {"alias_id": 1, "held_at": "now"},
    "spam_quarantine": {"alias_id": 1, "quarantined_at": "now"},
    "audit_logs": {"event": "signed_in"},
    "magic_links": {"expires_at": "later"},
    "sessions": {"last_seen_at": "now", "expires_at": "later"},
    "webhooks": {"secret": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
    "webhook_deliveries": {"webhook_id": 10, "status": "delivered",
                           "finished_at": "now"},
    "export_requests": {"status": "expired"},
    "notifications": {"kind": "own", "to_email": "a@b.example", "status": "sent"},
    "attempts": {"kind": "forward", "began_at": "now"},
    "job_runs": {"job": JOBS, "status": ENDS, "trigger_type": "scheduled", "started_at": MOMENTS,
                 "finished_at": MOMENTS},
    "destination_verifications": {"expires_at": "later"},
    "alias_destinations": {}, "message_stats": {"day": DAYS, "direction": "send",
                                                "status": "spam"},
    "usage_daily": {"day": DAYS}, "usage_weekly": {"week_start": DAYS},
    "usage_events": {"cycle_start": DAYS, "metric": "emails"}}
# What rows of a table refer to, if not to their user alone.
REFERS = {"aliases": ("user_id", "domain_id"), "attempts": ("user_id", "item_id"),
          "overflow_hold": ("user_id", "warning_id"),
          "users": (), "message_logs": ("user_id", "id"),
          "header_snapshots": ("user_id", "message_log_id"), "job_runs": ("run_id",),
          "destination_verifications": ("destination_id",),
          "usage_events": ("user_id", "threshold"), "message_stats": ("user_id", "alias_id"),
          "alias_destinations": ("alias_id", "destination_id")}
# of which no two rows are alike in the last of these
UNLIKE = ("alias_destinations", "message_stats", "usage_daily", "usage_weekly", "usage_events",
          "job_runs", "message_logs", "header_snapshots")
QUEUES = ("forwards", "notifications", "webhooks", "domains", "exports", "deletions")
LISTS = ("", "--failed", "--owner 1", "--since 2h", "--before 2h", "--owner 1 --failed",
         "--failed --since 2h", "--owner user1@example.org")
COMMANDS = ("status", "report --output {page}", "metrics", "list", "queue",
            *(f"queue {name} {words}" for name in QUEUES for words in LISTS))


def owner_in(address: str) -> int:
    """The number in it."""
    return int("".join(filter(str.isdecimal, address)) or 0)


def fill(bench) -> None:
    """Four owners for whom each job has something to do, and far more of what is done."""
    maker(bench)()
    times = {"now": bench.now, "later": bench.now + timedelta(days=9)}
    for table, values in DONE.items():
        given = {name: times.get(value, value) for name, value in values.items()}
        refers = REFERS.get(table, ("user_id",))
        number = NUMBER * (5 if table == "message_logs" else 1)
        rows = [{**{name: value[at % len(value)] if isinstance(value, tuple) else value
                    for name, value in given.items()},
                 **dict.fromkeys(refers, 9000 + at % 900)} for at in range(number)]
        for at, row in enumerate(rows if table in UNLIKE else ()):
            row[refers[-1]] = 10_000 + at
        bench.bulk(table, rows)
    analyse(bench.db, [*DONE])


@pytest.mark.slow
def test_every_statement_is_served_by_an_index(bench):     # R15 R77
    fill(bench)
    bench.web.answer = lambda sent: Response("answered", ANSWERS[owner_in(sent.url) % 4], "60")
    bench.outbox.answer = lambda envelope: REPLIES[owner_in(envelope.recipient) % 4]
    wrong = {}

    def look_at(name: str, work) -> None:
        heard: dict = {}
        bench.on_statement = heard.setdefault
        work()
        bench.on_statement = None
        # of header snapshots each is asked whether its log row is there; the guard asks of how many
        # in all so many are wrong, where they are many, and whose endpoints fail, where one does
        heard = {sql: values for sql, values in heard.items() if "WHERE 1 = 1" not in sql
                 and not sql.startswith("SELECT COUNT(DISTINCT user_id) FROM {webhooks}")
                 # each new row is read, and here all are new
                 and not (name == "rollup_usage" and "id > :seen AND id <= :last" in sql)
                 and not (name == "purge_header_snapshots" and "FROM {message_logs}" in sql)}
        if found := [why for sql, values in heard.items()
                     for why in problems(bench.db, sql, values, [*DONE])]:
            wrong[name] = found

    for job in (*JOBS, "check_jobs", "purge_job_history"):
        for dry_run in (True, False):
            look_at(job, partial(bench.run, job, dry_run=dry_run))
    look_at("a rebuild", partial(bench.run, "rollup_usage", limit=5, **{"from": "2025-01-01"}))
    for words in COMMANDS:
        look_at(words, partial(bench.command, *words.format(page=bench.folder / "p.html").split()))
    assert wrong == {}


# An app's own table may have another type of status
ENUM = "ENUM('sent', 'zzz', 'pending', 'sending', 'aaa', 'failed')"
KINDS = {"words": "VARCHAR(64)", "enum": ENUM, "any case": f"{ENUM} COLLATE utf8mb4_general_ci"}


@on_mariadb
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_idle_queue_reads_none_of_what_is_finished(bench, kind):
    """The server makes no range of an index over an ENUM: it would read all of it, in each run."""
    bench.db.execute(f"ALTER TABLE {{failed_emails}} MODIFY status {kind} NOT NULL")
    bench.bulk("failed_emails", [
        {"id": id, "status": ("sent", "failed")[id % 2], "notified_at": bench.now,
         "finished_at": bench.now, "raw_path": "x"} for id in range(1, 3001)])
    analyse(bench.db, ["failed_emails"])
    heard: dict = {}
    bench.on_statement = lambda sql, values: heard.setdefault(sql, dict(values))
    bench.run("retry_forwards")
    bench.on_statement = None
    large = {bench.db.name("failed_emails")}
    assert [why for sql, values in heard.items() if "{failed_emails}" in sql
            for why in problems(bench.db, sql, values, large)] == []
