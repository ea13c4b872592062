"""The endpoints: what is known of them, and what the answers of one mean for it: failing since
when, paused, disabled.

What changes a row is called in the transaction that stores the answer, all but `cancel` and
`forget_tries`.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database.values import chunked
from jobs_lib.engines import audit
from jobs_lib.engines.work_queue import owners_in, why_nobody_waits
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.ports.http.message import ANSWERED
from jobs_lib.ports.http.url import server_of, shown
from jobs_lib.ports.outcomes import GIVEN_BACK, SENT
from jobs_lib.runner.clock_doubt import AHEAD

from .deliveries import first_due, text
from .outcomes import LONGEST_WAIT

COLUMNS = ("id, user_id, url, secret, previous_secret, previous_secret_expires_at, active, "
           "failing_since")
# a year: nobody who knows has written that an endpoint has failed since before it
EARLIEST = 2000
ASKED_AT_ONCE = 100         # few enough that an engine reads them by their key
SLOW = 0.5                  # of the time limit: an answer that takes longer makes an endpoint slow
# an endpoint that has failed for so long without one success is switched off
DISABLE_AFTER = timedelta(days=5)
WARN_BEFORE = timedelta(days=2)     # how long before it is disabled its owner is warned, once
CANCEL = 500                        # rows in one commit
TRIES_OF = timedelta(days=7)        # how long an endpoint's answers are remembered
FORGOTTEN = 500                     # rows of that in one run
# what is known of an endpoint that this run has learned nothing of
UNKNOWN = {"host": "", "server": ("", 0), "failing_since": None, "user_id": None, "slow": 0,
           "tried_at": "", "is_noted": False, "paused_until": None}


def current(db, ids: list) -> dict[int, dict]:
    """{id: the endpoint as it is now, with its `host` and its `server`, which is the host and the
    port}."""
    return _asked(db, ids, {row["id"]: _judged(row) for part in chunked(ids, ASKED_AT_ONCE)
                            for row in db.query(f"SELECT {COLUMNS} FROM {{webhooks}} "
                                                "WHERE id IN (:ids)", ids=part)})


def _asked(db, ids, found: dict) -> dict:
    """{id: what was found of it}, by those that were asked for: a key may be equal in any case."""
    if "webhooks" not in db.text_keys:
        return found
    known = {db.key("webhooks", id): each for id, each in found.items()}
    return {id: {**known[key], "id": id} for id in ids if (key := db.key("webhooks", id)) in known}


def with_state(db, ids: list) -> dict[int, dict]:
    """{id: the endpoint, with `slow`, and `tried_at`, when a run last sent something to it}, of all
    of these, even if there is no such endpoint."""
    found = current(db, ids)
    states = {row["webhook_id"]: {"slow": row["slow"], "tried_at": str(row["tried_at"]),
                                   "paused_until": clock.parse_any(row["paused_until"])}
              for part in chunked(ids, ASKED_AT_ONCE)
              for row in db.query("SELECT webhook_id, tried_at, slow, paused_until "
                                  "FROM {endpoint_state} WHERE webhook_id IN (:ids)", ids=part)}
    states = _asked(db, ids, states)
    return {id: {**UNKNOWN, "id": id, **found.get(id, {}), **states.get(id, {})} for id in ids}


def _judged(row: dict) -> dict:
    """An endpoint as the rest can work with it, whatever its row holds: `bad` says why nothing can
    be sent to it."""
    url, secret, before = (text(row[name]) for name in ("url", "secret", "previous_secret"))
    since, server = clock.parse_any(row["failing_since"]), server_of(url or "")
    bad = ("the URL of this endpoint is not text" if url is None else
           "this endpoint has no secret" if not secret else "")
    return {**row, "url": url or "", "secret": secret, "previous_secret": before, "bad": bad,
            "failing_since": clock.text(since) if since and since.year >= EARLIEST else None,
            "host": server[0], "server": server}


def is_failing(endpoint: dict) -> bool:
    """Whether it may hold a slot for long: it has been failing, or its last answer was slow."""
    return bool(endpoint["failing_since"] or endpoint["slow"])


def reasons_to_cancel(db, rows: list[dict], known: dict[int, dict]) -> dict[int, str]:
    """{row id: why it is cancelled}: nobody waits for it any more. `known` are the rows' endpoints,
    just read."""
    owners = owners_in(db, [*rows, *known.values()])
    reasons = {}
    for row in rows:
        endpoint = known.get(row["webhook_id"])
        reason = why_nobody_waits(owners, row["user_id"])
        if not reason and endpoint:
            reason = why_nobody_waits(owners, endpoint["user_id"])
        if reason:
            reasons[row["id"]] = reason
        elif endpoint is None:
            reasons[row["id"]] = "the endpoint is gone"
        elif not endpoint["active"]:
            reasons[row["id"]] = "the endpoint is disabled"
    return reasons


# What an answer means

def store_attempt(ctx, attempt, waits: tuple) -> tuple[dict, str]:
    """(what has changed of the endpoint, why it was disabled or "")."""
    endpoint, verdict, now = attempt.endpoint, attempt.verdict, ctx.clock()
    if verdict.wait:
        _pause(ctx, endpoint, waits, now + verdict.wait)
    if verdict.outcome == GIVEN_BACK:
        return {}, ""
    changed = _note_try(ctx, attempt, now)
    if verdict.outcome == SENT:
        if endpoint["failing_since"]:               # a success ends whatever failed before
            _set_failing_since(ctx.db, endpoint, None)
        return {**changed, "failing_since": None}, ""
    if not verdict.blames:
        return changed, ""
    now_known = current(ctx.db, [endpoint["id"]]).get(endpoint["id"], endpoint)
    if any(now_known[name] != endpoint[name] for name in ("url", "failing_since")):
        return {**changed, **now_known}, ""         # its owner has changed or re-enabled it
    since, reason = _note_failure(ctx, endpoint, verdict.error)
    reason = "the endpoint answered 410 Gone" if verdict.gone else reason
    disabled = bool(reason) and _disable(ctx, endpoint, reason)
    return {**changed, "failing_since": since}, reason if disabled else ""


def _note_try(ctx, attempt, now) -> dict:
    """A run has sent something to this endpoint, which may have asked to be left alone."""
    endpoint, limit = attempt.endpoint, ctx.section("webhooks").timeout.total_seconds()
    slow = int(attempt.response.outcome == ANSWERED and attempt.seconds > SLOW * limit)
    wait = attempt.verdict.wait
    paused = {"paused_until": now + wait} if wait else {}
    if endpoint["is_noted"] and slow == endpoint["slow"] and not wait:
        return {}
    ctx.db.upsert("endpoint_state", {"webhook_id": endpoint["id"]}, {
        "user_id": endpoint["user_id"], "tried_at": now, "slow": slow, **paused})
    return {"is_noted": True, "slow": slow, **paused}


def is_paused(ctx, endpoint: dict, waits: tuple) -> bool:
    """Whether it has asked that nothing is sent to it for now: then what has come since waits as
    long. A time further ahead than that can be is from a clock that was wrong."""
    until, now = endpoint["paused_until"], ctx.clock()
    if until is None or not now < until <= now + LONGEST_WAIT:
        return False
    ctx.db.batch(lambda: _pause(ctx, endpoint, waits, until))
    return True


def _set_failing_since(db, endpoint: dict, since) -> None:
    db.execute("UPDATE {webhooks} SET failing_since = :since WHERE id = :id", since=since,
               id=endpoint["id"])


def _note_failure(ctx, endpoint: dict, error: str) -> tuple[str, str]:
    """(since when it has been failing, why it is to be disabled or "")."""
    now, began = ctx.clock(), clock.parse_any(endpoint["failing_since"])
    if (began is None or began > now                # no time, or that of a clock that was wrong
            # the app delivered something and did not say so
            or _worked_meanwhile(ctx.db, endpoint["id"], began)):
        _set_failing_since(ctx.db, endpoint, now)
        return clock.text(now), ""
    end = began + DISABLE_AFTER
    if end <= now and ctx.may_expire():
        return clock.text(began), f"every delivery has failed since {render.minute(began)}"
    if began < end - WARN_BEFORE <= now < end:
        _warn(ctx, endpoint, began, end, error)
    return clock.text(began), ""


def _worked_meanwhile(db, id: int, since) -> bool:
    return db.row("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :id "
                  "AND status = 'delivered' AND"
                  " (finished_at > :since OR (finished_at IS NULL AND created_at > :since)) "
                  "LIMIT 1", id=id, since=since) is not None


def _pause(ctx, endpoint: dict, waits: tuple, until) -> None:
    """Nothing is sent to it until then: what is due before waits as long, and uses up no
    attempt."""
    sql, values = first_due(waits, until)
    ctx.db.execute("UPDATE {webhook_deliveries} SET next_attempt_at = :until WHERE webhook_id = :id"
                   " AND status = 'pending' AND (next_attempt_at < :until "
                   f"OR (next_attempt_at IS NULL AND {sql}))", id=endpoint["id"], until=until,
                   **values)


def _disable(ctx, endpoint: dict, reason: str) -> bool:
    """Disable it and queue the one notice to its owner. False if it was disabled already."""
    now = ctx.clock()
    if ctx.db.execute("UPDATE {webhooks} SET active = 0, disabled_at = :now, disabled_reason = "
                      ":reason WHERE id = :id AND active = 1", id=endpoint["id"], now=now,
                      reason=reason) != 1:
        return False
    audit.record(ctx.db, now=now, user_id=endpoint["user_id"], event="webhook.disabled",
                 severity="warning", details={"webhook_id": endpoint["id"], "reason": reason})
    _notify(ctx, endpoint, "webhook_disabled", now, reason=reason, disabled_at=render.minute(now))
    return True


def _warn(ctx, endpoint: dict, began, end, error: str) -> None:
    """Warn the owner, once for each time that it began to fail."""
    _notify(ctx, endpoint, "webhook_failing", began, reason=error or "no answer",
            since=render.minute(began), end=render.minute(end))


def _notify(ctx, endpoint: dict, kind: str, moment, **values) -> None:
    """Queue a notice to the owner, once for this moment. Of a failing endpoint only active accounts
    hear, of a disabled one suspended ones too."""
    silent = "status = 'active'" if kind == "webhook_failing" else "status <> 'deleted'"
    key = f"{kind.replace('_', '-')}:{endpoint['id']}:{clock.text(moment)}"
    user = ctx.db.row(f"SELECT id, email, name FROM {{users}} WHERE id = :id AND {silent}",
                      id=endpoint["user_id"])
    if user:
        notify(ctx, user, kind, key, {"url": shown(endpoint["url"]), "host": endpoint["host"],
                                      **values})


# In commits of their own

def cancel(ctx, id: int, reason: str) -> None:
    """Cancel what waits for an endpoint that was disabled. What a kill leaves, the next run finds
    due and cancels."""
    while True:
        ids = [row["id"] for row in ctx.db.query(
            "SELECT id FROM {webhook_deliveries} WHERE webhook_id = :id AND status = 'pending'"
            " LIMIT :most", id=id, most=CANCEL)]
        done = ids and ctx.db.execute(
            "UPDATE {webhook_deliveries} "
            "SET status = 'failed', finished_at = :now, next_attempt_at = NULL,"
            " claim_token = NULL, claim_run = NULL, lease_until = NULL, last_error = :error"
            " WHERE id IN (:ids) AND +status = 'pending'",
            ids=ids, now=ctx.clock(), error=f"cancelled: {reason}")
        if not done:
            return
        ctx.count("cancelled", done)


def forget_tries(ctx) -> None:
    """What was tried longer ago than this holds nothing up any more; a future time is from a clock
    that was wrong."""
    if ctx.clock_in_doubt:
        return
    ctx.db.execute("DELETE FROM {endpoint_state} WHERE webhook_id IN (:ids)", ids=[
        row["webhook_id"] for rule, when in (("tried_at < :when", ctx.now - TRIES_OF),
                                             ("tried_at > :when", ctx.now + AHEAD))
        for row in ctx.db.query(f"SELECT webhook_id FROM {{endpoint_state}} WHERE {rule} "
                                "LIMIT :most", when=when, most=FORGOTTEN)])
