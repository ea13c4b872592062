"""Tell the whole story of one item: what is stored, what happened, what is next and why.

An item is called by its id, as `jobs.py queue` lists it; a domain also by its name, a deletion
by the id of its account, a user and an alias also by their address. Each attempt is listed with
its answer and how long it took. At the end it says until when the item is kept, and by which
option. Of a user or an alias it lists how many rows of each table belong to it, by which option and
when they are deleted, and the latest of its mail and notices. Addresses are masked; contents are
never shown.
"""
from __future__ import annotations

from jobs_lib.database.values import one_line
from jobs_lib.errors import FAILED, OK, UsageError
from jobs_lib.masking import text
from jobs_lib.text import one_of

from . import _items

KINDS = ("forward", "notification", "webhook", "domain", "export", "deletion", "user", "alias")


def arguments(parser) -> None:
    """Declares KIND, ID and --json."""
    parser.add_argument("kind", metavar="KIND", type=one_of(*KINDS),
                        help=", ".join(KINDS[:-1]) + f" or {KINDS[-1]}")
    parser.add_argument("id", metavar="ID", help="its id; a domain also by its name, "
                        "a user or an alias by its address")
    parser.add_argument("--json", action="store_true", help="print one object, times in UTC")


def run(args, make_session, config_path) -> int:
    """Print it; 1 when nothing is known of it."""
    from jobs_lib.monitoring import queues, stories

    session = make_session(config_path)
    db = _items.database(session)
    if args.kind in ("user", "alias"):
        return _account(session, db, args)
    queue = queues.of_item(args.kind)
    ctx = _items.queue_view(session, queue)
    id = _items.key(db, queue.table, args.id)
    with _items.incomplete(db, queue):
        found = None if id is None else stories.story(queue, ctx, id)
        if found is None and not isinstance(id, int):
            if (named := queue.find(ctx, args.id)) is not None:
                found = stories.story(queue, ctx, named)
            elif id is None and args.kind != "domain":
                raise UsageError(f"show {args.kind}: expected its number, not {args.id[:40]!r}")
    if found and args.kind == "deletion" and (status := found["stored"].get("status")) not in (
            None, "deleted", "erased"):
        session.console.fail(f"deletion {id}: this account is not being deleted "
                             f"({one_line(status)})")
        return FAILED
    return _answer(session, args, found)


def _account(session, db, args) -> int:
    from jobs_lib.monitoring import account_stories

    tell, tables = {"user": (account_stories.of_user, {"users": "email"}),
                    "alias": (account_stories.of_alias, {"aliases": "address"})}[args.kind]
    ids = _items.ids(db, args.id, tables)
    return _answer(session, args, tell(db, session.config, session.ports.now(), ids[0])
                   if ids else None)


def _answer(session, args, found: dict | None) -> int:
    if found is None:
        session.console.fail(f"{args.kind} {one_line(text(args.id), 254)}: there is no such row "
                             "(it may have been purged)")
        return FAILED
    if args.json:
        session.console.document(found)
        return OK
    from jobs_lib.output import queue_text
    from jobs_lib.output.screen import Screen
    tell = queue_text.account if args.kind in ("user", "alias") else queue_text.story
    session.console.answer(tell(found, Screen(session)))
    return OK
