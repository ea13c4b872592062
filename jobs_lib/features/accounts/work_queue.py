"""The deletions of accounts as an operator sees them. A deletion is called by the id of its
user."""
from __future__ import annotations

from itertools import chain

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines.work_queue import (
    DUE,
    Item,
    Kept,
    Wanted,
    WorkQueue,
    count,
    written,
)

LOOKED_AT = 5_000           # deleted accounts, at most, to find those that are due
CLOSED = "closed"


class DeletionQueue(WorkQueue):
    """Users whose status is `deleted`, and what account_deletions says of them."""

    name, item, what = "deletions", "deletion", "accounts to delete"
    table, job, added = "users", "delete_accounts", "deleted_at"

    def backlog(self, ctx, most: int) -> tuple:
        """Those that are due, of the first LOOKED_AT."""
        items = self.describe(ctx, self.select(ctx, Wanted(limit=min(most, LOOKED_AT))))
        due = [item.next_at for item in items if item.next_at <= ctx.now]
        oldest = min(due, default=None)
        depth = count(ctx.db, "users", "status = 'deleted'", most)
        return depth, len(due), oldest and clock.text(oldest)

    def count_failed(self, ctx) -> int:
        """None ever does: a deletion is continued until it is done."""
        return 0

    def select(self, ctx, wanted: Wanted) -> list[dict]:
        """The longest deleted first."""
        if wanted.failed:
            return []
        rows: list[dict] = []
        for account in self._accounts(ctx, wanted):
            rows.append({"id": account.user_id, "user_id": account.user_id, "status": "deleted",
                         "deleted_at": account.deleted_at, "deletion": account.deletion})
            if len(rows) == wanted.limit:
                break
        return rows

    def _accounts(self, ctx, wanted: Wanted):
        from . import deleted
        timeless = (deleted.Account(id, None, None, None, None, None, None)
                    for ids in deleted.timeless(ctx) for id in ids)
        for number, account in enumerate(chain(timeless, deleted.deleted(ctx))):
            if number == LOOKED_AT:
                return
            since = clock.parse_any(account.deleted_at)
            if ((wanted.owners is None or account.user_id in wanted.owners)
                    and (wanted.since is None or (since and since >= wanted.since))):
                yield account

    def next_at(self, ctx, row: dict):
        """When the next step is due: at once for one that is not closed yet, else the date that
        its owner was given."""
        from .erase import erase_after
        return erase_after(ctx, _account(row)) if _is_closed(row) else ctx.now

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words."""
        items = []
        for row in rows:
            if row["status"] != "deleted":
                items.append(Item(row["id"], row["user_id"], "", str(row["status"]), None, None,
                                  stored.time(row["deleted_at"]), None, "", ""))
                continue
            next_at, closed = self.next_at(ctx, row), _is_closed(row)
            state = DUE if next_at <= ctx.now else CLOSED
            what = "all of the account is deleted" if closed else "the account is closed first"
            why = "" if _account(row).deleted_at else (
                f"deleted_at is no time: the next run of {self.job} sets it")
            items.append(Item(row["id"], row["user_id"], what, state, None, None,
                              stored.time(row["deleted_at"]), next_at, why, ""))
        return items

    def read(self, ctx, id: int) -> dict | None:
        """The account, with its latest deletion; of one that was erased what stays."""
        from . import deleted
        ref = deleted.user_ref(ctx, id)
        known = ctx.db.row("SELECT * FROM {account_deletions} WHERE user_ref = :ref "
                           "ORDER BY id DESC LIMIT 1", ref=ref)
        user = ctx.db.row("SELECT id, status, deleted_at, created_at FROM {users} "
                          "WHERE id = :id", id=id)
        if (user or known) is None or (user and user["status"] != "deleted"):
            return None
        user = user or {"id": id, "status": "erased", "deleted_at": known["requested_at"],
                        "created_at": None}
        return {**user, "user_id": id, "deletion": known}

    def kept(self, ctx, row: dict) -> Kept:
        """Until the date that its owner was given."""
        if row["status"] == "erased":
            return Kept(None, "", "what stays says no more than that an account was deleted")
        if not _account(row).deleted_at:
            return Kept(None, written(ctx.config, self.job, "grace"),
                        f"counted from the next run of {self.job}")
        return Kept(self.next_at(ctx, row), written(ctx.config, self.job, "grace"),
                    "then all that the account has is deleted")


def _account(row: dict):
    """The same as `deleted` has it."""
    from . import deleted
    return deleted.Account(row["id"], deleted.without_fraction(row["deleted_at"]), None, None, None,
                           None, row["deletion"])


def _is_closed(row: dict) -> bool:
    from .revoke import is_revoked
    return is_revoked(_account(row))


QUEUE = DeletionQueue()
