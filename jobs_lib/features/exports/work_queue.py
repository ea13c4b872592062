"""The exports as an operator sees them."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.config.settings import SECTIONS
from jobs_lib.database import stored
from jobs_lib.database.values import one_line, words
from jobs_lib.engines.work_queue import (
    DUE,
    Item,
    Kept,
    Wanted,
    WorkQueue,
    due_backlog,
    owners_in,
    since_rule,
)
from jobs_lib.text import size

COLUMNS = ("id, user_id, status, progress, file_bytes, attempts, requested_at, started_at, "
           "finished_at, expires_at, error, claim_run")


class ExportQueue(WorkQueue):
    """Rows of `export_requests`."""

    name, item, what = "exports", "export", "exports"
    table, job, added = "export_requests", "export_accounts", "requested_at"
    waits = "status = 'queued'"
    done, failed = ("exported",), ("failed",)
    moments = (("requested_at", "was requested"), ("finished_at", "ended"),
               ("expires_at", "its link expires"))

    def backlog(self, ctx, most: int) -> tuple:
        """What is queued is due."""
        row = due_backlog(ctx.db, self.table, "requested_at", "status = 'queued'", most)
        return row["number"], row["number"], row["since"] and str(row["since"])

    def select(self, ctx, wanted: Wanted) -> list[dict]:
        """What is made or waits, the longest waiting first; else the newest first."""
        rule, values = since_rule(wanted, self.added)
        statuses = ("failed",) if wanted.failed else ("running", "queued")
        way = "DESC" if wanted.owners is not None or wanted.failed else "ASC"
        order = f"requested_at {way}, id {way}"
        if wanted.owners is not None:
            if wanted.failed:
                rule += " AND +status = 'failed'"
            return ctx.db.query(f"SELECT {COLUMNS} FROM {{export_requests}} "
                                f"WHERE user_id IN (:owners){rule} ORDER BY {order} LIMIT :most",
                                owners=wanted.owners, most=wanted.limit, **values)
        return [row for status in statuses for row in ctx.db.query(
            f"SELECT {COLUMNS} FROM {{export_requests}} WHERE status = :status{rule} "
            f"ORDER BY {order} LIMIT :most", status=status, most=wanted.limit,
            **values)][:wanted.limit]

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words."""
        from jobs_lib.engines.attempts import LONGEST_ANSWER

        from .requests import ATTEMPTS
        owners = owners_in(ctx.db, rows)
        busy = {row["user_id"] for row in rows if row["status"] == "running" and row["claim_run"]}
        items = []
        for row in rows:
            status, why = one_line(words(row["status"])), ""
            if status == "queued":
                state = owners.get(row["user_id"], "deleted")
                if state != "active":
                    why = f"the next run of {self.job} refuses it: the account is {state}"
                elif row["user_id"] in busy:
                    why = "another export of the account is being made"
            what = size(row["file_bytes"]) if row["file_bytes"] else "all of the account"
            items.append(Item(row["id"], row["user_id"], what,
                              DUE if status == "queued" else status, row["attempts"] or 0, ATTEMPTS,
                              stored.time(row["requested_at"]),
                              ctx.now if status == "queued" else None, why,
                              one_line(row["error"] or "", LONGEST_ANSWER)))
        return items

    def kept(self, ctx, row: dict) -> Kept:
        """Its file by [export] keep; its row with the account."""
        until = clock.parse_any(row["expires_at"])
        if row["status"] == "ready" and until:
            keep = ctx.config.written("export", "keep", SECTIONS["export"]["keep"]).text
            return Kept(until, f"[export] keep = {keep}",
                        "then its file is deleted; its row stays as long as the account")
        return Kept(None, "", "its row stays as long as the account")


QUEUE = ExportQueue()
