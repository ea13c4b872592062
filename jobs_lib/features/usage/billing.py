"""Billing cycles: from a user's anchor day in one month to the same day in the next, in whole UTC
days.

A month that has no such day (29, 30, 31) ends the cycle on its last day, and the month after goes
back to the anchor: 31 January, 28 February, 31 March. A cycle is half-open: its `end` is the first
day of the next one.
"""
from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone

from jobs_lib.records import namedtuple

DAY = timedelta(days=1)
Cycle = namedtuple("Cycle", "start end")


def cycle(anchor: int, day: date) -> Cycle:
    """The cycle of this anchor day (1-31) that `day` is in."""
    months = day.year * 12 + day.month - 1
    if _anchored(anchor, months) > day:
        months -= 1
    return Cycle(_anchored(anchor, months), _anchored(anchor, months + 1))


def elapsed_percent(found: Cycle, now: datetime) -> int:
    """How much of the cycle has passed at an aware UTC time, in whole percent: 0-100."""
    passed = now - datetime.combine(found.start, time(), timezone.utc)
    return max(0, min(100, passed * 100 // (found.end - found.start)))


def _anchored(anchor: int, months: int) -> date:
    """The anchor day in a month, given as months since the year 0, or the month's last day."""
    first, following = (date(number // 12, number % 12 + 1, 1) for number in (months, months + 1))
    return min(first + (anchor - 1) * DAY, following - DAY)
