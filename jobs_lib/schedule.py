"""Five-field cron expressions: parse them, find the slot before and after a moment.

    minute 0-59   hour 0-23   day 1-31   month 1-12 or jan-dec
    weekday 0-7 or sun-sat (0 and 7: Sunday)

Each field takes `*`, a number, a range `1-5`, a step `*/5` or `10-40/10`, and a list of these; in
place of all five there may be @hourly, @daily, @weekly, @monthly or @yearly. When both day fields
are restricted, either one is enough, as in cron: `0 3 1 * mon` is the first of the month and every
Monday (`Schedule.either_day`). As in cron, a day field that begins with `*` does not count as
restricted: in `0 3 */2 * mon` both must hold.

A slot is a moment at which a schedule is due. Where the clock changes:

- A schedule for certain hours (`17 2 * * *`, `*/10 2 * * *`, `0 */2 * * *`) has each local time
  exactly once. Times that the clock skips are due at the first moment after the gap, together: they
  are one slot. Of a time that comes twice, the first counts.
- A schedule for every hour (`*/5 * * * *`, `17 * * * *`) keeps its rhythm: it is due in each minute
  that really passes and whose local time fits, so in both of two equal hours, and nothing is made
  up for a skipped one. So does Vixie cron, which decides by the letter (a field that begins with
  `*`); here the hours count.
"""
from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo

from .records import namedtuple

UTC = timezone.utc
MINUTE, DAY, WEEK = timedelta(minutes=1), timedelta(days=1), timedelta(days=7)

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
NICKNAMES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
             "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *",
             "@annually": "0 0 1 1 *"}

_Field = namedtuple("_Field", "name low high names")
_FIELDS = (_Field("minute", 0, 59, ()), _Field("hour", 0, 23, ()), _Field("day", 1, 31, ()),
           _Field("month", 1, 12, MONTHS), _Field("weekday", 0, 7, WEEKDAYS))
# days of each month, in a leap year
_LONGEST = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ALL_HOURS = (1 << 24) - 1
_SIX_WEEKS = 1 + (1 << 7) + (1 << 14) + (1 << 21) + (1 << 28) + (1 << 35)

# Sets of numbers are the bits of an int: the nearest member, below or above, is two operations
# away.
Schedule = namedtuple("Schedule", "text minutes hours days months weekdays either_day every_hour")


class ScheduleError(ValueError):
    """An expression or zone that cannot be used. The message says what is expected, and in which
    field, and leaves it to the caller to quote the whole."""


# Reading an expression

def parse(text: str) -> Schedule:
    """The schedule behind a cron expression. ScheduleError also for one that never comes (30
    February)."""
    parts = text.split()
    if len(parts) == 1 and parts[0].startswith("@"):
        expression = NICKNAMES.get(parts[0].lower())
        if expression is None:
            raise ScheduleError(f"expected one of {', '.join(NICKNAMES)}, or five fields")
        parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise ScheduleError("expected five fields (minute hour day month weekday), found "
                            f"{len(parts)}")
    minutes, hours, days, months, weekdays = [_set(part, field) for part,
                                              field in zip(parts, _FIELDS)]
    weekdays = (weekdays | weekdays >> 7) & 0x7F                     # 7 is Sunday, as is 0
    either_day = parts[2][0] != "*" and parts[4][0] != "*"
    possible = either_day or any(months >> month & 1 and days & ((2 << _LONGEST[month]) - 1)
                                 for month in range(1, 13))
    if not possible:
        raise ScheduleError(f"day {parts[2]!r} with month {parts[3]!r}: "
                            "expected a day that one of these months has")
    return Schedule(text, minutes, hours, days, months, weekdays, either_day, hours == _ALL_HOURS)


def _set(text: str, field: _Field) -> int:
    members = 0
    for part in text.split(","):
        if part == "*":
            members |= (2 << field.high) - (1 << field.low)
        elif part.isdigit() and part.isascii():
            members |= 1 << _number(part, part, field)
        else:
            members |= _span(part, field)
    return members


def _span(part: str, field: _Field) -> int:
    """The members of `*/5`, `10-40`, `10-40/10` or a name."""
    span, slash, step = part.partition("/")
    low, high, width = field.low, field.high, 1
    if span != "*":
        first, dash, last = span.partition("-")
        low = high = _number(first, part, field)
        if dash:
            high = _number(last, part, field)
        elif slash:
            raise ScheduleError(f"{field.name} {part!r}: expected '*' or a range before '/', "
                                f"such as {low}-{min(field.high, 59)}/{step}")
        if high == 0 < low and field.names is WEEKDAYS:              # fri-sun
            high = 7
        if low > high:
            raise ScheduleError(f"{field.name} {part!r}: expected a range that rises, "
                                f"or two: {low}-{field.high},{field.low}-{high}")
    if slash:
        if not (step.isdigit() and step.isascii() and 1 <= int(step) <= field.high):
            raise ScheduleError(f"{field.name} {part!r}: expected a step of 1-{field.high} after "
                                "'/'")
        width = int(step)
    if width == 1:
        return (2 << high) - (1 << low)
    return sum(1 << number for number in range(low, high + 1, width))


def _number(word: str, part: str, field: _Field) -> int:
    if word.isdigit() and word.isascii() and len(word) <= 2:
        number = int(word)
        if field.low <= number <= field.high:
            return number
    elif word.lower() in field.names:
        return field.names.index(word.lower()) + (1 if field.names is MONTHS else 0)
    where = "" if word == part else f" in {part!r}"
    names = f" or {field.names[0]}-{field.names[-1]}" if field.names else ""
    raise ScheduleError(f"{field.name} {word!r}{where}: expected {field.low}-{field.high}{names}, "
                        f"'*', a range, a list, or a step such as */5")


# Slots

def previous(schedule: Schedule, now: datetime, zone: tzinfo = UTC) -> datetime:
    """The latest slot at or before `now`. Both are aware; the answer is in UTC."""
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    if zone is UTC:
        return _at_or_before(schedule, moment)
    while True:
        # Backwards over stretches of equal offset, each of which holds a range of local times of
        # its own.
        offset = _offset(zone, moment)
        local = _at_or_before(schedule, moment + offset)
        change = _last_change(zone, local - offset - DAY, moment)
        if change is None:
            return local - offset
        earlier = _offset(zone, change - MINUTE)
        if local >= change + (offset if schedule.every_hour else earlier):
            return max(local - offset, change)
        moment = change - MINUTE


def following(schedule: Schedule, after: datetime, zone: tzinfo = UTC) -> datetime:
    """The first slot later than `after`. Both are aware; the answer is in UTC."""
    moment = after.astimezone(UTC).replace(second=0, microsecond=0)
    if zone is UTC:
        return _at_or_after(schedule, moment + MINUTE)
    offset = _offset(zone, moment)
    start = moment + offset + MINUTE
    change = _last_change(zone, moment - DAY, moment)
    if change is not None and not schedule.every_hour:
        # what came before it is not repeated
        start = max(start, change + _offset(zone, change - MINUTE))
    while True:
        local = _at_or_after(schedule, start)
        slot = max(local - offset, moment)
        change = _first_change(zone, moment, slot)
        if change is None:
            return slot
        earlier, offset = offset, _offset(zone, change)
        start = change + (offset if schedule.every_hour else earlier)
        moment = change


def _at_or_before(schedule: Schedule, moment: datetime) -> datetime:
    """The latest time that fits, by the bare clock: no zone, no changes."""
    year, month, day, hour = moment.year, moment.month, moment.day, moment.hour
    hours, minutes = schedule.hours, schedule.minutes
    if schedule.months >> month & 1 and _days(schedule, year, month) >> day & 1:
        below = minutes & ((2 << moment.minute) - 1)
        if below and hours >> hour & 1:
            return datetime(year, month, day, hour, below.bit_length() - 1, tzinfo=UTC)
        below = hours & ((1 << hour) - 1)
        if below:
            return datetime(year, month, day, below.bit_length() - 1, minutes.bit_length() - 1,
                            tzinfo=UTC)
    while True:
        below = 0
        if schedule.months >> month & 1:
            below = _days(schedule, year, month) & ((1 << day) - 1)
        if below:
            return datetime(year, month, below.bit_length() - 1, hours.bit_length() - 1,
                            minutes.bit_length() - 1, tzinfo=UTC)
        below = schedule.months & ((1 << month) - 1)
        if not below:
            below, year = schedule.months, year - 1
        month, day = below.bit_length() - 1, 32


def _at_or_after(schedule: Schedule, moment: datetime) -> datetime:
    """The first time that fits, by the bare clock: no zone, no changes."""
    year, month, day, hour = moment.year, moment.month, moment.day, moment.hour
    hours, minutes = schedule.hours, schedule.minutes
    if schedule.months >> month & 1 and _days(schedule, year, month) >> day & 1:
        above = minutes >> moment.minute << moment.minute
        if above and hours >> hour & 1:
            return datetime(year, month, day, hour, _lowest(above), tzinfo=UTC)
        above = hours >> (hour + 1) << (hour + 1)
        if above:
            return datetime(year, month, day, _lowest(above), _lowest(minutes), tzinfo=UTC)
    while True:
        above = 0
        if schedule.months >> month & 1:
            above = _days(schedule, year, month) >> (day + 1) << (day + 1)
        if above:
            return datetime(year, month, _lowest(above), _lowest(hours), _lowest(minutes),
                            tzinfo=UTC)
        above = schedule.months >> (month + 1) << (month + 1)
        if not above:
            above, year = schedule.months, year + 1
        month, day = _lowest(above), 0


def _days(schedule: Schedule, year: int, month: int) -> int:
    """The days of this month that fit, as bits 1-31."""
    first = date(year, month, 1).isoweekday() % 7
    by_weekday = (schedule.weekdays * _SIX_WEEKS) >> first << 1
    fitting = schedule.days | by_weekday if schedule.either_day else schedule.days & by_weekday
    if month == 2 and (year % 4 or (not year % 100 and year % 400)):
        return fitting & ((1 << 29) - 2)
    return fitting & ((2 << _LONGEST[month]) - 2)


def _lowest(members: int) -> int:
    return (members & -members).bit_length() - 1


# Zones

def zone(name: str) -> tzinfo:
    """The zone of this name; "UTC" costs no import. Raises ScheduleError when it is not known
    here."""
    if name.upper() == "UTC":
        return UTC
    import zoneinfo
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # not there; no name; a folder there, such as "Europe"
        pass
    try:
        zoneinfo.ZoneInfo("Europe/London")
    except (KeyError, OSError):
        from .paths import way_to
        raise ScheduleError("this machine has no time zone data; expected UTC, or install the "
                            "system's package tzdata; or " + way_to("tzdata", None)) from None
    raise ScheduleError("expected UTC or a zone such as Europe/Berlin")


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _last_change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The latest `start < change <= end` with a new offset. No zone changes twice in a week."""
    while end > start:
        middle = max(start, end - WEEK)
        if _offset(zone, middle) != _offset(zone, end):
            return _only_change(zone, middle, end)
        end = middle
    return None


def _first_change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    while start < end:
        middle = min(end, start + WEEK)
        if _offset(zone, middle) != _offset(zone, start):
            return _only_change(zone, start, middle)
        start = middle
    return None


def _only_change(zone: tzinfo, start: datetime, end: datetime) -> datetime:
    low, high = 0, (end - start) // MINUTE
    before = _offset(zone, start)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, start + middle * MINUTE) == before:
            low = middle
        else:
            high = middle
    return start + high * MINUTE
