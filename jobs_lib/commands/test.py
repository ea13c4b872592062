"""Try a job by hand: what it is, what it needs, and what it would do, row by row.

Without --live and --sandbox it is a dry run: the database refuses to write, and nothing else is
touched. With --sandbox the job runs for real on a private copy of the SQLite database and the
spool, with a folder in place of the network, and what it changed is shown. With --live it runs as
`jobs.py JOB` does, and shows its log.
"""
from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec

from jobs_lib import catalogue, clock, schedule, schedule_text
from jobs_lib.config import option_types
from jobs_lib.database import copies
from jobs_lib.database.schema.version import check
from jobs_lib.errors import FAILED, OK, DatabaseError, UsageError
from jobs_lib.launch.by_hand import show_unconfirmed
from jobs_lib.output import trial
from jobs_lib.output.paint import Paint
from jobs_lib.output.screen import Screen
from jobs_lib.output.tables import dry_lines
from jobs_lib.output.typed import jobs, shown
from jobs_lib.paths import way_to
from jobs_lib.runner import access, dead_runs, history, outcome, runner
from jobs_lib.runner.resources import Session
from jobs_lib.text import positive, size

from ._arguments import parsed_as

MAX_SIZE = "1GB"


def arguments(parser) -> None:
    """Declares JOB, how real the run is, and the options of `jobs.py JOB`."""
    parser.add_argument("job", metavar="JOB", help="a job; `jobs.py list` shows them")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--live", action="store_true", help="run for real, and show what was done")
    how.add_argument("--sandbox", action="store_true",
                     help="run for real on a private copy (SQLite), and show which rows and files "
                     "changed")
    parser.add_argument("--keep", action="store_true", help="with --sandbox: keep the copy for you "
                        "to look at")
    parser.add_argument("--max-size", metavar="SIZE", type=parsed_as(option_types.size),
                        help=f"with --sandbox: copy no more than this (default: {MAX_SIZE})")
    parser.add_argument("--limit", type=positive, metavar="N", help="handle at most N items")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="use another value in this run: of an option of the job, or of "
                        "SECTION.OPTION")
    parser.add_argument("--yes", action="store_true", help="do what a safety stop has refused, "
                        "this once")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args, make_session, config_path) -> int:
    """Show the job, then run it as the arguments say."""
    job = catalogue.load(args.job)
    if not args.sandbox and (args.keep or args.max_size):
        raise UsageError(f"test: {'--keep' if args.keep else '--max-size'} goes with --sandbox "
                         "only")
    session = make_session(config_path, -1 if args.json else 1, args.set, job)
    one = Trial(job, args, session, config_path)
    if args.sandbox:
        return one.sandbox(make_session)
    return one.live() if args.live else one.dry()


class Trial:
    """One `jobs.py test`: its parts are printed as they are known, or gathered into one JSON
    document."""

    def __init__(self, job, args, session, config_path) -> None:
        self.job, self.args, self.session, self.config_path = job, args, session, config_path
        self.config, self.console, self.paint = session.config, session.console, Paint(sys.stdout)
        self.request = runner.Request("manual", None, args.limit, False, args.yes)

    def say(self, *lines: str) -> None:
        """Lines for a person; --json stays silent until its end."""
        if not self.args.json and lines:
            self.console.answer("\n".join(lines))

    def dry(self) -> int:
        """What would be done now; nothing is changed, and nobody is contacted."""
        about = self._about()
        self.say(*trial.about(self.paint, about))
        missing = [need["need"] for need in about["needs"] if need["state"] == "missing"]
        if "database" in missing:
            self._end(about)
            return FAILED
        result = runner.run(self.session, self.job, self.request._replace(dry_run=True))
        show_unconfirmed(self.session, self.job, result)
        samples = self.console.samples
        self.say("", self.paint("bold", "What it would do now (a dry run: nothing is changed, "
                                "nobody is contacted)"), *dry_lines(result, samples), "")
        if self._can_be_copied():
            self.say(self.paint("dim", "  # for real, on a copy"), f"  {self._typed('--sandbox')}")
        self.say(self.paint("dim", "  # for real"), f"  {self._typed('--live')}")
        self._end({**about, **outcome.as_json(result), "samples": samples})
        return outcome.exit_code(result) or (FAILED if missing else OK)

    def live(self) -> int:
        """Run the job for real."""
        self.say(*trial.about(self.paint, self._about()))
        result = runner.run(self.session, self.job, self.request)
        self._say_result(result, self.config.section("core").log_dir)
        self._end(outcome.as_json(result))
        return outcome.exit_code(result)

    def sandbox(self, make_session) -> int:
        """The real run on a copy, and what it changed there."""
        from jobs_lib.launch.sandbox import Sandbox, remove_left_over
        from jobs_lib.runner.limits import ExitOnSignal

        if removed := remove_left_over():
            self.say(f"Removed what {removed} sandbox{'es' if removed > 1 else ''} left behind: "
                     "killed before the end.")
        most = self.args.max_size or option_types.size.parse(MAX_SIZE)
        box = Sandbox(self.config, most, self.args.keep)
        self.say(f"Copying the database ({size(box.size.database)}) and {box.size.files:,} files "
                 f"of the spool ({size(box.size.spool)}).", "The real ones stay as they are.")
        with ExitOnSignal(), box:           # it holds people's mail
            inside = make_session(self.config_path, self.console.level,
                                  [*self.args.set, *box.settings()], self.job)
            try:
                session = Session(inside.config, inside.ports, self.console)
                result = runner.run(session, self.job, self.request)
            finally:
                inside.ports.close()
            self._say_result(result, box.path("log"))
            found = {"tables": box.tables(), "spool": box.files(), "outbox": box.outbox(),
                     "requests": box.requests(),
                     "folder": box.folder if box.keep else None}
            self._say_changes(found)
        self._end({**outcome.as_json(result), "sandbox": found})
        return outcome.exit_code(result)

    def _say_changes(self, found: dict) -> None:
        parts = {"Rows that changed": trial.changes(self.paint, found["tables"], self.job.sample),
                 "Files in the spool that changed": trial.spool(found["spool"]),
                 "Mail that would have gone out": trial.outbox(found["outbox"])}
        if {"webhooks", "alerts"} & set(self.job.sections):
            parts["Webhooks that would have gone out"] = trial.outbox(found["requests"])
        for title, lines in parts.items():
            self.say("", self.paint("bold", title), *(lines or ["  none"]))
        self.say("", f"The copy stays in {found['folder']} (jobs.db, before.db, spool, outbox, "
                 "log). It holds people's mail: delete it." if found["folder"] else
                 "The copy is deleted; with --keep it stays, to look at.")

    def _say_result(self, result: dict, log_dir: str) -> None:
        lines = trial.events(_log_lines(log_dir, self.job.name, result["run_id"]))
        self.say("", self.paint("bold", "What it did"), *lines,
                 f"  {outcome.outcome_words(result)}")

    def _end(self, document: dict) -> None:
        if self.args.json:
            self.console.document(document)

    # What the job is and needs

    def _about(self) -> dict:
        screen, options = Screen(self.session), self.config.job(self.job)
        paused_at, last, database = self._database()
        when = f"{schedule_text.words(options.schedule)} ({screen.zone_name}); "
        if not options.enabled:
            when += f"not by itself: [{self.job.name}] enabled = no"
        elif paused_at:
            when += f"paused since {paused_at} UTC: `jobs.py resume {self.job.name}`"
        else:
            following = schedule.following(options.schedule, screen.now, screen.zone)
            when += f"next: {screen.at(clock.text(following))}"
        ran = (f"last run {last['status']}, at {screen.at(last['started_at'])}" if last
               else "never ran")
        return {"job": self.job.name, "summary": self.job.summary, "when": when, "last": ran,
                "options": self._options(), "needs": [database, *self._needs()]}

    def _database(self) -> tuple[str | None, dict | None, dict]:
        """(since when the job is paused, its last run, the database as a need), without a write."""
        what = option_types.hide_password(self.config.section("core").database)
        name, ports = self.job.name, self.session.ports
        try:
            db = ports.database(readonly=True)
            try:
                check(db)
                paused = db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=name)
                runs = dead_runs.shown(history.last_runs(db, name, 1), self.config, ports.now(), db)
            finally:
                db.close()
        except DatabaseError as error:
            return None, None, _need("database", what, "missing", str(error))
        there = _need("database", what, "there", "there, its tables are up to date")
        return paused, next(iter(runs), None), there

    def _needs(self) -> list[dict]:
        core, sections, found = self.config.section("core"), self.job.sections, []
        if "spool" in sections:
            found.append(_folder("spool", self.config.section("spool").dir, made=False))
        if "mail" in sections:
            found.append(_mail(self.config.section("mail")))
        if "dns" in sections:
            found.append(_need("package", "dnspython", "there", "there") if find_spec("dns") else
                         _need("package", "dnspython", "missing", "not installed: "
                               + way_to("dnspython", "domains")))
        found += [_folder("state", core.state_dir, made=True),
                  _folder("log", core.log_dir, made=True)]
        for sentence in access.unusable(self.config):
            what, _, why = sentence.partition(": ")
            found.append(_need("files", what, "missing", why))
        return found

    def _options(self) -> dict:
        """{the job's own options: their values as they would be written}, no secret among them."""
        found = {}
        for name, option in self.job.options.items():
            written = self.config.written(self.job.name, name, option).text
            found[name] = option.kind.mask(written) if option.kind.mask else written
        return found

    def _can_be_copied(self) -> bool:
        try:
            copies.database_file(self.config.section("core").database, self.config.folder)
        except UsageError:                      # it is on a server
            return False
        return True

    def _typed(self, how: str) -> str:
        limits = ["--limit", str(self.args.limit)] if self.args.limit else []
        sets = [word for value in self.args.set for word in ("--set", value)]
        return jobs("test", self.job.name, how, *limits, *sets, config=self.config_path)


def _need(need: str, what: str, state: str, words: str) -> dict:
    return {"need": need, "what": what, "state": state, "words": words}


def _mail(mail) -> dict:
    if mail.transport == "maildir":
        return _folder("mail", mail.maildir, made=True)
    login = f"as {mail.username}" if mail.username else "without a login"
    what = f"{mail.host}:{mail.port} ({mail.security}), {login}"
    if mail.ca_file and not os.path.isfile(mail.ca_file):
        return _need("mail", what, "missing", f"there is no file [mail] ca_file = {mail.ca_file}")
    return _need("mail", what, "there", "not contacted by a dry run")


def _folder(need: str, path: str, made: bool) -> dict:
    """Whether a folder is there and ours to write in; `made`: a run makes it when it is missing."""
    if not os.path.isdir(path):
        return (_need(need, shown(path), "made", "not there yet, a real run makes it") if made
                else _need(need, shown(path), "missing", "not there"))
    if os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return _need(need, shown(path), "there", "there")
    return _need(need, shown(path), "missing", "there, but this user may not read and write in it")


def _log_lines(folder: str, job: str, run_id: str) -> list[dict]:
    """The lines that this run logged, a rotation in between included."""
    lines = []
    for name in (f"{job}.log.1", f"{job}.log"):
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                lines += [json.loads(line) for line in file if run_id in line]
        except FileNotFoundError:
            continue
    return [line for line in lines if line.get("run_id") == run_id]
