"""A schedule in plain English, for lists, the crontab's comments and the docs."""
from __future__ import annotations

from .schedule import Schedule

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
CLOCK_TIMES = 4         # more times of day than these are not named one by one


def words(schedule: Schedule) -> str:
    """As in "every 5 minutes", "daily at 03:17" or "Monday to Friday at 08:00"; an unusual one as
    cron writes it."""
    times, days = _times(schedule), _days(schedule)
    if not (times and days):
        return f"by the cron schedule {schedule.text}"
    if times.startswith("at "):
        return f"{days} {times}"
    return times if days == "daily" else f"{times}, {days}"


def _times(schedule: Schedule) -> str:
    """The times of a day, or "" for what has no short name."""
    minutes, hours = schedule.minutes, schedule.hours
    if len(minutes) * len(hours) <= CLOCK_TIMES:
        return "at " + _list([f"{hour:02}:{minute:02}" for hour in hours for minute in minutes])
    if len(hours) < 24:
        return ""
    if len(minutes) == 1:
        return f"hourly at minute {minutes[0]}"
    step = even_step(minutes, 60)
    if not step:
        return f"hourly at the minutes {_list(minutes)}"
    return "every minute" if step == 1 else f"every {step} minutes"


def _days(schedule: Schedule) -> str:
    """The days of a year, or "" for what has no short name."""
    days, weekdays = schedule.days, schedule.weekdays
    some_days, some_weekdays = len(days) < 31, len(weekdays) < 7
    if len(schedule.months) < 12 or (some_days and some_weekdays):
        return ""
    if some_days:
        return f"on day{'s' if len(days) > 1 else ''} {_list(days)} of each month"
    if not some_weekdays:
        return "daily"
    if len(weekdays) > 2 and weekdays[-1] - weekdays[0] == len(weekdays) - 1:
        return f"{WEEKDAYS[weekdays[0]]} to {WEEKDAYS[weekdays[-1]]}"
    return "on " + _list([f"{WEEKDAYS[weekday]}s" for weekday in weekdays])


def even_step(numbers: tuple[int, ...], whole: int) -> int:
    """The distance when the numbers are evenly spread over the whole, otherwise 0."""
    step = whole // len(numbers)
    return step if [*numbers] == [*range(numbers[0], whole, step)] and whole % step == 0 else 0


def _list(items: list[str] | tuple[int, ...]) -> str:
    """`1`, `1 and 2`, `1, 2 and 3`."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:-1]) + " and " + texts[-1] if len(texts) > 1 else texts[0]
