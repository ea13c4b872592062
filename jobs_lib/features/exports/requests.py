"""Requests for an export: what keeps one from being made, making it, what becomes of it, and when
its file is deleted.

    queued -> running -> ready -> expired
                 |
                 +-> queued again (a killed or stopped run, an error), failed at the third time

Each arrow is one commit. A file is there before its row is `ready`, and is deleted in the
transaction that ends it, after the row's own time is over: a kill in between leaves a row that
opens nothing, which the next run ends.
"""
from __future__ import annotations

import os
import secrets
from contextlib import closing
from datetime import timedelta
from functools import partial

from jobs_lib import clock, text
from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT
from jobs_lib.engines.queue import Work, until_stored
from jobs_lib.engines.turns import Ring
from jobs_lib.errors import Busy, JobsError, Lost
from jobs_lib.features import exports
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.notices import notify
from jobs_lib.features.queues import EXPORTS
from jobs_lib.folders import new_file, publish
from jobs_lib.text import masking

# in which an account gets `per_day` exports; what lies further ahead is of a wrong clock
DAY = timedelta(days=1)
REFUSED = "refused"
AT_ONCE = 200                # requests that one run ends, or a dry run looks at
SHOWN = 10
NO_PAGE = "there is no page to download exports from: set [export] url, or [core] app_url"


class Unfinished(Exception):
    """Why it ends in the middle, where that is no error and loses no attempt."""


def make_all(work: Requests) -> None:
    """Make what is due, one of each owner in turn."""
    ctx, ring = work.ctx, Ring(work)
    if not exports.page(ctx):
        raise JobsError(f"{NO_PAGE}. The requests wait")
    folder = exports.folder(ctx)
    while not ctx.should_stop(ctx.counts["exported"]) and (rows := work.take(ring, AT_ONCE)):
        for row in rows:
            if ctx.should_stop(ctx.counts["exported"]):
                break
            begun = row["user_id"] not in ring.passed and work.begin(row, work.room)
            if begun is True:
                _make(work, row, folder)
            elif begun != REFUSED:
                ring.passed.add(row["user_id"])
    work.finish()


def _make(work: Requests, row: dict, folder: str) -> None:
    """One export. An error in its rows concerns it alone; a full disk or a lost database concerns
    all, and ends the run: the next one begins with the next owner."""
    ctx, path = work.ctx, os.path.join(folder, row["file_name"])

    def put_back(outcome: str, why: str) -> None:
        until_stored(ctx, partial(work.put_back, row, outcome, why))
    try:
        written = _write(work, row, path + exports.PART)
        publish(path + exports.PART, path)
        if not until_stored(ctx, partial(work.store_ready, row, written)):
            raise Unfinished("it was withdrawn, or the account is no longer active")
        ctx.count("exported")
        ctx.log.event("exported", id=row["id"], rows=written.rows, bytes=written.bytes)
    except Unfinished as error:
        put_back(POSTPONED, str(error))
    except (Busy, Lost) as error:
        put_back(POSTPONED, _words(error))
        raise
    except OSError as error:
        message = f"{exports.OPTION} = {folder}: {error.strerror or error}"
        put_back(POSTPONED, message)
        raise JobsError(f"{message}. No request has lost an attempt") from None
    except Exception as error:  # noqa: BLE001  one account's rows must not stop the others
        put_back(RETRY, _words(error))
        if not isinstance(error, (JobsError, ValueError)):
            # an error of ours, and not of the rows
            ctx.defect(error, f"export {row['id']}")


def _words(error: Exception) -> str:
    """For the row and the log, without anyone's address."""
    return masking.text(f"{type(error).__name__}: {error}")[:500]


def _write(work: Requests, row: dict, draft: str):
    ctx = work.ctx

    def look(rows: int, total: int) -> None:
        is_stored = ctx.progress(rows, total)
        if ctx.should_stop():
            raise Unfinished(
                f"the run had to stop ({ctx.stop_reason}) when {rows:,} of {total:,} rows were "
                "written: if it is the budget, raise [export_accounts] budget")
        if is_stored:
            ctx.db.execute("UPDATE {export_requests} SET progress = :percent WHERE id = :id "
                           "AND claim_run = :run", id=row["id"], run=ctx.run_id,
                           percent=min(99, 100 * rows // max(1, total)))

    from . import writer  # most runs only look at what is ready

    with closing(ctx.reader()) as db, new_file(draft) as file:
        return writer.write(file, db, row["user_id"], ctx.clock(), look)


def preview(ctx) -> dict:
    """Show what a run would do. How many rows an account has is not counted."""
    work, over = Requests(ctx, EXPORTS), _over(ctx)
    made: list[dict] = []
    refused: list[dict] = []
    for row in work.take(Ring(work), AT_ONCE):
        more = sum(each["user_id"] == row["user_id"] for each in made)
        if len(made) < ctx.within_limit(AT_ONCE):
            (refused if _refusal(ctx, _owner(ctx, row), row, more) else made).append(row)
    problem = "" if exports.page(ctx) else NO_PAGE
    ctx.show(f"export {text.counted(len(made), 'account')}", made[:SHOWN],
             f"a run would fail: {problem}" if made and problem else "")
    ctx.show(f"refuse {text.counted(len(refused), 'request')}", refused[:SHOWN])
    ctx.show(f"delete {text.counted(len(over), 'expired export')}", over[:SHOWN])
    work.begun = len(made)
    work.finish()
    return {**ctx.counts, "exported": len(made), "expired": len(over), "refused": len(refused)}


# Those whose time is over

def _over(ctx) -> list[dict]:
    """Some finished exports whose time is over, or counts from a day to come."""
    return ctx.db.query(
        "SELECT id, status, expires_at, file_name FROM {export_requests} "
        "WHERE status = 'ready' AND (expires_at <= :now OR finished_at > :ahead) "
        "ORDER BY expires_at, id LIMIT :most",
        now=ctx.now, ahead=ctx.now + DAY, most=ctx.within_limit(AT_ONCE))


def expire(ctx) -> None:
    """Downloads end at their time, and their files are deleted."""
    for row in _over(ctx):
        if ctx.should_stop() or not ctx.may_expire():
            return
        ctx.db.batch(partial(_expire, ctx, row))
        ctx.count("expired")


def _expire(ctx, row: dict) -> None:
    if ctx.db.execute("UPDATE {export_requests} SET status = 'expired', token_hash = NULL, "
                      "file_name = NULL WHERE id = :id AND status = 'ready'", id=row["id"]):
        exports.remove(ctx, row["file_name"])


# What becomes of one

def _owner(ctx, row: dict, locked: str = "") -> dict | None:
    """The account, if it is there; `locked`: nobody else may change it until the commit."""
    return ctx.db.row(
        "SELECT id, email, name, status FROM {users} WHERE id = :id" + locked,
        id=row["user_id"])


def _refusal(ctx, user: dict | None, row: dict, more: int = 0) -> str:
    """Why a request is not to be made; "" for one that is. `more`: of the account that a dry run
    would make."""
    if user is None or user["status"] == "deleted":
        return "cancelled: the account is deleted"
    made = ctx.db.value(
        "SELECT COUNT(*) FROM {export_requests} WHERE user_id = :user AND status IN ('ready', "
        "'expired') AND started_at > :since AND started_at < :ahead",
        user=row["user_id"], since=ctx.now - DAY, ahead=ctx.now + DAY)
    most = ctx.options.per_day
    return "" if made + more < most else (
        f"refused: at most {text.counted(most, 'export')} in 24 hours ([export_accounts] per_day)")


class Requests(Work):
    """One run's work on them. Nothing of an export is anywhere before it is `ready`: what a dead
    run left is deleted, and counts as an attempt that failed."""

    def _give_up(self, row: dict) -> None:
        row["file_name"] = self.db.value(
            "SELECT file_name FROM {export_requests} WHERE id = :id", id=row["id"])
        self.put_back(row, RETRY, "the run was killed", row["claim_run"])

    def is_ours(self, row: dict) -> bool:
        """Nor is it another account's by now: nobody gets the data of somebody else."""
        return super().is_ours(row) and row["user_id"] == self.db.value(
            "SELECT user_id FROM {export_requests} WHERE id = :id", id=row["id"])

    def room(self, row: dict) -> str | None:
        """What is against making it now, asked in the commit that begins it: it is refused, which
        is stored by it; or another run makes one of the account. Else its file gets its name."""
        # While the owner's row is locked, no other run begins a request of this account.
        user = _owner(self.ctx, row, self.db.for_update)
        if why := _refusal(self.ctx, user, row):
            self._refuse(user, row, why)
            return REFUSED
        if self.db.value("SELECT COUNT(*) FROM {export_requests} WHERE user_id = :user "
                         "AND status = 'running' AND claim_run > ''", user=row["user_id"]):
            return "later"
        row["file_name"] = f"export-{secrets.token_hex(16)}.zip"
        self.db.execute("UPDATE {export_requests} SET file_name = :name WHERE id = :id "
                        "AND status = 'queued'", name=row["file_name"], id=row["id"])
        return None

    def _refuse(self, user: dict | None, row: dict, why: str) -> None:
        """One notice a day."""
        ctx = self.ctx
        if self.end(row, why):
            ctx.count("refused")
            ctx.log.event("export refused", id=row["id"], reason=why)
            times = text.counted(ctx.options.per_day, "time")
            self._notify(user, "export_failed",
                         f"export-refused:{row['user_id']}:{ctx.now:%Y-%m-%d}", row,
                         why=f"You can export your account at most {times} in 24 hours.")

    def _notify(self, user: dict | None, kind: str, key: str, row: dict, **values) -> None:
        """Of an account that is deleted nobody reads it."""
        if user and user["status"] != "deleted":
            asked = clock.parse_any(row["requested_at"]) or self.ctx.now
            notify(self.ctx, user, kind, key, {"requested": render.day(asked), **values})

    def store_ready(self, row: dict, written) -> bool:
        """It can be downloaded, and no older one of the account any more; its owner is notified,
        inside a transaction. False when the account is not active, or the request was withdrawn."""
        ctx, now = self.ctx, self.ctx.clock()
        user = _owner(ctx, row, ctx.db.for_update)
        if not self.is_ours(row):
            return self._is_ready(row)  # by a COMMIT whose answer was lost
        if user is None or user["status"] != "active":
            return False
        # the next run ends them; the token, also where this clock is ahead of their time
        ctx.db.execute(
            "UPDATE {export_requests} SET token_hash = NULL, expires_at = CASE WHEN expires_at > "
            ":now THEN :now ELSE expires_at END WHERE user_id = :user AND status = 'ready'",
            user=user["id"], now=now)
        token = secrets.token_urlsafe()
        expires = max(now, ctx.trusted) + ctx.section("export").keep
        self.settle(
            row, SENT, None, f"{written.rows:,} rows", progress=100,
            file_bytes=written.bytes, sha256=written.sha256,
            token_hash=exports.hashed(token), expires_at=expires)
        self._notify(
            user, "export_ready", f"export-ready:{row['id']}", row,
            size=text.size(written.bytes, 1000),
            expires=render.minute(expires), link=exports.link(exports.page(ctx), token))
        return True

    def _is_ready(self, row: dict) -> bool:
        """Whether it can be downloaded, with the file of this run."""
        return bool(self.db.value(
            "SELECT COUNT(*) FROM {export_requests} WHERE id = :id AND status = 'ready' "
            "AND file_name = :name", id=row["id"], name=row["file_name"]))

    def put_back(self, row: dict, outcome: str, why: str, dead: str | None = None) -> None:
        """It was not finished, and what was written is deleted, inside a transaction. POSTPONED:
        the request was not to blame, and the attempt does not count. `dead`: the run that began it,
        if that is no more."""
        ctx = self.ctx
        if self._is_ready(row):
            return  # by a COMMIT whose answer was lost
        # the next run tries it again, also the one that finds that it was killed; what is postponed
        # stays due since it was, which is seen once that is too long
        later = None if outcome == POSTPONED else ctx.now
        status = self.settle(row, outcome, None, why, dead=dead, later=later,
                             progress=0, error=why, file_name=None)
        exports.remove(ctx, row["file_name"])
        if not status:
            return  # it was withdrawn
        about = {"id": row["id"], "attempts": row["attempt"], "error": why}
        if status == "failed":
            ctx.count("failed")
            ctx.log.error("export failed", **about)
            self._notify(_owner(ctx, row), "export_failed", f"export-failed:{row['id']}", row,
                         why="")
        else:
            ctx.count("put_off")
            ctx.log.warning("export unfinished", **about)
