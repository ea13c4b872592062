"""The only door from the tests to the inside of the product: whatever they use of it has its place
here, so that a change of the inside changes this file.

    from tests.support.product import Result        loaded from where it is, when it is asked for

A test speaks the command line, tables, files and what arrives at a server; this is for what stands
between them: the clock, the ends of the ports, and points at which a process can be struck.
"""
from __future__ import annotations

import importlib
import pkgutil
from contextlib import contextmanager
from types import SimpleNamespace

# What tests use beside the functions below: {module: its names}; a dot, or none: the module itself.
INSIDE = {
    "catalogue": "declare .", "clock": "", "jobs": "", "text.addresses": "", "text.masking": "",
    "records": "dumps loads namedtuple", "schedule": "zone .", "cli.arguments": "dispatch",
    "cli.main": "leave main", "commands.run_due": "", "config": "load",
    "config.option_types": "Option .",
    "config.settings": "PAUSE_PATTERNS", "database.connection": "Database Transaction connect",
    "database.dialects": "", "database.dialects.mysql": "", "database.schema": "NAMES",
    "database.schema.app_tables": "", "database.schema.ddl": "", "database.schema.fit": "",
    "database.schema.migrate": "migrate plan", "database.schema.keys": "",
    "database.schema.tables": "NO_DEFAULT references table tables",
    "database.schema.version": "SCHEMA_VERSION check found",
    "database.statement": "Statement bindable", "demo.service": "fill", "engines.relay": "",
    "errors": "Busy ConfigError Conflict DatabaseError Duplicate JobsError Lost ReadOnly Stopped "
              "UsageError",
    "features.archives": "open_store", "features.exports.writer": "KINDS",
    "features.forwards.srs": "SrsError forward reverse", "features.notifications": "SAMPLES",
    "text.mustache": "render",
    "features.thresholds": ".", "folders": "mark_folder .",
    "monitoring.incidents": "", "monitoring.overview": "", "output.console": "Console",
    "ports.http": "ANSWERED FAILED NOT_PUBLIC OURS Request Response UNSENDABLE",
    "ports.http.client": "Poster", "ports.http.public_addresses": "NETWORKS_4 is_in is_public .",
    "ports.http.url": "described parse",
    "ports.mail": "Envelope IN_MEMORY Message Result",
    "ports.mail.content": "Content .",
    "ports.mail.replies": "speaks_of", "ports.mail.session": "LIMITS is_loopback .",
    "ports.storage": "ArchiveError FolderStore place_of", "ports.storage.ftps": "",
    "ports.resolver": "Resolver",
    "ports.outcomes": "Answer FINAL FOUND LOST NODATA NXDOMAIN RELAY RETRY SENT UNCERTAIN "
                      "UNKNOWN UNREADABLE",
    "runner.locks": "", "runner.log": "Log", "runner.runner": "",
    "runner.resources": "Ports Session"}


LOCK_SECONDS = 5.0          # that a run waits for another's lock


def __getattr__(name: str):
    """A name of the INSIDE."""
    for module, names in INSIDE.items():
        is_module = name == module.rpartition(".")[2] and "." in (names or ".")
        if is_module or name in names.split():
            found = importlib.import_module(f"jobs_lib.{module}")
            return found if is_module else getattr(found, name)
    raise AttributeError(name)


def letter(kind: str, app_url: str, changes: dict):
    """The sample notice that `preview` shows, with these of its values changed."""
    from jobs_lib.features.notifications import SAMPLES, render
    sections = {"core": SimpleNamespace(app_url=app_url), "personas": SimpleNamespace(
        **dict.fromkeys(("porter", "overflow", "security", "postmaster"), "Porter <p@x.example>"))}
    return render.compose(SimpleNamespace(section=sections.get), kind,
                          {"name": "Jane", **SAMPLES[kind], **changes})


def install(folder) -> None:
    """What `jobs.py migrate` does in that folder."""
    from jobs_lib.commands import migrate
    from jobs_lib.config import load
    from jobs_lib.runner.resources import Ports, Session

    settings = load(None, beside=str(folder), environ={})
    *_, db = migrate.install(Session(settings, Ports(settings), console=None))
    db.close()


def load_all(workers: bool = False) -> None:
    """Load every module of the product, those for workers only if so asked."""
    import jobs_lib
    for _, name, _ in pkgutil.walk_packages(jobs_lib.__path__, "jobs_lib."):
        if workers or not name.startswith("jobs_lib.workers"):
            importlib.import_module(name)
    importlib.import_module("jobs_lib.catalogue").usable()


def live_in(clock, outside, connecting, timeout: float) -> None:
    """From now on this process is on that clock and in that world: `outside` has the ends of the
    ports, `connecting` is called before each connection to the database."""
    from jobs_lib import clock as clocks
    from jobs_lib.features.webhooks import dispatcher
    from jobs_lib.runner import resources

    clocks.now = clock.now
    resources.time = SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    dispatcher.threading = SimpleNamespace(Thread=_AtOnce)
    connect = resources.Ports.connect

    def connected(ports, **how):
        connecting()
        return connect(ports, **{"timeout": timeout, **how})
    resources.Ports.connect = connected
    resources.Ports.mail = lambda _, section, step=None: outside.mail
    resources.Ports.http = lambda _, section: outside.http
    resources.Ports.dns = lambda _, section: outside.dns
    if timeout < 1:
        _wait_by(clock)


def _wait_by(clock) -> None:
    """A lock of another's is waited for on that clock alone: for as long as on a host."""
    from jobs_lib.database.connection import Database
    from jobs_lib.database.dialects import mysql
    from jobs_lib.errors import Busy, Conflict

    run, connect = Database._run, mysql.connect

    def waited(self, *given, **named):
        try:
            return run(self, *given, **named)
        except (Busy, Conflict):
            clock.sleep(LOCK_SECONDS)
            raise

    def connected(*given):
        raw = connect(*given)
        with raw.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1/*M! - 1*/")
        return raw
    Database._run, mysql.connect = waited, connected


@contextmanager
def known_rules():
    """Within it, a job that never ran before has run with retentions of no length: none of its own
    counts as shorter than last time."""
    from jobs_lib.runner import doubt
    look = doubt.look

    def known(db, config, job, *args, **named):
        found = look(db, config, job, *args, **named)
        options = dict.fromkeys((*job.options, "store"), 0)
        return found._replace(memory={"options": options, **found.memory})
    doubt.look = known
    try:
        yield
    finally:
        doubt.look = look


class OneByOne:
    """A resolver of a test: `each`, by one `look_up(name, kind)` after the other."""

    def each(self, items, stopped):
        for item, questions in items:
            if stopped():
                return
            try:
                answers = {question: self.look_up(*question) for question in questions}
            except Exception as error:      # noqa: BLE001  a defect, of this item alone
                yield item, error
            else:
                yield item, answers


class _AtOnce:
    """A thread that does its work when it is started: the order of requests is always the same."""

    def __init__(self, target, args, daemon) -> None:
        self._work = lambda: target(*args)

    def start(self) -> None:
        self._work()


def replace_statements(act) -> None:
    """Have `act(send, sql, values)` called in place of each statement of this process, COMMIT
    included; `send(sql, values)` is the statement itself."""
    from jobs_lib.database.connection import Database
    run = Database._run
    Database._run = lambda self, sql, values, *args, **named: act(
        lambda *sent: run(self, *sent, *args, **named), sql, values)


def around_statements(look) -> None:
    """Have `look(sql, values, side)` called just before (0) and just after (1) each statement."""
    def act(send, sql, values):
        look(sql, values, 0)
        result = send(sql, values)
        look(sql, values, 1)
        return result
    replace_statements(act)


def begins(sql: str, values: dict, side: int) -> str:
    """The job whose run begins with this statement, which has stored its row in `job_runs`; else
    an empty text."""
    return values.get("job", "") if side == 1 and sql.startswith("INSERT INTO {job_runs}") else ""


def change_statements(change) -> None:
    """Have `change(sql, values)` say what is sent in place of each statement."""
    replace_statements(lambda send, *statement: send(*change(*statement)))


def split_transactions(is_meant) -> None:
    """Store what a transaction has done after each such statement."""
    begin: list[str] = []

    def act(send, sql, values):
        result = send(sql, values)
        if sql.startswith(("BEGIN", "START TRANSACTION")):
            begin[:] = [sql]
        elif sql in ("COMMIT", "ROLLBACK"):
            begin.clear()
        elif begin and is_meant(sql):
            for between in ("COMMIT", *begin):
                send(between, {})
        return result
    replace_statements(act)


def change_exit_codes(change) -> None:
    """Have `change(code)` say what each command ends with."""
    from jobs_lib.cli import main as product
    run = product.main
    product.main = lambda words: change(run(words))
