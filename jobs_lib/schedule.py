"""Five-field cron expressions: parse them, find the slot before and after a moment.

    minute 0-59   hour 0-23   day 1-31   month 1-12   weekday 0-7 (0 and 7: Sunday)

Each field takes `*`, a number, a range `1-5`, a step `*/5` or `10-40/10`, and a list of these.
Months and days have names, too (`mon-fri`).

When both day fields are restricted, either one is enough, as in cron: `0 3 1 * 1` is the first of
the month and every Monday (`Schedule.either_day`). As in cron, a day field that begins with `*`
does not count as restricted: in `0 3 */2 * 1` both must hold.

A slot is a moment at which a schedule is due. Where the clock changes:

- A schedule for certain hours (`17 2 * * *`, `0 */2 * * *`) has each local time exactly once. Times
  that the clock skips are due at the first moment after the gap, as one slot. Of a time that comes
  twice, the first counts.
- A schedule for every hour (`*/5 * * * *`, `17 * * * *`) keeps its rhythm, as in Vixie cron: it is
  due in each minute that really passes and whose local time fits, so in both of two equal hours,
  and nothing is made up for a skipped one.
"""
from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from types import SimpleNamespace

UTC = timezone.utc
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

NAMES = {"month": "jan feb mar apr may jun jul aug sep oct nov dec".split(),
         "weekday": "sun mon tue wed thu fri sat".split()}
# name, lowest and highest number
_FIELDS = ("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7)
# days of each month, in a leap year
_LONGEST = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Schedule(SimpleNamespace):
    """`text`: the five fields. `minutes`, `hours`, `days`, `months`, `weekdays`: the numbers of
    each field, rising; Sunday is 0. `either_day`: one of the two day fields is enough.
    `every_hour`: it keeps its rhythm."""


# Reading an expression

def parse(text: str) -> Schedule:
    """The schedule behind a cron expression. ValueError says what is expected in which field; also
    for one that never comes (30 February)."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError("expected five fields (minute hour day month weekday)")
    minutes, hours, days, months, weekdays = [
        tuple(sorted({number for each in part.split(",") for number in _span(each, *field)}))
        for part, field in zip(parts, _FIELDS)]
    either_day = parts[2][0] != "*" and parts[4][0] != "*"
    if not (either_day or any(days[0] <= _LONGEST[month] for month in months)):
        raise ValueError(f"day {parts[2]!r} with month {parts[3]!r}: "
                         "expected a day that one of these months has")
    if weekdays[-1] == 7:  # Sunday, as is 0
        weekdays = tuple(sorted({0, *weekdays[:-1]}))
    return Schedule(text=text, minutes=minutes, hours=hours, days=days, months=months,
                    weekdays=weekdays, either_day=either_day, every_hour=len(hours) == 24)


def _span(part: str, name: str, least: int, most: int) -> range:
    """The numbers of `*`, `*/5`, `7`, `10-40` or `10-40/10`."""
    span, slash, step = part.partition("/")
    first, dash, last = span.partition("-")
    try:
        low, high, width = least, most, _number(step) if slash else 1
        if span != "*":
            low = _number(first, name, least)
            high = _number(last, name, least) if dash else low
            if name == "weekday" and high == 0 < low:  # fri-sun
                high = most
        is_range = least <= low <= high <= most
        if is_range and 1 <= width <= most and (dash or span == "*" or not slash):
            return range(low, high + 1, width)
    except ValueError:
        pass
    raise ValueError(f"{name} {part!r}: expected {least}-{most}, '*', a range that rises, a "
                     "list, or a step such as */5 or 10-40/10")


def _number(word: str, name: str = "", least: int = 0) -> int:
    """What the word stands for in the field of that name. ValueError for what is neither one or
    two digits nor a name."""
    if word.lower() in NAMES.get(name, ()):
        return NAMES[name].index(word.lower()) + least
    if not word.isascii() or len(word) > 2 or not word.isdecimal():
        raise ValueError(word)
    return int(word)


# Slots

def previous(schedule: Schedule, now: datetime, zone: tzinfo = UTC) -> datetime:
    """The latest slot at or before `now`. Both are aware; the answer is in UTC."""
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    if schedule.every_hour and zone is not UTC:
        return _passing(schedule, moment, zone, -1)
    local = moment.astimezone(zone)
    # in the second of two equal hours, the clock has shown all of the first
    shown = local.replace(tzinfo=None) + (moment - local.replace(fold=0).astimezone(UTC))
    slots = (_moment(each, zone) for each in _times(schedule, shown, -1))
    return next(slot for slot in slots if slot <= moment)


def following(schedule: Schedule, after: datetime, zone: tzinfo = UTC) -> datetime:
    """The first slot later than `after`. Both are aware; the answer is in UTC."""
    moment = after.astimezone(UTC).replace(second=0, microsecond=0)
    if schedule.every_hour and zone is not UTC:
        return _passing(schedule, moment + MINUTE, zone, 1)
    shown = _shown(moment, zone)
    slots = (_moment(each, zone) for each in _times(schedule, shown, 1))
    # not one of the first of equal hours
    return next(slot for slot in slots if slot > moment)


def _passing(schedule: Schedule, moment: datetime, zone: tzinfo, way: int) -> datetime:
    """The nearest minute that really passes, from `moment` on (`way` 1) or back (-1), whose local
    time fits a schedule for every hour."""
    while True:
        local = moment.astimezone(zone)
        if not _fits(schedule, local.date()):  # to the end or start of the hour
            moment += way * (60 - local.minute if way > 0 else local.minute + 1) * MINUTE
        elif local.minute in schedule.minutes:
            return moment
        else:
            moment += way * MINUTE


def _moment(local: datetime, zone: tzinfo) -> datetime:
    """When a clock first shows this local time or a later one, in UTC."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if zone is UTC or _shown(moment, zone) == local:
        return moment
    # it is skipped, and this is behind the gap: back to its end
    while _shown(moment - MINUTE, zone) >= local:
        moment -= MINUTE
    return moment


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _times(schedule: Schedule, start: datetime, way: int):
    """The local times that fit, from `start` on (`way` 1) or back (-1)."""
    day = start.date()
    while True:
        for hour in schedule.hours[::way] if _fits(schedule, day) else ():
            if day == start.date() and way * (hour - start.hour) < 0:
                continue
            for minute in schedule.minutes[::way]:
                found = datetime.combine(day, time(hour, minute))
                if found == start or (found > start) == (way > 0):
                    yield found
        day += way * DAY


def _fits(schedule: Schedule, day: date) -> bool:
    """Whether it has times on this day."""
    by_day = day.day in schedule.days
    by_weekday = day.isoweekday() % 7 in schedule.weekdays
    return day.month in schedule.months and (
        by_day or by_weekday if schedule.either_day else by_day and by_weekday)


# Zones

def zone(name: str) -> tzinfo:
    """The zone of this name; "UTC" costs no import. ValueError when it is not known here."""
    if name.upper() == "UTC":
        return UTC
    import zoneinfo
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # not there; no name; a folder there, such as "Europe"
        raise ValueError("expected UTC or a zone such as Europe/Berlin, which the system's "
                            "package tzdata knows") from None


# In plain English, for lists, the crontab's comments and the docs

def words(schedule: Schedule) -> str:
    """As in "every 5 minutes" or "daily at 03:17"; an unusual one as cron writes it."""
    minutes, hours = schedule.minutes, schedule.hours
    by_day = schedule.days, schedule.months, schedule.weekdays
    is_daily = [*map(len, by_day)] == [31, 12, 7]
    step = even_step(minutes, 60)
    if is_daily and len(minutes) == len(hours) == 1:
        return f"daily at {hours[0]:02}:{minutes[0]:02}"
    if is_daily and schedule.every_hour and len(minutes) == 1:
        return f"hourly at minute {minutes[0]}"
    if is_daily and schedule.every_hour and step:
        return "every minute" if step == 1 else f"every {step} minutes"
    return f"by the cron schedule {schedule.text}"


def even_step(numbers: tuple[int, ...], whole: int) -> int:
    """The distance when the numbers are evenly spread over the whole, otherwise 0."""
    step = whole // len(numbers)
    return step if [*numbers] == [*range(numbers[0], whole, step)] and whole % step == 0 else 0
