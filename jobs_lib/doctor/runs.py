"""Cron and what it ran: does it come, from how many installations, does the host end runs, and what
needs the operator."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import crontab
from jobs_lib.database import stored
from jobs_lib.folders import SCRIPT, program
from jobs_lib.output.findings import of_incident, problem, run, warning
from jobs_lib.text import setting

RECENT, LAST_WEEKS = timedelta(days=2), timedelta(days=14)
KILLED, ALIKE = 5, 0.25         # the last runs; "at about the same time": a quarter
SHORT, STEP = 10, 10            # seconds: died sooner, hardly by a limit in time
# of monitoring: what other checks find, and the key of one
FOUND_HERE, CRON = ("configuration", "installation"), "late:cron"


def cron(installation):
    """Cron comes, as `status` sees it, and its lines confirm nothing unseen."""
    text, why = crontab.read()
    lines = crontab.ours(text or "", SCRIPT)
    for number, command in lines:
        if "--yes" in command.split():
            yield problem(f"Line {number} of the crontab has --yes: {command}",
                          "It confirms unseen what the guard has stopped, each time.",
                          "Take it out (`crontab -e`), and confirm by hand.")
    found = _status(installation)
    late = next((each for each in found["incidents"] if each["key"] == CRON), None)
    if late or not found["last_run_at"]:
        start = program(installation.config.path)
        known = ("A line is in this user's crontab" if lines else
                 "This user's crontab has no line for it" if text is not None else
                 why[:1].upper() + why[1:])
        what, say = (late["subject"], problem) if late else ("cron has not come yet", warning)
        yield say(f"{what[:1].upper()}{what[1:]}. {known}", "No job runs by itself. Once "
                  "cron comes, it runs what is due.",
                  run("Put the line into this user's crontab, or print it, for your host's cron "
                      "page:", f"{start} crontab --install", f"{start} crontab"))


def _status(installation) -> dict:
    from jobs_lib.monitoring import overview
    return overview.collect(installation.config, installation.database(), installation.now)


def two_installations(installation):
    """One installation works on the database, or its locks are there, too."""
    if installation.section("core").lock != "file":
        return
    rows = installation.database().query(
        "SELECT DISTINCT installation, host FROM {job_runs} WHERE started_at > :since AND "
        "trigger_type IN ('scheduled', 'continue') AND installation <> ''",
        since=installation.now - RECENT)
    if len({row["installation"] for row in rows}) > 1:
        hosts = ", ".join(sorted({str(row["host"]) for row in rows}))
        yield problem("More than one installation has worked on this database in the last two "
                      f"days (on {hosts})", "With lock files of their own, two runs of a job can "
                      "be at work at the same time.",
                      "Remove the cron line of one of them, or set [core] lock = database in both.")


def killed_at_one_time(installation):
    """The host does not end processes after some time."""
    rows = installation.database().query(
        "SELECT pid, host, started_at, heartbeat_at FROM {job_runs} WHERE status = 'vanished' "
        "AND started_at > :since ORDER BY id DESC LIMIT :killed",
        since=installation.now - LAST_WEEKS, killed=KILLED)
    lived = sorted(_seconds(installation, row) for row in rows)
    if len(rows) < 2 or lived[-1] < SHORT or lived[-1] - lived[0] > lived[-1] * ALIKE:
        return
    # three quarters: the rest is for the item in hand
    budget = timedelta(seconds=max(lived[0] * 3 // 4 // STEP, 1) * STEP)
    if budget < installation.section("core").budget:
        yield warning(f"The last killed runs died {lived[0]}-{lived[-1]} s after their start",
                      "At about the same time: your host ends processes then. Nothing is lost, but "
                      "what was in hand is done again.",
                      run("End before it does (and lower the budget of each job that has a line of "
                          "its own):", "[core]", f"budget = {setting(budget)}"))


def _seconds(installation, row: dict) -> int:
    """From the start of its process, which `run-due` may have used for other jobs before, to its
    last sign of life."""
    started = stored.time(row["started_at"]) or installation.now
    last = stored.time(row["heartbeat_at"]) or started
    first = stored.time(installation.database().value(
        "SELECT MIN(started_at) AS first FROM {job_runs} WHERE started_at > :since AND "
        "started_at <= :started AND pid = :pid AND host = :host",
        since=started - timedelta(hours=1), started=started, pid=row["pid"], host=row["host"]))
    return max(int((last - (first or started)).total_seconds()), 0)


def incidents(installation):
    """Nothing else needs you, as `status` has it."""
    for each in _status(installation)["incidents"]:
        if each["kind"] not in FOUND_HERE and each["key"] != CRON:
            finding = of_incident(each)
            # to run `doctor` is no advice here
            yield finding._replace(fix="") if finding.fix.endswith(" doctor") else finding


CHECKS = (cron, two_installations, killed_at_one_time, incidents)
