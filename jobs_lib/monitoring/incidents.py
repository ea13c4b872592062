"""Which of the facts (facts.py) need the operator: a list of incidents, one for each cause.

KINDS are the nine kinds, RULES what finds them: a rule names its kind, the function that looks for
it, and the text. The order of the rules says what explains what: a job that an incident is about is
not looked at by the rules after it. So a paused relay explains the queues behind it, a full disk
the jobs that could not write, and a stopped cron whatever is late.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.config.option_types import show_duration, show_size
from jobs_lib.database import stored
from jobs_lib.engines.relay import EVERYBODY
from jobs_lib.errors import Unfit
from jobs_lib.records import namedtuple
from jobs_lib.runner import doubt, incident_files
from jobs_lib.text import size

Incident = namedtuple("Incident", "key kind subject since what error command jobs is_over",
                      defaults=((), False))
Incident.__doc__ = """One thing that needs the operator.

key      names it, and stays the same while it lasts: `failing:retry_forwards`
kind     one of KINDS, and its heading in docs/alerts.md
subject  in a few words, with the name of its cause
since    aware UTC datetime
what     one or two sentences
error    the last one, addresses masked, or ""
command  to run next, without what a command line begins with
jobs     that it is about: it explains whatever else is wrong with them
is_over  it was over when it was found, and is reported once
"""
Notice = namedtuple("Notice", "state incident over_at", defaults=(None,))
Notice.__doc__ = """What is to be reported of an incident: that it is `new`, `still` there, `over`
(at a time), or was over when it was found (`once`)."""
Found = namedtuple("Found", "name since values error jobs", defaults=("", ()))
Found.__doc__ = "What a rule has found: `name` ends the key, `values` are for the rule's text."

EDIT = "No shell? Download config.ini by FTP, correct it, and upload it again."
KINDS = {               # {kind: (what to do, in words that are safe to publish, without a shell)}
    "failing": (
        ("The job failed several times in a row, or the host kills its runs. Its work waits, and "
         "nothing is lost. The command shows how each run ended. Fix the cause: the next run "
         "continues."), ""),
    "late": (
        ("A job did not run, or never succeeds, or nothing starts the jobs at all. Check that the "
         "line with run-due is in the crontab, active, and comes every few minutes."),
        "No shell? Look at the line in your host's cron page, and at the mail that cron sends."),
    "waiting": (
        ("Items wait too long, too many wait, or none arrives. The command shows why the runs "
         "stop. If it is a limit of [mail], your limit may be too low; if every attempt fails, "
         "check whether your host is on a blocklist."), ""),
    "relay": (
        ("The mail server accepts nothing, or it or a large provider refuses every message. Mail "
         "waits, and is tried again by itself. Check host, user name and password in [mail], your "
         "host's mail limit, and whether your host is on a blocklist."),
        EDIT),
    "disk": (
        ("Little space is left where the jobs write. Delete what you do not need, or ask for more "
         "space. When it is full, no job can write."),
        "No shell? Your host's file manager shows which folders are large."),
    "configuration": (
        ("A section of config.ini or a job's file cannot be used, or your app's tables lack "
         "something. The jobs that need it change nothing until it is corrected. The command says "
         "what is wrong."), EDIT),
    "installation": (
        ("The database, a file, a lock or a worker cannot be used. What needs it waits, and "
         "nothing is lost. The command says what is wrong, and how to correct it."),
        "No shell? Ask your host whether the database is up, and who owns your files."),
    "guard": (
        ("So much looks wrong at once that it may be a mistake, so nothing is done to any of it. "
         "The command shows what would be done. Correct what is wrong, and the job goes on by "
         "itself; if all of it is meant, run the job once with --yes."), EDIT),
    "doubt": (
        ("The host's clock jumped, or the database was restored from a backup, so nothing is "
         "deleted for now. After a host was off this ends by itself within three days. If the "
         "clock is right, or what waits may be sent, the command ends it; else have the clock "
         "set."), ""),
}
Outage = namedtuple("Outage", "subject what command was again")
Outage.__doc__ = """What a file of runner/incident_files.py records, as an incident; and once it is
over, what was impossible and is possible again."""
OUTAGES = {
    incident_files.DATABASE: Outage(
        "the database cannot be used",
        "No job runs until this is fixed. Due work waits, and nothing is lost.", "doctor",
        "no job could use the database", "The database can be used again"),
    incident_files.UNWRITABLE: Outage(
        "the database cannot be written to",
        ("It answers, but nothing can be stored, so no job runs. Another process has locked it, "
         "it is read-only, or its disk is full. Nothing is lost."), "doctor",
        "no job could write to the database", "The database can be written to again"),
    incident_files.FILES: Outage(
        "the jobs cannot use some of their files",
        ("Jobs that need them do not run. Usually a command was run as another user, such as root, "
         "and left files that belong to that user."), "doctor",
        "no job could be started", "The files and folders of the jobs can be used again"),
    incident_files.WORKERS: Outage(
        "jobs cannot be handed to the workers",
        "Cron runs these jobs itself meanwhile.", "doctor",
        "jobs could not be handed to the workers", "Jobs can be handed to the workers again"),
    incident_files.LOCKS: Outage(
        "an unknown connection holds the database lock of a job",
        ("It belongs to no run of the jobs, so the job never starts. If a host was cut off, its "
         "run loses the lock within minutes. Otherwise end that connection at the database server, "
         "and change its password."), "history",
        "an unknown connection held a database lock", "All jobs can be started again"),
    incident_files.LOG: Outage(
        "the log cannot be written",
        "The jobs still run, but what they would log is lost.", "doctor",
        "the log could not be written", "The log can be written again"),
}
DOUBTS = {doubt.CLOCK: "nothing is deleted: the clock is in doubt",
          doubt.RESTORED: "nothing is sent or deleted: the database looks like a restored backup"}
FULL = ("no space left on device", "disk quota exceeded", "database or disk is full")
MANY = 20               # attempts of a day, of which none succeeded
RELAY_PAUSES = 2        # in a row: one of five minutes is nothing to wake anybody for
MAIL_JOBS = {"forwards": "retry_forwards", "notifications": "send_notifications"}
ERROR_LENGTH = 500


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


def of_file(name: str, error, since) -> Incident:
    """An incident that a file records (runner/incident_files.py), so that it is known without a
    database. `error`: a DatabaseError or OSError, or its text."""
    outage = OUTAGES[name]
    if isinstance(error, Unfit):
        outage = outage._replace(subject="the database does not match this version",
                                 command=error.command)
    return Incident(f"installation:{name}", "installation", outage.subject, since, outage.what,
                    short_error(str(error)), outage.command)


def over(core, facts) -> list[Incident]:
    """What is over and is reported once: the time without cron, and outages that files record.

    Asked by check_jobs, whose run shows that the database can be written.
    """
    begin, end = facts.gap or (facts.now, facts.now)
    gap_key, found = f"late:{clock.text(begin)}", {}
    if facts.gap:
        found[gap_key] = _over(gap_key, "no job was started", begin, end, facts.zone,
                               "Cron or the host had stopped. ")
    for name in incident_files.STOP_ALL_JOBS:
        file = incident_files.IncidentFile(core, name)
        if since := file.ended_since():
            # one cause, one alert: the next run finds that the gap was reported
            key = (gap_key if begin <= since <= end and facts.gap
                   else f"installation:{name} {clock.text(since)}")
            found[key] = _over(key, OUTAGES[name].was, since, facts.now, facts.zone,
                               error=file.last_error())
    return list(found.values())


def _over(key: str, subject: str, begin, end, zone, why: str = "", error: str = "") -> Incident:
    return Incident(key, "late" if why else "installation",
                    f"{subject} {time_span(begin, end, zone)}", begin,
                    f"{why}Jobs that were missed run now, once each.", short_error(error),
                    "history", is_over=True)


def short_error(error: str | None) -> str:
    """An error as it may be shown: on one line, not too long, addresses masked."""
    if not error:
        return ""
    from jobs_lib.masking import text as masked  # mostly there is none
    short = " ".join(masked(error).split())
    return short if len(short) <= ERROR_LENGTH else short[:ERROR_LENGTH] + "..."


def without_digits(error: str | None) -> str:
    """What the errors of two jobs with the same cause have in common."""
    return "".join(sign for sign in error or "" if not sign.isdigit())


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


# What is asked for by the rules: functions of the facts and of the jobs that are explained

def _recorded(facts, _):
    """What files record, and which of our files this user cannot use, even if no run has noticed
    it yet."""
    known = {name: (since, error) for name, since, error in facts.recorded
             if name in OUTAGES and name != incident_files.DATABASE}
    if facts.unusable:
        since, _ = known.get(incident_files.FILES, (facts.now, ""))
        known[incident_files.FILES] = since, f"{'; '.join(facts.unusable)}."
    for name, (since, error) in known.items():
        yield Found(name, since, OUTAGES[name]._asdict(), error)


def _doubt(facts, _):
    if facts.doubt:
        text, since, what = facts.doubt
        yield Found(what, since, {"why": text[:1].upper() + text[1:],
                                  "subject": DOUBTS[what]})


def _cannot_start(facts) -> bool:
    """Whether nothing can be begun, for a reason that is an incident of its own."""
    return any(name in incident_files.STOP_ALL_JOBS for name, _, _ in facts.recorded)


def _cron(facts, _):
    if facts.stopped and not _cannot_start(facts):
        yield Found("cron", facts.stopped, {"since": short_time(facts.stopped, facts.zone)})


def _never(facts, explained):
    """Nothing ever ran: everything that is late or waits, waits for cron."""
    if facts.last_run_at is None and not facts.stopped:
        waits = [job.late_since for job in facts.jobs.values() if job.late_since]
        waits += [each.since for each in _waiting(facts, explained)]
        if waits:
            yield Found("cron", min(waits), {}, jobs=tuple(facts.jobs))


def _disks(facts, _):
    least = facts.alerts.disk_free
    jobs = [job.name for job in facts.jobs.values()
            if any(sign in (job.last_error or "").lower() for sign in FULL)]
    for disk in facts.disks:
        if least is not None and disk.free < least:
            yield Found(disk.names[0], facts.now, {
                "path": disk.path, "names": ", ".join(disk.names), "free": size(disk.free),
                "total": size(disk.total), "least": show_size(least)}, jobs=jobs)


def _relay(facts, _):
    row = facts.relay
    if row is None:
        return
    since = stored.time(row["since"]) or facts.now
    until = stored.time(row["paused_until"]) or facts.now
    if stored.number(row["failures"]) >= RELAY_PAUSES or until - since >= timedelta(hours=1):
        yield Found("mail", since, {"since": short_time(since, facts.zone),
                                    "until": full_time(until, facts.zone)}, row["reason"],
                    tuple(MAIL_JOBS.values()))


def _refusals(facts, _):
    """The relay takes our mail and refuses the recipients, all of them or all of a provider."""
    for each in facts.refusing:
        is_relay = each.domain == EVERYBODY
        yield Found(each.domain, each.since, {
            "who": "the mail server" if is_relay else each.domain, "number": each.recipients,
            "since": short_time(each.since, facts.zone)}, each.answer,
            tuple(MAIL_JOBS.values()) if is_relay else ())


def _unusable(facts, _):
    """Sections of config.ini, and files of jobs, that are wrong: those jobs do not run."""
    for each in facts.problems:
        yield Found(each.name, facts.now, {"name": each.name,
                                           "jobs": ", ".join(each.jobs) or "its job"},
                    each.sentence, each.jobs)


def _tables(facts, _):
    """Jobs that refuse because the app's own tables lack something."""
    if names := facts.lacking:
        who = f"{names[0]} needs" if len(names) == 1 else f"{len(names)} jobs need"
        yield Found("tables", facts.now, {"who": who, "jobs": ", ".join(names)}, facts.lack, names)


def _held(facts, _):
    """What the guard holds back (engines/guard.py); the job itself works and may fail besides."""
    for job, each in facts.held:
        if job in facts.jobs and facts.jobs[job].enabled:
            yield Found(f"{job}:{each.name}", each.since, {
                "job": job, "count": f"{each.count:,}", "all": f"{each.of:,}", "what": each.what,
                "why": each.why})


def _failing(facts, explained):
    """Jobs that fail for the same reason are one incident, under the name of the first: the others
    come and go."""
    groups: dict = {}
    for job in sorted(facts.jobs.values(), key=lambda job: (job.failing_since or facts.now,
                                                            job.name)):
        if (job.failures >= job.most_failures and job.name not in explained
                # what quotes a mistake in the configuration is not another one
                and not any(each.sentence in job.last_error for each in facts.problems)):
            groups.setdefault(without_digits(job.last_error), []).append(job)
    for job, *others in groups.values():
        what = (f"Its last successful run began {full_time(job.last_ok_at, facts.zone)}."
                if job.last_ok_at else "It has never succeeded.")
        names = [each.name for each in others]
        if names:
            what += f" Other jobs fail with the same error: {', '.join(names)}."
        yield Found(job.name, job.failing_since, {
            "job": job.name, "number": job.failures, "what": what,
            "since": short_time(job.failing_since, facts.zone)}, job.last_error,
            (job.name, *names))


def _killed(facts, explained):
    for job in facts.jobs.values():
        if job.vanished >= job.most_failures and job.name not in explained:
            yield Found(job.name, job.vanished_at, {"job": job.name, "number": job.vanished},
                        jobs=(job.name,))


def _late(facts, explained):
    if facts.stopped or facts.last_run_at is None or _cannot_start(facts):
        return
    for job in facts.jobs.values():
        if job.late_since and not job.failures and job.name not in explained:
            last = (f"since {full_time(job.last_ok_at, facts.zone)}" if job.last_ok_at else "yet")
            yield Found(job.name, job.late_since, {
                "job": job.name, "when": job.when, "last": last,
                "since": short_time(job.late_since, facts.zone)}, _last_problem(job), (job.name,))


def _last_problem(job) -> str:
    """Why its last run failed or stopped early, if it did."""
    return job.last and (job.last["error"] or job.last["stop_reason"])


def _waiting(facts, explained):
    """Queues in which something waits too long, too much waits, or nothing is finished."""
    alerts, now = facts.alerts, facts.now
    for queue in _watched(facts, explained):
        oldest, reasons = queue.oldest_due_at, []
        if oldest and alerts.queue_age is not None and now - oldest > alerts.queue_age:
            reasons.append(f"longer than [alerts] queue_age = {show_duration(alerts.queue_age)}")
        if alerts.queue_depth is not None and queue.due > alerts.queue_depth:
            reasons.append(f"more than [alerts] queue_depth = {alerts.queue_depth:,}")
        # a queue behind a paused relay is paused, not stalled
        if queue.stalled_since and not (facts.relay and queue.name in MAIL_JOBS):
            reasons.append("none was finished since then")
        if reasons:
            from jobs_lib.engines.due import in_words  # mostly no queue waits
            since = oldest or now   # too many may be due, with no time that can be read
            yield Found(queue.name, since, {
                "what": queue.what, "due": in_words(queue.due), "reasons": ", and ".join(reasons),
                "since": short_time(since, facts.zone), "oldest": full_time(since, facts.zone),
                "job": queue.job}, _last_problem(facts.jobs[queue.job]), (queue.job,))


def _undelivered(facts, explained):
    """Queues of which every attempt of a day has failed."""
    for queue in _watched(facts, explained):
        if queue.tried_last_day >= MANY and not queue.done_last_day:
            yield Found(queue.name, facts.now - timedelta(days=1), {
                "what": queue.what, "number": f"{queue.tried_last_day:,}", "job": queue.job},
                jobs=(queue.job,))


def _watched(facts, explained) -> list:
    return [] if facts.stopped else [
        queue for queue in facts.queues.values()
        if queue.job not in explained and not facts.jobs[queue.job].paused_at]


Rule = namedtuple("Rule", "kind find subject what command")
RULES = (
    Rule("installation", _recorded, "{subject}", "{what}", "{command}"),
    Rule("doubt", _doubt, "{subject}", "{why}.", "resume all"),
    Rule("late", _cron, "no job has started since {since}",
         "Cron does not start `run-due`, or every start fails immediately. No job runs.",
         "crontab"),
    Rule("disk", _disks, "the disk is nearly full: {free} left",
         ("{path} ({names}) has {free} left of {total}, less than [alerts] disk_free = {least}. "
          "When it is full, no job can write anything."), "doctor"),
    Rule("relay", _relay, "outgoing mail has been paused since {since}",
         ("The relay accepts no mail, so sending is paused until {until}, and then tried again. "
          "Forwards and notices wait, and none loses an attempt."), "doctor"),
    Rule("relay", _refusals, "{who} refuses every message",
         ("{number} recipients were refused since {since}, so the cause is not their addresses. "
          "Each message is tried again on its schedule. The answer says why."),
         "queue forwards"),
    Rule("configuration", _unusable, "{name} cannot be used",
         "Not running until this is fixed: {jobs}.", "doctor"),
    Rule("configuration", _tables, "your app's tables lack what {who}",
         "Not running: {jobs}. Add what is missing, or disable what you do not need.",
         "migrate --dry-run"),
    Rule("guard", _held, "{job} holds back {count} of {all} {what}", "{why}.", "test {job}"),
    Rule("failing", _failing, "{job} has failed {number} times since {since}", "{what}",
         "history {job}"),
    Rule("failing", _killed, "{job} was killed {number} times within a day",
         ("The host killed {number} runs of {job} within a day, without an error. Each next run "
          "went on from there, so nothing is lost, but progress is slow."), "history {job}"),
    Rule("late", _never, "no job has ever started",
         ("Cron has not started `run-due` yet, so everything waits. If its line is in your "
          "crontab, wait for its next minute. This command prints the line."), "crontab"),
    Rule("late", _late, "{job} has not succeeded since {since}",
         ("{job} ({when}) has not succeeded {last}, although other jobs ran. Something keeps it "
          "from starting, or it never finishes."), "history {job}"),
    Rule("waiting", _waiting, "{what}: {due} overdue since {since}",
         "{due} due, the oldest since {oldest}: {reasons}.", "history {job}"),
    Rule("waiting", _undelivered, "no attempt succeeded in the last 24 hours: {what}",
         "{job} made {number} attempts in the last 24 hours, and none succeeded.",
         "history {job}"),
)
