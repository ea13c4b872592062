"""Notices to the owner of a domain: it works, it is about to stop, or it does not work."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.hostnames import shown

from .records import UNKNOWN
from .status import FAIL, FAILED, FAILING, GIVE_UP_AFTER, VERIFIED, ends

TITLES = {"ownership": "Proof of ownership", "mx": "Mail servers (MX)", "spf": "SPF",
          "dkim": "DKIM", "dmarc": "DMARC"}
KIND_OF = {VERIFIED: "domain_verified", FAILING: "domain_failing", FAILED: "domain_failed"}
LONGEST = 480                    # signs of a value that a notice can show whole
ASK = "Ask the provider of your DNS why its name servers do not answer."
ELSEWHERE = "too long for this email: copy it from the domain's page"


def queue(ctx, user: dict, row: dict, change, results: dict, now) -> None:
    """Queue the notice of an event, in the transaction that makes it. Once: its key names the
    moment."""
    kind = KIND_OF[change.event]
    notify(ctx, user, kind, f"{kind.replace('_', '-')}:{row['id']}:{now:%Y-%m-%d %H:%M:%S}",
           values(row, change, results, now, ctx.options), now)


def values(row: dict, change, results: dict, now, options) -> dict:
    """The values that the templates show."""
    after = {**row, **{name: clock.text(value) if hasattr(value, "tzinfo") else value
                       for name, value in change.values.items()}}
    # of one that has failed since nobody answered: what could not be checked
    silent = all(result["state"] != FAIL for result in results.values() if result["required"])
    state = UNKNOWN if silent and change.event == FAILED else FAIL
    wrong = [_record(name, result) for name, result in results.items()
             if result["state"] == state and result["required"]]
    advice = [_record(name, result) for name, result in results.items()
              if result["fix"] and result["state"] != UNKNOWN and not (result["state"] == FAIL
                                                                       and result["required"])]
    return {"domain": shown(row["name"]), "records": wrong, "advice": advice, "many": len(wrong)
            > 1, "was_verified": row["status"] == VERIFIED, "silent": state == UNKNOWN,
            "since": _day(after["failing_since"]), "created": _day(row["created_at"]),
            **_end(after, change, options),
            "days": GIVE_UP_AFTER.days, "checked": render.minute(now)}


def _end(after: dict, change, options) -> dict:
    """When it loses its status, if nothing changes."""
    end = ends(after, options) if change.event == FAILING else None
    return {"end": render.minute(end) if end else "", "end_day": render.day(end) if end else ""}


def _record(name: str, result: dict) -> dict:
    unknown = result["state"] == UNKNOWN
    return {"title": TITLES[name], "problem": result["problem"],
            "fix": ASK if unknown else _whole(result["fix"]),
            "type": result["type"], "place": shown(result["name"]),
            "expected": _whole(result["expected"]),
            "found": [{"text": text} for text in result["found"][:5]],
            "is_there": unknown or bool(result["found"])}


def _whole(words: str) -> str:
    """Words that go on one line of a notice; a value that would be cut would be copied so."""
    return words if len(words) <= LONGEST else ELSEWHERE


def _day(text: str | None) -> str:
    return render.day(clock.parse(text)) if text else ""
