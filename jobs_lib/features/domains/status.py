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
# A quarter of all domains is looked at in that time, so a mistake of ours shows in their number.
WARN_AFTER = timedelta(hours=6)
WARNED_FOR = DAY                             # how long before its end the owner was warned
FAILURES = 3
MOST_FAILURES = 2 ** 31 - 1                  # that the column takes

Change = namedtuple("Change", "values event")
Change.__doc__ = "Columns to set, and VERIFIED, FAILING, FAILED or None: what has just come to be."
Known = namedtuple("Known", "warning is_heard may_act", defaults=(None, False, True))
Known.__doc__ = """What a run knows besides a domain's row.

warning   whether the warning of its failure was sent: `sent_at` and `waits` (warnings.Warned)
is_heard  whether the resolver has an answer for others
may_act   whether a domain that fails may be warned of, lose its status, or be given up
"""


def after(row: dict, verdict: str, now, options, known: Known) -> Change:
    """The Change that a verdict makes to a row of `domains`. `options` are those of
    check_domains."""
    if verdict == PASS and row["status"] != VERIFIED:
        return Change({"status": VERIFIED, "verified_at": now, "failures": 0, "failing_since": None,
                       "next_check_at": now + RECHECK}, VERIFIED)
    judge = {PENDING: _pending, VERIFIED: _verified, FAILED: _failed}[row["status"]]
    return judge(row, verdict, now, options, known)


def may_end(row: dict, now, options) -> bool:
    """Whether a failure now may lead to a warning, or to the status `failed`."""
    if row["status"] == VERIFIED:
        return now - _since(row, now) >= min(WARN_AFTER, options.grace)
    return row["status"] == PENDING and _is_over(row, now)


def is_silent(row: dict, now, options) -> bool:
    """Whether one that waits for its first good look has given no answer for long enough."""
    return bool(row["status"] == PENDING and row["failing_since"] and _is_over(row, now)
                and now - _since(row, now) >= options.grace)


def _is_over(row: dict, now) -> bool:
    return now - clock.parse(row["created_at"]) >= GIVE_UP_AFTER


def _since(row: dict, now):
    """Since when it fails. A time ahead was written by a clock that was wrong."""
    return min(clock.parse(row["failing_since"]), now) if row["failing_since"] else now


def _pending(row: dict, verdict: str, now, options, known: Known) -> Change:
    created = clock.parse(row["created_at"])
    is_ended = verdict == FAIL or (known.is_heard and is_silent(row, now, options))
    if _is_over(row, now) and is_ended and known.may_act:
        return Change({"status": FAILED, "failing_since": None, "next_check_at": None}, FAILED)
    step = next((step for age, step in PACE if now - created < age), DAY)
    if verdict == FAIL:
        end = created + GIVE_UP_AFTER
        return Change({"failing_since": None,
                       "next_check_at": min(now + step, end) if end > now else now + AGAIN}, None)
    # since when nobody answers
    return Change({"failing_since": _since(row, now), "next_check_at":
                   now + (DAY if _is_over(row, now) else min(step, AGAIN))}, None)


def _verified(row: dict, verdict: str, now, options, known: Known) -> Change:
    if verdict == PASS:
        return Change({"failures": 0, "failing_since": None, "next_check_at": now + RECHECK}, None)
    if verdict != FAIL:
        return Change({"next_check_at": now + AGAIN}, None)
    failures, since = min(max(0, row["failures"]) + 1, MOST_FAILURES), _since(row, now)
    values = {"failures": failures, "failing_since": since}
    warned = clock.parse(row["warned_at"]) if row["warned_at"] else None
    # of an earlier time, which was repaired; or by a clock that was wrong
    if warned is not None and not since <= warned <= now:
        warned = None
    next_step = since + min(WARN_AFTER, options.grace)
    if warned:
        next_step = _end_behind(since, warned, known.warning, options)
    if next_step and now >= next_step and known.may_act:
        if not warned:
            return Change({**values, "warned_at": now, "next_check_at": now + RECHECK}, FAILING)
        if failures >= FAILURES:
            return Change({**values, "status": FAILED, "verified_at": None,
                           "next_check_at": now + RECHECK}, FAILED)
    # what must not be done yet may be soon
    wait = AGAIN if failures == 1 or not known.may_act else RECHECK
    is_near = next_step and now < next_step < now + wait
    return Change({**values, "next_check_at": next_step if is_near else now + wait}, None)


def _end_behind(since, warned, warning, options):
    """When it loses its status, if nothing changes; None while its warning waits. Where that cannot
    be sent, everything takes twice as long."""
    if warning.sent_at:
        return end(since, warning.sent_at, options)
    return None if warning.waits else end(since, warned, options, times=2)


def end(since, warned, options, times: int = 1):
    """When a domain that has failed since then, and was warned of then, loses its status."""
    return max(since + times * options.grace, warned + times * min(WARNED_FOR, options.grace))


def _failed(row: dict, verdict: str, now, options, _known: Known) -> Change:
    # it was verified once
    since = clock.parse(row["failing_since"]) if row["failing_since"] else None
    if since is not None and now - since < options.grace + GIVE_UP_AFTER:
        return Change({"next_check_at": now + RECHECK}, None)
    # on demand: again in an hour
    asked_in_vain = verdict != FAIL and row["next_check_at"] is None
    return Change({"next_check_at": now + AGAIN if asked_in_vain else None}, None)


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
