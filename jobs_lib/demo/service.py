"""The demo's service: its tables filled with the demo data, and its raw messages stored."""
from __future__ import annotations

import hashlib
import json
import os
from datetime import timedelta
from email.utils import format_datetime

from jobs_lib.folders import new_file, private

from . import data

HOPS = 51                # Received lines of a message that goes round in a circle
BODY = "Hello,\n\nthis message was made up. Schöne Grüße!\n"      # of 8 bits
# {file: (sender, alias, subject)}
MESSAGES = {
    "order.eml": ("orders@outdoor.example", "shop", "Order 4711 is on its way"),
    "greetings.eml": ("joerg@koeln.example", "shop", "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?="),
    "bounce.eml": ("MAILER-DAEMON@books.example", "shop", "Undelivered mail"),
    "party.eml": ("ann@club.example", "club", "Party: who brings what?"),
    "loop.eml": ("news@circle.example", "club", "Fwd: Fwd: Chess results"),
    "welcome.eml": ("hello@forum.example", "lena", "Welcome to the forum"),
    "recipe.eml": ("post@cookery.example", "club", "The recipe you asked for"),
    "survey.eml": ("ask@survey.example", "shop", "Two minutes of your time?"),
    # held, since the account was over its limit
    "photos.eml": ("lab@photo.example", "shop", "Your photos are ready"),
    "seeds.eml": ("post@garden.example", "shop", "Spring seeds are here"),
    "keys.eml": ("house@rent.example", "club", "Handing over the keys"),
    # judged to be spam
    "pills.eml": ("win@pills.example", "shop", "Cheapest pills ever"),
    "offer.eml": ("sale@offer.example", "nils", "An offer"),
}


def fill(db, spool: str, now) -> None:
    """Put rows into the tables, and messages into the spool folder."""
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
    """The columns that follow from others; the message is stored."""
    if table == "failed_emails":
        return {"size_bytes": _store(spool, values["raw_path"], values["created_at"])}
    if table in ("overflow_hold", "spam_quarantine"):
        received = values.get("held_at") or values["quarantined_at"]
        sender, _, subject = MESSAGES[values["raw_path"]]
        return {"size_bytes": _store(spool, values["raw_path"], received), "subject": subject,
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
    """A small plan of which most is used, and its daily totals."""
    db.execute("UPDATE {users} SET billing_anchor = :anchor, email_limit = :limit WHERE id = :id",
               anchor=now.date() + data.CYCLE_BEGAN, limit=data.EMAIL_LIMIT, id=user_id)
    db.execute(
        "INSERT INTO {usage_daily} (user_id, day, email_count, bytes_used) "
        "SELECT user_id, DATE(created_at), COUNT(*), SUM(bytes_used) FROM {message_logs} "
        "WHERE user_id = :id GROUP BY user_id, DATE(created_at)", id=user_id)


def _store(spool: str, name: str, received) -> int:
    """Write the message of this name that came in at `received` (aware datetime) into the spool,
    once, and return its size in bytes; 0 for one that is meant to be missing."""
    path = os.path.join(spool, name)
    if name not in MESSAGES:
        return 0
    if not os.path.exists(path):
        sender, alias, subject = MESSAGES[name]
        date = format_datetime(received)
        trace = "".join(f"Received: from mx.{sender.partition('@')[2]} by mx{hop}.alias.example;\n"
                        f" {date}\n" for hop in range(HOPS if name == "loop.eml" else 1))
        text = (f"{trace}Date: {date}\nMessage-ID: <{name}.{sender}>\nFrom: {sender}\n"
                f"To: {alias}@alias.example\nSubject: {subject}\nMIME-Version: 1.0\n"
                "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
                f"{BODY}")
        with new_file(path) as file:
            file.write(text.replace("\n", "\r\n").encode("utf-8"))
    return os.path.getsize(path)
