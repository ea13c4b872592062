"""Which of what monitoring/health.py found needs the operator: a list of incidents, one for each
cause.

One incident explains others: a paused relay, and the queues behind it; a full disk, and the jobs
that could not write; a cron that has stopped, and every job that is late. What another incident
explains is not reported by itself.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.config.option_types import show_duration, show_size
from jobs_lib.database import stored
from jobs_lib.errors import ConfigError, Unfit
from jobs_lib.records import namedtuple
from jobs_lib.runner import incident_files
from jobs_lib.text import size

Incident = namedtuple("Incident", "alert_key kind subject since what last_error command explains",
                      defaults=((),))
Incident.__doc__ = """One thing that needs the operator. All but `explains` are columns of `alerts`.

alert_key  names it, and stays the same while it lasts
kind       its heading in docs/alerts.md
subject    in a few words, with the name of its cause
since      aware UTC datetime
what       one or two sentences
last_error  the last error, addresses masked, or ""
command    what to run next, without `python3 jobs.py`
explains   the jobs of which nothing else is reported
"""
KINDS = ("failing", "late", "vanished", "waiting", "undelivered", "relay", "disk", "archive",
         "config", "tables", "clock", "cron", "database", "unwritable", "files",
         "workers", "log",
         "locks", "away", "gap", "channel")
LASTING = {                # {name: (subject, what, command)}
    "unwritable": (
        "the database cannot be written to",
        ("It answers, but nothing can be stored, so no job runs. Another process has locked it, "
        "it is read-only, or its disk is full. Nothing is lost."),
        "doctor"),
    "files": (
        "the jobs cannot use some of their files",
        ("Jobs that need them do not run. Usually a command was run as another user, such as root, "
        "and left files that belong to that user."),
        "doctor"),
    "workers": (
        "jobs cannot be handed to the workers",
        "Cron runs these jobs itself meanwhile.",
        "doctor"),
    "locks": (
        "an unknown connection holds the database lock of a job",
        ("It belongs to no run of the jobs, so the job never starts. If a host was cut off, its "
         "run loses the lock within minutes. Otherwise end that connection at the database server, "
         "and change its password."),
        "history"),
    "log": (
        "the log cannot be written",
        "The jobs still run, but what they would log is lost.",
        "doctor"),
}
OVER = {                    # {name: (what was impossible, what is possible again)}
    "database": ("no job could use the database", "The database can be used again"),
    "unwritable": ("no job could write to the database", "The database can be written to again"),
    "files": ("no job could be started", "The files and folders of the jobs can be used again"),
    "workers": ("jobs could not be handed to the workers",
                "Jobs can be handed to the workers again"),
    "locks": ("an unknown connection held a database lock", "All jobs can be started again"),
    "log": ("the log could not be written", "The log can be written again"),
}
FULL = ("no space left on device", "disk quota exceeded", "database or disk is full")
RELAY = "the relay cannot be used"   # how the error of a job begins that could not use the relay
MANY = 20                   # attempts of a day, of which none succeeded
RELAY_PAUSES = 2            # in a row: one of five minutes is nothing to wake anybody for
MAIL_QUEUES = ("forwards", "notifications")
ARCHIVE_JOB, ALERT_JOB = "archive_audit_logs", "check_jobs"
ERROR_LENGTH = 500


def find(health, config) -> list[Incident]:
    """The incidents, the ones that explain others first. ConfigError when [alerts] is wrong."""
    alerts = config.section("alerts")
    found = [*_recorded(health), *_clock(health), *_stopped(health), *_disks(health, alerts),
             *_relay(health), *_unusable(health), *_tables(health)]
    causes = {each.kind for each in found}
    found += _failing(health, config, alerts, causes)
    idle: list[Incident] = []
    if not health.host.stopped and "unwritable" not in causes:
        idle += _late(health, _explained(found))
    idle += _vanished(health, config, alerts, _explained([*found, *idle]))
    idle += _queues(health, alerts, _explained([*found, *idle]), causes)
    if idle and health.host.last_run_at is None:
        idle = [_never_started(idle)]
    channels = [_channel(row, health.now) for row in health.channels]
    return [*found, *idle, *(each for each in channels
                             if not _is_known(each.last_error, health))]


def _channel(row: dict, now) -> Incident:
    found = {name: stored.words(value) for name, value in row.items()}
    return Incident(found["alert_key"], found["kind"], found["subject"] or stored.UNKNOWN,
                    stored.time(found["since"]) or now, found["what"] or "",
                    found["last_error"] or "", found["command"])


def unreachable(error, since, now) -> Incident:
    """The database cannot be used, or has another schema, as this DatabaseError says: nothing
    else is known."""
    unfit = isinstance(error, Unfit)
    subject = ("the database does not match this version" if unfit
               else "the database cannot be used")
    return Incident("database", "database", subject, since or now,
                    "No job runs until this is fixed. Due work waits, and nothing is lost.",
                    short_error(str(error)), error.command if unfit else "doctor")


def of_file(name: str, error, since) -> Incident:
    """An incident that a file records (runner/incident_files.py), so that it is known without a
    database."""
    if name == "database":
        return unreachable(error, since, since)
    subject, what, command = LASTING[name]
    return Incident(name, name, subject, since, what, short_error(str(error)), command)


def past(health, core) -> list[Incident]:
    """The incidents that are over and are reported once: the time without a database, or else the
    time without cron.

    Asked by check_jobs, whose run shows that the database can be written.
    """
    gap, found = health.host.gap, []
    if gap:
        found.append(_past("gap", gap, health.zone, "no job was started",
                           "Cron or the host had stopped"))
    for name in incident_files.STOP_ALL_JOBS:
        file = incident_files.IncidentFile(core, name)
        since = file.ended_since()
        if since is None:
            continue
        away = _past("away", (since, health.now), health.zone, *OVER[name], file.last_error())
        if gap and gap[0] <= since <= gap[1]:
            # one cause, one alert: the next run finds that the gap was reported
            away = away._replace(alert_key=f"gap:{clock.text(gap[0])}")
            found = [each for each in found if each.alert_key != away.alert_key]
        found.append(away)
    return found


def _past(kind: str, span: tuple, zone, subject: str, why: str, error: str = "") -> Incident:
    begin, end = span
    return Incident(f"{kind}:{clock.text(begin)}", kind,
                    f"{subject} {time_span(begin, end, zone)}", begin,
                    f"{why}. Jobs that were missed run now, once each.", short_error(error),
                    "history")


def short_error(error: str | None) -> str:
    """An error as it may be shown: on one line, not too long, addresses masked."""
    if not error:
        return ""
    from jobs_lib.masking import text as masked  # mostly there is none
    short = " ".join(masked(error).split())
    return short if len(short) <= ERROR_LENGTH else short[:ERROR_LENGTH] + "..."


def short_time(moment, zone) -> str:
    """`14:05 UTC on 24 Nov`, for a subject; in the operator's zone, by its short name."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M %Z} on {local.day} {local:%b}"


def full_time(moment, zone) -> str:
    """`2026-11-24 14:05:10 UTC`, likewise."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def time_span(begin, end, zone) -> str:
    """`from 14:05 to 15:20 UTC on 24 Nov`, or `at 14:05 UTC on 24 Nov` if it lasted less than a
    minute."""
    first, last = begin.astimezone(zone), end.astimezone(zone)
    if f"{first:%Y-%m-%d %H:%M}" == f"{last:%Y-%m-%d %H:%M}":
        return f"at {short_time(end, zone)}"
    start = f"{first:%H:%M}" if first.date() == last.date() else short_time(begin, zone)
    return f"from {start} to {short_time(end, zone)}"


# What explains others

def _recorded(health) -> list[Incident]:
    """What files record, and which of our files this user cannot use, even if no run has noticed
    it yet."""
    known = {name: of_file(name, error, since) for name, since, error in health.recorded
             if name in LASTING}
    if health.unusable:
        found = known.get("files", of_file("files", "", health.now))
        sentences = short_error("; ".join(health.unusable))
        known["files"] = found._replace(what=f"{found.what} {sentences}.", last_error="")
    return list(known.values())


def _stopped(health) -> list[Incident]:
    since = health.host.stopped
    # while one of these lasts, cron works but can start nothing
    if not since or any(name in incident_files.STOP_ALL_JOBS
                           for name, _, _ in health.recorded):
        return []
    return [Incident("cron", "cron", f"no job has started since {short_time(since, health.zone)}",
                     since, "Cron does not start `run-due`, or every start fails immediately. No "
                     "job runs.", "", "crontab")]


def _never_started(idle: list[Incident]) -> Incident:
    """Nothing ever ran: everything that is late or waits, waits for cron."""
    return Incident("cron", "cron", "no job has ever started", min(each.since for each in idle),
                    "Cron has not started `run-due` yet, so everything waits. If its line is in "
                    "your crontab, wait for its next minute. This command prints the line.", "",
                    "crontab")


def _clock(health) -> list[Incident]:
    """The clock is in doubt, or was: runs of the last day are dated in the future."""
    if health.clock is None:
        return []
    doubt, since, ahead, latest = health.clock
    if doubt:
        subject = f"deletions are paused: {clock.IN_DOUBT}"
        what = (f"{doubt[:1].upper()}{doubt[1:]}. Everything else continues. If the host was only "
                "off for a while, you do not need to do anything.")
    else:
        subject = "runs are dated in the future: the clock was ahead, or is behind"
        what = "The clock is trusted again."
    if ahead:
        until = (f"up to {full_time(latest, health.zone)}" if latest
                 else "with times that cannot be")
        what += (f" Runs of the last day that are dated in the future, {until}: {ahead:,}. The "
                 "clock was ahead then, or is behind now.")
    return [Incident("clock", "clock", subject, since, what, "", "doctor")]


def _disks(health, alerts) -> list[Incident]:
    least = alerts.disk_free
    nearly_full = [disk for disk in health.host.disks if least is not None and disk.free < least]
    return [Incident(f"disk:{disk.names[0]}", "disk",
                     f"the disk is nearly full: {size(disk.free)} left", health.now,
                     f"{disk.path} ({', '.join(disk.names)}) has {size(disk.free)} left of "
                     f"{size(disk.total)}, less than [alerts] disk_free = {show_size(least)}. "
                     "When it is full, no job can write anything.", "", "doctor")
            for disk in nearly_full]


def _relay(health) -> list[Incident]:
    row = health.host.relay
    if row is None:
        return []
    since = stored.time(row["since"]) or health.now
    until = stored.time(row["paused_until"]) or health.now
    if stored.number(row["failures"]) < RELAY_PAUSES and until - since < timedelta(hours=1):
        return []
    return [Incident("relay", "relay",
                     f"outgoing mail has been paused since {short_time(since, health.zone)}", since,
                     "The relay accepts no mail, so sending is paused until "
                     f"{full_time(until, health.zone)}, and then tried again. Forwards and notices "
                     "wait, and none loses an attempt.", short_error(row["reason"]), "doctor")]


def _unusable(health) -> list[Incident]:
    """Sections of config.ini, and files of jobs, that are wrong: those jobs do not run."""
    return [Incident(f"config:{each.name}", "config", f"{each.name} cannot be used", health.now,
                     _not_running(each), short_error(each.sentence), "config check", each.jobs)
            for each in health.problems]


def _not_running(problem) -> str:
    others = [name for name in problem.jobs if name != problem.name]
    if not others:
        return "It does not run until this is fixed."
    return f"Not running until this is fixed: {', '.join(others)}."


def _tables(health) -> list[Incident]:
    """Jobs that refuse because the app's own tables lack something; not those that are disabled or
    paused."""
    names = health.blocked.idle
    if not names:
        return []
    who = f"{names[0]} needs" if len(names) == 1 else f"{len(names)} jobs need"
    return [Incident("tables", "tables", f"your app's tables lack what {who}", health.now,
                     f"Not running: {', '.join(names)}. Add what is missing, or disable what you "
                     "do not need.", short_error(health.blocked.lack),
                     "migrate --dry-run", names)]


# Jobs

def _explained(found: list[Incident]) -> set:
    return {name for each in found for name in each.explains}


def _failing(health, config, alerts, causes: set) -> list[Incident]:
    """Jobs that fail for the same reason are one incident."""
    jobs = [job for job in health.jobs.values()
            if job.failures and job.failures >= _threshold(config, job.name, alerts)
            and job.name not in health.blocked.jobs
            and not _is_explained(job.last_error or "", causes)
            and not _is_known(job.last_error or "", health)]
    groups: dict = {}
    for job in sorted(jobs, key=lambda job: (job.failing_since, job.name)):
        groups.setdefault(without_digits(job.last_error), []).append(job)
    return [_failing_together(group, health.zone) for group in groups.values()]


def _threshold(config, name: str, alerts) -> int:
    """After how many failures in a row this job is an incident."""
    try:
        return config.job_named(name).alert_after_failures or alerts.after_failures
    except ConfigError:
        return alerts.after_failures


def _is_explained(error: str, causes: set) -> bool:
    no_room = any(sign in error.lower() for sign in FULL)
    return ("disk" in causes and no_room) or ("relay" in causes and error.startswith(RELAY))


def _is_known(error: str, health) -> bool:
    """Whether it quotes what is wrong in the configuration, which is an incident of its own."""
    return any(short_error(each.sentence) in error for each in health.problems)


def without_digits(error: str | None) -> str:
    """What the errors of two jobs with the same cause have in common."""
    return "".join(sign for sign in error or "" if not sign.isdigit())


def _failing_together(group: list, zone) -> Incident:
    """One incident under the name of the first job: the others come and go."""
    job, others = group[0], [each.name for each in group[1:]]
    what = (f"Its last successful run began {full_time(job.last_ok_at, zone)}." if job.last_ok_at
            else "It has never succeeded.")
    if others:
        what += f" Other jobs fail with the same error: {', '.join(others)}."
    kind = "archive" if job.name == ARCHIVE_JOB else "failing"
    return Incident(f"failing:{job.name}", kind, f"{job.name} has failed {job.failures} times "
                    f"since {short_time(job.failing_since, zone)}", job.failing_since, what,
                    short_error(job.last_error), f"history {job.name}", (job.name, *others))


def _late(health, broken: set) -> list[Incident]:
    return [_late_job(job, health.zone) for job in health.jobs.values()
            if job.late_since and job.name not in broken and not job.failures]


def _late_job(job, zone) -> Incident:
    last = f"since {full_time(job.last_ok_at, zone)}" if job.last_ok_at else "yet"
    return Incident(f"late:{job.name}", "late", f"{job.name} has not succeeded since "
                    f"{short_time(job.late_since, zone)}", job.late_since,
                    f"{job.name} ({job.when}) has not succeeded {last}, although other jobs ran. "
                    "Something keeps it from starting, or it never finishes.",
                    _last_problem(job), f"history {job.name}", (job.name,))


def _last_problem(job) -> str:
    """Why its last run failed or stopped early, if it did."""
    return short_error(job.last and (job.last["error"] or job.last["stop_reason"]))


def _vanished(health, config, alerts, broken: set) -> list[Incident]:
    return [Incident(f"vanished:{job.name}", "vanished",
                     f"{job.name} was killed {job.vanished} times within a day", job.vanished_at,
                     f"The host killed {job.vanished} runs of {job.name} within a day, without an "
                     "error. Each next run went on from there, so nothing is lost, but progress is "
                     "slow.", "", f"history {job.name}")
            for job in health.jobs.values()
            if job.vanished and job.vanished >= _threshold(config, job.name, alerts)
            and job.name not in broken]


# Queues

def _queues(health, alerts, broken: set, causes: set) -> list[Incident]:
    if health.host.stopped:
        return []
    behind_relay = MAIL_QUEUES if "relay" in causes else ()
    watched = [queue for queue in health.queues.values()
               if queue.job not in broken and queue.name not in behind_relay
               and not health.jobs[queue.job].paused_at]
    return [incident for queue in watched
            if (incident := _waiting(queue, health, alerts) or _undelivered(queue, health.now))]


def _waiting(queue, health, alerts) -> Incident | None:
    oldest, reasons = queue.oldest_due_at, []
    if oldest and alerts.queue_age is not None and health.now - oldest > alerts.queue_age:
        reasons.append(f"longer than [alerts] queue_age = {show_duration(alerts.queue_age)}")
    if alerts.queue_depth is not None and queue.due > alerts.queue_depth:
        reasons.append(f"more than [alerts] queue_depth = {alerts.queue_depth:,}")
    # a queue behind a paused relay is paused, not stalled
    if queue.stalled_since and not (health.host.relay and queue.name in MAIL_QUEUES):
        reasons.append("none was finished since then")
    if not reasons:
        return None
    from jobs_lib.engines.work_queue import in_words  # mostly no queue waits
    since = oldest or health.now    # too many may be due, with no time that can be read
    due = in_words(queue.due)
    return Incident(f"waiting:{queue.name}", "waiting", f"{queue.what}: {due} overdue since "
                    f"{short_time(since, health.zone)}", since, f"{due} due, the oldest since "
                    f"{full_time(since, health.zone)}: {', and '.join(reasons)}.",
                    _last_problem(health.jobs[queue.job]), f"history {queue.job}")


def _undelivered(queue, now) -> Incident | None:
    if queue.tried_last_day < MANY or queue.done_last_day:
        return None
    return Incident(f"undelivered:{queue.name}", "undelivered",
                    f"no attempt succeeded in the last 24 hours: {queue.what}",
                    now - timedelta(days=1),
                    f"{queue.job} made {queue.tried_last_day:,} attempts in the last 24 hours, and "
                    "none succeeded.", "", f"history {queue.job}")
