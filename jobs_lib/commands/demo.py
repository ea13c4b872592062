"""Build a sample service, run what is due in it, and show the result.

The rows are made up, the runs are real. Nothing leaves this machine: the database is SQLite, mail
is delivered into a Maildir, webhooks are written into files, and no domain is checked. Your own
configuration is neither read nor touched. The folder stays, with a month of made-up history: an
installation like any other, to try the commands in. The next demo replaces it.
"""
from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

from jobs_lib import catalogue, clock, schedule
from jobs_lib.config import load
from jobs_lib.demo import folder as demo_folder
from jobs_lib.demo import history, service
from jobs_lib.errors import OK, UsageError
from jobs_lib.folders import HOME, program
from jobs_lib.output.console import Console
from jobs_lib.output.layout import pairs, wrapped
from jobs_lib.output.terminal import paint
from jobs_lib.runner.resources import Ports, Session
from jobs_lib.text import counts_words

from . import migrate, run_due

WIDTH = 80
LATER = timedelta(minutes=5)    # between the two ticks: the first one is dated so long ago
# whose counts are shown, and as what
FOLLOWED = {"retry_forwards": "forwards", "send_notifications": "notices",
            "retry_webhooks": "webhooks", "expire_overflow_hold": "held mail",
            "delete_accounts": "accounts", "export_accounts": "exports"}
DELETES = ("purge", "archive")  # how jobs begin that delete what is past its retention
TO_TRY = (
    ("status", "what needs you, what waits, the state of every job"),
    ("queue forwards 10", "the story of one forward that failed"),
    ("replay forwards 10", "and put it back into the queue"),
    ("test purge_message_logs --set keep=60d", "what a shorter retention would do: a dry run"),
)


def arguments(parser) -> None:
    parser.add_argument("--dir", metavar="DIR", default=os.path.join(HOME, "demo"),
                        help="where the sample service goes: a new or empty folder, or one that a "
                        "demo made (default: demo, beside jobs.py)")


def run(args, make_session, config_path) -> int:
    if config_path is not None:
        raise UsageError("demo: it makes its own config.ini, so it takes no --config")
    folder = os.path.abspath(args.dir)
    if not demo_folder.is_free(folder):
        raise UsageError(f"demo: {folder} is not empty and was not made by the demo: nothing was "
                         "changed; name another with --dir")
    session = build(folder)
    try:
        return _show(session, folder)
    finally:
        session.ports.close()


def build(folder: str):
    """The sample service in `folder`, as a session whose clock is five minutes behind: tables, made
    up rows, messages and runs."""
    # not the environment: a JOBS_CORE_DATABASE in it would win over the demo's own database
    config = load(demo_folder.make(folder), beside=folder, environ={})
    session = Session(config, Ports(config), Console(0))
    session.ports.now = lambda: clock.now() - LATER
    migrate.install(session)
    db, now = session.ports.database(), session.ports.now()
    service.fill(db, config.section("spool").dir, now)
    zone = config.zone()
    history.fill(db, catalogue.load_all(), now, lambda job, moment: schedule.previous(
        schedule.parse(job.schedule), moment, zone))
    # a first install starts nothing old; here the latest slot of every job is to be due
    db.execute("UPDATE {job_state} SET due_after = NULL")
    return session


def _show(session, folder: str) -> int:
    """Run what is due, by the very code of cron's `jobs.py run-due`, and show the results."""
    _print([paint("bold", "A sample mail forwarding service"), "",
            *wrapped("Its rows are made up, the runs are real. Mail is waiting after a failed "
                     "first attempt, messages are held, and data has passed its retention. Cron "
                     "would now run what is due, and again five minutes later:", WIDTH)])
    results: list = []
    for now in (session.ports.now, clock.now):      # so nothing lies in the future at the end
        session.ports.now = now
        _print(["", paint("bold", "$ jobs.py run-due")])
        more, code = run_due.tick(session)
        if code:
            return code
        results += more
        _print([f"  {len(more)} jobs ran"])
    _section("What became of everything", pairs(_became(results), WIDTH))
    _section(f"Look in {folder}", pairs([
        (demo_folder.PAGE, "the status page, for your browser"),
        (os.path.join(demo_folder.MAILDIR, "new"), "what was delivered"),
        (demo_folder.WEBHOOKS, "webhooks as they would be sent, signed")], WIDTH))
    config = os.path.join(folder, "config.ini")
    _section("Try these", [line for words, meaning in TO_TRY for line in (
        paint("dim", f"  # {meaning}"), f"  {program(config)} {words}")])
    return OK


def _became(results: list[dict]) -> list[tuple[str, str]]:
    """(subject, what was done), by what the runs have counted."""
    counts: dict = {}
    for result in results:
        counts.setdefault(result["job"], Counter()).update(result["counts"])
    deleted = sum(each["deleted"] for job, each in counts.items() if job.startswith(DELETES))
    found = [(subject, counts_words(counts[job])) for job, subject in FOLLOWED.items()]
    return [*found, ("old rows", f"{deleted:,} deleted; audit rows are archived first")]


def _section(title: str, lines: list[str]) -> None:
    _print(["", paint("bold", title), *lines])


def _print(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)
