"""Print the lines for cron, install or remove them.

They have this installation's absolute paths. Two styles. one-line: a single line runs whatever is
due; right for most hosts, and the only one that needs no change when a schedule changes. per-job: a
line for each job, for hosts that give every job its own process and time. Both at once do no harm:
a time that was started is not started again.

The line of a job runs a little after each time of its schedule. How much later is a hash of the
installation, so that the customers of one host do not all start at the same minute.

--install puts the lines into this user's crontab, between two marks, and replaces only what is
between them; --remove takes them out. Every other line stays as it is. Whether cron comes, says
`jobs.py doctor`.
"""
from __future__ import annotations

import hashlib
import os
import shlex
import socket
from datetime import timedelta

from jobs_lib import catalogue, crontab
from jobs_lib.errors import OK, JobsError, UsageError
from jobs_lib.folders import HOME, SCRIPT, python
from jobs_lib.output.layout import wrapped
from jobs_lib.schedule import Schedule, even_step, words
from jobs_lib.text import counted, setting

STYLES = ("one-line", "per-job")
WEEKS = 53
LATEST, DAY = 30, 24 * 60       # minutes: so long after its schedule a line may run
BY_HAND = "Enter the line of `jobs.py crontab` in your host's cron page"


def arguments(parser) -> None:
    """Declares --style, --install and --remove."""
    parser.add_argument("--style", choices=STYLES, default=STYLES[0], metavar="|".join(STYLES),
                        help="one line for everything (the default), or one a job")
    parser.add_argument("--install", action="store_true", help="put the lines into this user's "
                        "crontab, or replace ours")
    parser.add_argument("--remove", action="store_true", help="take our lines out of it")


def run(args, make_session, config_path) -> int:
    """Print, install or remove it; ConfigError first, if a schedule makes no sense."""
    if args.install and args.remove:
        raise UsageError("crontab: expected one of --install and --remove")
    session = make_session(config_path)
    config, path = session.config, os.path.abspath(session.config.path)
    # unresolved: the Python of a virtual environment is a link
    start = [python(), SCRIPT]
    if path != os.path.join(HOME, "config.ini"):
        start += ["--config", path]
    if args.remove:
        return _replace(session, start, [])
    jobs = catalogue.load_all()
    config.check(jobs, ("core",))
    core, effective = config.section("core"), []
    for job in jobs:
        options = config.job(job)
        effective.append(job._replace(schedule=options.schedule, enabled=options.enabled))
    ours = lines(args.style, start, f"{socket.gethostname()}:{path}", effective,
                 zone=core.timezone, budget=setting(core.budget),
                 same_clock=same_clock(config.zone(), session.ports.now()))
    if args.install:
        return _replace(session, start, ours)
    session.console.answer("\n".join([*opening(start), *ours]))
    return OK


def _replace(session, start: list[str], ours: list[str]) -> int:
    """Put these lines in the place of our block, and show the crontab's lines that run this
    program."""
    before, why = crontab.read()
    if before is None:
        raise JobsError(f"crontab: what is installed cannot be read: {why}. {BY_HAND}")
    after = crontab.replaced(before, " ".join(start[1:]), ours)
    if after != before and (why := crontab.write(after)):
        raise JobsError(f"crontab: {why}. Nothing was changed. {BY_HAND}")
    here = crontab.ours(after, SCRIPT)
    session.console.report(f"{'Changed' if after != before else 'Nothing to change'}. "
                           f"{counted(len(here), 'line')} of this user's crontab "
                           f"{'runs' if len(here) == 1 else 'run'} {SCRIPT}{':' * bool(here)}")
    for number, text in here:
        session.console.answer(f"  line {number}: {text}")
    return OK


def same_clock(zone, now) -> bool:
    """Whether this machine's local time, which cron goes by, is the zone's in every week of the
    year to come."""
    weeks = [now + timedelta(weeks=number) for number in range(WEEKS)]
    return all(week.astimezone().utcoffset() == week.astimezone(zone).utcoffset() for week in weeks)


# The lines

def opening(start: list[str]) -> list[str]:
    """What holds for all lines: where they go, and who gets cron's mail."""
    return [
        *_comment(f"Cron lines for {start[1]}. Put them into your host's cron page, or into "
                  "`crontab -e`. Every program is named in full, so no PATH is needed."),
        "#",
        *_comment("MAILTO: cron mails what a line prints to this address. A good run prints "
                  "nothing, a failure prints one line. Without MAILTO the mail goes to this "
                  "account's own mailbox (cPanel: the field Cron Email)."),
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
                      f"other, for at most {budget}. When nothing is due it ends at once. What was "
                      "missed is made up."),
            f"{1 + key % 4}-59/5 * * * * {run_due}"]
    found = _comment("One line for each job. They follow the schedules in config.ini: print them "
                     "again when one changes. --scheduled: a time that was started before, by "
                     "whatever line, is not started again.")
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
                      "finish. Most often it finds nothing to do."),
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
    late, past_midnight = tuple(minute + delay for minute in minutes), hours == (0,) and gap > 120
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
