"""Cron and what it ran: does it come, from how many installations, what killed runs, and what needs
the operator."""
from __future__ import annotations

import os
from collections import Counter
from datetime import datetime, timedelta

from jobs_lib import clock
from jobs_lib.crontab import installed
from jobs_lib.database import stored
from jobs_lib.output.findings import note, of_incident, ok, problem, run, warning
from jobs_lib.text import setting, span

BY_CRON = "trigger_type IN ('scheduled', 'continue')"
SILENT = timedelta(minutes=65)  # some hosts let it tick once an hour
RECENT, LAST_WEEKS = timedelta(days=2), timedelta(days=14)
KILLED, ALIKE = 5, 0.25                  # the last runs; "at about the same time": a quarter
SHORT, LEAST_BUDGET, STEP = 10, 20, 10   # seconds: died sooner, hardly by a limit in time
# of monitoring: what other checks find
FOUND_HERE = ("configuration", "disk", "installation")
CRON = "late:cron"  # the key of an incident


def cron(installation):
    """When cron came last, by the lock of `run-due`, which each tick touches, and by the runs that
    it started."""
    text, why = installed.read()
    lines = installed.ours(text or "", installation.script)
    for number, command in lines:
        if "--yes" in command.split():
            yield problem(f"Line {number} of the crontab has --yes: {command}",
                          "It confirms unseen what the guard has stopped, each time.",
                          "Take it out (`crontab -e`), and confirm by hand.")
    last = _last_tick(installation)
    if last and installation.now - last <= SILENT:
        yield ok(f"cron came {span(installation.now - last)} ago")
        return
    came = f"came last {span(installation.now - last)} ago" if last else "has not come yet"
    known = ("A line is in this user's crontab" if lines else
             "This user's crontab has no line for it" if text is not None else
             why[:1].upper() + why[1:])
    say = problem if last else warning
    yield say(f"Cron {came}. {known}", "No job runs by itself. What was missed is made up when it "
              "comes again.", run("Put the line into this user's crontab, or print it, for your "
                                  "host's cron page:", "python3 jobs.py crontab --install",
                                  "python3 jobs.py crontab"))


def _last_tick(installation) -> datetime | None:
    found = []
    lock = os.path.join(installation.section("core").state_dir, "locks", "run-due.lock")
    if os.path.exists(lock):
        found.append(datetime.fromtimestamp(os.stat(lock).st_mtime, clock.UTC))
    row = installation.database().row(f"SELECT started_at FROM {{job_runs}} WHERE {BY_CRON} "
                                      "ORDER BY id DESC LIMIT 1")
    started = stored.time(row["started_at"]) if row else None
    return max([*found, *([started] if started else [])], default=None)


def two_installations(installation):
    """One installation works on the database, or its locks are there, too."""
    core = installation.section("core")
    rows = installation.database().query(
        "SELECT DISTINCT installation, host FROM {job_runs} WHERE started_at > :since AND "
        f"{BY_CRON} AND installation <> ''", since=installation.now - RECENT)
    hosts = ", ".join(sorted({str(row["host"]) for row in rows}))
    if len({row["installation"] for row in rows}) > 1 and core.lock == "file":
        yield problem("More than one installation has worked on this database in the last two "
                      f"days (on {hosts})", "With lock files of their own, two runs of a job can "
                      "be at work at the same time.",
                      "Remove the cron line of one of them, or set [core] lock = database in both.")


def vanished(installation):
    """The last runs that ended without a word, most often killed by the host, and the budget that
    would have spared them."""
    rows = installation.database().query(
        "SELECT job, pid, host, started_at, heartbeat_at FROM {job_runs} WHERE status = 'vanished' "
        "AND started_at > :since ORDER BY id DESC LIMIT :killed",
        since=installation.now - LAST_WEEKS, killed=KILLED)
    if not rows:
        yield ok(f"no run was killed in the last {LAST_WEEKS.days} days")
        return
    lived = sorted(_seconds(installation, row) for row in rows)
    names = ", ".join(f"{job} ({number})" for job, number in
                      Counter(str(row["job"]) for row in rows).items())
    what = f"The last killed runs ({names}) died after {lived[0]}-{lived[-1]} s"
    grace = installation.section("core").grace.total_seconds()
    budget = max(int(lived[0] - min(grace, lived[0] / 4)) // STEP * STEP, LEAST_BUDGET)
    is_alike = len(rows) > 1 and lived[-1] - lived[0] <= lived[-1] * ALIKE
    if (is_alike and lived[-1] >= SHORT
            and budget < installation.section("core").budget.total_seconds()):
        yield warning(what, "They died at about the same time after their start: your host ends "
                      "processes then. Nothing is lost, but what was in hand is done again.",
                      run("End before it does (and lower the budget of each job that has a line of "
                          "its own):", "[core]",
                          f"budget = {setting(timedelta(seconds=budget))}"))
    else:
        yield note(what, "Not at the same time after their start, as at a host's limit in time: a "
                   "restart, a limit of memory, or a kill by hand.",
                   "`jobs.py history` shows each; the run after it went on by itself.")


def _seconds(installation, row: dict) -> int:
    """From the start of its process, which `run-due` may have used for other jobs before, to its
    last sign of life."""
    started = stored.time(row["started_at"]) or installation.now
    last = stored.time(row["heartbeat_at"]) or started
    first = stored.time(installation.database().value(
        "SELECT MIN(started_at) AS first FROM {job_runs} WHERE started_at > :since AND "
        "started_at <= :started AND pid = :pid AND host = :host",
        since=started - timedelta(hours=1), started=started, pid=row["pid"], host=row["host"]))
    return max(int((last - min(first or started, started)).total_seconds()), 0)


def incidents(installation):
    """What needs the operator, as `status` has it, but for what the checks here find by
    themselves."""
    from jobs_lib.monitoring import overview

    found = overview.collect(installation.config, installation.database(), installation.now)
    for each in found["incidents"]:
        if each["kind"] not in FOUND_HERE and each["key"] != CRON:
            yield of_incident(each)


CHECKS = (cron, two_installations, vanished, incidents)
