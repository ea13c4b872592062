"""The demo's service: its tables filled with the demo data, and its raw messages stored."""
from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from jobs_lib.folders import private

from . import data
from .messages import MESSAGES, store


def fill(db, spool: str, now) -> None:
    """Put rows into every table that a job looks at, and the raw messages into the spool folder."""
    private(spool)
    ids: dict[str, int] = {}
    with db.transaction():
        for table, (columns, rows) in data.TABLES.items():
            for row in rows:
                values = {column: _value(value, now, ids)
                          for column, value in zip(columns.split(), row) if value is not None}
                key = values.pop("key", "")
                ids[key] = db.insert(table, **values, **_derived(table, values, spool))
        _logs(db, now, ids)
        _usage(db, now, ids["jane"])


def _value(value, now, ids: dict[str, int]):
    """What a row of data.TABLES means here and now."""
    if isinstance(value, timedelta):
        return now + value
    return ids[value[1:]] if str(value).startswith("@") else value


def _derived(table: str, values: dict, spool: str) -> dict:
    """The columns that follow from the others of a row, and the message that it names, stored."""
    if table == "failed_emails":
        return {"size_bytes": store(spool, values["raw_path"], values["created_at"])}
    if table in ("overflow_hold", "spam_quarantine"):
        received = values.get("held_at") or values["quarantined_at"]
        sender, _, _, subject, _ = MESSAGES[values["raw_path"]]
        return {"size_bytes": store(spool, values["raw_path"], received), "subject": subject,
                "sender": sender}
    if table in ("destination_verifications", "magic_links", "sessions"):
        return {"token_hash": _hash(table, values)}
    if table == "webhook_deliveries":
        return {"payload": json.dumps({"type": values["event_type"],
                                       "alias": "shop@alias.example"})}
    return {}


def _hash(*parts) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _logs(db, now, ids: dict) -> None:
    """Log rows of some owners, and the headers of some of them; one has lost its log row."""
    for owner, (step, days, alias) in data.LOGGED.items():
        for number, age in enumerate(range(1, days, step)):
            sent = now - timedelta(days=age, hours=number % 5)
            log = db.insert("message_logs", user_id=ids[owner], alias_id=ids[alias],
                            direction="reply" if number % 6 == 5 else "forward",
                            status=data.LOG_STATUSES[number % len(data.LOG_STATUSES)],
                            bytes_used=2000 + number * 7919 % 60_000, created_at=sent)
            if number % 3 == 0:
                _headers(db, log, ids[owner], sent)
    _headers(db, log + 1_000_000, ids["jane"], now - timedelta(days=12))


def _headers(db, log: int, user_id: int, sent) -> None:
    db.insert("header_snapshots", message_log_id=log, user_id=user_id, created_at=sent,
              ciphertext=bytes.fromhex(_hash("headers", log)))


def _usage(db, now, user_id: int) -> None:
    """A small plan of which most is used; its daily totals as the rollup writes them."""
    db.execute("UPDATE {users} SET billing_anchor = :anchor, email_limit = :limit WHERE id = :id",
               anchor=now.date() + data.CYCLE_BEGAN, limit=data.EMAIL_LIMIT, id=user_id)
    db.insert_select_adding(
        "usage_daily", ("user_id", "day"), ("email_count", "bytes_used"),
        "SELECT user_id, DATE(created_at), COUNT(*), SUM(bytes_used) FROM {message_logs}"
        " WHERE user_id = :id GROUP BY user_id, DATE(created_at)", id=user_id)
