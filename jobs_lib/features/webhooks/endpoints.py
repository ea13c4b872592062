"""The endpoints, and what the answers of one mean for it: failing since when, paused, disabled.

A result changes one row of `webhooks`, in the transaction that stores it. Its other deliveries are
changed after that, in steps; who is warned or disabled is decided at the end of a run, when all can
be counted.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.engines import guard
from jobs_lib.engines.attempts import SENT
from jobs_lib.features.notifications import notices, render
from jobs_lib.features.queues import WEBHOOKS
from jobs_lib.ports.http.url import described
from jobs_lib.text import words

from .deliveries import LONGEST_WAIT

COLUMNS = ("id, user_id, url, secret, previous_secret, previous_secret_expires_at, active, "
           "failing_since, paused_until")
NOTHING = dict.fromkeys((*COLUMNS.split(", "), "host", "shown"))    # is known of a missing one
DELIVERED = ("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :id AND status = 'delivered' "
             "AND (finished_at > :since OR (finished_at IS NULL AND created_at > :since)) LIMIT 1")
# an endpoint that has failed for so long without one success is switched off
DISABLE_AFTER = timedelta(days=5)
WARN_BEFORE = timedelta(days=2)     # how long before it is disabled its owner is warned, once


def current(db, ids) -> dict:
    """{id: the endpoint as it is now, with its `host` and its URL as it is `shown`; of one that is
    missing NOTHING but the id."""
    ids, found = set(ids), {}
    for row in db.query(f"SELECT {COLUMNS} FROM {{webhooks}} WHERE id IN (:ids)", ids=list(ids)):
        # an app may store octets
        row.update((name, words(row[name])) for name in ("url", "secret", "previous_secret"))
        row["host"], row["shown"] = described(row["url"])
        found[row["id"]] = row
    return {id: {**found.get(id, NOTHING), "id": id} for id in ids}


def is_paused(endpoint: dict, now) -> bool:
    """Whether nothing is sent to it for now. A time further ahead is of a wrong clock."""
    until = clock.parse_any(endpoint["paused_until"])
    return until is not None and now < until <= now + LONGEST_WAIT


def failing_since(endpoint: dict, now):
    """Since when it fails, or None. What is no such time counts for nothing."""
    began = clock.parse_any(endpoint["failing_since"])
    return began if began and began <= now else None


def postpone_if_paused(work, endpoint: dict) -> bool:
    """Whether it is paused; then what is due to it before the end waits as long. Of a large
    backlog the rest is moved by the next runs, which pass it by."""
    if not is_paused(endpoint, work.ctx.clock()):
        return False
    work.change("webhook_id = :hook AND next_attempt_at < :until", "next_attempt_at = :until",
                hook=endpoint["id"], until=endpoint["paused_until"])
    return True


def is_long_failing(endpoint: dict, now) -> bool:
    """Whether its owner has to hear of it."""
    began = failing_since(endpoint, now)
    return began is not None and now - began >= DISABLE_AFTER - WARN_BEFORE


def preview(ctx) -> None:
    """A dry run: what would be sent, and whether the guard holds endpoints that have failed for
    days, if they fail again. No name is resolved and nothing connected to."""
    from jobs_lib.engines.preview import show_due
    seen = show_due(ctx, WEBHOOKS, ("due delivery", "due deliveries"))
    known = current(ctx.db, (row["webhook_id"] for row in seen))
    if any(is_long_failing(each, ctx.now) for each in known.values()):
        guard.stops(ctx, "endpoints")


def store_result(ctx, endpoint: dict, verdict) -> dict:
    """Store what a result changes of its endpoint, which is returned as it is now: since when it
    fails, until when it is paused."""
    changed: dict = {}
    now, id = ctx.clock(), endpoint["id"]
    known = current(ctx.db, [id])[id]
    if verdict.outcome == SENT:                         # a success ends whatever failed before
        changed = {name: None for name in ("failing_since", "paused_until") if known[name]}
    # unless its owner has changed or re-enabled it meanwhile
    elif verdict.blames and all(known[name] == endpoint[name]
                                for name in ("url", "active", "failing_since")):
        began = failing_since(endpoint, now)
        # the app may have delivered something meanwhile, and not said so
        if now >= ctx.trusted and (began is None or ctx.db.row(DELIVERED, id=id, since=began)):
            changed["failing_since"] = clock.text(now)
        if verdict.wait:
            changed["paused_until"] = clock.text(now + verdict.wait)
    if changed:
        names = ", ".join(f"{name} = :{name}" for name in changed)
        ctx.db.execute(f"UPDATE {{webhooks}} SET {names} WHERE id = :id", id=id, **changed)
    return {**known, **changed}


# At the end of a run

def conclude(ctx, failed: dict) -> list:
    """Warn the owners of endpoints that have failed for days, and disable those whose time is over
    or that answered 410. `failed`: {endpoint id: its last Verdict}, of a whole run, as the guard
    counts first. The ids of those disabled."""
    if not failed or guard.stops(ctx, "endpoints"):
        return []
    disabled = []
    for id, verdict in failed.items():
        if reason := ctx.db.batch(partial(_conclude, ctx, id, verdict)):
            disabled.append(id)
            ctx.count("disabled")
            ctx.log.warning("endpoint disabled", webhook_id=id, reason=reason)
    return disabled


def _conclude(ctx, id, verdict) -> str:
    """In one transaction: warn of it or disable it. Why it was disabled, or ""."""
    now, endpoint = ctx.clock(), current(ctx.db, [id])[id]
    began = failing_since(endpoint, now)
    if not (began and endpoint["active"] and (verdict.gone or is_long_failing(endpoint, now))):
        return ""                       # it has worked, was enabled again or disabled, meanwhile
    reason = "the endpoint answered 410 Gone"
    if not verdict.gone:
        reason = f"failing since {render.minute(began)}"
        if not ctx.may_expire() or not _is_warned(ctx, endpoint, began, verdict.error):
            return ""
    if not ctx.db.execute(
            "UPDATE {webhooks} SET active = 0, disabled_at = :now, disabled_reason = :reason "
            "WHERE id = :id AND active = 1 AND failing_since = :since", id=id, now=now,
            reason=reason, since=endpoint["failing_since"]):
        return ""
    notices.audit(ctx, endpoint["user_id"], "webhook.disabled",
                  {"webhook_id": id, "reason": reason}, severity="warning")
    _notify(ctx, endpoint, "webhook_disabled", now, reason=reason, disabled_at=render.minute(now))
    return reason


def _is_warned(ctx, endpoint: dict, began, error: str) -> bool:
    """Whether its time is over, and its owner was warned of it two days ago. Warns where that was
    not done yet."""
    now, end = ctx.clock(), began + DISABLE_AFTER
    _notify(ctx, endpoint, "webhook_failing", began, reason=error, since=render.minute(began),
            end=render.minute(max(end, now + WARN_BEFORE)))
    # asked at each look: a warning that was refused goes to the next address
    key = notices.occurrence("webhook_failing", endpoint["id"], began)
    return notices.is_warned(ctx, key, notice=WARN_BEFORE, since=began,
                             limit=DISABLE_AFTER) and now >= end


def _notify(ctx, endpoint: dict, kind: str, moment, **values) -> None:
    """Queue a notice to the owner, once for this moment."""
    if user := ctx.db.row("SELECT id, email, name FROM {users} WHERE id = :id "
                          "AND status <> 'deleted'", id=endpoint["user_id"]):
        notices.notify(ctx, user, kind, notices.occurrence(kind, endpoint["id"], moment),
                       {"url": endpoint["shown"], "host": endpoint["host"], **values})
