"""Whether an installed crontab does what the printed one would: every job is started, by this
program, and is heard."""
from __future__ import annotations

import os
import shlex
from collections import namedtuple

from jobs_lib import schedule

from . import installed
from . import lines as crontab

TICK = "run-due"
HOUR = 60

Finding = namedtuple("Finding", "wrong words")
Finding.__doc__ = "What was found, in a sentence; `wrong`: something is not run, or goes unheard."


def compare(text: str, place: crontab.Place, jobs: list[crontab.Entry],
            same_clock: bool) -> list[Finding]:
    """What is to be said of the crontab `text`; something always is."""
    everything = installed.ours(text, place.script)
    lines = [line for line in everything if _same_installation(line, place)]
    ticks = [line for line in lines if line.words[:1] == [TICK]]
    own = {line.words[0]: line for line in lines if line.words and line.words[0] != TICK}
    found = [*_no_line(text, place, lines), *_others(everything, place, bool(lines)),
             *(each for line in lines for each in _about(line, place))]
    gaps = sorted((gap, line.number) for line in ticks if (gap := _minutes_between(line)))
    found += [Finding(True,
                      f"line {line.number}: {line.schedule!r} is no schedule that can be read")
              for line in ticks if line.number not in [number for _, number in gaps]]
    if gaps:
        gap, best = gaps[0]
        found.append(Finding(gap > HOUR, f"line {best} runs what is due {_every(gap)}"
                             + (": too rarely, since some jobs are meant to run each hour or more "
                                "often" if gap > HOUR else "")))
        found += [Finding(False, f"line {number} does the same again: harmless, and one of the two "
                          "is enough")
                  for _, number in gaps[1:] if not own]
    covered = bool(gaps) and gaps[0][0] <= HOUR
    if own or (lines and not ticks):
        found += _jobs(own, place, jobs, same_clock, covered)
    return found


def _config(place: crontab.Place) -> str:
    return os.path.realpath(place.config or os.path.join(os.path.dirname(place.script),
                                                         "config.ini"))


def _same_installation(line, place: crontab.Place) -> bool:
    """Whether it runs the config.ini that is looked at."""
    return _config(place) == os.path.realpath(line.config
                                              or os.path.join(os.path.dirname(place.script),
                                                              "config.ini"))


def _others(lines: list, place: crontab.Place, some: bool) -> list[Finding]:
    """Lines of this program for another config.ini; meant where there are two installations, if
    each has its own."""
    return [Finding(not some, f"line {line.number} is for another configuration ("
                              + (line.config or "no --config, so the config.ini beside jobs.py")
                              + f"), and not for {_config(place)}")
            for line in lines if not _same_installation(line, place)]


def _no_line(text: str, place: crontab.Place, lines: list) -> list[Finding]:
    others = [entry for entry in installed.entries(text, place.script)
              if entry.words is None and "jobs.py" in entry.command]
    found = [Finding(False,
                     f"line {entry.number} runs another copy of this program: {entry.command}")
             for entry in others]
    if not lines:
        runs = place.script + (f" with --config {place.config}" if place.config else "")
        found.append(Finding(True, f"no line runs {runs}, so nothing is ever started: put in what "
                                   "`jobs.py crontab` prints"))
    return found


def _about(line, place: crontab.Place) -> list[Finding]:
    """What is wrong with the command of a line, whatever it starts."""
    try:
        words = shlex.split(line.command)
    except ValueError:
        return [Finding(True, f"line {line.number}: a quote in it is never closed")]
    at = next((at for at, word in enumerate(words) if os.path.basename(word)
               == os.path.basename(place.script)), 0)
    python = words[at - 1] if at else place.script
    found = []
    if os.path.isabs(python) and not os.access(python, os.X_OK):
        found.append(Finding(True, f"line {line.number}: there is no program {python}, or it may "
                             "not be run"))
    if "/dev/null" in line.command:
        found.append(Finding(True, f"line {line.number} throws away what it prints, so no trouble "
                             "is ever mailed: remove `>/dev/null` and the like; a good run prints "
                             "nothing"))
    return found


def _jobs(own: dict, place: crontab.Place, jobs: list[crontab.Entry], same_clock: bool,
          covered: bool) -> list[Finding]:
    """Of a line for each job. Where run-due comes often enough, it makes up for what they lack."""
    made_up = "; run-due makes up for it" if covered else ""
    found, without = [], []
    for job in jobs:
        line = own.pop(job.name, None)
        if line is None:
            without += [job.name] if job.enabled else []
            continue
        wanted = crontab.job_fields(place, job, same_clock).text
        if not job.enabled:
            found.append(Finding(False, f"line {line.number}: {job.name} is switched off in "
                                 "config.ini, and starts all the same"))
        elif not _can_be_read(line):
            found.append(Finding(True, f"line {line.number}: {line.schedule!r} is no schedule that "
                                 f"can be read; for {job.name} it should be {wanted!r}"))
        elif line.schedule != wanted:
            found.append(Finding(not covered, f"line {line.number}: {job.name} starts at "
                                 f"{line.schedule!r}, and for its schedule {job.schedule.text!r} "
                                 f"it should be {wanted!r}{made_up}"))
        if "--scheduled" not in line.words:
            found.append(Finding(False, f"line {line.number}: without --scheduled {job.name} runs "
                                 "each time, also if run-due has just run it"))
    if without:
        has = f"{without[0]} has" if len(without) == 1 else f"{len(without)} jobs ({', '.join(without)}) have"
        found.append(Finding(not covered, f"{has} no line{made_up}"))
    return found + [Finding(True, f"line {line.number}: there is no job {name!r}") for name,
                    line in own.items()]


def _can_be_read(line) -> bool:
    try:
        schedule.parse(line.schedule)
    except ValueError:
        return False
    return True


def _minutes_between(line) -> int | None:
    """The longest time between two starts within a day, or None for what is no schedule."""
    try:
        parsed = schedule.parse(line.schedule)
    except ValueError:
        return None
    if not parsed.every_hour:
        return 24 * HOUR
    minutes = [minute for minute in range(HOUR) if parsed.minutes >> minute & 1]
    return max(after - before for before, after in zip(minutes, [*minutes[1:], minutes[0] + HOUR]))


def _every(minutes: int) -> str:
    if minutes > HOUR:
        return "less than once an hour"
    return "every minute" if minutes == 1 else "once an hour" if minutes == HOUR else f"every {minutes} minutes"
