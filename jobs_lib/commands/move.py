"""Copy the whole database from SQLite to MySQL or MariaDB, count it and compare both sides.

Stop your app and pause the jobs first: nothing may write meanwhile, nor later to the old database.
The SQLite file is only read. The target has to be empty; a move that was interrupted goes on where
it was. config.ini is not changed: the last lines say what to do next.

Without --to it asks for the URL, or reads it from a line of stdin. The password alone is asked for
if the URL has a user and none. Nobody else sees either.
"""
from __future__ import annotations

import os

from jobs_lib import catalogue, clock, folders, shards
from jobs_lib.config.loader import Config
from jobs_lib.database.schema import is_name
from jobs_lib.errors import FAILED, OK, DatabaseError, JobsError, LockHeld, UsageError
from jobs_lib.runner.resources import Ports
from jobs_lib.text import counted

from ._arguments import SEEN, asked

SHOWN = 10                      # values that do not fit
NEXT = """
The copy is complete. config.ini still names the SQLite file. Next:
  jobs.py config set core.database   asks for the URL of the new database
  jobs.py doctor                     looks at it
  jobs.py resume all                 then start your app, with the new database"""
EXPRESSIONS = """
Before `doctor`: write the expressions of [columns] as MySQL has them, and run `jobs.py migrate`."""
AGAIN = ("If something else writes to either side, stop that. Then empty the target (or name "
         "another one) and move again: nothing in it is deleted here.")


def arguments(parser) -> None:
    """Declares --to, --whole-seconds, --dry-run, --json."""
    parser.add_argument("--to", metavar="URL", help="the target: mysql://user@host/name")
    parser.add_argument("--whole-seconds", action="store_true", help="cut off fractions of a "
                        "second, which the target's times do not have, and count them; else they "
                        "are refused")
    parser.add_argument("--dry-run", action="store_true", help="show what would be copied, change "
                        "nothing")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")


def run(args, make_session, config_path) -> int:
    """Copy, compare, say what is next."""
    from jobs_lib.database import dialects

    session = make_session(config_path)
    config = session.config
    if not dialects.file_of(config.section("core").database, config.folder):
        raise UsageError("move: [core] database is no SQLite file: a move goes from SQLite to "
                         "MySQL")
    url = _url(args.to, session)
    ports = Ports(Config(config.path, config.sources, {("core", "database"): url}))
    locks = None
    try:
        if not args.dry_run:
            locks = _held(session)
        return _Command(session, ports, url, args).run()
    finally:
        ports.close()
        if locks:
            locks.release()


def _url(given: str | None, session) -> str:
    """The target's URL, with its password; UsageError for what can be none."""
    from urllib.parse import quote

    from jobs_lib.config.option_types import database
    from jobs_lib.database import dialects
    from jobs_lib.database.dialects import urls

    url = (asked("--to") if given is None else given).strip()
    try:
        database.parse(url)
    except ValueError as error:
        raise UsageError(f"move --to: {error}") from None
    if dialects.file_of(url, "."):
        raise UsageError(f"move --to: expected {urls.FORM}")
    scheme, _, rest = url.partition("://")
    login, _, server = rest.rpartition("@")
    if ":" not in login:
        password = asked(f"password of {login}")
        return f"{scheme}://{login}:{quote(password, safe='')}@{server}" if password else url
    if given is not None and urls.server(url).password:
        session.console.fail(f"{SEEN} leave the password out of --to: it is asked for.")
    return url


def _held(session):
    """The locks of all jobs, and of `run-due`: no run begins while they are held."""
    from jobs_lib.runner.locks import FileLock, Locks, locks_for

    config = session.config
    core = config.section("core")
    names = [name for job in catalogue.load_all() for name in shards.names(job.name,
                                                                           config.shards(job))]
    taken: list = [FileLock(folders.own(core.state_dir), "run-due")]
    taken += [locks_for([name], core, session.ports.lock_database) for name in names]
    about = f"process {os.getpid()}: jobs.py move since {clock.text(session.ports.now())} UTC"
    for at, (name, lock) in enumerate(zip(["run-due", *names], taken)):
        try:
            lock.acquire(about)
        except LockHeld as held:
            Locks(taken[:at]).release()
            raise JobsError(f"move: {name} is at work ({held}): wait for its end, or `jobs.py stop "
                            f"{name}`") from None
    return Locks(taken)


class _Command:
    """One call: what it found, and how it is shown."""

    def __init__(self, session, ports, url: str, args) -> None:
        from jobs_lib.config.option_types import hide_password

        self.session, self.ports, self.args = session, ports, args
        self.console = session.console
        core = session.config.section("core")
        self.found: dict = {
            "from": core.database, "to": hide_password(url), "dry_run": args.dry_run,
            "finished": False, "tables": [], "not_copied": [], "misfits": [], "changed": [],
            "cut": 0}
        self.done = self.total = 0

    def run(self) -> int:
        """The exit code."""
        from jobs_lib.database import moving
        from jobs_lib.database.names import Names
        from jobs_lib.database.schema import version

        config = self.session.config
        named = self.session.ports.connect(readonly=True)
        version.check(named)
        if not self.args.dry_run:
            _need_pauses(config, named)
        source = self.session.ports.connect(readonly=True, columns={}, also=())
        target = self._target()
        if not (self.args.json or self.args.dry_run):
            self.console.say("Your app must be stopped until you have followed the last lines.")
        move = moving.Move(source, target, Names(columns=config.columns()),
                           self.args.whole_seconds)
        state = move.state()
        with source.snapshot():
            before = move.version()
            counts = {name: source.value(f"SELECT COUNT(*) FROM {{{name}}}")
                      for name in (*moving.order(), *moving.LAST) if source.columns(name)}
            self.total = sum(counts.values())
            self.found["not_copied"] = moving.others(source)
            if self.args.dry_run:
                return self._dry(counts, state)
            if not state.get("finished_at"):
                self._copy(moving, move, state)
            compared = [] if move.problems else move.compare(bool(state.get("finished_at")))
        if move.version() != before:
            self.found["changed"] = move.changed()
        return self._end(move, state, compared)

    def _target(self):
        """A connection to the target; what is wrong with it is said of --to."""
        try:
            return self.ports.connect(columns={}, readonly=self.args.dry_run)
        except DatabaseError as error:
            raise DatabaseError(f"move: {str(error).replace('[core] database', '--to')}") from None

    def _dry(self, counts: dict, state: dict) -> int:
        self.found["tables"] = [{"table": name, "rows": rows} for name, rows in counts.items()]
        if not self.args.json:
            begun = "finished already" if state.get("finished_at") else \
                "begun already, and would go on" if state else "to be made"
            self._show(f"dry run: nothing is changed. The copy in {self.found['to']} is {begun}.")
        return self._answer(OK)

    def _copy(self, moving, move, state: dict) -> None:
        """The tables of the target, then the rows that it does not have yet."""
        schema = self.session.ports.connect(readonly=True)
        # an expression is SQLite's own: what goes by it is made by the next `migrate`
        columns = {name: {ours: theirs for ours, theirs in renamed.items() if is_name(theirs)}
                   for name, renamed in self.session.config.columns().items()}
        target = self.ports.connect(columns=columns)
        moving.make_schema(schema, target, self.session.ports.now())
        if lacks := moving.gaps(move.source, move.target):
            more = f" and {len(lacks) - 3} more" if len(lacks) > 3 else ""
            raise JobsError(f"move: the target lacks {', '.join(lacks[:3])}{more}: let your app "
                            "make its tables there (without rows), then move again. Nothing was "
                            "copied")
        if not state:
            move.note()
        self.done = sum(move.target.value(f"SELECT COUNT(*) FROM {{{name}}}")
                        for name in moving.order() if move.source.columns(name))
        move.copy(state, self._tell)

    def _tell(self, rows: int) -> None:
        self.done += rows
        self.console.progress("move", self.done, self.total)

    def _end(self, move, state: dict, compared: list) -> int:
        """Finish what is copied and equal; else say what is wrong."""
        found, was_finished = self.found, bool(state.get("finished_at"))
        different = [each.table for each in compared if not each.equal]
        if not (move.problems or different or found["changed"] or was_finished):
            last = move.finish(clock.text(self.session.ports.now()))
            different = [each.table for each in last if not each.equal]
            compared = compared + last
        found.update(
            cut=move.cut, misfits=[each._asdict() for each in move.problems],
            finished=not (move.problems or different or found["changed"]),
            tables=[{"table": each.table, "rows": each.rows, "rows_there": each.target_rows,
                     "equal": each.equal} for each in compared])
        if self.args.json:
            return self._answer(OK if found["finished"] else FAILED)
        if compared:
            self._show()
        for words in self._problems(state, different):
            self.console.fail(words)
        if found["cut"]:
            self.console.report(f"{counted(found['cut'], 'time')} lost a fraction of a second.")
        if found["finished"]:
            self.console.report(NEXT + self._expressions())
        return OK if found["finished"] else FAILED

    def _expressions(self) -> str:
        """What else has to be done where [columns] has expressions."""
        is_other = any(not is_name(theirs) for renamed in self.session.config.columns().values()
                       for theirs in renamed.values())
        return EXPRESSIONS if is_other else ""

    def _problems(self, state: dict, different: list) -> list[str]:
        found, words = self.found, []
        if found["misfits"]:
            words.append(f"move: the target cannot hold {_values(found['misfits'])} of the SQLite "
                         "database. Correct that there, then move again: what is copied stays. "
                         "(With --whole-seconds, fractions of a second are cut off.)")
            words += [f"  {each['table']}, {each['key']}"
                      f"{', ' + each['column'] if each['column'] else ''}: {each['what']}"
                      for each in found["misfits"][:SHOWN]]
        if found["changed"]:
            words.append(f"move: something wrote to {', '.join(found['changed'])} of the SQLite "
                         f"database meanwhile. Stop your app. {AGAIN}")
        elif different and state.get("finished_at"):
            words.append(f"move: this move was finished at {state['finished_at']} UTC; since then "
                         f"{', '.join(different)} changed on one side. Nothing was copied again.")
        elif different:
            words.append(f"move: {', '.join(different)} differ: the SQLite database has changed "
                         f"since this move began, or something else writes to the target. {AGAIN}")
        return words

    def _show(self, words: str = "") -> None:
        from jobs_lib.output.tables import joined, padded

        rows = [[each["table"], f"{each['rows']:,}", *([_equal(each)] if "equal" in each else [])]
                for each in self.found["tables"]]
        heads = ["TABLE", "ROWS", "EQUAL"][:len(rows[0])]
        self.console.answer("\n".join(map(joined, padded([heads, *rows], "lrl"))))
        if self.found["not_copied"]:
            self.console.report(f"Not of the jobs, and not copied: "
                                f"{', '.join(self.found['not_copied'])}.")
        if words:
            self.console.report(words)

    def _answer(self, code: int) -> int:
        if self.args.json:
            self.console.document(self.found)
        return code


def _equal(table: dict) -> str:
    there = "" if table["rows"] == table["rows_there"] else f" ({table['rows_there']:,} there)"
    return "yes" if table["equal"] else f"NO{there}"


def _values(misfits: list) -> str:
    from jobs_lib.database.moving import MOST_PROBLEMS

    found = counted(len(misfits), "value")
    return found if len(misfits) < MOST_PROBLEMS else f"{found}, perhaps more,"


def _need_pauses(config, db) -> None:
    """JobsError unless all jobs are paused: they would go on with the old database afterwards."""
    paused = {row["job"] for row in db.query("SELECT job FROM {job_state} WHERE paused_at IS NOT "
                                             "NULL")}
    at_work = [job.name for job in catalogue.load_all()
               if config.job(job).enabled and job.name not in paused]
    if at_work:
        more = f" and {len(at_work) - 3} more" if len(at_work) > 3 else ""
        raise JobsError(f"move: {', '.join(at_work[:3])}{more} would go on with the old database: "
                        "run `jobs.py pause all`, stop your app, then move again. Nothing was "
                        "changed")

