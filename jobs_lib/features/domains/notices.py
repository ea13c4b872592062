"""Notices to the owner of a domain: it works, it is about to stop, or it does not work."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.features.notifications import render, warnings
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.hostnames import shown
from jobs_lib.ports.dns import UNKNOWN

from .problems import TITLES
from .status import FAIL, FAILED, GIVE_UP_AFTER, VERIFIED, WARNED, end

KIND_OF = {VERIFIED: "domain_verified", WARNED: "domain_failing", FAILED: "domain_failed"}
MOST_FOUND = 5                   # records that a notice shows of what is there


def queue(ctx, user: dict, row: dict, change, results: dict) -> None:
    """Queue the notice of an event, in the transaction that makes it."""
    notify(ctx, user, KIND_OF[change.event], _key(change.event, row["id"], ctx.now),
           _values(ctx, row, change, results), ctx.now)


def warning(ctx, row: dict):
    """What became of the latest warning of this domain (warnings.Warned); None without one."""
    warned = clock.parse_any(row["warned_at"])
    return warnings.follow_up(ctx, _key(WARNED, row["id"], warned)) if warned else None


def _key(event: str, id, moment) -> str:
    """Names the occurrence by its moment."""
    return f"{KIND_OF[event].replace('_', '-')}:{id}:{clock.text(moment)}"


def _values(ctx, row: dict, change, results: dict) -> dict:
    """The values that the templates show."""
    since = change.values.get("failing_since")
    ends = end(since, ctx.now, ctx.options) if change.event == WARNED else None
    by_state: dict = {FAIL: [], UNKNOWN: []}
    advice = []
    for name, result in results.items():
        if result["required"] and result["state"] in by_state:
            by_state[result["state"]].append(_record(name, result))
        elif result["fix"] and result["state"] != UNKNOWN:
            advice.append(_record(name, result))
    # of one that has failed since nobody answered: what could not be checked
    wrong = by_state[FAIL] or by_state[UNKNOWN]
    return {"domain": shown(row["name"]), "records": wrong, "advice": advice,
            "many": len(wrong) > 1, "silent": not by_state[FAIL],
            "was_verified": row["status"] == VERIFIED, "days": GIVE_UP_AFTER.days,
            "since": render.day(since) if since else "",
            "created": render.day(clock.parse(row["created_at"])),
            "end": render.minute(ends) if ends else "", "end_day": render.day(ends) if ends else ""}


def _record(name: str, result: dict) -> dict:
    return {"title": TITLES[name], "problem": result["problem"], "fix": result["fix"],
            "type": result["type"], "place": shown(result["name"]), "expected": result["expected"],
            "found": [{"text": text} for text in result["found"][:MOST_FOUND]],
            "is_there": result["state"] == UNKNOWN or bool(result["found"])}
