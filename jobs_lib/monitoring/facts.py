"""What is known of jobs, queues and host, from the database, the configuration and the folders;
nothing is written, and nothing is judged.

    found = facts.collect(config, db, now)
    found.jobs["retry_forwards"]["failures"]
    rules.find(found)                           which of it needs the operator

`check_jobs`, `status`, `report` and `metrics` read it, so that all of them report the same.
"""
from __future__ import annotations

import os

from jobs_lib import catalogue, schedule
from jobs_lib.database.dialects import file_of
from jobs_lib.database.schema import version
from jobs_lib.engines import guard, relay, spool
from jobs_lib.errors import ConfigError
from jobs_lib.records import namedtuple
from jobs_lib.runner import access, doubt, incident_files

from .incidents import short_error
from .job_facts import MISCONFIGURED, Looks, about
from .queues import queues

Facts = namedtuple("Facts", "now zone alerts jobs queues relay refusing disks last_run_at stopped "
                   "gap problems recorded unusable doubt held")
Facts.__doc__ = """Everything, at `now`. Times are aware UTC, or None.

zone         `[core] timezone`, for texts       alerts  the section
jobs         {name: dict} (job_facts.py)        queues  [dict] (queues.py)
relay        row of `relay_state` while it is paused, or None
refusing     [relay.Refusing]: who refuses every message
disks        [{holds, path, free, total}]: where we write, one for each file system, in bytes
last_run_at  start of the latest run of any job
stopped      since when nothing was started that should have been
gap          (from, to) of the last such time that is over, within a day
problems     [Problem]: what cannot be used at all
recorded     [(name, since, error)]: incidents that last, by runner/incident_files.py
unusable     sentences about files of ours that this user, or the user of the jobs, cannot use
doubt        (sentence, since, what): of runner/doubt.py, or None
held         [(job, guard.Held)]: what the guard holds back
"""
Problem = namedtuple("Problem", "name sentence jobs command", defaults=("doctor",))
Problem.__doc__ = """A job or a section (`name`) that cannot be used, or TABLES, why, which jobs do
not run for it, and the command to run next."""
TABLES = "your app's tables"
# {(section, option): what is there, in words}
FOLDERS = {("core", "state_dir"): "state", ("core", "log_dir"): "logs",
           ("spool", "dir"): "raw messages", ("export", "dir"): "exports",
           ("archive", "store"): "archive", ("core", "database"): "database"}


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
        now, zone, looks.alerts, jobs, queues(db, config, able, now, jobs, cron.first),
        relay.pause_now(db, now) if _is_right(config, "mail") else None,
        relay.of_everybody(db, now), _disks(config), cron.last_run, cron.stopped, cron.gap,
        problems, _recorded(config), access.unusable(config), _doubt(db, now, cron.is_changed),
        [(job, each) for job, state in looks.states.items()
         for each in guard.reported(state["last_options"], now)])


def _problem(name: str, error: ConfigError, jobs) -> Problem:
    return Problem(name, short_error("; ".join(error.problems)), tuple(jobs))


def _is_right(config, section: str) -> bool:
    try:
        config.section(section)
    except ConfigError:                 # a Problem
        return False
    return True


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


def _doubt(db, now, is_clock_changed: bool) -> tuple | None:
    found = doubt.stored_doubt(db)
    return found and (doubt.sentence(found, now),
                      now if is_clock_changed else min(found.since, now), found.what)


def _disks(config) -> list[dict]:
    """A folder that is not there yet has no disk."""
    found: dict = {}
    for (section, option), holds in FOLDERS.items():
        if not _is_right(config, section):
            continue
        path = getattr(config.section(section), option) or ""
        if option == "database":
            path = os.path.dirname(file_of(path, config.folder))
        try:
            device, space = os.stat(path).st_dev, os.statvfs(path)
        except OSError:                     # of "" and of a URL, too
            continue
        found.setdefault(device, {
            "holds": [], "path": path, "free": space.f_bavail * space.f_frsize,
            "total": space.f_blocks * space.f_frsize})["holds"].append(holds)
    return list(found.values())
