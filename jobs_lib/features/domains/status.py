"""What a check of its records means for a domain: its state, the next check, and the notice.

    pending    pass: verified. fail: looked at ever more rarely for 30 days, then failed; so is one
               that has given no answer for 72 hours by then, while others do
    verified   fail: counted; a warning once it has lasted for an hour; failed after 3 failures over
               72 hours, when the warning has been out for a day. One pass, and all is forgotten
    failed     pass: verified. One that was verified before is checked daily for 30 days, others on
               demand alone

Else `unknown` changes nothing but the time of the next look.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database.values import one_line
from jobs_lib.records import namedtuple

PASS, FAIL = "pass", "fail"                  # of a record; the third is ports.dns.UNKNOWN
PENDING, VERIFIED, FAILED = "pending", "verified", "failed"
# an event alone: still verified, and its owner is warned
FAILING = "failing"
STATUSES = (PENDING, VERIFIED, FAILED)
# behind a condition, in SQL: others are not checked
ACTIVE = (" AND EXISTS (SELECT 1 FROM {users} WHERE {users}.id = {domains}.user_id"
          " AND {users}.status = 'active')")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# of a pending one: up to this age, so often; then daily
PACE = ((DAY, timedelta(minutes=15)), (7 * DAY, HOUR))
RECHECK = DAY                                # of a verified one
# a new one, or one that has lost its status, is checked for so long
GIVE_UP_AFTER = 30 * DAY
AGAIN = HOUR                                 # after a first failure, or no answer, at the latest
# an hour, with room for a cron that is late or early by some minutes
WARN_AFTER = timedelta(minutes=55)
WARNED_FOR = DAY                             # how long before its end the owner was warned
FAILURES = 3

Change = namedtuple("Change", "values event")
Change.__doc__ = "Columns to set, and VERIFIED, FAILING, FAILED or None: what has just come to be."


def after(row: dict, verdict: str, now, options, heard: bool = False) -> Change:
    """The Change that a verdict makes to a row of `domains`. `options` are those of check_domains.
    `heard`: whether the resolver has an answer for others."""
    if verdict == PASS and row["status"] != VERIFIED:
        return Change({"status": VERIFIED, "verified_at": now, "failures": 0, "failing_since": None,
                       "next_check_at": now + RECHECK}, VERIFIED)
    if row["status"] == PENDING:
        return _pending(row, verdict, now, heard and is_silent(row, now, options))
    return (_verified if row["status"] == VERIFIED else _failed)(row, verdict, now, options)


def is_silent(row: dict, now, options) -> bool:
    """Whether one that waits for its first good look has given no answer for long enough."""
    return bool(row["status"] == PENDING and row["failing_since"]
                and now - _since(row, now) >= options.grace
                and now - clock.parse(row["created_at"]) >= GIVE_UP_AFTER)


def _pending(row: dict, verdict: str, now, is_silent: bool) -> Change:
    created = clock.parse(row["created_at"])
    is_over = now - created >= GIVE_UP_AFTER
    if is_over and (verdict == FAIL or is_silent):
        return Change({"status": FAILED, "failing_since": None, "next_check_at": None}, FAILED)
    step = next((step for age, step in PACE if now - created < age), DAY)
    if verdict == FAIL:
        return Change({"failing_since": None,
                       "next_check_at": min(now + step, created + GIVE_UP_AFTER)}, None)
    # since when nobody answers
    return Change({"failing_since": _since(row, now),
                   "next_check_at": now + (DAY if is_over else min(step, AGAIN))}, None)


def _since(row: dict, now):
    """Since when it fails. A time ahead was written by a clock that was wrong."""
    return min(clock.parse(row["failing_since"]), now) if row["failing_since"] else now


def _verified(row: dict, verdict: str, now, options) -> Change:
    if verdict == PASS:
        return Change({"failures": 0, "failing_since": None, "next_check_at": now
                       + RECHECK}, None)
    if verdict != FAIL:
        return Change({"next_check_at": now + AGAIN}, None)
    failures, since = row["failures"] + 1, _since(row, now)
    warned = clock.parse(row["warned_at"]) if row["warned_at"] else None
    # of an earlier time, which was repaired; or by a clock that was wrong
    if warned is not None and not since <= warned <= now:
        warned = None
    end = max(since + options.grace, warned + min(WARNED_FOR, options.grace)) if warned else None
    if failures >= FAILURES and end and now >= end:
        return Change({"status": FAILED, "verified_at": None, "failures": failures,
                       "failing_since": since, "next_check_at": now + RECHECK}, FAILED)
    next_look = now + (AGAIN if failures == 1 else RECHECK)
    values = {"failures": failures, "failing_since": since,
              "next_check_at": min(next_look, end) if end and end > now else next_look}
    if warned is None and now >= since + min(WARN_AFTER, options.grace):
        return Change({**values, "warned_at": now}, FAILING)
    return Change(values, None)


def _failed(row: dict, verdict: str, now, options) -> Change:
    # it was verified once
    since = clock.parse(row["failing_since"]) if row["failing_since"] else None
    if since is not None and now - since < options.grace + GIVE_UP_AFTER:
        return Change({"next_check_at": now + RECHECK}, None)
    # on demand: again in an hour
    asked_in_vain = verdict != FAIL and row["next_check_at"] is None
    return Change({"next_check_at": now + AGAIN if asked_in_vain else None}, None)


def ends(row: dict, options):
    """When a domain that fails will lose its status, if nothing changes: for the warning."""
    return max(clock.parse(row["failing_since"]) + options.grace,
               clock.parse(row["warned_at"]) + min(WARNED_FOR, options.grace))


def in_words(results: dict) -> str:
    """What a check found wrong, or who gave no answer."""
    parts = []
    for check, result in results.items():
        if isinstance(result, dict) and result.get("state") not in (PASS, None):
            why = result.get("problem") or result.get("reason") or result["state"]
            parts.append(f"{check}: {one_line(why, 200)}")
        elif isinstance(result, dict) and result.get("unanswered"):
            parts.append(f"{check}: no answer lately")
    return "; ".join(parts)
