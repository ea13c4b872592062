"""Putting a notice into the queue of `notifications`, once, and the addresses it can go to."""
from __future__ import annotations

from jobs_lib.database.values import LABEL, fitted, words

from . import render
from .kinds import KINDS

LONGEST_ADDRESS = 254               # RFC 5321
MOST_DESTINATIONS = 50              # of an owner that are tried


def notify(ctx, user: dict, kind: str, key: str, values: dict, now=None) -> int | None:
    """Queue one notice to a user (`id`, `email`, `name`), in the transaction that marks what it is
    about.

    `key` names the occurrence (`alias-expiring:<id>:<expires_at>`), `values` is what the templates
    show besides `name`. It is written whatever the address is: the app can show it. The id of the
    notice, 0 in a dry run; None when this occurrence had one.
    """
    key = dedupe_key(key)
    if ctx.db.row("SELECT id FROM {notifications} WHERE dedupe_key = :key", key=key):
        return None
    if ctx.dry_run:
        return 0
    about = KINDS[kind]
    letter = render.write(ctx, kind, {"name": user["name"] or user["email"], **values})
    return ctx.db.insert(
        "notifications", user_id=user["id"], kind=kind, persona=about.persona,
        to_email=words(user["email"])[:LONGEST_ADDRESS], subject=letter.subject,
        body_text=letter.text, body_html=letter.html, dedupe_key=key, priority=about.priority,
        created_at=now or ctx.clock())


def dedupe_key(text: str) -> str:
    """What names an occurrence, as its column takes it."""
    return fitted(text, LABEL)


def addresses(db, user_id, email) -> dict[str, str]:
    """{in lower case: as it is written} of each address of an owner: of the account (`email`)
    first, then the verified destinations."""
    rows = db.query("SELECT email FROM {destinations} WHERE user_id = :id AND verified_at IS NOT "
                    "NULL ORDER BY verified_at, id LIMIT :most", id=user_id, most=MOST_DESTINATIONS)
    known: dict[str, str] = {}
    for address in (words(email), *(words(row["email"]) for row in rows)):
        if address:
            known.setdefault(address.lower(), address)
    return known
