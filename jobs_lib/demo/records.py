"""The sample service's records: logs and headers, audit rows, tokens, sessions, past runs.

Of each there are some past their time, some short of it, and some that stay whatever their age.
"""
from __future__ import annotations

import hashlib
import json
from datetime import timedelta

_ago = timedelta

# Days between the log rows of an owner, and how far back they go. Sam chose to keep his for 30
# days.
LOGGED = {"jane": (2, 131), "sam": (3, 60), "omar": (9, 120), "lena": (13, 110)}
STATUSES = ("delivered", "delivered", "delivered", "spam", "delivered", "blocked", "delivered",
            "bounced")

ALLOWED = 7                      # e-mails in a cycle for Jane, who has had six by its twelfth day

# severity, event, age
AUDITED = (
    ("info", "account.signed_in", _ago(days=402)), ("info", "alias.created", _ago(days=395)),
    ("warning", "account.sign_in_failed", _ago(days=380)), ("info", "account.signed_in",
                                                            _ago(days=364, hours=23)),
    ("critical", "account.password_reset", _ago(days=8 * 365)),
    ("critical", "account.email_changed", _ago(days=700)),
    ("info", "account.signed_in", _ago(hours=3)),
)
# address, active, until it expires
EXPIRING = (("sale", 1, _ago(days=2)), ("trial", 1, -_ago(hours=5)), ("fair", 0, -_ago(days=20)),
            ("event", 1, _ago(days=40)), ("always", 1, None))
# address, age, since its reminder, since it was told that it goes, the alias that uses it
UNVERIFIED = (
    ("jane@cabin.example", _ago(days=3, hours=4), None, None, None),
    ("jane@lake.example", _ago(days=28), _ago(days=25), None, None),
    ("jane@old.example", _ago(days=34), _ago(days=31), _ago(days=4), None),
    ("jane@office.example", _ago(days=60), _ago(days=57), None, "club"),
)
# owner, status, since it was asked for, until it can no longer be downloaded
EXPORTS = (("jane", "queued", _ago(minutes=4), None), ("sam", "ready", _ago(days=7, minutes=30),
                                                       -_ago(minutes=20)),
           ("lena", "queued", _ago(minutes=50), None), ("jane", "expired", _ago(days=90),
                                                        -_ago(days=83)))
GONE = "Nils Berg"
# days before the latest slot; of each job the last ten stay
PAST_RUNS = (*range(95, 91, -1), *range(10, 0, -1))


def fill(db, now, owners: dict, aliases: dict, destinations: dict) -> None:
    """Insert them all; `owners`, `aliases`, `destinations`: {name: id}."""
    _logs(db, now, owners, aliases)
    _usage(db, now, owners["jane"])
    _audit(db, now, owners)
    _aliases(db, now, owners["jane"], next(iter(destinations.values())))
    _destinations(db, now, owners["jane"], aliases)
    _sign_in(db, now, owners["jane"])
    _exports(db, now, owners)
    _runs(db, now)


def totals(db) -> list[dict]:
    """Of each user with mail: e-mails and bytes of all time, as any audit counts them, and the log
    rows behind them.

    Left out are accounts that were deleted long ago: what there is of them goes.
    """
    rows = {row["user_id"]: row["n"] for row in
            db.query("SELECT user_id, COUNT(*) AS n FROM {message_logs} GROUP BY user_id")}
    found = db.query("SELECT user_id, name, SUM(email_count) AS emails, SUM(bytes_used) AS bytes "
                     "FROM message_totals" " JOIN {users} ON {users}.id = user_id "
                     "WHERE name <> :gone GROUP BY user_id, name"
                     " ORDER BY user_id", gone=GONE)
    return [{**row, "rows": rows.get(row["user_id"], 0)} for row in found]


def _hash(*words) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()


def _logs(db, now, owners: dict, aliases: dict) -> None:
    for owner, (step, days) in LOGGED.items():
        mine = [alias for name, alias in aliases.items() if name == owner
                or (owner == "jane" and name in
                                                                             ("shop", "bank",
                                                                              "club"))]
        for number, age in enumerate(range(1, days, step)):
            sent = now - timedelta(days=age, hours=number % 5)
            log = db.insert("message_logs", user_id=owners[owner],
                            alias_id=mine[number % len(mine)], created_at=sent, direction="reply"
                            if number % 6 == 5 else "forward",
                            status=STATUSES[number % len(STATUSES)], bytes_used=2000 + number * 7919
                            % 60_000)
            if number % 3 == 0:
                _headers(db, log, owners[owner], sent)
    # its log row is gone
    _headers(db, log + 1_000_000, owners["jane"], now - timedelta(days=12))


def _usage(db, now, user_id: int) -> None:
    """A small plan of which most is used, twelve days into its cycle; its daily totals as the
    rollup writes them."""
    db.execute("UPDATE {users} SET billing_anchor = :anchor, email_limit = :limit WHERE id = :id",
               anchor=now.date() - timedelta(days=12), limit=ALLOWED, id=user_id)
    db.insert_select_adding(
        "usage_daily", ("user_id", "day"), ("email_count", "bytes_used"),
        "SELECT user_id, DATE(created_at), COUNT(*), SUM(bytes_used) FROM {message_logs}"
        " WHERE user_id = :id GROUP BY user_id, DATE(created_at)", id=user_id)


def _headers(db, log: int, user_id: int, sent) -> None:
    db.insert("header_snapshots", message_log_id=log, user_id=user_id, created_at=sent,
              ciphertext=bytes.fromhex(_hash("headers", log)))


def _audit(db, now, owners: dict) -> None:
    for severity, event, age in AUDITED:
        db.insert("audit_logs", user_id=owners["jane"], actor="jane", event=event,
                  severity=severity, ip="192.0.2.17", details=json.dumps({"browser": "Firefox"}),
                  created_at=now - age)


def _aliases(db, now, user_id: int, destination_id: int) -> None:
    for name, active, left in EXPIRING:
        alias = db.insert("aliases", user_id=user_id, address=f"{name}@alias.example",
                          active=active, expires_at=None if left is None else now + left,
                          created_at=now - timedelta(days=90))
        db.insert("alias_destinations", alias_id=alias, destination_id=destination_id)


def _destinations(db, now, user_id: int, aliases: dict) -> None:
    def back(age):
        return None if age is None else now - age
    for email, age, reminded, told, alias in UNVERIFIED:
        destination = db.insert("destinations", user_id=user_id, email=email, created_at=now - age,
                                reminded_at=back(reminded), removal_notified_at=back(told))
        if alias:
            db.insert("alias_destinations", alias_id=aliases[alias], destination_id=destination)
        db.insert("destination_verifications", destination_id=destination,
                  token_hash=_hash("proof", email), created_at=now - age, expires_at=now - age
                  + timedelta(days=7))


def _sign_in(db, now, user_id: int) -> None:
    for number, (expires, used) in enumerate((
            (-_ago(minutes=5), None), (-_ago(days=3), _ago(days=3)),
            (_ago(hours=9), _ago(hours=26)),
            (_ago(minutes=10), None), (_ago(minutes=12), _ago(minutes=2)))):
        db.insert("magic_links", user_id=user_id, token_hash=_hash("link", number), expires_at=now
                  + expires, used_at=used and now - used, created_at=now
                  - (used or _ago(minutes=20)))
    for number, (expires, seen) in enumerate((
            (-_ago(hours=2), _ago(days=1)), (_ago(days=50), _ago(days=31)),
            (_ago(days=60), _ago(days=29)),
            (_ago(days=80), _ago(minutes=3)))):
        db.insert("sessions", user_id=user_id, token_hash=_hash("session", number), expires_at=now
                  + expires, last_seen_at=now - seen, created_at=now - _ago(days=90) + expires)


def _exports(db, now, owners: dict) -> None:
    for owner, status, age, left in EXPORTS:
        done = None if left is None else now - age + _ago(minutes=3)
        db.insert("export_requests", user_id=owners[owner], status=status, requested_at=now - age,
                  started_at=done, finished_at=done, expires_at=None if left is None else now
                  + left, attempts=int(left is not None), progress=100 * (left is not None),
                  file_bytes=None if left is None else 18_211)


def _runs(db, now) -> None:
    """Of a job that runs each night, whose latest slot is due."""
    latest = now.replace(hour=2, minute=23, second=0)
    if latest > now:
        latest -= timedelta(days=1)
    for days in PAST_RUNS:
        slot = latest - timedelta(days=days)
        started = slot + timedelta(seconds=4)
        db.insert("job_runs", run_id=_hash("run", days)[:16], job="purge_sessions", slot=slot,
                  status="ok", pid=1, trigger_type="scheduled", host="sample", started_at=started,
                  finished_at=started, duration_ms=9, counts='{"deleted": 2}')
