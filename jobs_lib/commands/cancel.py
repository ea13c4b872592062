"""End items that wait in a queue: nothing is sent, and no owner is notified.

Name items by their ids, or take --all that waits, with --before only what came in before then. What
is being sent, or has ended already, is refused. A cancelled item is kept as long as a failed one;
until it is deleted, `jobs.py replay` puts it back, by its id. `jobs.py queue QUEUE ID` says that it
was cancelled.
"""
from __future__ import annotations

from jobs_lib.errors import FAILED, OK
from jobs_lib.text import counted

from . import _items


def arguments(parser) -> None:
    """Declares QUEUE, ID..., --all with its filters, and --json."""
    _items.select(parser, "waits")
    parser.add_argument("--json", action="store_true", help="print what was cancelled and what was "
                        "refused, and why")


def run(args, make_session, config_path) -> int:
    """Cancel them; 1 if an id was refused."""
    from jobs_lib.engines import replay
    from jobs_lib.features.items import named

    _items.check_which("cancel", args, "waits")
    session = make_session(config_path)
    db, items = _items.database(session), named(args.queue)
    ctx, kind = _items.queue_view(session, items), items.queue.kind
    done = replay.cancel(ctx, items, _items.pages(db, args, items, ctx, items.queue.waits))
    if args.json:
        session.console.document({"queue": args.queue, "cancelled": done.ids,
                                  "refused": [{"id": id, "reason": why}
                                              for id, why in done.refused.items()]})
    elif args.all:
        session.console.report(f"{counted(len(done.ids), kind)} cancelled, nothing is sent"
                               if done.ids else f"No {kind} is waiting.")
    else:
        for id in done.ids:
            session.console.report(f"{kind} {id}: cancelled, nothing is sent")
        for id, why in done.refused.items():
            session.console.fail(f"{kind} {id}: refused, {why}")
    return FAILED if done.refused and not args.all else OK
