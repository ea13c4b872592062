"""What the commands about single items share: which owner is meant, since when, and the tables
that they need."""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib import clock
from jobs_lib.database.schema import version
from jobs_lib.database.values import LARGEST_KEY, LONGEST_KEY, keys_in, one_line, ordered
from jobs_lib.engines.items import Items, Wanted, view
from jobs_lib.errors import UsageError
from jobs_lib.masking import text
from jobs_lib.text import one_of, positive

SENT = ("forwards", "notifications", "webhooks")     # whose items are replayed and cancelled


def select(parser, which: str) -> None:
    """Declares QUEUE, ID... or --all with its filters. `which`: what --all takes, in words."""
    parser.add_argument("queue", metavar="QUEUE", type=queue_name(*SENT),
                        help=f"{', '.join(SENT[:-1])} or {SENT[-1]}")
    parser.add_argument("ids", metavar="ID", nargs="*", help="the rows' ids")
    parser.add_argument("--all", action="store_true", help=f"instead of ids: all that {which}")
    filters(parser, "with --all: ")


def filters(parser, where: str = "") -> None:
    """Declares --owner, --since and --before."""
    parser.add_argument("--owner", metavar="ID|ADDRESS", help=f"{where}only what belongs to this "
                        "account: its id, its address, or that of one of its aliases")
    parser.add_argument("--since", metavar="TIME", type=moment,
                        help=f"{where}only what came in since then, in UTC, such as "
                        "'2026-11-24 14:30', 'yesterday' or '24h'")
    parser.add_argument("--before", metavar="TIME", type=moment,
                        help=f"{where}only what came in before then")


def wanted(db, args, items: Items, failed: bool = False) -> Wanted:
    """What the filters mean."""
    found = None if args.owner is None else owners(db, args.owner, items.queue.table)
    return Wanted(failed, found, args.since, args.before)


def pages(db, args, items: Items, ctx, status: str):
    """The ids that are meant, in lists: those that were named, or all of a status."""
    from jobs_lib.database.values import chunked
    from jobs_lib.engines.items import AT_ONCE
    if args.all:
        return items.pages(ctx, wanted(db, args, items), status)
    return chunked(keys(db, items.queue.table, args.ids), AT_ONCE)


def queue_name(*names: str):
    """A type for argparse: the name of one of these queues; the singular is understood, too."""
    expected = one_of(*names)
    return lambda word: expected(f"{word}s" if f"{word}s" in names else word)


def moment(words: str) -> datetime:
    """A time in UTC, for argparse: `2026-11-24`, `2026-11-24 14:30`, `2026-11-24T14:30:05Z`,
    `yesterday` (its first second), `24h` or `7d` (so long ago)."""
    from jobs_lib.config.option_types import duration
    try:
        if words in ("today", "yesterday"):
            today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
            return today - timedelta(days=words == "yesterday")
        if words.endswith(("s", "m", "h", "d", "w")):
            return clock.now() - duration.parse(words)
        found = datetime.fromisoformat(words.strip().replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=clock.UTC)).astimezone(clock.UTC)
    except (ValueError, OverflowError):
        import argparse
        raise argparse.ArgumentTypeError("expected a time such as '2026-11-24 14:30', "
                                         "'yesterday' or '24h', not "
                                         f"{words[:40]!r}") from None


def check_which(command: str, args, what: str) -> None:
    """UsageError unless there are ids, or --all with its filters."""
    if (args.owner or args.since or args.before) and not args.all:
        raise UsageError(f"{command}: --owner, --since and --before go together with --all")
    if bool(args.ids) == args.all:
        raise UsageError(f"{command}: say which rows: ids, or --all that {what}")


def database(session):
    """The database, with the schema that this bundle needs."""
    db = session.ports.database()
    version.check(db)
    return db


def queue_view(session, items: Items):
    """What the queue reads by: engines/items.view."""
    return view(session.ports.database(), session.config, session.ports.now(),
                session.config.job_named(items.queue.job))


def owners(db, word: str, table: str) -> list:
    """The ids of the accounts that an id or an address means: one of its own, or of an alias.
    UsageError if there is none. A deleted account, too, may have rows in the queue's table, that
    have come in late."""
    id, column = key(db, "users", word), "id" if table == "users" else "user_id"
    for of, name in (("users", "id"), (table, column)) if id is not None else ():
        if found := db.row(f"SELECT {name} AS id FROM {{{of}}} WHERE {name} = :id LIMIT 1", id=id):
            return [found["id"]]
    for sql in ("SELECT id FROM {users} WHERE email IN (:addresses)",
                "SELECT user_id AS id FROM {aliases} WHERE address IN (:addresses)"):
        found = db.query(sql, addresses=[word.strip(), word.strip().lower()])
        if ids := sorted(keys_in({row["id"] for row in found}), key=ordered):
            return ids
    called = "id" if "users" in db.text_keys else "number"
    raise UsageError(f"--owner {one_line(text(word), 254)}: no account has this {called} or "
                     "address, and no alias has this address")


def key(db, table: str, word: str):
    """The id of a row of the table that is written so: as it is where ids are text, else a number,
    at most the largest that there can be; None for what cannot be one."""
    if table in db.text_keys:
        return word if 0 < len(word) <= LONGEST_KEY else None
    is_number = word.isascii() and word.isdecimal()
    return min(int(word.lstrip("0")[:20] or 0), LARGEST_KEY) if is_number else None


def keys(db, table: str, words: list[str]) -> list:
    """The ids that are written so, once each. UsageError for what cannot be one."""
    from argparse import ArgumentTypeError
    try:
        return list(dict.fromkeys(words if table in db.text_keys else map(positive, words)))
    except ArgumentTypeError as error:
        raise UsageError(f"argument ID: {error}") from None
