"""Cron: is it coming, how often does this host really tick, is the crontab in twice?"""
from __future__ import annotations

import os
from datetime import datetime, timedelta
from types import SimpleNamespace

from jobs_lib import clock, schedule
from jobs_lib.crontab.installed import ours
from jobs_lib.database import stored
from jobs_lib.monitoring.overdue import past, waiting
from jobs_lib.output.findings import note, ok, problem, run, warning
from jobs_lib.runner import slots
from jobs_lib.text import span

from . import NothingToAsk

BY_CRON = "trigger_type IN ('scheduled', 'continue')"
# after an installation: hosts let cron tick every 15 minutes
SOON = timedelta(minutes=30)
SILENT = timedelta(minutes=65)           # some hosts let it tick once an hour
LOOKED_BACK = timedelta(days=2)
RUNS, LEAST_RUNS = 50, 4
RARELY, STALLED = 1.5, 3                 # times the usual time between two ticks
# the line of `jobs.py crontab` comes so often
HOUR, USUAL = timedelta(hours=1), timedelta(minutes=5)


def arriving(installation):
    """When cron came last, by the lock of `run-due`, which each tick touches, and by the runs that
    it started."""
    last, since = _last_tick(installation), _known_since(installation) or installation.now
    fix = run("See that the line is in your host's cron page or in `crontab -e`, with paths that "
               "are right:", "python3 jobs.py crontab")
    text, why = installation.crontab()
    if text is not None and not ours(text, installation.script):
        fix = run("Put the line into this user's crontab, or print it, for your host's cron page:",
                  "python3 jobs.py crontab --install", "python3 jobs.py crontab")
    entered = "" if text is None else (" A line is in this user's crontab."
                                       if ours(text, installation.script) else
                                       " No line for this jobs.py is in this user's crontab.")
    if last is None and installation.now - since < SOON:
        yield note(f"Cron has not come yet.{entered}".rstrip("."), "The jobs run by it.", fix)
    elif last is None:
        yield problem(f"Cron has never come since {clock.text(since)} UTC.{entered}".rstrip("."),
                      f"No job runs by itself. {why.capitalize()}".rstrip(), fix)
    elif installation.now - last > SILENT:
        yield problem(f"Cron came last {span(installation.now - last)} ago, at {clock.text(last)} "
                      f"UTC.{entered}".rstrip("."),
                      "No job runs by itself. What was missed is made up when it comes again.",
                      fix)
    else:
        yield ok(f"cron came {span(installation.now - last)} ago")


def _last_tick(installation) -> datetime | None:
    row = installation.database().row(f"SELECT started_at FROM {{job_runs}} WHERE {BY_CRON} "
                                 "ORDER BY id DESC LIMIT 1")
    found = [start] if row and (start := stored.time(row["started_at"])) else []
    try:
        touched = os.stat(os.path.join(installation.state_dir, "locks", "run-due.lock")).st_mtime
        found.append(datetime.fromtimestamp(touched, clock.UTC))
    except OSError:
        pass
    return max(found, default=None)


def _known_since(installation) -> datetime | None:
    rows = installation.database().query("SELECT due_after FROM {job_state} "
                                         "WHERE due_after IS NOT NULL")
    return min((since for row in rows if row["due_after"] != slots.OFF
                and (since := stored.time(row["due_after"]))), default=None)


def rhythm(installation):
    """How often it really comes, by the runs of a job that is due at least every 5 minutes."""
    jobs = [job.name for job in installation.jobs if (options := installation.job(job)).enabled
            and options.schedule.every_hour and HOUR / bin(options.schedule.minutes).count("1")
            <= USUAL]
    starts = max((_starts(installation, job) for job in jobs), key=len, default=[])
    gaps = [after - before for before, after in zip(starts, starts[1:])]
    if len(gaps) < LEAST_RUNS:
        raise NothingToAsk
    usual = sorted(gaps)[len(gaps) // 2]
    longest, begin = max(zip(gaps, starts))
    if usual > USUAL * RARELY:
        yield note(f"Cron really comes every {span(_minutes(usual))} here, not every {span(USUAL)}",
                   "Nothing is lost by it; things happen later.",
                   f"If your host allows more, let it come every {span(USUAL)}.")
    else:
        yield ok(f"cron comes every {span(_minutes(usual))}")
    if longest > max(usual * STALLED, HOUR):
        yield note(f"Cron stayed away for {span(longest)}, from {clock.text(begin)} UTC on",
                   "What was missed then was made up.", "If it happens often, ask your host why.")


def _starts(installation, job: str) -> list[datetime]:
    """When cron started the job recently."""
    rows = installation.database().query("SELECT started_at FROM {job_runs} WHERE job = :job "
                                    f"AND {BY_CRON}"
                                    " ORDER BY id DESC LIMIT :runs", job=job, runs=RUNS)
    return sorted(start for row in rows
                  if (start := stored.time(row["started_at"])) and start > installation.now
                  - LOOKED_BACK)


def _minutes(length: timedelta) -> timedelta:
    return timedelta(minutes=max(1, round(length / timedelta(minutes=1))))


def late(installation):
    """Jobs that were due long ago, although cron comes."""
    last = _last_tick(installation)
    if last is None or installation.now - last > SILENT:
        raise NothingToAsk                      # one cause, reported above
    session = SimpleNamespace(config=installation.config,
                              ports=SimpleNamespace(database=installation.database,
                                                    now=lambda: installation.now))
    states, runs, _ = past(session, installation.jobs)
    zone = schedule.zone(installation.section("core").timezone)
    found = {}
    if states:
        found = waiting(installation.database(), installation.config, installation.jobs, states,
                        runs, installation.now, zone)
    overdue = [f"{job} since {state['due_since']} UTC" for job, state in sorted(found.items())
               if state["overdue"]]
    if overdue:
        yield warning(f"Overdue: {', '.join(overdue)}",
                      "Cron comes too rarely, or the jobs before them take all of its time.",
                      "`jobs.py history` shows what ran instead. A per-job crontab has to name "
                      "each of them.")


def twice(installation):
    """One installation works on the database."""
    rows = installation.database().query("SELECT installation, host, started_at FROM {job_runs} "
                                    "WHERE started_at > :since"
                                    f" AND {BY_CRON} AND installation <> ''", since=installation.now
                                    - LOOKED_BACK)
    others = sorted({(row["installation"], row["host"]) for row in rows
                     if row["installation"] != installation.own_id()})
    if others and installation.own_id() and len({row["installation"] for row in rows}) > 1:
        core, hosts = installation.section("core"), ", ".join(sorted({host for _, host in others}))
        say = problem if core.lock == "file" else note
        yield say("Another installation has worked on this database in the last two days (on "
                  f"{hosts})", "With lock files of their own, two runs of a job can be at work at "
                  "the same time." if core.lock == "file" else "The lock in the database keeps "
                  "their runs apart.",
                  "Remove the cron line of one of them, or set [core] lock = database in both."
                  if core.lock == "file" else "If that is meant, all is well.")


CHECKS = (arriving, rhythm, late, twice)
