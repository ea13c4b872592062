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
from jobs_lib.schedule import Schedule, even_step, words
from jobs_lib.text import counted

STYLES = ("one-line", "per-job")
LATEST, DAY = 30, 24 * 60    # minutes: so long after its schedule a line may run

Place = namedtuple("Place", "python script config seed")
Place.__doc__ = """This installation.

python, script  absolute paths          config  a config.ini that is not beside the script, or None
seed            text that no other installation has: its hash spreads the minutes
"""
Entry = namedtuple("Entry", "name summary schedule enabled")
Entry.__doc__ = "A job as the crontab needs it; its schedule is the effective one."


def lines(style: str, place: Place, entries: list[Entry], *, zone: str, same_clock: bool,
          budget: str) -> list[str]:
    """The lines of this style. `same_clock`: cron's time is that of the schedules' zone, all
    year."""
    key, run_due = _key(place.seed), command(place, "run-due")
    if style == "one-line":
        return [
            *comment("Every 5 minutes: all jobs that are due, most critical first, one after the "
                     f"other, for at most {budget}. When nothing is due it ends at once. What was "
                     "missed is made up."),
            f"{1 + key % 4}-59/5 * * * * {run_due}"]
    found = comment("One line for each job. They follow the schedules in config.ini: print them "
                    "again when one changes. --scheduled: a time that was started before, by "
                    "whatever line, is not started again.")
    if not same_clock:
        found += ["#", *comment(f"Cron's clock here is not that of the schedules ({zone}). So the "
                                "line of a job for certain hours runs every hour, and checks "
                                "whether it is time.")]
    for entry in entries:
        found += ["", *_job(place, entry, zone, same_clock)]
    return [*found, "",
            *comment("Makes up for what the lines above missed (the host was down) or did not "
                     "finish. Most often it finds nothing to do."),
            f"{1 + key % 59} * * * * {run_due}"]


def opening(place: Place) -> list[str]:
    """What holds for all lines: where they go, and who gets cron's mail."""
    return [
        *comment(f"Cron lines for {place.script}. Put them into your host's cron page, or into "
                 "`crontab -e`. Every program is named in full, so no PATH is needed."),
        "#",
        *comment("MAILTO: cron mails what a line prints to this address. A good run prints "
                 "nothing, a failure prints one line. Without MAILTO the mail goes to this "
                 "account's own mailbox (cPanel: the field Cron Email)."),
        "#MAILTO=you@example.org",
        "",
    ]


def _job(place: Place, entry: Entry, zone: str, same_clock: bool) -> list[str]:
    what = f"{entry.name}: {entry.summary}."
    if not entry.enabled:
        return comment(f"{what} Switched off in config.ini, so it has no line.")
    schedule = entry.schedule
    key = _key(place.seed + entry.name if schedule.every_hour else place.seed)
    fields, delay = fields_after(schedule, key, same_clock)
    later = ""
    if not (same_clock or schedule.every_hour):
        later = "; checked every hour"
    elif delay:
        later = f"; started {counted(delay, 'minute')} later"
    return [*comment(f"{what} Due {words(schedule)} ({schedule.text}, {zone}){later}."),
            f"{fields} {command(place, entry.name, '--scheduled')}"]


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
    """The text as comment lines, without percent signs, which some hosts' web pages refuse."""
    return wrapped(text.replace("%", "percent"), 80, "# ", "# ")


def fields_after(schedule: Schedule, key: int, same_clock: bool = True) -> tuple[str, int]:
    """(five fields for some minutes after each slot and before the next, how many minutes); `key`
    chooses among them."""
    minutes, hours, days = schedule.minutes, tuple(range(24)), ["*", "*", "*"]
    if same_clock:
        hours, days = schedule.hours, _days(schedule)
    delays = _delays(minutes, hours, every_day=days == ["*", "*", "*"])
    delay = delays[key % len(delays)]
    carry = (minutes[0] + delay) // 60
    late_minutes = tuple(sorted((minute + delay) % 60 for minute in minutes))
    late_hours = hours if len(hours) == 24 else tuple(sorted((hour + carry) % 24 for hour in hours))
    return " ".join([_field(late_minutes, 60), _field(late_hours, 24), *days]), delay


def _delays(minutes: tuple[int, ...], hours: tuple[int, ...], every_day: bool) -> list[int]:
    """The minutes by which all times may be delayed: before the next time, in fields that still
    give the same times on the same days."""
    def fits(delay: int) -> bool:
        if len(hours) == 24:
            return every_day or max(minutes) + delay < 60
        carries = {(minute + delay) // 60 for minute in minutes}
        return len(carries) == 1 and (every_day or max(hours) + max(carries) < 24)

    times = [hour * 60 + minute for hour in hours for minute in minutes]
    gap = min(after - before for before, after in zip(times, [*times[1:], times[0] + DAY]))
    # Midnight is when a host is busiest: what is due in its hour goes into the next one.
    start = 60 if hours == (0,) and gap > 120 else 0
    fitting = [delay for delay in range(start, start + min(gap, LATEST)) if fits(delay)]
    quiet = [delay for delay in fitting if all((minute + delay) % 60 for minute in minutes)]
    return quiet or fitting or [0]


def _field(numbers: tuple[int, ...], whole: int) -> str:
    """A cron field for these numbers: `*`, `*/5`, `2-59/5` or a list."""
    step = even_step(numbers, whole)
    if len(numbers) == 1 or not step:
        return ",".join(map(str, numbers))
    return (f"{numbers[0]}-{whole - 1}" if numbers[0] else "*") + f"/{step}" * (step > 1)


def _days(schedule: Schedule) -> list[str]:
    """Day, month, weekday as they are written, in numbers: not every cron takes a list of names."""
    text = schedules.NICKNAMES.get(schedule.text.lower(), schedule.text)
    day, month, weekday = text.lower().split()[2:]
    month = re.sub("[a-z]+", lambda name: str(schedules.MONTHS.index(name[0]) + 1), month)
    weekday = re.sub("-sun", "-7", weekday)
    weekday = re.sub("[a-z]+", lambda name: str(schedules.WEEKDAYS.index(name[0])), weekday)
    return [day, month, weekday]


def _key(seed: str) -> int:
    return int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)
