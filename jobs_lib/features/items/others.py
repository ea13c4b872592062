"""What is made, checked or deleted: exports, domains, accounts."""
from __future__ import annotations

from jobs_lib import clock, text
from jobs_lib.database import stored
from jobs_lib.database.values import keys_in, one_line, words
from jobs_lib.engines.due import Due
from jobs_lib.engines.items import DUE, Item, Items, Kept, Wanted, bound, count
from jobs_lib.engines.rows import UNCLAIMED, owners_in, why_nobody_waits
from jobs_lib.features import queues


class Exports(Items):
    """Rows of `export_requests`."""

    queue, what = queues.EXPORTS, "exports"
    done = ("exported",)
    age = ("requested_at",)
    reads = ("file_bytes",)
    moments = (("requested_at", "was requested"), ("finished_at", "ended"),
               ("expires_at", "its link expires"))

    def to(self, row: dict) -> str:
        """How much it is, once it is known."""
        return text.size(row["file_bytes"]) if row["file_bytes"] else "all of the account"

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its account is deleted."""
        owners = owners_in(ctx.db, found)
        return {row["id"]: why for row in found
                if (why := why_nobody_waits(owners, row["user_id"]))}

    def reasons(self, ctx, waits: list[dict]) -> dict:
        """Another one of the account comes first."""
        busy = {row["user_id"] for row in ctx.db.query(
            "SELECT user_id FROM {export_requests} WHERE status = 'running' "
            f"AND NOT {UNCLAIMED} AND user_id IN (:owners)",
            owners=keys_in({row["user_id"] for row in waits}))}
        return {row["id"]: "another export of the account is being made" for row in waits
                if row["user_id"] in busy}

    def kept(self, ctx, row: dict) -> Kept:
        """Its file by [export] keep; its row with the account."""
        until = clock.parse_any(row["expires_at"]) if row["status"] == "ready" else None
        return Kept(until, ("export", "keep") if until else None,
                    "then its file is deleted; its row stays as long as the account" if until
                    else "its row stays as long as the account")


class Domains(Items):
    """Rows of `domains`: each of them waits for its next check."""

    queue, what = queues.DOMAINS, "domains to check"
    done, failed = ("checked",), ()
    age = ("next_check_at",)
    reads = ("name", "dns_results", "next_check_at", "recheck_requested_at", "failures")
    waits_if = " AND next_check_at IS NOT NULL"
    moments = (("created_at", "was added"), ("recheck_requested_at", "a check was asked for"),
               ("failing_since", "has been found wrong since then"),
               ("warned_at", "its owner was warned"), ("verified_at", "was verified"),
               ("checked_at", "was last checked"))

    def due(self, ctx) -> Due:
        """Those that were asked for, and those whose time has come."""
        from jobs_lib.features.domains.due import due
        return due(ctx)

    def backlog(self, ctx, most: int) -> tuple:
        """Those that are due: there is no end to checks."""
        number, since = self.due(ctx).backlog(most)
        return number, number, since

    def unfinished(self) -> tuple:
        """But those that were given up."""
        return "pending", "verified"

    def describe(self, ctx, found: list[dict]) -> list[Item]:
        """By the status that the last check left."""
        from jobs_lib.features.domains.status import in_words
        owners, items = owners_in(ctx.db, found), []
        for row in found:
            next_at, why = _next_check(ctx, row), why_nobody_waits(owners, row["user_id"])
            if owners.get(row["user_id"]) == "suspended":
                why = "its owner is suspended"
            elif not why and next_at is None:
                why = "given up: it is checked again once its owner asks for it"
            items.append(Item(row["id"], row["user_id"], one_line(row["name"], 254),
                              one_line(words(row["status"])), row["failures"], None,
                              stored.time(row["created_at"]), next_at, why,
                              in_words(stored.document(row["dns_results"]))))
        return items

    def find(self, ctx, word: str):
        """By its name; of several accounts that have it, a verified one first."""
        from jobs_lib.hostnames import forms
        found = ctx.db.query("SELECT id, status FROM {domains} WHERE name IN (:names) ORDER BY id",
                             names=forms(word))
        found.sort(key=lambda row: row["status"] != "verified")
        return found[0]["id"] if found else None

    def kept(self, ctx, row: dict) -> Kept:
        """With its account."""
        return Kept(None, None, "as long as its owner keeps it, or until the account is deleted")


def _next_check(ctx, row: dict):
    """None: never again by itself."""
    is_asked = clock.parse_any(row["recheck_requested_at"])
    if row["next_check_at"] is None and row["status"] == "failed" and not is_asked:
        return None
    return (None if is_asked else clock.parse_any(row["next_check_at"])) or ctx.now


class Deletions(Items):
    """Users whose status is `deleted`. A deletion is called by the id of its user."""

    queue, what = queues.DELETIONS, "accounts to delete"
    done, failed = (), ()

    def due(self, ctx):
        """Those that a run now would take a step in."""
        from jobs_lib.features.accounts.due import due
        return due(ctx)

    def backlog(self, ctx, most: int) -> tuple:
        """All that are deleted wait."""
        return count(ctx.db, "users", "status = 'deleted'", most), *self.due(ctx).backlog(most)

    def select(self, ctx, wanted: Wanted, most: int) -> list:
        """The longest deleted first."""
        if wanted.failed:
            return []
        rule = self.rule(wanted, "deleted").replace("user_id", "id")
        return self.ids(ctx, f"{rule} ORDER BY deleted_at, id", most, **bound(wanted))

    def read(self, ctx, ids: list, columns: str = "") -> list[dict]:
        """The accounts, with what is known of each deletion."""
        from jobs_lib.features.accounts import due as deletions
        found = {row["id"]: row for row in ctx.db.query(
            f"SELECT {deletions.COLUMNS} FROM {{users}} WHERE id IN (:ids) "
            "AND status = 'deleted'", ids=ids)}
        chosen = [found[id] for id in ids if id in found]
        return [{"id": row["id"], "user_id": row["id"], "status": "deleted",
                 "deleted_at": row["deleted_at"], "created_at": row["created_at"],
                 "account": account} for row, account in zip(chosen,
                                                             deletions.accounts(ctx, chosen))]

    def row(self, ctx, id) -> dict | None:
        """The account; of one that was erased what stays."""
        from jobs_lib.features.accounts.due import user_ref
        if row := super().row(ctx, id):
            return row
        known = ctx.db.row("SELECT requested_at FROM {account_deletions} WHERE user_ref = :ref "
                           "ORDER BY id DESC LIMIT 1", ref=user_ref(ctx, id))
        if known is None or ctx.db.row("SELECT id FROM {users} WHERE id = :id", id=id):
            return None
        return {"id": id, "user_id": id, "status": "erased", "account": None,
                "deleted_at": known["requested_at"]}

    def describe(self, ctx, found: list[dict]) -> list[Item]:
        """In words: what comes next, and when."""
        from jobs_lib.features.accounts import due as deletions
        items = []
        for row in found:
            account, state, what, why, next_at = row["account"], row["status"], "", "", None
            if account:
                next_at = deletions.next_at(ctx, account)
                state = DUE if next_at and next_at <= ctx.now else "closed"
                what = ("all of the account is deleted" if deletions.is_closed(account)
                        else "the account is closed first")
                if next_at is None:
                    state, why = "invalid", "deleted_at is no time: correct it in `users`"
                elif not account.is_timed:
                    why = f"deleted_at is no time: the next run of {self.queue.job} sets it"
            items.append(Item(row["id"], row["id"], what, state, None, None,
                              stored.time(row["deleted_at"]), next_at, why, ""))
        return items

    def kept(self, ctx, row: dict) -> Kept:
        """Until the date that its owner was given."""
        from jobs_lib.features.accounts.due import next_at
        account = row["account"]
        if account is None:
            return Kept(None, None, "what stays says no more than that an account was deleted")
        until = next_at(ctx, account) if account.is_timed else None
        return Kept(until, (self.queue.job, "grace"), "then all that the account has is deleted")
