"""What is known of each job, from its runs and its schedule, and whether cron runs.

What a clock that was ahead has dated in the future does not count.
"""
from __future__ import annotations

from datetime import timedelta
from itertools import accumulate

from jobs_lib import clock, schedule
from jobs_lib.database import stored
from jobs_lib.database.schema import version
from jobs_lib.database.stored import INVALID
from jobs_lib.runner import history, slots

from .incidents import short_error

# runs in nearly every tick, last of all
WATCHER = "check_jobs"
GOOD = ("ok", "partial")
BAD = ("failed", "timeout", "vanished")
BUSY = "busy"           # `partial` for this reason did little
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# hosts let cron tick every 15 minutes, and a tick may be at work
OVERDUE = timedelta(minutes=30)
LATE_INTERVALS = 3
LOOKED_AT = 3           # the latest runs of a job: two by ticks, and one by hand
TICKS = 300             # the latest runs of WATCHER: a day of them, at least
RUN = ("id, run_id, job, slot, status, started_at, finished_at, duration_ms, stop_reason, error, "
       "counts, lease_until, installation, lock_name, host, pid")
OF_RUN = ("status", "started_at", "finished_at", "duration_ms")
NO_STATE = {"paused_at": None, "due_after": slots.OFF}


def states(db) -> dict[str, dict]:
    """{job: its row of `job_state`}."""
    version.check(db)
    return {row["job"]: row for row in db.query(
        "SELECT job, paused_at, due_after, last_options FROM {job_state}")}


def _past(value, now):
    """A time of the database, if it is over."""
    moment = stored.time(value)
    return moment if moment and moment <= now else None


def latest(*moments):
    """The last of these times, if there is any; None counts as none."""
    return max(filter(None, moments), default=None)


class Cron:
    """Whether cron runs, by the latest runs of check_jobs.

    last_run   the start of the latest run of any job
    newest     the same of the run that was written last; None where its clock was ahead
    every      the usual time between two ticks; one of more than an hour is not intended
    looked_at  the start of the last run of check_jobs that has ended, by which all others that were
               due had their turn; `now` where there is none
    gap        (from, to) of the last time without a tick that is over, within a day
    stopped    since when nothing was started that should have been
    """

    def __init__(self, db, state: dict, now) -> None:
        self.last_run = stored.time(db.value(
            "SELECT MAX(started_at) AS last FROM {job_runs} WHERE started_at <= :now", now=now))
        self.newest = _past(db.value(
            "SELECT started_at FROM {job_runs} WHERE id = (SELECT MAX(id) FROM {job_runs})"), now)
        rows = [(began, row["status"]) for row in db.query(
            "SELECT started_at, status FROM {job_runs} WHERE job = :job ORDER BY id DESC "
            "LIMIT :most", job=WATCHER, most=TICKS) if (began := _past(row["started_at"], now))]
        starts = [began for began, _ in reversed(rows)]
        # a clock that was behind has dated some before others: that is no time without ticks
        pairs = [(earlier, later) for earlier, later, latest in
                 zip(starts, starts[1:], accumulate(starts, max)) if earlier == latest < later]
        steps = sorted(later - earlier for earlier, later in pairs)
        self.every = min(steps[len(steps) // 2], HOUR) if steps else HOUR * 0
        patience = max(HOUR, 3 * self.every)
        # of a job that was paused or switched off, no run was due before
        after = _past(state["due_after"], now)
        gaps = [(begin, later) for earlier, later in pairs
                if later - (begin := max(earlier, after or earlier)) > patience]
        self.gap = gaps[-1] if gaps and now - gaps[-1][1] < DAY else None
        is_on = not state["paused_at"] and state["due_after"] not in (None, slots.OFF)
        since = latest(self.last_run, after) or now
        self.stopped = since if is_on and now - since > patience else None
        ended = (began for began, status in rows if status != "running")
        self.looked_at = next(ended, now) if is_on else now


def unknown(name: str, job=None) -> dict:
    """What is said of a job whose section or file is wrong.

    alert_after       failures in a row, until it is an incident
    interval_seconds  between two runs, as cron allows it
    last              the last run that was not skipped
    last_ok_at        start of the last run that did its work
    failures          in a row since then, `failing_since` when, and the last `error`
    late_since        the first slot that was missed, once none succeeded for three intervals
    due_since         the first one, where the latest was not started; `due`: `due now`, `overdue`
    next_at           the next slot
    invalid           rows that its last run could not read
    runs_last_day     {outcome: how many of the runs of the last day}
    """
    return {"name": name, "summary": job.summary if job else "",
            "priority": job.priority if job else "", "state": "misconfigured",
            "when": "" if job else "no usable file", "enabled": not job, "paused_at": None,
            "alert_after": 1, "interval_seconds": 0, "last": None, "last_ok_at": None,
            "failures": 0, "failing_since": None, "error": "", "late_since": None,
            "due_since": None, "due": "", "next_at": None, INVALID: 0, "runs_last_day": {}}


def look(facts, job) -> dict:
    """What is known of one job; ConfigError where its section is wrong. `facts`: facts.py."""
    config, now, zone = facts.config, facts.now, facts.zone
    options, found = config.job(job), unknown(job.name, job)
    when, rows = options.schedule, _runs(facts, job.name)
    state = facts.states.get(job.name, NO_STATE)
    paused, last = state["paused_at"], rows[0] if rows else None
    good = next(filter(_did_its_work, rows), None) or _last_good(facts, job.name)
    last_ok = stored.time(good["started_at"]) if good else None
    following = schedule.following(when, now, zone)
    every = max(schedule.following(when, following, zone) - following, facts.cron.every)
    found.update(
        when=schedule.words(when), enabled=options.enabled,
        paused_at=paused and (stored.time(paused) or now),
        alert_after=options.alert_after_failures or facts.alerts.after_failures,
        interval_seconds=int(every.total_seconds()), last_ok_at=last_ok,
        **_failures(facts, rows, good["id"] if good else 0))
    for row in facts.day:
        if row["job"] == job.name:
            numbers, status = found["runs_last_day"], stored.run(row)["status"]
            numbers[status] = numbers.get(status, 0) + int(row["runs"])
    if last:
        found["last"] = {**{name: last[name] for name in OF_RUN},
                         **{name: short_error(last[name]) for name in ("stop_reason", "error")}}
        found[INVALID] = last["counts"].get(INVALID, 0)
    if options.enabled and not paused:
        found["next_at"] = following
        if state is not NO_STATE:
            found.update(_due(facts, job, when, state["due_after"], rows))
        after = latest(last_ok, _past(state["due_after"], now))
        if after and state["due_after"] != slots.OFF:
            found["late_since"] = _late(facts, when, after, every, job.name == WATCHER)
    return {**found, "state": _state(found)}


def _runs(facts, name: str) -> list[dict]:
    """The latest that were not skipped, the last one first."""
    rows = facts.db.query(
        f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status <> 'skipped' "
        "AND started_at <= :now ORDER BY id DESC LIMIT :most",
        job=name, now=facts.now, most=LOOKED_AT)
    return history.shown([stored.run(row) for row in rows], facts.config, facts.now, facts.db)


def _did_its_work(row: dict) -> bool:
    return row["status"] in GOOD and row["stop_reason"] != BUSY


def _last_good(facts, name: str) -> dict | None:
    return facts.db.row(
        "SELECT id, started_at FROM {job_runs} WHERE job = :job AND status IN (:good) "
        "AND COALESCE(stop_reason, '') <> :busy AND started_at <= :now ORDER BY id DESC LIMIT 1",
        job=name, good=GOOD, busy=BUSY, now=facts.now)


def _failures(facts, rows: list[dict], after: int) -> dict:
    """Those after the run with this id, the last one that did its work."""
    # one that has just died still says `running` in its row
    bad = [row for row in rows if row["id"] > after and row["status"] in (*BAD, history.VANISHED)]
    if not bad:
        return {}
    row = facts.db.row(
        "SELECT COUNT(*) AS number, MIN(started_at) AS since FROM {job_runs} "
        "WHERE job = :job AND id > :after AND status IN (:bad)",
        job=bad[0]["job"], after=after, bad=BAD)
    since = stored.time(row["since"] or bad[-1]["started_at"])
    error = bad[0]["error"] or bad[0]["stop_reason"] or "the process ended without a result"
    return {"failures": max(row["number"], len(bad)),
            "failing_since": since or facts.now, "error": short_error(error)}


def _due(facts, job, when, due_after: str | None, rows: list[dict]) -> dict:
    """The first slot that was missed, where the latest one was not started."""
    db, now, zone = facts.db, facts.now, facts.zone
    slot = schedule.previous(when, now, zone)
    if (slots.is_early(when, slot, due_after, now, zone)
            or clock.text(slot) in [row["slot"] for row in rows]    # as mostly
            or slots.first_runs(db, [(job, slot)])):
        return {}
    since = slots.first_missed(when, slot, rows[0] if rows else {}, due_after, zone)
    return {"due_since": since, "due": "overdue" if now - since > OVERDUE else "due now"}


def _late(facts, when, after, every: timedelta, is_watcher: bool):
    """The first slot missed `after` the last success, if there was none for three intervals, by
    the last look at all; at check_jobs nobody looks: by the newest run.

    Just after a time without any run no job is late yet: each is given its turn first.
    """
    cron = facts.cron
    first = limit = schedule.following(when, after, facts.zone)
    for _ in range(LATE_INTERVALS - 1):
        limit = schedule.following(when, limit, facts.zone)
    limit = max(limit, after + LATE_INTERVALS * every)
    if cron.gap and cron.gap[1] > after:
        limit = max(limit, cron.gap[1] + min(limit - after, DAY))
    judged_at = cron.newest if is_watcher else cron.looked_at
    return first if judged_at and judged_at >= limit else None


def _state(job: dict) -> str:
    """In a word: what keeps it from running, or how it is doing."""
    last = job["last"]
    for state, applies in (
            ("off", not job["enabled"]), ("paused", job["paused_at"]),
            ("running", last and last["status"] == "running"),
            ("failing", job["failures"]), ("late", job["late_since"]),
            ("new", not last)):
        if applies:
            return state
    return "ok"
