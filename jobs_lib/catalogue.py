"""What a job is, and which jobs there are: the files in `jobs/`. The file name is the name
everywhere. Every tick loads every declaration, so they are plain (docs/dev/decisions.md, "An idle
tick loads almost nothing").
"""
from __future__ import annotations

import os

from .errors import JobsError, UsageError, not_whole
from .records import namedtuple
from .text import did_you_mean

# a folder of plug-ins: named, and not imported, since those import what loads them
JOBS = f"{__package__}.jobs"
PRIORITIES = ("critical", "high", "normal", "low", "last")
# after all others of a tick, and also when they have used up its time: it judges them
LAST = "last"
CRON, RQ, CELERY = MODES = ("cron", "rq", "celery")  # who runs it

Job = namedtuple("Job", "schedule run priority budget enabled options sections sample tables name "
                 "summary doc", defaults=("normal", "4m", "yes", {}, (), (), "", "", "", ""))
Job.__doc__ = """One job.

schedule     five-field cron expression
run          function of a Context, returns counts ({"deleted": 12})
priority     one of PRIORITIES; `run-due` starts the critical ones first
budget       duration as text: how long one run may work before it stops between items
options      {name: Option}: the job's own section in config.ini
sections     the shared sections it reads (`mail`, `spool`): checked before it starts
sample       columns that a dry run may show
tables       the app's tables that it works on: `users= audit_logs+ sessions-`; it changes, adds or
             deletes rows where there is a `=`, `+` or `-`. tests/test_tables.py proves it
name         the module's file name: command, lock, log, config section, docs, test
summary      the first line of the module's docstring; doc: all of it
"""
# What several jobs work on: to notify owners, to write audit rows, to see which rows name a file
NOTIFIES = "users "
AUDITS = "audit_logs+ "
NAMES_FILES = "failed_emails overflow_hold spam_quarantine "


def declare(**declared):
    """Describe the function below as a job, with the name of its module."""
    return lambda run: Job(run=run, name=run.__module__.rpartition(".")[2], **declared)


def names() -> list[str]:
    """Every job's name, sorted; no module is loaded for it."""
    return modules(__import__(JOBS, fromlist=["__path__"]).__path__)


def missing(known) -> list[str]:
    """A sentence for each of these jobs whose file is not there. `known`: names."""
    return [f"jobs_lib/jobs/{name}.py is missing: upload it again"
            for name in sorted(known) if name not in names()]


def left_out(name: str) -> str:
    """The same of a name that crontab.txt has, with its line for each job; "" of any other."""
    from linecache import getlines  # [] of a file that cannot be read
    return "".join(missing(
        name for line in getlines(os.path.join(os.path.dirname(__file__), "../crontab.txt"))
        if f" {name} --scheduled\n" in line))


def load(name: str) -> Job:
    """The job of that name, importing its module alone. UsageError, with the nearest name, if there
    is none; JobsError for a file that cannot be loaded."""
    if name not in names():
        raise UsageError(left_out(name) or f"there is no job {name!r}"
                         f"{did_you_mean(name, names())} (`jobs.py list` shows every job)")
    return _load(name)


def _load(name: str) -> Job:
    try:
        module = __import__(f"{JOBS}.{name}", fromlist=["job"])
        doc = (module.__doc__ or "").strip()
        return module.job._replace(name=name, doc=doc, summary=doc.partition("\n")[0].rstrip("."))
    except Exception as error:  # half an upload can break a file in any way
        raise JobsError(not_whole(error) or f"the job {name} cannot be loaded: "
                        f"{type(error).__name__}: {error}. Upload its file again") from error


def load_all(broken: list[str] | None = None) -> list[Job]:
    """Every job, by name. A file that cannot be loaded stops none of the others if there is a list
    `broken`, which gets the error's message."""
    found = []
    for name in names():
        try:
            found.append(_load(name))
        except JobsError as error:
            if broken is None:
                raise
            broken.append(str(error))
    return found


def modules(folders) -> list[str]:
    """The names of the modules in a package's folders, sorted."""
    return sorted(file[:-3] for folder in folders for file in os.listdir(folder)
                  if file.endswith(".py") and file[0] != "_" and file[:-3].isidentifier())
