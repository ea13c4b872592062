"""Print the lines for cron, install or remove them.

They have this installation's absolute paths. Two styles. one-line: a single line runs whatever is
due; right for most hosts, and the only one that needs no change when a schedule changes. per-job: a
line for each job, for hosts that allow each process little time. Using both is harmless: a time
that was started is not started again.

The line of a job runs a little after each time of its schedule. How much later is a hash of the
installation, so that the customers of one host do not all start at the same minute.

--install puts the lines into this user's crontab, between two marks, and replaces only what is
between them; --remove takes them out. Every other line stays as it is. `jobs.py doctor` says
whether cron starts it.
"""
from __future__ import annotations

import os
import socket
from datetime import timedelta

from jobs_lib import catalogue, crontab
from jobs_lib.errors import OK, JobsError, UsageError
from jobs_lib.folders import HOME, SCRIPT, python
from jobs_lib.text import counted, setting

WEEKS = 53
BY_HAND = "Enter the line of `jobs.py crontab` in your host's cron page"


def arguments(parser) -> None:
    styles = crontab.STYLES
    parser.add_argument("--style", choices=styles, default=styles[0], metavar="|".join(styles),
                        help="one line for everything (the default), or one per job")
    parser.add_argument("--install", action="store_true", help="put the lines into this user's "
                        "crontab, or replace ours")
    parser.add_argument("--remove", action="store_true", help="remove our lines from it")


def run(args, make_session, config_path) -> int:
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
    ours = crontab.lines(
        args.style, start, f"{socket.gethostname()}:{path}", effective,
        zone=core.timezone, budget=setting(core.budget),
        same_clock=same_clock(config.zone(), session.ports.now()))
    if args.install:
        return _replace(session, start, ours)
    session.console.answer("\n".join([*crontab.opening(start), *ours]))
    return OK


def _replace(session, start: list[str], ours: list[str]) -> int:
    """Put these lines in the place of our block, and show which lines run this program."""
    before, why = crontab.read()
    if before is None:
        raise JobsError(f"crontab: the installed crontab cannot be read: {why}. {BY_HAND}")
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
    """Whether this machine's time, which cron goes by, is the zone's in each week of a year."""
    weeks = [now + timedelta(weeks=number) for number in range(WEEKS)]
    return all(week.astimezone().utcoffset() == week.astimezone(zone).utcoffset() for week in weeks)
