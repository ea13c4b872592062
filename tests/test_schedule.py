"""Cron expressions: what is read, what is refused, and which slot is next, also when the clock
changes."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.product import schedule as cron
from tests.support.shell import utc

UTC = timezone.utc
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("expression, same", [
    ("  */5  *\t* * * ", "*/5 * * * *"),
    ("0 0 * jan,Dec mon-FRI", "0 0 * 1,12 1-5"),
    ("0 0 * * 7", "0 0 * * 0"), ("0 0 * * 5-7", "0 0 * * 0,5,6"),
    ("0 0 * * fri-sun", "0 0 * * 0,5,6"), ("0 0 * * sun-tue/2", "0 0 * * 0,2"),
    ("10-40/10,5 * * * *", "5,10,20,30,40 * * * *")])
def test_different_spellings_are_the_same_schedule(expression, same):
    assert {**vars(cron.parse(expression)), "text": ""} == {**vars(cron.parse(same)), "text": ""}


@pytest.mark.parametrize("expression, says", [
    ("", "expected five fields (minute hour day month weekday)"),
    ("* * * * * *", "expected five fields"), ("@reboot", "expected five fields"),
    ("60 * * * *", "minute '60': expected 0-59"), ("* 24 * * *", "hour '24': expected 0-23"),
    ("* * 0 * *", "day '0': expected 1-31"), ("* * * * 8", "weekday '8': expected 0-7"),
    ("1,,2 * * * *", "minute '': expected 0-59"), ("٣ * * * *", "minute '٣': expected 0-59"),
    ("1-99 * * * *", "minute '1-99': expected 0-59"), ("*/+5 * * * *", "'*/+5': expected 0-59"),
    ("0 0 * foo *", "month 'foo': expected 1-12"), ("0 0 jan * *", "day 'jan': expected 1-31"),
    ("0 5-3 * * *", "hour '5-3': expected 0-23, '*', a range that rises"),
    ("*/0 * * * *", "minute '*/0': expected 0-59, '*', a range"), ("*/jan * * * *", "'*/jan'"),
    ("5/10 * * * *", "a step such as */5 or 10-40/10"),
    ("0 0 31 4,6,9,11 *", "expected a day that one of these months has")])
def test_a_mistake_names_its_field_and_what_is_expected(expression, says):
    with pytest.raises(ValueError) as error:
        cron.parse(expression)
    assert says in str(error.value)


# Against an independent library                                  # R13

def part(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    # cronsim reads 1-1/2 as 1/2
    pair = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    step = st.integers(1, high)
    return st.one_of(
        number.map(str),
        pair.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(pair, step).map(lambda drawn: f"{drawn[0][0]}-{drawn[0][1]}/{drawn[1]}"),
        step.map(lambda width: f"*/{width}"))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.lists(part(low, high), min_size=1, max_size=3).map(",".join))


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12),
                        field(0, 7)).map(" ".join)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1),      # noqa: DTZ001
                       timezones=st.just(UTC))


@pytest.mark.slow
@settings(max_examples=600)
@given(EXPRESSIONS, MOMENTS)
@example("0 0 29 2 *", utc("2099-06-01 00:00"))          # 2100 is no leap year
@example("0 12 29 2 */7", utc("2026-01-01 00:00"))       # on a Sunday
@example("*/5 * * * *", utc("2026-11-24 14:35"))         # not after itself
def test_both_directions_agree_with_cronsim(expression, moment):
    try:
        schedule = cron.parse(expression)
    except ValueError:              # cronsim says so when it reads it, or when it searches
        with pytest.raises((CronSimError, StopIteration)):
            next(CronSim(expression, moment))
        return
    assert cron.following(schedule, moment) == next(CronSim(expression, moment))
    # cronsim looks strictly before
    next_minute = moment.replace(second=0, microsecond=0) + MINUTE
    assert cron.previous(schedule, moment) == next(CronSim(expression, next_minute, reverse=True))


# Clock changes                                                   # R8

def is_due(schedule: cron.Schedule, local: datetime) -> bool:
    day, weekday = local.day in schedule.days, local.isoweekday() % 7 in schedule.weekdays
    return (local.minute in schedule.minutes and local.hour in schedule.hours
            and local.month in schedule.months
            and (day or weekday if schedule.either_day else day and weekday))


def slots_by_definition(schedule: cron.Schedule, zone, start: datetime,
                        minutes: int) -> list[datetime]:
    """The rule of the module's docstring, minute by minute and local time by local time."""
    passing = [start + MINUTE * number for number in range(-2 * 1440, minutes + 1)]
    locals_ = [moment.astimezone(zone).replace(tzinfo=None) for moment in passing]
    due, clock = [], locals_[0]
    for moment, local in zip(passing, locals_):
        if schedule.every_hour:
            if is_due(schedule, local):
                due.append(moment)
        else:
            # `clock` is the next local time that has not been shown yet
            shown = []
            while clock <= local:
                shown.append(clock)
                clock += MINUTE
            if any(is_due(schedule, time) for time in shown):
                due.append(moment)
    return [moment for moment in due if moment >= start]


CHANGES = [("Europe/Berlin", "2026-03-29 01:00"), ("Europe/Berlin", "2026-10-25 01:00"),
           ("America/New_York", "2026-03-08 07:00"), ("America/New_York", "2026-11-01 06:00"),
           ("Australia/Lord_Howe", "2026-10-03 15:30"), ("Australia/Lord_Howe", "2026-04-04 15:00"),
           ("Pacific/Apia", "2011-12-30 10:00"), ("Asia/Beirut", "2026-03-28 22:00"),
           ("Africa/Casablanca", "2026-02-15 02:00")]
HOURS = st.one_of(st.just("*"), st.sampled_from(["0", "1", "2", "3", "23", "0,2", "1-3", "*/2",
                                                 "22,23,0"]))
DAYS = st.sampled_from(["* * *", "*/2 * *", "* * 0", "1 * 0", "29 3 *"])


@pytest.mark.slow
@settings(max_examples=60)
@given(field(0, 59), HOURS, DAYS, st.sampled_from(CHANGES))
def test_clock_changes_follow_the_definition(minute, hour, days, change):
    schedule, zone = cron.parse(f"{minute} {hour} {days}"), cron.zone(change[0])
    start, minutes = utc(change[1]) - 2 * HOUR, 4 * 60
    due = slots_by_definition(schedule, zone, start, minutes)
    # where none is due, the answers of all minutes are the same ones, far away
    for moment in (start + MINUTE * number for number in range(0, minutes, 1 if due else 60)):
        before = [slot for slot in due if slot <= moment]
        after = [slot for slot in due if slot > moment]
        found = cron.previous(schedule, moment, zone)
        assert found == before[-1] if before else found < start
        found = cron.following(schedule, moment, zone)
        assert found == after[0] if after else found > start + MINUTE * minutes
