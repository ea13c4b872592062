"""Print the lines for cron, install or remove them.

They have this installation's absolute paths. Two styles. one-line: a single line runs whatever is
due; right for most hosts, and the only one that needs no change when a schedule changes. per-job: a
line for each job, for hosts that give every job its own process and time. Both at once do no harm:
a time that was started is not started again.

--install puts the lines into this user's crontab, between two marks, and replaces only what is
between them; --remove takes them out. Every other line stays as it is. Whether cron comes, says
`jobs.py doctor`.
"""
from __future__ import annotations

import os
import socket
from datetime import timedelta

from jobs_lib import catalogue, schedule
from jobs_lib.crontab import installed, lines
from jobs_lib.errors import OK, JobsError, UsageError
from jobs_lib.folders import HOME, SCRIPT, python
from jobs_lib.runner.access import refuse_root
from jobs_lib.text import setting

WEEKS = 53
BY_HAND = "Enter the line of `jobs.py crontab` in your host's cron page"


def arguments(parser) -> None:
    """Declares --style, --install and --remove."""
    parser.add_argument("--style", choices=lines.STYLES, default=lines.STYLES[0],
                        metavar="|".join(lines.STYLES), help="one line for everything (the "
                        "default), or one a job")
    parser.add_argument("--install", action="store_true", help="put the lines into this user's "
                        "crontab, or replace ours")
    parser.add_argument("--remove", action="store_true", help="take our lines out of it")


def run(args, make_session, config_path) -> int:
    """Print, install or remove it; ConfigError first, if a schedule makes no sense."""
    if args.install and args.remove:
        raise UsageError("crontab: expected one of --install and --remove")
    session = make_session(config_path)
    if args.remove:
        return _replace(session, "--remove", [])
    config, jobs = session.config, catalogue.load_all()
    config.check(jobs, ("core",))
    core, where = config.section("core"), _place(config)
    entries = []
    for job in jobs:
        options = config.job(job)
        entries.append(lines.Entry(job.name, job.summary, options.schedule, options.enabled))
    ours = lines.lines(args.style, where, entries, zone=core.timezone,
                       same_clock=same_clock(schedule.zone(core.timezone), session.ports.now()),
                       budget=setting(core.budget))
    if args.install:
        return _replace(session, "--install", ours)
    session.console.answer("\n".join([*lines.opening(where), *ours]))
    return OK


def _replace(session, word: str, ours: list[str]) -> int:
    """Put these lines in the place of our block, and show the crontab's lines that run this
    program."""
    refuse_root(session.config, f"crontab {word}")
    where = _place(session.config)
    before, why = installed.read()
    if before is None:
        raise JobsError(f"crontab: what is installed cannot be read: {why}. {BY_HAND}")
    after = installed.replaced(before, where.script, where.config, ours)
    if after != before and (why := installed.write(after)):
        raise JobsError(f"crontab: {why}. Nothing was changed. {BY_HAND}")
    here = installed.ours(after, where.script)
    session.console.report(f"{'Changed' if after != before else 'Nothing to change'}. "
                           f"{'These lines' if here else 'No line'} of this user's crontab "
                           f"{'run' if here else 'runs'} {where.script}{':' if here else '.'}")
    if here:
        session.console.answer("\n".join(f"  line {number}: {text}" for number, text in here))
    return OK


def _place(config) -> lines.Place:
    """Where this installation is. Its Python stays unresolved, since that of a virtual environment
    is a link."""
    path = os.path.abspath(config.path)
    elsewhere = path != os.path.join(HOME, "config.ini")
    return lines.Place(python(), SCRIPT, path if elsewhere else None,
                       f"{socket.gethostname()}:{path}")


def same_clock(zone, now) -> bool:
    """Whether this machine's local time, which cron goes by, is the zone's in every week of the
    year to come."""
    weeks = [now + timedelta(weeks=number) for number in range(WEEKS)]
    return all(week.astimezone().utcoffset() == week.astimezone(zone).utcoffset() for week in weeks)
