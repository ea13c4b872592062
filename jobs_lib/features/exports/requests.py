"""Requests for an export: which is made next, what becomes of it, and when its file goes.

    queued -> running -> ready -> expired
                 |
                 +-> queued again (a killed or stopped run, an error), failed at the third time

Each arrow is one commit. The app gives a file out only while its row is `ready`, so the status is
taken away before the file and given after it: a kill in between leaves a file that no row needs,
which the next run removes.
"""
from __future__ import annotations

import os
from collections import namedtuple
from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import INVALID, number
from jobs_lib.engines import rotation
from jobs_lib.engines.rows import count_unknown_status, lost
from jobs_lib.errors import DatabaseError, Invalid
from jobs_lib.runner.clock_doubt import AHEAD

from . import download_token, files

# unfinished ones: a request that cannot be fulfilled is not tried for ever
ATTEMPTS = 3
DAY = timedelta(days=1)      # in which an account gets `per_day` exports
AT_ONCE = 200                # rows read at once
REFUSED_AT_ONCE = 500        # surplus requests of an owner in one commit
MOST_ATTEMPTS = 1000         # no request was ever tried as often: what says so makes no sense
LEASE_MARGIN = timedelta(minutes=2)
NOT_CLAIMED = "claim_token = NULL, claim_run = NULL, lease_until = NULL"
NO_TOKEN = "token_hash = NULL, token_nonce = NULL"
COLUMNS = "id, user_id, attempts, requested_at"
STATUSES = ("queued", "running", "ready", "failed", "expired")

Claim = namedtuple("Claim", "row token file_name")


# What earlier runs left

def recover(ctx, counts: dict) -> None:
    """Requests of dead runs wait again, or have failed for good; files that no row needs go."""
    count_unknown_status(ctx, "export_requests", STATUSES)
    rows = ctx.db.query(f"SELECT {COLUMNS}, claim_run, lease_until, file_name "
                        "FROM {export_requests}"
                        " WHERE status = 'running'")
    for row in _dead(ctx, rows):
        if not is_valid(ctx, row):
            continue
        ours = lost("export_requests", clock.text(ctx.now))
        ctx.db.batch(partial(_unfinished, ctx, row, "the run was killed", counts, ours))
    if ctx.clock_in_doubt is None:
        counts["files_removed"] += files.sweep(ctx)


def _dead(ctx, rows: list[dict]) -> list[dict]:
    """Those whose run has ended, or should have long ago."""
    if not rows:
        return []
    alive = {row["run_id"] for row in ctx.db.query(
        "SELECT run_id FROM {job_runs} WHERE run_id IN (:runs) AND status = 'running'",
        runs=[run for run in {row["claim_run"] or "" for row in rows} if isinstance(run, str)]
        or [""])}
    now = clock.text(ctx.now)
    return [row for row in rows if row["claim_run"] not in alive or str(row["lease_until"] or "")
            < now]


def is_valid(ctx, row: dict) -> bool:
    """Whether a request can be worked on; one that cannot has failed, and stops no other."""
    try:
        if 0 <= number(row["attempts"], "attempts") < MOST_ATTEMPTS:
            return True
        raise Invalid("its attempts are out of range")
    except Invalid as error:
        ctx.db.execute("UPDATE {export_requests} "
                       "SET status = 'failed', finished_at = :now, file_name = NULL,"
                       f" error = :why, {NOT_CLAIMED} WHERE id = :id "
                       "AND status IN ('queued', 'running')", now=ctx.clock(), id=row["id"],
                       why=f"invalid: {error}")
        ctx.log.warning("export invalid", id=row["id"], reason=str(error))
        ctx.count(INVALID)
        return False


def _unfinished(ctx, row: dict, why: str, counts: dict, ours: tuple) -> None:
    """An attempt has come to nothing: it waits for another, or was the last. Called inside a
    transaction.

    `ours`: (SQL, values) by which the row is still the one whose attempt it was.
    """
    rule, values = ours
    if row["attempts"] >= ATTEMPTS:
        if ctx.db.execute("UPDATE {export_requests} "
                          "SET status = 'failed', finished_at = :now, error = :error,"
                          f" file_name = NULL, {NOT_CLAIMED} WHERE id = :id AND status = 'running' "
                          f"AND {rule}", now=ctx.clock(), error=why, id=row["id"], **values):
            counts["failed"] += 1
            ctx.log.error("export failed", id=row["id"], attempts=row["attempts"], error=why)
            from . import notices
            notices.failed(ctx, owner(ctx, row), row)
    elif ctx.db.execute("UPDATE {export_requests} "
                        "SET status = 'queued', progress = 0, error = :error,"
                        f" file_name = NULL, {NOT_CLAIMED} WHERE id = :id AND status = 'running' "
                        f"AND {rule}", error=why, id=row["id"], **values):
        counts["put_off"] += 1
        ctx.log.warning("export unfinished", id=row["id"], attempt=row["attempts"], error=why)


def expire(ctx, counts: dict) -> None:
    """Downloads end at their time: first for the app, then the file goes."""
    _shorten(ctx)
    done = 0
    while not ctx.should_stop() and (most := ctx.within_limit(AT_ONCE, done)):
        rows = ctx.db.query("SELECT id, file_name, file_bytes FROM {export_requests} "
                            "WHERE status = 'ready'"
                            " AND expires_at <= :now ORDER BY expires_at, id LIMIT :most",
                            now=ctx.now, most=most)
        if not rows or not ctx.may_expire():
            return
        end(ctx, rows, counts)
        counts["expired"] += len(rows)
        done += len(rows)


def _shorten(ctx) -> None:
    """What was finished by a clock that was far ahead would be open until then: its time begins
    now."""
    if ctx.clock_in_doubt:
        return
    rows = ctx.db.query("SELECT id FROM {export_requests} WHERE status = 'ready' "
                        "AND expires_at > :ahead"
                        " AND finished_at > :ahead", ahead=ctx.now + AHEAD)
    if rows:
        ctx.db.execute("UPDATE {export_requests} SET finished_at = :now, expires_at = :expires "
                       "WHERE id IN (:ids)"
                       " AND status = 'ready'", now=ctx.now, expires=ctx.now
                       + ctx.section("export").keep, ids=[row["id"] for row in rows])


def end(ctx, rows: list[dict], counts: dict) -> None:
    """These finished exports cannot be downloaded any more."""
    ids = [row["id"] for row in rows]
    ctx.db.execute(f"UPDATE {{export_requests}} SET status = 'expired', {NO_TOKEN} "
                   "WHERE id IN (:ids)"
                   " AND status = 'ready'", ids=ids)
    forget_files(ctx, rows, counts)


def forget_files(ctx, rows: list[dict], counts: dict) -> int:
    """The files of requests that are over go, then their names. How many files; those that are not
    found count."""
    removed, settled = files.remove_files(ctx, rows)
    if len(settled) < len(rows):
        counts["files_not_found"] = counts.get("files_not_found", 0) + len(rows) - len(settled)
    ctx.db.execute("UPDATE {export_requests} SET file_name = NULL WHERE id IN (:ids) "
                   "AND status = 'expired'", ids=settled)
    return removed


# The next one

def is_any_waiting(ctx) -> bool:
    """Whether there is anything to make."""
    return ctx.db.row("SELECT id FROM {export_requests} WHERE status = 'queued' LIMIT 1") is not None


def waiting(ctx, out: set, tried: dict):
    """The next request of each owner that is not `out`: the longest waiting one that this run has
    not `tried` yet.

    Owners in turn, from the one behind the last that a run has worked for."""
    owners = [row["user_id"] for row in ctx.db.query(
        "SELECT user_id FROM {export_requests} WHERE status = 'queued' GROUP BY user_id")
              if row["user_id"] not in out]
    for owner in rotation.in_order(owners, rotation.last(ctx)):
        row = ctx.db.row(f"SELECT {COLUMNS} FROM {{export_requests}} WHERE status = 'queued' "
                         "AND user_id = :owner"
                         " AND id NOT IN (:tried) ORDER BY requested_at, id LIMIT 1", owner=owner,
                         tried=tried.get(owner) or [0])
        if row:
            yield row


def claim(ctx, row: dict, counts: dict) -> Claim | None:
    """Take a request for this run; None if it is not to be made, or not now."""
    return ctx.db.batch(partial(_claim, ctx, row, counts))


def _claim(ctx, row: dict, counts: dict) -> Claim | None:
    # The owner's row bars other runs from this account until the commit.
    user = owner(ctx, row, ctx.db.for_update)
    refused = refusal(ctx, user, row)
    if refused:
        if number_of := _refuse_all(ctx, row, refused[0]):
            counts["refused"] += number_of
            ctx.log.event("export refused", id=row["id"], requests=number_of, reason=refused[0])
            from . import notices
            notices.refused(ctx, user, row, refused[1])
        return None
    if ctx.db.value("SELECT COUNT(*) FROM {export_requests} WHERE user_id = :user "
                    "AND status = 'running'", user=row["user_id"]):
        return None                         # another run makes one for this account: this one waits
    taken = Claim({**row, "attempts": row["attempts"] + 1}, os.urandom(16).hex(),
                  files.new_name(row["id"]))
    lease = ctx.clock() + timedelta(seconds=ctx.hard_limit - ctx.monotonic()) + LEASE_MARGIN
    return taken if ctx.db.execute(
        "UPDATE {export_requests} "
        "SET status = 'running', progress = 0, attempts = attempts + 1, started_at = :now,"
        " file_name = :name, claim_token = :token, claim_run = :run, lease_until = :lease"
        " WHERE id = :id AND status = 'queued'", now=ctx.clock(), name=taken.file_name,
        token=taken.token,
        run=ctx.run_id, lease=lease, id=row["id"]) else None


def owner(ctx, row: dict, locked: str = "") -> dict | None:
    """The account, if it is there; `locked`: nobody else may change it until the commit."""
    return ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id" + locked,
                      id=row["user_id"])


def refusal(ctx, user: dict | None, row: dict) -> tuple | None:
    """(what the row says, what its owner reads) of a request that is not to be made."""
    if user is None or user["status"] == "deleted":
        return "cancelled: the account is deleted", ""
    if user["status"] == "suspended":
        return "cancelled: the account is suspended", "Your account is suspended, so we cannot export it."
    since = ctx.now - DAY
    made = ctx.db.row("SELECT COUNT(*) AS number, MIN(started_at) AS first FROM {export_requests} "
                      "WHERE user_id = :user AND status IN ('ready', 'expired') "
                      "AND started_at > :since AND started_at < :ahead", user=row["user_id"],
                      since=since, ahead=ctx.now + AHEAD)
    if made["number"] < ctx.options.per_day:
        return None
    from jobs_lib.features.notifications import render
    again = render.minute((clock.parse_any(made["first"]) or ctx.now) + DAY)
    return ((f"refused: {made['number']} exports within a day are enough ([export_accounts] "
             "per_day)"),
            (f"You can export your account {_times(ctx.options.per_day)} a day. You can request "
             f"another after {again}."))


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _refuse_all(ctx, row: dict, why: str) -> int:
    """This request and all others of its owner that wait: what holds for one holds for them. How
    many they were."""
    ids = {row["id"], *(each["id"] for each in ctx.db.query(
        "SELECT id FROM {export_requests} WHERE user_id = :owner AND status = 'queued' LIMIT :most",
        owner=row["user_id"], most=REFUSED_AT_ONCE))}
    return ctx.db.execute("UPDATE {export_requests} "
                          "SET status = 'failed', finished_at = :now, error = :why"
                          " WHERE id IN (:ids) AND +status = 'queued'", now=ctx.clock(), why=why,
                          ids=list(ids))


# What becomes of it

def is_ours(ctx, taken: Claim, percent: int) -> bool:
    """Store how far it is. False when it is no longer this run's: cancelled, or the account is
    being deleted."""
    return ctx.db.execute("UPDATE {export_requests} SET progress = :percent WHERE id = :id "
                          "AND claim_token = :token"
                          " AND status = 'running'", percent=percent, id=taken.row["id"],
                          token=taken.token) == 1


def finish(ctx, taken: Claim, written, counts: dict) -> bool:
    """It can be downloaded, and no older one of the account any more; its owner is told. One
    commit."""
    from jobs_lib.engines.queue import until_stored
    older: list = []
    if not until_stored(ctx, partial(_finish, ctx, taken, written, older)):
        return False
    forget_files(ctx, older, counts)
    return True


def _finish(ctx, taken: Claim, written, older: list) -> bool:
    """Whether it is stored. `older` gets the exports that end by it."""
    row, now = taken.row, ctx.clock()
    user = owner(ctx, row, ctx.db.for_update)
    if user is None or user["status"] == "deleted":
        return False                        # the next run settles it
    nonce, expires = os.urandom(16).hex(), now + ctx.section("export").keep
    token = download_token.make(ctx.secret(download_token.LABEL), row["id"], nonce)
    if not ctx.db.execute(
            "UPDATE {export_requests} "
            "SET status = 'ready', progress = 100, file_bytes = :bytes, sha256 = :sha256,"
            " token_hash = :hash, token_nonce = :nonce, finished_at = :now, expires_at = :expires, "
            "error = NULL,"
            f" {NOT_CLAIMED} WHERE id = :id AND claim_token = :token AND status = 'running'",
            bytes=written.bytes, sha256=written.sha256, hash=download_token.hashed(token),
            nonce=nonce, now=now,
            expires=expires, id=row["id"], token=taken.token):
        return _is_ready(ctx, taken)        # by a COMMIT whose answer was lost
    older[:] = ctx.db.query("SELECT id, file_name, file_bytes FROM {export_requests} "
                            "WHERE user_id = :user"
                            " AND status = 'ready' AND id <> :id", user=row["user_id"],
                            id=row["id"])
    if older:
        ctx.db.execute(f"UPDATE {{export_requests}} SET status = 'expired', {NO_TOKEN} "
                       "WHERE id IN (:ids)", ids=[each["id"] for each in older])
    from . import notices
    notices.ready(ctx, user, row, written.bytes, expires)
    return True


def _is_ready(ctx, taken: Claim) -> bool:
    """Whether it can be downloaded, with the file of this claim."""
    return ctx.db.row("SELECT id FROM {export_requests} WHERE id = :id AND status = 'ready' "
                      "AND file_name = :name", id=taken.row["id"], name=taken.file_name) is not None


def may_be_ready(ctx, taken: Claim) -> bool:
    """Whether its file may be needed. Where the database cannot say, the next run removes what no
    row needs."""
    try:
        return _is_ready(ctx, taken)
    except DatabaseError:
        return True


def put_back(ctx, taken: Claim, counts: dict, why: str, counted: bool) -> None:
    """It was not finished. Unless `counted`, the attempt was not its own fault, and is given
    back."""
    row = taken.row if counted else {**taken.row, "attempts": 0}
    ctx.db.batch(partial(_put_back, ctx, taken, row, why, counts, counted))


def _put_back(ctx, taken: Claim, row: dict, why: str, counts: dict, counted: bool) -> None:
    if not counted:
        ctx.db.execute("UPDATE {export_requests} SET attempts = attempts - 1 WHERE id = :id "
                       "AND claim_token = :token AND status = 'running'", id=row["id"],
                       token=taken.token)
    _unfinished(ctx, row, why, counts, ("claim_token = :token", {"token": taken.token}))


def words(error: Exception) -> str:
    """An error for the row and the log, with nobody's address."""
    from jobs_lib.masking import text
    said = text(str(error)) if isinstance(error,
                                          DatabaseError) else text(f"{type(error).__name__}: "
                                                                   f"{error}")
    return said[:500]
