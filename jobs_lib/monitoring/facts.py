"""What is known of jobs, queues and host, from the database, the configuration and the folders;
nothing is written, and nothing is judged. `check_jobs`, `status`, `report` and `metrics` read it,
so that all of them report the same. Which of it needs the operator is found by rules.py.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib import catalogue, schedule
from jobs_lib.database import stored
from jobs_lib.database.dialects import file_of
from jobs_lib.database.schema import version
from jobs_lib.engines import guard, relay, spool
from jobs_lib.engines.due import COUNTED
from jobs_lib.errors import ConfigError
from jobs_lib.features.items import QUEUES
from jobs_lib.records import namedtuple
from jobs_lib.runner import access, doubt, incident_files

from .incidents import short_error
from .job_facts import MISCONFIGURED, Looks, about

Facts = namedtuple("Facts", "now zone alerts jobs queues relay refusing disks last_run_at stopped "
                   "gap problems recorded unusable doubt held")
Facts.__doc__ = """Everything, at `now`. Times are aware UTC, or None.

jobs        {name: dict} (job_facts.py); `queues`: [dict], as _queues says
relay       row of `relay_state` while it is paused; `refusing`: who refuses every message
stopped     since when nothing was started that should have been
gap         (from, to) of the last such time that is over, within a day
problems    [Problem]: what cannot be used at all
recorded    [(name, since, error)]: incidents that last, by runner/incident_files.py
unusable    sentences about files of ours that this user, or the user of the jobs, cannot use
doubt       (sentence, since, what): of runner/doubt.py
held        [(job, guard.Held)]: what the guard holds back
"""
Problem = namedtuple("Problem", "name sentence jobs command", defaults=("doctor",))
Problem.__doc__ = """A job or a section (`name`) that cannot be used, or TABLES, why, which jobs do
not run for it, and the command to run next."""
TABLES = "your app's tables"
# {(section, option): what is there, in words}
FOLDERS = {("core", "state_dir"): "state", ("core", "log_dir"): "logs",
           ("spool", "dir"): "raw messages", ("export", "dir"): "exports",
           ("archive", "store"): "archive", ("core", "database"): "database"}

# counts of a run, besides what its queue calls done; `invalid`: what could not be read, and so
# failed
FAILED, TRIED = ("failed", "invalid"), ("retried", "uncertain", "postponed", "put_off")
STALLED_INTERVALS = 2
DAY = timedelta(days=1)


def collect(config, db, now) -> Facts:
    """All of it. ConfigError when [alerts] is wrong."""
    zone = schedule.zone(config.section("core").timezone)
    looks = Looks(db, config, now, zone)
    broken: list[str] = []
    jobs, usable, problems = {}, [], []
    for job in catalogue.load_all(broken):
        try:
            jobs[job.name] = looks.look(job)
            usable.append(job)
        except ConfigError as error:
            jobs[job.name] = {**about(job), **MISCONFIGURED}
            problems.append(_problem(job.name, error, (job.name,)))
    problems = [*(Problem("jobs_lib/jobs", each, ()) for each in broken), *problems,
                *_sections(db, config, usable)]
    for name in {name for problem in problems for name in problem.jobs}:
        jobs[name].update(state=MISCONFIGURED["state"], next_at=None)
    missing, lack = _missing(db, usable)
    if on := tuple(name for name in missing if jobs[name]["enabled"]
                   and not jobs[name]["paused_at"]):
        problems.append(Problem(TABLES, lack, on, "migrate --dry-run"))
    able, cron = [job for job in usable if job.name not in missing], looks.cron
    return Facts(
        now, zone, looks.alerts, jobs, _queues(db, config, able, now, jobs, cron.first),
        relay.pause_now(db, now), relay.of_everybody(db, now), _disks(config),
        cron.last_run, cron.stopped, cron.gap,
        problems, _recorded(config), access.unusable(config), _doubt(db, now),
        [(job, each) for job, state in looks.states.items()
         for each in guard.reported(state["last_options"], now)])


def _problem(name: str, error: ConfigError, jobs) -> Problem:
    return Problem(name, short_error("; ".join(error.problems)), tuple(jobs))


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
            found.append(_problem(section, error, names))
    return found


def _missing(db, jobs) -> tuple[dict, str]:
    """({job: what the app's tables lack for it}, all of that in words)."""
    if version.check(db):
        return {}, ""
    from jobs_lib.database.schema import fit
    # a run has looked, or the next one will: no look at the status tries what can be written
    found = fit.known(db) or []
    missing = {job.name: wrong for job in jobs if (wrong := fit.concerned(job, found))}
    lacks = [each for each in found if any(each in wrong for wrong in missing.values())]
    return missing, fit.in_words(lacks) if lacks else ""


def _recorded(config) -> list:
    core = config.section("core")
    files = [incident_files.IncidentFile(core, name)
             for name in incident_files.lasting_incidents(core)]
    return [(file.name, since, file.last_error()) for file in files
            if (since := file.time_of())]


def _doubt(db, now) -> tuple | None:
    found = doubt.stored_doubt(db)
    return found and (doubt.sentence(found, now), min(found.since, now), found.what)


# Queues

def _queues(db, config, able, now, jobs: dict, day: int) -> list[dict]:
    """The queues of the jobs that are `able` to run. `jobs`: as job_facts.py has them; `day`: the
    first id of the runs of the last day. Numbers of the last day are those of its runs.

    depth               rows that are not finished; as many are counted as of due ones
    due                 those whose time has come; COUNTED or more are not counted to the end
    oldest_due_at       since when the longest waiting is due; `oldest_due_seconds`: how long
    uncertain_last_day  lost in flight
    done_last_day       succeeded; `failed_last_day`: given up; `tried_last_day`: all attempts
    stalled_since       oldest_due_at, if two intervals have passed since and nothing succeeded
    holds               sentences: why those that are due wait all the same
    """
    names = {job.name for job in able}
    most = max(COUNTED, (config.section("alerts").queue_depth or 0) + 1)
    found = []
    for name, kind in QUEUES.items():
        job = kind.queue.job
        # nobody waits for the next check of a domain while checks are disabled
        if kind.done and job in names and (jobs[job]["enabled"] or name != "domains"):
            items = kind(db, config, now)
            depth, due, oldest = items.backlog(most)
            since, results = stored.time(oldest), _last_day(items, day)
            last_done = results.pop("last_done")
            waits = int((now - since).total_seconds()) if since else 0
            is_moving = (waits <= STALLED_INTERVALS * jobs[job]["interval_seconds"]
                         or (last_done and last_done >= since))
            found.append({
                "name": name, "job": job, "what": items.what, "depth": depth,
                "due": due, "oldest_due_at": since,
                "oldest_due_seconds": max(0, waits), **results,
                "stalled_since": None if is_moving else since,
                "holds": items.holds() if due else []})
    return found


def _last_day(items, day: int) -> dict:
    """What the runs of the last day have done, and `last_done`: the start of the last one that
    succeeded with an item."""
    totals, latest, now = dict.fromkeys(("done", "failed", "uncertain", "tried"), 0), 0, items.now
    # grouped, since most runs have found nothing to do
    for row in items.db.query(
            "SELECT counts, COUNT(*) AS number, MAX(id) AS latest FROM {job_runs} WHERE job = :job "
            "AND id >= :day AND started_at >= :since AND started_at <= :now GROUP BY counts",
            job=items.queue.job, day=day, since=now - DAY, now=now):
        counts = results(stored.counts(row["counts"]), items)
        for name, number in counts.items():
            totals[name] += number * row["number"]
        if counts["done"]:
            latest = max(latest, row["latest"])
    last = latest and items.db.value("SELECT started_at FROM {job_runs} WHERE id = :id", id=latest)
    return {"last_done": stored.time(last) if last else None,
            **{f"{name}_last_day": number for name, number in totals.items()}}


def results(counts: dict, kind) -> dict[str, int]:
    """What the counts of a run say of the items of its queue. `kind`: of features/items/."""
    done, failed, again, uncertain = (
        sum(counts.get(name, 0) for name in names)
        for names in ((kind.done,), FAILED, TRIED, ("uncertain",)))
    return {"done": done, "failed": failed, "uncertain": uncertain,
            "tried": done + failed + again}


# The host

def _disks(config) -> list[dict]:
    """A folder that is not there yet has no disk."""
    found: dict = {}
    for (section, option), holds in FOLDERS.items():
        try:
            path = getattr(config.section(section), option) or ""
            if option == "database":
                path = os.path.dirname(file_of(path, config.folder))
            device, space = os.stat(path).st_dev, os.statvfs(path)
        except (ConfigError, OSError):  # a Problem; "" and a URL are no folders
            continue
        found.setdefault(device, {
            "holds": [], "free": space.f_bavail * space.f_frsize,
            "total": space.f_blocks * space.f_frsize})["holds"].append(holds)
    return list(found.values())
