"""Putting a notice into the queue of `notifications`, once."""
from __future__ import annotations

from jobs_lib.addresses import AddressError, check
from jobs_lib.database.values import LABEL, fitted

from . import render
from .kinds import KINDS


def notify(ctx, user: dict, kind: str, key: str, values: dict, now=None) -> int | None:
    """Queue one notice to a user (`id`, `email`, `name`), in the transaction that marks what it is
    about.

    `key` names the occurrence (`alias-expiring:<id>:<expires_at>`), and `values` is what the
    templates show besides `name`. Who signs it and how urgent it is comes from its kind. The id of
    the notice, 0 in a dry run; None when mail cannot reach the user, or this occurrence had one.
    """
    key = dedupe_key(key)
    if not is_reachable(ctx, user) or ctx.db.row(
            "SELECT id FROM {notifications} WHERE dedupe_key = :key", key=key):
        return None
    if ctx.dry_run:
        return 0
    about = KINDS[kind]
    letter = write_to(ctx, user, kind, values)
    return ctx.db.insert(
        "notifications", user_id=user["id"], kind=kind, persona=about.persona,
        to_email=user["email"], subject=letter.subject, body_text=letter.text,
        body_html=letter.html, dedupe_key=key, priority=about.priority,
        created_at=now or ctx.clock())


def dedupe_key(text: str) -> str:
    """What names an occurrence, as its column takes it."""
    return fitted(text, LABEL)


def write_to(ctx, user: dict, kind: str, values: dict) -> render.Letter:
    """What a notice says to this user."""
    return render.write(ctx, kind, {"name": user["name"] or user["email"], **values})


def is_reachable(ctx, user: dict) -> bool:
    """Whether mail can go to the user (`id`, `email`); if not, the log says why."""
    try:
        check(user["email"])
        return True
    except AddressError as error:
        ctx.log.warning("owner cannot be notified", user_id=user["id"], reason=str(error))
        return False


def short_hash(text: str) -> str:
    """Names something in a key of limited length."""
    from hashlib import sha256
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
