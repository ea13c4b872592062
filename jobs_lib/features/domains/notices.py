"""Notices to the owner of a domain: it works, it is about to stop, or it does not work."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.features.notifications import render, warnings
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.hostnames import shown
from jobs_lib.ports.dns import UNKNOWN

from . import status
from .problems import TITLES
from .status import FAIL, FAILED, VERIFIED, WARNED

KIND_OF = {VERIFIED: "domain_verified", WARNED: "domain_failing", FAILED: "domain_failed"}


def queue(ctx, row: dict, event: str, since, results: dict) -> None:
    """Queue the notice of an event, in the transaction that makes it. since: when it began to
    fail, or None."""
    user = ctx.db.row("SELECT id, email, name FROM {users} WHERE id = :id", id=row["user_id"])
    notify(ctx, user, KIND_OF[event], _key(event, row["id"], ctx.now),
           _values(ctx, row, event, since, results), ctx.now)


def is_warned(ctx, row: dict) -> bool:
    """Whether the owner was warned in time that this domain fails."""
    warned, grace = status.warned_at(row, ctx.now), ctx.options.grace
    return bool(warned) and warnings.is_warned(
        ctx, _key(WARNED, row["id"], warned), notice=min(status.WARNED_FOR, grace),
        since=status.failing_since(row, ctx.now), limit=grace)


def _key(event: str, id, moment) -> str:
    """Names the occurrence by its moment."""
    return f"{KIND_OF[event].replace('_', '-')}:{id}:{clock.text(moment)}"


def _values(ctx, row: dict, event: str, since, results: dict) -> dict:
    """The values that the templates show."""
    ends = status.end(since, ctx.now, ctx.options) if event == WARNED else None

    def of(state: str, is_required: bool = True) -> list[dict]:
        return [_record(name, result) for name, result in results.items()
                if result["state"] == state and result["required"] is is_required]

    # of one that has failed since nobody answered: what could not be checked
    wrong = of(FAIL) or of(UNKNOWN)
    return {
        "domain": shown(row["name"]),
        "records": wrong,
        "advice": of(FAIL, False),
        "many": len(wrong) > 1,
        "silent": not of(FAIL),
        "was_verified": row["status"] == VERIFIED,
        "days": status.GIVE_UP_AFTER.days,
        "since": render.day(since) if since else "",
        "created": render.day(clock.parse(row["created_at"])),
        "end": render.minute(ends) if ends else "",
        "end_day": render.day(ends) if ends else ""}


def _record(name: str, result: dict) -> dict:
    return {"title": TITLES[name], "problem": result["problem"], "fix": result["fix"],
            "type": result["type"], "place": shown(result["name"]), "expected": result["expected"],
            "found": [{"text": text} for text in result["found"]],
            "is_there": result["state"] == UNKNOWN or bool(result["found"])}
