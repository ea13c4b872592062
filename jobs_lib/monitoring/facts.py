"""What is known of jobs, queues and host, from the database, the configuration and the folders;
nothing is written, and nothing is judged. `check_jobs`, `status`, `report` and `metrics` read it,
so that all of them report the same.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib import catalogue
from jobs_lib.database import stored
from jobs_lib.database.dialects import file_of
from jobs_lib.database.schema import version
from jobs_lib.engines import relay, spool
from jobs_lib.errors import ConfigError
from jobs_lib.features.items import QUEUES
from jobs_lib.text import COUNTED, one_line
from jobs_lib.workers import dispatch

from .incidents import ERROR_LENGTH, Incident, short_time
from .job_facts import NO_STATE, WATCHER, Cron, latest, look, states, unknown

TABLES = "your app's tables"
# {(section, option): what is there, in words}
FOLDERS = {("core", "state_dir"): "state", ("core", "log_dir"): "logs",
           ("spool", "dir"): "raw messages", ("export", "dir"): "exports",
           ("archive", "store"): "archive", ("core", "database"): "database"}

TRIED = ("retried", "uncertain", "postponed", "put_off")  # counts of a run
STALLED_INTERVALS = 2
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


class Facts:
    """Everything, at `now`. Times are aware UTC, or None.

    alerts    the section, or its defaults           states  {job: its row of `job_state`}
    cron      whether it comes (job_facts.Cron)      day     the runs of the last day (totals)
    jobs      {name: dict} (job_facts.unknown)       queues  [dict] (_queue)
    relay     its pause, or None (relay.pause_now)   engines  of the workers
    problems  incidents: what cannot be used at all, and which jobs do not run for it
    """

    def __init__(self, config, db, now) -> None:
        self.config, self.db, self.now = config, db, now
        self.zone = config.zone()
        self.alerts, self.states = config.section_or_defaults("alerts"), states(db)
        self.cron = Cron(db, self.states.get(WATCHER, NO_STATE), now)
        self.day = totals(db, now - DAY, now + SECOND)
        self.relay = relay.pause_now(db, now)
        self.problems: list[Incident] = []
        loaded = self._look()
        missing = self._missing(loaded)
        self.engines = dispatch.engines(config, [
            job for job in loaded if self.jobs[job.name]["enabled"]])
        self.queues = [_queue(self, kind) for kind in QUEUES.values()
                       if kind.done and kind.queue.job in self.jobs.keys() - missing.keys()
                       # nobody waits for the next check of a domain while checks are disabled
                       and (self.jobs[kind.queue.job]["enabled"] or kind.queue.name != "domains")]

    def at(self, moment) -> str:
        return short_time(moment, self.zone)

    def _look(self) -> list:
        """Look at each job, its sections and spool. Those that are loaded."""
        wrong: dict = {}
        loaded, broken = catalogue.usable()
        self.jobs = {name: unknown(name) for name in catalogue.names()}
        for job in loaded:
            self.jobs[job.name] = unknown(job.name, job)
        for needing, sections in [*(([job], job.sections) for job in loaded), ([], ("status",))]:
            try:
                for job in needing:
                    self.jobs[job.name] = look(self, job)
                self.config.check([], sections)
            except ConfigError as error:
                for problem in error.problems:
                    section, end, _ = problem.partition("]")
                    mistakes, stopped = wrong.setdefault(section + end, ({}, {}))
                    mistakes[problem] = True
                    stopped.update((job.name, True) for job in needing)
        for each in broken:
            subject, _, what = each.partition(". ")
            jobs = sorted(self.jobs.keys() - {job.name for job in loaded})
            self.problems.append(Incident("configuration:jobs", subject, self.now, f"{what}.",
                                          "doctor", jobs=tuple(jobs)))
        for section, (mistakes, jobs) in wrong.items():
            self._cannot_use(section, "; ".join(mistakes), jobs)
        readers = [job.name for job in loaded
                   if "spool" in job.sections and self.jobs[job.name]["enabled"]]
        if readers and "[spool]" not in wrong and (
                why := spool.wrong_folder(self.db, self.config.section("spool").dir)):
            self._cannot_use("[spool] dir", why, readers)
        return loaded

    def _missing(self, jobs: list) -> dict[str, list]:
        """{job: what the app's tables lack for it}."""
        missing: dict = {}
        if not version.check(self.db):
            from jobs_lib.database.schema import fit
            # by a run: nothing is tried here
            found = fit.known(self.db) or []
            missing = {job.name: wrong for job in jobs
                       if (wrong := fit.concerned(job.tables, found))}
            on = [name for name in missing
                  if self.jobs[name]["enabled"] and not self.jobs[name]["paused_at"]]
            if on:
                lacks = [each for each in found if any(each in wrong for wrong in missing.values())]
                self._cannot_use(TABLES, fit.in_words(lacks), on, "migrate --dry-run")
        return missing

    def _cannot_use(self, name: str, why: str, jobs, command: str = "doctor") -> None:
        """A section (`name`), or TABLES, cannot be used; these jobs do not run for it."""
        for job in jobs:
            self.jobs[job].update(state="misconfigured", next_at=None)
        self.problems.append(Incident(
            f"configuration:{name}", f"{name} cannot be used", self.now,
            f"Jobs that do not run: {', '.join(jobs) or 'none'}. Correct it, or disable "
            "what you do not need.", command, one_line(why, ERROR_LENGTH), tuple(jobs)))


# The past

def totals(db, since, until) -> list[dict]:
    """The runs that began in that time, added up by job, outcome and counts: most have found
    nothing to do. A short statement, served by the index of the time."""
    return db.query(
        "SELECT job, status, counts, COUNT(*) AS runs, SUM(duration_ms) AS took, "
        "MAX(started_at) AS latest FROM {job_runs} WHERE started_at >= :since "
        "AND started_at < :until GROUP BY job, status, counts", since=since, until=until)


def results(row: dict, kind) -> dict[str, int]:
    """What the counts of runs say of the items of their queue. `kind`: of features/items/. Those
    that could not be read have failed where others were tried: else none was ended."""
    counts = stored.counts(row["counts"])
    done, failed, again, uncertain = (
        sum(counts.get(name, 0) for name in names)
        for names in ((kind.done,), ("failed",), TRIED, ("uncertain",)))
    failed += counts.get("invalid", 0) if done or failed or again else 0
    return {"done": done, "failed": failed, "uncertain": uncertain,
            "tried": done + failed + again}


# Queues

def _queue(facts: Facts, kind) -> dict:
    """A queue. Numbers of the last day are those of its runs.

    depth               rows that are not finished; as many are counted as of due ones
    due                 those whose time has come; COUNTED or more are not counted to the end
    oldest_due_at       since when the longest waiting is due; `oldest_due_seconds`: how long
    uncertain_last_day  lost in flight
    done_last_day       succeeded; `failed_last_day`: given up; `tried_last_day`: all attempts
    stalled_since       oldest_due_at, if runs have begun in two intervals since, and none succeeded
    holds               sentences: why those that are due wait all the same
    """
    items, job = kind(facts.db, facts.config, facts.now), facts.jobs[kind.queue.job]
    if job["interval_seconds"]:
        depth, due, oldest = items.backlog(max(COUNTED, (facts.alerts.queue_depth or 0) + 1))
        holds = items.holds() if due else []
    else:  # its section or file is wrong
        depth, due, oldest = sum(map(items.count, items.unfinished)), 0, None
        holds = [f"{job['name']} does not run."] if depth else []
    since, last_done = stored.time(oldest), None
    numbers = dict.fromkeys(("done", "failed", "uncertain", "tried"), 0)
    for row in facts.day:
        if row["job"] == job["name"]:
            found = results(row, kind)
            for name, number in found.items():
                numbers[name] += number * row["runs"]
            if found["done"]:
                last_done = latest(last_done, stored.time(row["latest"]))
    waits = max(0, int((facts.now - since).total_seconds())) if since else 0
    began = stored.time((job["last"] or {}).get("started_at"))
    is_moving = (waits <= STALLED_INTERVALS * job["interval_seconds"]
                 or not (since and began and began >= since) or (last_done and last_done >= since))
    return {"name": kind.queue.name, "job": job["name"], "what": items.what, "depth": depth,
            "due": due, "oldest_due_at": since, "oldest_due_seconds": waits,
            **{f"{name}_last_day": number for name, number in numbers.items()},
            "stalled_since": None if is_moving else since, "holds": holds}


# The host

def disks(config) -> list[dict]:
    """The file systems, and what is on each. A folder that is not there yet has no disk."""
    found: dict = {}
    for (section, option), holds in FOLDERS.items():
        try:
            path = getattr(config.section(section), option) or ""
            if option == "database":
                path = os.path.dirname(file_of(path, config.folder))
            device, space = os.stat(path).st_dev, os.statvfs(path)
        except (ConfigError, OSError):  # a problem; "" and a URL are no folders
            continue
        found.setdefault(device, {
            "holds": [], "free": space.f_bavail * space.f_frsize,
            "total": space.f_blocks * space.f_frsize})["holds"].append(holds)
    return list(found.values())
