"""What a job is, and which jobs there are: the files in `jobs/`. The file name is the name
everywhere. Every tick loads every declaration, so they are plain (docs/dev/decisions.md, "An idle
tick loads almost nothing")."""
from __future__ import annotations

import os

from .errors import ConfigError, UsageError
from .records import namedtuple
from .text import did_you_mean, either

# a folder of plug-ins: named, and not imported, since those import what loads them
JOBS = f"{__package__}.jobs"
HOME = os.path.dirname(os.path.dirname(__file__))
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
    """Every job's name, sorted, also without its file; no module is loaded."""
    package = __import__(JOBS, fromlist=["__path__"])
    return sorted({*modules(package.__path__), *package.ALL})


def load(name: str) -> Job:
    """The job of that name. UsageError if there is none; ConfigError unless its file is whole."""
    if name not in names():
        raise UsageError(f"there is no job {name!r}{did_you_mean(name, names())} (`jobs.py list` "
                         "shows every job)")
    return load_all([name])[0]


def load_all(wanted: list[str] | None = None) -> list[Job]:
    """Every job, by name, or those; ConfigError unless each file is whole."""
    jobs, problems = usable(wanted)
    if problems:
        raise ConfigError(*problems)
    return jobs


def usable(wanted: list[str] | None = None) -> tuple[list[Job], list[str]]:
    """(the jobs whose files are whole, [a sentence on others])."""
    found, wrong = [], {}
    for name in wanted or names():
        try:
            module = __import__(f"{JOBS}.{name}", fromlist=["job"])
            doc = (module.__doc__ or "").strip()
            summary = doc.partition("\n")[0].rstrip(".")
            found.append(module.job._replace(name=name, doc=doc, summary=summary))
        except SyntaxError as error:  # or in what it imports
            path = os.path.relpath(str(error.filename), HOME)
            wrong[name] = path, f" (line {error.lineno}: {error.msg})"
        except ImportError as error:
            wrong[name] = f"{(error.name or name).replace('.', '/')}.py", ""
        except Exception as error:  # noqa: BLE001  half a file can raise any
            wrong[name] = f"jobs_lib/jobs/{name}.py", f" ({error!r})"
    return found, [_sentence(wrong)] if wrong else []


def _sentence(wrong: dict) -> str:
    """Of {job: (the file that is not whole, why)}."""
    files = [*dict.fromkeys(file for file, _ in wrong.values())]
    reasons = dict.fromkeys(why for _, why in wrong.values())
    are, file = ("are", "files") if files[1:] else ("is", "file")
    those, do = ("jobs", "do") if len(wrong) > 1 else ("job", "does")
    return (f"{either(files, 'and')} {are} missing or incomplete: "
            f"the {those} {either([*wrong], 'and')} {do} not run. "
            f"Upload the {file} again{''.join(reasons)}")


def modules(folders) -> list[str]:
    """The names of the modules in a package's folders, sorted."""
    return sorted(file[:-3] for folder in folders for file in os.listdir(folder)
                  if file.endswith(".py") and file[0] != "_" and file[:-3].isidentifier())
