"""Run a job, or run-due, for real, as cron would: with cron's minimal environment, without a
terminal, in the home folder.

A command that works by hand but not by cron usually depends on your own shell: a PATH, a variable,
a folder. Here it fails as it does under cron. Shown are the command, its exit code, and what cron
would mail.
"""
from __future__ import annotations

import os
import pwd
import subprocess

from jobs_lib import catalogue
from jobs_lib.crontab import lines
from jobs_lib.crontab.program import PATH
from jobs_lib.errors import FAILED, OK, UsageError
from jobs_lib.text import did_you_mean

from .crontab import place

TICK = "run-due"


def arguments(parser) -> None:
    """Declares JOB."""
    parser.add_argument("what", metavar="JOB|run-due", help="what to run; it does its real work")


def run(args, make_session, config_path) -> int:
    """0 if it ended well and printed nothing, so that cron mails nothing."""
    known = [*catalogue.names(), TICK]
    if args.what not in known:
        raise UsageError("run-as-cron: there is no job "
                         f"{args.what!r}{did_you_mean(args.what, known)}")
    session = make_session(config_path)
    line = command_of(place(session), args.what)
    console = session.console
    console.answer(f"$ {line}")
    ended = started(line)
    if ended.returncode < 0:
        console.report(f"It was killed by signal {-ended.returncode}.")
    else:
        console.report(f"It ended with {ended.returncode}.")
    console.report("Cron would mail this:" if ended.stdout else
                   "Cron would mail nothing. What is wrong is mailed once; `jobs.py status` shows "
                   "it as long as it lasts.")
    if ended.stdout:
        console.answer(ended.stdout.rstrip("\n"))
    return OK if ended.returncode == 0 and not ended.stdout else FAILED


def command_of(where: lines.Place, job: str) -> str:
    """What cron gives to the shell: the command of a crontab line, with percent signs no longer
    escaped."""
    return lines.command(where, job).replace("\\%", "%")


def started(line: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; `stdout` has everything that it printed."""
    found = pwd.getpwuid(os.getuid())
    home = found.pw_dir if os.path.isdir(found.pw_dir) else "/"
    return subprocess.run(["/bin/sh", "-c", line], cwd=home, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="backslashreplace",
                          env={"HOME": home, "LOGNAME": found.pw_name, "USER": found.pw_name,
                               "SHELL": "/bin/sh", "PATH": PATH})
