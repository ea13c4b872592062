"""Print the crontab with this installation's absolute paths.

Two styles. one-line: a single line runs whatever is due; right for most hosts, and the only one that needs no change
when a schedule changes. per-job: a line for each job, for hosts that give every job its own process and time.
Both at once do no harm: a time that was started is not started again.
"""
from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta

from .. import catalogue, schedule
from ..errors import OK
from ..options import show_duration
from ..place import HOME, SCRIPT
from ..render import crontab
from ..spelling import one_of

WEEKS = 53


def arguments(parser) -> None:
    """--style."""
    parser.add_argument("--style", type=one_of(*crontab.STYLES), default=crontab.STYLES[0],
                        metavar="|".join(crontab.STYLES), help="one line for everything (the default), or one a job")


def run(args, make_session, config_path) -> int:
    """Print it; ConfigError first, if a schedule makes no sense."""
    session = make_session(config_path)
    config, jobs = session.config, catalogue.load_all()
    config.check(jobs, ("core",))
    core = config.section("core")
    entries = []
    for job in jobs:
        options = config.job(job)
        entries.append(crontab.Entry(job.name, job.summary, options.schedule, options.enabled))
    session.console.answer(crontab.crontab(
        args.style, place(session), entries, zone=core.timezone, budget=show_duration(core.budget),
        same_clock=same_clock(schedule.zone(core.timezone), session.ports.now())).rstrip("\n"))
    return OK


def place(session) -> crontab.Place:
    """Where this installation is. Its Python stays unresolved, since that of a virtual environment is a link."""
    path = os.path.abspath(session.config.path)
    elsewhere = path != os.path.join(HOME, "config.ini")
    return crontab.Place(sys.executable, SCRIPT, path if elsewhere else None, f"{socket.gethostname()}:{path}")


def same_clock(zone, now) -> bool:
    """Whether this machine's local time, which cron goes by, is the zone's in every week of the year to come."""
    weeks = [now + timedelta(weeks=number) for number in range(WEEKS)]
    return all(week.astimezone().utcoffset() == week.astimezone(zone).utcoffset() for week in weeks)
