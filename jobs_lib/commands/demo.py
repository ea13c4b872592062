"""Build a sample service in a folder, run what is due in it, and show what became of it.

Nothing leaves this machine: the database is SQLite, mail is delivered into a Maildir, webhooks go
to an endpoint and DNS questions to a name server of the demo's own, both on a loopback port and
stopped with it. Your own configuration is neither read nor touched. The folder stays, with a month
of made-up history: an installation like any other, to try the commands in. The next demo replaces
it. With -v it shows each job, each message and each notice.
"""
from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import ExitStack
from datetime import timedelta
from types import SimpleNamespace

from jobs_lib import clock
from jobs_lib.config import loader
from jobs_lib.demo import data, history, nameserver, service, state, text
from jobs_lib.demo import folder as demo_folder
from jobs_lib.demo.receiver import Receiver
from jobs_lib.errors import FAILED, TERMINATED, JobsError, UsageError
from jobs_lib.output.console import Console
from jobs_lib.output.paint import Paint
from jobs_lib.output.typed import jobs, program, shown
from jobs_lib.paths import HOME
from jobs_lib.runner import clock_doubt
from jobs_lib.runner.limits import ExitOnSignal
from jobs_lib.runner.resources import Ports

from . import migrate, run_due

WARNING = "overflow_warning"
LATER = timedelta(minutes=5)        # between the two ticks: the first one is dated so long ago
WINS_OVER_FILE = ("JOBS_CORE_", "JOBS_SPOOL_", "JOBS_MAIL_")
# the first so many are shown without -v
SHORT = 4
TO_TRY = (
    ("status", "what needs you, what waits, the state of every job"),
    ("replay forwards 16", "put no. 16, which had failed for good, into the queue again"),
    ("test purge_message_logs --set keep=14d",
     "what a shorter retention would delete; nothing is changed"),
    ("crontab", "the line with which cron keeps it alive"),
    ("list", "every job: when it runs, when next, how it went"),
)


def arguments(parser) -> None:
    """Declares --dir and -v."""
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="show what each job did, and what became of each message")
    parser.add_argument("--dir", metavar="DIR", default=os.path.join(HOME, "demo"),
                        help="where the sample service goes: a new or empty folder, or one that a "
                        "demo made (default: demo, beside jobs.py)")


def run(args, make_session, config_path) -> int:
    """Build, run, show. 0 when every run ended well."""
    if config_path is not None:
        raise UsageError("demo: it makes a config.ini of its own, so it takes no --config")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")             # a terminal that cannot show an umlaut
    folder = os.path.abspath(args.dir)
    demo_folder.make(folder)
    past = _Past()
    with ExitStack() as stack:
        stack.enter_context(ExitOnSignal())
        receiver = stack.enter_context(Receiver(data.SECRET, past.now, busy_at=(data.BUSY_AT,)))
        port, missing = _nameserver(stack, folder)
        session = _filled(folder, demo_folder.configure(folder, port), past.now, receiver.url)
        stack.callback(session.ports.close)
        history.fill(session.ports.database(), session.config, past.now(),
                     shutil.disk_usage(folder).free)
        code = Story(session, Paint(sys.stdout), past, receiver, missing, args.verbose).tell()
    demo_folder.leave(folder)
    return code


def build(folder: str):
    """The sample service in `folder`, as a session: `migrate`, then rows and messages. No server
    runs for it."""
    demo_folder.make(folder)
    return _filled(folder, demo_folder.configure(folder, None), clock.now, service.URL)


def _filled(folder: str, path: str, now, hooks_url: str):
    # not the environment: a JOBS_CORE_DATABASE in it would win over the demo's own database
    settings = loader.load(path, beside=folder, environ={})
    console = _Recorder(0)
    console.terminal = False
    session = SimpleNamespace(config=settings, ports=Ports(settings), console=console,
                              folder=folder)
    session.ports.now = now
    migrate.run(_no_arguments(migrate), lambda *_: session, None)
    db = session.ports.database()
    service.fill(db, settings.section("spool").dir, now(), hooks_url)
    # a first install starts nothing old; here the latest slot of every job is to be due
    db.execute("UPDATE {job_state} SET due_after = NULL")
    clock_doubt.trust(db, session.ports)                    # its runs are old ones
    return session


class _Past:
    """The demo's clock: five minutes behind until they are over, so that nothing is in the future
    then."""

    back = LATER

    def now(self):
        """The time that the jobs are given."""
        return clock.now() - self.back

    def catch_up(self) -> None:
        """Let the jobs' time be the real one again."""
        self.back = timedelta(0)


def _nameserver(stack: ExitStack, folder: str) -> tuple[int | None, str]:
    """(its port, "") or (None, what is missing for it)."""
    missing = [] if nameserver.installed() else [nameserver.HINT]
    try:
        from jobs_lib.ports import resolver  # noqa: F401  (whether dnspython is there)
    except JobsError as error:
        missing.insert(0, str(error))
    if not missing:
        try:
            server = nameserver.Nameserver(os.path.join(folder, demo_folder.DNS), data.ZONES)
            return stack.enter_context(server).port, ""
        except JobsError as error:
            missing.append(str(error))
    return None, "; ".join(missing)


class _Recorder(Console):
    """Keeps the answer of a command, to be shown later."""

    last = ""

    def answer(self, text: str) -> None:
        """Keep it in place of the one before."""
        self.last = text


def _no_arguments(command):
    """The arguments of a command that is called without any."""
    from argparse import ArgumentParser

    parser = ArgumentParser()
    command.arguments(parser)
    return parser.parse_args([])


class Story:
    """One demo, printed section by section as it happens."""

    def __init__(self, session, paint, past, receiver, no_domains: str, verbose: bool) -> None:
        self.session, self.paint, self.past, self.receiver = session, paint, past, receiver
        self.db, self.config, self.folder = session.ports.database(), session.config, session.folder
        self.spool = self.config.section("spool").dir
        self.maildir = self.config.section("mail").maildir
        self.no_domains = no_domains            # why none are checked, or ""
        self.now, self.verbose = session.ports.now(), verbose

    def tell(self) -> int:
        """Run what is due, by the very code of cron's `jobs.py run-due`, and show the results."""
        before = state.look(self.db, self.spool)
        originals = state.originals(self.db, self.spool)
        self._print(self._opening(before))
        self._print(["", self.paint("bold", "$ jobs.py run-due")])
        results, code = self._tick()
        if self.verbose:
            self._print(text.outcomes(self.paint, results))
        if code == TERMINATED:
            return code
        self.past.catch_up()
        why = self.paint("dim", "   # five minutes later, for what the first one queued")
        self._print([*([""] if self.verbose else []),
                     self.paint("bold", "$ jobs.py run-due") + why])
        more, second = self._tick()
        after = state.look(self.db, self.spool, before)
        if self.verbose:
            busy = [result for result in more
                    if result["status"] != "ok" or any(result["counts"].values())]
            self._print(text.outcomes(self.paint, busy, heading=False))
            self._results(before, after, originals)
            self._section("What you can do next", self._next(len(TO_TRY)))
        else:
            self._summary(before, after, originals, [*results, *more])
        return code or second or (0 if results else FAILED)

    def _summary(self, before: state.State, after: state.State, originals: dict,
                 results: list) -> None:
        """All of it in a few lines, and what to look at."""
        bad = [result for result in results if result["status"] != "ok"]
        if bad:
            self._print(text.outcomes(self.paint, bad, heading=False))
        sent = self._sent()
        arrived = state.delivered_forwards(self.maildir, originals)
        self._print(["", *text.summary(self.paint, text.Facts(
            before, after, results, self.now, len(sent), all(arrived.values()),
            self.receiver.arrived, self.no_domains,
            state.opened_export(self.db, self.config, self.maildir, self.session.ports.now())))])
        looks = [("the status page", shown(os.path.join(self.folder, demo_folder.PAGE)))]
        looks += [("a notice to an owner", os.path.join(shown(row["place"]), row["file"]))
                  for row in sent if row["kind"] == WARNING][:1]
        self._section("Look at it in a browser", text.looks(self.paint, looks))
        self._section("Try", [*self._next(SHORT), "", *text.paragraph(
            "`jobs.py demo -v` shows each job, each message and each notice.")])

    def _tick(self) -> tuple[list, int]:
        budget = self.config.section("core").budget.total_seconds()
        return run_due.tick(self.session, budget)

    def _results(self, before: state.State, after: state.State, originals: dict) -> None:
        paint, now, arrived = self.paint, self.now, self.receiver.arrived
        self._section("What became of each forward", [
            *text.forwards(paint, before.forwards, after.forwards, now),
            *self._delivered(originals)])
        self._section("What became of held mail", text.held(paint, before.held, after.held, now))
        self._notices()
        self._section("What became of webhooks", [
            *text.webhooks(paint, before.deliveries, after.deliveries, arrived, now),
            *(["", *text.request(paint, arrived[-1])] if arrived else [])])
        self._section("A domain of a user's own", text.paragraph(
            f"Not checked here: {self.no_domains}. Everything else works without it.")
            if self.no_domains else text.domain(paint, before.domain, after.domain))
        export = state.opened_export(self.db, self.config, self.maildir, self.session.ports.now())
        if export:
            self._section("An account's own data, as its owner opens it",
                          text.export(paint, {**export, "path": shown(export["path"])}))
        self._section("Totals of each user: log rows are deleted, their totals are kept",
                      text.totals(paint, before.totals, after.totals))
        page = shown(os.path.join(self.folder, demo_folder.PAGE))
        self._section("The status page",
                      text.paragraph(f"For your browser, and safe to publish: {page}"))

    @staticmethod
    def _print(lines: list[str]) -> None:
        print("\n".join(lines), flush=True)

    def _section(self, title: str, lines: list[str]) -> None:
        self._print([*text.heading(self.paint, title), *lines])

    def _opening(self, before: state.State) -> list[str]:
        waiting = sum(row["status"] == "pending" for row in before.forwards.values())
        made = self.paint("dim", f"(jobs.py migrate: {self.session.console.last})")
        return [self.paint("bold", f"A sample mail forwarding service, in {shown(self.folder)}"),
                *([made] if self.verbose else []), "",
                *text.paragraph(
                    f"It forwards mail for its aliases to their owners. {waiting} "
                    f"forwards wait after a first try that failed, {len(before.held)} messages are "
                    "held because their owners were over their limit, and data has passed its "
                    "retention: spam, logs, sessions, links. Cron would now run what is due.")]

    def _delivered(self, originals: dict) -> list[str]:
        found = state.delivered_forwards(self.maildir, originals)
        changed = [number for number, is_identical in found.items() if not is_identical]
        if changed:
            return ["", *text.paragraph(f"Changed on the way, which is a defect: no. {changed}")]
        return ["", *text.paragraph(
            f"The {len(found)} delivered ones are files in "
            f"{shown(os.path.join(self.maildir, 'new'))}, which takes the place of the relay: each "
            "is the message that came in, byte for byte, below a few lines of ours. So a signature "
            "(DKIM) still holds.")] if found else []

    def _notices(self) -> None:
        """All that were sent, as files; the warning as its reader sees it, from what was
        delivered."""
        sent = self._sent()
        if not sent:
            return
        place = shown(sent[0]["place"])
        for row in [row for row in sent if row["kind"] == WARNING][:1]:
            self._section("The warning, as its owner sees it", [
                *text.notice(self.paint, row), "",
                f"  In a browser: {os.path.join(place, row['file'])}"])
        self._section(f"All notices that were sent, as files in {place}",
                      text.notices(self.paint, sent, len(self._finished()) - len(sent)))

    def _finished(self) -> list[dict]:
        return self.db.query("SELECT id, kind FROM {notifications} WHERE finished_at >= :since "
                             "ORDER BY id", since=self.now)

    def _sent(self) -> list[dict]:
        """The notices that were delivered, each with the `file` in the folder `place` that shows
        it."""
        sent = [{**row, **notice} for row in self._finished()
                if (notice := state.delivered_notice(self.maildir, row["id"]))]
        for row in sent:
            row["place"], row["file"] = os.path.split(demo_folder.notice(self.folder, row))
        return sent

    def _next(self, number: int) -> list[str]:
        """The first so many commands to try."""
        config = os.path.join(self.folder, "config.ini")
        lines: list[str] = []
        winners = sorted(name for name in os.environ if name.startswith(WINS_OVER_FILE))
        if winners:
            lines = [*text.paragraph(f"Your environment sets {', '.join(winners)}, which wins over "
                                     "the demo's config.ini: unset it before you try these."), ""]
        commands = [(jobs(*line.split(), config=config), meaning)
                    for line, meaning in TO_TRY[:number]]
        if not self.verbose:
            return lines + text.command_lines(self.paint, commands)
        commands += [(shlex.join(["zcat", shown(path)]),
                      "the audit rows that were archived before they were deleted")
                     for path in demo_folder.archives(self.folder)[:1]]
        log = shown(os.path.join(self.config.section("core").log_dir, "retry_forwards.log"))
        commands += [(shlex.join(["less", log]), "the log: one line of JSON for each event"),
                     (program(os.path.join(HOME, "install.sh")),
                      "your own service: config.ini, the database and the line for cron")]
        return lines + text.command_lines(self.paint, commands)
