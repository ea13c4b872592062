"""The endpoints: what is known of them, and what the answers of one mean for it: failing since
when, paused, disabled.

A result changes one row of `webhooks`, in the transaction that stores it. What that means for the
endpoint's other deliveries comes after it, in steps, so that no commit grows with a backlog.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines import audit
from jobs_lib.engines.attempts import SENT
from jobs_lib.engines.rows import owners_in, why_nobody_waits
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.features.queues import WEBHOOKS
from jobs_lib.ports.http.url import host_of, shown

from .deliveries import text
from .outcomes import LONGEST_WAIT

COLUMNS = ("id, user_id, url, secret, previous_secret, previous_secret_expires_at, active, "
           "failing_since, paused_until")
EARLIEST = 2001             # a year: what is said to have failed since before it has no such time
# an endpoint that has failed for so long without one success is switched off
DISABLE_AFTER = timedelta(days=5)
WARN_BEFORE = timedelta(days=2)     # how long before it is disabled its owner is warned, once


def current(db, ids) -> dict:
    """{id: the endpoint as it is now, with its `host`}; those that exist."""
    found = {db.key("webhooks", row["id"]): {**row, "host": host_of(text(row["url"]) or "")}
             for row in db.query(f"SELECT {COLUMNS} FROM {{webhooks}} WHERE id IN (:ids)",
                                 ids=list(ids))}
    # a text key may be equal in any case
    return {id: {**found[key], "id": id} for id in ids if (key := db.key("webhooks", id)) in found}


def is_paused(endpoint: dict, now) -> bool:
    """Whether nothing is sent to it for now. A time further ahead than a pause can be is from a
    clock that was wrong."""
    until = clock.parse_any(endpoint["paused_until"])
    return until is not None and now < until <= now + LONGEST_WAIT


def reasons_to_cancel(db, rows: list[dict]) -> dict:
    """{row id: why it is cancelled}: nobody waits for it any more."""
    known, reasons = current(db, {row["webhook_id"] for row in rows}), {}
    owners = owners_in(db, [*rows, *known.values()])
    for row in rows:
        endpoint = known.get(row["webhook_id"])
        if reason := why_nobody_waits(owners, row["user_id"]):
            reasons[row["id"]] = reason
        elif endpoint is None:
            reasons[row["id"]] = "the endpoint is missing"
        elif not endpoint["active"]:
            reasons[row["id"]] = "the endpoint is disabled"
    return reasons


def preview(ctx) -> None:
    """A dry run: what would be sent. No name is resolved and nothing connected to."""
    from jobs_lib.engines.preview import show_due
    show_due(ctx, WEBHOOKS, ("due delivery", "due deliveries"),
             lambda rows: reasons_to_cancel(ctx.db, rows))


def store_result(ctx, endpoint: dict, verdict) -> tuple[dict, str]:
    """(what a result changes of its endpoint, why that was disabled or ""). It may be called again
    after a deadlock, so it changes nothing but rows."""
    reason = ""
    if verdict.outcome == SENT:                         # a success ends whatever failed before
        changed = {name: None for name in ("failing_since", "paused_until") if endpoint[name]}
    elif not verdict.blames:
        return {}, ""
    else:
        known = current(ctx.db, [endpoint["id"]]).get(endpoint["id"])
        if not known or any(known[name] != endpoint[name]
                            for name in ("url", "active", "failing_since")):
            return known or {}, ""                      # its owner has changed or re-enabled it
        changed, reason = _failed(ctx, endpoint, verdict)
    if changed:
        names = ", ".join(f"{name} = :{name}" for name in changed)
        ctx.db.execute(f"UPDATE {{webhooks}} SET {names} WHERE id = :id", id=endpoint["id"],
                       **changed)
    return changed, reason


def _failed(ctx, endpoint: dict, verdict) -> tuple[dict, str]:
    """What one more failure changes: since when it fails, until when it is paused, or that it is
    disabled, and why."""
    now, began = ctx.clock(), clock.parse_any(endpoint["failing_since"])
    paused = {"paused_until": clock.text(now + verdict.wait)} if verdict.wait else {}
    if verdict.gone:
        return _disabled(ctx, endpoint, "the endpoint answered 410 Gone", now)
    if (began is None or not EARLIEST <= began.year or began > now     # that is no time
            # the app delivered something and did not say so
            or _worked_meanwhile(ctx.db, endpoint["id"], began)):
        return {"failing_since": clock.text(now), **paused}, ""
    end = began + DISABLE_AFTER
    if end <= now and ctx.may_expire():
        return _disabled(ctx, endpoint, f"every delivery has failed since {render.minute(began)}",
                         now)
    if end - WARN_BEFORE <= now < end:
        _notify(ctx, endpoint, "webhook_failing", began, reason=verdict.error or "no answer",
                since=render.minute(began), end=render.minute(end))
    return paused, ""


def _worked_meanwhile(db, id, since) -> bool:
    return db.row("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :id "
                  "AND status = 'delivered' AND"
                  " (finished_at > :since OR (finished_at IS NULL AND created_at > :since)) "
                  "LIMIT 1", id=id, since=since) is not None


def _disabled(ctx, endpoint: dict, reason: str, now) -> tuple[dict, str]:
    """What disables it, with the one notice to its owner. Nothing if it was disabled already."""
    if not endpoint["active"]:
        return {}, ""
    audit.record(ctx.db, now=now, user_id=endpoint["user_id"], event="webhook.disabled",
                 severity="warning", details={"webhook_id": endpoint["id"], "reason": reason})
    _notify(ctx, endpoint, "webhook_disabled", now, reason=reason, disabled_at=render.minute(now))
    return {"active": 0, "disabled_at": clock.text(now), "disabled_reason": reason}, reason


def _notify(ctx, endpoint: dict, kind: str, moment, **values) -> None:
    """Queue a notice to the owner, once for this moment. Of a failing endpoint only active accounts
    hear, of a disabled one suspended ones too."""
    silent = "status = 'active'" if kind == "webhook_failing" else "status <> 'deleted'"
    key = f"{kind.replace('_', '-')}:{endpoint['id']}:{clock.text(moment)}"
    user = ctx.db.row(f"SELECT id, email, name FROM {{users}} WHERE id = :id AND {silent}",
                      id=endpoint["user_id"])
    if user:
        notify(ctx, user, kind, key, {"url": shown(text(endpoint["url"]) or ""),
                                      "host": endpoint["host"], **values})
