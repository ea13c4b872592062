"""Requests for an export: what keeps one from being made, what becomes of it, and when its file is
deleted.

    queued -> running -> ready -> expired
                 |
                 +-> queued again (a killed or stopped run, an error), failed at the third time

Each arrow is one commit. A file is there before its row is `ready`, and is deleted in the
transaction that ends it, after the row's own time is over: a kill in between leaves a row that
opens nothing, which the next run ends.
"""
from __future__ import annotations

import secrets
from datetime import timedelta
from functools import partial

from jobs_lib import clock, text
from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT, Tried
from jobs_lib.engines.due import UNCLAIMED
from jobs_lib.engines.queue import Work
from jobs_lib.features.notifications.enqueue import dedupe_key, notify

from . import download, files

# in which an account gets `per_day` exports; what lies further ahead is of a clock that was wrong
DAY = timedelta(days=1)
AT_ONCE = 200                # rows read at once
NO_LINK = "cancelled: its export can no longer be downloaded"


def over(ctx, most: int) -> list[dict]:
    """The first finished exports whose time is over, or counts from a day that is to come."""
    return ctx.db.query(
        "SELECT id, status, expires_at, file_name FROM {export_requests} "
        "WHERE status = 'ready' AND (expires_at <= :now OR finished_at > :ahead) "
        "ORDER BY expires_at, id LIMIT :most",
        now=ctx.now, ahead=ctx.now + DAY, most=most)


def expire(ctx) -> None:
    """Downloads end at their time, and their files are deleted."""
    while (not ctx.should_stop()
           and (rows := over(ctx, ctx.within_limit(AT_ONCE, ctx.counts["expired"])))
           and ctx.may_expire()):
        for row in rows:
            ctx.db.batch(partial(_expire, ctx, row))
            ctx.count("expired")


def _expire(ctx, row: dict) -> None:
    """It cannot be downloaded any more: its file is deleted, and of its notice, unless that was
    sent, the text, which holds the link."""
    if ctx.db.execute(
            "UPDATE {export_requests} SET status = 'expired', token_hash = NULL, "
            "file_name = NULL WHERE id = :id AND status = 'ready'", id=row["id"]):
        ctx.db.execute(
            "UPDATE {notifications} SET status = 'failed', next_attempt_at = NULL, "
            "finished_at = COALESCE(finished_at, :now), last_error = :why, "
            "body_text = NULL, body_html = NULL "
            "WHERE dedupe_key = :key AND status IN ('pending', 'failed')",
            now=ctx.clock(), why=NO_LINK, key=dedupe_key(_ready_key(row)))
        files.remove(ctx, row)


def owner(ctx, row: dict, locked: str = "") -> dict | None:
    """The account, if it is there; `locked`: nobody else may change it until the commit."""
    return ctx.db.row(
        "SELECT id, email, name, status FROM {users} WHERE id = :id" + locked,
        id=row["user_id"])


def refusal(ctx, user: dict | None, row: dict, more: int = 0) -> tuple | None:
    """(what the row says, what its owner reads) of a request that is not to be made. `more`: of the
    account that a dry run would make."""
    if user is None or user["status"] == "deleted":
        return "cancelled: the account is deleted", ""
    made = ctx.db.row(
        "SELECT COUNT(*) AS number, MIN(started_at) AS first FROM {export_requests} "
        "WHERE user_id = :user AND status IN ('ready', 'expired') "
        "AND started_at > :since AND started_at < :ahead",
        user=row["user_id"], since=ctx.now - DAY, ahead=ctx.now + DAY)
    most = ctx.options.per_day
    if made["number"] + more < most:
        return None
    from jobs_lib.features.notifications import render
    again = render.minute((clock.parse_any(made["first"]) or ctx.now) + DAY)
    times = {1: "once", 2: "twice"}.get(most, f"{most} times")
    why = f"refused: {most} exports within a day are enough ([export_accounts] per_day)"
    return why, (f"You can export your account {times} a day. "
                 f"You can request another after {again}.")


class Requests(Work):
    """One run's work on them. Nothing of an export is anywhere before it is `ready`: what a dead
    run left is deleted, and counts as an attempt that failed."""

    def _give_up(self, row: dict) -> None:
        self.put_back(row, RETRY, "the run was killed", row["claim_run"])

    def is_ours(self, row: dict) -> bool:
        """Nor is it another account's by now: nobody gets the data of somebody else."""
        return super().is_ours(row) and row["user_id"] == self.db.value(
            "SELECT user_id FROM {export_requests} WHERE id = :id", id=row["id"])

    def room(self, row: dict) -> str | None:
        """What is against making it now, or any of the account, asked in the commit that begins
        it: it is refused, which is stored by it; or another run makes one."""
        # While the owner's row is locked, no other run begins a request of this account.
        user = owner(self.ctx, row, self.db.for_update)
        if refused := refusal(self.ctx, user, row):
            self._refuse(user, row, *refused)
            return "refused"
        return "later" if self.db.value(
            "SELECT COUNT(*) FROM {export_requests} WHERE user_id = :user "
            f"AND status = 'running' AND NOT {UNCLAIMED}", user=row["user_id"]) else None

    def _refuse(self, user: dict | None, row: dict, why: str, notice: str) -> None:
        """This request and all others of its owner that wait: the reason is the same for all. One
        notice a day."""
        ctx = self.ctx
        number = ctx.db.execute(
            "UPDATE {export_requests} SET status = 'failed', finished_at = :now, "
            "next_attempt_at = NULL, error = :why "
            "WHERE status = 'queued' AND user_id = :owner",
            now=ctx.clock(), why=why, owner=row["user_id"])
        ctx.count("refused", number)
        ctx.log.event("export refused", id=row["id"], requests=number, reason=why)
        key = f"export-refused:{row['user_id']}:{ctx.now:%Y-%m-%d}"
        self._notify(user, "export_failed", key, row, why=notice)

    def _notify(self, user: dict | None, kind: str, key: str, row: dict, **values) -> None:
        """Of an account that is deleted nobody reads it."""
        if user and user["status"] != "deleted":
            from jobs_lib.features.notifications import render
            asked = clock.parse_any(row["requested_at"]) or self.ctx.now
            notify(self.ctx, user, kind, key, {"requested": render.day(asked), **values})

    def store_progress(self, row: dict, percent: int) -> bool:
        """Store how far it is. False when it is no longer this run's: cancelled, or the account is
        being deleted."""
        return self.db.execute(
            "UPDATE {export_requests} SET progress = :percent "
            "WHERE id = :id AND claim_run = :run AND status = 'running'",
            percent=percent, id=row["id"], run=self.ctx.run_id) == 1

    def store_ready(self, row: dict, written) -> bool:
        """It can be downloaded, and no older one of the account any more; its owner is notified,
        inside a transaction. False when the account is not active, or the request was withdrawn."""
        ctx, now = self.ctx, self.ctx.clock()
        user = owner(ctx, row, ctx.db.for_update)
        if not self.is_ours(row):
            return self._is_ready(row)      # by a COMMIT whose answer was lost
        if user is None or user["status"] != "active":
            return False
        # the next run ends them
        ctx.db.execute(
            "UPDATE {export_requests} SET expires_at = :now "
            "WHERE user_id = :user AND status = 'ready' AND expires_at > :now",
            user=user["id"], now=now)
        token, expires = secrets.token_urlsafe(), now + ctx.section("export").keep
        took = int(1000 * (ctx.monotonic() - row["since"]))
        self.settle(
            row, SENT, Tried(None, f"{written.rows:,} rows", took), progress=100,
            file_name=files.name_of(ctx, row["id"], ctx.run_id),
            file_bytes=written.bytes, sha256=written.sha256,
            token_hash=download.hashed(token), expires_at=expires)
        from jobs_lib.features.notifications import render
        self._notify(
            user, "export_ready", _ready_key(row), row,
            size=text.size(written.bytes, 1000),
            expires=render.minute(expires),
            link=download.link(download.page(ctx), token))
        return True

    def _is_ready(self, row: dict) -> bool:
        """Whether it can be downloaded, with the file of this run."""
        name = self.db.value(
            "SELECT file_name FROM {export_requests} WHERE id = :id", id=row["id"])
        return name == files.name_of(self.ctx, row["id"], self.ctx.run_id)

    def put_back(self, row: dict, outcome: str, why: str, dead: str | None = None) -> None:
        """It was not finished, and what was written is deleted, inside a transaction. POSTPONED:
        the request was not to blame, and the attempt does not count. `dead`: the run that began it,
        if that is no more."""
        ctx, id = self.ctx, row["id"]
        # the next run tries it again, also the one that finds that it was killed
        again = None if outcome == POSTPONED else ctx.now
        settled = self.settle(
            row, outcome, Tried(None, why), dead=dead, later=again, progress=0, error=why)
        if not settled.stored and self._is_ready(row):
            return                          # by a COMMIT whose answer was lost
        files.remove(ctx, {"id": id, "claim_run": dead or ctx.run_id})
        if not settled.stored:
            return                          # it was withdrawn
        about = {"id": id, "attempts": row["attempt"], "error": why}
        if settled.status == "failed":
            ctx.count("failed")
            ctx.log.error("export failed", **about)
            key = f"export-failed:{id}"
            self._notify(owner(ctx, row), "export_failed", key, row, why="")
        else:
            ctx.count("put_off")
            ctx.log.warning("export unfinished", **about)


def _ready_key(row: dict) -> str:
    return f"export-ready:{row['id']}"
