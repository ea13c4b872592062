"""The whole story of one item of a queue: what is stored, what happened, what is next and why, and
until when it is kept. Addresses are masked, secrets and contents left out (masking.py)."""
from __future__ import annotations

from datetime import datetime

from jobs_lib import catalogue, clock, masking
from jobs_lib.config.settings import SECTIONS
from jobs_lib.database import stored
from jobs_lib.database.values import one_line
from jobs_lib.engines import attempts
from jobs_lib.engines.items import DUE, SENDING, WAITING, Item, Items, Kept, is_cancelled

LONGEST = 2000                  # characters of a value
ATTEMPTS = 200                  # the latest ones of an item
PURGED = "purged"
NO_ATTEMPT = "(no attempt is used up)"
OUTCOMES = {
    attempts.SENDING: "an attempt began", attempts.SENT: "sent", attempts.REFUSED: "refused",
    attempts.RETRY: "an attempt failed",
    attempts.UNCERTAIN: "an attempt whose result was lost: it may have arrived",
    attempts.POSTPONED: f"not sent, for a reason of ours or of the relay's {NO_ATTEMPT}",
    attempts.UNUSABLE: "could not be sent",
    attempts.REPLAYED: "put back into the queue by the operator",
    attempts.CANCELLED: "cancelled by the operator",
    "pass": "checked: in order", "fail": "checked: wrong", "unknown": "checked: no answer"}
MADE = {("export", attempts.SENT): "made"}
# after one of these the item is over, and its own time of that is no further event
ENDINGS = (attempts.SENT, attempts.REFUSED, attempts.UNUSABLE, attempts.CANCELLED)
ENDED = ("sent_at", "finished_at")
# the next attempt and how long the row is kept are said in words
NOT_LISTED = ("account", "claim_run", "due_at", "to_deleted")


def plain(item: Item) -> dict:
    """An item as `--json` prints it."""
    found = {**item._asdict(), "to": masking.text(item.to), "why": masking.text(item.why),
             "answer": masking.text(item.answer)}
    return {name: clock.text(value) if isinstance(value, datetime) else value
            for name, value in found.items()}


def story(items: Items, ctx, id) -> dict | None:
    """Of the item with this id; None if nothing is known of it. Times are UTC, as text."""
    row = items.row(ctx, id)
    happened = _events(items, ctx, row or {"id": id})
    if row:
        item, = items.describe(ctx, [row])
        kept, holds = items.kept(ctx, row) or _kept(items, ctx, row), items.holds(ctx)
    elif happened:              # its row was deleted: the attempts are still known
        item, holds = Item(id, None, "", PURGED, None, None, None, None, "", ""), []
        kept = _purged(ctx, {"began_at": happened[-1]["at"]}, "purge_job_history", "began_at",
                       option="keep_attempts")
    else:
        return None
    return {"kind": items.queue.kind, **plain(item), "events": happened,
            "next": _next(items.queue.job, ctx, item),
            "kept": {"until": kept.until and clock.text(kept.until), "rule": kept.rule,
                     "option": _written(ctx.config, *kept.option) if kept.option else ""},
            "holds": [masking.text(each) for each in holds],
            "stored": {name: _value(name, value) for name, value in (row or {}).items()
                       if name not in NOT_LISTED}}


def _value(name: str, value):
    value = masking.value(name, value)
    return one_line(value, LONGEST) if isinstance(value, str) else value


def _events(items: Items, ctx, row: dict) -> list[dict]:
    """What happened, in the order of time: what came in, each attempt, what the row's own times
    say."""
    kind = items.queue.kind
    tried = [{**_event(each["began_at"], MADE.get((kind, each["outcome"])) or OUTCOMES.get(
                  each["outcome"], one_line(each["outcome"]))),
              **{name: each[name] for name in ("outcome", "code", "run_id")},
              "answer": masking.text(one_line(each["answer"] or "", LONGEST))}
             for each in attempts.of_item(ctx.db, kind, row["id"], ATTEMPTS)]
    cancelled = is_cancelled(row)
    # a cancelled one has times that say who need not be notified any more
    hidden = items.notified if cancelled else ()
    if tried and tried[-1]["outcome"] in ENDINGS:
        hidden += ENDED                 # the attempt says it
    elif row.get("sent_at"):
        hidden += ("finished_at",)
    found = [_event(row[column], masking.text(one_line(row["last_error"], LONGEST))
                    if cancelled and column == "finished_at"
                    else what(row) if callable(what) else what)
             for column, what in (items.moments if len(row) > 1 else ())
             if row.get(column) and column not in hidden]
    # of the same second, what came of an attempt is after it
    return sorted([*found[:1], *tried, *found[1:]], key=lambda event: event["at"] or "")


def _event(at, what: str) -> dict:
    moment = stored.time(at)
    return {"at": moment and clock.text(moment), "event": what, "outcome": None, "code": None,
            "answer": "", "run_id": None}


def _next(job: str, ctx, item: Item) -> dict:
    """When it is tried next, and what for."""
    why, number = item.why, ""
    if item.state == PURGED:
        why = "nothing: its row was deleted"
    elif item.next_at is None:
        why = why or (f"a run of {job} has it in hand" if item.state == SENDING
                      else "nothing: it is over")
    else:
        if item.most and isinstance(item.attempts, int) and item.state in (DUE, WAITING):
            number = f"attempt {item.attempts + 1} of {max(item.most, item.attempts + 1)}"
        if not why and item.next_at <= ctx.now:
            why = f"it is due: the next run of {job} takes it in its turn"
    return {"at": item.next_at and clock.text(item.next_at), "what": number,
            "why": masking.text(why)}


def _kept(items: Items, ctx, row: dict) -> Kept:
    """By its purge, once it is finished."""
    if row["status"] not in items.statuses():
        return Kept(None, None, "until somebody deletes it or changes its status")
    if row["status"] in (items.queue.waits, items.queue.works):
        return Kept(None, None, "as long as it is in the queue")
    return _purged(ctx, row, items.purge, *items.age)


def _purged(ctx, row: dict, job: str, age: str, fallback: str = "", option: str = "keep") -> Kept:
    """Kept by an option of a purge, from the time in the column `age` on."""
    keep = getattr(ctx.config.job_named(job), option)
    if keep is None:
        return Kept(None, (job, option), "it is kept for ever")
    column = age if row[age] is not None or not fallback else fallback
    start = clock.parse_any(row[column])
    rule = "the attempts" if option == "keep_attempts" else f"counted from {column}"
    return Kept(start and clock.plus(start, keep), (job, option), rule)


def _written(config, section: str, option: str) -> str:
    """An option as it is set: `[purge_failed_emails] keep = 7d`."""
    options = SECTIONS.get(section) or catalogue.load(section).options
    return f"[{section}] {option} = {config.written(section, option, options[option]).text}"
