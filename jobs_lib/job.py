"""What a job is: one frozen value that says what it does, when, and with which options.

Plain named tuples, because every tick loads every declaration and `dataclasses` alone would cost
more than all of them (docs/decisions.md, "An idle tick loads almost nothing").
"""
from __future__ import annotations

from .records import namedtuple

PRIORITIES = ("critical", "high", "normal", "low", "last")
# after all others of a tick, and also when they have used up its time: it judges them
LAST = "last"
CRON, RQ, CELERY = MODES = ("cron", "rq", "celery")         # who runs it

Job = namedtuple("Job", "name summary doc schedule priority budget enabled options sections "
                 "sample run tables", defaults=("",))
Job.__doc__ = """One job.

name         the module's file name: command, lock, log, config section, docs, test
summary      the first line of the module's docstring; doc: all of it
schedule     five-field cron expression, in the configured zone
priority     one of PRIORITIES; `run-due` starts the critical ones first
budget       duration as text: how long one run may work before it stops between items
options      {name: Option}: the job's own section in config.ini
sections     the shared sections it reads (`mail`, `spool`): checked before it starts
sample       columns that a dry run may show
run          function of a Context, returns counts ({"deleted": 12})
tables       the app's tables that it works on: `users= audit_logs+ sessions-`; it changes, adds or
             deletes rows where there is a `=`, `+` or `-`. tests/test_tables.py proves it
"""
MARKS = "=+-"
# What several jobs work on: those that notify owners, those that write audit rows, and those that
# look up which rows name a file of the spool.
NOTIFIES = "users "
AUDITS = "audit_logs+ "
NAMES_FILES = "failed_emails overflow_hold spam_quarantine "


def declare(*, schedule: str, priority: str = "normal", budget: str = "4m", enabled: bool = True,
            options: dict | None = None, sections: tuple = (),
            sample: tuple = (), tables: str = ""):
    """Describe the function below as a job; nothing is registered, the module's name is its
    name."""
    if priority not in PRIORITIES:
        raise ValueError(f"priority {priority!r}: expected one of {', '.join(PRIORITIES)}")

    def make(run) -> Job:
        return Job(run.__module__.rpartition(".")[2], "", "", schedule, priority, budget, enabled,
                   options or {}, sections, sample, run, tables)
    return make


def tables_of(job) -> dict[str, str]:
    """{table of the app's that a job works on: its marks}."""
    found: dict[str, str] = {}
    for word in job.tables.split():
        name = word.rstrip(MARKS)
        found[name] = found.get(name, "") + word[len(name):]
    return found
