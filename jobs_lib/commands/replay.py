"""Put failed items back into their queue, to be sent again.

They have all attempts ahead, as if they had never been tried. Name items by their ids, or take
--all that has failed. 20 are due now, the others one after the other: forwards and notices at half
of the limits in [mail], so that new mail is not behind them, webhooks at 100 a minute. It says when
the last one will be due.

Sent items can be sent again too, by their ids: a forward as long as its raw message is still in the
spool, a webhook under the same id, by which its endpoint recognises it; a sent notice cannot, since
its text is not kept. Items that are in the queue already, have lost their content, or would be
cancelled by the next run are refused; with --all also what you have cancelled. `jobs.py queue QUEUE
ID` says that an item was put back.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.errors import FAILED, OK
from jobs_lib.text import counted

from . import _items

LISTED = 10                     # reasons that are given one by one


def arguments(parser) -> None:
    """Declares QUEUE, ID..., --all with its filters, and --json."""
    _items.select(parser, "has failed")
    parser.add_argument("--json", action="store_true", help="print what was put back and what was "
                        "refused, and why")


def run(args, make_session, config_path) -> int:
    """Put them back; 1 if an id was refused."""
    from jobs_lib.engines import replay
    from jobs_lib.features.items import named

    _items.check_which("replay", args, "has failed")
    session = make_session(config_path)
    db, items = _items.database(session), named(args.queue)
    ctx = _items.queue_view(session, items)
    done = replay.replay(ctx, items, _items.pages(db, args, items, ctx, "failed"), args.all)
    if args.json:
        session.console.document({
            "queue": args.queue, "replayed": done.ids,
            "refused": [{"id": id, "reason": why} for id, why in done.refused.items()],
            "last_due_at": clock.text(done.last_due_at) if done.ids else None})
    else:
        _report(session.console, items, done, args.all)
        for words in _hints(ctx, items, done.ids):
            session.console.report(words)
    return FAILED if done.refused and not args.all else OK


def _report(console, items, done, is_all: bool) -> None:
    from jobs_lib.engines.replay import AT_FIRST

    kind, number = items.queue.kind, len(done.ids)
    if number > AT_FIRST:
        console.report(f"{number:,} {items.queue.name} back in the queue: {AT_FIRST} due now, the "
                       "others little by little, the last at "
                       f"{clock.text(done.last_due_at)} UTC")
    elif is_all:
        console.report(f"{counted(number, kind)} back in the queue, due now" if number else
                       f"Nothing was put back: no {kind} has failed that can be sent again.")
    else:
        for id in done.ids:
            console.report(f"{kind} {id}: back in the queue, due now")
    if not is_all:
        for id, why in done.refused.items():
            console.fail(f"{kind} {id}: refused, {why}")
        return
    for id, why in list(done.refused.items())[:LISTED]:
        console.report(f"{kind} {id}: left as it is, {why}")
    if len(done.refused) > LISTED:
        console.report(f"... and {len(done.refused) - LISTED:,} more are left as they are.")


def _hints(ctx, items, done: list) -> list[str]:
    """What else the operator may want to know of the rows that were put back."""
    from jobs_lib.database.values import chunked
    from jobs_lib.engines.items import AT_ONCE
    from jobs_lib.engines.queue import LIFETIME
    from jobs_lib.engines.replay import AT_FIRST

    if not done:
        return []
    old = sum(ctx.db.value(f"SELECT COUNT(*) FROM {{{items.queue.table}}} WHERE id IN (:ids) "
                           "AND created_at <= :oldest", ids=ids, oldest=ctx.now - LIFETIME)
              for ids in chunked(done, AT_ONCE))
    run, them = "runs" if len(done) > AT_FIRST else "run", "it" if len(done) == 1 else "them"
    hints = [f"The next {run} of {items.queue.job} {'send' if run == 'runs' else 'sends'} {them}."]
    if old:
        hints.append(f"Older than {LIFETIME.days} days: {old}. For "
                     f"{'it' if old == 1 else 'these'} that attempt is the only one.")
    return [*hints, *items.holds(ctx)]
