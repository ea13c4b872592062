"""Which of what monitoring/health.py found needs somebody, as a list of troubles, one for each
cause.

One trouble explains others: a relay that rests, and the queues behind it; a full disk, and the jobs
that could not write; a cron that has stopped, and every job that is late. What is explained is not
told of by itself.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.config.option_types import show_duration, show_size
from jobs_lib.database import stored
from jobs_lib.errors import ConfigError, Unfit
from jobs_lib.masking import text as masked
from jobs_lib.runner.standing import BARS_ALL

from .queues import in_words

Trouble = namedtuple("Trouble", "key kind subject since what error command explains",
                     defaults=((),))
Trouble.__doc__ = """One thing that needs somebody.

key      names it, the same as long as it lasts       kind     its heading in docs/alerts.md
subject  in a few words, with its cause's name         since    aware UTC datetime
what     one or two sentences                          error    the last error in its own words, or ""
command  what to run next, without `python3 jobs.py`
explains  the jobs of which nothing else is told
"""
KINDS = ("failing", "late", "vanished", "waiting", "undelivered", "relay", "disk", "archive",
         "config", "tables", "clock", "cron", "database", "unwritable", "files", "workers", "log",
         "locks", "away", "gap", "channel")
STANDING = {                # {name: (subject, what, command)}
    "unwritable": (
        "the database cannot be written to",
        ("It answers, but nothing can be stored, so no job runs. Another process has locked it, it is read-only, "
         "or its disk is full. Nothing is lost."),
        "doctor"),
    "files": (
        "the jobs cannot use some of their files",
        ("Jobs that need them do not run. Usually a command was run as another user, such as root, and left files that "
         "belong to that user."),
        "doctor"),
    "workers": (
        "jobs cannot be handed to the workers",
        "Cron runs these jobs itself, or they wait: [worker] fallback decides.",
        "doctor"),
    "locks": (
        "an unknown connection holds the database lock of a job",
        ("It belongs to no run of the jobs, so the job never starts. If a host was cut off, its run loses the lock "
         "within minutes. Otherwise end that connection at the database server, and change its password."),
        "history"),
    "log": (
        "the log cannot be written",
        "The jobs still run, but what they would log is lost.",
        "doctor"),
}
FULL = ("no space left on device", "disk quota exceeded", "database or disk is full")
RELAY = "the relay cannot be used"              # how the error of a job begins that met it
MANY = 20                   # attempts of a day, of which none came through
RELAY_PAUSES = 2            # in a row: one of five minutes is nothing to wake anybody for
MAIL_QUEUES = ("forwards", "notifications")
ARCHIVE_JOB = "archive_audit_logs"
ERROR_LENGTH = 500


def find(health, config) -> list[Trouble]:
    """The troubles, the ones that explain others first. ConfigError when [alerts] is wrong."""
    alerts = config.section("alerts")
    found = [*_standing(health), *_clock(health), *_stopped(health), *_disks(health, alerts),
             *_relay(health), *_unusable(health),
             *_tables(health)]
    disk, relay = (any(each.kind == kind for each in found) for kind in ("disk", "relay"))
    found += _failing(health, config, alerts, disk, relay)
    idle = []
    if not health.host.stopped and not any(each.kind == "unwritable" for each in found):
        idle += _late(health, _explained(found))
    idle += _vanished(health, config, alerts, _explained([*found, *idle]))
    idle += _queues(health, alerts, _explained([*found, *idle]), relay)
    found += _never_started(health, idle) if idle and health.host.last_run_at is None else idle
    return found + [_channel({name: stored.words(value) for name, value in row.items()}, health.now)
                    for row in health.channels]


def _channel(row: dict, now) -> Trouble:
    return Trouble(row["alert_key"], row["kind"], row["subject"] or stored.UNKNOWN,
                   stored.time(row["since"]) or now, row["what"] or "", row["last_error"] or "",
                   row["command"])


def unreachable(error, since, now) -> Trouble:
    """The database is away or has another schema, as this DatabaseError says, so nothing else is
    known."""
    unfit = isinstance(error, Unfit)
    return Trouble("database", "database",
                   "the database does not match this version" if unfit else "the database cannot "
                   "be used", since or now,
                   "No job runs until this is fixed. Due work waits, and nothing is lost.",
                   words(str(error)), error.command if unfit else "doctor")


def standing(name: str, error, since) -> Trouble:
    """An incident that is remembered by a file (runner/standing.py), so that it is known without a
    database."""
    if name == "database":
        return unreachable(error, since, since)
    subject, what, command = STANDING[name]
    return Trouble(name, name, subject, since, what, words(str(error)), command)


def words(error: str | None) -> str:
    """An error as it may be told: on one line, not too long, nobody's address in it."""
    short = " ".join(masked(error or "").split())
    return short if len(short) <= ERROR_LENGTH else short[:ERROR_LENGTH] + "..."


def at(moment, zone) -> str:
    """`14:05 UTC on 24 Nov`, as it may stand in a subject; in the operator's zone, by its short
    name."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M %Z} on {local.day} {local:%b}"


def full(moment, zone) -> str:
    """`2026-11-24 14:05:10 UTC`, likewise."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def from_to(begin, end, zone) -> str:
    """`from 14:05 to 15:20 UTC on 24 Nov`, or `at 14:05 UTC on 24 Nov` where it was over within the
    minute."""
    first, last = begin.astimezone(zone), end.astimezone(zone)
    if f"{first:%Y-%m-%d %H:%M}" == f"{last:%Y-%m-%d %H:%M}":
        return f"at {at(end, zone)}"
    return f"from {f'{first:%H:%M}' if first.date() == last.date() else at(begin, zone)} to {at(end, zone)}"


# What explains others

def _standing(health) -> list[Trouble]:
    """What files remember, and what of our own files this user cannot use, whether or not a run has
    met it."""
    known = {name: standing(name, error, since) for name, since, error in health.standing
             if name in STANDING}
    if health.unusable:
        found = known.get("files", standing("files", "", health.now))
        known["files"] = found._replace(what=f"{found.what} {words('; '.join(health.unusable))}.",
                                        error="")
    return list(known.values())


def _stopped(health) -> list[Trouble]:
    since = health.host.stopped
    if not since or any(name in BARS_ALL for name, _, _ in health.standing):
        # cron comes, and can start nothing
        return []
    return [Trouble("cron", "cron", f"no job has started since {at(since, health.zone)}", since,
                    "Cron does not start `run-due`, or every start fails immediately. No job runs.",
                    "", "crontab")]


def _never_started(health, idle: list) -> list[Trouble]:
    """Nothing ever ran: whatever is late or waits, waits for cron."""
    since = min(each.since for each in idle)
    return [Trouble("cron", "cron", "no job has ever started", since,
                    "Cron has not started `run-due` yet, so everything waits. If its line is in "
                    "your crontab, wait for its next minute. This command prints the line.", "",
                    "crontab")]


def _clock(health) -> list[Trouble]:
    """The clock is in doubt, or was: runs of the last day have a time to come."""
    if health.clock is None:
        return []
    doubt, since, ahead, latest = health.clock
    what = (f"{doubt[:1].upper()}{doubt[1:]}. Everything else continues. If the host was only off "
            "for a while, you do not need to do anything." if doubt else "The clock is trusted "
            "again.")
    if ahead:
        until = f"up to {full(latest, health.zone)}" if latest else "with times that cannot be"
        what += (f" Runs of the last day that are dated in the future, {until}: {ahead:,}. The "
                 "clock was ahead then, or is behind now.")
    return [Trouble("clock", "clock", f"deletions are paused: {clock.IN_DOUBT}" if doubt
                    else "runs are dated in the future: the clock was ahead, or is behind", since,
                    what, "", "doctor")]


def _disks(health, alerts) -> list[Trouble]:
    least = alerts.disk_free
    full = [disk for disk in health.host.disks if least is not None and disk.free < least]
    return [Trouble(f"disk:{disk.names[0]}", "disk",
                    f"the disk is nearly full: {show_mb(disk.free)} left", health.now,
                    f"{disk.path} ({', '.join(disk.names)}) has {show_mb(disk.free)} left of "
                    f"{show_mb(disk.total)}, less than [alerts] disk_free = {show_size(least)}. "
                    "When it is full, no job can write anything.", "",
                    "doctor") for disk in full]


def show_mb(size: int) -> str:
    """`1.5 GB`, `120 MB`."""
    return f"{size / 1024 ** 3:.1f} GB" if size >= 1024 ** 3 else f"{size // 1024 ** 2} MB"


def _relay(health) -> list[Trouble]:
    row = health.host.relay
    if row is None:
        return []
    since, until = stored.time(row["since"]) or health.now, stored.time(row["paused_until"]) or health.now
    if stored.number(row["failures"]) < RELAY_PAUSES and until - since < timedelta(hours=1):
        return []
    return [Trouble("relay", "relay",
                    f"outgoing mail has been paused since {at(since, health.zone)}", since,
                    "The relay accepts no mail, so sending is paused until "
                    f"{full(until, health.zone)}, and then tried again. Forwards and notices wait, "
                    "and none loses an attempt.", words(row["reason"]),
                    "doctor")]


def _unusable(health) -> list[Trouble]:
    """Sections of config.ini, and files of jobs, that are wrong: those jobs do not run."""
    return [Trouble(f"config:{name}", "config", f"{name} cannot be used", health.now,
                    "It does not run until this is fixed.", words(sentence), "config check")
            for name, sentence in health.problems]


def _tables(health) -> list[Trouble]:
    """Jobs that refuse, since the app's own tables lack something; not those that are switched off
    or paused."""
    names = health.blocked.idle
    if not names:
        return []
    who = f"{names[0]} needs" if len(names) == 1 else f"{len(names)} jobs need"
    return [Trouble("tables", "tables", f"your app's tables lack what {who}", health.now,
                    f"Not running: {', '.join(names)}. Add what is missing, or disable what you do "
                    "not need.", words(health.blocked.lack), "migrate --own-tables --dry-run",
                    names)]


# Jobs

def _explained(found: list) -> set:
    return {name for each in found for name in each.explains}


def _failing(health, config, alerts, disk: bool, relay: bool) -> list[Trouble]:
    jobs = [job for job in health.jobs.values()
            if job.failures >= _after(config, job.name, alerts)
            and job.name not in health.blocked.jobs and not _known(job.last_error or "", disk,
                                                                   relay)]
    groups: dict = {}
    for job in sorted(jobs, key=lambda job: (job.failing_since, job.name)):
        groups.setdefault(alike(job.last_error), []).append(job)
    return [_failing_together(group, health.zone) for group in groups.values()]


def _after(config, name: str, alerts) -> int:
    try:
        return config.job_named(name).alert_after_failures or alerts.after_failures
    except ConfigError:
        return alerts.after_failures


def _known(error: str, disk: bool, relay: bool) -> bool:
    return (disk and any(sign in error.lower() for sign in FULL)) or (relay
                                                                      and error.startswith(RELAY))


def alike(error: str | None) -> str:
    """What two jobs with the same cause have in common: the words, without numbers."""
    return "".join(sign for sign in error or "" if not sign.isdigit())


def _failing_together(group: list, zone) -> Trouble:
    """One trouble for all jobs that fail for the same reason, under the name of the first: the
    others come and go."""
    job, others = group[0], [each.name for each in group[1:]]
    good = (f"Its last successful run began {full(job.last_ok_at, zone)}." if job.last_ok_at else
            "It has never succeeded.")
    with_ = f" Other jobs fail with the same error: {', '.join(others)}." if others else ""
    kind = "archive" if job.name == ARCHIVE_JOB else "failing"
    return Trouble(f"failing:{job.name}", kind,
                   f"{job.name} has failed {job.failures} times since "
                   f"{at(job.failing_since, zone)}", job.failing_since, f"{good}{with_}",
                   words(job.last_error),
                   f"history {job.name}", (job.name, *others))


def _late(health, broken: set) -> list[Trouble]:
    found = []
    for job in health.jobs.values():
        if job.late_since and job.name not in broken and not job.failures:
            last = f"since {full(job.last_ok_at, health.zone)}" if job.last_ok_at else "yet"
            found.append(Trouble(f"late:{job.name}", "late",
                                 f"{job.name} has not succeeded since "
                                 f"{at(job.late_since, health.zone)}", job.late_since,
                                 f"{job.name} ({job.when}) has not succeeded {last}, although "
                                 "other jobs ran. Something keeps it from starting, or it never "
                                 "finishes.", _last_words(job), f"history {job.name}", (job.name,)))
    return found


def _last_words(job) -> str:
    """How its last run ended, when that was not well."""
    return words(job.last and (job.last["error"] or job.last["stop_reason"]))


def _vanished(health, config, alerts, broken: set) -> list[Trouble]:
    return [Trouble(f"vanished:{job.name}", "vanished",
                    f"{job.name} was killed {job.vanished} times within a day", job.vanished_at,
                    f"The host killed {job.vanished} runs of {job.name} within a day, without an "
                    "error. Each next run went on from there, so nothing is lost, but progress is "
                    "slow.", "", f"history {job.name}")
            for job in health.jobs.values()
            if job.vanished >= _after(config, job.name, alerts) and job.name not in broken]


# Queues

def _queues(health, alerts, broken: set, relay: bool) -> list[Trouble]:
    found = []
    for queue in health.queues.values():
        if queue.job in broken or (relay and queue.name in MAIL_QUEUES) or health.host.stopped \
                or health.jobs[queue.job].paused_at:
            continue
        since, reasons = queue.oldest_due_at, []
        if since and alerts.queue_age is not None and health.now - since > alerts.queue_age:
            reasons.append(f"longer than [alerts] queue_age = {show_duration(alerts.queue_age)}")
        if alerts.queue_depth is not None and queue.due > alerts.queue_depth:
            reasons.append(f"more than [alerts] queue_depth = {alerts.queue_depth:,}")
        if queue.stalled_since and not (health.host.relay and queue.name in MAIL_QUEUES):
            # a pause is no standstill
            reasons.append("none was finished since then")
        if reasons:
            # too many, and when the oldest came is no time
            since = since or health.now
            found.append(Trouble(f"waiting:{queue.name}", "waiting",
                                 f"{queue.what}: {in_words(queue.due)} overdue since "
                                 f"{at(since, health.zone)}", since, f"{in_words(queue.due)} due, "
                                 f"the oldest since {full(since, health.zone)}: "
                                 f"{', and '.join(reasons)}.", _last_words(health.jobs[queue.job]),
                                 f"history {queue.job}"))
        elif queue.tried_last_day >= MANY and not queue.done_last_day:
            found.append(Trouble(f"undelivered:{queue.name}", "undelivered",
                                 f"every attempt failed within a day: {queue.what}", health.now
                                 - timedelta(days=1), f"{queue.job} made {queue.tried_last_day:,} "
                                 "attempts within a day, and none succeeded.", "",
                                 f"history {queue.job}"))
    return found
