"""Which of the facts (facts.py) are incidents, one for each cause: RULES.

The order of the rules says what explains what: a job that an incident is about is not looked at by
the rules after it. So a paused relay explains the queues behind it, a full disk the jobs that could
not write, and a stopped cron whatever is late.
"""
from __future__ import annotations

from jobs_lib import folders
from jobs_lib.engines import guard, relay
from jobs_lib.errors import JobsError
from jobs_lib.runner import doubt, incident_files
from jobs_lib.text import capital, counted, size, up_to
from jobs_lib.workers import dispatch

from .facts import disks
from .incidents import DOUBTS, OUTAGES, Incident, cause, of_file, short_error
from .job_facts import OVERDUE

FULL = ("no space left on device", "disk quota exceeded", "database or disk is full")
MANY = 20               # attempts of a day, of which none succeeded
MAIL_JOBS = ("retry_forwards", "send_notifications")


def find(facts) -> list[Incident]:
    """The incidents, the ones that explain others first."""
    found: list[Incident] = []
    for rule in RULES:
        found += rule(facts, {name for each in found for name in each.jobs})
    return found


# Nothing can run

def _recorded(facts, _):
    """Our files that this user cannot use; what files record, which may be over by now."""
    known = incident_files.recorded(facts.config.section("core"))
    if unusable := folders.unusable(facts.config):
        since, _ = known.pop(incident_files.FILES, (facts.now, ""))
        yield of_file(incident_files.FILES, f"{'; '.join(unusable)}.", since)
    for name, (since, error) in known.items():
        yield of_file(name, error, since)._replace(
            subject=f"{OUTAGES[name][-1]} since {facts.at(since)}",
            what="This command can read them all again. The next `run-due` "
                 "tries to write, too, and ends this.")


def _cannot_start(facts) -> bool:
    """Whether nothing can be begun, for a reason that is an incident of its own."""
    return bool(incident_files.lasting_incidents(facts.config.section("core")))


def _cron(facts, _):
    """Cron never ran, or runs no more: it explains whatever is late or waits."""
    since, subject = facts.cron.stopped, "no job has ever started"
    if facts.cron.last_run is None:
        # who sets it up needs some time for the line
        late = (job["late_since"] for job in facts.jobs.values() if job["late_since"])
        since = min((each for each in late if facts.now - each > OVERDUE), default=None)
    elif since:
        subject = f"no job has started since {facts.at(since)}"
    if since and not _cannot_start(facts):
        yield Incident("late:cron", subject, since,
                       "Cron does not start `run-due`, or every start fails at once. Look at "
                       "its line in your host's cron page, and at the mail that cron sends. "
                       "This command prints the line.", "crontab", jobs=tuple(facts.jobs))


def _doubt(facts, _):
    if found := doubt.stored_doubt(facts.db):
        command, jobs = "resume all", []
        if found.what == doubt.RESTORED:
            command, jobs = "queue", [queue["job"] for queue in facts.queues]
        yield Incident(f"doubt:{found.what}", DOUBTS[found.what], min(found.since, facts.now),
                       f"{capital(doubt.sentence(found, facts.now))}.", command, jobs=tuple(jobs))


# The host and the configuration

def _disks(facts, _):
    least = facts.alerts.disk_free
    jobs = tuple(name for name, job in facts.jobs.items()
                 if any(sign in job["error"].lower() for sign in FULL))
    for disk in disks(facts.config):
        if least is not None and disk["free"] < least:
            free = size(disk["free"])
            yield Incident(f"disk:{disk['holds'][0]}", f"the disk is nearly full: {free} left",
                           facts.now,
                           f"{', '.join(disk['holds'])}: {free} left of {size(disk['total'])}, "
                           f"less than [alerts] disk_free, {size(least)}. When it is full, no job "
                           "can write. Delete what you do not need, or ask for more space.",
                           "doctor", jobs=jobs)


def _relay(facts, explained):
    pause = facts.relay
    # a first one is nothing to wake anybody for, unless a queue behind it is
    if pause and (pause["until"] - pause["since"] > relay.FIRST_PAUSE
                  or any(each.jobs[0] in MAIL_JOBS for each in _waiting(facts, explained))):
        yield Incident("relay:mail",
                       f"outgoing mail has been paused since {facts.at(pause['since'])}",
                       pause["since"],
                       f"The relay accepts no mail. The next try is at {facts.at(pause['until'])}; "
                       "no message loses an attempt. Check [mail] and your host's limits. "
                       "This command shows each step, and ends the pause if it succeeds.",
                       "mail test ADDRESS", short_error(pause["reason"]), MAIL_JOBS)


def _refusals(facts, _):
    """The relay takes our mail and refuses the recipients, all of them or all of a provider."""
    for each in relay.of_everybody(facts.db, facts.now):
        is_relay = each.domain == relay.EVERYBODY
        who = "the mail server" if is_relay else each.domain
        yield Incident(f"relay:{each.domain}", f"{who} refuses every message", each.since,
                       f"{each.recipients} recipients were refused since {facts.at(each.since)}: "
                       "their addresses are not the cause. Each message is tried again on its "
                       "schedule. Your host may be on a blocklist.", "queue forwards",
                       short_error(each.answer), MAIL_JOBS if is_relay else ())


def _unusable(facts, _):
    """What is wrong in config.ini, files of jobs, the app's tables: those jobs do not run."""
    return facts.problems


def _workers(facts, _):
    """A broker that takes no messages, or an engine without its package."""
    for mode in facts.engines:
        try:
            dispatch.engine(mode).enqueue(facts.config, [], True)
        except JobsError as error:
            yield Incident(f"installation:{mode}", "jobs cannot be handed to the workers",
                           facts.now, "Cron runs these jobs itself meanwhile.", "doctor",
                           short_error(str(error)))


def _held(facts, _):
    """What the guard holds back (engines/guard.py); the job itself works and may fail besides."""
    for name, state in facts.states.items():
        if facts.jobs.get(name, {}).get("enabled"):
            for each in guard.reported(state["last_options"]):
                number = f"{each.count:,} of {each.of:,} {each.what}"
                why = capital(each.why.replace(f"{number}: ", ""))
                yield Incident(f"guard:{name}:{each.name}",
                               f"{name} holds back {number}",
                               each.since, f"{why}.", f"test {name}")


# Jobs

def _failing(facts, explained):
    """Jobs that fail for the same reason are one incident, under the name of the first: the others
    come and go."""
    groups: dict = {}
    for job in sorted(facts.jobs.values(), key=lambda job: (
            job["failing_since"] or facts.now, job["name"])):
        if (job["failures"] >= job["alert_after"] and job["name"] not in explained
                # what quotes a mistake in the configuration is not another one
                and not any(each.error in job["error"] for each in facts.problems)):
            groups.setdefault(cause(job["error"]), []).append(job)
    for job, *others in groups.values():
        name, good = job["name"], job["last_ok_at"]
        names = [each["name"] for each in others]
        more = f" Other jobs fail with the same error: {', '.join(names)}." if names else ""
        last = (f"Its last successful run began at {facts.at(good)}." if good
                else "It has never succeeded.")
        yield Incident(f"failing:{name}",
                       f"{name} has failed {counted(job['failures'], 'time')} since "
                       f"{facts.at(job['failing_since'])}", job["failing_since"],
                       f"{last}{more} Its work waits, and nothing is lost.", f"history {name}",
                       job["error"], (name, *names))


def _late(facts, explained):
    if facts.cron.last_run is None or _cannot_start(facts):
        return
    for name, job in facts.jobs.items():
        since, good = job["late_since"], job["last_ok_at"]
        if since and not job["failures"] and name not in explained:
            last = f"last succeeded at {facts.at(good)}" if good else "has never succeeded"
            yield Incident(f"late:{name}",
                           f"{name} is late: due since {facts.at(since)}", since,
                           f"It runs {job['when']}, and {last}; others ran meanwhile. It cannot "
                           "start, or never finishes.", f"history {name}", _last_problem(job),
                           (name,))


def _last_problem(job: dict) -> str:
    """Why its last run failed or stopped early, if it did."""
    last = job["last"] or {}
    return last.get("error") or last.get("stop_reason") or ""


def _waiting(facts, explained):
    """Queues in which something waits too long, too much waits, or nothing is finished."""
    alerts = facts.alerts
    for queue in facts.queues:
        name, tried = queue["job"], queue["tried_last_day"]
        job = facts.jobs[name]
        if name in explained or job["paused_at"] or job["state"] == "new":  # not run yet
            continue
        # too many may be due, with no time that can be read
        since = queue["oldest_due_at"] or facts.now
        at, is_mail = facts.at(since), name in MAIL_JOBS
        problem = _last_problem(job)
        # behind a relay that is paused, or was at the last run
        is_paused = is_mail and (facts.relay or "the relay" in problem)
        is_held = is_paused or doubt.IN_DATABASE in problem
        lacks_dns = name == "check_domains" and queue["holds"]
        reasons = [reason for reason, applies in (
            (" ".join(queue["holds"]).rstrip("."), lacks_dns),
            (f"none has been finished since {at}", queue["stalled_since"] and not is_held),
            (f"the oldest has been due since {at}, longer than [alerts] queue_age",
             alerts.queue_age is not None and facts.now - since > alerts.queue_age),
            (f"more are due than [alerts] queue_depth = {alerts.queue_depth}",
             alerts.queue_depth is not None and queue["due"] > alerts.queue_depth),
            (f"none of {tried:,} attempts succeeded in the last 24 hours",
             tried >= MANY and not queue["done_last_day"])) if applies]
        if reasons:
            more = "; ".join([f"Due now: {up_to(queue['due'])}", *reasons[1:]])
            likely = " Your host may be on a blocklist, or a limit in [mail] is too low."
            yield Incident(f"waiting:{queue['name']}", f"{queue['what']}: {reasons[0]}", since,
                           f"{more}.{likely if tried and is_mail and not problem else ''}",
                           "config show dns" if lacks_dns else f"history {name}",
                           problem, (name,))


RULES = (_recorded, _cron, _doubt, _disks, _relay, _refusals, _unusable, _workers, _held, _failing,
         _late, _waiting)
