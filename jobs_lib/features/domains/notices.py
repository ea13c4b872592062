"""Notices to the owner of a domain: it works, it is about to stop, or it does not work."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.features.notifications import render, warnings
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.hostnames import shown
from jobs_lib.ports.dns import UNKNOWN

from .problems import TITLES
from .status import FAIL, FAILED, FAILING, GIVE_UP_AFTER, VERIFIED, end

KIND_OF = {VERIFIED: "domain_verified", FAILING: "domain_failing", FAILED: "domain_failed"}
LONGEST = 480                    # characters of a value that a notice can show whole
ASK = "Ask the provider of your DNS why its name servers do not answer."
ELSEWHERE = "too long for this email: copy it from the domain's page"


def queue(ctx, user: dict, row: dict, change, results: dict) -> None:
    """Queue the notice of an event, in the transaction that makes it."""
    notify(ctx, user, KIND_OF[change.event], _key(change.event, row["id"], ctx.now),
           _values(row, change, results, ctx), ctx.now)


def warning(ctx, row: dict):
    """Whether the latest warning of this domain was sent (warnings.Warned); None without one."""
    warned = clock.parse_any(row["warned_at"])
    return warnings.follow_up(ctx, _key(FAILING, row["id"], warned)) if warned else None


def _key(event: str, id, moment) -> str:
    """Names the occurrence by its moment."""
    return f"{KIND_OF[event].replace('_', '-')}:{id}:{clock.text(moment)}"


def _values(row: dict, change, results: dict, ctx) -> dict:
    """The values that the templates show."""
    since = change.values.get("failing_since")
    ends = end(since, ctx.now, ctx.options) if change.event == FAILING else None
    # of one that has failed since nobody answered: what could not be checked
    silent = change.event == FAILED and all(result["state"] != FAIL for result in results.values()
                                            if result["required"])
    state = UNKNOWN if silent else FAIL
    wrong = [_record(name, result) for name, result in results.items()
             if result["state"] == state and result["required"]]
    advice = [_record(name, result) for name, result in results.items()
              if result["fix"] and result["state"] != UNKNOWN
              and not (result["state"] == FAIL and result["required"])]
    return {"domain": shown(row["name"]), "records": wrong, "advice": advice,
            "many": len(wrong) > 1, "was_verified": row["status"] == VERIFIED, "silent": silent,
            "since": render.day(since) if since else "",
            "created": render.day(clock.parse(row["created_at"])),
            "end": render.minute(ends) if ends else "", "end_day": render.day(ends) if ends else "",
            "days": GIVE_UP_AFTER.days, "checked": render.minute(ctx.now)}


def _record(name: str, result: dict) -> dict:
    unknown = result["state"] == UNKNOWN
    return {"title": TITLES[name], "problem": result["problem"],
            "fix": ASK if unknown else _whole(result["fix"]),
            "type": result["type"], "place": shown(result["name"]),
            "expected": _whole(result["expected"]),
            "found": [{"text": text} for text in result["found"][:5]],
            "is_there": unknown or bool(result["found"])}


def _whole(text: str) -> str:
    """Text that fits on one line of a notice; a value that would be cut would be copied so."""
    return text if len(text) <= LONGEST else ELSEWHERE
