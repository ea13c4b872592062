"""A dry run over a queue is the run without its writes: the same rows in the same turns, with the
same room, up to where the run would end."""
from __future__ import annotations

from jobs_lib.ports.mail import MESSAGE_MINIMUM
from jobs_lib.text import counted

from . import relay
from .due import Queue
from .queue import EVERY_ONE, Work
from .turns import Ring

LOOKED_AT = 1000                            # rows that a dry run judges
AT_ONCE, SHOWN = 100, 10                    # that it reads at once, and shows
MINUTE_LONG = 61                            # seconds, until a minute's room is there again
COUNTS = {"cancel": "cancelled", "fail": "failed", "end": "invalid"}


def show_due_mail(ctx, queue: Queue, source, others_wait) -> None:
    """Show and count what a run now would send, fail and cancel. `source`, `others_wait`: as
    mail_sending.MailSender has them."""
    mail, waits = ctx.section("mail"), others_wait()
    noun = f"due message by {mail.transport}", f"due messages by {mail.transport}"
    if paused := relay.paused(ctx.db, ctx.now):
        ctx.show(f"send {counted(0, *noun)}", [], f"not now: the relay is paused {paused}")
        return
    limits = relay.Limits(ctx.db, mail, ctx.clock, queue.kind, lambda: waits)
    limits.count()
    if relay.MINUTE in limits.limits:       # its room is waited for
        seconds = min(ctx.seconds_left(), ctx.hard_limit - ctx.monotonic() - MESSAGE_MINIMUM)
        limits.limits[relay.MINUTE] *= 1 + max(0, int(seconds // MINUTE_LONG))
    show_due(ctx, queue, noun, source.why_not, limits, relay.failures(ctx.db, mail, ctx.now))


def show_due(ctx, queue: Queue, noun: tuple, why_not=lambda row: None, limits=None,
             failures: str | None = None) -> list[dict]:
    """Show and count what a run now would do with what is due; the rows that it would come to.

    noun           of one item and of many
    why_not(row)   why it can only fail
    limits         of the relay, counted; `failures`: why what has failed before has to wait
    """
    work, notes, rest = Work(ctx, queue), set(), True
    if failures:
        work.also = relay.not_failed(work.delays)
        notes.add(failures)
    going: list[dict] = []
    seen: dict = {}                                     # {id: row}
    left: dict = {"cancel": {}, "fail": {}, "end": work.unusable}       # {id: why} of each
    for ring in ([Ring(work, ahead=True)] if queue.priority else []) + [Ring(work)]:
        for row in _in_turn(work, ring, seen):
            refusal = limits and limits.refusal(row["turn"].urgent, ring.ahead)
            if row["unneeded"]:
                left["cancel"][row["id"]] = row["unneeded"]
                work.begun -= 1
            elif refusal or ctx.within_limit(1, work.begun) == 0:
                rest = ring.ahead                       # urgent rows take their owners' turns
                notes.update([refusal.words] if refusal and not rest else [])
                break
            elif why := why_not(row):
                left["fail"][row["id"]] = why
            else:
                going.append(row)
                if limits:
                    limits.add(queue.kind, row["turn"].urgent)
            seen[row["id"]] = row
            work.begun += 1
    work.finish()
    total = len(going)
    if rest and len(seen) >= LOOKED_AT:
        rows = work.due.backlog(EVERY_ONE)[0] - len(seen)
        total += ctx.within_limit(rows, work.begun)
        notes.add(f"at most: only the first {len(seen):,} are checked")
    ctx.show(f"send {counted(total, *noun)}", going[:SHOWN], "; ".join(sorted(notes)))
    ctx.count(queue.done, total)
    for verb, reasons in left.items():
        if reasons:
            ctx.counts[COUNTS[verb]] = len(reasons)
            ctx.show(f"{verb} {len(reasons):,}: {', '.join(sorted(set(reasons.values())))}",
                     [seen[id] for id in reasons if id in seen][:SHOWN])
    return [*seen.values()]


def _in_turn(work: Work, ring: Ring, seen: dict):
    """The rows that a run would come to, LOOKED_AT at most."""
    while len(seen) < LOOKED_AT and (rows := work.take(ring, AT_ONCE)):
        yield from (row for row in rows if row["id"] not in seen)
