"""Which accounts are deleted, and whose next step is due: to be closed at once, and to be deleted
for good on the day that the owner was given.

A deletion has one time, `users.deleted_at`. A run gives one to those that have none; who only looks
sees these by the same rules.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.values import chunked
from jobs_lib.engines.rows import has_status
from jobs_lib.records import namedtuple
from jobs_lib.runner.doubt import AHEAD

LABEL = "account-deletion"          # of the derived key that makes a `user_ref` of a user's id
PAGE = 500                          # accounts read at once
# the first time that is one: NOT NULL columns of apps have 1970-01-01 or 2000-01-01 for none, and
# taken for a time that would erase the account at once
FIRST = "2001-01-01 00:00:00"
COLUMNS = "id, name, email, deleted_at, created_at"
# how long rows that a request or a run under way has written are looked for, after it was closed
AGAIN = timedelta(hours=1)

Account = namedtuple("Account", "user_id deleted_at is_timed created_at name email ref deletion")
Account.__doc__ = """A user whose status is `deleted`.

`deleted_at` is as the next run sees it, `is_timed` whether it is stored so. `deletion` is the row
of account_deletions that is about this deletion, or None.
"""


def user_ref(ctx, user_id: int) -> str:
    """What replaces a user's id once it may not be known any more."""
    import hmac  # only where an account is deleted: it would slow every idle run
    return hmac.digest(ctx.secret(LABEL), str(user_id).encode(), "sha256").hex()


def deleted(ctx):
    """Every Account whose user is `deleted`, those without a time first, then longest ago first; a
    page at a time."""
    chosen = f"SELECT {COLUMNS} FROM {{users}} WHERE status = 'deleted' AND"
    for rows in ctx.db.pages(f"{chosen} (deleted_at IS NULL OR deleted_at < '{FIRST}')",
                             size=PAGE):
        yield from accounts(ctx, rows)
    for rows in ctx.db.pages(f"{chosen} deleted_at >= :first", key=("deleted_at", "id"), size=PAGE,
                             first=FIRST):
        yield from accounts(ctx, rows)


def accounts(ctx, rows: list[dict]):
    """These rows of `users`, as Accounts."""
    refs = {row["id"]: user_ref(ctx, row["id"]) for row in rows}
    known = {row["user_ref"]: row for row in ctx.db.query(
        "SELECT id, user_ref, requested_at, revoked_at, erase_after FROM {account_deletions}"
        " WHERE user_ref IN (:refs) AND completed_at IS NULL ORDER BY id",
        refs=sorted(refs.values()))}
    for row in rows:
        ref, when = refs[row["id"]], _time(ctx, row["deleted_at"])
        yield Account(row["id"], when or clock.text(ctx.now), when is not None, row["created_at"],
                      row["name"], row["email"], ref, known.get(ref))


def _time(ctx, moment) -> str | None:
    """A time as our own column keeps it: an app's may be DATETIME(6). None for one that is missing,
    invalid or far ahead: the account would be kept too long."""
    found = clock.parse_any(moment)
    # who only looks knows of no doubt
    is_ahead = found and found > ctx.now + AHEAD and not getattr(ctx, "clock_in_doubt", False)
    if not found or is_ahead or str(moment) < FIRST:
        return None
    return str(moment)[:19]


def schedule(ctx) -> None:
    """Who was deleted without a time was deleted now: the grace begins when it is seen."""
    timeless = (account.user_id for account in deleted(ctx) if not account.is_timed)
    for ids in chunked(list(timeless), PAGE):
        ctx.db.batch(lambda ids=ids: ctx.db.execute(
            "UPDATE {users} SET deleted_at = :now WHERE id IN (:ids) AND +status = 'deleted'",
            now=ctx.now, ids=ids))
        ctx.log.warning("no time of deletion", user_ids=ids[:5], users=len(ids),
                        what="users.deleted_at is missing, not a valid time, or lies far ahead: "
                        "set to the present")


def is_closed(account) -> bool:
    """Whether that was done for this deletion: an account that was active again meanwhile is closed
    again."""
    known = account.deletion
    return bool(known and known["revoked_at"] and known["requested_at"] == account.deleted_at)


def is_fresh(ctx, account) -> bool:
    """Whether a run closes it: for the first time, or once more within the hour."""
    when = clock.parse_any(account.deletion["revoked_at"]) if is_closed(account) else None
    return when is None or when >= ctx.now - AGAIN


def erase_after(ctx, account):
    """When its grace is over: never sooner than its owner was notified of."""
    named = clock.parse_any(account.deletion["erase_after"]) if is_closed(account) else None
    return named or clock.plus(clock.parse(account.deleted_at), ctx.options.grace)


def next_at(ctx, account):
    """When its next step is due."""
    return erase_after(ctx, account) if is_closed(account) else ctx.now


class DueDeletions:
    """The deletions whose next step is due, as engines/due.py has the rows of other queues."""

    def __init__(self, ctx) -> None:
        self.ctx = ctx

    def _times(self):
        for account in deleted(self.ctx):
            when = next_at(self.ctx, account)
            if when <= self.ctx.now:
                yield when, account.user_id

    def any(self) -> bool:
        """Whether there is one."""
        return next(self._times(), None) is not None

    def backlog(self, most: int) -> tuple[int, str | None]:
        """(how many there are, since when the earliest is due), `most` at most."""
        found = [when for when, _ in self._times()]
        return min(len(found), most), clock.text(min(found)) if found else None

    def ids(self, most: int) -> list:
        """Of the longest due."""
        return [id for _, id in sorted(self._times(), key=lambda each: each[0])][:most]


due = DueDeletions      # of a Context, as in the other features


def is_idle(ctx) -> bool:
    """Whether no deletion is due or was closed a moment ago, and no confirmation is remembered,
    which a run that deletes all takes back."""
    remembered = ctx.db.value("SELECT last_options FROM {job_state} WHERE job = :job",
                              job=ctx.job.name)
    if any(stored.memory(remembered).values()):
        return False
    if not ctx.db.row(f"SELECT id FROM {{users}} WHERE {has_status('deleted')} LIMIT 1"):
        return True
    return not due(ctx).any() and not any(is_fresh(ctx, account) for account in deleted(ctx))
