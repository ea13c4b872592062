"""A billing cycle begins on its anchor day, or on the last day of a month that has no such day."""
from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from tests.support.product import Cycle, cycle, elapsed_percent

DAY = timedelta(days=1)


@pytest.mark.parametrize("anchor", range(1, 32))
def test_it_agrees_with_a_calendar_that_is_walked_day_by_day(anchor):
    walk = [date(2023, 11, 1) + number * DAY for number in range(366 * 9)]
    firsts = [day for day in walk
              if day.day == anchor or ((day + DAY).month != day.month and day.day < anchor)]
    for start, end in zip(firsts, firsts[1:]):
        day = start
        while day < end:
            assert cycle(anchor, day) == (start, end)
            day += DAY


@pytest.mark.parametrize(("day", "second", "percent"), [
    (1, 0, 0), (15, 86_399, 49), (16, 0, 50), (30, 86_399, 99), (31, 0, 100), (32, 0, 100)])
def test_how_much_of_it_has_gone(day, second, percent):
    now = datetime(2026, 11, 1, tzinfo=timezone.utc) + timedelta(days=day - 1, seconds=second)
    assert elapsed_percent(Cycle(date(2026, 11, 1), date(2026, 12, 1)), now) == percent
