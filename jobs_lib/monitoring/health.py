"""How jobs, queues and the host fare: facts from the database, the configuration and the folders;
nothing is written.

    found = health.collect(ports.database(), config, catalogue.load_all(broken), ports.now(), broken)
    found.jobs["retry_forwards"].failures            incidents.find(found, config) says which of it needs somebody

`check_jobs`, `status`, `report`, `metrics` and `doctor` read it, so that all of them say the same.
"""
from __future__ import annotations

import os
from collections import namedtuple
from datetime import timedelta

from jobs_lib import schedule, schedule_text, shards
from jobs_lib.database import stored
from jobs_lib.database.schema import version
from jobs_lib.engines.relay_limits import Relay
from jobs_lib.errors import ConfigError
from jobs_lib.runner import access, clock_doubt, dead_runs, standing
from jobs_lib.runner import slots as due

from .queues import queues

Health = namedtuple("Health",
                    "now jobs queues host problems channels zone blocked standing unusable clock",
                    defaults=((), (), None))
Health.__doc__ = """Everything, at `now`.

jobs      {name: JobHealth}                     queues  {name: QueueHealth} (monitoring/queues.py)
host      Host                                  problems  [(job or section, sentence)]: what cannot be used at all
channels  rows of `alerts` about ways to the operator that do not work      zone  `[core] timezone`, for words
blocked   Blocked: which jobs refuse, since the app's tables lack something
standing  [(name, since, error)]: incidents that files remember (runner/standing.py)
unusable  sentences about files of ours that this user, or the one who runs the jobs, cannot use (runner/access.py)
clock     ClockHealth, or None while nothing is wrong with it
"""
ClockHealth = namedtuple("ClockHealth", "doubt since ahead latest")
ClockHealth.__doc__ = """What is wrong with the clock.

doubt  the sentence, or ""; `since`: when that began      ahead  how many runs of the last day have a time to come
latest  the time of the last of these, or None
"""
Blocked = namedtuple("Blocked", "jobs idle lack")
Blocked.__doc__ = """`jobs`: all that refuse, and so no queue of theirs is told; `idle`: those of them that are switched
on; `lack`: what these need, in words."""
JobHealth = namedtuple("JobHealth", "name priority enabled paused_at when last last_ok_at failures "
                       "failing_since last_error running vanished vanished_at late_since next_at "
                       "interval")
JobHealth.__doc__ = """One job. Times are aware UTC or None; rows are of `job_runs`.

when           its schedule in words            interval  between two runs, as schedule and cron allow it
last           the last run that did not just find another at work
last_ok_at     start of the last run that did its work, `partial` ones too
failures       in a row since then, with `failing_since` and `last_error`
running        the row of a run at work
vanished       runs of the last day that ended without a word; `vanished_at`: the latest of them
late_since     the first slot that was missed, once there was no success for three intervals
next_at        the next slot
"""
Host = namedtuple("Host", "relay sent disks last_run_at stopped gap")
Host.__doc__ = """What all jobs share.

relay    row of `relay_state` while it is paused, or None      sent   {"hour": (recipients, limit), ...}
disks    [Disk]: where we write, one for each file system      last_run_at  start of the latest run of any job
stopped  since when nothing was started that should have been, or None
gap      (from, to) of the last such time that is over, within a day, or None
"""
Disk = namedtuple("Disk", "names path free total")           # free and total in bytes, for us

GOOD, BAD = ("ok", "partial"), ("failed", "timeout", "vanished", dead_runs.VANISHED)
BUSY = "busy"                           # `partial` for this reason did nothing
DAY = timedelta(days=1)
LATE_INTERVALS = 3
# the longest time between two ticks of cron that is thought to be meant
TICKS = timedelta(hours=1)
# without a run, at least, before cron is said to have stopped
GAP = timedelta(hours=1)
# runs in nearly every tick, so its runs tell when there were none
HEART = "check_jobs"
LOOKED_AT = 20
RUNS_A_DAY = 320
RUN = ("id, run_id, job, slot, trigger_type, status, started_at, finished_at, duration_ms, "
       "stop_reason, error, lease_until, installation, lock_name, host, pid")


def collect(db, config, jobs, now, broken=()) -> Health:
    """All of it. `broken`: sentences about job files that cannot be loaded (catalogue.load_all)."""
    states = {row["job"]: row for row in db.query("SELECT job, paused_at, due_after "
                                                  "FROM {job_state}")}
    zone = schedule.zone(config.section("core").timezone)
    beats, heart = _heartbeats(db), states.get(HEART)
    gap, found = _gap(beats, heart, now), {}
    last = stored.time(db.value("SELECT MAX(started_at) AS last FROM {job_runs} "
                                "WHERE started_at <= :now", now=now))
    changed = _clock_changed(db, last, now)
    pause = (now, now) if changed else gap
    problems = [("jobs_lib/jobs", sentence) for sentence in broken]
    usable = []
    for job in jobs:
        try:
            parts = [_job(db, config, name, job.priority, config.job(job), states.get(job.name),
                          now, zone, pause) for name in shards.names(job.name, config.shards(job))]
            found[job.name] = parts[0] if len(parts) == 1 else _together(parts)
            usable.append(job)
        except ConfigError as error:
            problems.append((job.name, "; ".join(error.problems)))
    broken_channels = db.query("SELECT alert_key, kind, subject, since, what, last_error, command "
                               "FROM {alerts}"
                               " WHERE kind = 'channel' AND resolved_at IS NULL ORDER BY alert_key")
    blocked = _blocked(db, usable, found)
    able = [job for job in usable if job.name not in blocked.jobs]
    relay, sent = _mail(db, config, now, problems)
    return Health(now, found, queues(db, config, able, now, found),
                  Host(relay, sent, disks(config), last, _stopped(beats, heart, last, now), gap),
                  problems, broken_channels, zone, blocked, _standing(config),
                  access.unusable(config),
                  _clock(db, config, now, changed))


def _standing(config) -> list:
    core = config.section("core")
    incidents = [standing.Incident(core, name) for name in standing.names(core)]
    return [(each.name, since, each.error()) for each in incidents if (since := each.since())]


def _clock(db, config, now, changed: bool) -> ClockHealth | None:
    """What the last run found, and the runs of the last day that have a time to come."""
    if config.section("core").max_clock_jump is None:
        return None
    doubted = clock_doubt.stored(db)
    before = db.value("SELECT id FROM {job_runs} WHERE started_at < :since "
                      "ORDER BY started_at DESC, id DESC LIMIT 1", since=now - DAY) or 0
    row = db.row("SELECT COUNT(*) AS number, MAX(started_at) AS latest FROM {job_runs} "
                 "WHERE started_at > :ahead"
                 " AND id > :before", ahead=now + clock_doubt.APART, before=before)
    if not (doubted or row["number"]):
        return None
    since = min(doubted.at, now) if doubted and not changed else now
    return ClockHealth(clock_doubt.sentence(doubted.why, doubted) if doubted else "", since,
                       row["number"], stored.time(row["latest"]))


def _clock_changed(db, last, now) -> bool:
    """Whether the latest run was by another clock than ours: what is late by ours may only wait for
    its next tick."""
    latest = stored.time(db.value("SELECT started_at FROM {job_runs} WHERE id = (SELECT MAX(id) "
                                  "FROM {job_runs})"))
    return latest is not None and (latest > now + clock_doubt.APART
                                   or (last is not None and latest < last - clock_doubt.APART))


def _blocked(db, jobs, health: dict) -> Blocked:
    if version.check(db):
        return Blocked((), (), "")
    from jobs_lib.database.schema.app_gaps import lacking
    from jobs_lib.runner import table_gaps
    lacks = lacking(db)
    missing = {job.name: gaps for job in jobs if (gaps := table_gaps.concerned(job, lacks))}
    idle = [name for name in missing if health[name].enabled and not health[name].paused_at]
    needed = {gap for name in idle for gap in missing[name]}
    return Blocked(tuple(missing), tuple(idle),
                   table_gaps.words(db.name, [gap for gap in lacks if gap in needed]))


# Jobs

def _job(db, config, name, priority, options, state, now, zone, gap) -> JobHealth:
    rows = dead_runs.shown(list(map(stored.run, db.query(
        f"SELECT {RUN} FROM {{job_runs}} WHERE job = :job AND status <> 'skipped' ORDER BY id DESC "
        "LIMIT :most",
        job=name, most=LOOKED_AT))), config, now, db)
    good = next((row for row in rows if _did_its_work(row)), None) or _last_good(db, name)
    times = [row["started_at"] for row in (*rows, good) if row and _did_its_work(row)]
    failures, since, error = _failures(db, name, rows, good, now)
    died = db.query("SELECT started_at FROM {job_runs} WHERE job = :job AND status = 'vanished'"
                    " AND started_at >= :since AND started_at <= :now ORDER BY id DESC",
                    job=name, since=now - DAY, now=now)
    paused = state["paused_at"] if state else None
    counts = options.enabled and not paused and state is not None and state["due_after"] != due.OFF
    every = interval(options.schedule, rows, now, zone)
    running = next((row for row in rows if row["status"] == "running"), None)
    last_ok = max(filter(None, (_past(time, now) for time in times)), default=None)
    after = max(filter(None, (last_ok, _past(state and state["due_after"], now))), default=None)
    return JobHealth(
        name, priority, options.enabled, (stored.time(paused) or now) if paused else None,
        schedule_text.words(options.schedule),
        rows[0] if rows else None, last_ok, failures, since, error, running, len(died),
        (stored.time(died[0]["started_at"]) or now) if died else None,
        late(options, after, now, zone, every, gap) if counts and after else None,
        schedule.following(options.schedule, now, zone) if options.enabled and not paused else None,
        every)


def _together(parts: list[JobHealth]) -> JobHealth:
    """A job whose queue several workers share fares as the worst of its shards does."""
    worst = max(parts, key=lambda part: part.failures)
    died = [part.vanished_at for part in parts if part.vanished_at]
    return parts[0]._replace(
        last=max((part.last for part in parts if part.last), key=lambda row: row["id"],
                 default=None),
        last_ok_at=None if any(part.last_ok_at is None for part in parts)
        else min(part.last_ok_at for part in parts),
        failures=worst.failures, failing_since=worst.failing_since, last_error=worst.last_error,
        running=next((part.running for part in parts if part.running), None),
        vanished=sum(part.vanished for part in parts), vanished_at=max(died, default=None),
        late_since=min((part.late_since for part in parts if part.late_since), default=None))


def _did_its_work(row: dict) -> bool:
    return row["status"] in GOOD and row["stop_reason"] != BUSY


def _past(value, now):
    """A time that is over. One to come was written by a clock that was wrong, and says nothing."""
    moment = stored.time(value)
    return moment if moment and moment <= now else None


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
            bad[0]["error"] or bad[0]["stop_reason"] or "the process ended without a word")


def interval(when, rows: list[dict], now, zone) -> timedelta:
    """Between two runs: the schedule's step, or what cron makes of it where it ticks more
    rarely."""
    first = schedule.following(when, now, zone)
    step = schedule.following(when, first, zone) - first
    slots = [start for row in rows
             if row["trigger_type"] == "scheduled" and (start := stored.time(row["started_at"]))]
    seen = next((later - earlier for later, earlier in zip(slots, slots[1:]) if later > earlier),
                step)
    return max(step, min(seen, TICKS))


def late(options, after, now, zone, every, gap):
    """The first slot missed, when there was no success for three intervals, or as long as the job's
    section says.

    Just after a time without any run nobody is late yet: each job is given its turn first.
    """
    first = schedule.following(options.schedule, after, zone)
    if options.alert_late_after == "":
        limit = first
        for _ in range(LATE_INTERVALS - 1):
            limit = schedule.following(options.schedule, limit, zone)
        limit = max(limit, after + LATE_INTERVALS * every)
    elif options.alert_late_after is None:
        return None
    else:
        limit = after + options.alert_late_after
    if gap and gap[1] > after:
        limit = max(limit, gap[1] + min(limit - after, DAY))
    return first if now >= limit else None


# The host

def _mail(db, config, now, problems: list) -> tuple:
    """(the pause of the relay, what was sent). A section that cannot be used is added to
    `problems`."""
    try:
        limits = Relay(db, config.section("mail"))
        return limits.pause_now(now), limits.used(now)
    except ConfigError as error:
        problems.append(("mail", "; ".join(error.problems)))
        return None, {}


def disks(config) -> list[Disk]:
    """Space where we write, one for each file system; a folder that is not there yet counts as the
    one above it."""
    found: dict = {}
    for section, option in (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"),
                            ("export", "dir"), ("archive", "store"), ("core", "database")):
        path = _folder(config, section, option)
        if not path:
            continue
        try:
            device, space = os.stat(path).st_dev, os.statvfs(path)
        except OSError:
            continue
        name = f"[{section}] {option}"
        if device in found:
            found[device].names.append(name)
        else:
            found[device] = Disk([name], path, space.f_bavail * space.f_frsize, space.f_blocks
                                 * space.f_frsize)
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


def _heartbeats(db) -> list:
    """Starts of the runs of `check_jobs` of a day and more, in the order in which they were made,
    newest first."""
    rows = db.query("SELECT started_at FROM {job_runs} WHERE job = :job ORDER BY id DESC "
                    "LIMIT :most",
                    job=HEART, most=RUNS_A_DAY)
    return [start for row in rows if (start := stored.time(row["started_at"]))]


def _in_time(beats: list, now) -> list:
    """Those until now as their times tell, newest first: a clock that was wrong for a while mixes
    them up."""
    return sorted((beat for beat in beats if beat <= now), reverse=True)


def _too_long(beats: list, now) -> timedelta:
    """Without a beat for longer than this, cron had stopped: thrice the usual time between two, at
    least GAP."""
    ordered = _in_time(beats, now)
    steps = sorted(later - earlier for later, earlier in zip(ordered, ordered[1:]))
    usual = steps[len(steps) // 2] if steps else timedelta(0)
    return max(GAP, min(usual, TICKS) * 3)


def _gap(beats: list, state, now):
    known = _past(state and state["due_after"], now)
    most, ordered = _too_long(beats, now), _in_time(beats, now)
    for later, earlier in zip(ordered, ordered[1:]):
        if later < now - DAY:
            break
        # it may have been paused, or switched off
        begin = max(filter(None, (earlier, known)))
        if later - begin > most and not _ran_between(beats, later, earlier):
            return begin, later
    return None


def _ran_between(beats: list, later, earlier) -> bool:
    """Whether there were runs between these two, which a clock that was wrong then has noted at
    other times."""
    between = beats[beats.index(later) + 1:beats.index(earlier)]
    return any(not earlier - clock_doubt.APART <= beat <= later + clock_doubt.APART
               for beat in between)


def _stopped(beats: list, state, last, now):
    """Since when nothing was started that should have been: no run of any job for as long as
    that."""
    if state is None or state["paused_at"] or state["due_after"] in (None, due.OFF):
        return None
    since = max(filter(None, (last, _past(state["due_after"], now))), default=now)
    return since if now - since > _too_long(beats, now) else None
