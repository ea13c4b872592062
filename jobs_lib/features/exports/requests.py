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

from datetime import timedelta
from functools import partial

from jobs_lib import clock, text
from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT, Tried
from jobs_lib.engines.queue import Work
from jobs_lib.engines.rows import UNCLAIMED
from jobs_lib.errors import DatabaseError
from jobs_lib.features.notifications.enqueue import dedupe_key, notify

from . import download, files

# in which an account gets `per_day` exports; what lies further ahead is of a clock that was wrong
DAY = timedelta(days=1)
AT_ONCE = 200                # rows read at once
NO_LINK = "cancelled: its export can no longer be downloaded"
# why a request is not begun: it has ended; it waits, with all others of its account
REFUSED, LATER = "refused", "later"


class Requests(Work):
    """One run's work on them. Nothing of an export is anywhere before it is `ready`: what a dead
    run left is deleted, and counts as an attempt that failed."""

    def _give_up(self, row: dict) -> None:
        put_back(self, row, RETRY, "the run was killed", row["claim_run"])


# When it is over

def over(ctx, most: int) -> list[dict]:
    """The first finished exports whose time is over, or counts from a day that is to come."""
    return ctx.db.query("SELECT id, status, expires_at, file_name FROM {export_requests} "
                        "WHERE status = 'ready' AND (expires_at <= :now OR finished_at > :ahead) "
                        "ORDER BY expires_at, id LIMIT :most", now=ctx.now, ahead=ctx.now + DAY,
                        most=most)


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
    if ctx.db.execute("UPDATE {export_requests} SET status = 'expired', token_hash = NULL, "
                      "file_name = NULL WHERE id = :id AND status = 'ready'", id=row["id"]):
        ctx.db.execute("UPDATE {notifications} SET status = 'failed', next_attempt_at = NULL, "
                       "finished_at = COALESCE(finished_at, :now), body_text = NULL, "
                       "body_html = NULL, last_error = :why "
                       "WHERE dedupe_key = :key AND status IN ('pending', 'failed')",
                       now=ctx.clock(), why=NO_LINK, key=_ready_key(row["id"]))
        files.remove(ctx, row)


def _ready_key(request_id) -> str:
    return dedupe_key(f"export-ready:{request_id}")


# Whether it is made now

def room(work: Work, row: dict) -> str | None:
    """What is against making it now, asked in the commit that begins it: LATER, or REFUSED, which
    is stored by it."""
    ctx = work.ctx
    # While the owner's row is locked, no other run begins a request of this account.
    user = owner(ctx, row, ctx.db.for_update)
    if user and user["status"] == "suspended":
        return LATER
    if refused := refusal(ctx, user, row):
        _refuse(ctx, user, row, *refused)
        return REFUSED
    if ctx.db.value("SELECT COUNT(*) FROM {export_requests} WHERE user_id = :user "
                    f"AND status = 'running' AND NOT {UNCLAIMED}", user=row["user_id"]):
        return LATER                        # another run makes one for this account
    return None


def owner(ctx, row: dict, locked: str = "") -> dict | None:
    """The account, if it is there; `locked`: nobody else may change it until the commit."""
    return ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id" + locked,
                      id=row["user_id"])


def refusal(ctx, user: dict | None, row: dict, more: int = 0) -> tuple | None:
    """(what the row says, what its owner reads) of a request that is not to be made. `more`: of the
    account that a dry run would make."""
    if user is None or user["status"] == "deleted":
        return "cancelled: the account is deleted", ""
    made = ctx.db.row("SELECT COUNT(*) AS number, MIN(started_at) AS first FROM {export_requests} "
                      "WHERE user_id = :user AND status IN ('ready', 'expired') "
                      "AND started_at > :since AND started_at < :ahead", user=row["user_id"],
                      since=ctx.now - DAY, ahead=ctx.now + DAY)
    most = ctx.options.per_day
    if made["number"] + more < most:
        return None
    from jobs_lib.features.notifications import render
    again = render.minute((clock.parse_any(made["first"]) or ctx.now) + DAY)
    times = {1: "once", 2: "twice"}.get(most, f"{most} times")
    return (f"refused: {most} exports within a day are enough ([export_accounts] per_day)",
            f"You can export your account {times} a day. You can request another after {again}.")


def _refuse(ctx, user: dict | None, row: dict, why: str, notice: str) -> None:
    """This request and all others of its owner that wait: the reason is the same for all. One
    notice a day."""
    number = ctx.db.execute("UPDATE {export_requests} SET status = 'failed', finished_at = :now, "
                            "next_attempt_at = NULL, error = :why "
                            "WHERE status = 'queued' AND user_id = :owner", now=ctx.clock(),
                            why=why, owner=row["user_id"])
    ctx.count("refused", number)
    ctx.log.event("export refused", id=row["id"], requests=number, reason=why)
    _notify_failed(ctx, user, row, f"export-refused:{row['user_id']}:{ctx.now:%Y-%m-%d}", notice)


def _notify_failed(ctx, user: dict | None, row: dict, key: str, why: str = "") -> None:
    """The owner learns that it is not made. `why`: a sentence for them; "": attempts have
    failed."""
    if user and user["status"] != "deleted":
        notify(ctx, user, "export_failed", key, {"requested": _day(row), "why": why})


def _day(row: dict) -> str:
    from jobs_lib.features.notifications import render
    moment = clock.parse_any(row["requested_at"])
    return render.day(moment) if moment else "an earlier day"


# What becomes of it

def store_progress(work: Work, row: dict, percent: int) -> bool:
    """Store how far it is. False when it is no longer this run's: cancelled, or the account is
    being deleted."""
    return work.db.execute("UPDATE {export_requests} SET progress = :percent WHERE id = :id "
                           "AND claim_run = :run AND status = 'running'", percent=percent,
                           id=row["id"], run=work.ctx.run_id) == 1


def finish(work: Work, row: dict, written) -> bool:
    """It can be downloaded, and no older one of the account any more; its owner is notified, inside
    a transaction. False when the account is not active, or the request was withdrawn."""
    ctx, now = work.ctx, work.ctx.clock()
    user = owner(ctx, row, ctx.db.for_update)
    if not work.is_ours(row):
        return _is_ready(ctx, row)          # by a COMMIT whose answer was lost
    is_theirs = ctx.db.row("SELECT id FROM {export_requests} WHERE id = :id AND user_id = :user",
                           id=row["id"], user=row["user_id"])
    if not is_theirs or user is None or user["status"] != "active":
        return False
    # the next run ends them
    ctx.db.execute("UPDATE {export_requests} SET expires_at = :now WHERE user_id = :user "
                   "AND status = 'ready' AND expires_at > :now", user=row["user_id"], now=now)
    token, expires = download.new_token(), now + ctx.section("export").keep
    work.settle(row, SENT, Tried(None, f"{written.rows:,} rows", _took(ctx, row)), progress=100,
                file_name=files.name_of(ctx, row["id"], ctx.run_id), file_bytes=written.bytes,
                sha256=written.sha256, token_hash=download.hashed(token), expires_at=expires)
    from jobs_lib.features.notifications import render
    notify(ctx, user, "export_ready", _ready_key(row["id"]), {
        "requested": _day(row), "size": text.size(written.bytes, 1000),
        "expires": render.minute(expires), "link": download.link(download.page(ctx), token)})
    return True


def _is_ready(ctx, row: dict) -> bool:
    """Whether it can be downloaded, with the file of this run."""
    return ctx.db.row("SELECT id FROM {export_requests} WHERE id = :id AND status = 'ready' "
                      "AND file_name = :name", id=row["id"],
                      name=files.name_of(ctx, row["id"], ctx.run_id)) is not None


def put_back(work: Work, row: dict, outcome: str, why: str, dead: str | None = None) -> None:
    """It was not finished, and what was written is deleted, inside a transaction. POSTPONED: the
    request was not to blame, and the attempt does not count. `dead`: the run that
    began it, if that is no more."""
    ctx = work.ctx
    # the next run tries it again, also the one that finds that it was killed
    again = None if outcome == POSTPONED else ctx.now
    settled = work.settle(row, outcome, Tried(None, why, _took(ctx, row)), dead=dead, later=again,
                          progress=0, error=why)
    if not settled.stored and _is_ready(ctx, row):
        return                              # by a COMMIT whose answer was lost
    files.remove(ctx, {"id": row["id"], "claim_run": dead or ctx.run_id})
    if not settled.stored:                  # it was withdrawn
        return
    if settled.status == "failed":
        ctx.count("failed")
        ctx.log.error("export failed", id=row["id"], attempts=row["attempt"], error=why)
        _notify_failed(ctx, owner(ctx, row), row, f"export-failed:{row['id']}")
    else:
        ctx.count("put_off")
        ctx.log.warning("export unfinished", id=row["id"], attempt=row["attempt"], error=why)


def _took(ctx, row: dict) -> int | None:
    """Milliseconds since this run began it."""
    return int(1000 * (ctx.monotonic() - row["since"])) if "since" in row else None


def message(error: Exception) -> str:
    """An error for the row and the log, without anyone's address."""
    from jobs_lib import masking
    said = str(error) if isinstance(error, DatabaseError) else f"{type(error).__name__}: {error}"
    return masking.text(said)[:500]
