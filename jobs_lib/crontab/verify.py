"""Whether an installed crontab does what the printed one would: every job is started, by this
program, and its failures are mailed."""
from __future__ import annotations

import os

from jobs_lib import schedule
from jobs_lib.records import namedtuple
from jobs_lib.schedule_text import members

from . import installed, program
from . import lines as crontab

TICK = "run-due"
HOUR, DAY = 60, 24 * 60

Finding = namedtuple("Finding", "wrong words")
Finding.__doc__ = "A sentence; `wrong`: something is not run, or its failures are not mailed."


def compare(text: str, place: crontab.Place, jobs: list[crontab.Entry],
            same_clock: bool, has_users: bool = False) -> list[Finding]:
    """The findings about the crontab `text`; there is always one. `has_users`: it is a table of the
    system, whose lines name a user before the command."""
    entries = installed.entries(text, place.script)
    ours = [entry for entry in entries if entry.words is not None]
    lines = [line for line in ours if _config(line.config, place) == _config(place.config, place)]
    ticks = [line for line in lines if line.words[:1] == [TICK]]
    own = {line.words[0]: line for line in lines if line.words and line.words[0] != TICK}
    found = [*_no_line(entries, place, lines), *_others(ours, place, lines),
             *(finding for line in lines for finding in _command(line, place, has_users))]
    gaps = {line.number: _longest_gap(line) for line in ticks}
    shortest = min(filter(None, gaps.values()), default=None)
    found += _ticks(ticks, gaps, shortest, bool(own))
    if own or (lines and not ticks):
        covered = shortest is not None and shortest <= HOUR
        found += _jobs(own, place, jobs, same_clock, covered)
    return found


def _config(path: str | None, place: crontab.Place) -> str:
    return os.path.realpath(path or os.path.join(os.path.dirname(place.script), "config.ini"))


def _no_line(entries: list, place: crontab.Place, lines: list) -> list[Finding]:
    found = [Finding(False,
                     f"line {entry.number} runs another copy of this program: {entry.command}")
             for entry in entries if entry.words is None and "jobs.py" in entry.command]
    if not lines:
        runs = place.script + (f" with --config {place.config}" if place.config else "")
        found.append(Finding(True, f"no line runs {runs}, so nothing is ever started: put in what "
                                   "`jobs.py crontab` prints, or let `jobs.py crontab --install` "
                                   "do it"))
    return found


def _others(ours: list, place: crontab.Place, lines: list) -> list[Finding]:
    """Lines for another config.ini; intended where there are two installations, if each has its
    own."""
    return [Finding(not lines, f"line {line.number} is for another configuration ("
                    f"{line.config or 'no --config, so the config.ini beside jobs.py'}), and not "
                    f"for {_config(place.config, place)}") for line in ours if line not in lines]


def _command(line, place: crontab.Place, has_users: bool) -> list[Finding]:
    """What is wrong with the command of a line, whatever it starts."""
    why = program.wrong(line, place, has_users)
    found = [Finding(True, f"line {line.number}: {why}")] if why else []
    to, number = line.variables.get("MAILTO", ("somebody", 0))
    if not to:
        found.append(Finding(True, f"line {line.number}: MAILTO is empty in line {number}, so "
                             "no failure is ever mailed: name your address there, or remove it"))
    if "/dev/null" in line.command:
        found.append(Finding(True, f"line {line.number} throws away what it prints, so no failure "
                             "is ever mailed: remove `>/dev/null` and the like; a good run prints "
                             "nothing"))
    return found


def _ticks(ticks: list, gaps: dict, shortest: int | None, own: bool) -> list[Finding]:
    """Of the lines with run-due. `gaps`: {number of the line: its longest gap in minutes}."""
    found = [Finding(True, f"line {line.number}: {line.schedule!r} is not a valid schedule")
             for line in ticks if gaps[line.number] is None]
    valid = sorted((gap, number) for number, gap in gaps.items() if gap is not None)
    for gap, number in valid[:1]:
        rarely = ": too rarely, since some jobs are meant to run each hour or more often"
        found.append(Finding(gap > HOUR, f"line {number} runs what is due {_every(gap)}"
                             f"{rarely if gap > HOUR else ''}"))
    if not own:
        found += [Finding(False, f"line {number} does the same again: harmless, and one of the two "
                          "is enough") for _, number in valid[1:]]
    return found


def _jobs(own: dict, place: crontab.Place, jobs: list[crontab.Entry], same_clock: bool,
          covered: bool) -> list[Finding]:
    """Of a line for each job. Where run-due runs often enough, it makes up for what they lack."""
    made_up = "; run-due makes up for it" if covered else ""
    found = [finding for job in jobs if job.name in own
             for finding in _job(own[job.name], job, place, same_clock, covered, made_up)]
    without = [job.name for job in jobs if job.enabled and job.name not in own]
    if without:
        have = (f"{without[0]} has" if len(without) == 1
                else f"{len(without)} jobs ({', '.join(without)}) have")
        found.append(Finding(not covered, f"{have} no line{made_up}"))
    known = {job.name for job in jobs}
    return found + [Finding(True, f"line {line.number}: there is no job {name!r}")
                    for name, line in own.items() if name not in known]


def _job(line, job: crontab.Entry, place: crontab.Place, same_clock: bool, covered: bool,
         made_up: str) -> list[Finding]:
    wanted, found = crontab.job_fields(place, job, same_clock).text, []
    if not job.enabled:
        found.append(Finding(False, f"line {line.number}: {job.name} is switched off in "
                             "config.ini, and is started all the same"))
    elif _longest_gap(line) is None:
        found.append(Finding(True, f"line {line.number}: {line.schedule!r} is not a valid "
                             f"schedule; for {job.name} it should be {wanted!r}"))
    elif line.schedule != wanted:
        found.append(Finding(not covered, f"line {line.number}: {job.name} starts at "
                             f"{line.schedule!r}, and for its schedule {job.schedule.text!r} "
                             f"it should be {wanted!r}{made_up}"))
    if "--scheduled" not in line.words:
        found.append(Finding(False, f"line {line.number}: without --scheduled {job.name} runs "
                             "each time, also if run-due has just run it"))
    return found


def _longest_gap(line) -> int | None:
    """The longest time between two starts within a day, in minutes, or None for an invalid
    schedule."""
    try:
        parsed = schedule.parse(line.schedule)
    except ValueError:
        return None
    if not parsed.every_hour:
        return DAY
    minutes = members(parsed.minutes)
    return max(after - before for before, after in zip(minutes, [*minutes[1:], minutes[0] + HOUR]))


def _every(minutes: int) -> str:
    if minutes > HOUR:
        return "less than once an hour"
    names = {1: "every minute", HOUR: "once an hour"}
    return names.get(minutes, f"every {minutes} minutes")
