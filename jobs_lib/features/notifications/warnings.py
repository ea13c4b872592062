"""Whether an owner was warned: a warning counts from when it was sent.

One that waits lets nothing happen yet. One that was refused goes to the owner's next verified
address; when the last has refused it, to the first again a week later. Where it cannot be sent, or
its owner is suspended, what it warns of happens at twice the limit: nothing is kept for ever.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import words

from .enqueue import addresses, dedupe_key

AGAIN = timedelta(days=7)           # after the last address has refused a warning
COLUMNS = ", ".join(f"{{notifications}}.{name}" for name in (
    "id", "user_id", "to_email", "status", "sent_at", "finished_at", "last_error"))


def is_warned(ctx, key: str, *, notice: timedelta, since, limit: timedelta) -> bool:
    """Whether the warning that `key` names was sent `notice` ago; or cannot be sent, and twice the
    `limit` has passed `since` then. To be asked at each look, in the transaction that acts on it.
    """
    row = ctx.db.row(f"SELECT {COLUMNS} FROM {{notifications}} WHERE dedupe_key = :key",
                     key=dedupe_key(key))
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
                           "AND {notifications}.kind = :kind", kind=kind)
    for notice in refused:
        ctx.db.batch(partial(_send_elsewhere, ctx, notice))
        if ctx.should_stop():
            return


def _send_elsewhere(ctx, notice: dict) -> bool:
    """Queue a notice that was refused for the owner's next address. Whether there is one. What was
    cancelled stays so."""
    if notice["status"] != "failed" or words(notice["last_error"]).startswith("cancelled"):
        return False
    email = ctx.db.value("SELECT email FROM {users} WHERE id = :id", id=notice["user_id"])
    known, refused = addresses(ctx.db, notice["user_id"], email), words(notice["to_email"]).lower()
    names = list(known)
    behind = names[names.index(refused) + 1:] if refused in known else names
    ended = clock.parse_any(notice["finished_at"])
    if not behind and (ended is None or ctx.clock() - ended >= AGAIN):
        behind = names
    if behind and not ctx.dry_run:
        ctx.db.execute(
            "UPDATE {notifications} SET status = 'pending', to_email = :to, attempts = 0, "
            "uncertain = 0, next_attempt_at = NULL, finished_at = NULL "
            "WHERE id = :id AND status = 'failed'", id=notice["id"], to=known[behind[0]])
    return bool(behind)


# Of many rows at once, in the DELETE itself

def warned_sql(table: str, age: str, lists: str) -> str:
    """SQL with the same answer as `is_warned` for each row of `table`, whose limit counts from its
    column `age`. `lists` as above; the values are `warned_values`."""
    # A value, not EXISTS: that MariaDB may answer by reading all notices that were ever sent.
    began = ("(SELECT MIN(CASE {notifications}.status WHEN 'sent' THEN {notifications}.sent_at "
             "WHEN 'failed' THEN NULL ELSE CASE WHEN (SELECT status FROM {users} WHERE {users}.id "
             f"= {{{table}}}.user_id) = 'suspended' THEN NULL ELSE :never END END) "
             f"FROM {{notifications}} WHERE {lists})")
    return f"COALESCE({began}, CASE WHEN {age} < :twice THEN :warned_by END) <= :warned_by"


def warned_values(ctx, notice: timedelta, limit: timedelta) -> dict:
    """The values of `warned_sql`."""
    return {"warned_by": ctx.now - notice, "twice": clock.plus(ctx.now, -2 * limit),
            "never": clock.LAST}
