"""The lines for cron, in both styles, and the crontab of the user that asks, with our block."""
from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess

from jobs_lib.errors import UsageError
from jobs_lib.output.layout import wrapped
from jobs_lib.schedule import Schedule, even_step, words
from jobs_lib.text import counted

STYLES = ("one-line", "per-job")
# minutes: so long after its schedule a line may run
LATEST, DAY = 30, 24 * 60
SECONDS, FIELDS = 5, 5


# The lines

def opening(start: list[str]) -> list[str]:
    """What holds for all lines: where they go, and who gets cron's mail."""
    return [
        *_comment(f"Cron lines for {start[1]}. Put them into your host's cron page, or into "
                  "`crontab -e`. Each program has its full path, so no PATH is needed."),
        "#",
        *_comment("MAILTO: cron mails a line's output to this address. A good run prints nothing, "
                  "a failure one line. Without MAILTO the mail goes to this account's own mailbox "
                  "(cPanel: the field Cron Email)."),
        "#MAILTO=you@example.org",
        "",
    ]


def lines(style: str, start: list[str], seed: str, jobs: list, *, zone: str, same_clock: bool,
          budget: str) -> list[str]:
    """The lines of this style.

    start       the words that each command begins with: Python, script, perhaps --config and a file
    seed        text that no other installation has: its hash spreads the minutes
    jobs        with the schedules that hold, parsed
    same_clock  cron's time is that of the schedules' zone, all year
    """
    key, run_due = _key(seed), _command(start, "run-due")
    if style == "one-line":
        return [
            *_comment("Every 5 minutes: all jobs that are due, most critical first, one after the "
                      f"other, for at most {budget}. When nothing is due it ends at once. Missed "
                      "runs are made up for."),
            f"{1 + key % 4}-59/5 * * * * {run_due}"]
    found = _comment("One line for each job. They follow the schedules in config.ini: print them "
                     "again when one changes. --scheduled: a scheduled time that any line has "
                     "started is not started again.")
    if not same_clock:
        found += ["#", *_comment(f"Cron's clock here is not that of the schedules ({zone}). So the "
                                 "line of a job for certain hours runs every hour, and checks "
                                 "whether it is time.")]
    for job in jobs:
        what, when = f"{job.name}: {job.summary}.", job.schedule
        if not job.enabled:
            found += ["", *_comment(f"{what} Switched off in config.ini, so it has no line.")]
            continue
        # daily jobs keep their order
        fields, delay = fields_after(when, _key(seed + job.name) if when.every_hour else key,
                                     same_clock)
        later = f"; started {counted(delay, 'minute')} later" if delay else ""
        if not (same_clock or when.every_hour):
            later = "; checked every hour"
        found += ["", *_comment(f"{what} Due {words(when)} ({when.text}, {zone}){later}."),
                  f"{fields} {_command(start, job.name, '--scheduled')}"]
    return [*found, "",
            *_comment("Makes up for what the lines above missed (the host was down) or did not "
                      "finish. Usually it finds nothing to do."),
            f"{1 + key % 59} * * * * {run_due}"]


def _command(start: list[str], *arguments: str) -> str:
    """The command of a line: quoted for the shell, and for cron, which takes a percent sign for a
    line end."""
    parts = [*start, *arguments]
    for part in parts:
        if "\\" in part or not part.isprintable():
            raise UsageError(f"crontab: the path {part!r} cannot be written in a crontab: rename "
                             "its folder")
    return " ".join(map(shlex.quote, parts)).replace("%", "\\%")


def _comment(text: str) -> list[str]:
    """The text as comment lines, without percent signs, which some hosts' web pages refuse."""
    return wrapped(text.replace("%", "percent"), 80, "# ", "# ")


def fields_after(when: Schedule, key: int, same_clock: bool = True) -> tuple[str, int]:
    """(five fields for some minutes after each slot and before the next, so that each start belongs
    to a slot of its own; how many minutes); `key` chooses them. A line keeps to the hour of its
    schedule, but for midnight, when a host is busiest."""
    minutes, hours, days = when.minutes, tuple(range(24)), ["*", "*", "*"]
    if same_clock:
        hours, days = when.hours, when.text.split()[2:]
    times = [hour * 60 + minute for hour in hours for minute in minutes]
    gap = min(after - before for before, after in zip(times, [*times[1:], times[0] + DAY]))
    room = min(gap, LATEST, 60 - minutes[-1])
    delay = 1 + key % LATEST * (room - 1) // LATEST if room > 1 else 0
    late = tuple(minute + delay for minute in minutes)
    past_midnight = hours == (0,) and gap > 120
    fields = [_field(late, 60), "1" if past_midnight else _field(hours, 24), *days]
    return " ".join(fields), delay + 60 * past_midnight


def _field(numbers: tuple[int, ...], whole: int) -> str:
    """A cron field for these numbers: `*`, `*/5`, `2-59/5` or a list."""
    step = even_step(numbers, whole)
    if len(numbers) == 1 or not step:
        return ",".join(map(str, numbers))
    return (f"{numbers[0]}-{whole - 1}" if numbers[0] else "*") + f"/{step}" * (step > 1)


def _key(seed: str) -> int:
    return int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)


# What is installed

def read() -> tuple[str | None, str]:
    """(the crontab's text, ""), or (None, why it cannot be read). Bytes that are not UTF-8 can be
    written back."""
    text, why = _crontab("-l")
    return ("", "") if "no crontab" in why.lower() else (text, why)


def write(text: str) -> str:
    """Replace the crontab; why that failed, or ""."""
    return _crontab("-", text)[1]


def _crontab(word: str, text: str = "") -> tuple[str | None, str]:
    """(what `crontab WORD` prints, ""), or (None, why it failed)."""
    try:
        done = subprocess.run(["crontab", word], input=text, capture_output=True, timeout=SECONDS,
                              encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None, "there is no program `crontab` here"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"`crontab {word}` failed: {error}"
    if done.returncode == 0:
        return done.stdout, ""
    why = " ".join(done.stderr.split()) or f"it exited with {done.returncode}"
    return None, f"`crontab {word}` failed: {why}"


def replaced(text: str, name: str, lines: list[str]) -> str:
    """The crontab with these lines in the block of that name, which stays where it is or comes
    last; without lines there is none."""
    first = f"# --- {name}: made by `jobs.py crontab --install`, which replaces it"
    last = f"# --- {name}: end"
    block = "\n".join([first, *lines, last, ""]) if lines else ""
    text = text.rstrip("\n") + "\n" if text.strip() else ""
    # without its end it is its first line alone: what follows may be somebody else's
    ours = re.compile(rf"(?ms)^{re.escape(first)}\n(?:.*?^{re.escape(last)}\n)?")
    return ours.sub(lambda _: block, text, 1) if ours.search(text) else text + block


def ours(text: str, script: str) -> list[tuple[int, str]]:
    """(number, command) of the lines that run this script (its absolute path)."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line[:1] in ("*", "@") or line[:1].isdigit():
            command = line.split(None, 1 if line[0] == "@" else FIELDS)[-1]
            path = os.path.expandvars(command).replace("~/", os.path.expanduser("~/"))
            if all(part in path.replace("\\%", "%") for part in os.path.split(script)):
                found.append((number, command))
    return found
