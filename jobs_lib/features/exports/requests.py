"""Requests for an export: which is made next, what becomes of it, and when its file is deleted.

    queued -> running -> ready -> expired
                 |
                 +-> queued again (a killed or stopped run, an error), failed at the third time

Each arrow is one commit. A file is there before its row is `ready`, and is deleted in the
transaction that ends it, after the row's own time is over: a kill in between leaves a row that
opens nothing, which the next run ends.
"""
from __future__ import annotations

import os
from datetime import timedelta
from functools import partial

from jobs_lib import clock, text
from jobs_lib.database.values import INVALID, number
from jobs_lib.engines import attempts, rotation
from jobs_lib.engines.rows import MOST_COUNTED, UNCLAIMED, count_unknown_status, lost
from jobs_lib.errors import DatabaseError, Invalid
from jobs_lib.features.notifications.enqueue import dedupe_key, notify
from jobs_lib.ports.outcomes import GIVEN_BACK, RETRY
from jobs_lib.records import namedtuple
from jobs_lib.runner.clock_doubt import AHEAD

from . import download, files

DAY = timedelta(days=1)      # in which an account gets `per_day` exports
# unfinished ones: a request that cannot be fulfilled is not tried for ever
ATTEMPTS = 3
AT_ONCE = 200                # rows read at once
REFUSED_AT_ONCE = 500        # surplus requests of an owner in one commit
MOST_ATTEMPTS = 1000         # no request was ever tried as often: what says so makes no sense
LEASE_MARGIN = timedelta(minutes=2)
NOT_CLAIMED = "claim_token = NULL, claim_run = NULL, lease_until = NULL"
COLUMNS = "id, user_id, COALESCE(attempts, 0) AS attempts, requested_at, file_name"
NO_LINK = "cancelled: its export can no longer be downloaded"
STATUSES = ("queued", "running", "ready", "failed", "expired")

# by a run of ours, which has claimed it; else by the app
MADE_HERE = f"status = 'running' AND NOT {UNCLAIMED}"

Claim = namedtuple("Claim", "row token file_name")


# What earlier runs left

def recover(ctx) -> None:
    """Requests of dead runs wait again, or have failed for good; what was written is deleted."""
    count_unclaimable(ctx)
    dead, values = lost("export_requests", clock.text(ctx.now))
    rows = ctx.db.query(f"SELECT {COLUMNS}, started_at, claim_run FROM {{export_requests}} "
                        f"WHERE {MADE_HERE} AND {dead}", **values)
    for row in rows:
        if is_valid(ctx, row):
            ctx.db.batch(partial(_unfinished, ctx, row, "the run was killed", (dead, values)))


def count_unclaimable(ctx) -> None:
    """Count what no run will ever make: of an unknown status, or `running` at the app's."""
    theirs = ctx.db.query("SELECT id FROM {export_requests} WHERE status = 'running' "
                          f"AND {UNCLAIMED} LIMIT :most", most=MOST_COUNTED)
    count_unknown_status(ctx, "export_requests", STATUSES, [row["id"] for row in theirs])


def is_valid(ctx, row: dict) -> bool:
    """Whether a request can be worked on; one that cannot has failed, and stops no other."""
    try:
        if 0 <= number(row["attempts"], "attempts") < MOST_ATTEMPTS:
            return True
        reason = "its attempts are out of range"
    except Invalid as error:
        reason = str(error)
    def work() -> None:
        ctx.db.execute("UPDATE {export_requests} SET status = 'failed', finished_at = :now, "
                       f"file_name = NULL, error = :why, {NOT_CLAIMED} "
                       "WHERE id = :id AND status IN ('queued', 'running')",
                       now=ctx.clock(), id=row["id"], why=f"invalid: {reason}")
        files.remove(ctx, row)

    ctx.db.batch(work)
    ctx.log.warning("export invalid", id=row["id"], reason=reason)
    ctx.count(INVALID)
    return False


def _unfinished(ctx, row: dict, why: str, ours: tuple, given_back: int = 0) -> bool:
    """An attempt has failed: the request waits for another, or this was the last. Whether it was
    still this attempt's. Called inside a transaction.

    `ours`: (SQL, values) by which the row is still the one whose attempt it was. `given_back`: 1
    for an attempt that does not count, since the request is not to blame.
    """
    rule, values = ours
    failed = row["attempts"] >= ATTEMPTS and not given_back
    change = ("status = 'failed', finished_at = :now" if failed
              else "status = 'queued', progress = 0")
    if not ctx.db.execute(f"UPDATE {{export_requests}} SET {change}, error = :error, "
                          f"attempts = attempts - :given_back, file_name = NULL, {NOT_CLAIMED} "
                          f"WHERE id = :id AND status = 'running' AND {rule}", now=ctx.clock(),
                          error=why, given_back=given_back, id=row["id"], **values):
        return False
    files.remove(ctx, row)
    _record(ctx, row, "failed" if failed else GIVEN_BACK if given_back else RETRY, why)
    if failed:
        ctx.count("failed")
        ctx.log.error("export failed", id=row["id"], attempts=row["attempts"], error=why)
        _notify_failed(ctx, owner(ctx, row), row, f"export-failed:{row['id']}")
    else:
        ctx.count("put_off")
        ctx.log.warning("export unfinished", id=row["id"], attempt=row["attempts"], error=why)
    return True


def _record(ctx, row: dict, outcome: str, answer: str) -> None:
    """The attempt, with its result. Of one that a killed run has left `row` has no `since`."""
    if "since" in row:
        took, run, began = int(1000 * (ctx.monotonic() - row["since"])), ctx.run_id, row["began"]
    else:
        took, run, began = None, row["claim_run"], clock.parse_any(row["started_at"])
    attempts.record(ctx.db, "export_requests", row, run_id=run, began=began or ctx.clock(),
                    outcome=outcome, tried=attempts.Tried(None, answer, took))


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
                       expires=ctx.now + ctx.section("export").keep, ids=_ids(rows))


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
                   f"next_attempt_at = NULL, last_error = :why, {NOT_CLAIMED} "
                   "WHERE dedupe_key = :key AND status = 'pending'", now=ctx.clock(), why=NO_LINK,
                   **of)
    ctx.db.execute("UPDATE {notifications} SET body_text = NULL, body_html = NULL "
                   "WHERE dedupe_key = :key AND status = 'failed'", **of)


def _ready_key(request_id) -> str:
    return dedupe_key(f"export-ready:{request_id}")


def _ids(rows: list[dict]) -> list:
    return [row["id"] for row in rows]


# The next one

def first(ctx, most: int) -> list[dict]:
    """The requests that have waited longest."""
    return ctx.db.query(f"SELECT {COLUMNS} FROM {{export_requests}} WHERE status = 'queued' "
                        "ORDER BY requested_at, id LIMIT :most", most=most)


def waiting(ctx, out: set, tried: dict):
    """The next request of each owner that is not `out`: the longest waiting one that this run has
    not `tried` yet.

    Owners in turn, from the one behind the last that a run has worked for."""
    owners = [row["user_id"] for row in ctx.db.query(
        "SELECT user_id FROM {export_requests} WHERE status = 'queued' GROUP BY user_id")]
    for owner in rotation.in_order(set(owners) - out, rotation.last(ctx.db, ctx.job.name)):
        ids = tried.get(owner, ())
        row = ctx.db.row(f"SELECT {COLUMNS} FROM {{export_requests}} WHERE status = 'queued' "
                         f"AND user_id = :owner{' AND id NOT IN (:tried)' if ids else ''} "
                         "ORDER BY requested_at, id LIMIT 1", owner=owner, tried=list(ids))
        if row:
            yield row


def claim(ctx, row: dict) -> Claim | None:
    """Take a request for this run; None if it is not to be made, or not now."""
    return ctx.db.batch(partial(_claim, ctx, row))


def _claim(ctx, row: dict) -> Claim | None:
    # While the owner's row is locked, no other run takes a request of this account.
    user = owner(ctx, row, ctx.db.for_update)
    if refused := refusal(ctx, user, row):
        _refuse(ctx, user, row, *refused)
        return None
    if ctx.db.value("SELECT COUNT(*) FROM {export_requests} WHERE user_id = :user "
                    f"AND {MADE_HERE}", user=row["user_id"]):
        return None                         # another run makes one for this account: this one waits
    row = {**row, "attempts": row["attempts"] + 1, "began": ctx.clock(), "since": ctx.monotonic()}
    row["file_name"] = files.new_name(row["id"])
    taken = Claim(row, os.urandom(16).hex(), row["file_name"])
    lease = ctx.clock() + timedelta(seconds=ctx.hard_limit - ctx.monotonic()) + LEASE_MARGIN
    return taken if ctx.db.execute(
        "UPDATE {export_requests} SET status = 'running', progress = 0, "
        "attempts = COALESCE(attempts, 0) + 1, started_at = :now, file_name = :name, "
        "claim_token = :token, claim_run = :run, lease_until = :lease "
        "WHERE id = :id AND status = 'queued' AND user_id = :owner",
        now=ctx.clock(), name=taken.file_name, token=taken.token, run=ctx.run_id, lease=lease,
        id=row["id"], owner=row["user_id"]) else None


def owner(ctx, row: dict, locked: str = "") -> dict | None:
    """The account, if it is there; `locked`: nobody else may change it until the commit."""
    return ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id" + locked,
                      id=row["user_id"])


def refusal(ctx, user: dict | None, row: dict) -> tuple | None:
    """(what the row says, what its owner reads) of a request that is not to be made."""
    if user is None or user["status"] == "deleted":
        return "cancelled: the account is deleted", ""
    if user["status"] == "suspended":
        return ("cancelled: the account is suspended",
                "Your account is suspended, so we cannot export it.")
    made = ctx.db.row("SELECT COUNT(*) AS number, MIN(started_at) AS first FROM {export_requests} "
                      "WHERE user_id = :user AND status IN ('ready', 'expired') "
                      "AND started_at > :since AND started_at < :ahead", user=row["user_id"],
                      since=ctx.now - DAY, ahead=ctx.now + AHEAD)
    most = ctx.options.per_day
    if made["number"] < most:
        return None
    from jobs_lib.features.notifications import render
    again = render.minute((clock.parse_any(made["first"]) or ctx.now) + DAY)
    times = {1: "once", 2: "twice"}.get(most, f"{most} times")
    reason = (f"refused: {made['number']} exports within a day are enough ([export_accounts] "
              "per_day)")
    return (reason,
            f"You can export your account {times} a day. You can request another after {again}.")


def _refuse(ctx, user: dict | None, row: dict, why: str, notice: str) -> None:
    """This request and all others of its owner that wait: the reason is the same for all."""
    others = ctx.db.query("SELECT id FROM {export_requests} WHERE user_id = :owner "
                          "AND status = 'queued' LIMIT :most", owner=row["user_id"],
                          most=REFUSED_AT_ONCE)
    number_of = ctx.db.execute("UPDATE {export_requests} SET status = 'failed', "
                               "finished_at = :now, error = :why "
                               "WHERE id IN (:ids) AND +status = 'queued'", now=ctx.clock(),
                               why=why, ids=list({row["id"], *_ids(others)}))
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

def is_ours(ctx, taken: Claim, percent: int) -> bool:
    """Store how far it is. False when it is no longer this run's: cancelled, or the account is
    being deleted."""
    return ctx.db.execute("UPDATE {export_requests} SET progress = :percent WHERE id = :id "
                          "AND claim_token = :token AND status = 'running'", percent=percent,
                          id=taken.row["id"], token=taken.token) == 1


def finish(ctx, taken: Claim, written) -> bool:
    """It can be downloaded, and no older one of the account any more; its owner is notified. One
    commit."""
    from jobs_lib.engines.old_queue import until_stored
    older: list = []
    if not until_stored(ctx, partial(_finish, ctx, taken, written, older)):
        return False
    for row in older:
        _expire(ctx, row)
    return True


def _finish(ctx, taken: Claim, written, older: list) -> bool:
    """Whether it is stored. `older` gets the exports whose time ends by it."""
    row, now = taken.row, ctx.clock()
    user = owner(ctx, row, ctx.db.for_update)
    if user is None or user["status"] in ("deleted", "suspended"):
        return False                        # the next run settles it
    token, expires = download.new_token(), now + ctx.section("export").keep
    if not ctx.db.execute(
            "UPDATE {export_requests} SET status = 'ready', progress = 100, file_bytes = :bytes, "
            "sha256 = :sha256, token_hash = :hash, finished_at = :now, expires_at = :expires, "
            f"error = NULL, {NOT_CLAIMED} "
            "WHERE id = :id AND claim_token = :token AND status = 'running' AND user_id = :owner",
            bytes=written.bytes, sha256=written.sha256, hash=download.hashed(token), now=now,
            expires=expires, id=row["id"], token=taken.token, owner=row["user_id"]):
        return _is_ready(ctx, taken)        # by a COMMIT whose answer was lost
    _record(ctx, row, "ready", f"{written.rows:,} rows")
    older[:] = ctx.db.query("SELECT id, file_name FROM {export_requests} WHERE user_id = :user "
                            "AND status = 'ready' AND id <> :id", user=row["user_id"],
                            id=row["id"])
    if older:
        ctx.db.execute("UPDATE {export_requests} SET expires_at = :now WHERE id IN (:ids) "
                       "AND status = 'ready'", now=now, ids=_ids(older))
    from jobs_lib.features.notifications import render
    notify(ctx, user, "export_ready", _ready_key(row["id"]), {
        "requested": _day(row), "size": text.size(written.bytes, 1000),
        "expires": render.minute(expires), "link": download.link(download.page(ctx), token)})
    return True


def _is_ready(ctx, taken: Claim) -> bool:
    """Whether it can be downloaded, with the file of this claim."""
    return ctx.db.row("SELECT id FROM {export_requests} WHERE id = :id AND status = 'ready' "
                      "AND file_name = :name", id=taken.row["id"], name=taken.file_name) is not None


def put_back(ctx, taken: Claim, why: str, is_counted: bool) -> None:
    """It was not finished. Unless `is_counted`, the request was not to blame, and the attempt is
    given back."""
    ours = ("claim_token = :token", {"token": taken.token})
    if not (ctx.db.batch(partial(_unfinished, ctx, taken.row, why, ours, int(not is_counted)))
            or _is_ready(ctx, taken)):
        files.remove(ctx, taken.row)        # it was withdrawn


def message(error: Exception) -> str:
    """An error for the row and the log, without anyone's address."""
    from jobs_lib import masking
    said = str(error) if isinstance(error, DatabaseError) else f"{type(error).__name__}: {error}"
    return masking.text(said)[:500]
