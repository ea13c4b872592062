"""What a check of its records means for a domain: its state, the next check, and the notice.

    pending    pass: verified. fail: looked at ever more rarely for 30 days, then failed; so is one
               that has given no answer for 72 hours by then, while others do
    verified   fail: counted; a warning once it has lasted for six hours; failed after 3 failures
               over 72 hours, a day after the warning was sent. One pass, and all is forgotten
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
WARNED = "warned"
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
# A quarter of all domains is looked at in that time, so a mistake of ours shows in their number.
WARN_AFTER = timedelta(hours=6)
WARNED_FOR = DAY                             # how long before its end the owner was warned
FAILURES = 3
MOST_FAILURES = 2 ** 31 - 1                  # that the column takes

Change = namedtuple("Change", "values event", defaults=(None,))
Change.__doc__ = "Columns to set, and VERIFIED, WARNED, FAILED or None: what has just come to be."


def after(row: dict, verdict: str, now, options, warning=None, may_act: bool = True) -> Change:
    """The Change that a verdict makes to a row of `domains`.

    options   those of check_domains
    warning   what became of the warning that the row has (warnings.Warned); None: it was sent
    may_act   whether the owner may be warned, and the domain may fail
    """
    if row["status"] == VERIFIED and verdict == FAIL:
        return _failing(row, now, options, warning, may_act)
    if verdict == PASS:
        values = {"failures": 0, "failing_since": None, "next_check_at": now + RECHECK}
        if row["status"] == VERIFIED:
            return Change(values)
        return Change({**values, "status": VERIFIED, "verified_at": now}, VERIFIED)
    if row["status"] == VERIFIED:
        return Change({"next_check_at": now + AGAIN})
    return (_pending(row, verdict, now, options, may_act) if row["status"] == PENDING
            else _failed(row, verdict, now, options))


def _pending(row: dict, verdict: str, now, options, may_act: bool) -> Change:
    age = now - clock.parse(row["created_at"])
    silent_since = None if verdict == FAIL else _since(row, now)
    is_over = age >= GIVE_UP_AFTER
    if is_over and may_act and not (silent_since and now - silent_since < options.grace):
        return Change({"status": FAILED, "failing_since": None, "next_check_at": None}, FAILED)
    wait = next((wait for until, wait in PACE if age < until), DAY)
    if verdict == FAIL:
        wait = AGAIN if is_over else min(wait, GIVE_UP_AFTER - age)
    elif not is_over:
        wait = min(wait, AGAIN)
    return Change({"failing_since": silent_since, "next_check_at": now + wait})


def _failing(row: dict, now, options, warning, may_act: bool) -> Change:
    """Of one that is verified."""
    failures, since = min(max(0, row["failures"]) + 1, MOST_FAILURES), _since(row, now)
    values = {"failures": failures, "failing_since": since}
    warned = clock.parse_any(row["warned_at"])
    # of an earlier time, which was repaired; or by a clock that was wrong
    if warned and not since <= warned <= now:
        warned = None
    step = _next_step(since, warned, warning, options)
    if step and now >= step and may_act:
        if not warned:
            return Change({**values, "warned_at": now, "next_check_at": now + RECHECK}, WARNED)
        if failures >= FAILURES:
            return Change({**values, "status": FAILED, "verified_at": None,
                           "next_check_at": now + RECHECK}, FAILED)
    # what must not be done yet may be soon
    wait = AGAIN if failures == 1 or not may_act else RECHECK
    is_near = step and now < step < now + wait
    return Change({**values, "next_check_at": step if is_near else now + wait})


def _next_step(since, warned, warning, options):
    """When its owner is warned, or it loses its status, if nothing changes; None while the warning
    waits. Where that cannot be sent, everything takes twice as long."""
    if not warned:
        return since + min(WARN_AFTER, options.grace)
    if warning is None or warning.sent_at:
        return end(since, warning.sent_at if warning else warned, options)
    return None if warning.waits else end(since, warned, options, times=2)


def end(since, warned, options, times: int = 1):
    """When a domain that has failed since then, and was warned of then, loses its status."""
    return max(since + times * options.grace, warned + times * min(WARNED_FOR, options.grace))


def _since(row: dict, now):
    """Since when it fails. A time ahead was written by a clock that was wrong."""
    return min(clock.parse_any(row["failing_since"]) or now, now)


def _failed(row: dict, verdict: str, now, options) -> Change:
    # it was verified once
    since = clock.parse_any(row["failing_since"])
    if since and now - since < options.grace + GIVE_UP_AFTER:
        return Change({"next_check_at": now + RECHECK})
    # on demand: again in an hour
    asked_in_vain = verdict != FAIL and row["next_check_at"] is None
    return Change({"next_check_at": now + AGAIN if asked_in_vain else None})


def in_words(results: dict) -> str:
    """What a check found wrong, or who gave no answer. An app may have written anything there."""
    wrong = {check: result.get("problem") or "no answer lately"
             for check, result in results.items() if isinstance(result, dict)
             and (result.get("state") not in (PASS, None) or result.get("unanswered"))}
    return "; ".join(f"{check}: {one_line(why, 200)}" for check, why in wrong.items())
