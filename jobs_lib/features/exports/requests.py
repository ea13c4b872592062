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
from jobs_lib.engines.queue import Work, until_stored
from jobs_lib.engines.rows import UNCLAIMED
from jobs_lib.errors import DatabaseError
from jobs_lib.features.notifications.enqueue import dedupe_key, notify
from jobs_lib.runner.doubt import AHEAD

from . import download, files

DAY = timedelta(days=1)      # in which an account gets `per_day` exports
AT_ONCE = 200                # rows read at once
REFUSED_AT_ONCE = 500        # surplus requests of an owner in one commit
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
    """The first finished exports whose time is over."""
    return ctx.db.query("SELECT id, status, expires_at, file_name FROM {export_requests} "
                        "WHERE status = 'ready' AND expires_at <= :now "
                        "ORDER BY expires_at, id LIMIT :most", now=ctx.now, most=most)


def expire(ctx) -> None:
    """Downloads end at their time, and their files are deleted."""
    _shorten(ctx)
    done = 0
    while not ctx.should_stop() and (most := ctx.within_limit(AT_ONCE, done)):
        rows = over(ctx, most)
        if not rows or not ctx.may_expire():
            return
        missing = files.report_missing(ctx, rows)
        for row in rows:
            if row["id"] not in missing:
                _expire(ctx, row)
                ctx.count("expired")
        if missing:                         # they stay as they are, refused, until they are found
            return
        done += len(rows)


def _shorten(ctx) -> None:
    """What was finished by a clock that was far ahead would be open until then: its time begins
    now."""
    if ctx.clock_in_doubt:
        return
    rows = ctx.db.query("SELECT id FROM {export_requests} WHERE status = 'ready' "
                        "AND expires_at > :ahead AND finished_at > :ahead", ahead=ctx.now + AHEAD)
    if rows:
        ctx.db.execute("UPDATE {export_requests} SET finished_at = :now, expires_at = :expires "
                       "WHERE id IN (:ids) AND status = 'ready'", now=ctx.now,
                       expires=ctx.now + ctx.section("export").keep,
                       ids=[row["id"] for row in rows])


def _expire(ctx, row: dict) -> None:
    """A finished export cannot be downloaded any more, and its file is deleted."""
    def work() -> None:
        if ctx.db.execute("UPDATE {export_requests} SET status = 'expired', token_hash = NULL, "
                          "file_name = NULL WHERE id = :id AND status = 'ready'", id=row["id"]):
            _empty_notice(ctx, row["id"])
            files.remove(ctx, row)

    ctx.db.batch(work)


def _empty_notice(ctx, request_id) -> None:
    """The text of its notice holds the link: one that waits is cancelled, one that failed is
    emptied, too."""
    of = {"key": _ready_key(request_id)}
    ctx.db.execute("UPDATE {notifications} SET status = 'failed', finished_at = :now, "
                   "next_attempt_at = NULL, last_error = :why "
                   "WHERE dedupe_key = :key AND status = 'pending'", now=ctx.clock(), why=NO_LINK,
                   **of)
    ctx.db.execute("UPDATE {notifications} SET body_text = NULL, body_html = NULL "
                   "WHERE dedupe_key = :key AND status = 'failed'", **of)


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
                      since=ctx.now - DAY, ahead=ctx.now + AHEAD)
    most, number = ctx.options.per_day, made["number"] + more
    if number < most:
        return None
    from jobs_lib.features.notifications import render
    again = render.minute((clock.parse_any(made["first"]) or ctx.now) + DAY)
    times = {1: "once", 2: "twice"}.get(most, f"{most} times")
    return (f"refused: {number} exports within a day are enough ([export_accounts] per_day)",
            f"You can export your account {times} a day. You can request another after {again}.")


def _refuse(ctx, user: dict | None, row: dict, why: str, notice: str) -> None:
    """This request and all others of its owner that wait: the reason is the same for all."""
    others = ctx.db.query("SELECT id FROM {export_requests} WHERE user_id = :owner "
                          "AND status = 'queued' LIMIT :most", owner=row["user_id"],
                          most=REFUSED_AT_ONCE)
    number_of = ctx.db.execute("UPDATE {export_requests} SET status = 'failed', "
                               "finished_at = :now, next_attempt_at = NULL, error = :why "
                               "WHERE id IN (:ids) AND +status = 'queued'", now=ctx.clock(),
                               why=why, ids=list({row["id"], *(each["id"] for each in others)}))
    if number_of:
        ctx.count("refused", number_of)
        ctx.log.event("export refused", id=row["id"], requests=number_of, reason=why)
        # one notice a day
        _notify_failed(ctx, user, row, f"export-refused:{row['user_id']}:{ctx.now:%Y-%m-%d}",
                       notice)


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
    """It can be downloaded, and no older one of the account any more; its owner is notified. One
    commit. False when the account is not active, or the request was withdrawn."""
    older: list = []
    if not until_stored(work.ctx, partial(_finish, work, row, written, older)):
        return False
    for each in older:
        _expire(work.ctx, each)
    return True


def _finish(work: Work, row: dict, written, older: list) -> bool:
    """Whether it is stored. `older` gets the exports whose time ends by it."""
    ctx, now = work.ctx, work.ctx.clock()
    user = owner(ctx, row, ctx.db.for_update)
    if not work.is_ours(row):
        return _is_ready(ctx, row)          # by a COMMIT whose answer was lost
    is_theirs = ctx.db.row("SELECT id FROM {export_requests} WHERE id = :id AND user_id = :user",
                           id=row["id"], user=row["user_id"])
    if not is_theirs or user is None or user["status"] != "active":
        return False
    token, expires = download.new_token(), now + ctx.section("export").keep
    work.settle(row, SENT, Tried(None, f"{written.rows:,} rows", _took(ctx, row)), progress=100,
                file_name=files.name_of(ctx, row["id"], ctx.run_id), file_bytes=written.bytes,
                sha256=written.sha256, token_hash=download.hashed(token), expires_at=expires)
    older[:] = ctx.db.query("SELECT id, file_name FROM {export_requests} WHERE user_id = :user "
                            "AND status = 'ready' AND id <> :id", user=row["user_id"],
                            id=row["id"])
    if older:
        ctx.db.execute("UPDATE {export_requests} SET expires_at = :now WHERE id IN (:ids) "
                       "AND status = 'ready'", now=now, ids=[each["id"] for each in older])
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
