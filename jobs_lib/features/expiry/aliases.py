"""Aliases that have an end: switching them off when it has come, and telling their owners before
and after."""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.engines import audit
from jobs_lib.errors import Conflict
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.reminders import (
    SAMPLE_ROWS,
    Reminder,
    alone,
    owners,
    remind_owner,
)
from jobs_lib.text import counted

EVENT = "alias.expired"
# aliases of one owner that are switched off in one transaction, and that a notice lists
MOST = 500
# of an older end nobody is notified any more: it was long ago, as on a first run
NEWS = timedelta(days=7)
PAST = "active = 1 AND expires_at >= :earliest AND expires_at < :ended"
COLUMNS = "id, user_id, address, expires_at"


def expire(ctx) -> None:
    """Switch off what is past its end, an owner at a time, each with its audit rows and its notice
    in one commit. A dry run shows it."""
    if not ctx.may_expire():
        return
    past = {"earliest": clock.FIRST, "ended": ctx.now}     # MySQL's 0000-00-00 is no end
    sample: list[dict] = []
    for user_id in owners(ctx, "aliases", "expires_at", PAST, past):
        with alone(ctx, user_id):
            sample += _expire_of(ctx, user_id, past)[:SAMPLE_ROWS - len(sample)]
        if ctx.should_stop(ctx.counts["expired"]):
            break
    if ctx.dry_run:
        ctx.show(f"deactivate {counted(ctx.counts['expired'], 'alias', 'aliases')}, with "
                 f"{counted(ctx.counts['notices'], 'notice')}", sample)


def _expire_of(ctx, user_id: int, past: dict) -> list[dict]:
    """Those of one owner; some of them."""
    sample: list[dict] = []
    for page in ctx.db.pages(
            f"SELECT {COLUMNS} FROM {{aliases}} WHERE user_id = :user_id AND {PAST}",
            key=("expires_at", "id"), size=MOST, user_id=user_id, **past):
        rows = page[:ctx.within_limit(MOST, ctx.counts["expired"])]
        sample = sample or rows[:SAMPLE_ROWS]
        ctx.db.batch(partial(_switch_off, ctx, user_id, past, [row["id"] for row in rows]))
        ctx.progress(ctx.counts["expired"], notices=ctx.counts["notices"])
        if not ctx.dry_run:
            ctx.sleep(ctx.db.dialect.batches.pause)         # others write too
        if ctx.should_stop(ctx.counts["expired"]):
            break
    return sample


def _switch_off(ctx, user_id: int, past: dict, ids: list[int]) -> None:
    """One transaction. The rows are read again, locked: what was extended meanwhile stays on, and
    what was moved to another owner waits for the next run."""
    rows = ctx.db.query(f"SELECT {COLUMNS} FROM {{aliases}} WHERE id IN (:ids) AND {PAST}"
                        " AND +user_id = :user_id"
                        f" ORDER BY expires_at, id{ctx.db.for_update}", ids=ids, user_id=user_id,
                        **past)
    if rows and not ctx.dry_run:
        _record(ctx, user_id, past, rows)
    ctx.count("expired", len(rows))
    if news := _news(ctx, rows):
        remind_owner(ctx, EXPIRED, user_id, news)


def _record(ctx, user_id: int, past: dict, rows: list[dict]) -> None:
    changed = ctx.db.execute(f"UPDATE {{aliases}} SET active = 0 WHERE id IN (:ids) AND {PAST}",
                             ids=[row["id"] for row in rows], **past)
    if changed != len(rows):
        raise Conflict("aliases changed while they were switched off")
    audit.record_all(ctx.db, now=ctx.clock(), event=EVENT, entries=[
        (user_id, {"alias_id": row["id"], "address": row["address"],
                   "expires_at": row["expires_at"]})
        for row in rows])


def _news(ctx, rows: list[dict]) -> list[dict]:
    """Those whose owner is to be notified."""
    return [row for row in rows if ctx.options.notify_expired
            and (end := clock.parse_any(row["expires_at"])) and end >= ctx.now - NEWS]


# Notices

def _due(ctx) -> tuple[str, dict]:
    # Those past their end are not announced any more, they are switched off.
    return ("active = 1 AND expires_at >= :ended AND expires_at < :warned_from",
            {"ended": ctx.now, "warned_from": ctx.now + ctx.options.warn_before})


def _wanted(ctx, row: dict) -> bool:
    """Whether the owner is still to be notified of this end: a notice from before its span was
    about an earlier one."""
    notified, end = (clock.parse_any(row[name]) for name in ("expiry_notified_at", "expires_at"))
    return end is not None and (notified is None or notified < end - ctx.options.warn_before)


def _key(kind: str, ctx, user_id: int, rows: list[dict]) -> str:
    return f"{kind}:{rows[0]['id']}:{rows[0]['expires_at']}"


def _values(ctx, user: dict, rows: list[dict]) -> dict:
    ends = [clock.parse(row["expires_at"]) for row in rows]
    return {
        "count": len(rows), "many": len(rows) > 1, "first_address": rows[0]["address"],
        "first": render.minute(ends[0]), "first_day": render.day(ends[0]),
        "aliases": [{"address": row["address"], "ends": render.minute(end)} for row,
                    end in zip(rows, ends)],
    }


EXPIRING = Reminder(kind="alias_expiring", table="aliases", age="expires_at", due=_due,
                    columns=("address", "expiry_notified_at"), notified=("expiry_notified_at",),
                    wanted=_wanted, key=partial(_key, "alias-expiring"), values=_values, most=MOST)
EXPIRED = Reminder(kind="alias_expired", table="aliases", age="expires_at", due=None,
                   columns=("address",), notified=(), key=partial(_key, "alias-expired"),
                   values=_values,
                   most=MOST)
