"""What ends after a notice: held mail, aliases, destinations that nobody verified
(docs/retention.md, BJ-04, BJ-12, BJ-14)."""
from __future__ import annotations

import json

from . import DAY, HOUR, Rule, changed, gone, new, seconds
from .ages import Aged, Notices, is_leaving, is_owed
from .retention import KEEP, LATE

TO_ACT = 24 * HOUR              # between a warning that was sent and what it warns of
WARN_HELD = DAY                 # before held mail is deleted
WARN_ALIAS = 3 * DAY
REMIND, WARN_REMOVAL, REMOVE = 3 * DAY, 3 * DAY, 30 * DAY
NEWS = 7 * DAY                  # an end that is older is no news
HOURLY = 4 * HOUR               # a job that runs each hour, its tick, and an hour of doubt


def _can_be_told(step, user: int, statuses=("active",)) -> bool:
    owner = step.after["users"].get(user)
    return bool(owner and owner["status"] in statuses and "@" in owner["email"])


def _audited(step, event: str, name: str) -> list:
    """What the audit rows of this tick name."""
    return [json.loads(row["details"])[name] for row in new(step, "audit_logs").values()
            if row["event"] == event and row["details"]]


class HeldMail(Aged):
    """Held mail goes after 30 days, and never before its warning was sent 24 hours earlier; what
    was released, 7 days later."""

    def __init__(self) -> None:
        super().__init__()
        self.notices = Notices()

    def check(self, step):
        """What has gone, what was warned of, and what should have been."""
        self.look(step)
        for id, row in gone(step, "overflow_hold").items():
            if is_leaving(step, row):
                continue
            end = self._limit(row, self.notices.earliest)
            if end is None:
                yield f"held {id} was deleted, and its owner was not warned"
            else:
                yield from self.too_soon(f"held {id} was deleted", end)
        # what is sent in the tick that deletes has not been out for a day
        self.notices.look(step)
        for was, row in changed(step, "overflow_hold"):
            if was["warned_at"] != row["warned_at"]:
                yield from self._warned(step, was, row)
        for id, row in step.after["overflow_hold"].items():
            if is_leaving(step, row):
                continue
            warn = seconds(row["held_at"]) + KEEP["overflow_hold"] * DAY - WARN_HELD
            end = self._limit(row, self.notices.latest)
            if end is not None and is_owed(step, end, HOURLY):
                yield f"held {id} is there {(step.ended - end) / HOUR:.1f} h after its time"
            elif (end is None
                    and is_owed(step, max(warn, self.active_since(row["user_id"])), DAY + HOURLY)
                    and _can_be_told(step, row["user_id"], ("active", "suspended"))):
                yield f"held {id} is due in a day and nobody is warned of it"

    @staticmethod
    def _limit(row, free) -> float | None:
        if row["released_at"] is not None:
            return seconds(row["released_at"]) + KEEP["released"] * DAY
        if row["warned_at"] is None:
            return None
        held, keep = seconds(row["held_at"]), KEEP["overflow_hold"] * DAY
        return max(held + keep, free(row["warning_id"], held + 2 * keep, TO_ACT))

    def _warned(self, step, was, row):
        id = row["id"]
        if was["warned_at"] is not None:
            yield f"held {id} was warned of twice"
        if row["released_at"] is not None:
            yield f"held {id} was warned of though it is released"
        if self.now < seconds(row["held_at"]) + KEEP["overflow_hold"] * DAY - WARN_HELD:
            yield f"held {id} was warned of too early"
        notice = step.after["notifications"].get(row["warning_id"])
        if notice and (notice["user_id"] != row["user_id"] or notice["kind"] != "overflow_warning"):
            yield f"held {id} names notice {notice['id']}, which is no warning of its owner"
        elif notice and notice["body_text"] and row["subject"] not in notice["body_text"].replace(
                "[.]", "."):                # no mail program makes a link of it
            yield f"held {id} is not listed in its warning {notice['id']}"


class AliasEnds(Aged):
    """An alias is switched off after its end, with an audit row and a notice; and announced 3 days
    before."""

    def __init__(self) -> None:
        super().__init__()
        self._given: dict[tuple, float] = {}    # (alias, end): when it got that end
        self._ended: set[tuple] = set()

    def check(self, step):
        """Changes, then what should have changed."""
        self.look(step)
        audited = _audited(step, "alias.expired", "alias_id")
        expired = []
        for was, row in changed(step, "aliases"):
            if is_leaving(step, row):
                continue
            if was["active"] and not row["active"]:
                expired.append(row)
                end = seconds(row["expires_at"])
                yield from self.too_soon(f"alias {row['id']} was switched off",
                                         float("inf") if end is None else end)
                if (number := audited.count(row["id"])) != 1:
                    yield f"alias {row['id']} was switched off with {number} audit rows"
            elif row["active"] and not was["active"]:
                yield f"alias {row['id']} was switched on"
            if (was["expiry_notified_at"] != row["expiry_notified_at"]
                    and self.now < seconds(row["expires_at"]) - WARN_ALIAS):
                yield f"alias {row['id']} was announced too early"
        leaving = {id for id, row in step.after["aliases"].items() if is_leaving(step, row)}
        if extra := set(audited) - {row["id"] for row in expired} - leaving:
            yield f"aliases {sorted(extra)} have an audit row and were not switched off"
        ends = {row["id"]: row["expires_at"] for row in expired}
        yield from _told(step, "alias_expired", [
            row for row in expired if seconds(row["expires_at"]) > self.now - NEWS + DAY
            # that of an account that was restored has ended before
            and (row["id"], row["expires_at"]) not in self._ended])
        self._ended |= ends.items()
        for id, row in step.after["aliases"].items():
            if not row["active"] or row["expires_at"] is None or is_leaving(step, row):
                continue
            end, told = seconds(row["expires_at"]), seconds(row["expiry_notified_at"])
            if is_owed(step, max(end, self.active_since(row["user_id"])), HOURLY):
                yield f"alias {id} is active {(step.ended - end) / HOUR:.1f} h after its end"
            since = max(end - WARN_ALIAS, self.active_since(row["user_id"]),
                        self._given.setdefault((id, end), step.began))
            if (end > step.ended and is_owed(step, since, HOURLY + DAY)
                    and _can_be_told(step, row["user_id"])
                    and (told is None or told < end - WARN_ALIAS)):
                yield f"alias {id} ends in {(end - step.ended) / DAY:.1f} days, unannounced"


def _told(step, kind: str, rows: list):
    """Whether each owner has a new notice that lists these rows, as far as it can still be read."""
    notices = [row for row in new(step, "notifications").values() if row["kind"] == kind]
    for row in rows:
        if not _can_be_told(step, row["user_id"]):
            continue
        own = [notice for notice in notices if notice["user_id"] == row["user_id"]]
        if not any(notice["body_text"] is None or row["address"] in notice["body_text"]
                   for notice in own):
            yield f"{kind}: {row['address']} is in no notice"


class Destinations(Aged):
    """A destination goes only if it was never verified, is 30 days old, is used by nothing, and its
    owner was notified 3 days before; with its tokens, and an audit row."""

    def __init__(self) -> None:
        super().__init__()
        self.notices = Notices()
        self._free: dict[int, float] = {}       # since when it is seen to be unused

    def check(self, step):
        """What has gone, then what should have."""
        self.look(step)
        audited = _audited(step, "destination.removed", "destination_id")
        deleted = gone(step, "destinations")
        for id, row in deleted.items():
            if is_leaving(step, row):
                continue
            if row["verified_at"] is not None:
                yield f"destination {id} was removed, and it is verified"
            elif self._is_used(step, id):
                yield f"destination {id} was removed, and it is used"
            elif row["removal_notified_at"] is None:
                yield f"destination {id} was removed, and its owner was not notified"
            elif self.now < (end := self._limit(step, row, self.notices.earliest)):
                yield f"destination {id} was removed {end - self.now:.0f} s early"
            elif self.in_doubt:
                yield f"destination {id} was removed while the clock was in doubt"
            if audited.count(id) != 1:
                yield f"destination {id} was removed with {audited.count(id)} audit rows"
        self.notices.look(step)
        for id, row in gone(step, "destination_verifications").items():
            owner = step.before["destinations"].get(row["destination_id"])
            if (row["destination_id"] not in deleted and owner and not is_leaving(step, owner)
                    and not self.is_over(seconds(row["expires_at"]))):
                yield f"token {id} was deleted before its end"
        for id, row in step.after["destination_verifications"].items():
            if is_owed(step, seconds(row["expires_at"]), LATE):
                yield f"token {id} is there after its end"
            if row["destination_id"] in deleted:
                yield f"token {id} is left of a destination that was removed"
        for row in step.after["destinations"].values():
            yield from self._owed(step, row)

    def _owed(self, step, row):
        if row["verified_at"] is not None or not _can_be_told(step, row["user_id"]):
            return
        id, made = row["id"], seconds(row["created_at"])
        active = self.active_since(row["user_id"])
        if (row["reminded_at"] is None and row["removal_notified_at"] is None
                and is_owed(step, max(active, made + REMIND), LATE)):
            yield f"destination {id} is not verified, and its owner was not reminded"
        if self._is_used(step, id):
            self._free.pop(id, None)
            return
        since = max(active, self._free.setdefault(id, step.ended))
        if row["removal_notified_at"] is None:
            if is_owed(step, max(since, made + REMOVE - WARN_REMOVAL), LATE):
                yield f"destination {id} is old, and its removal is not announced"
        elif is_owed(step, max(since, self._limit(step, row, self.notices.latest)), LATE):
            yield f"destination {id} should have been removed"

    @staticmethod
    def _limit(step, row, free) -> float:
        made = seconds(row["created_at"])
        notice = next((each["id"] for each in step.after["notifications"].values()
                       if each["kind"] == "destination_removal"
                       and each["user_id"] == row["user_id"]
                       and each["created_at"] == row["removal_notified_at"]), None)
        return max(made + REMOVE, free(notice, made + 2 * REMOVE, WARN_REMOVAL))

    def _is_used(self, step, id: int) -> bool:
        return (any(row["destination_id"] == id
                    for row in step.before["alias_destinations"].values())
                or any(row["destination_id"] == id and row["status"] in ("pending", "sending")
                       for row in step.after["failed_emails"].values()))


class NoticeOnce(Rule):
    """No owner is notified of one occurrence twice."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def check(self, step):
        """By what names the occurrence."""
        for id, row in new(step, "notifications").items():
            key = row["dedupe_key"]
            # a key may name a day, which a clock that is behind says again
            if key is not None and key in self._keys and not step.skew:
                yield f"notice {id} repeats {key}"
            self._keys.add(key)


RULES = (HeldMail, AliasEnds, Destinations, NoticeOnce)
