"""Webhook deliveries as a queue: which are due, what is sent of one, and what an answer means for
it."""
from __future__ import annotations

from collections import namedtuple
from datetime import datetime, timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.chunks import chunked
from jobs_lib.engines import requeue
from jobs_lib.engines.queue import Queue, Worker
from jobs_lib.engines.rows import invalid
from jobs_lib.ports.http.message import ANSWERED, BUSY, OURS, UNSENDABLE, Request, Response
from jobs_lib.ports.http.url import server_of
from jobs_lib.runner.clock_doubt import AHEAD

COLUMNS = ("webhook_id", "event_id", "event_type", "payload", "last_attempt_at", "last_error")
ENDPOINT = ("id, user_id, url, secret, previous_secret, previous_secret_expires_at, active, "
            "failing_since")
CONTENT_TYPE = "application/json"
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503
LONGEST_WAIT = timedelta(hours=24)         # of a Retry-After that is honoured
ERROR_LENGTH = 512
TRIES_OF = timedelta(days=7)               # so long it is remembered how an endpoint answered
FORGOTTEN = 500                            # rows of that in one run
ASKED_AT_ONCE = 100         # few enough that an engine reads them by their key
MARGIN = 5.0                # seconds before the hard limit that are kept for storing what came
LOOKED_AT, SHOWN = 1000, 10                # rows that a dry run judges one by one, and shows

# a year: what is said to fail since before that was not written by anybody who knows
EARLIEST = 2000


class Unsendable(ValueError):
    """A delivery that cannot be sent, to whomever."""


class BadEndpoint(ValueError):
    """An endpoint that nothing can be sent to as it is."""


# outcome: of the queue's engine; wait: what the endpoint asked for, or None; gone: for good
Verdict = namedtuple("Verdict", "outcome error wait gone")


def queue(ctx) -> Queue:
    """The table `webhook_deliveries` as a queue. The app's own first attempt counts, and may not
    have been made."""
    return Queue("webhook_deliveries", "delivered", delays(ctx), first_due(delays(ctx), ctx.now),
                 COLUMNS, None, second="last_attempt_at")


def delays(ctx) -> tuple:
    """Before each attempt, counted from the one before: the first is due at once."""
    return (timedelta(0), *ctx.options.delays)


def first_due(waits: tuple, moment) -> tuple[str, dict]:
    """(SQL, values): rows without `next_attempt_at` that are due by then, counted from
    `last_attempt_at`. Due are also those whose values make no sense: else they would wait for ever,
    and nobody would see them."""
    rules = ["last_attempt_at IS NULL", "attempts IS NULL", "attempts < 0",
             "last_attempt_at > :impossible"]
    values = {"impossible": moment + LONGEST_WAIT + waits[-1]}
    for attempts, wait in enumerate(waits):
        values[f"before_{attempts}"] = moment - wait
        more = ">=" if attempts == len(waits) - 1 else "="
        rules.append(f"(attempts {more} {attempts} AND last_attempt_at <= :before_{attempts})")
    return f"({' OR '.join(rules)})", values


def endpoints(db, ids: list[int]) -> dict[int, dict]:
    """{id: the endpoint as it is now, with its `host` and its `server`, which is the host and the
    port}."""
    found = {}
    for some in chunked(ids, ASKED_AT_ONCE):
        for row in db.query(f"SELECT {ENDPOINT} FROM {{webhooks}} WHERE id IN (:ids)", ids=some):
            found[row["id"]] = _judged(row)
    return found


def _judged(row: dict) -> dict:
    """An endpoint as the rest can work with it, whatever its row holds: `bad` says what nothing can
    be sent with."""
    url, secret, before = (_text(row[name]) for name in ("url", "secret", "previous_secret"))
    since, server = clock.parse_any(row["failing_since"]), server_of(url or "")
    bad = ("the URL of this endpoint is not text" if url is None else
           "this endpoint has no secret" if not secret else "")
    return {**row, "url": url or "", "secret": secret, "previous_secret": before, "bad": bad,
            "failing_since": clock.text(since) if since and since.year >= EARLIEST else None,
            "host": server[0], "server": server}


def _text(value) -> str | None:
    """Text, or bytes that are some: an app may have either. None if it is neither."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) else None


def states(db, ids: list) -> dict:
    """{endpoint: `slow`, and `tried_at`, when a run last sent something to it}, of those that are
    known."""
    found = {}
    for some in chunked(ids, ASKED_AT_ONCE):
        for row in db.query("SELECT webhook_id, tried_at, slow FROM {endpoint_state} "
                            "WHERE webhook_id IN (:ids)", ids=some):
            found[row["webhook_id"]] = {"slow": row["slow"], "tried_at": str(row["tried_at"])}
    return found


def note_try(db, endpoint: dict, now, slow: int) -> None:
    """A run has sent something to this endpoint. Called in the transaction that stores the
    answer."""
    db.upsert("endpoint_state", {"webhook_id": endpoint["id"]}, {"user_id": endpoint["user_id"],
                                                                 "tried_at": now, "slow": slow})


def forget_tries(ctx) -> None:
    """What was tried so long ago is in nobody's way, or gone; a time to come is that of a clock
    that was wrong."""
    if ctx.clock_in_doubt:
        return
    ctx.db.execute("DELETE FROM {endpoint_state} WHERE webhook_id IN (:ids)", ids=[
        row["webhook_id"] for rule, when in (("tried_at < :when", ctx.now - TRIES_OF),
                                             ("tried_at > :when", ctx.now + AHEAD))
        for row in ctx.db.query(f"SELECT webhook_id FROM {{endpoint_state}} WHERE {rule} "
                                "LIMIT :most", when=when, most=FORGOTTEN)])


def gone(db, rows: list[dict], known: dict[int, dict]) -> dict[int, str]:
    """{row id: why it is cancelled}: nobody waits for it any more. `known` are the rows' endpoints,
    just read."""
    people = list({row["user_id"] for row in rows}
                  | {endpoint["user_id"] for endpoint in known.values()})
    alive = {row["id"] for row in db.query("SELECT id FROM {users} WHERE id IN (:people) "
                                           "AND status <> 'deleted'", people=people)}
    reasons = {}
    for row in rows:
        endpoint = known.get(row["webhook_id"])
        if row["user_id"] not in alive or (endpoint and endpoint["user_id"] not in alive):
            reasons[row["id"]] = "the account is deleted"
        elif endpoint is None:
            reasons[row["id"]] = "the endpoint is gone"
        elif not endpoint["active"]:
            reasons[row["id"]] = "the endpoint is disabled"
    return reasons


def request(row: dict, endpoint: dict, now) -> Request:
    """What is sent: the same body and id at each attempt, the time and so the signature of this
    one.

    Unsendable for a delivery that never will be sent, BadEndpoint for an endpoint that has to be
    mended."""
    from .signature import SecretError, sign
    body, event_id = _body(row["payload"]), _text(row["event_id"])
    if not event_id:
        raise Unsendable("this delivery has no event id")
    if endpoint["bad"]:
        raise BadEndpoint(endpoint["bad"])
    secrets = [endpoint["secret"]]
    expires = endpoint["previous_secret_expires_at"]
    if endpoint["previous_secret"] and (not expires or (clock.parse_any(expires) or now) > now):
        secrets.append(endpoint["previous_secret"])
    seconds = int(now.timestamp())
    try:
        signature = sign(secrets, event_id, seconds, body)
    except SecretError as error:
        raise BadEndpoint(str(error)) from None
    return Request(f"webhook-{row['id']}", endpoint["url"], (
        ("Content-Type", CONTENT_TYPE), ("webhook-id", event_id),
        ("webhook-timestamp", str(seconds)),
        ("webhook-signature", signature)), body)


def _body(payload) -> bytes:
    text = str(payload) if isinstance(payload, (int, float)) else _text(payload)
    if text is None:
        raise Unsendable("this delivery has no payload" if payload is None else "its payload is "
                         "not text")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsendable("its payload is not text") from None


def judge(response: Response, now) -> Verdict:
    """What an answer means: 2xx is success, all else a failure, a redirect too; 410 is an end."""
    status = response.status
    if response.outcome != ANSWERED:
        outcome = {OURS: "back", BUSY: "back", UNSENDABLE: "final"}.get(response.outcome, "retry")
        return Verdict(outcome, response.text[:ERROR_LENGTH], None, False)
    if 200 <= status < 300:
        return Verdict("done", None, None, False)
    if status == GONE:
        return Verdict("final", "the endpoint answered 410: it is gone for good", None, True)
    error = f"the endpoint answered {status}" + (", and redirects are not followed" if status < 400
                                                 else "")
    wait = retry_after(response.retry_after, now) if status in (TOO_MANY, UNAVAILABLE) else None
    return Verdict("retry", error, wait, False)


def retry_after(words: str, now) -> timedelta | None:
    """What a Retry-After asks for, in seconds or as a date (RFC 9110 10.2.3), at most a day; None
    if it is neither."""
    words = words.strip()
    if words.isascii() and words.isdecimal():
        return min(timedelta(seconds=int(words[:9])),
                   LONGEST_WAIT) if len(words) < 10 else LONGEST_WAIT
    if not words:
        return None
    from email.utils import parsedate_to_datetime
    try:
        moment = parsedate_to_datetime(words)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=clock.UTC)
        return min(max(moment - now, timedelta(0)), LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def preview(ctx) -> dict:
    """A dry run: what would be sent, judged on the state now. No name is resolved and nothing
    connected to."""
    worker = Worker(ctx, queue(ctx))
    worker.count_unknown_status()
    due = worker.count_due() if ctx.limit is None else min(worker.count_due(), ctx.limit)
    rows = worker.due(min(due, LOOKED_AT))
    wrong = invalid(worker.queue.table, rows)
    right = [row for row in rows if row["id"] not in wrong]
    known = endpoints(ctx.db, list({row["webhook_id"] for row in right}))
    cancelled = {**gone(ctx.db, right, known), **{id: f"invalid: {reason}" for id,
                                                  reason in wrong.items()}}
    ctx.show(f"send {due - len(cancelled):,} due deliveries to "
             f"{len({row['webhook_id'] for row in right}):,} endpoints",
             [row for row in rows if row["id"] not in cancelled][:SHOWN])
    if cancelled:
        ctx.show(f"cancel {len(cancelled):,}: {', '.join(sorted(set(cancelled.values())))}",
                 [row for row in rows if row["id"] in cancelled][:SHOWN])
    return {**ctx.counts, "delivered": due - len(cancelled), "cancelled": len(cancelled)
            - len(wrong), **({"invalid": len(wrong)} if wrong else {})}


# Sent again on request


def _gone(db, ids: list[int]) -> dict:
    rows = db.query("SELECT id, user_id, webhook_id FROM {webhook_deliveries} WHERE id IN (:ids)",
                    ids=ids)
    return gone(db, rows, endpoints(db, sorted({row["webhook_id"] for row in rows})))


REPLAY = requeue.Kind("webhook", "webhook_deliveries", "retry_webhooks",
                     "CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS whole",
                     lambda row, _: None if row["whole"] else "its payload is gone", "", _gone,
                      False)


def failed_since(db, endpoint: int, since: datetime, now) -> list[int]:
    """Put back all failed deliveries of an endpoint whose events are of `since` or later. Their
    ids."""
    done: list[int] = []
    if endpoint > requeue.LARGEST_ID:
        return done
    for rows in db.pages("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :endpoint"
                         " AND status = 'failed' AND created_at >= :since"
                         " AND payload IS NOT NULL",
                         endpoint=endpoint, since=since, size=requeue.AT_ONCE):
        done += db.batch(partial(_still_failed, db, [row["id"] for row in rows], now))
    return done


def _still_failed(db, ids: list[int], now) -> list[int]:
    """Put back those of the rows that nobody has put back or purged meanwhile."""
    rows = db.query("SELECT id FROM {webhook_deliveries} WHERE id IN (:ids) AND status = 'failed'"
                    " AND payload IS NOT NULL ORDER BY id" + db.for_update, ids=ids)
    found = [row["id"] for row in rows]
    requeue.reset(db, REPLAY, found, now)
    return found
