"""Cron and what it ran: does it run, from how many installations, and what needs the operator."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import crontab
from jobs_lib.folders import SCRIPT, program
from jobs_lib.output.findings import of_incident, problem, run, warning
from jobs_lib.text import capital

RECENT = timedelta(days=2)
# of monitoring: what other checks find
FOUND_HERE = ("configuration", "installation")
CRON = "late:cron"


def cron(installation):
    """Cron runs, as `status` sees it, and its lines confirm nothing unseen."""
    text, why = crontab.read()
    lines = crontab.ours(text or "", SCRIPT)
    for number, command in lines:
        if "--yes" in command.split():
            yield problem(f"Line {number} of the crontab has --yes: {command}",
                          "Each time, it confirms unseen what the guard has stopped.",
                          "Remove it (`crontab -e`), and confirm by hand.")
    found = _status(installation)
    late = next((each for each in found["incidents"] if each["key"] == CRON), None)
    if late or not found["last_run_at"]:
        start = program(installation.config.path)
        names = [job["name"] for job in found["jobs"]]
        is_there = any(
            word in command for _, command in lines
            for word in ("run-due", *names))
        known = ("A line is in this user's crontab" if is_there else
                 "This user's crontab has no line for it" if text is not None else
                 capital(why))
        what, say = (late["subject"], problem) if late else ("cron has started no job yet", warning)
        yield say(f"{capital(what)}. {known}", "No job runs by itself. As "
                  "soon as cron runs the line, whatever is due runs.",
                  "Wait for its next time. If no job starts then, look at cron's mail."
                  if is_there else
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
                      f"days (on {hosts})",
                      "With lock files of their own, two runs of a job can overlap.",
                      "Remove the cron line of one of them, or set [core] lock = database in both.")


def incidents(installation):
    """Nothing else needs you, as `status` has it."""
    for each in _status(installation)["incidents"]:
        if each["kind"] not in FOUND_HERE and each["key"] != CRON:
            finding = of_incident(each)
            # to run `doctor` is no advice here
            yield finding._replace(fix="") if finding.fix.endswith(" doctor") else finding


CHECKS = (cron, two_installations, incidents)
