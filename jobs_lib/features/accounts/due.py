"""Which accounts are deleted, and whose next step is due: to be closed at once, and to be erased on
the day that its owner was given.

A deletion has one time, `users.deleted_at`. A run gives one to those that have none; who only looks
sees these by the same rules.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database.values import INVALID, fitted
from jobs_lib.database.values import LABEL as LONGEST
from jobs_lib.engines.rows import has_status
from jobs_lib.records import namedtuple

LABEL = "account-deletion"          # of the derived key that makes a `user_ref` of a user's id
PAGE = 500                          # accounts read at once
AHEAD = timedelta(days=1)           # a deletion further ahead was written by a clock that was wrong
UNSENT = timedelta(days=28)         # after the deletion, it is erased although no notice was sent
COLUMNS = "id, name, email, deleted_at, created_at"

Account = namedtuple("Account", "user_id deleted_at is_timed created_at name email ref deletion "
                     "notice")
Account.__doc__ = """A user whose status is `deleted`.

deleted_at   as the next run sees it; None where it is no time: the account is left alone
is_timed     whether that is stored in its row
deletion     the row of account_deletions that is about this deletion, or None
notice       the status of the notice that names the day to its owner, or None
"""


def user_ref(ctx, user_id) -> str:
    """What replaces a user's id once it may not be known any more."""
    import hmac  # only where an account is deleted: it would slow every idle run
    return hmac.digest(ctx.secret(LABEL), str(user_id).encode(), "sha256").hex()


def notice_key(user_id, deleted_at: str) -> str:
    """The dedupe key of the one notice about a deletion."""
    return fitted(f"account-deletion:{user_id}:{deleted_at}", LONGEST)


def deleted(ctx):
    """Every Account whose user is `deleted`, the longest ago first; a page at a time."""
    chosen = f"SELECT {COLUMNS} FROM {{users}} WHERE status = 'deleted' AND"
    for rows in ctx.db.pages(f"{chosen} (deleted_at IS NULL OR deleted_at < :first)", size=PAGE,
                             first=clock.FIRST):
        yield from accounts(ctx, rows)
    for rows in ctx.db.pages(f"{chosen} deleted_at >= :first", key=("deleted_at", "id"), size=PAGE,
                             first=clock.FIRST):
        yield from accounts(ctx, rows)


def accounts(ctx, rows: list[dict]):
    """These rows of `users`, as Accounts."""
    refs = {row["id"]: user_ref(ctx, row["id"]) for row in rows}
    known = {row["user_ref"]: row for row in ctx.db.query(
        "SELECT id, user_ref, requested_at, revoked_at, erase_after, counts "
        "FROM {account_deletions} WHERE user_ref IN (:refs) AND completed_at IS NULL ORDER BY id",
        refs=sorted(refs.values()))}
    times = {row["id"]: _time(ctx, row["deleted_at"]) for row in rows}
    # one by one: of a list SQLite may make a search through all notices
    notices = {id: ctx.db.value("SELECT status FROM {notifications} WHERE dedupe_key = :key",
                                key=notice_key(id, time))
               for id, (time, _) in times.items() if refs[id] in known}
    for row in rows:
        id = row["id"]
        deleted_at, is_timed = times[id]
        yield Account(id, deleted_at, is_timed, row["created_at"], row["name"], row["email"],
                      refs[id], known.get(refs[id]), notices.get(id))


def _time(ctx, moment) -> tuple:
    """(`deleted_at`, whether that is stored): the present for who has none, or one that lies far
    ahead, which would keep the account too long. As our own column has it: an app's may be
    DATETIME(6)."""
    found = clock.parse_any(moment)
    if moment is None or (found and found > ctx.now + AHEAD):
        return clock.text(ctx.now), False
    return (str(moment)[:19] if found else None), True


def is_closed(account) -> bool:
    """Whether that was done for this deletion: an account that was active again meanwhile is closed
    again."""
    known = account.deletion
    return bool(known and known["revoked_at"] and known["requested_at"] == account.deleted_at)


def erase_after(ctx, account):
    """When it may be erased: never sooner than on the day that its owner was given, and later
    where no notice of it was sent."""
    begun = clock.parse(account.deleted_at)
    named = clock.parse_any(account.deletion["erase_after"]) if is_closed(account) else None
    day = named or clock.plus(begun, ctx.options.grace)
    return day if account.notice == "sent" else max(day, clock.plus(begun, UNSENT))


def next_at(ctx, account):
    """When its next step is due; None for one that is left alone."""
    if account.deleted_at is None:
        return None
    return erase_after(ctx, account) if is_closed(account) else ctx.now


def find(ctx) -> tuple[list, list, list]:
    """(the accounts that are to be closed now, as far as `--limit` goes; those to be erased; those
    whose notice was refused). Those whose time is none are counted."""
    if not ctx.db.row(f"SELECT id FROM {{users}} WHERE {has_status('deleted')} LIMIT 1"):
        return [], [], []
    found = list(deleted(ctx))
    timed = [account for account in found if account.deleted_at]
    if len(timed) < len(found):
        ctx.counts[INVALID] = len(found) - len(timed)
    new = [account for account in timed if not is_closed(account)]
    going = [account for account in timed if erase_after(ctx, account) <= ctx.now]
    refused = [account for account in timed if is_closed(account) and account.notice == "failed"]
    return new[:ctx.within_limit(len(new))], going, refused


class DueDeletions:
    """The deletions whose next step is due, as engines/due.py has the rows of other queues."""

    def __init__(self, ctx) -> None:
        self.ctx = ctx

    def accounts(self):
        """(since when, the account) of each of them."""
        for account in deleted(self.ctx):
            when = next_at(self.ctx, account)
            if when and when <= self.ctx.now:
                yield when, account

    def backlog(self, most: int) -> tuple[int, str | None]:
        """(how many there are, since when the earliest is due), `most` at most."""
        found = [when for when, _ in self.accounts()]
        return min(len(found), most), clock.text(min(found)) if found else None

    def ids(self, most: int) -> list:
        """Of the longest due."""
        found = sorted(self.accounts(), key=lambda each: each[0])
        return [account.user_id for _, account in found[:most]]


due = DueDeletions      # of a Context, as in the other features
