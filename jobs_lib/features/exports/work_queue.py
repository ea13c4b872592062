"""The exports as an operator sees them."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.config.settings import SECTIONS
from jobs_lib.database import stored
from jobs_lib.database.values import one_line, words
from jobs_lib.engines.work_queue import (
    DUE,
    WAITING,
    Item,
    Kept,
    WorkQueue,
    owners_in,
)
from jobs_lib.features import queues
from jobs_lib.text import size


class ExportQueue(WorkQueue):
    """Rows of `export_requests`."""

    queue = queues.EXPORTS
    name, item, what = "exports", "export", "exports"
    table, job, added = "export_requests", "export_accounts", "requested_at"
    waits = "status = 'queued'"
    done, failed = ("exported",), ("failed",)
    reads = ("id", "user_id", "status", "progress", "file_bytes", "attempts", "requested_at",
             "started_at", "finished_at", "expires_at", "error", "claim_run")
    moments = (("requested_at", "was requested"), ("finished_at", "ended"),
               ("expires_at", "its link expires"))

    def describe(self, ctx, rows: list[dict]) -> list[Item]:
        """The rows in words."""
        from jobs_lib.engines.attempts import LONGEST_ANSWER
        most, owners = len(self.queue.delays(ctx.options)), owners_in(ctx.db, rows)
        busy = {row["user_id"] for row in rows if row["status"] == "running" and row["claim_run"]}
        items = []
        for row in rows:
            state, next_at, why = one_line(words(row["status"])), None, ""
            if state == "queued":
                state, next_at, account = DUE, ctx.now, owners.get(row["user_id"], "deleted")
                if account == "suspended":
                    state, next_at, why = WAITING, None, "its owner is suspended"
                elif account == "deleted":
                    why = f"the next run of {self.job} refuses it: the account is deleted"
                elif row["user_id"] in busy:
                    why = "another export of the account is being made"
            what = size(row["file_bytes"]) if row["file_bytes"] else "all of the account"
            items.append(Item(row["id"], row["user_id"], what, state, row["attempts"] or 0, most,
                              stored.time(row["requested_at"]), next_at, why,
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
