"""Build a sample service, run what is due in it, and show the result.

The rows are made up, the runs are real. Nothing leaves this machine: the database is SQLite, mail
is delivered into a Maildir, webhooks are written into files, and no domain is checked. Your own
configuration is neither read nor touched. The folder stays, with a month of made-up history: an
installation like any other, to try the commands in. The next demo replaces it.
"""
from __future__ import annotations

import os
from datetime import timedelta
from types import SimpleNamespace

from jobs_lib import clock
from jobs_lib.config import load
from jobs_lib.demo import folder as demo_folder
from jobs_lib.demo import history, service, summary
from jobs_lib.errors import FAILED, TERMINATED, UsageError
from jobs_lib.folders import HOME, program
from jobs_lib.output.console import Console
from jobs_lib.output.layout import pairs, wrapped
from jobs_lib.output.terminal import paint
from jobs_lib.runner.resources import Ports

from . import migrate, run_due

WIDTH = 80
LATER = timedelta(minutes=5)    # between the two ticks: the first one is dated so long ago
WINS_OVER_FILE = ("JOBS_CORE_", "JOBS_SPOOL_", "JOBS_MAIL_", "JOBS_WEBHOOKS_")
TO_TRY = (
    ("status", "what needs you, what waits, the state of every job"),
    ("queue forwards 11", "the story of one forward that failed"),
    ("replay forwards 11", "and put it into the queue again"),
    ("test purge_message_logs --set keep=14d", "what a shorter retention would do: a dry run"),
)


def arguments(parser) -> None:
    """Declares --dir."""
    parser.add_argument("--dir", metavar="DIR", default=os.path.join(HOME, "demo"),
                        help="where the sample service goes: a new or empty folder, or one that a "
                        "demo made (default: demo, beside jobs.py)")


def run(args, make_session, config_path) -> int:
    """Build, run, show. 0 when every run ended well."""
    if config_path is not None:
        raise UsageError("demo: it makes a config.ini of its own, so it takes no --config")
    folder = os.path.abspath(args.dir)
    session = build(folder)
    try:
        return _show(session, folder)
    finally:
        session.ports.close()


def build(folder: str):
    """The sample service in `folder`, as a session whose clock is five minutes behind: tables, made
    up rows and messages."""
    # not the environment: a JOBS_CORE_DATABASE in it would win over the demo's own database
    settings = load(demo_folder.make(folder), beside=folder, environ={})
    session = SimpleNamespace(config=settings, ports=Ports(settings), console=_Silent(0))
    session.ports.now = lambda: clock.now() - LATER
    migrate.install(session)
    db = session.ports.database()
    service.fill(db, settings.section("spool").dir, session.ports.now())
    # a first install starts nothing old; here the latest slot of every job is to be due
    db.execute("UPDATE {job_state} SET due_after = NULL")
    return session


class _Silent(Console):
    """Prints failures alone."""

    def answer(self, text: str) -> None:
        """Keep it to itself."""


def _show(session, folder: str) -> int:
    """Run what is due, by the very code of cron's `jobs.py run-due`, and show the results."""
    db, began = session.ports.database(), session.ports.now()
    history.fill(db, session.config, began)
    before = summary.waiting(db)
    _print([paint("bold", f"A sample mail forwarding service, in {folder}"), "",
            *wrapped("Its rows are made up, the runs are real. Mail waits after a first attempt "
                     "that failed, messages are held, and data has passed its retention. Cron "
                     "would now run what is due, and again five minutes later:", WIDTH)])
    results: list = []
    for now in (session.ports.now, clock.now):      # so nothing lies in the future at the end
        session.ports.now = now
        _print(["", paint("bold", "$ jobs.py run-due")])
        more, code = run_due.tick(session)
        results += more
        if code == TERMINATED:
            return code
        _print([f"  {len(more)} jobs ran"] + [
            paint("red", f"  {each['job']}: {each['status']}: {each['error']}")
            for each in more if each["status"] != "ok"])
    _section("What became of everything",
             pairs(summary.lines(db, before, results, began), WIDTH))
    _section("Look at", pairs([
        (os.path.join(folder, name), meaning) for name, meaning in (
            (demo_folder.PAGE, "the status page, for your browser"),
            (os.path.join(demo_folder.MAILDIR, "new"), "what was delivered"),
            (demo_folder.WEBHOOKS, "webhooks as they would be sent, signed"))], WIDTH))
    _section("Try these", _to_try(os.path.join(folder, "config.ini")))
    ok = results and all(each["status"] == "ok" for each in results)
    return 0 if ok else FAILED


def _to_try(config: str) -> list[str]:
    winners = sorted(name for name in os.environ if name.startswith(WINS_OVER_FILE))
    first = wrapped(f"Your environment sets {', '.join(winners)}, which wins over the demo's "
                    "config.ini: unset it first.", WIDTH) if winners else []
    return first + [line for words, meaning in TO_TRY for line in (
        paint("dim", f"  # {meaning}"), f"  {program(config)} {words}")]


def _section(title: str, lines: list[str]) -> None:
    _print(["", paint("bold", title), *lines])


def _print(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)
