"""End items that wait in a queue: nothing is sent, and no owner is notified.

Name items by their ids, or take --all that waits, with --before only what came in before then. What
is being sent, or has ended already, is refused. A cancelled item is kept as long as a failed one;
until it is deleted, `jobs.py replay` puts it back, by its id. `jobs.py queue QUEUE ID` says that it
was cancelled.
"""
from __future__ import annotations

from functools import partial

from jobs_lib.database.values import chunked
from jobs_lib.engines import requeue
from jobs_lib.engines.claimed_search import waiting_pages
from jobs_lib.errors import FAILED, OK
from jobs_lib.monitoring import queues
from jobs_lib.text import counted

from . import _items


def arguments(parser) -> None:
    """Declares QUEUE, ID..., --all with its filters, and --json."""
    _items.select(parser, "waits")
    parser.add_argument("--before", metavar="TIME", type=_items.moment,
                        help="with --all: only what came in before then, in UTC, such as "
                        "'2026-11-24 14:30', 'yesterday' or '24h'")
    parser.add_argument("--json", action="store_true", help="print what was cancelled and what was "
                        "refused, and why")


def run(args, make_session, config_path) -> int:
    """Cancel them; 1 if an id was refused."""
    _items.check_which("cancel", args, args.before, "--before", "waits")
    session = make_session(config_path)
    db = _items.database(session)
    queue = queues.claimed(args.queue)
    ctx = _items.queue_view(session, queue)
    pages = chunked(_items.keys(db, queue.table, args.ids), requeue.AT_ONCE)
    if args.all:
        owners = None if args.owner is None else _items.owners(db, args.owner, queue.table)
        pages = waiting_pages(queue, ctx, requeue.AT_ONCE, owners=owners, before=args.before)
    ids: list = []
    refused: dict = {}
    for some in pages:
        refused.update(db.batch(partial(requeue.cancel, ctx, queue, some)))
        ids += some
    done = [id for id in ids if id not in refused]
    if args.json:
        session.console.document({"queue": queue.name, "cancelled": done,
                                  "refused": [{"id": id, "reason": why}
                                              for id, why in refused.items()]})
    elif args.all:
        session.console.report(f"{counted(len(done), queue.item)} cancelled, nothing is sent"
                               if done else f"No {queue.item} is waiting.")
    for id in () if args.json or args.all else ids:
        if id in refused:
            session.console.fail(f"{queue.item} {id}: refused, {refused[id]}")
        else:
            session.console.report(f"{queue.item} {id}: cancelled, nothing is sent")
    return FAILED if refused and not args.all else OK
