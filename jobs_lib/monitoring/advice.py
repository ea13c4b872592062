"""What to do about an incident, in a few sentences that are safe to publish: for the status page,
which is often read where docs/ is not. At length: docs/alerts.md, under the same names.

ADVICE is {kind: (what it means and what to do, what to do without a shell)}. Where the second is
empty, the command as a cron line will do (BY_CRON).
"""
from __future__ import annotations

BY_CRON = ("No shell? In your host's cron page, add a line with the command, written with the "
           "full paths of your line with run-due. Let it run once, read the mail that cron sends "
           "you, and remove the line.")
EDIT = "No shell? Download config.ini by FTP, correct it, and upload it again."
ADVICE = {
    "failing": (
        ("The job failed several times in a row; its work waits. The command shows the error of "
        "each run. Fix the cause: the next run continues."), ""),
    "late": (
        ("Other jobs ran, but this one did not succeed. The command shows how its runs end. If it "
        "always runs out of time, let cron come more often."),
        "No shell? Set the line with run-due to every 5 minutes in your host's cron page."),
    "vanished": (
        ("The host kills the job's runs, usually for time or memory. Each next run continues, so "
        "nothing is lost. Ask your host for its limits."), ""),
    "waiting": (
        ("Items wait too long, or too many wait. The command shows why the runs stop. If it is a "
        "limit of [mail], your limit may be too low."), ""),
    "undelivered": (
        ("The other side refused every attempt for a day. For mail, check whether your host is on "
        "a blocklist, or your sender's address is refused."), ""),
    "relay": (
        ("The mail server accepts nothing. Mail waits, is tried again by itself, and loses no "
        "attempt. Check host, user name and password in [mail], and your host's mail limit."),
        EDIT),
    "disk": (
        ("Little space is left where the jobs write. Delete what you do not need, or ask for more "
        "space. When it is full, no job can write."),
        "No shell? Your host's file manager shows which folders are large."),
    "archive": (
        ("The archive's folder or server cannot be used. No audit row is deleted meanwhile. Check "
        "[archive] store, its password and its free space."), EDIT),
    "config": (
        ("A section of config.ini, or a job's file, cannot be used, so the jobs that need it do "
        "not run. The command names each mistake with its line."), EDIT),
    "tables": (
        ("Your app's tables lack something that these jobs need; they change nothing until it is "
        "there. The command prints the statements that add it."),
        "No shell? Run those statements in phpMyAdmin, or set enabled = no for these jobs."),
    "clock": (
        ("The host's clock jumped, so nothing is deleted for now; all else runs. After a host was "
        "off this ends by itself within an hour. Else ask your host to set its clock."), ""),
    "cron": (
        ("Nothing starts the jobs. Check that the line with run-due is in the crontab, active, and "
        "names a Python and paths that exist. The command prints the right line."),
        "No shell? Look at the line in your host's cron page, and at the mail that cron sends."),
    "gap": (
        ("Nothing was started for a while, but cron works again. Jobs that were missed run once "
        "each; you do not need to do anything."), ""),
    "away": (
        "For a while no job could start or write; now they can. You do not need to do anything.",
        ""),
    "database": (
        ("The database cannot be used, so no job runs; nothing is lost. Check that it is up, and "
        "[core] database. After an update its tables may have to be upgraded: the command."),
        EDIT),
    "unwritable": (
        ("The database answers, but nothing can be stored: a backup, another program or a full "
        "disk. It may end by itself; else end what locks it."), ""),
    "files": (
        ("Some of the jobs' files belong to another user, often because a command was run as root. "
        "The command says which, and how to give them back."),
        "No shell? Your host's file manager shows the owner; ask your host to restore it."),
    "workers": (
        ("Jobs cannot be handed to RQ or Celery. Check that the broker is up and its package is "
        "installed for the Python that cron starts."), ""),
    "locks": (
        ("A connection that is no run of these jobs holds the lock of a job. If it does not end by "
        "itself within minutes, end it at the database server."), ""),
    "log": (
        ("The jobs run, but their log cannot be written: [core] log_dir is full, missing or "
        "another user's."), ""),
    "channel": (
        ("Your alerts do not arrive by this way. Check [alerts] and, for e-mail, [mail]; then try "
        "it by the command."), EDIT),
}
