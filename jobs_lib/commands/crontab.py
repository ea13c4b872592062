"""Print the crontab with this installation's absolute paths.

Two styles. one-line: a single line runs whatever is due; right for most hosts, and the only one
that needs no change when a schedule changes. per-job: a line for each job, for hosts that give
every job its own process and time. Both at once do no harm: a time that was started is not started
again.

--verify compares it with the crontab that is installed, and says what is not started, or goes
unheard.
"""
from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta

from jobs_lib import catalogue, schedule
from jobs_lib.config.option_types import show_duration
from jobs_lib.crontab import installed, lines, verify
from jobs_lib.errors import FAILED, OK, JobsError, UsageError
from jobs_lib.paths import HOME, SCRIPT, python
from jobs_lib.text import one_of

WEEKS = 53


def arguments(parser) -> None:
    """Declares --style, --verify and --installed."""
    parser.add_argument("--style", type=one_of(*lines.STYLES), default=lines.STYLES[0],
                        metavar="|".join(lines.STYLES), help="one line for everything (the "
                        "default), or one a job")
    parser.add_argument("--verify", action="store_true", help="compare with what is installed; 1 "
                        "if something is wrong")
    parser.add_argument("--installed", metavar="FILE", help="with --verify: a copy of what is "
                        "installed, where `crontab -l` does not work; - for stdin")


def run(args, make_session, config_path) -> int:
    """Print it, or compare; ConfigError first, if a schedule makes no sense."""
    if args.installed and not args.verify:
        raise UsageError("crontab: --installed goes with --verify")
    session = make_session(config_path)
    config, jobs = session.config, catalogue.load_all()
    config.check(jobs, ("core",))
    core = config.section("core")
    entries = []
    for job in jobs:
        options = config.job(job)
        entries.append(lines.Entry(job.name, job.summary, options.schedule, options.enabled))
    same = same_clock(schedule.zone(core.timezone), session.ports.now())
    if args.verify:
        return _verify(session.console, args.installed, place(session), entries, same)
    session.console.answer(lines.crontab(args.style, place(session), entries, zone=core.timezone,
                                         same_clock=same,
                                           budget=show_duration(core.budget)).rstrip("\n"))
    return OK


def _verify(console, path: str | None, where: lines.Place, entries: list, same: bool) -> int:
    found = verify.compare(_installed(path), where, entries, same)
    for finding in found:
        console.report(("WRONG  " if finding.wrong else "ok     ") + finding.words)
    return FAILED if any(finding.wrong for finding in found) else OK


def _installed(path: str | None) -> str:
    if path == "-":
        return sys.stdin.read()
    if path:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    text, why = installed.read()
    if text is None:
        raise JobsError(f"crontab: what is installed cannot be read: {why}. Copy the lines of your "
                        "host's cron page into a file, and say `--verify --installed FILE`")
    return text


def place(session) -> lines.Place:
    """Where this installation is. Its Python stays unresolved, since that of a virtual environment
    is a link."""
    path = os.path.abspath(session.config.path)
    elsewhere = path != os.path.join(HOME, "config.ini")
    return lines.Place(python(), SCRIPT, path if elsewhere else None,
                       f"{socket.gethostname()}:{path}")


def same_clock(zone, now) -> bool:
    """Whether this machine's local time, which cron goes by, is the zone's in every week of the
    year to come."""
    weeks = [now + timedelta(weeks=number) for number in range(WEEKS)]
    return all(week.astimezone().utcoffset() == week.astimezone(zone).utcoffset() for week in weeks)
