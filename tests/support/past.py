"""A service with a month behind it, to be looked at, each time the same: a job fails, one is late,
a queue stalls, the relay is paused.

Whatever the outside world may have written into errors, rows and reasons is there too (SECRETS): a
page that is fit to be published shows none of it.
"""
from __future__ import annotations

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
FAILING, LATE = timedelta(hours=27), timedelta(days=5)
UTC = zone("UTC")


def fill(db, now) -> None:
    names = "run_id job slot trigger_type status started_at finished_at duration_ms counts error"
    runs = sorted(run for job in catalogue.load_all() for run in _runs(job, now))
    bulk(db, "job_runs", names.split(), [
        (f"r{number}", job, slot, "scheduled", status, slot, slot, 400, '{"sent": 3}',
         ERROR if status == "failed" else None) for number, (slot, job, status) in enumerate(runs)])
    for job in catalogue.names():
        db.upsert("job_state", {"job": job}, {"due_after": now - timedelta(days=DAYS)})
    _queues(db, now)
    bulk(db, "attempts", ["kind", "item_id", "began_at", "outcome"],
         [("forward", number, clock.text(now - timedelta(minutes=5)), "sent")
          for number in range(76)])
    db.upsert("relay_state", {"id": 1}, {
        "paused_until": now + timedelta(minutes=12), "reason": ERROR[:250],
        "since": now - timedelta(hours=1)})


def _runs(job, now):
    """(slot, job, status) of each run."""
    parsed = schedule.parse(job.schedule)
    slot = schedule.previous(parsed, now, UTC)
    step = max(schedule.following(parsed, slot, UTC) - slot, EVERY)
    while (age := now - slot) < timedelta(days=DAYS):
        if job.name != "purge_sessions" or age >= LATE:
            fails = job.name == "retry_webhooks" and age < FAILING
            yield clock.text(slot), job.name, "failed" if fails else "ok"
        slot = schedule.previous(parsed, slot - step + timedelta(minutes=1), UTC)


def _queues(db, now) -> None:
    user = db.insert("users", email="jane@home.example", name="Jane <script>", created_at=now)
    alias = db.insert("aliases", user_id=user, address="box@alias.example", created_at=now)
    hook = db.insert("webhooks", user_id=user, url="https://hooks.customer.example/x",
                     secret="hunter2", created_at=now)
    since = now - FAILING
    bulk(db, "webhook_deliveries", ["webhook_id", "user_id", "event_id", "status",
                                    "next_attempt_at", "created_at", "last_error"],
         [(hook, user, f"e{number}", "pending", clock.text(since + timedelta(seconds=number)),
           clock.text(since), ERROR) for number in range(240)])
    bulk(db, "failed_emails", ["user_id", "alias_id", "envelope_to", "raw_path", "status",
                               "next_attempt_at", "created_at", "last_error"],
         [(user, alias, "jane@home.example", f"jane/{number}.eml", "pending",
           clock.text(now + timedelta(minutes=number - 2)), clock.text(now - timedelta(hours=5)),
           ERROR) for number in range(14)])
    bulk(db, "notifications", ["user_id", "kind", "to_email", "subject", "status", "created_at"],
         [(user, "alias_expired", "jane@home.example", "Your secret diagnosis", "pending",
           clock.text(now)) for number in range(3)])
