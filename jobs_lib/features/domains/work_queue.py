"""The checks of domains as an operator sees them: each domain is in the queue, for its next
check."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.values import one_line, words
from jobs_lib.engines.due import Due
from jobs_lib.engines.work_queue import Item, Kept, WorkQueue, owners_in, why_nobody_waits
from jobs_lib.features import queues

from .status import PENDING, VERIFIED


class DomainQueue(WorkQueue):
    """Rows of `domains`."""

    queue = queues.DOMAINS
    name, item, what = "domains", "domain", "domains to check"
    table, job = "domains", "check_domains"
    done = ("checked",)
    reads = ("id", "user_id", "name", "status", "dns_results", "checked_at", "next_check_at",
             "recheck_requested_at", "failing_since", "failures", "created_at")
    moments = (("created_at", "was added"), ("recheck_requested_at", "a check was asked for"),
               ("failing_since", "has been found wrong since then"),
               ("warned_at", "its owner was warned"), ("verified_at", "was verified"),
               ("checked_at", "was last checked"))

    def due(self, ctx) -> Due:
        """What a run now would look at."""
        from .due import due
        return due(ctx)

    def unfinished(self) -> tuple:
        """But those that were given up."""
        return PENDING, VERIFIED

    def next_at(self, ctx, row: dict):
        """When it is checked next; None: never again by itself."""
        if clock.parse_any(row["recheck_requested_at"]):
            return ctx.now
        if row["next_check_at"] is None:
            return None if row["status"] == "failed" else ctx.now
        return clock.parse_any(row["next_check_at"]) or ctx.now

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words."""
        owners, items = owners_in(ctx.db, rows), []
        for row in rows:
            next_at = self.next_at(ctx, row)
            why = why_nobody_waits(owners, row["user_id"])
            if not why and owners[row["user_id"]] == "suspended":
                why = "its owner is suspended"
            elif not why and next_at is None:
                why = "given up: it is checked again once its owner asks for it"
            items.append(Item(row["id"], row["user_id"], one_line(row["name"], 254),
                              one_line(words(row["status"])), row["failures"], None,
                              stored.time(row["created_at"]), next_at, why,
                              in_words(stored.document(row["dns_results"]))))
        return items

    def find(self, ctx, word: str) -> int | None:
        """By its name; of several accounts that have it, a verified one first."""
        from jobs_lib.hostnames import forms
        rows = ctx.db.query("SELECT id, status FROM {domains} WHERE name IN (:names) ORDER BY id",
                            names=forms(word))
        rows.sort(key=lambda row: row["status"] != VERIFIED)
        return rows[0]["id"] if rows else None

    def kept(self, ctx, row: dict) -> Kept:
        """With its account."""
        return Kept(None, "", "as long as its owner keeps it, or until the account is deleted")


def in_words(results: dict) -> str:
    """What a check found wrong, or who gave no answer."""
    parts = []
    for check, result in results.items():
        if isinstance(result, dict) and result.get("state") not in ("pass", None):
            parts.append(f"{check}: {one_line(_why(result), 200)}")
        elif isinstance(result, dict) and result.get("unanswered"):
            parts.append(f"{check}: no answer lately")
    return "; ".join(parts)


def _why(result: dict):
    return result.get("problem") or result.get("reason") or result["state"]


QUEUE = DomainQueue()
