"""What the commands about single items share: which rows are meant, and what was done to them."""
from __future__ import annotations

from datetime import datetime

from jobs_lib import clock
from jobs_lib.config.option_types import duration
from jobs_lib.database.schema import version
from jobs_lib.database.stored import LARGEST_KEY, chunked, keys_in
from jobs_lib.errors import FAILED, OK, UsageError
from jobs_lib.features.items import QUEUES
from jobs_lib.features.items.base import AT_ONCE, Items
from jobs_lib.text import counted, either, one_line
from jobs_lib.text.masking import text

SENT = ("forwards", "notifications", "webhooks")     # whose items are replayed and cancelled
NAMES = (*SENT, "domains", "exports", "deletions")
LONGEST = 60            # characters of the ids that are refused for one reason


def select(parser, which: str) -> None:
    """Declares QUEUE, ID... or --all with its filters, and --json. `which`: what --all takes."""
    parser.add_argument("queue", metavar="QUEUE", type=plural, choices=SENT,
                        help=either(SENT))
    parser.add_argument("ids", metavar="ID", nargs="*", help="the rows' ids")
    parser.add_argument("--all", action="store_true", help=f"instead of ids: all that {which}")
    filters(parser, "with --all: ")
    parser.add_argument("--json", action="store_true", help="print which items were changed or "
                                                            "refused, and why")


def filters(parser, where: str = "") -> None:
    parser.add_argument("--owner", metavar="ID|ADDRESS", help=f"{where}only what belongs to this "
                        "account: its id, its address, or that of one of its aliases")
    parser.add_argument("--since", metavar="TIME", type=moment,
                        help=f"{where}only what came in since then, in UTC, such as "
                        "'2026-11-24 14:30' or '24h'")
    parser.add_argument("--before", metavar="TIME", type=moment,
                        help=f"{where}only what came in before then")


def plural(word: str) -> str:
    """A type for argparse: the name of a queue; its singular and `notices` are understood, too."""
    word = word.replace("notice", "notification")
    return f"{word}s" if f"{word}s" in NAMES else word


def moment(words: str) -> datetime:
    """A time in UTC, for argparse: `2026-11-24`, `2026-11-24T14:30:05Z`, or `7d`, so long ago."""
    try:
        if words.endswith(("s", "m", "h", "d", "w")):
            return clock.now() - duration.parse(words)
        found = datetime.fromisoformat(words.strip().replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=clock.UTC)).astimezone(clock.UTC)
    except (ValueError, OverflowError):
        from argparse import ArgumentTypeError
        raise ArgumentTypeError("expected a time such as '2026-11-24 14:30' or '24h', not "
                                f"{words[:40]!r}") from None


def opened(session, name: str) -> Items:
    """The queue of that name, on a database that has the schema which this bundle needs."""
    db = session.ports.database()
    version.check(db)
    return QUEUES[name](db, session.config, session.ports.now())


def wanted(db, args) -> dict:
    """What the filters mean (features/items/base.py)."""
    given = {"owners": None if args.owner is None else _owners(db, args.owner),
             "since": args.since, "before": args.before}
    return {name: value for name, value in given.items() if value is not None}


def _owners(db, word: str) -> list:
    """The ids of the accounts that an id or an address, their own or an alias's, means; UsageError
    for none. Of a deleted account, too, rows may have come in late."""
    if "@" not in word:
        return [key(db, "users", word)]
    found = db.query("SELECT id FROM {users} WHERE email IN (:addresses) UNION SELECT user_id FROM "
                     "{aliases} WHERE address IN (:addresses)",
                     addresses=[word.strip(), word.strip().lower()])
    if ids := keys_in(row["id"] for row in found):
        return ids
    raise UsageError(f"--owner {one_line(text(word), 254)}: no account or alias has this address")


def key(db, table: str, word: str):
    """The id of a row of the table that is written so: as it is where ids are text, else a number,
    at most the largest that there can be. UsageError for what cannot be one."""
    if table in db.text_keys:
        return word
    if word.isascii() and word.isdecimal():
        return min(int(word[:40]), LARGEST_KEY)
    raise UsageError(
        f"there is no domain {text(word)[:254]!r}" if table == "domains"
        else f"{text(word)[:40]!r} is not an id: ids are numbers")


def chosen(session, command: str, args, status: str) -> tuple:
    """(the queue, the ids that are meant, in lists): those that were named, or with --all those of
    this status. UsageError unless there are ids, or --all with its filters."""
    filtered = args.owner or args.since or args.before
    if bool(args.ids) == args.all or (filtered and not args.all):
        raise UsageError(
            f"{command}: expected either ids or --all, not both; "
            "--owner, --since and --before go with --all")
    items = opened(session, args.queue)
    if args.all:
        return items, items.pages(status, wanted(items.db, args))
    ids = dict.fromkeys(key(items.db, items.queue.table, word) for word in args.ids)
    return items, chunked(ids, AT_ONCE)


def report(session, args, done: list, refused: dict, what: str, verb: str) -> int:
    """Say what was done (features/items/base.py), in words, or in JSON under `verb`. The exit code:
    1 if an id was refused."""
    console, kind = session.console, args.queue[:-1]
    reasons: dict[str, list] = {}
    for id, why in refused.items():
        reasons.setdefault(text(why), []).append(id)
    if args.json:
        console.document({"queue": args.queue, verb: done, "refused": [
            {"id": id, "reason": why} for why, ids in reasons.items() for id in ids]})
    else:
        console.report(f"{counted(len(done), kind)} {what}" if done else f"nothing was {verb}")
        for why, ids in reasons.items():
            named = one_line(", ".join(map(str, ids)), LONGEST)
            console.fail(f"{counted(len(ids), kind)} not {verb} ({named}): {why}")
    return FAILED if refused and not args.all else OK
