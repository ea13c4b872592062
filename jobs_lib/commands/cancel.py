"""End items that wait in a queue, without an attempt: nothing is sent, and no owner is notified.

What is being sent, or has ended already, is refused. A cancelled item is kept as long as a failed
one; until it is deleted, `jobs.py replay` puts it back, by its id. `jobs.py queue QUEUE ID` says
that it was cancelled.
"""
from __future__ import annotations

from functools import partial

from jobs_lib.errors import FAILED, OK

from . import _items
from .replay import NAMES


def arguments(parser) -> None:
    """Declares QUEUE, ID... and --json."""
    parser.add_argument("queue", metavar="QUEUE", type=_items.queue_name(*NAMES),
                        help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}")
    parser.add_argument("ids", metavar="ID", nargs="+", help="the rows' ids")
    parser.add_argument("--json", action="store_true", help="print what was cancelled and what was "
                        "refused, and why")


def run(args, make_session, config_path) -> int:
    """Cancel them; 1 if any was refused."""
    from jobs_lib.chunks import chunked
    from jobs_lib.engines import requeue
    from jobs_lib.monitoring import queues

    session = make_session(config_path)
    db = _items.database(session)
    queue = queues.claimed(args.queue)
    ctx, ids = _items.queue_view(session, queue), _items.keys(db, queue.table, args.ids)
    refused: dict = {}
    for some in chunked(ids, requeue.AT_ONCE):
        with _items.incomplete(db, queue):
            refused.update(db.batch(partial(requeue.cancel, ctx, queue, some)))
    code = FAILED if refused else OK
    if args.json:
        session.console.document({"queue": queue.name,
                                  "cancelled": [id for id in ids if id not in refused],
                                  "refused": [{"id": id, "reason": why}
                                              for id, why in refused.items()]})
        return code
    for id in ids:
        if id in refused:
            session.console.fail(f"{queue.item} {id}: refused, {refused[id]}")
        else:
            session.console.report(f"{queue.item} {id}: cancelled, nothing is sent")
    return code
