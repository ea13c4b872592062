"""Show what waits in the queues and why, or one item's whole story.

Without a queue: a line for each. With one: a line an item, and below it what it waits for and what
the other side said last. That is all that is not finished, by the time of its next attempt; with
--failed what has failed for good, the newest first; with --owner all that is stored for that
account, finished items too, the newest first.

With an ID it is that item alone: what is stored, each attempt with its answer and how long it took,
what is next and why, until when it is kept, and by which option. A domain is also called by its
name, a deletion by the id of its account. Addresses are masked; contents are never shown. Times are
in `[core] timezone`, in the JSON in UTC.
"""
from __future__ import annotations

from jobs_lib.database.values import one_line
from jobs_lib.engines.due import COUNTED
from jobs_lib.engines.items import count
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
    _items.filters(parser)
    parser.add_argument("--limit", type=at_most(MOST), default=LIMIT, metavar="N",
                        help=f"show N items (default: {LIMIT})")
    parser.add_argument("--json", action="store_true", help="print an object: the queue, what "
                        "holds it up, its items; of an ID the item; without a queue an array of "
                        "objects, one a queue")


def run(args, make_session, config_path) -> int:
    """Print the summary, the items, or the story of one; 1 when nothing is known of it."""
    from jobs_lib.features import items as all_items

    filtered = args.failed or args.owner or args.since or args.before
    if filtered and not args.queue:
        raise UsageError("queue: say which queue, such as `jobs.py queue forwards --failed`")
    if filtered and args.id:
        raise UsageError("queue: an ID needs no --failed, --owner, --since or --before")
    session = make_session(config_path)
    db = _items.database(session)
    if not args.queue:
        return _summary(session, all_items.QUEUES, args.json)
    items = all_items.named(args.queue)
    ctx = _items.queue_view(session, items)
    return (_story if args.id else _list)(args, session, db, items, ctx)


def _list(args, session, db, items, ctx) -> int:
    from jobs_lib.monitoring.stories import plain

    # one more shows that there are more
    ids = items.select(ctx, _items.wanted(db, args, items, args.failed), args.limit + 1)
    found = items.describe(ctx, items.read(ctx, ids[:args.limit]))
    document = {"queue": args.queue, "job": items.queue.job, "holds": _holds(items, ctx),
                "items": [plain(item) for item in found], "more": len(ids) > args.limit}
    if args.json:
        session.console.document(document)
        return OK
    from jobs_lib.output.queue_text import listing
    from jobs_lib.output.screen import Screen
    session.console.answer(listing(document, _nothing(args, items.queue), Screen(session)))
    return OK


def _story(args, session, db, items, ctx) -> int:
    from jobs_lib.monitoring.stories import story

    id = _items.key(db, items.queue.table, args.id)
    found = None if id is None else story(items, ctx, id)
    if found is None and not isinstance(id, int):
        if (named := items.find(ctx, args.id)) is not None:
            found = story(items, ctx, named)
        elif id is None and args.queue != "domains":
            raise UsageError(f"queue {args.queue}: expected a number, not {args.id[:40]!r}")
    if found is None:
        session.console.fail(f"{items.queue.kind} {one_line(text(args.id), 254)}: there is no such "
                             "row (it may have been purged)")
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
    since = " that came in then" if args.since or args.before else ""
    if args.failed:
        return f"No {queue.kind}{whose}{since} has failed."
    if args.owner:
        return f"No {queue.kind}{whose}{since} is stored."
    return (f"No {queue.kind}{since} is waiting.\n"
            f"`jobs.py queue {queue.name} --failed` lists what has failed.")


def _summary(session, all_items, as_json: bool) -> int:
    found, left_out = [], []
    for items in all_items:
        queue = items.queue
        line = {"queue": queue.name, "job": queue.job, "what": items.what}
        try:
            ctx = _items.queue_view(session, items)
        except ConfigError as error:            # the others can be shown all the same
            line.update(NOT_COUNTED, holds=[f"[{queue.job}]: {problem}"
                                            for problem in error.problems])
        else:
            line.update(_counted(items, ctx))
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


def _counted(items, ctx) -> dict:
    """What is in a queue, or what is missing that it is read from."""
    try:
        waiting, due, oldest = items.backlog(ctx, COUNTED)
        return {"waiting": waiting, "due": due, "oldest_due_at": oldest,
                "failed": count(ctx.db, items.queue.table, "status = 'failed'", COUNTED),
                "holds": _holds(items, ctx)}
    except Missing as error:
        return {**NOT_COUNTED, "holds": [*_holds(items, ctx), f"{error}."]}


def _holds(items, ctx) -> list[str]:
    """What holds up a queue as a whole; a relay's answer may quote an address."""
    return [text(each) for each in items.holds(ctx)]
