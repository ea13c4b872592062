"""What is known of each job, from its runs and its schedule, and whether cron comes."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock, schedule
from jobs_lib.catalogue import CRON
from jobs_lib.database import stored
from jobs_lib.database.schema import version
from jobs_lib.database.stored import INVALID, LARGEST_KEY
from jobs_lib.runner import doubt, history, slots

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
TICKS = HOUR            # the longest time between two ticks that can be intended
STOPPED = HOUR          # the least time without a run before cron has stopped
# runs that a tick has started, or handed to a worker
BY_TICKS = ("scheduled", "worker")
RUN = ("id, run_id, job, slot, trigger_type, status, started_at, finished_at, duration_ms, "
       "stop_reason, error, counts, lease_until, installation, lock_name, host, pid")
OF_RUN = ("status", "started_at", "finished_at", "duration_ms")
NO_STATE = {"paused_at": None, "due_after": slots.OFF}
NOT_DUE = {"due_since": None, "overdue": False}
MISCONFIGURED = {
    "when": "", "state": "misconfigured", "enabled": False,
    "paused_at": None, "alert_after": 1, "interval_seconds": 0,
    "last": None, "last_ok_at": None, "failures": 0,
    "failing_since": None, "error": "", "late_since": None,
    "next_at": None, **NOT_DUE, INVALID: 0}


def states(db) -> dict[str, dict]:
    """{job: its row of `job_state`}."""
    version.check(db)
    return {row["job"]: row for row in db.query(
        "SELECT job, paused_at, due_after, last_options FROM {job_state}")}


def about(job) -> dict:
    """What it is."""
    return {"name": job.name, "summary": job.summary, "priority": job.priority}


def due(db, job, options, state: dict | None, runs: list[dict], now, zone) -> dict:
    """`due_since`: the first slot that was missed, where the latest one was not started; and
    whether it is `overdue`. `runs`: the job's latest ones."""
    if not options.enabled or not state or state["paused_at"]:
        return NOT_DUE
    when, after = options.schedule, state["due_after"]
    slot = schedule.previous(when, now, zone)
    if (slots.is_early(when, slot, after, now, zone)
            or clock.text(slot) in [run["slot"] for run in runs]    # as mostly
            or slots.first_runs(db, [(job, slot)])):
        return NOT_DUE
    last = next((run for run in runs if run["status"] != "skipped"), {})
    since = slots.first_missed(when, slot, last, after, zone)
    return {"due_since": since, "overdue": now - since > OVERDUE}


def past(value, now):
    """A time of the database if it is over, else None: a wrong clock wrote one in the future."""
    moment = stored.time(value)
    return moment if moment and moment <= now else None


def _latest(*moments):
    return max(filter(None, moments), default=None)


# Whether cron comes

class Cron:
    """By the runs of check_jobs of the last day, and the last one before.

    last_run    the start of the latest run of any job
    first       the first id of the runs of the last day: an index leads from it to any job's
    watched_at  the start of the last run of check_jobs that has ended
    gap         (from, to) of the last time without a tick that is over
    stopped     since when nothing was started that should have been
    is_changed  whether the latest run had another clock than this one: what is late by this clock
                may only wait for its next tick
    """

    def __init__(self, db, state: dict, now) -> None:
        self.now = now
        self.last_run = stored.time(db.value("SELECT MAX(started_at) AS last FROM {job_runs} "
                                             "WHERE started_at <= :now", now=now))
        self.first = db.value(
            "SELECT MIN(id) AS id FROM {job_runs} WHERE started_at >= :since "
            "AND started_at <= :now", since=now - DAY, now=now) or LARGEST_KEY
        newest = stored.time(db.value("SELECT started_at FROM {job_runs} WHERE id = "
                                      "(SELECT MAX(id) FROM {job_runs})"))
        apart = newest - (self.last_run or now) if newest else HOUR * 0
        self.is_changed = abs(apart) > doubt.APART
        rows = db.query(
            "SELECT started_at, status FROM {job_runs} WHERE job = :job AND id >= COALESCE((SELECT "
            "MAX(id) FROM {job_runs} WHERE job = :job AND id < :first), 0) ORDER BY id",
            job=WATCHER, first=self.first)
        self.watched_at = _latest(*(past(row["started_at"], now) for row in rows
                                    if row["status"] != "running"))
        starts = (stored.time(row["started_at"]) for row in rows)
        after = state["due_after"]
        self._look([*filter(None, starts)], past(after, now))
        if state["paused_at"] or after in (None, slots.OFF):
            self.stopped = None

    def _look(self, starts: list, waited_for) -> None:
        """Find the gap. `starts`: in the order in which they were written; where a wrong clock has
        dated others in between, there is none."""
        pairs = list(zip(starts, starts[1:]))
        steps = sorted(later - earlier for earlier, later in pairs)
        usual = steps[len(steps) // 2] if steps else STOPPED * 0
        patience = max(STOPPED, 3 * min(usual, TICKS))
        self.gap = latest = None
        for earlier, later in pairs:
            if earlier <= self.now:
                latest = _latest(latest, earlier)
            begin = _latest(earlier, waited_for)
            if earlier == latest and later <= self.now and later - begin > patience:
                self.gap = begin, later
        since = _latest(self.last_run, waited_for) or self.now
        self.stopped = since if self.now - since > patience else None


# One job

class Looks:
    """What all jobs are looked at with. `look(job)`: what is known of one."""

    def __init__(self, db, config, now, zone) -> None:
        self.db, self.config, self.now, self.zone = db, config, now, zone
        self.alerts, self.states = config.section("alerts"), states(db)
        self.cron = Cron(db, self.states.get(WATCHER, NO_STATE), now)

    def look(self, job) -> dict:
        """All of it; ConfigError where its section is wrong.

        alert_after       failures in a row, until it is an incident
        interval_seconds  between two runs, as cron allows it
        last              the last run that was not skipped
        last_ok_at        start of the last run that did its work
        failures          in a row since then, `failing_since` when, and the last `error`
        late_since        the first slot that was missed, once none succeeded for three intervals
        due_since         the first one, where the latest was not started
        next_at           the next slot
        invalid           rows that its last run could not read
        """
        db, now, zone = self.db, self.now, self.zone
        options = self.config.job(job)
        when, rows = options.schedule, self._runs(job.name)
        state = self.states.get(job.name, NO_STATE)
        last = rows[0] if rows else None
        good = next(filter(_did_its_work, rows), None) or self._last_good(job)
        ended_well = [*filter(_did_its_work, rows), *([good] if good else [])]
        last_ok = _latest(*(past(row["started_at"], now) for row in ended_well))
        paused, every = state["paused_at"], self._interval(when, rows)
        found = {
            **about(job), "when": schedule.words(when), "enabled": options.enabled,
            "paused_at": paused and (stored.time(paused) or now),
            "alert_after": options.alert_after_failures or self.alerts.after_failures,
            "interval_seconds": int(every.total_seconds()),
            "last": last and {
                **{name: last[name] for name in OF_RUN},
                "stop_reason": short_error(last["stop_reason"]),
                "error": short_error(last["error"])},
            "last_ok_at": last_ok, **self._failures(rows, good),
            "late_since": None, "next_at": None,
            **due(db, job, options, state, rows, now, zone),
            INVALID: last["counts"].get(INVALID, 0) if last else 0}
        if options.enabled and not paused:
            found["next_at"] = schedule.following(when, now, zone)
            after = _latest(last_ok, past(state["due_after"], now))
            by_cron = self.config.mode(job) == CRON
            judged_at = now if by_cron else self.cron.watched_at
            if after and judged_at and state["due_after"] != slots.OFF:
                found["late_since"] = self._late(when, after, every, judged_at)
        return {**found, "state": _state(found)}

    def _runs(self, name: str) -> list[dict]:
        """The latest that were not skipped, the last one first."""
        rows = self.db.query(
            f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status <> 'skipped' "
            "ORDER BY id DESC LIMIT :most", job=name, most=LOOKED_AT)
        return history.shown([stored.run(row) for row in rows], self.config, self.now, self.db)

    def _last_good(self, job) -> dict | None:
        rows = (self.db.row(
            f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status = :status "
            "AND (stop_reason IS NULL OR stop_reason <> :busy) ORDER BY id DESC LIMIT 1",
            job=job.name, status=status, busy=BUSY) for status in GOOD)
        return max((stored.run(row) for row in rows if row),
                   key=lambda row: row["id"], default=None)

    def _failures(self, rows: list[dict], good: dict | None) -> dict:
        after = good["id"] if good else 0
        # one that has just died still says `running` in its row
        bad = [row for row in rows if row["id"] > after
               and row["status"] in (*BAD, history.VANISHED)]
        if not bad:
            return {"failures": 0, "failing_since": None, "error": ""}
        row = self.db.row(
            "SELECT COUNT(*) AS number, MIN(started_at) AS since FROM {job_runs} "
            "WHERE job = :job AND id > :after AND status IN (:bad)",
            job=bad[0]["job"], after=after, bad=BAD)
        since = stored.time(row["since"] or bad[-1]["started_at"])
        error = bad[0]["error"] or bad[0]["stop_reason"] or "the process ended without a result"
        return {"failures": max(row["number"], len(bad)),
                "failing_since": since or self.now, "error": short_error(error)}

    def _interval(self, when, rows: list[dict]) -> timedelta:
        """Between two runs: the schedule's step, or the time between two ticks where that is
        longer."""
        first = schedule.following(when, self.now, self.zone)
        step = schedule.following(when, first, self.zone) - first
        starts = [stored.time(row["started_at"]) for row in rows
                  if row["trigger_type"] in BY_TICKS]
        between = (later - earlier for later, earlier in zip(starts, starts[1:])
                   if later and earlier and later > earlier)
        return max(step, min(next(between, step), TICKS))

    def _late(self, when, after, every: timedelta, judged_at):
        """The first slot missed `after` the last success, if there was none for three intervals.

        Just after a time without any run no job is late yet: each is given its turn first.
        """
        first = limit = schedule.following(when, after, self.zone)
        for _ in range(LATE_INTERVALS - 1):
            limit = schedule.following(when, limit, self.zone)
        limit = max(limit, after + LATE_INTERVALS * every)
        cron = self.cron
        end = self.now if cron.is_changed else cron.gap and cron.gap[1]
        if end and end > after:
            limit = max(limit, end + min(limit - after, DAY))
        return first if judged_at >= limit else None


def _did_its_work(row: dict) -> bool:
    return row["status"] in GOOD and row["stop_reason"] != BUSY


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
