"""The deletions of accounts as an operator sees them. A deletion is called by the id of its
user."""
from __future__ import annotations

from itertools import islice

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines.work_queue import DUE, Item, Kept, Wanted, WorkQueue, count, written

from . import due as deletions

LOOKED_AT = 5_000           # deleted accounts, at most, to find those that are wanted
CLOSED = "closed"


class DeletionQueue(WorkQueue):
    """Users whose status is `deleted`, and what account_deletions says of them."""

    name, item, what = "deletions", "deletion", "accounts to delete"
    table, job, added = "users", "delete_accounts", "deleted_at"

    def due(self, ctx):
        """Those that a run now would take a step in."""
        return deletions.due(ctx)

    def backlog(self, ctx, most: int) -> tuple:
        """All that are deleted wait."""
        return count(ctx.db, "users", "status = 'deleted'", most), *self.due(ctx).backlog(most)

    def count_failed(self, ctx) -> int:
        """None ever does: a deletion is continued until it is done."""
        return 0

    def select(self, ctx, wanted: Wanted) -> list[dict]:
        """The longest deleted first."""
        found = (account.user_id for account in islice(deletions.deleted(ctx), LOOKED_AT)
                 if (wanted.owners is None or account.user_id in wanted.owners)
                 and (wanted.since is None or clock.parse(account.deleted_at) >= wanted.since))
        ids = () if wanted.failed else islice(found, wanted.limit)
        return [row for id in list(ids) if (row := self.read(ctx, id))]

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words."""
        items = []
        for row in rows:
            since, account = stored.time(row["deleted_at"]), row["account"]
            if account is None:
                items.append(Item(row["id"], row["user_id"], "", str(row["status"]), None, None,
                                  since, None, "", ""))
                continue
            next_at = deletions.next_at(ctx, account)
            what = ("all of the account is deleted" if deletions.is_closed(account)
                    else "the account is closed first")
            why = "" if account.is_timed else (
                f"deleted_at is no time: the next run of {self.job} sets it")
            items.append(Item(row["id"], row["user_id"], what,
                              DUE if next_at <= ctx.now else CLOSED, None, None, since, next_at,
                              why, ""))
        return items

    def read(self, ctx, id: int) -> dict | None:
        """The account, with its latest deletion; of one that was erased what stays."""
        known = ctx.db.row("SELECT * FROM {account_deletions} WHERE user_ref = :ref "
                           "ORDER BY id DESC LIMIT 1", ref=deletions.user_ref(ctx, id))
        user = ctx.db.row(f"SELECT status, {deletions.COLUMNS} FROM {{users}} WHERE id = :id",
                          id=id)
        if (user or known) is None or (user and user["status"] != "deleted"):
            return None
        row = user or {"id": id, "status": "erased", "deleted_at": known["requested_at"]}
        account = next(deletions.accounts(ctx, [user])) if user else None
        return {**{name: row.get(name) for name in ("id", "status", "deleted_at", "created_at")},
                "user_id": id, "deletion": known, "account": account}

    def kept(self, ctx, row: dict) -> Kept:
        """Until the date that its owner was given."""
        account = row["account"]
        if account is None:
            return Kept(None, "", "what stays says no more than that an account was deleted")
        grace = written(ctx.config, self.job, "grace")
        if not account.is_timed:
            return Kept(None, grace, f"counted from the next run of {self.job}")
        return Kept(deletions.next_at(ctx, account), grace, "then all that the account has is "
                    "deleted")


QUEUE = DeletionQueue()
