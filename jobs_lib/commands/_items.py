"""What the commands about single items share: which owner is meant, since when, and the tables
that they need."""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib import clock
from jobs_lib.database.schema import version
from jobs_lib.database.values import LARGEST_KEY, LONGEST_KEY, keys_in, one_line, ordered
from jobs_lib.engines.work_queue import WorkQueue, view
from jobs_lib.errors import UsageError
from jobs_lib.masking import text
from jobs_lib.text import one_of, positive

CLAIMED = ("forwards", "notifications", "webhooks")      # whose items are replayed and cancelled


def select(parser, which: str) -> None:
    """Declares QUEUE, ID... or --all, and --owner. `which`: what --all takes, in words."""
    parser.add_argument("queue", metavar="QUEUE", type=queue_name(*CLAIMED),
                        help=f"{', '.join(CLAIMED[:-1])} or {CLAIMED[-1]}")
    parser.add_argument("ids", metavar="ID", nargs="*", help="the rows' ids")
    parser.add_argument("--all", action="store_true", help=f"instead of ids: all that {which}")
    parser.add_argument("--owner", metavar="ID|ADDRESS", help="with --all: only what belongs to "
                        "this account")


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


def check_which(command: str, args, time, option: str, what: str) -> None:
    """UsageError unless there are ids, or --all with its filters."""
    if (time or args.owner) and not args.all:
        raise UsageError(f"{command}: {option} and --owner go together with --all")
    if bool(args.ids) == args.all:
        raise UsageError(f"{command}: say which rows: ids, or --all that {what}")


def database(session):
    """The database, with the schema that this bundle needs."""
    db = session.ports.database()
    version.check(db)
    return db


def queue_view(session, queue: WorkQueue):
    """What the queue reads by: engines/work_queue.view."""
    return view(session.ports.database(), session.config, session.ports.now(),
                session.config.job_named(queue.job))


def owners(db, word: str, table: str) -> list:
    """The ids of the accounts that an id or an address means: one of its own, or of an alias.
    UsageError if there is none. A deleted account, too, may have rows in the queue's table, that
    have come in late."""
    if (id := key(db, "users", word)) is not None:
        found = db.row("SELECT id FROM {users} WHERE id = :id", id=id) or (
            table != "users" and db.row(f"SELECT user_id AS id FROM {{{table}}} "
                                        "WHERE user_id = :id LIMIT 1", id=id))
        if found:
            return [found["id"]]
        if isinstance(id, int):
            raise UsageError(f"--owner {word[:20]}: no account has this number")
    if found := ids(db, word, {"users": "email", "aliases": "address"}, "user_id"):
        return found
    raise UsageError(f"--owner {one_line(text(word), 254)}: no account and no alias has this "
                     f"address; the {called(db, 'users')} of an account will do as well")


def ids(db, word: str, columns: dict, of_aliases: str = "id") -> list:
    """What an id means, of the first table, or an address in one of these columns, {table: column}:
    the `id` of the rows, of aliases what is asked for."""
    word = word.strip()
    first = next(iter(columns))
    id = key(db, first, word)
    if isinstance(id, int) or (id and db.row(f"SELECT id FROM {{{first}}} WHERE id = :id", id=id)):
        return [id]
    for table, column in columns.items():
        name = of_aliases if table == "aliases" else "id"
        rows = db.query(f"SELECT {name} AS id FROM {{{table}}} WHERE {column} IN (:addresses)",
                        addresses=[word, word.lower()])
        if known := sorted(keys_in({row["id"] for row in rows}), key=ordered):
            return known
    return []


def number(word: str) -> int | None:
    """The id that is written so, at most the largest that there can be; None for other words."""
    if not (word.isascii() and word.isdecimal()):
        return None
    return min(int(word.lstrip("0")[:20] or 0), LARGEST_KEY)


def key(db, table: str, word: str):
    """The id of a row of the table that is written so: as it is where ids are text, else a number;
    None for what cannot be one."""
    if table in db.text_keys:
        return word if 0 < len(word) <= LONGEST_KEY else None
    return number(word)


def keys(db, table: str, words: list[str]) -> list:
    """The ids that are written so, once each. UsageError for what cannot be one."""
    from argparse import ArgumentTypeError
    try:
        return list(dict.fromkeys(words if table in db.text_keys else map(positive, words)))
    except ArgumentTypeError as error:
        raise UsageError(f"argument ID: {error}") from None


def called(db, table: str) -> str:
    """What an id of the table is to a reader."""
    return "id" if table in db.text_keys else "number"
