"""Runs that died: what took them, time or memory, and the budget that would have spared them; and
held locks."""
from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.config.option_types import show_duration
from jobs_lib.database import stored
from jobs_lib.output.findings import note, ok, problem, run, warning
from jobs_lib.runner import clock_doubt, history

from . import holders

LOOKED_BACK = timedelta(days=14)
SHOWN = 5                                # of the last
# ended after about the same time: within a quarter of the longest
ALIKE = 0.25
SHORT = timedelta(seconds=10)            # died sooner: hardly by a limit in time
LEAST_BUDGET, STEP = 20, 10              # seconds
STARTING_SECONDS = 0.5                   # between the lock of a run and its row, more than enough
LONG_RUN = timedelta(hours=1)            # no process of ours is older


def vanished(installation):
    """The last runs that ended without a word, most often killed by the host."""
    rows = _last(installation, "vanished")
    if not rows:
        yield ok(f"no run was killed in the last {LOOKED_BACK.days} days")
        return
    lived = sorted(_lived(installation, row) for row in rows)
    names = ", ".join(f"{job} ({number})" if number > 1 else job for job, number in
                      Counter(row["job"] for row in rows).items())
    what = f"The last {len(rows)} killed runs" if len(rows) > 1 else "The last killed run"
    shortest, longest = lived[0].seconds, lived[-1].seconds
    span = f"{shortest} s" if shortest == longest else f"{shortest}-{longest} s"
    memory = [used for row in rows if (used := history.memory_of(row))]
    held = f", holding {max(memory)} MB at most" if memory else ""
    proposal = _proposal(installation, lived) if len(lived) > 1 else None
    core = installation.section("core")
    what = f"{what} ({names}) died after {span}{held}"
    if proposal and proposal < core.budget.total_seconds():
        yield warning(what, "They died at about the same time after their start: your host ends "
                      "processes then. Nothing is lost, but what was in hand is done again.",
                      run("End before it does (and lower the budget of each job that has a line of "
                          "its own):", "[core]",
                          f"budget = {show_duration(timedelta(seconds=proposal))}"))
    elif memory and lived[-1] > SHORT and core.memory is None:
        yield warning(what, "Not at the same time: perhaps at a limit of memory, or the host was "
                      "restarted.",
                      run("Ask your host for its limit, and let a run stop before it:", "[core]",
                          f"memory = {max(memory)}MB"))
    else:
        yield note(what, "Not at the same time after their start, as at a host's limit: restarts, "
                   "or a kill by hand.",
                   "`jobs.py history` shows each; the run after it went on by itself.")


def timeouts(installation):
    """Runs that hung until they were ended by ourselves."""
    rows = _last(installation, "timeout")
    if rows:
        names = ", ".join(f"{job} ({number})" for job,
                          number in Counter(row["job"] for row in rows).items())
        yield warning(f"Runs that hung and were ended by force: {names}, the last at "
                      f"{rows[0]['started_at']} UTC",
                      "Something did not answer: the database, the relay, a name server, the disk.",
                      "`jobs.py history` and the log of the job say when; docs/failures.md, A run "
                      "hung.")


def _last(installation, status: str) -> list[dict]:
    """The last runs that ended so, of all jobs, newest first."""
    db, found = installation.database(), []
    for job in installation.jobs:
        found += db.query("SELECT job, pid, host, started_at, heartbeat_at, finished_at, progress "
                          "FROM {job_runs}"
                          " WHERE job = :job AND status = :status ORDER BY id DESC LIMIT :shown",
                          job=job.name, status=status, shown=SHOWN)
    since = clock.text(installation.now - LOOKED_BACK)
    return sorted((row for row in found if row["started_at"] > since),
                  key=lambda row: row["started_at"], reverse=True)[:SHOWN]


def _lived(installation, row: dict) -> timedelta:
    """From the start of its process, which `run-due` may have used for other jobs before, to its
    last sign of life."""
    started = stored.time(row["started_at"]) or installation.now
    last = stored.time(row["heartbeat_at"]) or started
    same = installation.database().query("SELECT started_at, pid, host FROM {job_runs} "
                                    "WHERE started_at > :since AND"
                                    " started_at <= :started", since=started - LONG_RUN,
                                    started=started)
    began = min((start for other in same if (other["pid"], other["host"])
                 == (row["pid"], row["host"]) and (start := stored.time(other["started_at"]))),
                default=started)
    return max(last - began, timedelta(0))


def _proposal(installation, lived: list[timedelta]) -> int | None:
    """Seconds: the budget that, with its grace, ends before the first of them died; None where they
    differ."""
    first, last = lived[0].total_seconds(), lived[-1].total_seconds()
    if last < SHORT.total_seconds() or last - first > last * ALIKE:
        return None
    spare = first - min(installation.section("core").grace.total_seconds(), first / 4)
    return max(int(spare) // STEP * STEP, LEAST_BUDGET)


def wrong_clock(installation):
    """Whether the last run trusted the clock."""
    doubted = clock_doubt.stored(installation.database())
    if doubted and installation.section("core").max_clock_jump is not None:
        yield warning(f"Deletions wait: {clock_doubt.sentence(doubted.why, doubted)}",
                      "Everything else goes on. After a host was off it ends by itself within an "
                      "hour.",
                      "Is this host's clock right? docs/failures.md, The clock is in doubt.")
    else:
        yield ok("the last run trusted the clock")


def held_locks(installation):
    """Locks that no run of ours has: they keep jobs from running, and nothing else shows them."""
    found = holders.held(installation)
    if found:
        # a run of ours may be about to write its row, or have just ended
        time.sleep(STARTING_SECONDS)
        still = holders.held(installation)
        found = [each for each in found if each in still]
    for each in found:
        what = "Cron's runs do nothing" if each.job == holders.TICK else "That job does not run"
        yield problem(f"The lock of {each.job} is held by {each.who}, and no run of ours lives",
                      f"{what} as long as it is held.",
                      run("Look what that is. If it may be ended, end it; a restart of the host or "
                          "server does, too:", *filter(None, (each.look, each.end))))
    if not found:
        yield ok("no unknown process or connection holds the lock of a job")


CHECKS = (vanished, timeouts, wrong_clock, held_locks)
