"""A dry run over a queue of mail: the run without its writes, by what is due now and by the same
room."""
from __future__ import annotations

from jobs_lib.text import counted

from . import relay
from .due import Queue, due
from .limits import Limits
from .queue import Work
from .rows import invalid

LOOKED_AT, SHOWN = 1000, 10          # rows that a dry run judges one by one, and shows
EVERY_ONE = 2 ** 62


def preview(ctx, queue: Queue, source, other) -> None:
    """Show and count what a run now would send, fail and cancel. `source`, `other`: as
    mail_sending.send_due takes them."""
    by = f"by {ctx.section('mail').transport}"
    preview_queue(ctx, queue, (f"due message {by}", f"due messages {by}"),
                  source.reasons_to_cancel, source.why_not,
                  lambda rows: _room(ctx, queue, other, rows))


def preview_queue(ctx, queue: Queue, noun: tuple, reasons_to_cancel, why_not=None,
                  room=None) -> None:
    """The same of any queue. `noun`: of one item and of many. `room(rows)`: (how many may go, why
    not more)."""
    found = due(ctx, queue)
    number = found.backlog(EVERY_ONE)[0]
    ids = found.ids(min(number, LOOKED_AT))
    work = Work(ctx, queue)
    work.count_unknown()
    read = work.read(ids)
    rows = [read[id] for id in ids if id in read]
    wrong = invalid(ctx.db, queue.table, rows)
    valid = [row for row in rows if row["id"] not in wrong]
    cancelled = reasons_to_cancel(valid)
    most, why_not_more = room(valid) if room else (EVERY_ONE, "")
    lost = _lost(why_not, [row for row in valid if row["id"] not in cancelled], most)
    left_out = {**cancelled, **lost, **{id: f"invalid: {why}" for id, why in wrong.items()}}
    going = min(number - len(left_out), most)
    notes = [] if going == number - len(left_out) else [why_not_more]
    if len(rows) < number:
        notes.append(f"at most: of the first {len(rows):,} it is known which are left out")
    going = ctx.within_limit(int(going))
    ctx.show(f"send {counted(going, *noun)}",
             [row for row in valid if row["id"] not in left_out][:min(SHOWN, going)],
             "; ".join(notes))
    for verb, reasons in (("cancel", cancelled), ("fail", lost), ("end", wrong)):
        if reasons:
            ctx.show(f"{verb} {len(reasons):,}: {', '.join(sorted(set(reasons.values())))}",
                     [row for row in rows if row["id"] in reasons][:SHOWN])
    ctx.count(queue.done, going)
    ctx.count("cancelled", len(cancelled))
    for name, reasons in (("failed", lost), ("invalid", wrong)):
        if reasons:
            ctx.count(name, len(reasons))


def _lost(why_not, rows: list[dict], room: float) -> dict:
    """{id of a row that can only fail: why}, of those that the run comes to: it ends with the first
    one that has no room."""
    lost, going = {}, 0
    for row in rows:
        if going >= room:
            break
        if why_not and (why := why_not(row)):
            lost[row["id"]] = why
        else:
            going += 1
    return lost


def _room(ctx, queue: Queue, other, rows: list[dict]) -> tuple[float, str]:
    """(how many may go in this run, why not more)."""
    if paused := relay.paused(ctx.db, ctx.now):
        return 0, f"not now: the relay is paused {paused}"
    limits = Limits(ctx, queue.kind, other)
    number, why = limits.left(urgent=False)
    if queue.priority:          # the urgent ones have a share of their own besides
        ahead = sum(row["priority"] <= 0 for row in rows)
        number += min(ahead, limits.left(urgent=True)[0])
    return number, why
