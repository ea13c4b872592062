"""The health of jobs, queues and host: facts from the database, the configuration and the folders;
nothing is written.

    found = health.collect(db, config, catalogue.load_all(broken), now, broken)
    found.jobs["retry_forwards"].failures
    incidents.find(found, config)               which of it needs the operator

`check_jobs`, `status`, `report`, `metrics` and `doctor` read it, so that all of them report the
same.
"""
from __future__ import annotations

import os
from datetime import timedelta
from functools import partial

from jobs_lib import schedule
from jobs_lib.database import stored
from jobs_lib.database.schema import version
from jobs_lib.engines.relay_pause import pause_now
from jobs_lib.errors import ConfigError
from jobs_lib.job import CRON
from jobs_lib.records import namedtuple
from jobs_lib.runner import access, clock_doubt, dead_runs, incident_files, slots

from . import heartbeat, overdue
from .heartbeat import TICKS, past
from .queues import queues

Health = namedtuple("Health",
                    "now jobs queues host problems channels zone blocked recorded unusable clock",
                    defaults=((), (), None))
Health.__doc__ = """Everything, at `now`.

jobs      {name: JobHealth}
queues    {name: QueueHealth} (monitoring/queues.py)
host      Host
problems  [Problem]: what cannot be used at all
channels  rows of `alerts` about channels that do not work
zone      `[core] timezone`, for texts
blocked   Blocked: which jobs do not work on the app's tables
recorded  [(name, since, error)]: incidents that last, by runner/incident_files.py
unusable  sentences about files of ours that this user, or the user of the jobs, cannot use
clock     ClockHealth, or None while nothing is wrong with it
"""
Problem = namedtuple("Problem", "name sentence jobs", defaults=((),))
Problem.__doc__ = """A job or a section (`name`) that cannot be used, why, and which jobs do not run
for it."""
ClockHealth = namedtuple("ClockHealth", "doubt since ahead latest")
ClockHealth.__doc__ = """What is wrong with the clock.

doubt   the sentence, or ""
since   when that began
ahead   how many runs of the last day are dated in the future
latest  the time of the last of these, or None
"""
Blocked = namedtuple("Blocked", "jobs idle lack")
Blocked.__doc__ = """Jobs that do not work on the app's tables, since these lack something.

jobs  all of them; their queues are not reported
idle  those that lack something, are enabled and not paused
lack  what these need, as a sentence
"""


class JobHealth(namedtuple("JobHealth", "name priority enabled paused_at schedule last last_ok_at "
                           "failures failing_since last_error running vanished vanished_at "
                           "late_since next_at interval")):
    """One job. Times are aware UTC or None; rows are of `job_runs`.

    interval       between two runs, as schedule and cron allow it
    last           the last run that was not skipped
    last_ok_at     start of the last run that did its work, `partial` ones too
    failures       in a row since then, with `failing_since` and `last_error`
    running        the row of a run at work
    vanished       runs of the last day that ended without a result; `vanished_at`: the latest
    late_since     the first slot that was missed, once there was no success for three intervals
    next_at        the next slot
    """

    __slots__ = ()

    @property
    def when(self) -> str:
        """Its schedule in words."""
        from jobs_lib import schedule_text
        return schedule_text.words(self.schedule)


Host = namedtuple("Host", "relay sent disks last_run_at stopped gap")
Host.__doc__ = """What all jobs share.

relay        row of `relay_state` while it is paused, or None
sent         function -> {"hour": (recipients, limit), ...}: few who look need it
disks        [Disk]: where we write, one for each file system
last_run_at  start of the latest run of any job
stopped      since when nothing was started that should have been, or None
gap          (from, to) of the last such time that is over, within a day, or None
"""
Disk = namedtuple("Disk", "names path free total")           # free and total in bytes, for us
View = namedtuple("View", "db config now zone states pause running vanished")
View.__doc__ = """What all jobs are judged by.

pause     (from, to) when no job could run, or None
running   {job: rows of job_runs that say `running`}, the latest first
vanished  {job: starts of the runs of the last day that ended without a result}, likewise
"""

GOOD, BAD = ("ok", "partial"), ("failed", "timeout", "vanished", dead_runs.VANISHED)
BUSY = "busy"                           # `partial` for this reason did little
DAY = timedelta(days=1)
LATE_INTERVALS = 3
LOOKED_AT = 20                          # runs of a job
FEW = 2                                 # the same, of one that works as it should
BY_TICKS = ("scheduled", "worker")      # runs that a tick has started, or handed to a worker
RUN = ("id, run_id, job, slot, trigger_type, status, started_at, finished_at, duration_ms, "
       "stop_reason, error, lease_until, installation, lock_name, host, pid")


def collect(db, config, jobs, now, broken=()) -> Health:
    """All of it. `broken`: sentences about job files that cannot be loaded (catalogue.load_all)."""
    states = overdue.states(db)
    heart = heartbeat.Heartbeat(db, states.get(heartbeat.JOB), now)
    last = stored.time(db.value("SELECT MAX(started_at) AS last FROM {job_runs} "
                                "WHERE started_at <= :now", now=now))
    gap, clock_changed = heart.gap(), _clock_changed(db, last, now)
    view = View(db, config, now, schedule.zone(config.section("core").timezone), states,
                (now, now) if clock_changed else gap, _running(db, config, now),
                _vanished(db, now))
    problems = [Problem("jobs_lib/jobs", sentence) for sentence in broken]
    found, usable = {}, []
    for job in jobs:
        try:
            found[job.name] = _job(view, job)
            usable.append(job)
        except ConfigError as error:
            problems.append(Problem(job.name, "; ".join(error.problems), (job.name,)))
    problems += _sections(config, usable)
    blocked = _blocked(db, usable, found)
    able = [job for job in usable if job.name not in blocked.jobs]
    host = Host(_pause(db, config, now), partial(_sent, db, config, now), disks(config), last,
                heart.stopped(last), gap)
    broken_channels = db.query("SELECT alert_key, kind, subject, since, what, last_error, command "
                               "FROM {alerts} WHERE kind = 'channel' AND resolved_at IS NULL "
                               "ORDER BY alert_key")
    return Health(now, found, queues(db, config, able, now, found), host, problems, broken_channels,
                  view.zone, blocked, _recorded(config), access.unusable(config),
                  _clock(db, config, now, clock_changed))


def _running(db, config, now) -> dict[str, list]:
    rows = [stored.run(row) for row in db.query(
        f"SELECT {RUN} FROM {{job_runs}} WHERE status = 'running' ORDER BY id DESC")]
    found: dict = {}
    for row in dead_runs.shown(rows, config, now, db):
        found.setdefault(row["job"], []).append(row)
    return found


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


def _clock(db, config, now, changed: bool) -> ClockHealth | None:
    """The doubt of the last run, and the runs of the last day that are dated in the future."""
    if config.section("core").max_clock_jump is None:
        return None
    doubted = clock_doubt.stored(db)
    before = db.value("SELECT id FROM {job_runs} WHERE started_at < :since "
                      "ORDER BY started_at DESC, id DESC LIMIT 1", since=now - DAY) or 0
    row = db.row("SELECT COUNT(*) AS number, MAX(started_at) AS latest FROM {job_runs} "
                 "WHERE started_at > :ahead AND id > :before",
                 ahead=now + clock_doubt.APART, before=before)
    if not (doubted or row["number"]):
        return None
    since = min(doubted.at, now) if doubted and not changed else now
    return ClockHealth(clock_doubt.sentence(doubted.why, doubted) if doubted else "", since,
                       row["number"], stored.time(row["latest"]))


def _clock_changed(db, last, now) -> bool:
    """Whether the latest run had another clock than this one: what is late by this clock may only
    wait for its next tick."""
    latest = stored.time(db.value("SELECT started_at FROM {job_runs} WHERE id = (SELECT MAX(id) "
                                  "FROM {job_runs})"))
    return latest is not None and (latest > now + clock_doubt.APART
                                   or (last is not None and latest < last - clock_doubt.APART))


def _sections(config, jobs) -> list[Problem]:
    """The shared sections that cannot be used: none of the jobs that read one runs."""
    readers: dict[str, list] = {"mail": []}
    for job in jobs:
        for section in job.sections:
            readers.setdefault(section, []).append(job.name)
    found = []
    for section, names in readers.items():
        try:
            config.section(section)
        except ConfigError as error:
            found.append(Problem(section, "; ".join(error.problems), tuple(names)))
    return found


def _blocked(db, jobs, health: dict) -> Blocked:
    if version.check(db):
        return Blocked((), (), "")
    from jobs_lib.database.schema import app_gaps
    from jobs_lib.runner import table_gaps
    # tables may lack for good what only disabled jobs need, so no tick looks at everything
    lacks = app_gaps.known(db)
    if lacks is None:
        lacks = app_gaps.lacking(db)
    missing = {job.name: gaps for job in jobs if (gaps := table_gaps.concerned(job, lacks))}
    runs = {name for name, job in health.items() if job.enabled and not job.paused_at}
    idle = [name for name in missing if name in runs]
    needed = {gap for name in idle for gap in missing[name]}
    return Blocked(tuple(missing), tuple(idle),
                   table_gaps.words(db.name, [gap for gap in lacks if gap in needed]))


# Jobs

def _last_look(view: View):
    """When check_jobs last looked. A job of workers is judged by then whether it is late: what this
    tick has handed over is still to be done."""
    return stored.time(view.db.value(
        "SELECT MAX(started_at) AS last FROM {job_runs} WHERE job = :job AND status <> 'running' "
        "AND started_at <= :now", job=heartbeat.JOB, now=view.now))


def _job(view: View, job) -> JobHealth:
    db, now, name = view.db, view.now, job.name
    options, state = view.config.job(job), view.states.get(name)
    judged_at = now if view.config.mode(job) == CRON else _last_look(view)
    rows, vanished = _latest(view, name), view.vanished.get(name)
    good = next((row for row in rows if _did_its_work(row)), None) or _last_good(db, name)
    failures, failing_since, error = _failures(db, name, rows, good, now)
    starts = [past(row["started_at"], now) for row in (*rows, good) if row and _did_its_work(row)]
    last_ok = max(filter(None, starts), default=None)
    paused, due_after = (state["paused_at"], state["due_after"]) if state else (None, None)
    runs_by_itself = options.enabled and not paused
    every = interval(options.schedule, rows, now, view.zone)
    after = max(filter(None, (last_ok, past(due_after, now))), default=None)
    awaited = runs_by_itself and state is not None and due_after != slots.OFF and after
    return JobHealth(
        name, job.priority, options.enabled, (stored.time(paused) or now) if paused else None,
        options.schedule, rows[0] if rows else None, last_ok, failures, failing_since, error,
        next((row for row in view.running.get(name, ()) if row["status"] == "running"), None),
        len(vanished or ()), (stored.time(vanished[0]) or now) if vanished else None,
        late(options, after, judged_at, view.zone, every, view.pause) if awaited and judged_at
        else None,
        schedule.following(options.schedule, now, view.zone) if runs_by_itself else None, every)


def _latest(view: View, name: str) -> list[dict]:
    """The job's latest runs that were not skipped, the last one first: few where these say all."""
    shown = {row["id"]: row for row in view.running.get(name, ())}
    rows: list[dict] = []
    for most in (FEW, LOOKED_AT):
        rows = [stored.run(row) for row in view.db.query(
            f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status <> 'skipped' "
            "ORDER BY id DESC LIMIT :most", job=name, most=most)]
        if len(rows) < most or (any(map(_did_its_work, rows)) and _step(rows)):
            break
    return [shown.get(row["id"], row) if row["status"] == "running" else row for row in rows]


def _did_its_work(row: dict) -> bool:
    return row["status"] in GOOD and row["stop_reason"] != BUSY


def _last_good(db, job: str) -> dict | None:
    found = [stored.run(row) for status in GOOD if (row := db.row(
        f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status = :status"
        " AND (stop_reason IS NULL OR stop_reason <> :busy) ORDER BY id DESC LIMIT 1",
        job=job, status=status, busy=BUSY))]
    return max(found, key=lambda row: row["id"], default=None)


def _failures(db, job: str, rows: list[dict], good: dict | None, now) -> tuple:
    """(how many in a row, since when, the last error)."""
    after = good["id"] if good else 0
    bad = [row for row in rows if row["id"] > after and row["status"] in BAD]
    if not bad:
        return 0, None, None
    number, since = len(bad), bad[-1]["started_at"]
    if len(rows) == LOOKED_AT and rows[-1]["id"] > after:
        row = db.row("SELECT COUNT(*) AS number, MIN(started_at) AS since FROM {job_runs} "
                     "WHERE job = :job"
                     " AND id > :after AND status IN (:bad)", job=job, after=after, bad=BAD)
        number, since = row["number"], str(row["since"])
    return (number, stored.time(since) or now,
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


def late(options, after, now, zone, every, gap):
    """The first slot missed, if there was no success for three intervals, or for the time that the
    job's section sets.

    Just after a time without any run no job is late yet: each is given its turn first.
    """
    if options.alert_late_after is None:
        return None
    first = schedule.following(options.schedule, after, zone)
    if options.alert_late_after == "":
        if now < first:
            return None
        limit = first
        for _ in range(LATE_INTERVALS - 1):
            limit = schedule.following(options.schedule, limit, zone)
        limit = max(limit, after + LATE_INTERVALS * every)
    else:
        limit = after + options.alert_late_after
    if gap and gap[1] > after:
        limit = max(limit, gap[1] + min(limit - after, DAY))
    return first if now >= limit else None


# The host

def _pause(db, config, now) -> dict | None:
    try:
        config.section("mail")
    except ConfigError:                     # a Problem
        return None
    return pause_now(db, now)


def _sent(db, config, now) -> dict:
    from jobs_lib.engines.relay_limits import Relay
    try:
        return Relay(db, config.section("mail")).used(now)
    except ConfigError:
        return {}


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
