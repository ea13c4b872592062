"""Mail that the sample service keeps for a while: held back over the limit, or judged to be
spam."""
from __future__ import annotations

import os
from collections import namedtuple
from datetime import timedelta
from email.utils import parseaddr

from jobs_lib.features.forwards.headers import header_text, read_headers
from .messages import store

_ago = timedelta

Held = namedtuple("Held", "owner alias file held warned released", defaults=(None, None))
Held.__doc__ = """One row of overflow_hold; ages count back from now. `warned`: since its owner was sent the warning."""
Spam = namedtuple("Spam", "alias file score quarantined released", defaults=(None,))

HELD = (
    # a day or less before their time is up: one warning lists both
    Held("jane", "shop", "photos.eml", _ago(days=29, hours=2)),
    Held("jane", "club", "minutes.eml", _ago(days=29, hours=20)),
    # past their time: the first was warned of long enough ago, the second was not
    Held("jane", "shop", "seeds.eml", _ago(days=31), warned=_ago(hours=25)),
    Held("sam", "sam", "results.eml", _ago(days=30, hours=2), warned=_ago(hours=20)),
    # not yet
    Held("jane", "club", "walk.eml", _ago(days=12)),
    # released by their owner
    Held("jane", "bank", "keys.eml", _ago(days=12), released=_ago(days=8)),
    Held("jane", "bank", "deposit.eml", _ago(days=11), released=_ago(days=2)),
)
SPAM = (
    Spam("shop", "pills.eml", 12.4, _ago(days=31)),
    Spam("shop", "watch.eml", 7.9, _ago(days=33), released=_ago(days=32)),
    Spam("club", "prize.eml", 15.0, _ago(days=29, hours=23)),
)


def fill(db, spool: str, now, owners: dict, aliases: dict) -> None:
    """Insert the rows, the warnings that were sent before, and store the messages."""
    for row in HELD:
        message = _message(spool, row.file, now - row.held)
        warning = row.warned and _warning(db, now - row.warned, owners[row.owner],
                                          message["subject"])
        db.insert("overflow_hold", user_id=owners[row.owner], alias_id=aliases[row.alias],
                  held_at=now - row.held, warned_at=row.warned and now - row.warned,
                  warning_id=warning,
                  released_at=row.released and now - row.released, **message)
    for spam in SPAM:
        db.insert("spam_quarantine", user_id=owners["jane"], alias_id=aliases[spam.alias],
                  score=spam.score, quarantined_at=now - spam.quarantined, released_at=spam.released
                  and now - spam.released, **_message(spool, spam.file, now - spam.quarantined))


def _message(spool: str, name: str, received) -> dict:
    """Store it; what a row says of it."""
    size = store(spool, name, received)
    headers = read_headers(os.path.join(spool, name))
    return {"raw_path": name, "size_bytes": size,
            "sender": parseaddr(header_text(headers, "From"))[1], "subject": header_text(headers,
                                                                                         "Subject")}


def _warning(db, sent, user_id: int, subject: str) -> int:
    """The notice that told of it, as it is kept after it was sent: without its text."""
    email = db.value("SELECT email FROM {users} WHERE id = :id", id=user_id)
    return db.insert("notifications", user_id=user_id, kind="overflow_warning", persona="overflow",
                     to_email=email, subject="A held message will be deleted", status="sent",
                     dedupe_key=f"sample-warning:{subject}", created_at=sent, sent_at=sent,
                     finished_at=sent)


def snapshot(db, spool: str, before: dict | None = None) -> dict:
    """{id: row} of all held mail as it is now, with whether its file `is_there`; `is_kept`: still
    in the table."""
    rows = db.query("SELECT id, subject, raw_path, held_at, warned_at, released_at "
                    "FROM {overflow_hold} ORDER BY id")
    found = {row["id"]: {**row, "is_kept": True} for row in rows}
    for number, row in (before or {}).items():
        found.setdefault(number, {**row, "is_kept": False})
    for row in found.values():
        row["is_there"] = os.path.exists(os.path.join(spool, row["raw_path"]))
    return found
