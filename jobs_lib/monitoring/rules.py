"""Which of the facts (facts.py) are incidents, one for each cause: RULES.

The order of the rules says what explains what: a job that an incident is about is not looked at by
the rules after it. So a paused relay explains the queues behind it, a full disk the jobs that could
not write, and a stopped cron whatever is late.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.config.option_types import show_duration
from jobs_lib.database import stored
from jobs_lib.engines.due import in_words
from jobs_lib.engines.relay import EVERYBODY
from jobs_lib.runner import incident_files
from jobs_lib.text import size

from .incidents import DOUBTS, OUTAGES, Incident, of_file, short_error, short_time, without_digits

FULL = ("no space left on device", "disk quota exceeded", "database or disk is full")
MANY = 20               # attempts of a day, of which none succeeded
RELAY_PAUSES = 2        # in a row: one of five minutes is nothing to wake anybody for
HOUR = timedelta(hours=1)
MAIL_JOBS = ("retry_forwards", "send_notifications")


def find(facts) -> list[Incident]:
    """The incidents, the ones that explain others first."""
    found: list[Incident] = []
    for rule in RULES:
        found += rule(facts, {name for each in found for name in each.jobs})
    return found


def _found(key: str, since, subject: str, what: str, command: str, error=None,
           jobs=()) -> Incident:
    """`what`: what follows from it, and what to do; safe to publish, but of the guard's."""
    return Incident(key, key.partition(":")[0], subject, since, what, short_error(error), command,
                    tuple(jobs))


# Nothing can run

def _recorded(facts, _):
    """What files record, and which of our files this user cannot use, even if no run has noticed
    it yet."""
    known = {name: (since, error) for name, since, error in facts.recorded}
    if facts.unusable:
        since, _ = known.get(incident_files.FILES, (facts.now, ""))
        known[incident_files.FILES] = since, f"{'; '.join(facts.unusable)}."
    for name, (since, error) in known.items():
        if name in OUTAGES:  # a mistake in config.ini is found below
            yield of_file(name, error, since)


def _cannot_start(facts) -> bool:
    """Whether nothing can be begun, for a reason that is an incident of its own."""
    return any(name in incident_files.STOP_ALL_JOBS for name, _, _ in facts.recorded)


def _cron(facts, _):
    """Cron never came, or comes no more: it explains whatever is late or waits."""
    since, subject = facts.stopped, "no job has ever started"
    if facts.last_run_at is None:
        since = min((job["late_since"] for job in facts.jobs.values() if job["late_since"]),
                    default=None)
    elif since:
        subject = f"no job has started since {short_time(since, facts.zone)}"
    if since and not _cannot_start(facts):
        yield _found("late:cron", since, subject,
                     "Cron does not start `run-due`, or every start fails at once. Look at "
                     "its line in your host's cron page, and at the mail that cron sends. "
                     "This command prints the line.", "crontab", jobs=facts.jobs)


def _doubt(facts, _):
    if facts.doubt:
        text, since, what = facts.doubt
        yield _found(f"doubt:{what}", since, DOUBTS[what], f"{text[:1].upper()}{text[1:]}.",
                     "resume all")


# The host and the configuration

def _disks(facts, _):
    least = facts.alerts.disk_free
    jobs = [name for name, job in facts.jobs.items()
            if any(sign in job["error"].lower() for sign in FULL)]
    for disk in facts.disks:
        free, holds = size(disk["free"]), ", ".join(disk["holds"])
        if least is not None and disk["free"] < least:
            yield _found(f"disk:{disk['holds'][0]}", facts.now,
                         f"the disk is nearly full: {free} left",
                         f"{holds}: {free} left of {size(disk['total'])}, less than "
                         f"[alerts] disk_free, {size(least)}. When it is full, no job can "
                         "write. Delete what you do not need, or ask for more space.",
                         "doctor", jobs=jobs)


def _relay(facts, _):
    row = facts.relay
    if row is None:
        return
    since = stored.time(row["since"]) or facts.now
    until = stored.time(row["paused_until"]) or facts.now
    if stored.number(row["failures"]) >= RELAY_PAUSES or until - since >= HOUR:
        yield _found("relay:mail", since,
                     f"outgoing mail has been paused since {short_time(since, facts.zone)}",
                     f"The relay accepts no mail. It is tried again at "
                     f"{short_time(until, facts.zone)}; no message loses an attempt. Check "
                     "host, user name and password in [mail], and your host's limits.",
                     "doctor", row["reason"], MAIL_JOBS)


def _refusals(facts, _):
    """The relay takes our mail and refuses the recipients, all of them or all of a provider."""
    for each in facts.refusing:
        is_relay = each.domain == EVERYBODY
        who = "the mail server" if is_relay else each.domain
        yield _found(f"relay:{each.domain}", each.since, f"{who} refuses every message",
                     f"{each.recipients} recipients were refused since "
                     f"{short_time(each.since, facts.zone)}: their addresses are not the "
                     "cause. Each message is tried again on its schedule. Your host may be "
                     "on a blocklist.", "queue forwards", each.answer,
                     MAIL_JOBS if is_relay else ())


def _unusable(facts, _):
    """What is wrong in config.ini, files of jobs, the app's tables: those jobs do not run."""
    for each in facts.problems:
        yield _found(f"configuration:{each.name}", facts.now, f"{each.name} cannot be used",
                     f"Not running: {', '.join(each.jobs) or 'its job'}. Correct what is "
                     "wrong, or disable what you do not need.",
                     each.command, each.sentence, each.jobs)


def _held(facts, _):
    """What the guard holds back (engines/guard.py); the job itself works and may fail besides."""
    for job, each in facts.held:
        if job in facts.jobs and facts.jobs[job]["enabled"]:
            yield _found(f"guard:{job}:{each.name}", each.since,
                         f"{job} holds back {each.count:,} of {each.of:,} {each.what}",
                         f"{each.why}.", f"test {job}")


# Jobs

def _failing(facts, explained):
    """Jobs that fail for the same reason are one incident, under the name of the first: the others
    come and go."""
    groups: dict = {}
    for job in sorted(facts.jobs.values(), key=lambda job: (
            job["failing_since"] or facts.now, job["name"])):
        if (job["failures"] >= job["alert_after"] and job["name"] not in explained
                # what quotes a mistake in the configuration is not another one
                and not any(each.sentence in job["error"] for each in facts.problems)):
            groups.setdefault(without_digits(job["error"]), []).append(job)
    for job, *others in groups.values():
        name, since, good = job["name"], job["failing_since"], job["last_ok_at"]
        names = [each["name"] for each in others]
        more = f" Other jobs fail with the same error: {', '.join(names)}." if names else ""
        last = (f"Its last successful run began at {short_time(good, facts.zone)}." if good
                else "It has never succeeded.")
        yield _found(f"failing:{name}", since,
                     f"{name} has failed {job['failures']} times since "
                     f"{short_time(since, facts.zone)}",
                     f"{last}{more} Its work waits, and nothing is lost.", f"history {name}",
                     job["error"], (name, *names))


def _late(facts, explained):
    if facts.last_run_at is None or _cannot_start(facts):
        return
    for name, job in facts.jobs.items():
        since, good = job["late_since"], job["last_ok_at"]
        if since and not job["failures"] and name not in explained:
            last = f"since {short_time(good, facts.zone)}" if good else "yet"
            yield _found(f"late:{name}", since,
                         f"{name} has not succeeded since {short_time(since, facts.zone)}",
                         f"It runs {job['when']}, and has not succeeded {last}, although "
                         "others ran. It cannot start, or never finishes.",
                         f"history {name}", _last_problem(job), (name,))


def _last_problem(job: dict) -> str:
    """Why its last run failed or stopped early, if it did."""
    return job["last"] and (job["last"]["error"] or job["last"]["stop_reason"])


def _waiting(facts, explained):
    """Queues in which something waits too long, too much waits, or nothing is finished."""
    alerts = facts.alerts
    for queue in facts.queues:
        job, name, tried = facts.jobs[queue["job"]], queue["job"], queue["tried_last_day"]
        if name in explained or job["paused_at"]:
            continue
        # too many may be due, with no time that can be read
        since = queue["oldest_due_at"] or facts.now
        at, reasons = short_time(since, facts.zone), []
        # a queue behind a paused relay is paused, not stalled
        if queue["stalled_since"] and not (facts.relay and name in MAIL_JOBS):
            reasons.append(f"none was finished since {at}")
        if alerts.queue_age is not None and facts.now - since > alerts.queue_age:
            reasons.append(f"the oldest is due since {at}, longer than [alerts] queue_age = "
                           f"{show_duration(alerts.queue_age)}")
        if alerts.queue_depth is not None and queue["due"] > alerts.queue_depth:
            reasons.append(f"more are due than [alerts] queue_depth = {alerts.queue_depth:,}")
        if tried >= MANY and not queue["done_last_day"]:
            reasons.append(f"none of {tried:,} attempts succeeded in the last 24 hours")
        if reasons:
            more = "; ".join([f"{in_words(queue['due'])} are due", *reasons])
            yield _found(f"waiting:{queue['name']}", since, f"{queue['what']}: {reasons[0]}",
                         f"Of these {more}. Your host may be on a blocklist, or a limit "
                         "of [mail] too low.",
                         f"history {name}", _last_problem(job), (name,))


RULES = (_recorded, _cron, _doubt, _disks, _relay, _refusals, _unusable, _held, _failing, _late,
         _waiting)
