"""A service with a month behind it, to be looked at: runs, measures and queues, made up and each
time the same.

    fill(db, now)                     all is well
    fill(db, now, troubled=True)      a job fails, one is late, a queue stalls, the relay is paused

Whatever the outside world may have written into errors, rows and reasons is there too (SECRETS): a
page that is fit to be published shows none of it.
"""
from __future__ import annotations

import random
from datetime import timedelta

from tests.support.databases import bulk
from tests.support.product import catalogue, clock, schedule, zone

SECRETS = ("jane@home.example", "home.example", "Your secret diagnosis", "/home/jane/mail",
           "hunter2", "https://hooks.customer.example/x", "relay.provider.example", "<script>")
ERROR = ("the relay relay.provider.example refused jane@home.example (hunter2): 'Your secret "
         "diagnosis' in /home/jane/mail/1.eml, https://hooks.customer.example/x "
         "<script>alert(1)</script>")
DAYS = 30
# as often as the jobs that run every few minutes are made to run here
EVERY = timedelta(hours=1)
UTC = zone("UTC")


def fill(db, now, troubled: bool = False) -> None:
    """The rows."""
    chance = random.Random(5)
    runs = [run for job in catalogue.load_all() for run in _runs(job, now, troubled, chance)]
    names = ("run_id job slot trigger_type status started_at finished_at duration_ms counts "
             "error").split()
    bulk(db, "job_runs", names, [(f"r{number}", *run) for number, run in
                                 enumerate(sorted(runs, key=lambda run: run[1]))])
    for job in catalogue.names():
        db.upsert("job_state", {"job": job}, {"due_after": now - timedelta(days=DAYS)})
    _queues(db, now, troubled)
    _mail(db, now, troubled)


def _runs(job, now, troubled: bool, chance) -> list[tuple]:
    parsed = schedule.parse(job.schedule)
    slot = schedule.previous(parsed, now, UTC)
    step = max(schedule.following(parsed, slot, UTC) - slot, EVERY)
    usual, found = chance.randint(40, 4000), []
    late = troubled and job.name == "purge_sessions"
    while slot > now - timedelta(days=DAYS):
        age = now - slot
        status = "ok"
        if troubled and job.name == "retry_webhooks" and age < timedelta(hours=27):
            status = "failed"
        elif age > step and chance.random() < 0.006:
            status = chance.choice(("failed", "timeout", "vanished"))
        elif age > step and job.priority == "critical" and chance.random() < 0.004:
            status = "partial"
        took = int(usual * chance.uniform(0.6, 1.5))
        if not (late and age < timedelta(days=5)) and chance.random() > 0.002:
            text, error = clock.text(slot), ERROR if status == "failed" else None
            found.append((job.name, text, "scheduled", status, text, text, took, '{"sent": 3}',
                          error))
        slot = schedule.previous(parsed, slot - step + timedelta(minutes=1), UTC)
    return [(name, slot, trigger, status, *rest) for name, slot, trigger, status, *rest in found]


def _queues(db, now, troubled: bool) -> None:
    user = db.insert("users", email="jane@home.example", name="Jane <script>", created_at=now)
    alias = db.insert("aliases", user_id=user, address="box@alias.example", created_at=now)
    hook = db.insert("webhooks", user_id=user, url="https://hooks.customer.example/x",
                     secret="hunter2", created_at=now)
    since = now - (timedelta(hours=27) if troubled else timedelta(minutes=2))
    bulk(db, "webhook_deliveries", ["webhook_id", "user_id", "event_id", "status",
                                    "next_attempt_at", "created_at", "last_error"],
         [(hook, user, f"e{number}", "pending", clock.text(since + timedelta(seconds=number)),
           clock.text(since), ERROR) for number in range(240 if troubled else 3)])
    bulk(db, "failed_emails", ["user_id", "alias_id", "envelope_to", "raw_path", "status",
                               "next_attempt_at", "created_at", "last_error"],
         [(user, alias, "jane@home.example", f"jane/{number}.eml", "pending",
           clock.text(now + timedelta(minutes=number - 2)), clock.text(now - timedelta(hours=5)),
           ERROR) for number in range(14)])
    bulk(db, "notifications", ["user_id", "kind", "to_email", "subject", "status", "created_at"],
         [(user, "alias_expired", "jane@home.example", "Your secret diagnosis", "pending",
           clock.text(now)) for number in range(3)])


def _mail(db, now, troubled: bool) -> None:
    bulk(db, "attempts", ["kind", "item_id", "began_at", "outcome"],
         [("forward", number, clock.text(now - timedelta(minutes=5)), "sent")
          for number in range(76 if troubled else 41)])
    if troubled:
        db.upsert("relay_state", {"id": 1}, {"paused_until": now + timedelta(minutes=12),
                                             "reason": ERROR[:250], "since": now
                                             - timedelta(hours=1), "failures": 3})
