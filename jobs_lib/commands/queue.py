"""Show what waits in the queues and why, or one item's whole story.

Without a queue: a line for each queue. With one: a line for each item, and below it what it waits
for and what the other side said last. These are the unfinished items, by the time of their next
attempt; with --failed those that have failed for good, with --owner all of that account, finished
ones too, both newest first.

With an ID it is that item alone: what is stored, each attempt with its answer, what is next and
why, until when it is kept, and by which option. A domain can be given by its name; a deletion is
given by the id of its account. Addresses are masked; contents are never shown. Times are in `[core]
timezone`, in the JSON in UTC.
"""
from __future__ import annotations

from jobs_lib.config.option_types import positive
from jobs_lib.errors import FAILED, OK, ConfigError, Missing, UsageError
from jobs_lib.features.items import QUEUES
from jobs_lib.features.items.story import story
from jobs_lib.output import queue_text
from jobs_lib.output.layout import Screen
from jobs_lib.text import COUNTED, either, one_line
from jobs_lib.text.masking import text

from . import _items
from ._items import NAMES

LIMIT = 20


def arguments(parser) -> None:
    parser.add_argument("queue", nargs="?", metavar="QUEUE", type=_items.plural,
                        choices=NAMES, help=either(NAMES))
    parser.add_argument("id", nargs="?", metavar="ID", help="only this item: its id; a domain also "
                        "by its name")
    parser.add_argument("--failed", action="store_true",
                        help="only what has failed for good, the latest first")
    _items.filters(parser)
    parser.add_argument("--limit", type=positive, default=LIMIT, metavar="N",
                        help=f"show N items (default: {LIMIT})")
    parser.add_argument("--json", action="store_true", help="print an object: the queue, what "
                        "holds it up, its items; of an ID the item; without a queue an array of "
                        "objects, one a queue")


def run(args, make_session, config_path) -> int:
    """Print the summary, the items, or the story of one; 1 when nothing is known of it."""
    filtered = args.failed or args.owner or args.since or args.before
    if filtered and (args.id or not args.queue):
        raise UsageError(
            "queue: --failed, --owner, --since and --before need a queue and no ID, "
            "such as `jobs.py queue forwards --failed`")
    session = make_session(config_path)
    found, shown = _found(session, args)
    if found is None:
        session.console.fail(f"{args.queue} {one_line(text(args.id), 254)}: there is no such row "
                             "(it may have been purged)")
        return FAILED
    if args.json:
        session.console.document(found)
    else:
        session.console.answer(shown(found, Screen(session)))
    return OK


def _found(session, args) -> tuple:
    """(what was asked for, as `--json` prints it, or None; the function that puts it into
    words)."""
    if not args.queue:
        return [_summary(session, name) for name in NAMES], queue_text.summary
    items = _items.opened(session, args.queue)
    if args.id:
        id = items.named(args.id) or _items.key(items.db, items.queue.table, args.id)
        return story(items, id), queue_text.story
    # one more shows that there are more
    ids = items.select(args.failed, _items.wanted(items.db, args), args.limit + 1)
    return {"queue": args.queue,
            "job": items.queue.job,
            "holds": items.holds(),
            "items": [*items.describe(items.read(ids[:args.limit]).values())],
            "more": len(ids) > args.limit}, queue_text.listing


def _summary(session, name: str) -> dict:
    """What is in a queue, or why that cannot be read: others can be shown all the same."""
    waiting = due = oldest = failed = None
    try:
        items = _items.opened(session, name)
        holds = items.holds()
        waiting, due, oldest = items.backlog(COUNTED)
        failed = items.count("failed", COUNTED)
    except (ConfigError, Missing) as error:
        holds = [text(str(error))]
    return {"queue": name,
            "job": QUEUES[name].queue.job,
            "waiting": waiting,
            "due": due,
            "oldest_due_at": oldest,
            "failed": failed,
            "holds": holds}
