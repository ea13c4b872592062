"""The whole story of one item of a queue: what is stored, what happened, what is next and why, and
until when it is kept. Addresses are masked, secrets and contents left out (masking.py)."""
from __future__ import annotations

from datetime import datetime

from jobs_lib import clock, masking
from jobs_lib.database import stored
from jobs_lib.database.values import one_line, words
from jobs_lib.engines import attempts
from jobs_lib.engines.claimed_queue import is_cancelled
from jobs_lib.engines.work_queue import (
    DUE,
    SENDING,
    WAITING,
    Item,
    Kept,
    WorkQueue,
    purged,
)
from jobs_lib.ports.outcomes import (
    FINAL,
    GIVEN_BACK,
    LOST,
    RELAY,
    RETRY,
    SENT,
    UNCERTAIN,
    UNREADABLE,
)

LONGEST = 2000                  # characters of a value
ATTEMPTS = 200                  # the latest ones of an item
PURGED = "purged"
OUTCOMES = {
    SENT: "sent", "delivered": "delivered", RETRY: "an attempt failed", FINAL: "failed",
    "failed": "failed for good", UNCERTAIN: "an attempt whose result was lost: it may have arrived",
    RELAY: "not sent, the relay could not be used (no attempt is used up)",
    LOST: "not sent, the connection was lost before it began (no attempt is used up)",
    UNREADABLE: "not sent, its file cannot be read (no attempt is used up)",
    GIVEN_BACK: "not done, for a reason of our own (no attempt is used up)",
    attempts.REPLAYED: "put back into the queue by the operator",
    attempts.CANCELLED: "cancelled by the operator",
    "pass": "checked: in order", "fail": "checked: wrong", "unknown": "checked: no answer",
    "ready": "made"}
# after one of these the item is finished
ENDINGS = (SENT, "delivered", FINAL, "failed", "ready", attempts.CANCELLED)
ENDED = ("sent_at", "finished_at")
# the next attempt and how long the row is kept are said in words
NOT_LISTED = ("deletion", "account", "claim_token", "claim_run", "lease_until")


def plain(item: Item) -> dict:
    """An item as `--json` prints it."""
    found = {**item._asdict(), "to": masking.text(item.to), "why": masking.text(item.why),
             "answer": masking.text(item.answer)}
    return {name: clock.text(value) if isinstance(value, datetime) else value
            for name, value in found.items()}


def plain_kept(kept: Kept) -> dict:
    """How long a row stays, as `--json` prints it."""
    return {**kept._asdict(), "until": kept.until and clock.text(kept.until)}


def story(queue: WorkQueue, ctx, id: int) -> dict | None:
    """Of the item with this id; None if nothing is known of it. Times are UTC, as text."""
    row = queue.read(ctx, id)
    if row is None:
        return _purged(queue, ctx, id)
    item, = queue.describe(ctx, [row])
    return {"kind": queue.item, **plain(item), "events": _events(queue, ctx, row),
            "next": _next(queue, ctx, item),
            "kept": plain_kept(queue.kept(ctx, row)),
            "holds": [masking.text(each) for each in queue.holds(ctx)],
            "stored": shown(row)}


def _purged(queue: WorkQueue, ctx, id: int) -> dict | None:
    """What is still known of an item whose row was deleted: the attempts."""
    events = _events(queue, ctx, {"id": id})
    if not events:
        return None
    nothing = Item(id, None, "", PURGED, None, None, None, None, "", "")
    keep = purged(ctx, {"began_at": events[-1]["at"]}, "purge_job_history", "began_at",
                  option="keep_attempts")
    return {"kind": queue.item, **plain(nothing), "events": events,
            "next": {"at": None, "what": "", "why": "nothing: its row was deleted"},
            "kept": plain_kept(keep._replace(rule="the attempts")), "holds": [], "stored": {}}


def shown(row: dict) -> dict:
    """A row, fit to be shown."""
    return {name: _value(name, value) for name, value in row.items() if name not in NOT_LISTED}


def _value(name: str, value):
    value = masking.value(name, value)
    return one_line(value, LONGEST) if isinstance(value, str) else value


def _events(queue: WorkQueue, ctx, row: dict) -> list[dict]:
    """What happened, in the order of time."""
    tried = [{**_event(each["began_at"], OUTCOMES.get(each["outcome"], one_line(each["outcome"]))),
              **{name: each[name] for name in ("outcome", "code", "duration_ms", "run_id")},
              "answer": masking.text(one_line(each["answer"] or "", LONGEST))}
             for each in attempts.of_item(ctx.db, queue.item, row["id"], ATTEMPTS)]
    cancelled = is_cancelled(row)
    # a cancelled row has times that say who need not be notified any more
    hidden = queue.notified if cancelled else ()
    if tried and tried[-1]["outcome"] in ENDINGS:
        hidden += ENDED                 # the attempt says it
    elif row.get("sent_at"):
        hidden += ("finished_at",)
    found = [_event(row[column], _reason(row) if cancelled and column == "finished_at" else what)
             for column, what in queue.what_happened(ctx, row)
             if row.get(column) and column not in hidden]
    if not tried and row.get("last_attempt_at"):        # made before attempts were kept
        tried = [_event(row["last_attempt_at"], "the last attempt",
                        answer="" if cancelled else _reason(row),
                        code=row.get("last_code", row.get("response_status")))]
    # of the same second, what came of an attempt is after it
    return sorted([*found[:1], *tried, *found[1:]], key=lambda event: event["at"] or "")


def _reason(row: dict) -> str:
    return masking.text(one_line(words(row["last_error"]), LONGEST))


def _event(at, what: str, **more) -> dict:
    moment = stored.time(at)
    return {"at": moment and clock.text(moment), "event": what,
            "outcome": None, "code": None, "answer": "", "duration_ms": None, "run_id": None,
            **more}


def _next(queue: WorkQueue, ctx, item: Item) -> dict:
    """When it is tried next, and what for."""
    if item.next_at is None:
        why = item.why or (f"a run of {queue.job} has it in hand" if item.state == SENDING
                           else "nothing: it is over")
        return {"at": None, "what": "", "why": masking.text(why)}
    number = ""
    if item.most and isinstance(item.attempts, int) and item.state in (DUE, WAITING):
        number = f"attempt {item.attempts + 1} of {max(item.most, item.attempts + 1)}"
    why = item.why
    if not why and item.next_at <= ctx.now:
        why = f"it is due: the next run of {queue.job} takes it in its turn"
    return {"at": clock.text(item.next_at), "what": number, "why": masking.text(why)}
