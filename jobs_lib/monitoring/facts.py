"""What is known of jobs, queues and host, from the database, the configuration and the folders;
nothing is written, and nothing is judged.

    found = facts.collect(db, config, catalogue.load_all(broken), now, broken)
    found.jobs["retry_forwards"].failures
    incidents.find(found)                       which of it needs the operator

`check_jobs`, `status`, `report` and `metrics` read it, so that all of them report the same.
"""
from __future__ import annotations

import os
from datetime import timedelta
from functools import partial

from jobs_lib import schedule
from jobs_lib.database import stored
from jobs_lib.database.schema import version
from jobs_lib.database.values import LARGEST_KEY
from jobs_lib.engines import guard, relay, spool
from jobs_lib.errors import ConfigError
from jobs_lib.job import CRON
from jobs_lib.records import namedtuple
from jobs_lib.runner import access, dead_runs, doubt, incident_files, slots

from . import overdue
from .queues import queues

Facts = namedtuple("Facts", "now zone alerts jobs queues relay refusing sent disks last_run_at "
                   "stopped gap problems lacking lack recorded unusable doubt held")
Facts.__doc__ = """Everything, at `now`. Times are aware UTC.

zone         `[core] timezone`, for texts                alerts  the section
jobs         {name: JobFacts}                            queues  {name: QueueFacts} (queues.py)
relay        row of `relay_state` while it is paused, or None
refusing     [relay.Refusing]: who refuses every message
sent         function -> {"hour": (recipients, limit), ...}: few who look need it
disks        [Disk]: where we write, one for each file system
last_run_at  start of the latest run of any job
stopped      since when nothing was started that should have been, or None
gap          (from, to) of the last such time that is over, within a day, or None
problems     [Problem]: what cannot be used at all
lacking      names of enabled jobs for which the app's tables lack something; `lack`: what, in words
recorded     [(name, since, error)]: incidents that last, by runner/incident_files.py
unusable     sentences about files of ours that this user, or the user of the jobs, cannot use
doubt        (sentence, since, what): of runner/doubt.py, or None
held         [(job, guard.Held)]: what the guard holds back
"""
Problem = namedtuple("Problem", "name sentence jobs")
Problem.__doc__ = """A job or a section (`name`) that cannot be used, why, and which jobs do not run
for it."""
Disk = namedtuple("Disk", "names path free total")           # free and total in bytes, for us


class JobFacts(namedtuple("JobFacts", "name priority enabled paused_at schedule most_failures last "
                          "last_ok_at failures failing_since last_error running vanished "
                          "vanished_at late_since next_at interval")):
    """One job. Times are aware UTC or None; rows are of `job_runs`.

    most_failures  after how many in a row it is an incident
    last           the last run that was not skipped
    last_ok_at     start of the last run that did its work, `partial` ones too
    failures       in a row since then, with `failing_since` and `last_error`
    running        the row of a run at work
    vanished       runs of the last day that ended without a result; `vanished_at`: the latest
    late_since     the first slot that was missed, once there was no success for three intervals
    next_at        the next slot                interval  between two runs, as cron allows it
    """

    __slots__ = ()

    @property
    def when(self) -> str:
        """Its schedule in words."""
        return schedule.words(self.schedule)


View = namedtuple("View", "db config now zone alerts states pause vanished watched_at")
View.__doc__ = """What all jobs are looked at with.

states      {job: row of job_state}       pause  (from, to) when no job could run, or None
vanished    {job: starts of the runs of the last day that ended without a result, latest first}
watched_at  when check_jobs last looked: what this tick has handed to workers is still to be done
"""

WATCHER = "check_jobs"                  # runs in nearly every tick, last of all
GOOD, BAD = ("ok", "partial"), ("failed", "timeout", "vanished")
BUSY = "busy"                           # `partial` for this reason did little
DAY = timedelta(days=1)
LATE_INTERVALS = 3
LOOKED_AT, FEW = 20, 2                  # runs of a job, and of one that works as it should
TICKS = timedelta(hours=1)              # the longest time between two ticks that can be intended
STOPPED = timedelta(hours=1)            # the least time without a run before cron counts as stopped
HOUR = len("2026-11-24 14")             # the characters of a time that say its hour
BY_TICKS = ("scheduled", "worker")      # runs that a tick has started, or handed to a worker
RUN = ("id, run_id, job, slot, trigger_type, status, started_at, finished_at, duration_ms, "
       "stop_reason, error, lease_until, installation, lock_name, host, pid")


def collect(db, config, jobs, now, broken=()) -> Facts:
    """All of it. `broken`: sentences about job files that cannot be loaded (catalogue.load_all).
    ConfigError when [alerts] is wrong."""
    alerts, zone = config.section("alerts"), schedule.zone(config.section("core").timezone)
    states, day = overdue.states(db), first_of_day(db, now)
    last = stored.time(db.value("SELECT MAX(started_at) AS last FROM {job_runs} "
                                "WHERE started_at <= :now", now=now))
    beats = Heartbeats(db, states.get(WATCHER), day, now)
    gap, clock_changed = beats.gap(), _clock_changed(db, last, now)
    view = View(db, config, now, zone, alerts, states, (now, now) if clock_changed else gap,
                _vanished(db, now), beats.last_ended)
    problems, found, usable = [Problem("jobs_lib/jobs", each, ()) for each in broken], {}, []
    for job in jobs:
        try:
            found[job.name] = _job(view, job)
            usable.append(job)
        except ConfigError as error:
            problems.append(Problem(job.name, "; ".join(error.problems), (job.name,)))
    lacking, lack = _lacking(db, usable)
    able = [job for job in usable if job.name not in lacking]
    mail = _mail(config)
    return Facts(
        now, zone, alerts, found,
        queues(db, config, able, now, {name: job.interval for name, job in found.items()}, day),
        mail and relay.pause_now(db, now), relay.of_everybody(db, now),
        partial(_sent, db, mail, now), disks(config), last, beats.stopped(last), gap,
        [*problems, *_sections(db, config, usable)],
        tuple(name for name in lacking if found[name].enabled and not found[name].paused_at), lack,
        _recorded(config), access.unusable(config), _doubt(db, now, clock_changed),
        [(job, each) for job, state in states.items()
         for each in guard.reported(state["last_options"], now)])


def first_of_day(db, now) -> int:
    """The first id of the runs of the last day: an index leads from it to any job's."""
    return db.value("SELECT MIN(id) AS id FROM {job_runs} WHERE started_at >= :since "
                    "AND started_at <= :now", since=now - DAY, now=now) or LARGEST_KEY


def past(value, now):
    """A time of the database if it is over, else None: a wrong clock wrote one in the future."""
    moment = stored.time(value)
    return moment if moment and moment <= now else None


def _clock_changed(db, last, now) -> bool:
    """Whether the latest run had another clock than this one: what is late by this clock may only
    wait for its next tick."""
    latest = stored.time(db.value("SELECT started_at FROM {job_runs} WHERE id = (SELECT MAX(id) "
                                  "FROM {job_runs})"))
    return latest is not None and (latest > now + doubt.APART
                                   or (last is not None and latest < last - doubt.APART))


def _vanished(db, now) -> dict[str, list]:
    found: dict = {}
    for row in db.query("SELECT job, started_at FROM {job_runs} WHERE status = 'vanished' "
                        "AND started_at >= :since AND started_at <= :now ORDER BY id DESC",
                        since=now - DAY, now=now):
        found.setdefault(stored.words(row["job"]), []).append(row["started_at"])
    return found


def _recorded(config) -> list:
    core = config.section("core")
    files = [incident_files.IncidentFile(core, name)
             for name in incident_files.lasting_incidents(core)]
    return [(file.name, since, file.last_error()) for file in files
            if (since := file.began_at())]


def _doubt(db, now, clock_changed: bool) -> tuple | None:
    found = doubt.stored_doubt(db)
    return found and (doubt.sentence(found, now), now if clock_changed else min(found.since, now),
                      found.what)


def _sections(db, config, jobs) -> list[Problem]:
    """The shared sections that cannot be used, and a spool that is missing: none of the jobs that
    read one runs."""
    readers: dict[str, list] = {"mail": []}
    for job in jobs:
        for section in job.sections:
            readers.setdefault(section, []).append(job.name)
    found = []
    for section, names in readers.items():
        try:
            values = config.section(section)
            on = tuple(name for name in names if config.job_named(name).enabled)
            if section == "spool" and on and (wrong := spool.wrong_folder(db, values.dir)):
                found.append(Problem("[spool] dir", wrong, on))
        except ConfigError as error:
            found.append(Problem(section, "; ".join(error.problems), tuple(names)))
    return found


def _lacking(db, jobs) -> tuple[dict, str]:
    """({job: what the app's tables lack for it}, all of that in words)."""
    if version.check(db):
        return {}, ""
    from jobs_lib.database.schema import fit
    # a run has looked, or the next one will: no look at the status tries what can be written
    found = fit.known(db) or []
    missing = {job.name: wrong for job in jobs if (wrong := fit.concerned(job, found))}
    lacks = [each for each in found if any(each in wrong for wrong in missing.values())]
    return missing, fit.in_words(lacks) if lacks else ""


# Whether cron comes

class Heartbeats:
    """The starts of the runs of check_jobs in the last day, and of the last one before. `state`:
    its row of `job_state`."""

    def __init__(self, db, state: dict | None, day: int, now) -> None:
        rows = db.query(
            "SELECT started_at, status FROM {job_runs} WHERE job = :job AND id >= COALESCE((SELECT "
            "MAX(id) FROM {job_runs} WHERE job = :job AND id < :day), 0) ORDER BY id",
            job=WATCHER, day=day)
        # in the order in which they were written
        self._written = [str(row["started_at"]) for row in rows]
        self._state, self._now = state, now
        self._waited_for = past(state and state["due_after"], now)
        self.last_ended = next((start for row in reversed(rows) if row["status"] != "running"
                                and (start := past(row["started_at"], now))), None)

    def gap(self):
        """(from, to) of the last time without a tick, or None."""
        hours = [text[:HOUR] for text in self._written]
        # only the first and the last one of an hour may be at the end of a gap
        edges = [text for text, hour, earlier, later in zip(
            self._written, hours, [None, *hours], [*hours[1:], None])
            if not earlier == hour == later]
        latest = before = found = None
        for start in map(stored.time, edges):
            # else a wrong clock has dated runs of that time elsewhere
            if start and latest and before == latest and start <= self._now:
                begin = max(filter(None, (latest, self._waited_for)))
                if self._is_long(start - begin):
                    found = begin, start
            if start and start <= self._now:
                latest = max(filter(None, (latest, start)))
            before = start
        return found

    def stopped(self, last_run):
        """Since when nothing was started that should have been, or None. `last_run`: of any job."""
        state = self._state
        if state is None or state["paused_at"] or state["due_after"] in (None, slots.OFF):
            return None
        since = max(filter(None, (last_run, self._waited_for)), default=self._now)
        return since if self._is_long(self._now - since) else None

    def _is_long(self, pause: timedelta) -> bool:
        """Whether cron has stopped for that long: for three times the usual time between two ticks,
        and at least for STOPPED."""
        if pause <= STOPPED:
            return False
        starts = sorted(filter(None, map(stored.time, self._written)))
        steps = sorted(later - earlier for earlier, later in zip(starts, starts[1:]))
        usual = steps[len(steps) // 2] if steps else timedelta(0)
        return pause > min(usual, TICKS) * 3


# Jobs

def _job(view: View, job) -> JobFacts:
    db, now, name = view.db, view.now, job.name
    options, state = view.config.job(job), view.states.get(name)
    rows, vanished = _latest(view, name), view.vanished.get(name, [])
    good = next((row for row in rows if _did_its_work(row)), None) or _last_good(db, name)
    failures, failing_since, error = _failures(db, rows, good, now)
    starts = [past(row["started_at"], now) for row in (*rows, good) if row and _did_its_work(row)]
    last_ok = max(filter(None, starts), default=None)
    paused, due_after = (state["paused_at"], state["due_after"]) if state else (None, None)
    runs_by_itself = options.enabled and not paused
    every = interval(options.schedule, rows, now, view.zone)
    after = max(filter(None, (last_ok, past(due_after, now))), default=None)
    judged_at = now if view.config.mode(job) == CRON else view.watched_at
    is_awaited = (runs_by_itself and state is not None and due_after != slots.OFF and after
                  and judged_at)
    return JobFacts(
        name, job.priority, options.enabled, (stored.time(paused) or now) if paused else None,
        options.schedule, options.alert_after_failures or view.alerts.after_failures,
        rows[0] if rows else None, last_ok, failures, failing_since, error,
        next((row for row in rows if row["status"] == "running"), None),
        len(vanished), (stored.time(vanished[0]) or now) if vanished else None,
        late(options.schedule, after, judged_at, view.zone, every, view.pause) if is_awaited
        else None,
        schedule.following(options.schedule, now, view.zone) if runs_by_itself else None, every)


def _latest(view: View, name: str) -> list[dict]:
    """The job's latest runs that were not skipped, the last one first: few where these say all."""
    rows: list[dict] = []
    for most in (FEW, LOOKED_AT):
        rows = [stored.run(row) for row in view.db.query(
            f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status <> 'skipped' "
            "ORDER BY id DESC LIMIT :most", job=name, most=most)]
        if len(rows) < most or (any(map(_did_its_work, rows)) and _step(rows)):
            break
    return dead_runs.shown(rows, view.config, view.now, view.db)


def _did_its_work(row: dict) -> bool:
    return row["status"] in GOOD and row["stop_reason"] != BUSY


def _last_good(db, job: str) -> dict | None:
    found = [stored.run(row) for status in GOOD if (row := db.row(
        f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status = :status"
        " AND (stop_reason IS NULL OR stop_reason <> :busy) ORDER BY id DESC LIMIT 1",
        job=job, status=status, busy=BUSY))]
    return max(found, key=lambda row: row["id"], default=None)


def _failures(db, rows: list[dict], good: dict | None, now) -> tuple:
    """(how many in a row, since when, the last error)."""
    after = good["id"] if good else 0
    bad = [row for row in rows if row["id"] > after
           and row["status"] in (*BAD, dead_runs.VANISHED)]
    if not bad:
        return 0, None, None
    row = db.row("SELECT COUNT(*) AS number, MIN(started_at) AS since FROM {job_runs} WHERE "
                 "job = :job AND id > :after AND status IN (:bad)", job=bad[0]["job"], after=after,
                 bad=BAD)
    # one that has just died still says `running`
    return (max(row["number"], len(bad)), stored.time(row["since"] or bad[-1]["started_at"]) or now,
            bad[0]["error"] or bad[0]["stop_reason"] or "the process ended without a result")


def interval(when, rows: list[dict], now, zone) -> timedelta:
    """Between two runs: the schedule's step, or the time between two ticks where that is longer."""
    first = schedule.following(when, now, zone)
    step = schedule.following(when, first, zone) - first
    return max(step, min(_step(rows) or step, TICKS))


def _step(rows: list[dict]) -> timedelta | None:
    """The time between the starts of the last two runs by ticks, if there are two."""
    starts = [start for row in rows
             if row["trigger_type"] in BY_TICKS and (start := stored.time(row["started_at"]))]
    return next((later - earlier for later, earlier in zip(starts, starts[1:]) if later > earlier),
                None)


def late(when, after, now, zone, every, gap):
    """The first slot missed, if there was no success for three intervals.

    Just after a time without any run no job is late yet: each is given its turn first.
    """
    first = schedule.following(when, after, zone)
    if now < first:
        return None
    limit = first
    for _ in range(LATE_INTERVALS - 1):
        limit = schedule.following(when, limit, zone)
    limit = max(limit, after + LATE_INTERVALS * every)
    if gap and gap[1] > after:
        limit = max(limit, gap[1] + min(limit - after, DAY))
    return first if now >= limit else None


# The host

def _mail(config):
    """The section; None while it is wrong, which is a Problem."""
    try:
        return config.section("mail")
    except ConfigError:
        return None


def _sent(db, mail, now) -> dict:
    return relay.used(db, mail, now) if mail else {}


def disks(config) -> list[Disk]:
    """Space where we write, one for each file system; a folder that is not there yet counts as the
    one above it."""
    found: dict = {}
    for section, option in (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"),
                            ("export", "dir"), ("archive", "store"), ("core", "database")):
        path = _folder(config, section, option)
        try:
            device, space = os.stat(path).st_dev, os.statvfs(path)
        except OSError:                     # of "" too
            continue
        disk = Disk([], path, space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize)
        found.setdefault(device, disk).names.append(f"[{section}] {option}")
    return list(found.values())


def _folder(config, section: str, option: str) -> str:
    try:
        value = getattr(config.section(section), option)
    except (ConfigError, KeyError, AttributeError):
        return ""
    if option == "database":
        from jobs_lib.database.dialects import file_of
        value = os.path.dirname(file_of(value, config.folder))
    if not value or "://" in value:
        return ""
    while not os.path.isdir(value):
        value, before = os.path.dirname(value), value
        if value == before:
            return ""
    return value
