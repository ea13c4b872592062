"""Build a sample service in a folder, run what is due in it, and show what became of every message.

Nothing leaves this machine: the database is SQLite, mail is delivered into a Maildir, webhooks go
to an endpoint and questions to a name server of the demo's own, both on a loopback port and ended
with it. Your own configuration is neither read nor touched. The folder stays, to try the commands
in; the next demo makes it anew.
"""
from __future__ import annotations

import os
import shlex
import sys
from contextlib import ExitStack
from datetime import timedelta
from types import SimpleNamespace

from jobs_lib import clock
from jobs_lib.config import loader
from jobs_lib.demo import domains, exports, hooks, keeping, letters, nameserver, records, service
from jobs_lib.demo import folder as demo_folder
from jobs_lib.demo import text as words
from jobs_lib.demo.receiver import Receiver
from jobs_lib.errors import FAILED, TERMINATED, JobsError, UsageError
from jobs_lib.output.console import Console
from jobs_lib.output.paint import Paint
from jobs_lib.output.typed import jobs, program, shown
from jobs_lib.paths import HOME
from jobs_lib.ports import dns
from jobs_lib.runner import clock_doubt
from jobs_lib.runner.limits import ExitOnSignal
from jobs_lib.runner.resources import Ports

from . import migrate, names, run_due

WARNING = "overflow_warning"
# between the two ticks; the first is told as if it were so long ago
LATER = timedelta(minutes=5)
OVER_THE_FILE = ("JOBS_CORE_", "JOBS_SPOOL_", "JOBS_MAIL_")
TO_TRY = (
    ("list", "list", "every job: what it does, when, how it went"),
    ("status", "status", "what needs you, what waits, how every job fares"),
    ("replay", "replay forward 16", "queue no. 16 once more, which had failed for good"),
    ("test", "test purge_message_logs --set keep=14d",
     "what a shorter retention would delete; nothing is changed"),
    ("test", "test retry_forwards --sandbox",
     "a job for real on a copy, with each row that changes"),
)


def arguments(parser) -> None:
    """--dir."""
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
        receiver = stack.enter_context(Receiver(hooks.SECRET, past.now,
                                                busy_at=(hooks.event_id(1),)))
        port, missing = _nameserver(stack, folder)
        session = _filled(folder, demo_folder.configure(folder, port), past.now, receiver.url)
        stack.callback(session.ports.close)
        return Story(session, Paint(sys.stdout), past, receiver, missing).tell()


def build(folder: str):
    """The sample service in `folder`, as a session: `migrate`, then rows and messages. No server
    runs for it."""
    demo_folder.make(folder)
    return _filled(folder, demo_folder.configure(folder, None), clock.now, hooks.URL)


def _filled(folder: str, path: str, now, hooks_url: str):
    # The environment is left out: a JOBS_CORE_DATABASE in it would win over the demo's own
    # database.
    settings = loader.load(path, beside=folder, environ={})
    console = _Heard(0)
    console.terminal = False
    session = SimpleNamespace(config=settings, ports=Ports(settings), console=console,
                              folder=folder)
    session.ports.now = now
    migrate.run(_no_arguments(migrate), lambda *_: session, None)
    db = session.ports.database()
    service.fill(db, settings.section("spool").dir, now(), hooks_url)
    # A first install fires nothing old; here the latest slot of every job shall be due.
    db.execute("UPDATE {job_state} SET due_after = NULL")
    clock_doubt.trust(db, session.ports)                    # its runs are old ones
    return session


class _Past:
    """The demo's clock: it stands five minutes back until they are over, so that nothing is in the
    future then."""

    back = LATER

    def now(self):
        """What the jobs take for the present."""
        return clock.now() - self.back

    def over(self) -> None:
        """The five minutes are over."""
        self.back = timedelta(0)


def _nameserver(stack: ExitStack, folder: str) -> tuple[int | None, str]:
    """(its port, "") or (None, what is missing for it)."""
    missing = [] if nameserver.installed() else [nameserver.HINT]
    try:
        dns.open_resolver(SimpleNamespace(nameservers=(("127.0.0.1", 0),), timeout=LATER,
                                          concurrency=1))
    except JobsError as error:
        missing.insert(0, str(error))
    if not missing:
        try:
            server = nameserver.Nameserver(os.path.join(folder, demo_folder.DNS), domains.ZONES)
            return stack.enter_context(server).port, ""
        except JobsError as error:
            missing.append(str(error))
    return None, "; ".join(missing)


class _Heard(Console):
    """Keeps what a command answers: the story tells it in its place."""

    heard = ""

    def answer(self, text: str) -> None:
        """Keep the last of it."""
        self.heard = text


def _no_arguments(command):
    """The arguments of a command as if it was called without any."""
    from argparse import ArgumentParser

    parser = ArgumentParser()
    command.arguments(parser)
    return parser.parse_args([])


class Story:
    """One demo, told section by section as it happens."""

    def __init__(self, session, paint, past, receiver, no_domains: str) -> None:
        self.session, self.paint, self.past, self.receiver = session, paint, past, receiver
        self.db, self.config, self.folder = session.ports.database(), session.config, session.folder
        self.spool, self.mail = self.config.section("spool").dir, self.config.section("mail")
        self.no_domains = no_domains            # why none are looked at, or ""
        self.now = session.ports.now()

    def tell(self) -> int:
        """Run what is due, by the very code that cron's `jobs.py run-due` runs, and say what came
        of it."""
        before, originals = service.snapshot(self.db, self.spool), service.originals(self.db,
                                                                                     self.spool)
        held, totals = keeping.snapshot(self.db, self.spool), records.totals(self.db)
        events, domain = hooks.snapshot(self.db), domains.snapshot(self.db)
        self._say(self._opening(len(before), len(held)))
        self._say(["", self.paint("bold", "$ jobs.py run-due")])
        results, code = self._tick()
        self._say(words.outcomes(self.paint, results))
        if code == TERMINATED:
            return code
        self.past.over()
        self._say(["", self.paint("bold", "$ jobs.py run-due")
                   + self.paint("dim", "   # five minutes later, for what the first one queued")])
        more, second = self._tick()
        self._say(words.outcomes(self.paint, [result for result in more if result["status"] != "ok"
                                              or any(result["counts"].values())], heading=False))
        after = service.snapshot(self.db, self.spool, before)
        self._section("What became of each forward",
                      [*words.queue(self.paint, before, after, self.now),
                       *self._delivered(originals)])
        self._section("What became of held mail",
                      words.held(self.paint, held, keeping.snapshot(self.db, self.spool, held),
                                 self.now))
        self._notices()
        self._webhooks(events)
        self._domain(domain)
        self._export()
        self._section("Totals of each user: log rows go, what they add up to stays",
                      words.totals(self.paint, totals, records.totals(self.db)))
        page = shown(os.path.join(self.folder, demo_folder.PAGE))
        self._section("How it all stands",
                      words.paragraph(f"For your browser, and fit to be published: {page}"))
        self._section("What you can do next", self._next())
        return code or second or (0 if results else FAILED)

    def _tick(self) -> tuple[list, int]:
        budget = self.config.section("core").budget.total_seconds()
        return run_due.tick(self.session, budget)

    @staticmethod
    def _say(lines: list[str]) -> None:
        print("\n".join(lines), flush=True)

    def _section(self, title: str, lines: list[str]) -> None:
        if lines:
            self._say([*words.heading(self.paint, title), *lines])

    def _opening(self, forwards: int, held: int) -> list[str]:
        return [self.paint("bold", f"A sample mail forwarding service, in {shown(self.folder)}"),
                self.paint("dim", f"(jobs.py migrate: {self.session.console.heard})"), "",
                *words.paragraph(
                    f"Mail to its aliases goes on to their owners. {forwards} forwards failed at "
                    f"their first try, {held} messages are held since their owners were over their "
                    "limit, and what is kept for a time only has grown old: spam, logs, sessions, "
                    "links. Cron would now run what is due.")]

    def _delivered(self, originals: dict) -> list[str]:
        found = service.delivered(self.mail.maildir, originals)
        if not found:
            return []
        changed = [number for number, (_, _, identical) in found.items() if not identical]
        if changed:
            return ["", *words.paragraph(f"Not what came in, which is a defect: no. {changed}")]
        path = next(iter(found.values()))[0]
        return ["", *words.paragraph(
            f"The {len(found)} delivered ones are files in {shown(os.path.dirname(path))}, which "
            "stands for the relay: each what came in, byte for byte, below a few lines of ours. So "
            "a signature (DKIM) still holds.")]

    def _notices(self) -> None:
        """All that were sent, as files; the warning as its reader sees it, from what was
        delivered."""
        rows = self.db.query("SELECT id, kind, status FROM {notifications} "
                             "WHERE finished_at >= :since ORDER BY id", since=self.now)
        sent = [{**row, **letter} for row in rows if (letter := letters.delivered(self.mail.maildir,
                                                                                  row["id"]))]
        paths = {row["id"]: shown(demo_folder.notice(self.folder, row)) for row in sent}
        for row in [row for row in sent if row["kind"] == WARNING][:1]:
            self._section("The warning, as its owner sees it", [
                *words.notice(self.paint, row), "", f"  In a browser: {paths[row['id']]}"])
        if sent:
            self._section("All notices that were sent, as files in "
                          f"{os.path.dirname(paths[sent[0]['id']])}",
                          words.notices(self.paint, sent, paths, len(rows) - len(sent)))

    def _webhooks(self, before: dict) -> None:
        came = self.receiver.arrived
        self._section("What became of webhooks", [
            *words.webhooks(self.paint, before, hooks.snapshot(self.db), came, self.now),
            *(["", *words.request(self.paint, came[-1])] if came else [])])

    def _domain(self, before: dict) -> None:
        if self.no_domains:
            lines = words.paragraph(f"Not looked at here: {self.no_domains}. All else works "
                                    "without it.")
        else:
            lines = words.domain(self.paint, before, domains.snapshot(self.db))
        self._section("A domain of a user's own", lines)

    def _export(self) -> None:
        """The one that was asked for, by the link in its notice."""
        found = exports.opened(self.db, self.config, self.mail.maildir, self.session.ports.now())
        if found:
            self._section("An account's own data, as its owner opens it", words.export(self.paint, {
                **found, "path": shown(found["path"])}))

    def _next(self) -> list[str]:
        mine, there = os.path.join(self.folder, "config.ini"), names()
        lines: list[str] = []
        over = sorted(name for name in os.environ if name.startswith(OVER_THE_FILE))
        if over:
            lines = [*words.paragraph(f"Your environment sets {', '.join(over)}, which goes over "
                                      "the demo's config.ini: unset it before you try these."), ""]
        lines += words.command_lines(self.paint, [
            (jobs(*line.split(), config=mine), meaning) for command, line, meaning in TO_TRY
            if command in there])
        log = shown(os.path.join(self.config.section("core").log_dir, "retry_forwards.log"))
        archives = demo_folder.archives(self.folder)
        return lines + [*words.command_lines(self.paint, [
            *((shlex.join(["zcat", shown(path)]),
               "the audit rows that were archived before they were deleted")
              for path in archives[:1]),
            (shlex.join(["less", log]), "the log: one line of JSON for each event"),
            (program(os.path.join(HOME, "install.sh")),
             "your own service: config.ini, the database and the line for cron")])]

