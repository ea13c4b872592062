"""The words of SQLite 3.26 and later."""
from __future__ import annotations

import os

from jobs_lib.errors import Busy, DatabaseError, Duplicate, Missing, NotTaken, ReadOnly
from jobs_lib.folders import new_file, owner_words
from jobs_lib.records import namedtuple

from .base import Batches
from .urls import file as parse_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
else:
    # What `sqlite3` itself is made from: that adds what we do not use, and takes 0.6 ms more, a
    # fortieth of a run that finds nothing due.
    import _sqlite3 as sqlite3

name = "sqlite"
package = ""
Error = sqlite3.Error
# a transaction that will write holds the only write lock from its begin
for_update = ""
explain = "EXPLAIN QUERY PLAN "
transactional_ddl = True
adds_now = False                     # to a table with rows: a column that begins with the time
named_locks = False
table_options = ""
# One write lock for all: every writer waits for it.
batches = Batches(seconds=0.010, least=100, most=5_000, pause=0.005, share=1.0)
# keeps nobody waiting: done in the pause and not in a commit
before_batches = "PRAGMA wal_autocheckpoint = 0"
after_batch = "PRAGMA wal_checkpoint(PASSIVE)"

Target = namedtuple("Target", "path parameters timeout")
Changed = namedtuple("Changed", "rowcount")
Changed.__doc__ = "What is read of a cursor after an UPDATE or a DELETE."
HEARING_STEPS = 1_000_000        # of SQLite's machine: some 20 ms
MEMORY = ":memory:"
# descriptors that it may need at once: the file, its journal, their folder
NEEDED = 5
LEAST_WAIT = 0.05                    # seconds for another writer, however little time is left
# before that time is up: the error that it is busy is better than a kill
MARGIN = 0.5
# it knows RETURNING
RETURNS = tuple(map(int, sqlite3.sqlite_version.split("."))) >= (3, 35)
# prepared statements kept: with a list of ids, one takes 100 KB or more
CACHED = 12

types = {
    # like InnoDB, never gives a deleted row's id again
    "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "ref": "BIGINT", "int": "INTEGER", "big": "BIGINT", "flag": "TINYINT", "real": "DOUBLE",
    "word": "VARCHAR(64)", "hash": "VARCHAR(64)", "label": "VARCHAR(190)", "path": "VARCHAR(500)",
    "address": "VARCHAR(254)", "name": "VARCHAR(255)", "line": "VARCHAR(2000)",
    "text": "TEXT", "json": "TEXT", "blob": "BLOB",
    "date": "DATE", "time": "DATETIME", "now": "DATETIME",
}


def now_default(db) -> str:
    """What gives a row the present second in UTC when its writer does not."""
    return "DEFAULT CURRENT_TIMESTAMP"


# The connection

def parse(url: str, base: str, timeout: float) -> Target:
    """`sqlite:///relative.db` counts from `base`, `sqlite:////absolute.db` from the root.

    `?vfs=unix-dotfile` chooses another of SQLite's ways to lock, for a file system where the usual
    one fails.
    """
    path, parameters = parse_file(url)
    if path == MEMORY:
        return Target(MEMORY, "", timeout)
    return Target(os.path.join(os.path.abspath(base), path), parameters, timeout)


def connect(target: Target, readonly: bool, create: bool):
    """Open the file in autocommit; only `create` may make it."""
    if target.path == MEMORY:
        return _mark(sqlite3.connect(MEMORY, isolation_level=None, factory=_Connection),
                     target.timeout)
    if not os.path.exists(target.path):
        if readonly or not create:
            raise DatabaseError(f"no SQLite file {target.path}:"
                                " `jobs.py migrate` makes it, if the path is right")
        _create(target.path)
    quoted = target.path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    uri = f"file:{quoted}?mode={'ro' if readonly else 'rw'}&{target.parameters}".rstrip("&")
    if create and not readonly:
        _set_journal(uri, target.timeout)
    raw = _open_to_read(uri, target) if readonly else _open(uri, target.timeout)
    try:
        if readonly:
            raw.execute("PRAGMA query_only = ON")
            # a file that is not a database fails here, not later
            raw.execute("SELECT 1 FROM sqlite_master LIMIT 1")
            return raw
        # With WAL, NORMAL survives every end of a process; only a power cut can take back the
        # commits since the last checkpoint (the file stays whole), which for a queue means repeats,
        # never losses. FULL waits for the disk at each commit: 20 times as long on a fast disk,
        # more on a shared one. The classic journal can be left broken by a power cut under NORMAL,
        # so there it is FULL.
        # as most builds do anyway: what is deleted is overwritten
        raw.execute("PRAGMA secure_delete = ON")
        wal = raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        raw.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
    except BaseException:
        raw.close()
        raise
    return raw


def _create(path: str) -> None:
    """An empty file that only its owner can read; the -wal and -shm files take over its mode."""
    try:
        new_file(path).close()
    except FileExistsError:
        pass
    except OSError as error:
        raise DatabaseError(f"cannot make the SQLite file {path}: {error.strerror}") from None


class _Connection(sqlite3.Connection):
    wait = 0.0                       # seconds that it waits for another writer
    views: frozenset | None = None   # their names in lower case, once a statement changes rows


def _open(uri: str, timeout: float, factory=_Connection):
    return _mark(sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None,
                                 factory=factory, cached_statements=CACHED), timeout)


def _mark(raw, timeout: float):
    raw.wait = timeout
    raw.set_progress_handler(_hear, HEARING_STEPS)
    return raw


def _hear() -> int:
    """In a long statement: Python hears its signals and alarms before it does this."""
    return 0


class _Traceless(_Connection):
    """A read-only connection leaves the -wal and -shm files that it made, as it may not remove
    them. We do, by SQLite's own rules: the last connection that may write takes them along."""

    made_wal = ""                    # the URI to open for that, when there was no -wal file before

    def close(self) -> None:
        super().close()
        if self.made_wal:
            try:
                raw = _open(self.made_wal, 0)
                raw.execute("PRAGMA query_only = ON")
                raw.execute("SELECT 1 FROM sqlite_master LIMIT 1")
                raw.close()
            except sqlite3.Error:
                pass                 # a folder that we may only read: then nothing was made either


def _open_to_read(uri: str, target: Target):
    fresh = not os.path.exists(target.path + "-wal")
    raw = _open(uri, target.timeout, _Traceless)
    raw.made_wal = uri.replace("?mode=ro", "?mode=rw", 1) if fresh else ""
    return raw


def _set_journal(uri: str, timeout: float) -> None:
    """WAL lets readers and the one writer pass each other. It needs shared memory, which some
    network file systems lack; there the classic journal does. The mode stays in the file, so only
    `create` sets it."""
    raw = _open(uri, timeout)
    try:
        if raw.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
            raw.execute("BEGIN IMMEDIATE")               # the first that needs the shared memory
            raw.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "is locked" in str(error):
            return                                       # in use: it keeps the mode that it has
        raw.close()
        raw = _open(uri, timeout)
        raw.execute("PRAGMA locking_mode = EXCLUSIVE")   # one process alone needs no shared memory
        raw.execute("PRAGMA journal_mode = DELETE")
    finally:
        raw.close()


def within(target: Target, seconds: float) -> Target:
    return target._replace(timeout=_wait(target, seconds))


def limit(raw, target: Target, seconds: float | None) -> None:
    """Its wait for another writer hears no signal, so it is shortened when little time is left."""
    wait = _wait(target, seconds)
    if wait != raw.wait:
        raw.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
        raw.wait = wait


def _wait(target: Target, seconds: float | None) -> float:
    return target.timeout if seconds is None else min(target.timeout,
                                                      max(LEAST_WAIT, seconds - MARGIN))


def close(raw) -> None:
    raw.close()


def execute(raw, sql: str, values: dict):
    if sql.startswith(("UPDATE ", "DELETE ")):
        table = sql.partition('"')[2].partition('"')[0]
        if table.lower() in _views(raw):
            return _through_view(raw, sql, values)
    return raw.execute(sql, values)


def _views(raw) -> frozenset:
    if raw.views is None:
        raw.views = frozenset(name.lower() for name, in raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'view'"))
    return raw.views


def _through_view(raw, sql: str, values: dict) -> Changed:
    """SQLite counts no row that an INSTEAD OF trigger changes; and each statement of the trigger,
    and of the triggers behind it, in the total. So the rows are returned, where it can."""
    if RETURNS:
        return Changed(len(raw.execute(f"{sql} RETURNING 1", values).fetchall()))
    before = raw.total_changes
    raw.execute(sql, values)
    return Changed(raw.total_changes - before)


def stale(raw) -> bool:
    return False


def alive(raw) -> None:
    raw.execute("SELECT 1")


def in_transaction(raw) -> bool:
    return raw.in_transaction


def interrupt(raw, target) -> None:
    raw.interrupt()


def retry_lossy(raw, error: sqlite3.Error) -> bool:
    """Whether a SELECT may be tried again: text that is no UTF-8, as some apps store it, is read
    with marks after this.

    Not from the start, since the decoder in C is much faster than any function of ours.
    """
    if not str(error).startswith("Could not decode to UTF-8") or raw.text_factory is not str:
        return False
    raw.text_factory = lambda data: data.decode("utf-8", "replace")
    return True


# (a part of SQLite's text, what is raised, what it says). Python before 3.11 gives no error code.
SENTENCES = (
    ("is locked", Busy, "{path}: another process was writing for more than {wait:g} s"),
    ("UNIQUE constraint failed", Duplicate,
     "a row with this unique key is there already: {detail}"),
    ("constraint failed", NotTaken, "{path}: {text}"),
    ("readonly database", ReadOnly,
     "{path} cannot be written: {cause}"),
    ("no such table", Missing, "{path} has no table: {detail}: run `jobs.py migrate`"),
    ("no such column", Missing, "{path}: {text}: compare the table with docs/data-model.md"),
    (" has no column named ", Missing, "{path}: {text}: compare the table with docs/data-model.md"),
    ("not a database", DatabaseError, "{path} is not an SQLite database"),
    ("unable to open", DatabaseError, "cannot open {path}: {cause}"),
    ("", DatabaseError, "{path}: {text}"),
)


def translated(error: sqlite3.Error, target: Target) -> DatabaseError:
    """The driver's error in our words."""
    text = str(error)
    kind, sentence = next((kind, sentence) for part, kind, sentence in SENTENCES if part in text)
    cause = ""
    if "{cause}" in sentence:
        cause = _refused(target.path) or (
            "it is opened for reading, or is another user's" if kind is ReadOnly
            else _cause(target.path))
    return kind(sentence.format(path=target.path, wait=target.timeout, text=text, cause=cause,
                                detail=text.partition(": ")[2]))


def _refused(path: str) -> str:
    """Which of the database's files this user may not use, and what to do; "" for none."""
    for each in (path, f"{path}-wal", f"{path}-shm"):
        if os.path.isfile(each) and not os.access(each, os.R_OK | os.W_OK):
            return f"{each} cannot be used: {owner_words(each)}"
    return ""


def _cause(path: str) -> str:
    """Why the file cannot be opened, as the system says it: SQLite has the same text for all."""
    if os.path.isdir(path):
        return "it is a folder: name a file in [core] database"
    opened: list = []
    try:
        for _ in range(NEEDED):
            opened.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        pass
    except OSError as error:
        return error.strerror or str(error)
    finally:
        for each in opened:
            os.close(each)
    return "this user must be able to write to its folder"


# SQL

def begin(readonly: bool) -> str:
    """IMMEDIATE takes the write lock at once: who reads first may find it taken, and cannot wait
    any more."""
    return "BEGIN" if readonly else "BEGIN IMMEDIATE"


# BEGIN alone takes nothing yet: the first that is read fixes the moment.
snapshot = ("BEGIN", "SELECT 1 FROM sqlite_master LIMIT 1")


def snapshot_blocks_writers(raw) -> bool:
    """Without WAL nobody can commit while somebody reads."""
    return raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal"


def mark(value: str) -> str:
    return ":" + value


def literal(text: str) -> str:
    return text


def quote(identifier: str) -> str:
    return f'"{identifier}"'


def conflict(keys: list, updates: list) -> str:
    """What an INSERT does when its row is there already."""
    columns = ", ".join(map(quote, keys))
    return f"ON CONFLICT ({columns}) DO " + ("UPDATE SET " + ", ".join(updates) if updates
                                             else "NOTHING")


def drop_index(index: str, table: str) -> str:
    """The statement that drops an index."""
    return f"DROP INDEX {quote(index)}"


def excluded_value(column: str) -> str:
    """In such an update: the value that the INSERT brought."""
    return f"excluded.{quote(column)}"


def word(column: str) -> str:
    """What a column of type `word` takes: here anything but NULL."""
    return f"COALESCE({column}, '')"


def later(column: str, seconds: int) -> str:
    """The time so many seconds after the one in a column; NULL where that is none."""
    return f"DATETIME({column}, '+{seconds} seconds')"


def day(column: str) -> str:
    """The day in whose range a time lies: the last day before it where it is none, as the 31st of
    February or a day 0; NULL for what is no time at all. DATE() alone would say the 3rd of March,
    and take a number for a day."""
    first = f"SUBSTR({column}, 1, 8) || '01'"
    return (f"CASE WHEN DATE({column}) = SUBSTR({column}, 1, 10) THEN DATE({column}) ELSE "
            f"COALESCE(MIN(DATE(SUBSTR({column}, 1, 10)), DATE({first}, '+1 month', '-1 day')), "
            f"DATE(SUBSTR({column}, 1, 5) || MAX(SUBSTR({column}, 6, 2), '01') || '-01', '-1 "
            "day')) END")


tables = ("SELECT name, 1 AS folds FROM sqlite_master WHERE type IN ('table', 'view')"
          " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")
# table_info leaves out generated columns
columns = ("SELECT m.name AS table_name, c.name AS name "
               "FROM sqlite_master m, pragma_table_xinfo(m.name) c"
               " WHERE m.name COLLATE NOCASE IN (:names) AND m.type IN ('table', 'view')")
catalogue = ("SELECT m.name AS table_name, c.name AS name, LOWER(c.type) AS type, "
             "LOWER(c.type) AS whole, NULL AS longest, "
             "m.type = 'view' AS is_view, "
             # an index has the column's own collation, unless it says another
             "COALESCE((SELECT 'COLLATE ' || x.coll FROM pragma_index_list(m.name) l, "
             "pragma_index_xinfo(l.name) x WHERE x.seqno = 0 AND x.name = c.name), '') "
             "AS collation "
             "FROM sqlite_master m, pragma_table_xinfo(m.name) c"
             " WHERE m.name COLLATE NOCASE IN (:names) AND m.type IN ('table', 'view')")
# Foreign keys are enforced for those who ask for it, so nothing is done ON DELETE; and a view
# deletes nothing but by a trigger that says what.
foreign_keys = views = ""
any_type = True                      # a column takes values of any type
indexes = ("SELECT l.name AS name, i.name AS column_name, l.\"unique\" AS is_unique "
           "FROM pragma_index_list(:name) l,"
           " pragma_index_info(l.name) i ORDER BY l.name, i.seqno")
