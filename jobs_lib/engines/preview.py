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

Room = namedtuple("Room", "most why ahead also closed", defaults=(EVERY_ONE, "", 0, "", ""))
Room.__doc__ = """What may go in a run: `most` rows in their turns, and `why` not more; `ahead`:
urgent ones before them; `also`: SQL of rows that may go at all; `closed`: why none does."""
OPEN = Room()


def show_due_mail(ctx, queue: Queue, source, others_wait) -> None:
    """Show and count what a run now would send, fail and cancel. `source`, `others_wait`: as
    mail_sending.send_due takes them."""
    mail, waits = ctx.section("mail"), others_wait()
    open_now = limits.Limits(ctx.db, mail, ctx.clock, queue.kind, lambda: waits)
    open_now.count()
    most, why = open_now.left(urgent=False, seconds=min(
        ctx.seconds_left(), ctx.hard_limit - ctx.monotonic() - MESSAGE_MINIMUM))
    room = Room(most, why, open_now.left(urgent=True)[0])
    if reason := limits.failures(ctx.db, mail, ctx.now):
        room = Room(most, reason, room.ahead, source.first_attempts)
    if paused := relay.paused(ctx.db, ctx.now):
        room = Room(closed=f"the relay is paused {paused}")
    show_due(ctx, queue, (f"due message by {mail.transport}", f"due messages by {mail.transport}"),
             source.reasons_to_cancel, source.why_not, room)


def show_due(ctx, queue: Queue, noun: tuple, reasons_to_cancel, why_not=lambda row: None,
             room: Room = OPEN) -> None:
    """Show and count what a run now would do with what is due. `noun`: of one item and of many;
    `why_not(row)`: why it can only fail."""
    if closed := room.closed if ctx.may_send() else ctx.suspended:      # it looks at no row
        ctx.show(f"send {counted(0, *noun)}", [], f"not now: {closed}")
        return
    work, going = Work(ctx, queue), []
    work.also = room.also
    notes = {room.why} if room.also else set()
    seen: dict = {}                                     # {id: row}
    cancelled: dict = {}                                # {id: why}
    failing: dict = {}
    rings = [(Ring(work, ahead=True), room.ahead)] if queue.priority else []
    for ring, most in (*rings, (Ring(work), room.most)):
        for row in _in_turn(work, ring, seen, reasons_to_cancel, cancelled):
            if most <= 0 or ctx.within_limit(1, work.begun) == 0:
                notes.update([room.why] if most <= 0 and not ring.ahead else ())
                break
            seen[row["id"]] = row
            work.begun += 1
            if why := why_not(row):
                failing[row["id"]] = why
            else:
                going.append(row)
                most -= 1
    work.finish()
    total = len(going)
    if len(seen) >= LOOKED_AT:
        rest = work.due.backlog(EVERY_ONE)[0] - len(seen)
        total += int(min(ctx.within_limit(rest, work.begun), most))
        notes.add(f"at most: of the first {len(seen):,} it is known which are left out")
    ctx.show(f"send {counted(total, *noun)}", going[:SHOWN], "; ".join(sorted(notes)))
    ctx.count(queue.done, total)
    for verb, name, reasons in (("cancel", "cancelled", cancelled), ("fail", "failed", failing),
                                ("end", "invalid", work.unusable)):
        if reasons:
            ctx.counts[name] = len(reasons)
            ctx.show(f"{verb} {len(reasons):,}: {', '.join(sorted(set(reasons.values())))}",
                     [seen[id] for id in reasons if id in seen][:SHOWN])


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
