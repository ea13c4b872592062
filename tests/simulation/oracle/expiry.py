"""What ends after a notice: held mail, aliases, destinations that nobody verified
(docs/retention.md, docs/notices.md)."""
from __future__ import annotations

import json
from collections import Counter

from . import DAY, HOUR, Rule, seconds
from .retention import KEEP, LATE

TO_ACT = 24 * HOUR              # between a warning that was sent and what it warns of
HELD = KEEP["overflow_hold"] * DAY
WARN_HELD = DAY                 # before held mail is deleted
WARN_ALIAS = 3 * DAY
REMIND, WARN_REMOVAL, REMOVE = 3 * DAY, 3 * DAY, 30 * DAY
HOURLY = 4 * HOUR               # a job that runs each hour, its tick, and an hour of doubt


def _can_be_told(step, row: dict, statuses=("active",)) -> bool:
    return step.status(row) in statuses and "@" in step.after["users"][row["user_id"]]["email"]


def _is_void(step, notice) -> bool:
    """Whether there is no such warning, or it was cancelled: another has to be written."""
    row = step.before["notifications"].get(notice) or step.after["notifications"].get(notice)
    return row is None or str(row["last_error"]).startswith("cancelled: ")


def _end(step, row: dict, notice, free, since: float, keep: float, least: float) -> float:
    """When it goes; at twice its time where all refused the warning or the owner is suspended."""
    known = [each[table].get(id, {}).get("status") for each in (step.before, step.after)
             for table, id in (("notifications", notice), ("users", row["user_id"]))]
    goes = "suspended" in known or ("failed" in known and not _is_void(step, notice))
    return max(since + keep, free(notice, since + 2 * keep if goes else float("inf"), least))


def _audited(step, event: str, name: str) -> Counter:
    """What the audit rows of this tick name."""
    return Counter(json.loads(row["details"])[name] for row in step.new("audit_logs").values()
                   if row["event"] == event and row["details"])


class HeldMail(Rule):
    """Held mail goes after 30 days, and never before its warning was sent 24 hours earlier; what
    was released, 7 days later."""

    def check(self, step):
        ages = step.ages
        for id, row in step.gone("overflow_hold").items():
            if not step.is_leaving(row):
                yield from ages.too_soon(f"held {id} was deleted",
                                         self._limit(step, row, ages.earliest))
        for was, row in step.changed("overflow_hold"):
            if was["warned_at"] == row["warned_at"]:
                continue
            if not _is_void(step, was["warning_id"]) or row["released_at"] is not None:
                yield f"held {row['id']} was warned of twice, or though it is released"
            if ages.now < seconds(row["held_at"]) + HELD - WARN_HELD:
                yield f"held {row['id']} was warned of too early"
        for id, row in step.after["overflow_hold"].items():
            if step.is_leaving(row):
                continue
            end = self._limit(step, row, ages.latest)
            warn = max(seconds(row["held_at"]) + HELD - WARN_HELD, ages.active_since(row))
            if step.is_owed(end, HOURLY):
                yield f"held {id} is there {(step.ended - end) / HOUR:.1f} h after its time"
            elif (row["released_at"] is None and _is_void(step, row["warning_id"])
                    and step.is_owed(warn, DAY + HOURLY) and _can_be_told(
                        step, row, ("active", "suspended")[:1 + (row["warned_at"] is None)])):
                yield f"held {id} is due in a day and nobody is warned of it"

    @staticmethod
    def _limit(step, row, free) -> float:
        if row["released_at"] is not None:
            return seconds(row["released_at"]) + KEEP["released"] * DAY
        return _end(step, row, row["warning_id"], free, seconds(row["held_at"]), HELD, TO_ACT)


class AliasEnds(Rule):
    """An alias is switched off after its end, with an audit row; and announced 3 days before."""

    def __init__(self) -> None:
        self._given: dict[tuple, float] = {}    # (alias, end): when it got that end

    def check(self, step):
        ages = step.ages
        audited = _audited(step, "alias.expired", "alias_id")
        for was, row in step.changed("aliases"):
            id, end = row["id"], seconds(row["expires_at"])
            if step.is_leaving(row):
                continue
            if was["active"] and not row["active"]:
                yield from ages.too_soon(f"alias {id} was switched off",
                                         float("inf") if end is None else end)
                if audited[id] != 1:
                    yield f"alias {id} was switched off with {audited[id]} audit rows"
            elif row["active"] and not was["active"]:
                yield f"alias {id} was switched on"
            if was["expiry_notified_at"] != row["expiry_notified_at"] and (
                    ages.now < end - WARN_ALIAS):
                yield f"alias {id} was announced too early"
        leaving = {id for id, row in step.after["aliases"].items() if step.is_leaving(row)}
        for id, row in step.after["aliases"].items():
            if not row["active"] or row["expires_at"] is None or id in leaving:
                continue
            end, told = seconds(row["expires_at"]), seconds(row["expiry_notified_at"])
            active = ages.active_since(row)
            if step.is_owed(max(end, active), HOURLY):
                yield f"alias {id} is active {(step.ended - end) / HOUR:.1f} h after its end"
            since = max(end - WARN_ALIAS, active, self._given.setdefault((id, end), step.began))
            if (end > step.ended and step.is_owed(since, HOURLY + DAY) and _can_be_told(step, row)
                    and (told is None or told < end - WARN_ALIAS)):
                yield f"alias {id} ends in {(end - step.ended) / DAY:.1f} days, unannounced"


class Destinations(Rule):
    """A destination goes only if it was never verified, is 30 days old, is used by nothing, and its
    owner was notified 3 days before; with its tokens, and an audit row."""

    def __init__(self) -> None:
        self._free: dict[int, float] = {}       # since when it is seen to be unused

    def check(self, step):
        ages, deleted = step.ages, step.gone("destinations")
        audited = _audited(step, "destination.removed", "destination_id")
        for id, row in deleted.items():
            if step.is_leaving(row):
                continue
            if row["verified_at"] is not None or self._is_used(step, id):
                yield f"destination {id} was removed, and it is verified or used"
            yield from ages.too_soon(f"destination {id} was removed",
                                     self._limit(step, row, ages.earliest) - 1)
            if audited[id] != 1:
                yield f"destination {id} was removed with {audited[id]} audit rows"
        for id, row in step.gone("destination_verifications").items():
            owner = step.before["destinations"].get(row["destination_id"])
            if (row["destination_id"] not in deleted and owner and not step.is_leaving(owner)
                    and ages.now <= seconds(row["expires_at"])):
                yield f"token {id} was deleted before its end"
        for id, row in step.after["destination_verifications"].items():
            if step.is_owed(seconds(row["expires_at"]), LATE):
                yield f"token {id} is there after its end"
        for row in step.after["destinations"].values():
            if row["verified_at"] is None and _can_be_told(step, row):
                yield from self._owed(step, row)

    def _owed(self, step, row):
        id, made, active = row["id"], seconds(row["created_at"]), step.ages.active_since(row)
        if (row["reminded_at"] is None and row["removal_notified_at"] is None
                and step.is_owed(max(active, made + REMIND), LATE)):
            yield f"destination {id} is not verified, and its owner was not reminded"
        if self._is_used(step, id):
            self._free.pop(id, None)
            return
        since = max(active, self._free.setdefault(id, step.ended))
        if _is_void(step, self._notice(step, row)):
            if step.is_owed(max(since, made + REMOVE - WARN_REMOVAL), LATE):
                yield f"destination {id} is old, and its removal is not announced"
        elif step.is_owed(max(since, self._limit(step, row, step.ages.latest)), LATE):
            yield f"destination {id} should have been removed"

    @staticmethod
    def _limit(step, row, free) -> float:
        return _end(step, row, Destinations._notice(step, row), free, seconds(row["created_at"]),
                    REMOVE, WARN_REMOVAL)

    @staticmethod
    def _notice(step, row):
        known = "destination_removal", row["user_id"], row["removal_notified_at"]
        return next((each["id"] for each in step.after["notifications"].values() if known == (
            each["kind"], each["user_id"], each["created_at"])), None)

    @staticmethod
    def _is_used(step, id: int) -> bool:
        return any(row["destination_id"] == id
                   for row in step.before["alias_destinations"].values()) or any(
            row["destination_id"] == id and row["status"] in ("pending", "sending")
            for row in step.after["failed_emails"].values())


RULES = (HeldMail, AliasEnds, Destinations)
