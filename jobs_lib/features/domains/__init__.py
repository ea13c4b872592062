"""What a check of its records means for a domain: its state, the next check, and the notice; and
which domains are due for one.

    pending    pass: verified. fail: looked at ever more rarely for 30 days, then failed; so is one
               that has given no answer for 72 hours by then, while others do
    verified   fail: looked at hourly; a warning once it has lasted for six hours; failed after 3
               failures over 72 hours, a day after the warning was sent. One pass, and all is
               forgotten
    failed     pass: verified. One that was verified before is checked daily for 30 days, others on
               demand alone

Else `unknown` changes nothing but the time of the next look.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines import due as engine
from jobs_lib.features.queues import DOMAINS
from jobs_lib.text import one_line

PASS, FAIL = "pass", "fail"  # of a record; the third is ports.outcomes.UNKNOWN
PENDING, VERIFIED, FAILED = "pending", "verified", "failed"
# an event alone: still verified, and its owner is warned
WARNED = "warned"
# behind a condition, in SQL: others are not checked
ACTIVE = (" AND EXISTS (SELECT 1 FROM {users} WHERE {users}.id = {domains}.user_id"
          " AND {users}.status = 'active')")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# of a pending one: up to this age, so often; then daily. Cron is not to the second: a quarter of
# an hour must have passed by its next tick
PACE = ((DAY, timedelta(minutes=14)), (7 * DAY, HOUR))
# a new one, or one that has lost its status, is checked for so long
GIVE_UP_AFTER = 30 * DAY
# A quarter of all domains is looked at in that time, so a mistake of ours shows in their number.
WARN_AFTER = timedelta(hours=6)
WARNED_FOR = DAY  # how long before its end the owner was warned
FAILURES = 3
MOST_FAILURES = 2 ** 31 - 1  # that the column takes

# SQL: one that failed for good has no next look
UNTIMED = ("status = 'pending' AND next_check_at IS NULL",
           "status = 'verified' AND next_check_at IS NULL",
           "next_check_at > :horizon")  # later than any look is due: a clock was wrong
ASKED_AT = "CASE WHEN recheck_requested_at <= :now THEN recheck_requested_at ELSE :now END"
ASKED = ("recheck_requested_at >= :first AND (next_check_at > :now AND next_check_at <= :horizon "
         "OR next_check_at IS NULL AND status = 'failed')")


def due(ctx) -> engine.Due:
    """What a run now would look at. `ctx` needs `db`, `now` and `options`."""
    untimed = (*zip(UNTIMED, (engine.no_time(ctx.db, DOMAINS, (0 * DAY,)), ":now", ":now")),
               (ASKED, ASKED_AT))
    times = engine.bounds(ctx.now, DOMAINS.delays(ctx.options))
    return engine.Due(ctx.db, DOMAINS, untimed, {**times, "first": clock.FIRST}, ACTIVE)


def after(row: dict, verdict: str, now, options, is_warned: bool = True,
          may_act: bool = True) -> tuple[dict, str | None]:
    """(columns to set, VERIFIED, WARNED, FAILED or None: what has come to be) by a verdict on a row
    of `domains`.

    options    those of check_domains
    is_warned  whether the owner was warned in time, if at all
    may_act    whether the owner may be warned, and the domain may fail
    """
    if verdict == PASS:
        values = {"failures": 0, "failing_since": None, "next_check_at": now + DAY}
        if row["status"] == VERIFIED:
            return values, None
        return {**values, "status": VERIFIED, "verified_at": now}, VERIFIED
    if row["status"] == PENDING:
        return _pending(row, verdict, now, options, may_act)
    if row["status"] == VERIFIED:
        if verdict == FAIL:
            return _failing(row, now, options, is_warned, may_act)
        return {"next_check_at": now + HOUR}, None
    since = clock.parse_any(row["failing_since"])  # where it was verified once
    is_watched = since and now - since < options.grace + GIVE_UP_AFTER
    return {"next_check_at": now + DAY if is_watched else None}, None


def _pending(row: dict, verdict: str, now, options, may_act: bool) -> tuple:
    age = now - clock.parse(row["created_at"])
    silent_since = None if verdict == FAIL else failing_since(row, now)
    may_answer = silent_since and now - silent_since < options.grace
    if age >= GIVE_UP_AFTER and may_act and not may_answer:
        return {"status": FAILED, "failing_since": None, "next_check_at": None}, FAILED
    wait = next((wait for until, wait in PACE if age < until), DAY)
    if silent_since:
        wait = min(wait, HOUR)
    return {"failing_since": silent_since, "next_check_at": now + wait}, None


def _failing(row: dict, now, options, is_warned: bool, may_act: bool) -> tuple:
    """Of one that is verified."""
    failures = min(max(0, row["failures"]) + 1, MOST_FAILURES)
    since = failing_since(row, now)
    values = {"failures": failures, "failing_since": since, "next_check_at": now + HOUR}
    if not may_act:
        return values, None
    if not warned_at(row, now):
        if now < since + min(WARN_AFTER, options.grace):
            return values, None
        return {**values, "warned_at": now}, WARNED
    if failures < FAILURES or now < since + options.grace or not is_warned:
        return values, None
    return {**values, "status": FAILED, "verified_at": None, "next_check_at": now + DAY}, FAILED


def warned_at(row: dict, now):
    """When the owner was warned of this failing; None where that was of an earlier one, which was
    repaired, or by a wrong clock."""
    warned = clock.parse_any(row["warned_at"])
    return warned if warned and failing_since(row, now) <= warned <= now else None


def end(since, warned, options):
    """When a domain that has failed since then, and was warned of then, loses its status."""
    return max(since + options.grace, warned + min(WARNED_FOR, options.grace))


def failing_since(row: dict, now):
    """Since when it fails. A time ahead was written by a wrong clock."""
    return min(clock.parse_any(row["failing_since"]) or now, now)


def in_words(results: dict) -> str:
    """What is wrong of what the status depends on. An app may have written anything there."""
    return "; ".join(f"{check}: {one_line(result.get('problem'), 200).rstrip('.')}"
                     for check, result in results.items() if isinstance(result, dict)
                     and result.get("required") and result.get("state") not in (PASS, None))
