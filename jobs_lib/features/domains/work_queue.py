"""The checks of domains as an operator sees them: each domain is in the queue, for its next
check."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.values import one_line, words
from jobs_lib.engines.work_queue import (
    Item,
    Kept,
    Wanted,
    WorkQueue,
    due_backlog,
    owners_in,
    since_rule,
    why_nobody_waits,
)

from .status import ACTIVE, PENDING, STATUSES, VERIFIED

COLUMNS = ("id, user_id, name, status, dns_results, checked_at, next_check_at, "
           "recheck_requested_at, failing_since, failures, created_at")


class DomainQueue(WorkQueue):
    """Rows of `domains`."""

    name, item, what = "domains", "domain", "domains to check"
    table, job = "domains", "check_domains"
    done = ("checked",)
    moments = (("created_at", "was added"), ("recheck_requested_at", "a check was asked for"),
               ("failing_since", "has been found wrong since then"),
               ("warned_at", "its owner was warned"), ("verified_at", "was verified"),
               ("checked_at", "was last checked"))

    def backlog(self, ctx, most: int) -> tuple:
        """A statement for each index: domains that somebody asked to check, then by their
        status. None where there are no domains, as in many services."""
        if ctx.db.value("SELECT MIN(id) AS first FROM {domains}") is None:
            return 0, 0, None
        table, now = self.table, ctx.now
        asked = due_backlog(ctx.db, table, "recheck_requested_at",
                            f"recheck_requested_at <= :now{ACTIVE}", most, now=now)
        by_time = [due_backlog(ctx.db, table, "next_check_at",
                               "status = :status AND next_check_at <= :now"
                               f" AND recheck_requested_at IS NULL{ACTIVE}", most, status=status,
                               now=now)
                   for status in STATUSES]
        never_checked = [due_backlog(ctx.db, table, "created_at",
                                     "status = :status AND next_check_at IS NULL"
                                     f" AND recheck_requested_at IS NULL{ACTIVE}", most,
                                     status=status)
                         for status in (PENDING, VERIFIED)]
        found = [asked, *by_time, *never_checked]
        oldest = min((str(row["since"]) for row in found if row["since"]), default=None)
        number = min(sum(row["number"] for row in found), most)
        return number, number, oldest

    def select(self, ctx, wanted: Wanted) -> list[dict]:
        """Those that are due, then by their next check; those of an owner by their ids."""
        rule, values = since_rule(wanted, self.added)
        values["most"] = wanted.limit
        if wanted.owners is not None:
            if wanted.failed:
                rule += " AND +status = 'failed'"
            return ctx.db.query(f"SELECT {COLUMNS} FROM {{domains}} WHERE user_id IN (:owners)"
                                f"{rule} ORDER BY id DESC LIMIT :most",
                                owners=wanted.owners, **values)
        due = [("recheck_requested_at <= :now", "recheck_requested_at, id"),
               *((f"status = '{status}' AND next_check_at IS NULL", "id")
                 for status in (PENDING, VERIFIED)),
               *((f"status = '{status}' AND next_check_at <= :now", "next_check_at, id")
                 for status in STATUSES)]
        later = [(f"status = '{status}' AND next_check_at > :now", "next_check_at, id")
                 for status in STATUSES]
        failed = [("status = 'failed'", "next_check_at DESC, id DESC")]
        found: dict = {}
        for ways in (failed,) if wanted.failed else (due, later):
            rows: list[dict] = []
            for where, order in ways if len(found) < wanted.limit else ():
                rows += ctx.db.query(f"SELECT {COLUMNS} FROM {{domains}} WHERE {where}{rule} "
                                     f"ORDER BY {order} LIMIT :most", now=ctx.now, **values)
            if not wanted.failed:
                rows.sort(key=lambda row: (str(row["next_check_at"] or ""), row["id"]))
            for row in rows:
                if wanted.failed or self.next_at(ctx, row):
                    found.setdefault(row["id"], row)
        return list(found.values())[:wanted.limit]

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
