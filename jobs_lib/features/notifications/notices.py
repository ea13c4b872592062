"""What is written about what was done: a notice to the owner, once, and a row in the audit log; and
whether a warning was sent.

A warning counts from when it was sent. One that waits lets nothing happen yet, and one that was
cancelled counts as not written. One that was refused goes to the owner's next verified address.
Where all have refused it, or its owner is suspended, what it warns of happens at twice the limit.
"""
from __future__ import annotations

import json
from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.stored import LABEL, fitted
from jobs_lib.text import words

from . import KINDS, render

LONGEST_ADDRESS = 254               # RFC 5321
MOST_DESTINATIONS = 50              # of an owner that are tried
COLUMNS = ", ".join(f"{{notifications}}.{name}" for name in (
    "id", "user_id", "to_email", "status", "sent_at"))
# SQL: nobody has cancelled it
STANDS = ("CASE WHEN {notifications}.status = 'failed' AND {notifications}.last_error "
          "LIKE 'cancelled: %' THEN 0 ELSE 1 END = 1")


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


def occurrence(kind: str, id, moment) -> str:
    """The key of a notice about the row with this id, by when it came to that."""
    return f"{kind.replace('_', '-')}:{id}:{clock.text(moment)}"


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


def audit(ctx, user_id, event: str, details: dict, severity: str = "info") -> None:
    """Add a row to the audit log, in the transaction that does it. `event` as `alias.expired`;
    `details` without secrets or contents."""
    ctx.db.insert("audit_logs", user_id=user_id, actor="jobs", event=event, severity=severity,
                  details=json.dumps(details, ensure_ascii=False, sort_keys=True, default=words),
                  created_at=ctx.clock())


# Warnings

def is_warned(ctx, key: str, *, notice: timedelta, since, limit: timedelta) -> bool:
    """Whether the warning that `key` names was sent `notice` ago; or cannot be sent, and twice the
    `limit` has passed `since` then. To be asked at each look, in the transaction that acts on it.
    """
    row = ctx.db.row(f"SELECT {COLUMNS} FROM {{notifications}} WHERE dedupe_key = :key "
                     f"AND {STANDS}", key=dedupe_key(key))
    if row and row["status"] == "sent" and (sent := clock.parse_any(row["sent_at"])):
        return ctx.now >= sent + notice
    waits = row and (row["status"] in ("pending", "sending") or _send_elsewhere(ctx, row)) and (
        ctx.db.value("SELECT status FROM {users} WHERE id = :id", id=row["user_id"]) != "suspended")
    return not waits and ctx.now >= clock.plus(since, 2 * limit)


def follow_up_refused(ctx, kind: str, table: str, lists: str) -> None:
    """Put each warning of this kind that was refused, and that rows of `table` still wait for, back
    into the queue. `lists`: SQL by which such a row is listed by its notice."""
    refused = ctx.db.query(f"SELECT DISTINCT {COLUMNS} FROM {{notifications}} JOIN {{{table}}} "
                           f"ON {lists} WHERE {{notifications}}.status = 'failed' "
                           f"AND {{notifications}}.kind = :kind AND {STANDS}", kind=kind)
    for notice in refused:
        ctx.db.batch(partial(_send_elsewhere, ctx, notice))
        if ctx.should_stop():
            return


def _send_elsewhere(ctx, notice: dict) -> bool:
    """Queue a notice that was refused for the next address. Whether there is one."""
    if notice["status"] != "failed":
        return False
    email = ctx.db.value("SELECT email FROM {users} WHERE id = :id", id=notice["user_id"])
    refused = words(notice["to_email"]).lower()
    known = addresses(ctx.db, notice["user_id"], email)
    behind = list(known)
    if refused in known:
        behind = behind[behind.index(refused) + 1:]
    if behind and not ctx.dry_run:
        ctx.db.execute(
            "UPDATE {notifications} SET status = 'pending', to_email = :to, attempts = 0, "
            "uncertain = 0, next_attempt_at = :now, finished_at = NULL WHERE id = :id "
            "AND status = 'failed'", now=ctx.clock(), id=notice["id"], to=known[behind[0]])
    return bool(behind)


def warned(ctx, table: str, age: str, lists: str, notice: timedelta,
           limit: timedelta) -> tuple[str, dict]:
    """(SQL, values) of when the owner of each row of `table` was warned: `<= :warned_by` is the
    same answer as that of `is_warned`, judged in the DELETE itself, and NULL that a warning has to
    be written. The limit counts from the column `age`; `lists` as above."""
    late = f"{{{table}}}.{age} < :twice"
    suspended = ("(SELECT status FROM {users} WHERE {users}.id = "
                 f"{{{table}}}.user_id) = 'suspended'")
    # A value, not EXISTS: that MariaDB may answer by reading all notices that were ever sent.
    began = (
        "(SELECT MAX(CASE WHEN status = 'sent' THEN sent_at "
        f"WHEN {late} AND (status = 'failed' OR {suspended}) THEN :warned_by "
        f"ELSE :never END) FROM {{notifications}} WHERE {lists} AND {STANDS})")
    unsent = f"CASE WHEN {late} AND {suspended} THEN :warned_by END"
    return f"COALESCE({began}, {unsent})", {
        "warned_by": ctx.now - notice,
        "twice": clock.plus(ctx.now, -2 * limit),
        "never": clock.LAST}
