"""Print the crontab with this installation's absolute paths, or install it.

Two styles. one-line: a single line runs whatever is due; right for most hosts, and the only one
that needs no change when a schedule changes. per-job: a line for each job, for hosts that give
every job its own process and time. Both at once do no harm: a time that was started is not started
again.

--install puts the lines into this user's crontab, between two marks, and replaces only what is
between them; --remove takes them out. Every other line stays as it is.

--verify compares it with the crontab that is installed, and says what is not started, and whose
failures nobody hears of.
"""
from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta

from jobs_lib import catalogue, schedule
from jobs_lib.config.option_types import show_duration
from jobs_lib.crontab import installed, lines, verify
from jobs_lib.doctor.writable import run_as
from jobs_lib.errors import FAILED, OK, JobsError, UsageError
from jobs_lib.paths import HOME, SCRIPT, python
from jobs_lib.text import one_of

WEEKS = 53
SYSTEM_TABLES = "/etc/cron"              # their lines name a user


def arguments(parser) -> None:
    """Declares --style, --install, --remove, --verify and --installed."""
    parser.add_argument("--style", type=one_of(*lines.STYLES), default=lines.STYLES[0],
                        metavar="|".join(lines.STYLES), help="one line for everything (the "
                        "default), or one a job")
    parser.add_argument("--install", action="store_true", help="put the lines into this user's "
                        "crontab, or replace ours; 1 if `--verify` then finds something wrong")
    parser.add_argument("--remove", action="store_true", help="take our lines out of it")
    parser.add_argument("--verify", action="store_true", help="compare with what is installed; 1 "
                        "if something is wrong")
    parser.add_argument("--installed", metavar="FILE", help="with --verify: a copy of what is "
                        "installed, where `crontab -l` does not work; - for stdin")


def run(args, make_session, config_path) -> int:
    """Print, install, remove or compare it; ConfigError first, if a schedule makes no sense."""
    if args.install + args.remove + args.verify > 1:
        raise UsageError("crontab: expected one of --install, --remove and --verify")
    if args.installed and not args.verify:
        raise UsageError("crontab: --installed goes with --verify")
    session = make_session(config_path)
    if args.remove:
        return _remove(session)
    config, jobs = session.config, catalogue.load_all()
    config.check(jobs, ("core",))
    core = config.section("core")
    entries = []
    for job in jobs:
        options = config.job(job)
        entries.append(lines.Entry(job.name, job.summary, options.schedule, options.enabled))
    same = same_clock(schedule.zone(core.timezone), session.ports.now())
    if args.install:
        ours = lines.block(args.style, place(session), entries, zone=core.timezone, same_clock=same,
                           budget=show_duration(core.budget))
        return _install(session, ours, entries, same)
    if args.verify:
        return _verify(session.console, args.installed, place(session), entries, same)
    session.console.answer(lines.crontab(args.style, place(session), entries, zone=core.timezone,
                                         same_clock=same,
                                           budget=show_duration(core.budget)).rstrip("\n"))
    return OK


def _install(session, ours: list[str], entries: list, same: bool) -> int:
    """Replace our block, show it, and judge the whole as --verify does."""
    where, console = place(session), session.console
    _refuse_another_user(session, "--install")
    before = _installed(None)
    after = installed.with_block(before, where.script, where.config, ours)
    if after == before:
        console.report("The crontab of this user has these lines already:")
    else:
        _write(after)
        replaced = installed.block(before, where.script, where.config)
        console.report("Our lines in the crontab of this user are replaced by:" if replaced else
                       "Added to the crontab of this user:")
    console.answer("\n".join(f"  {line}" for line in ours))
    return _reported(console, verify.compare(after, where, entries, same))


def _remove(session) -> int:
    """Take our block out, and name lines of ours that somebody has put in by hand."""
    where, console = place(session), session.console
    _refuse_another_user(session, "--remove")
    before = _installed(None)
    if block := installed.block(before, where.script, where.config):
        after = installed.without_block(before, where.script, where.config)
        _write(after)
        console.report("Removed from the crontab of this user:")
        console.answer("\n".join(f"  {line}" for line in block.rstrip("\n").split("\n")))
    else:
        after = before
        console.report("`jobs.py crontab --install` has put nothing into the crontab of this user.")
    for entry in installed.ours(after, where.script):
        console.report(f"Line {entry.number} was put in by hand and stays: `crontab -e` removes "
                       f"it: {entry.command}")
    return OK


def _refuse_another_user(session, word: str) -> None:
    if owner := run_as(session.config):
        raise UsageError(f"crontab: this installation belongs to user {owner.name}, and the lines "
                         f"belong into their crontab: `{owner.command(f'crontab {word}')}`")


def _write(text: str) -> None:
    if why := installed.write(text):
        raise JobsError(f"crontab: {why}. Nothing was changed: enter the line of `jobs.py crontab` "
                        "in your host's cron page")


def _verify(console, path: str | None, where: lines.Place, entries: list, same: bool) -> int:
    system = path is not None and os.path.realpath(path).startswith(SYSTEM_TABLES)
    return _reported(console, verify.compare(_installed(path), where, entries, same, system))


def _reported(console, found: list) -> int:
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
        raise JobsError(f"crontab: what is installed cannot be read: {why}. Enter the line of "
                        "`jobs.py crontab` in your host's cron page. To verify it, copy the lines "
                        "of that page into a file, and say `--verify --installed FILE`")
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
