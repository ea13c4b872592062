"""The whole story of one item of a queue: what is stored, what happened, what is next and why, and
until when it is kept. Addresses are masked, secrets and contents left out (masking.py)."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines import attempts
from jobs_lib.text import masking, one_line, setting

from .base import Items

LONGEST = 2000                  # characters of a value
ATTEMPTS = 200                  # the latest ones of an item
OUTCOMES = {
    attempts.SENDING: "an attempt began", attempts.SENT: "an attempt succeeded",
    attempts.REFUSED: "refused", attempts.RETRY: "an attempt failed",
    attempts.UNCERTAIN: "an attempt whose result was lost: it may have arrived",
    attempts.POSTPONED: "not sent, because of this host or the relay (no attempt is used up)",
    attempts.UNUSABLE: "could not be sent",
    attempts.REPLAYED: "put back into the queue by the operator",
    attempts.CANCELLED: "cancelled by the operator",
    "pass": "checked: in order", "fail": "checked: wrong", "unknown": "checked: no answer"}
# the next attempt and how long the row is kept are said in words
NOT_LISTED = ("account", "claim_run", "due_at", "is_stopped", "unneeded")


def story(items: Items, id) -> dict | None:
    """Of the item with this id; None if nothing is known of it. Times are UTC, as text."""
    row = items.read([id], "*").get(id)
    happened = _events(items, id, row)
    if row:
        item, = items.describe([row])
        # relay, limits and [dns] hold what is due; the job's own pause holds all
        is_due = "" < (item["next_at"] or "") <= clock.text(items.now)
        kept, holds = _kept(items, row), items.holds() if is_due else Items.holds(items)
    elif happened:  # its row was deleted: the attempts are still known
        item = {"id": id, "state": "purged", "to": "", "owner": None, "attempts": None,
                "most": None, "next_at": None, "why": "its row was deleted", "answer": ""}
        kept = {"until": None, "rule": "only its attempts are still known",
                "option": _written(items, "purge_job_history", "keep_attempts")}
        holds = []
    else:
        return None
    # mail that was postponed and may not be the cause is due
    is_behind = item["state"] == "waiting" and [
        each["outcome"] for each in happened[-1:]] == [attempts.POSTPONED]
    return {"kind": items.queue.kind, **item, "events": happened, "kept": kept,
            "why": item["why"] or (
                "it may be the cause itself: the others go first" if is_behind else ""),
            "holds": holds, "stored": {name: _value(name, value) for name, value
                                       in (row or {}).items() if name not in NOT_LISTED}}


def _value(name: str, value):
    value = masking.value(name, value)  # cut last: half an address is not recognized
    return one_line(value, LONGEST) if isinstance(value, str) else value


def _events(items: Items, id, row: dict | None) -> list[dict]:
    """What happened, in the order of time: what came in, each attempt, what the row's own times
    say."""
    tried = [{**_event(each["began_at"], OUTCOMES.get(each["outcome"], one_line(each["outcome"]))),
              **{name: each[name] for name in ("outcome", "code", "run_id")},
              "answer": masking.text(one_line(each["answer"], LONGEST))}
             for each in attempts.of_item(items.db, items.queue.kind, id, ATTEMPTS)]
    found = [_event(row[column], what) for column, what in items.moments
             if row and row.get(column)]
    # of the same second, what came of an attempt is after it
    return sorted([*found[:1], *tried, *found[1:]], key=lambda event: event["at"] or "")


def _event(at, what: str) -> dict:
    moment = stored.time(at)
    return {"at": moment and clock.text(moment), "event": what, "outcome": None, "code": None,
            "answer": "", "run_id": None}


def _kept(items: Items, row: dict) -> dict:
    """Until when a row stays: `until`, where that is known, by this `option`, and the `rule`."""
    until, rule, option = None, "as long as the account", ""
    if items.purge:
        option = _written(items, items.purge, "keep")
        keep = items.options_of(items.purge).keep
        column = next((name for name in items.age if row[name] is not None), items.age[-1])
        rule = f"counted from {column}"
        if row["status"] not in (items.queue.done, "failed"):
            rule = "it is finished, and then as long as this says:"
        elif keep is not None and (start := clock.parse_any(row[column])):
            until = clock.text(clock.plus(start, keep))
    return {"until": until, "option": option, "rule": rule}


def _written(items: Items, job: str, name: str) -> str:
    """An option as it is set: `[purge_failed_emails] keep = 7d`."""
    length = getattr(items.options_of(job), name)
    return f"[{job}] {name} = {setting(length) if length else 'off'}"
