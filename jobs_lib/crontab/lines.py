"""The lines for cron, in two styles: one for everything, or one for each job.

A job's line runs a little after each time of its schedule, and before the next, so that each start
belongs to a slot of its own (docs/decisions.md, "Times in the crontab"). How much later is a hash
of the installation, so that the customers of one host do not all start at the same minute.
"""
from __future__ import annotations

import hashlib
import re
import shlex

from jobs_lib import schedule as schedules
from jobs_lib.errors import UsageError
from jobs_lib.output.layout import wrapped
from jobs_lib.records import namedtuple
from jobs_lib.schedule import Schedule
from jobs_lib.schedule_text import even_step, members, words

STYLES = ("one-line", "per-job")
WIDTH = 80
LATEST = 30                  # minutes that a line may run after its schedule
MIDNIGHT_GAP = 120           # minutes between two times that allow to leave the hour after midnight
DAY = 24 * 60

Place = namedtuple("Place", "python script config seed")
Place.__doc__ = """This installation.

python, script  absolute paths          config  a config.ini that is not beside the script, or None
seed            text that no other installation has: its hash spreads the minutes
"""
Entry = namedtuple("Entry", "name summary schedule enabled")
Entry.__doc__ = "A job as the crontab needs it; its schedule is the effective one."
Fields = namedtuple("Fields", "text delay")
Fields.__doc__ = "The five fields of a line, and how many minutes after the schedule it runs."


def crontab(style: str, place: Place, entries: list[Entry], *, zone: str, same_clock: bool,
            budget: str) -> str:
    """The text to paste. `same_clock`: cron's time is that of the schedules' zone, all year."""
    lines = body(style, place, entries, zone=zone, same_clock=same_clock, budget=budget)
    return "\n".join([*opening(place), *lines, ""])


def body(style: str, place: Place, entries: list[Entry], *, zone: str, same_clock: bool,
         budget: str) -> list[str]:
    """The lines of the crontab in this style."""
    if style == "one-line":
        return one_line(place, budget)
    return per_job(place, entries, zone, same_clock)


def block(style: str, place: Place, entries: list[Entry], *, zone: str, same_clock: bool,
          budget: str) -> list[str]:
    """The lines that `crontab --install` puts in: without what a person may choose instead."""
    if style == "one-line":
        return every_five_minutes(place, budget)
    return per_job(place, entries, zone, same_clock)


def opening(place: Place) -> list[str]:
    """What holds for all lines: who gets cron's mail, where programs are found."""
    return [
        *comment(f"Cron lines for {place.script}. Put them into your host's cron page, or into "
                 "`crontab -e`. They can be printed again at any time: jobs.py crontab"),
        "#",
        *comment("MAILTO: cron mails what a line prints to this address. A good run prints "
                 "nothing, a failure prints one line. Without MAILTO the mail goes to this "
                 "account's own mailbox (cPanel: the field Cron Email)."),
        "#MAILTO=you@example.org",
        "#",
        *comment("PATH: not needed, since the lines name every program in full. Cron's own is "
                 "short: /usr/bin:/bin."),
        "#PATH=/usr/local/bin:/usr/bin:/bin",
        "",
    ]


def one_line(place: Place, budget: str) -> list[str]:
    """One line for every job, and what to use where cron may run only rarely."""
    key, run_due = _key(place.seed), command(place, "run-due")
    return [
        *every_five_minutes(place, budget),
        "",
        *comment("If your host allows only every 15 minutes, or once an hour, use one of these "
                 "instead, without the #. Nothing is lost; things happen later."),
        f"#{1 + key % 14}-59/15 * * * * {run_due}",
        f"#{1 + key % 59} * * * * {run_due}",
    ]


def every_five_minutes(place: Place, budget: str) -> list[str]:
    """The one line, and what it does."""
    return [
        *comment("Every 5 minutes: all jobs that are due, most critical first, one after the "
                 f"other, for at most {budget}. When nothing is due it ends at once. What was "
                 "missed is made up."),
        f"{1 + _key(place.seed) % 4}-59/5 * * * * {command(place, 'run-due')}"]


def per_job(place: Place, entries: list[Entry], zone: str, same_clock: bool) -> list[str]:
    """A line for each job, and one that makes up for what they miss."""
    lines = comment("One line for each job. They follow the schedules in config.ini: print them "
                    "again when one changes. --scheduled: a time that was started before, by "
                    "whatever line, is not started again.")
    if not same_clock:
        lines += ["#", *comment(f"Cron's clock here is not that of the schedules ({zone}). So the "
                                "line of a job for certain hours runs every hour, and checks "
                                "whether it is time.")]
    for entry in entries:
        lines += ["", *_job(place, entry, zone, same_clock)]
    return [*lines, "",
            *comment("Makes up for what the lines above missed (the host was down) or did not "
                     "finish. Most often it finds nothing to do."),
            f"{1 + _key(place.seed) % 59} * * * * {command(place, 'run-due')}"]


def _job(place: Place, entry: Entry, zone: str, same_clock: bool) -> list[str]:
    what = f"{entry.name}: {entry.summary}."
    if not entry.enabled:
        return comment(f"{what} Switched off in config.ini, so it has no line.")
    fields = job_fields(place, entry, same_clock)
    later = ""
    if not (same_clock or entry.schedule.every_hour):
        later = "; checked every hour"
    elif fields.delay:
        later = f"; started {fields.delay} minute{'s' if fields.delay > 1 else ''} later"
    due = f"Due {words(entry.schedule)} ({entry.schedule.text}, {zone}){later}."
    return [*comment(f"{what} {due}"),
            f"{fields.text} {command(place, entry.name, '--scheduled')}"]


def job_fields(place: Place, entry: Entry, same_clock: bool) -> Fields:
    """When the line of a job runs."""
    key = _key(place.seed + entry.name if entry.schedule.every_hour else place.seed)
    return fields_after(entry.schedule, key, same_clock)


def command(place: Place, *arguments: str) -> str:
    """The command of a line: quoted for the shell, and for cron, which takes a percent sign for a
    line end."""
    config = ["--config", place.config] if place.config else []
    parts = [place.python, place.script, *config, *arguments]
    for part in parts:
        if "\\" in part or not part.isprintable():
            raise UsageError(f"crontab: the path {part!r} cannot be written in a crontab: rename "
                             "its folder")
    return " ".join(map(shlex.quote, parts)).replace("%", "\\%")


def comment(text: str) -> list[str]:
    """The text as comment lines; cron takes a percent sign in them, but hosts' web pages may
    not."""
    return wrapped(text.replace("%", "percent"), WIDTH, "# ", "# ")


# Times

def fields_after(schedule: Schedule, key: int, same_clock: bool = True) -> Fields:
    """Five fields for some minutes after each slot and before the next; `key` chooses among the
    delays."""
    minutes = members(schedule.minutes)
    hours = members(schedule.hours) if same_clock else list(range(24))
    days = _day_fields(schedule) if same_clock else ("*", "*", "*")
    delays = _delays(minutes, hours, every_day=days == ("*", "*", "*"))
    delay = delays[key % len(delays)]
    carry = (minutes[0] + delay) // 60
    late_minutes = sorted((minute + delay) % 60 for minute in minutes)
    late_hours = hours if len(hours) == 24 else sorted((hour + carry) % 24 for hour in hours)
    return Fields(" ".join([_field(late_minutes, 60), _field(late_hours, 24), *days]), delay)


def _delays(minutes: list[int], hours: list[int], every_day: bool) -> list[int]:
    """The minutes by which all times may be delayed: before the next, in fields that still give the
    same times."""
    times = [hour * 60 + minute for hour in hours for minute in minutes]
    gap = min(after - before for before, after in zip(times, [*times[1:], times[0] + DAY]))
    # Midnight is when a host is busiest: what is due in its hour goes into the next one.
    start = 60 if hours == [0] and gap > MIDNIGHT_GAP else 0
    fitting = [delay for delay in range(start, start + min(gap, LATEST))
               if _fits(minutes, hours, delay, every_day)]
    quiet = [delay for delay in fitting if all((minute + delay) % 60 for minute in minutes)]
    return quiet or fitting or [0]


def _fits(minutes: list[int], hours: list[int], delay: int, every_day: bool) -> bool:
    """Whether the delayed times are again each of some minutes in each of some hours, on the same
    days."""
    if len(hours) == 24:
        return every_day or max(minutes) + delay < 60
    carries = {(minute + delay) // 60 for minute in minutes}
    return len(carries) == 1 and (every_day or max(hours) + max(carries) < 24)


def _field(numbers: list[int], whole: int) -> str:
    """A cron field for these numbers: `*`, `*/5`, `2-59/5`, `8-17` or a list."""
    if len(numbers) == whole:
        return "*"
    step = even_step(numbers, whole)
    if len(numbers) > 1 and step:
        return f"{numbers[0]}-{whole - 1}/{step}" if numbers[0] else f"*/{step}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    return ",".join(map(str, numbers))


def _day_fields(schedule: Schedule) -> tuple[str, ...]:
    """Day, month, weekday as they are written, in numbers: not every cron takes a list of names."""
    text = schedules.NICKNAMES.get(schedule.text.lower(), schedule.text)
    day, month, weekday = text.lower().split()[2:]
    month = re.sub("[a-z]+", lambda name: str(schedules.MONTHS.index(name[0]) + 1), month)
    weekday = re.sub("-sun", "-7", weekday)
    weekday = re.sub("[a-z]+", lambda name: str(schedules.WEEKDAYS.index(name[0])), weekday)
    return day, month, weekday


def _key(seed: str) -> int:
    return int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)
