"""A dry run over a queue is the run without its writes: the same rows in the same turns, with the
same room, up to where the run would end."""
from __future__ import annotations

from jobs_lib.ports.mail.message import MESSAGE_MINIMUM
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

from . import limits, relay
from .due import Queue
from .queue import EVERY_ONE, Work
from .turns import Ring

LOOKED_AT, AT_ONCE, SHOWN = 1000, 100, 10   # rows that a dry run judges, reads at once, and shows
COUNTED_AS = {"cancel": "cancelled", "fail": "failed", "end": "invalid"}

Room = namedtuple("Room", "most why ahead also", defaults=(EVERY_ONE, "", 0, ""))
Room.__doc__ = """What may go in a run: `most` rows in their turns, and `why` not more; `ahead`:
urgent ones before them; `also`: SQL of rows that may go at all, if not all of them may."""


def show_due_mail(ctx, queue: Queue, source, others_wait) -> None:
    """Show and count what a run now would send, fail and cancel. `source`, `others_wait`: as
    mail_sending.send_due takes them."""
    mail = ctx.section("mail")
    noun = f"due message by {mail.transport}", f"due messages by {mail.transport}"
    if paused := relay.paused(ctx.db, ctx.now):         # such a run looks at no row
        ctx.show(f"send {counted(0, *noun)}", [], f"not now: the relay is paused {paused}")
        return
    waits = others_wait()
    open_now = limits.Limits(ctx.db, mail, ctx.clock, queue.kind, lambda: waits)
    open_now.count()
    most, why = open_now.left(urgent=False, seconds=min(
        ctx.seconds_left(), ctx.hard_limit - ctx.monotonic() - MESSAGE_MINIMUM))
    ahead = open_now.left(urgent=True)[0] if queue.priority else 0
    room = Room(most, why, ahead)
    if reason := limits.failures(ctx.db, mail, ctx.now):
        room = Room(most, reason, ahead, source.first_attempts)
    show_due(ctx, queue, noun, source.reasons_to_cancel, source.why_not, room)


def show_due(ctx, queue: Queue, noun: tuple, reasons_to_cancel, why_not=lambda row: None,
             room: Room | None = None) -> None:
    """Show and count what a run now would do with what is due. `noun`: of one item and of many;
    `why_not(row)`: why it can only fail."""
    if not ctx.may_send():
        ctx.show(f"send {counted(0, *noun)}", [], f"not now: {ctx.suspended}")
        return
    work, room = Work(ctx, queue), room or Room()
    work.also += room.also
    seen: dict = {}
    going, notes = [], {room.why} if room.also else set()
    left: dict = {"cancel": {}, "fail": {}, "end": work.unusable}     # {id of a row: why}
    rings = [(Ring(work, ahead=True), room.ahead)] if queue.priority else []
    for ring, most in (*rings, (Ring(work), room.most)):
        for row in _in_turn(work, ring, seen, reasons_to_cancel, left["cancel"]):
            if most <= 0 or ctx.within_limit(1, work.begun) == 0:
                notes.update([room.why] if most <= 0 and not ring.ahead else ())
                break
            seen[row["id"]] = row
            work.begun += 1
            if why := why_not(row):
                left["fail"][row["id"]] = why
            else:
                going.append(row)
                most -= 1
    work.finish()
    total = len(going)
    if len(seen) >= LOOKED_AT:
        rest = work.due.backlog(EVERY_ONE)[0] - len(seen) - len(work.unusable)
        total += int(min(ctx.within_limit(rest, work.begun), most))
        notes.add(f"at most: of the first {len(seen):,} it is known which are left out")
    ctx.show(f"send {counted(total, *noun)}", going[:SHOWN], "; ".join(sorted(notes)))
    for verb, reasons in left.items():
        if reasons:
            ctx.show(f"{verb} {len(reasons):,}: {', '.join(sorted(set(reasons.values())))}",
                     [seen[id] for id in reasons if id in seen][:SHOWN])
            ctx.counts[COUNTED_AS[verb]] = len(reasons)
    ctx.count(queue.done, total)


def _in_turn(work: Work, ring: Ring, seen: dict, reasons_to_cancel, cancelled: dict):
    """The rows that a run would come to, LOOKED_AT at most, but those that it would only cancel."""
    while len(seen) < LOOKED_AT and (rows := work.take(ring, AT_ONCE)):
        rows = [row for row in rows if row["id"] not in seen]
        reasons = reasons_to_cancel(rows) if rows else {}
        for row in rows:
            if row["id"] in reasons:
                seen[row["id"]], cancelled[row["id"]] = row, reasons[row["id"]]
            else:
                yield row
