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

from datetime import date, datetime, time, timedelta, timezone, tzinfo

from .records import namedtuple

UTC = timezone.utc
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

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

Schedule = namedtuple("Schedule", "text minutes hours days months weekdays either_day every_hour")
Schedule.__doc__ = """`text`: as it was given. The numbers of each field, rising; Sunday is 0.
`either_day`: one of the two day fields is enough. `every_hour`: it keeps its rhythm."""


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
    minutes, hours, days, months, weekdays = [_numbers(part, field) for part,
                                              field in zip(parts, _FIELDS)]
    weekdays = tuple(sorted({day % 7 for day in weekdays}))  # 7 is Sunday, as is 0
    either_day = parts[2][0] != "*" and parts[4][0] != "*"
    if not (either_day or any(days[0] <= _LONGEST[month] for month in months)):
        raise ScheduleError(f"day {parts[2]!r} with month {parts[3]!r}: "
                            "expected a day that one of these months has")
    return Schedule(text, minutes, hours, days, months, weekdays, either_day, len(hours) == 24)


def _numbers(text: str, field: _Field) -> tuple[int, ...]:
    """Those of a whole field, rising."""
    found: set[int] = set()
    for part in text.split(","):
        found.update(_span(part, field))
    return tuple(sorted(found))


def _span(part: str, field: _Field) -> range:
    """The numbers of `*`, `*/5`, `7`, a name, `10-40` or `10-40/10`."""
    span, slash, step = part.partition("/")
    low, high = field.low, field.high
    if span != "*":
        first, dash, last = span.partition("-")
        low = high = _number(first, part, field)
        if dash:
            high = _number(last, part, field)
        elif slash:
            raise ScheduleError(f"{field.name} {part!r}: expected '*' or a range before '/'")
        if high == 0 < low and field.names is WEEKDAYS:  # fri-sun
            high = 7
        if low > high:
            raise ScheduleError(f"{field.name} {part!r}: expected a range that rises")
    if slash and not (step.isdigit() and step.isascii() and 1 <= int(step) <= field.high):
        raise ScheduleError(f"{field.name} {part!r}: expected a step of 1-{field.high} after '/'")
    return range(low, high + 1, int(step) if slash else 1)


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
    if schedule.every_hour and zone is not UTC:
        return _passing(schedule, moment, zone, -1)
    local = moment.astimezone(zone)
    # in the second of two equal hours, the clock has shown all of the first
    shown = local.replace(tzinfo=None) + (moment - local.replace(fold=0).astimezone(UTC))
    while True:
        shown = _nearest(schedule, shown, -1)
        if (slot := _moment(shown, zone)) <= moment:
            return slot
        shown -= MINUTE


def following(schedule: Schedule, after: datetime, zone: tzinfo = UTC) -> datetime:
    """The first slot later than `after`. Both are aware; the answer is in UTC."""
    moment = after.astimezone(UTC).replace(second=0, microsecond=0)
    if schedule.every_hour and zone is not UTC:
        return _passing(schedule, moment + MINUTE, zone, 1)
    shown = moment.astimezone(zone).replace(tzinfo=None)
    while True:
        shown = _nearest(schedule, shown + MINUTE, 1)
        if (slot := _moment(shown, zone)) > moment:  # else it came in the first of equal hours
            return slot


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


def _nearest(schedule: Schedule, local: datetime, way: int) -> datetime:
    """The nearest time that fits, from `local` on (`way` 1) or back (-1), by the bare clock: no
    zone, no changes."""
    day, first = local.date(), local.time()
    while True:
        if _fits(schedule, day):
            for hour in schedule.hours[::way]:
                if way * (hour - first.hour) < 0:
                    continue
                for minute in schedule.minutes[::way]:
                    if way * (hour - first.hour) > 0 or way * (minute - first.minute) >= 0:
                        return datetime.combine(day, time(hour, minute))
        day += way * DAY
        first = time.min if way > 0 else time.max


def _fits(schedule: Schedule, day: date) -> bool:
    """Whether it has times on this day."""
    by_day = day.day in schedule.days
    by_weekday = day.isoweekday() % 7 in schedule.weekdays
    return day.month in schedule.months and (
        by_day or by_weekday if schedule.either_day else by_day and by_weekday)


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
        raise ScheduleError("expected UTC or a zone such as Europe/Berlin, which the system's "
                            "package tzdata knows") from None


# In plain English, for lists, the crontab's comments and the docs

def words(schedule: Schedule) -> str:
    """As in "every 5 minutes" or "daily at 03:17"; an unusual one as cron writes it."""
    minutes, hours = schedule.minutes, schedule.hours
    is_daily = (len(schedule.days), len(schedule.months), len(schedule.weekdays)) == (31, 12, 7)
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
