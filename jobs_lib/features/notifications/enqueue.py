"""Putting a notice into the queue of `notifications`, once."""
from __future__ import annotations

from jobs_lib.addresses import AddressError, check

from .kinds import KINDS


def reaches(ctx, user: dict) -> bool:
    """Whether mail can go to the owner (`id`, `email`); if not, the log says why."""
    try:
        check(user["email"])
        return True
    except AddressError as error:
        ctx.log.warning("owner cannot be told", user_id=user["id"], reason=str(error))
        return False


def queue(db, *, now, user_id: int | None, kind: str, to_email: str, letter,
          dedupe_key: str) -> int:
    """Queue one notice and return its id; call it in the transaction that marks what it tells of.

    `letter` has `subject`, `text` and `html`; who signs it and how urgent it is comes from its
    kind. `dedupe_key` names the occurrence (`alias-expiring:<id>:<expires_at>`): Duplicate when it
    was queued before.
    """
    about = KINDS[kind]
    return db.insert("notifications", user_id=user_id, kind=kind, persona=about.persona,
                     to_email=to_email, subject=letter.subject, body_text=letter.text,
                     body_html=letter.html, dedupe_key=dedupe_key, priority=about.priority,
                     created_at=now)


def short_hash(text: str) -> str:
    """Names something in a key of limited length."""
    from hashlib import sha256
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
