"""Rows that go back into their queue as if they had never been tried: due now, all attempts
ahead."""
from __future__ import annotations

from collections import namedtuple
from datetime import datetime

from jobs_lib import clock
from jobs_lib.chunks import chunked

FINISHED = ("failed", "sent", "delivered")
LARGEST_ID = 2 ** 63 - 1
AT_ONCE = 500                   # rows in one transaction
LISTED = 10                     # reasons that are given one by one

Kind = namedtuple("Kind", "name table job columns why_lost reset reasons_to_cancel expires")
Kind.__doc__ = """One queue, as far as its rows differ from those of another.

name      what a row is called
table     its table; job: which job works it off
columns   SQL: what `why_lost` needs of a row
why_lost  function of (row, session): why it cannot be sent again, or None
reset     SQL: what else starts over
reasons_to_cancel  function of (db, ids): {id: why the job can only cancel it}
expires   whether the job has `give_up_after`
"""


def put_back(db, kind: Kind, session, ids: list[int], now) -> dict[int, str]:
    """Put rows back, inside a transaction. {id: why it was refused}."""
    rows = {row["id"]: row for row in db.query(
        f"SELECT id, status, {kind.columns} FROM {{{kind.table}}} "
        f"WHERE id IN (:ids){db.for_update}",
        ids=[id for id in ids if id <= LARGEST_ID])}
    refused = {id: reason for id in ids if (reason := _refusal(kind, rows.get(id), session))}
    reset(db, kind, [id for id in ids if id not in refused], now)
    return refused


def _refusal(kind: Kind, row: dict | None, session) -> str | None:
    if row is None:
        return "there is no such row (it may have been purged)"
    if row["status"] not in FINISHED:
        return f"it is in the queue already ({row['status']})"
    return kind.why_lost(row, session)


def reset(db, kind: Kind, ids: list[int], now) -> None:
    """Have them start over, whatever they are."""
    db.execute(f"UPDATE {{{kind.table}}} SET status = 'pending', attempts = 0,"
               " next_attempt_at = :now, finished_at = NULL, uncertain = 0, claim_token = NULL,"
               f" claim_run = NULL, lease_until = NULL{kind.reset} WHERE id IN (:ids)",
               ids=ids, now=now)


def hints(db, kind: Kind, session, done: list[int], now) -> list[str]:
    """What else the operator may want to know of the rows that were put back."""
    if not done:
        return []
    reasons: dict = {}
    for ids in chunked(done, AT_ONCE):
        reasons.update(kind.reasons_to_cancel(db, ids))
    hints = [f"{kind.name} {id}: the next run of {kind.job} can only cancel it, since {why}."
             for id, why in list(reasons.items())[:LISTED]]
    if len(reasons) > LISTED:
        hints.append(f"The same goes for {len(reasons) - LISTED:,} others.")
    if len(done) > len(reasons):
        which = "the rest" if reasons else "it" if len(done) == 1 else "them"
        hints.append(f"The next run of {kind.job} sends {which}.")
    old = _past_their_time(db, kind, session, done, now) if kind.expires else 0
    if old:
        hints.append(f"Older than [{kind.job}] give_up_after: {old}. For "
                     f"{'it' if old == 1 else 'these'} that attempt is the only one.")
    if db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=kind.job):
        hints.append(f"{kind.job} is paused: `jobs.py resume {kind.job}`.")
    return hints


def _past_their_time(db, kind: Kind, session, ids: list[int], now) -> int:
    age = session.config.job_named(kind.job).give_up_after
    return db.value(f"SELECT COUNT(*) FROM {{{kind.table}}} WHERE id IN (:ids) "
                    "AND created_at <= :oldest", ids=ids, oldest=now - age)


def moment(words: str) -> datetime:
    """A time in UTC, for argparse: `2026-11-24`, `2026-11-24 14:30`, `2026-11-24T14:30:05Z`."""
    try:
        found = datetime.fromisoformat(words.strip().replace("Z", "+00:00"))
    except ValueError:
        import argparse
        raise argparse.ArgumentTypeError("expected a time such as '2026-11-24 14:30', not "
                                         f"{words!r}") from None
    return (found if found.tzinfo else found.replace(tzinfo=clock.UTC)).astimezone(clock.UTC)
