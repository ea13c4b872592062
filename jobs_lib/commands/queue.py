"""Show what waits in the queues and why, or one item's whole story.

Without a queue: a line for each. With one: a line an item, and below it what it waits for and what
the other side said last. That is all that is not finished, the longest due first; with --failed
what has failed for good, the latest first; with --owner all that is stored for that account,
finished items too, the newest first.

With an ID it is that item alone: what is stored, each attempt with its answer and how long it took,
what is next and why, until when it is kept, and by which option. A domain is also called by its
name, a deletion by the id of its account. Addresses are masked; contents are never shown. Times are
in `[core] timezone`, in the JSON in UTC.
"""
from __future__ import annotations

from jobs_lib.database.values import one_line
from jobs_lib.engines.work_queue import COUNTED, Wanted
from jobs_lib.errors import FAILED, OK, ConfigError, Missing, UsageError
from jobs_lib.masking import text
from jobs_lib.text import at_most

from . import _items

LIMIT, MOST = 20, 100_000
NOT_COUNTED = {"waiting": None, "due": None, "oldest_due_at": None, "failed": None}
NAMES = ("forwards", "notifications", "webhooks", "domains", "exports", "deletions")


def arguments(parser) -> None:
    """Declares QUEUE, ID, the filters, --limit and --json."""
    parser.add_argument("queue", nargs="?", metavar="QUEUE", type=_items.queue_name(*NAMES),
                        help=", ".join(NAMES[:-1]) + f" or {NAMES[-1]}")
    parser.add_argument("id", nargs="?", metavar="ID", help="only this item: its id; a domain also "
                        "by its name")
    parser.add_argument("--failed", action="store_true",
                        help="only what has failed for good, the latest first")
    parser.add_argument("--owner", metavar="ID|ADDRESS", help="only what belongs to this account: "
                        "its id, its address, or that of one of its aliases")
    parser.add_argument("--since", metavar="TIME", type=_items.moment,
                        help="only what came in since then, in UTC, such as "
                        "'2026-11-24 14:30', 'yesterday' or '24h'")
    parser.add_argument("--limit", type=at_most(MOST), default=LIMIT, metavar="N",
                        help=f"show N items (default: {LIMIT})")
    parser.add_argument("--json", action="store_true", help="print an object: the queue, what "
                        "holds it up, its items; of an ID the item; without a queue an array of "
                        "objects, one a queue")


def run(args, make_session, config_path) -> int:
    """Print the summary, the items, or the story of one; 1 when nothing is known of it."""
    from jobs_lib.monitoring import queues

    filtered = args.failed or args.owner or args.since
    if filtered and not args.queue:
        raise UsageError("queue: say which queue, such as `jobs.py queue forwards --failed`")
    if filtered and args.id:
        raise UsageError("queue: an ID needs no --failed, --owner or --since")
    session = make_session(config_path)
    db = _items.database(session)
    if not args.queue:
        return _summary(session, queues.QUEUES, args.json)
    queue = queues.named(args.queue)
    ctx = _items.queue_view(session, queue)
    if args.id:
        return _story(args, session, db, queue, ctx)
    return _list(args, session, db, queue, ctx)


def _list(args, session, db, queue, ctx) -> int:
    from jobs_lib.monitoring.stories import plain

    owners = None if args.owner is None else _items.owners(db, args.owner, queue.table)
    # one more shows that there are more
    wanted = Wanted(args.failed, owners, args.since, args.limit + 1)
    rows = queue.select(ctx, wanted)
    items, more = queue.describe(ctx, rows[:args.limit]), len(rows) > args.limit
    found = {"queue": queue.name, "job": queue.job, "holds": _holds(queue, ctx),
             "items": [plain(item) for item in items], "more": more}
    if args.json:
        session.console.document(found)
        return OK
    from jobs_lib.output.queue_text import listing
    from jobs_lib.output.screen import Screen
    session.console.answer(listing(found, _nothing(args, queue), Screen(session)))
    return OK


def _story(args, session, db, queue, ctx) -> int:
    from jobs_lib.monitoring.stories import story

    id = _items.key(db, queue.table, args.id)
    found = None if id is None else story(queue, ctx, id)
    if found is None and not isinstance(id, int):
        if (named := queue.find(ctx, args.id)) is not None:
            found = story(queue, ctx, named)
        elif id is None and queue.name != "domains":
            raise UsageError(f"queue {queue.name}: expected a number, not {args.id[:40]!r}")
    if found is None:
        session.console.fail(f"{queue.item} {one_line(text(args.id), 254)}: there is no such row "
                             "(it may have been purged)")
        return FAILED
    if args.json:
        session.console.document(found)
        return OK
    from jobs_lib.output import queue_text
    from jobs_lib.output.screen import Screen
    session.console.answer(queue_text.story(found, Screen(session)))
    return OK


def _nothing(args, queue) -> str:
    """What is said where there is nothing to list."""
    whose = " of this account" if args.owner else ""
    since = " that came in since then" if args.since else ""
    if args.failed:
        return f"No {queue.item}{whose}{since} has failed."
    if args.owner:
        return f"No {queue.item}{whose}{since} is stored."
    return (f"No {queue.item}{since} is waiting.\n"
            f"`jobs.py queue {queue.name} --failed` lists what has failed.")


def _summary(session, all_queues, as_json: bool) -> int:
    found, left_out = [], []
    for queue in all_queues:
        line = {"queue": queue.name, "job": queue.job, "what": queue.what}
        try:
            ctx = _items.queue_view(session, queue)
        except ConfigError as error:            # the others can be shown all the same
            line.update(NOT_COUNTED, holds=[f"[{queue.job}]: {problem}"
                                            for problem in error.problems])
        else:
            line.update(_counted(queue, ctx))
            if line["waiting"] is None and not ctx.options.enabled:
                left_out.append(queue.name)
        found.append(line)
    if as_json:
        session.console.document(found)
        return OK
    from jobs_lib.output.queue_text import summary
    from jobs_lib.output.screen import Screen
    session.console.answer(summary(found, left_out, Screen(session)))
    return OK


def _counted(queue, ctx) -> dict:
    """What is in a queue, or what is missing that it is read from."""
    try:
        waiting, due, oldest = queue.backlog(ctx, COUNTED)
        return {"waiting": waiting, "due": due, "oldest_due_at": oldest,
                "failed": queue.count_failed(ctx), "holds": _holds(queue, ctx)}
    except Missing as error:
        return {**NOT_COUNTED, "holds": [*_holds(queue, ctx), f"{error}."]}


def _holds(queue, ctx) -> list[str]:
    """What holds up a queue as a whole; a relay's answer may quote an address."""
    return [text(each) for each in queue.holds(ctx)]
