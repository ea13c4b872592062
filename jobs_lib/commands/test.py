"""Try a job by hand: what it is, what it needs, and what it would do, row by row.

Without --live and --sandbox it is a dry run: the database refuses to write, and nothing else is
touched. With --sandbox the job runs for real on a private copy of the SQLite database and the
spool, with a folder in place of the network, and what it changed is shown. With --live it runs as
`jobs.py JOB` does, in words.
"""
from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec

from jobs_lib import catalogue, schedule, schedule_text
from jobs_lib.config import option_types
from jobs_lib.database import copies
from jobs_lib.database.schema.version import check
from jobs_lib.errors import FAILED, OK, DatabaseError, UsageError
from jobs_lib.output import trial as words
from jobs_lib.output.paint import Paint
from jobs_lib.output.tables import dry_lines
from jobs_lib.output.typed import jobs, shown
from jobs_lib.runner import access, dead_runs, history, outcome, runner
from jobs_lib.text import moment, positive, size

from ._arguments import parsed_as

MAX_SIZE = "1GB"


def arguments(parser) -> None:
    """JOB, how real the run is, and the options of `jobs.py JOB`."""
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
    trial = Trial(job, args, session, config_path)
    if args.sandbox:
        return trial.sandbox(make_session)
    return trial.live() if args.live else trial.dry()


class Trial:
    """One `jobs.py test`: its parts are said as they are known, or gathered into one JSON
    document."""

    def __init__(self, job, args, session, config_path) -> None:
        self.job, self.args, self.session, self.config_path = job, args, session, config_path
        self.paint = Paint(sys.stdout)
        self.request = runner.Request("manual", None, args.limit, False, args.yes)

    def say(self, *lines: str) -> None:
        """Lines for a person; --json stays silent until its end."""
        if not self.args.json and lines:
            self.session.console.answer("\n".join(lines))

    def dry(self) -> int:
        """What would be done now; nothing is changed, and nobody is contacted."""
        about = self._about()
        self.say(*words.about(self.paint, about))
        if any(need["state"] == "missing" for need in about["needs"] if need["need"] == "database"):
            if self.args.json:
                self.session.console.document(about)
            return FAILED
        result = runner.run(self.session, self.job, self.request._replace(dry_run=True))
        samples = self.session.console.samples
        copied = self._can_be_copied()
        self.say("", self.paint("bold", "What it would do now (a dry run: nothing is changed, "
                                "nobody is contacted)"), *dry_lines(result, samples), "",
                 *([self.paint("dim", "  # for real, on a copy"), f"  {self._typed('--sandbox')}"]
                   if copied else []), self.paint("dim", "  # for real"),
                 f"  {self._typed('--live')}")
        self._end({**about, **outcome.as_json(result), "samples": samples})
        missing = any(need["state"] == "missing" for need in about["needs"])
        return outcome.exit_code(result) or (FAILED if missing else OK)

    def live(self) -> int:
        """The real run."""
        self.say(*words.about(self.paint, self._about()))
        result = runner.run(self.session, self.job, self.request)
        self._said(result, self.session.config.section("core").log_dir)
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
        box = Sandbox(self.session.config, most, self.args.keep)
        self.say(f"Copying the database ({size(box.size.database)}) and {box.size.files:,} files "
                 f"of the spool ({size(box.size.spool)}).", "The real ones stay as they are.")
        console = self.session.console
        with ExitOnSignal(), box:           # it holds people's mail
            inside = make_session(self.config_path, console.level,
                                  [*self.args.set, *box.settings()], self.job)
            try:
                result = runner.run(inside._replace(console=console), self.job, self.request)
            finally:
                inside.ports.close()
            self._said(result, box.path("log"))
            found = {"tables": box.tables(), "spool": box.files(), "outbox": box.outbox(),
                     "requests": box.requests(),
                     "folder": box.folder if box.keep else None}
            self._changes(found)
        self._end({**outcome.as_json(result), "sandbox": found})
        return outcome.exit_code(result)

    def _changes(self, found: dict) -> None:
        for title, lines in (("Rows that changed", words.changes(self.paint, found["tables"],
                                                                 self.job.sample)),
                             ("Files in the spool that changed", words.spool(found["spool"])),
                             ("Mail that would have gone out", words.outbox(found["outbox"])),
                             *([("Webhooks that would have gone out",
                                 words.outbox(found["requests"]))] if {"webhooks", "alerts"}
                               & set(self.job.sections) else [])):
            self.say("", self.paint("bold", title), *(lines or ["  none"]))
        self.say("", f"The copy stays in {found['folder']} (jobs.db, before.db, spool, outbox, "
                 "log). It holds people's mail: delete it." if found["folder"] else
                 "The copy is deleted; with --keep it stays, to look at.")

    def _said(self, result: dict, log_dir: str) -> None:
        lines = words.events(_log_lines(log_dir, self.job.name, result["run_id"]))
        self.say("", self.paint("bold", "What it did"), *lines,
                 f"  {outcome.outcome_words(result)}")

    def _end(self, document: dict) -> None:
        if self.args.json:
            self.session.console.document(document)

    # What the job is and needs

    def _about(self) -> dict:
        config, job = self.session.config, self.job
        core, now = config.section("core"), self.session.ports.now()
        zone, options = schedule.zone(core.timezone), config.job(job)
        state, last, database = self._state()
        when = f"{schedule_text.words(options.schedule)} ({core.timezone}); "
        if not options.enabled:
            when += f"not by itself: [{job.name}] enabled = no"
        elif state and state["paused_at"]:
            when += f"paused since {state['paused_at']} UTC: `jobs.py resume {job.name}`"
        else:
            when += f"next: {moment(schedule.following(options.schedule, now, zone), now, zone)}"
        return {"job": job.name, "summary": job.summary, "when": when, "last": words.last_run(last,
                                                                                              zone,
                                                                                              now),
                "options": self._options(), "needs": [database, *self._folders(core)]}

    def _state(self) -> tuple[dict | None, dict | None, dict]:
        """(row of job_state, last run, the database as a need), without a write."""
        found = {"need": "database",
                 "what": option_types.hide_password(self.session.config.section("core").database)}
        try:
            db = self.session.ports.database(readonly=True)
            try:
                check(db)
                state = db.row("SELECT paused_at FROM {job_state} WHERE job = :job",
                               job=self.job.name)
                last = next(iter(dead_runs.shown(history.last_runs(db, self.job.name, 1),
                                                 self.session.config, self.session.ports.now(),
                                                 db)), None)
            finally:
                db.close()
        except DatabaseError as error:
            return None, None, {**found, "state": "missing", "words": str(error)}
        return state, last, {**found, "state": "there", "words": "there, its tables are up to date"}

    def _folders(self, core) -> list[dict]:
        found = []
        if "spool" in self.job.sections:
            found.append(_folder("spool", self.session.config.section("spool").dir, made=False))
        if "mail" in self.job.sections:
            mail = self.session.config.section("mail")
            if mail.transport == "maildir":
                found.append(_folder("mail", mail.maildir, made=True))
            else:
                login = f"as {mail.username}" if mail.username else "without a login"
                lost = mail.ca_file and not os.path.isfile(mail.ca_file)
                found.append({"need": "mail", "what": f"{mail.host}:{mail.port} ({mail.security}), "
                              f"{login}", "state": "missing" if lost else "there",
                              "words": f"there is no file [mail] ca_file = {mail.ca_file}" if lost
                              else "not contacted by a dry run"})
        if "dns" in self.job.sections:
            there = find_spec("dns") is not None
            found.append({"need": "package", "what": "dnspython", "state": "there" if there
                          else "missing", "words": "there" if there else "not installed: "
                          f"{sys.executable} -m pip install dnspython"})
        found += [_folder("state", core.state_dir, made=True), _folder("log", core.log_dir,
                                                                       made=True)]
        return [*found, *({"need": "files", "what": sentence.partition(": ")[0], "state": "missing",
                           "words": sentence.partition(": ")[2]}
                          for sentence in access.unusable(self.session.config))]

    def _options(self) -> dict:
        """{the job's own options: their values as they would be written}, no secret among them."""
        found = {}
        for name, option in self.job.options.items():
            written = self.session.config.written(self.job.name, name, option).text
            found[name] = option.kind.mask(written) if option.kind.mask else written
        return found

    def _can_be_copied(self) -> bool:
        try:
            copies.database_file(self.session.config.section("core").database,
                                 self.session.config.folder)
        except UsageError:                      # it is on a server
            return False
        return True

    def _typed(self, *more: str) -> str:
        limits = ["--limit", str(self.args.limit)] if self.args.limit else []
        sets = [word for value in self.args.set for word in ("--set", value)]
        return jobs("test", self.job.name, *more, *limits, *sets, config=self.config_path)


def _folder(need: str, path: str, made: bool) -> dict:
    """Whether a folder is there and ours to write in; `made`: a run makes it when it is missing."""
    there = os.path.isdir(path)
    usable = there and os.access(path, os.R_OK | os.W_OK | os.X_OK)
    state = "there" if usable else "made" if made and not there else "missing"
    said = {"there": "there", "made": "not there yet, a real run makes it",
            "missing": "there, but this user may not read and write in it" if there
            else "not there"}
    return {"need": need, "what": shown(path), "state": state, "words": said[state]}


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

