"""Which of the facts (facts.py) are incidents, one for each cause: RULES.

A rule names its kind, the function that looks for it, and the text. The order of the rules says
what explains what: a job that an incident is about is not looked at by the rules after it. So a
paused relay explains the queues behind it, a full disk the jobs that could not write, and a stopped
cron whatever is late.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.config.option_types import show_duration
from jobs_lib.database import stored
from jobs_lib.engines.due import in_words
from jobs_lib.engines.relay import EVERYBODY
from jobs_lib.records import namedtuple
from jobs_lib.runner import incident_files
from jobs_lib.text import size

from .incidents import DOUBTS, OUTAGES, Incident, short_error, short_time, without_digits

Rule = namedtuple("Rule", "kind find subject what command")
Rule.__doc__ = """`find(facts, explained)` yields what it has Found; the texts are filled in with
its values. `explained`: names of jobs that the rules before it have explained."""
Found = namedtuple("Found", "name since values error jobs", defaults=("", ()))
Found.__doc__ = "What a rule has found: `name` ends the key, `values` are for the rule's texts."

FULL = ("no space left on device", "disk quota exceeded", "database or disk is full")
MANY = 20               # attempts of a day, of which none succeeded
RELAY_PAUSES = 2        # in a row: one of five minutes is nothing to wake anybody for
HOUR = timedelta(hours=1)
MAIL_JOBS = ("retry_forwards", "send_notifications")


def find(facts) -> list[Incident]:
    """The incidents, the ones that explain others first."""
    found: list[Incident] = []
    for rule in RULES:
        explained = {name for each in found for name in each.jobs}
        found += [Incident(
            f"{rule.kind}:{each.name}", rule.kind, rule.subject.format(**each.values), each.since,
            rule.what.format(**each.values), short_error(each.error),
            rule.command.format(**each.values), tuple(each.jobs))
            for each in rule.find(facts, explained)]
    return found


# Nothing can run

def _recorded(facts, _):
    """What files record, and which of our files this user cannot use, even if no run has noticed
    it yet."""
    known = {name: (since, error) for name, since, error in facts.recorded if name in OUTAGES}
    if facts.unusable:
        since, _ = known.get(incident_files.FILES, (facts.now, ""))
        known[incident_files.FILES] = since, f"{'; '.join(facts.unusable)}."
    for name, (since, error) in known.items():
        yield Found(name, since, OUTAGES[name]._asdict(), error)


def _cannot_start(facts) -> bool:
    """Whether nothing can be begun, for a reason that is an incident of its own."""
    return any(name in incident_files.STOP_ALL_JOBS for name, _, _ in facts.recorded)


def _cron(facts, _):
    """Cron never came, or comes no more: it explains whatever is late or waits."""
    late = [job["late_since"] for job in facts.jobs.values()
            if job["late_since"]]
    since, subject = facts.stopped, "no job has ever started"
    if facts.last_run_at is None:
        since = min(late, default=None)
    elif since:
        subject = f"no job has started since {short_time(since, facts.zone)}"
    if since and not _cannot_start(facts):
        yield Found("cron", since, {"subject": subject}, jobs=tuple(facts.jobs))


def _doubt(facts, _):
    if facts.doubt:
        text, since, what = facts.doubt
        yield Found(what, since, {"why": text[:1].upper() + text[1:], "subject": DOUBTS[what]})


# The host and the configuration

def _disks(facts, _):
    least = facts.alerts.disk_free
    jobs = [name for name, job in facts.jobs.items()
            if any(sign in job["error"].lower() for sign in FULL)]
    for disk in facts.disks:
        if least is not None and disk["free"] < least:
            yield Found(disk["holds"][0], facts.now, {
                "names": ", ".join(disk["holds"]), "path": disk["path"],
                "free": size(disk["free"]), "total": size(disk["total"]),
                "least": size(least)}, jobs=jobs)


def _relay(facts, _):
    row = facts.relay
    if row is None:
        return
    since = stored.time(row["since"]) or facts.now
    until = stored.time(row["paused_until"]) or facts.now
    if stored.number(row["failures"]) >= RELAY_PAUSES or until - since >= HOUR:
        yield Found("mail", since, {"since": short_time(since, facts.zone),
                                    "until": short_time(until, facts.zone)},
                    row["reason"], MAIL_JOBS)


def _refusals(facts, _):
    """The relay takes our mail and refuses the recipients, all of them or all of a provider."""
    for each in facts.refusing:
        is_relay = each.domain == EVERYBODY
        yield Found(each.domain, each.since, {
            "who": "the mail server" if is_relay else each.domain, "number": each.recipients,
            "since": short_time(each.since, facts.zone)},
            each.answer, MAIL_JOBS if is_relay else ())


def _unusable(facts, _):
    """What is wrong in config.ini, files of jobs, the app's tables: those jobs do not run."""
    for each in facts.problems:
        yield Found(each.name, facts.now, {
            **each._asdict(), "names": ", ".join(each.jobs) or "its job"},
            each.sentence, each.jobs)


def _held(facts, _):
    """What the guard holds back (engines/guard.py); the job itself works and may fail besides."""
    for job, each in facts.held:
        if job in facts.jobs and facts.jobs[job]["enabled"]:
            yield Found(f"{job}:{each.name}", each.since, {
                "job": job, "count": f"{each.count:,}", "all": f"{each.of:,}",
                "what": each.what, "why": each.why})


# Jobs

def _failing(facts, explained):
    """Jobs that fail for the same reason are one incident, under the name of the first: the others
    come and go."""
    groups: dict = {}
    for job in sorted(facts.jobs.values(), key=lambda job: (job["failing_since"] or facts.now,
                                                            job["name"])):
        if (job["failures"] >= job["alert_after"] and job["name"] not in explained
                # what quotes a mistake in the configuration is not another one
                and not any(each.sentence in job["error"] for each in facts.problems)):
            groups.setdefault(without_digits(job["error"]), []).append(job)
    for job, *others in groups.values():
        good, names = job["last_ok_at"], [each["name"] for each in others]
        what = (f"Its last successful run began at {short_time(good, facts.zone)}." if good
                else "It has never succeeded.")
        if names:
            what += f" Other jobs fail with the same error: {', '.join(names)}."
        yield Found(job["name"], job["failing_since"], {
            "job": job["name"], "number": job["failures"], "what": what,
            "since": short_time(job["failing_since"], facts.zone)},
            job["error"], (job["name"], *names))


def _late(facts, explained):
    if facts.last_run_at is None or _cannot_start(facts):
        return
    for name, job in facts.jobs.items():
        since, good = job["late_since"], job["last_ok_at"]
        if since and not job["failures"] and name not in explained:
            yield Found(name, since, {
                "job": name, "when": job["when"], "since": short_time(since, facts.zone),
                "last": f"since {short_time(good, facts.zone)}" if good else "yet"},
                _last_problem(job), (name,))


def _last_problem(job: dict) -> str:
    """Why its last run failed or stopped early, if it did."""
    return job["last"] and (job["last"]["error"] or job["last"]["stop_reason"])


# Queues

def _waiting(facts, explained):
    """Queues in which something waits too long, too much waits, or nothing is
    finished."""
    alerts = facts.alerts
    for queue in facts.queues:
        job = facts.jobs[queue["job"]]
        if job["name"] in explained or job["paused_at"]:
            continue
        # too many may be due, with no time that can be read
        since = queue["oldest_due_at"] or facts.now
        at, reasons = short_time(since, facts.zone), []
        # a queue behind a paused relay is paused, not stalled
        if queue["stalled_since"] and not (facts.relay and job["name"] in MAIL_JOBS):
            reasons.append(f"none was finished since {at}")
        if alerts.queue_age is not None and facts.now - since > alerts.queue_age:
            reasons.append(f"the oldest is due since {at}, longer than [alerts] "
                           f"queue_age = {show_duration(alerts.queue_age)}")
        if alerts.queue_depth is not None and queue["due"] > alerts.queue_depth:
            reasons.append(f"more are due than [alerts] queue_depth = {alerts.queue_depth:,}")
        if queue["tried_last_day"] >= MANY and not queue["done_last_day"]:
            reasons.append(f"none of {queue['tried_last_day']:,} attempts succeeded "
                           "in the last 24 hours")
        if reasons:
            yield Found(queue["name"], since, {
                "what": queue["what"], "job": job["name"], "first": reasons[0],
                "more": "; ".join([f"{in_words(queue['due'])} are due", *reasons])},
                _last_problem(job), (job["name"],))


RULES = (
    Rule("installation", _recorded, "{subject}", "{what}", "{command}"),
    Rule("late", _cron, "{subject}",
         ("Cron does not start `run-due`, or every start fails immediately. Everything waits. "
          "Look at its line in your host's cron page, and at the mail that cron sends. This "
          "command prints the line."), "crontab"),
    Rule("doubt", _doubt, "{subject}", "{why}.", "resume all"),
    Rule("disk", _disks, "the disk is nearly full: {free} left",
         ("The disk of {names} has {free} left of {total}, less than the {least} of [alerts] "
          "disk_free. When it is full, no job can write anything. Delete what you do not need, or "
          "ask for more space."), "doctor"),
    Rule("relay", _relay, "outgoing mail has been paused since {since}",
         ("The relay accepts no mail, so sending is paused until {until}, and then tried again. "
          "Forwards and notices wait, and none loses an attempt. Check host, user name and "
          "password in [mail], and your host's mail limit."), "doctor"),
    Rule("relay", _refusals, "{who} refuses every message",
         ("{number} recipients were refused since {since}, so the cause is not their addresses. "
          "Each message is tried again on its schedule. The answer says why: your host may be on "
          "a blocklist."), "queue forwards"),
    Rule("configuration", _unusable, "{name} cannot be used",
         "Not running: {names}. Correct what is wrong, or disable what you do not need.",
         "{command}"),
    Rule("guard", _held, "{job} holds back {count} of {all} {what}", "{why}.", "test {job}"),
    Rule("failing", _failing, "{job} has failed {number} times since {since}",
         "{what} Its work waits, and nothing is lost.", "history {job}"),
    Rule("late", _late, "{job} has not succeeded since {since}",
         ("It runs {when}, and has not succeeded {last}, although other jobs ran. Something keeps "
          "it from starting, or it never finishes."), "history {job}"),
    Rule("waiting", _waiting, "{what}: {first}",
         ("Of these {more}. If every attempt fails, your host may be on a blocklist; if it is a "
          "limit of [mail], your limit may be too low."), "history {job}"),
)
