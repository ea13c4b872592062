"""Put failed items back into their queue, to be sent again.

They have all attempts ahead, as if they had never been tried. Name items by their ids, or take
--all that has failed. 20 are due now, the others one after the other: forwards and notices at half
of the limits in [mail], so that new mail is not behind them, webhooks at 100 a minute. What does
not fit into a day is left as it is. It says when the last one will be due.

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


def arguments(parser) -> None:
    """Declares QUEUE, ID..., --all with its filters, and --json."""
    _items.select(parser, "has failed")
    parser.add_argument("--since", metavar="TIME", type=_items.moment,
                        help="with --all: only what came in since then, in UTC, such "
                        "as '2026-11-24 14:30', 'yesterday' or '24h'")
    parser.add_argument("--json", action="store_true", help="print what was put back and what was "
                        "refused, and why")


def run(args, make_session, config_path) -> int:
    """Put them back; 1 if an id was refused."""
    from jobs_lib.engines import requeue
    from jobs_lib.monitoring import queues

    _items.check_which("replay", args, args.since, "--since", "has failed")
    session = make_session(config_path)
    db = _items.database(session)
    queue = queues.claimed(args.queue)
    ctx = _items.queue_view(session, queue)
    ids = _items.keys(db, queue.table, args.ids)
    if args.ids:
        found = requeue.replay(ctx, queue, ids)
    else:
        owners = None if args.owner is None else _items.owners(db, args.owner, queue.table)
        found = requeue.replay_failed(ctx, queue, owners=owners, since=args.since)
    refused_code = FAILED if found.refused and args.ids else OK
    if args.json:
        session.console.document({
            "queue": queue.name, "replayed": found.done,
            "refused": [{"id": id, "reason": why} for id, why in found.refused.items()],
            "last_due_at": clock.text(found.last_due_at) if found.done else None,
            "more": found.more})
        return refused_code
    if args.ids:
        _report_each(session, queue, ids, found)
    else:
        _report_all(session, queue, found)
    for words in requeue.hints(ctx, queue, found.done):
        session.console.report(words)
    return refused_code


def _report_each(session, queue, ids: list, found) -> None:
    from jobs_lib.engines.requeue import AT_FIRST

    for id in ids:
        if id in found.refused:
            session.console.fail(f"{queue.item} {id}: refused, {found.refused[id]}")
        elif len(found.done) <= AT_FIRST:
            session.console.report(f"{queue.item} {id}: back in the queue, due now")
    if len(found.done) > AT_FIRST:
        session.console.report(_spread(queue, found))


def _report_all(session, queue, found) -> None:
    from jobs_lib.engines.requeue import AT_FIRST, LISTED

    if found.more and not found.done:
        session.console.report("Nothing was put back: as many as fit into a day wait already.")
    elif not found.done:
        session.console.report(f"Nothing was put back: no {queue.item} has failed that can be sent "
                               "again.")
    elif len(found.done) <= AT_FIRST:
        session.console.report(f"{counted(len(found.done), queue.item)} back in the queue, due now")
    else:
        session.console.report(_spread(queue, found))
    for id, why in list(found.refused.items())[:LISTED]:
        session.console.report(f"{queue.item} {id}: left as it is, {why}")
    if len(found.refused) > LISTED:
        session.console.report(f"... and {len(found.refused) - LISTED:,} more are left as they "
                               "are.")
    if found.more:
        session.console.report("More have failed than fit into a day at this pace: the "
                               "rest is left as it is. Run the same command again tomorrow.")


def _spread(queue, found) -> str:
    """Since they are many: when they are due."""
    from jobs_lib.engines.requeue import AT_FIRST
    return (f"{len(found.done):,} {queue.name} back in the queue: {AT_FIRST} due now, the others "
            f"little by little, the last at {clock.text(found.last_due_at)} UTC")
