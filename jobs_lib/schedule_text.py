"""A schedule in plain English, for lists, the crontab's comments and the docs."""
from __future__ import annotations

from .schedule import Schedule

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
CLOCK_TIMES = 4         # so many times of day are named one by one


def words(schedule: Schedule) -> str:
    """As in "every 5 minutes", "daily at 03:17" or "Monday to Friday at 08:00"; odd ones as lists
    of numbers."""
    times, days = _times(schedule), _days(schedule)
    if times.startswith("at "):
        return f"{days or 'daily'} {times}"
    return f"{times}, {days}" if days else times


def _times(schedule: Schedule) -> str:
    minutes, hours = _members(schedule.minutes, 0), _members(schedule.hours, 0)
    if len(minutes) * len(hours) <= CLOCK_TIMES:
        return "at " + _list([f"{hour:02}:{minute:02}" for hour in hours for minute in minutes])
    if len(minutes) == 1:
        return _once_an_hour(minutes[0], hours)
    step = _step(minutes, 60)
    if step:
        often = "every minute" if step == 1 else f"every {step} minutes"
        often += f" from minute {minutes[0]}" if minutes[0] else ""
    else:
        often = f"hourly at the minutes {_list(minutes)}"
    if len(hours) == 24:
        return often
    if hours[-1] - hours[0] == len(hours) - 1:
        return f"{often}, {hours[0]:02}:00 to {hours[-1]:02}:59"
    return f"{often}, in the hours {_list(hours)}"


def _once_an_hour(minute: int, hours: list[int]) -> str:
    step = _step(hours, 24)
    if step == 1:
        return f"hourly at minute {minute}"
    if step:
        start = f", from {hours[0]:02}:{minute:02}" if hours[0] else ""
        return f"every {step} hours at minute {minute}{start}"
    if hours[-1] - hours[0] == len(hours) - 1:
        return f"hourly from {hours[0]:02}:{minute:02} to {hours[-1]:02}:{minute:02}"
    return "at " + _list([f"{hour:02}:{minute:02}" for hour in hours])


def _days(schedule: Schedule) -> str:
    """"" for each day; else what stands for `daily`."""
    days, months = _members(schedule.days, 1), [MONTHS[month - 1]
                                                for month in _members(schedule.months, 1)]
    weekdays = _members(schedule.weekdays, 0)
    month = f"of {_list(months)}" if len(months) < 12 else "of each month"
    day = f"on day{'s' if len(days) > 1 else ''} {_list(days)} {month}"
    if schedule.either_day:
        return f"{day} or {_weekdays(weekdays)}" + (f" in {_list(months)}" if len(months) < 12
                                                    else "")
    if len(days) < 31:
        return f"{day}, if {_weekdays(weekdays)}" if len(weekdays) < 7 else day
    named = _weekdays(weekdays) if len(weekdays) < 7 else ""
    if len(months) < 12:
        return f"{named or 'daily'} in {_list(months)}"
    return named


def _weekdays(weekdays: list[int]) -> str:
    if len(weekdays) > 2 and weekdays[-1] - weekdays[0] == len(weekdays) - 1:
        return f"{WEEKDAYS[weekdays[0]]} to {WEEKDAYS[weekdays[-1]]}"
    return "on " + _list([f"{WEEKDAYS[weekday]}s" for weekday in weekdays])


def _members(bits: int, lowest: int) -> list[int]:
    return [number for number in range(lowest, bits.bit_length()) if bits >> number & 1]


def _step(numbers: list[int], whole: int) -> int:
    """The distance when the numbers are evenly spread over the whole, otherwise 0."""
    step = whole // len(numbers)
    return step if numbers == list(range(numbers[0], whole, step)) and whole % step == 0 else 0


def _list(items: list[int] | list[str]) -> str:
    """`1`, `1 and 2`, `1, 2 and 3`."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:-1]) + " and " + texts[-1] if len(texts) > 1 else texts[0]
