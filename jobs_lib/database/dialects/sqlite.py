"""The words of SQLite 3.26 and later."""
from __future__ import annotations

import os

from jobs_lib.errors import Broken, Busy, DatabaseError, Duplicate, Missing, NotTaken, ReadOnly
from jobs_lib.folders import new_file, owner_words
from jobs_lib.records import namedtuple

from . import MIGRATE, TYPES, Batches, File

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
else:
    # what `sqlite3` is made from: 0.6 ms less, a fortieth of a run that finds nothing due
    import _sqlite3 as sqlite3

name = "sqlite"
Error = (sqlite3.Error,)
# a transaction that will write holds the only write lock from its begin
for_update = ""
transactional_ddl = True
any_type = True  # a column takes values of any type
named_locks = False
table_options = ""
# One write lock for all: a writer that waits looks again after 1, 2, 5, 10 ms.
batches = Batches(seconds=0.004, least=100, most=5_000, pause=0.005, share=1.0)
# keeps nobody waiting: done in the pause and not in a commit
before_batches = "PRAGMA wal_autocheckpoint = 0"
after_batch = "PRAGMA wal_checkpoint(PASSIVE)"

Changed = namedtuple("Changed", "rowcount")
Changed.__doc__ = "What is read of a cursor after an UPDATE or a DELETE."
HEARING_STEPS = 1_000_000  # of SQLite's machine: some 20 ms
LEAST_WAIT = 0.05  # seconds for another writer, however little time is left
# before that time is up: the error that it is busy is better than a kill
MARGIN = 0.5
# it knows RETURNING
RETURNS = tuple(map(int, sqlite3.sqlite_version.split("."))) >= (3, 35)
# prepared statements kept: with a list of ids, one takes 100 KB or more
CACHED = 12

types = {
    **TYPES, "text": "TEXT", "json": "TEXT", "blob": "BLOB",
    # like InnoDB, never gives a deleted row's id again
    "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
}
# the present second in UTC, of a row whose writer does not give it
now_default = "DEFAULT CURRENT_TIMESTAMP"


# The connection

class _Connection(sqlite3.Connection):
    wait = 0.0                       # seconds that it waits for another writer
    views: frozenset | None = None   # their names in lower case, once a statement changes rows


def connect(target: File, readonly: bool, create: bool, seconds: float | None = None):
    """Open the file in autocommit; only `create` may make it. It waits no longer than so many
    seconds for another writer."""
    path, wait = target.path, _wait(target, seconds)
    if not os.path.exists(path):
        if readonly or not create:
            raise Missing(f"no SQLite file {path}")
        try:  # noqa: SIM105  contextlib is not loaded otherwise
            new_file(path).close()  # private, and so will be -wal and -shm
        except FileExistsError:
            pass
    uri = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    if create and not readonly:
        _set_journal(f"{uri}?mode=rw", wait)
    # Opened so, the last one takes the -wal with it that it made; but it also empties one that a
    # killed writer left, which a dry run must not.
    mode = "ro" if readonly and os.path.exists(f"{path}-wal") else "rw"
    raw = _open(f"{uri}?mode={mode}", wait)
    try:
        _prepare(raw, readonly)
    except BaseException:
        raw.close()
        raise
    return raw


def _open(uri: str, timeout: float):
    raw = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None,
                          factory=_Connection, cached_statements=CACHED)
    raw.wait = timeout
    # some apps store text that is no UTF-8: it is read with marks
    raw.text_factory = lambda octets: octets.decode("utf-8", "replace")
    # in a long statement: Python hears its signals and alarms before it calls this
    raw.set_progress_handler(lambda: 0, HEARING_STEPS)
    return raw


def _prepare(raw, readonly: bool) -> None:
    # a file that is not a database fails here, not later
    wal = raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    if readonly:
        raw.execute("PRAGMA query_only = ON")
        return
    # as most builds do anyway: what is deleted is overwritten
    raw.execute("PRAGMA secure_delete = ON")
    # With WAL, NORMAL survives every end of a process; only a power cut can take back the commits
    # since the last checkpoint, which for a queue means repeats, never losses. FULL takes 20 times
    # as long; but the classic journal can be left broken by a power cut under NORMAL.
    raw.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")


def _set_journal(uri: str, timeout: float) -> None:
    """WAL lets readers and the one writer pass each other. It needs shared memory, which some
    network file systems lack; there the classic journal does. The mode stays in the file."""
    raw = _open(uri, timeout)
    try:
        if raw.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
            raw.execute("BEGIN IMMEDIATE")  # the first that needs the shared memory
            raw.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "is locked" in str(error):
            return  # in use: it keeps the mode that it has
        raw.close()
        raw = _open(uri, timeout)
        raw.execute("PRAGMA locking_mode = EXCLUSIVE")  # one process alone needs no shared memory
        raw.execute("PRAGMA journal_mode = DELETE")
    finally:
        raw.close()


def is_open(raw) -> bool:
    """Whether it can be used: a file always."""
    return True


def limit(raw, target: File, seconds: float | None) -> None:
    """Its wait for another writer hears no signal, so it ends with the time that is left."""
    wait = _wait(target, seconds)
    if wait != raw.wait:
        raw.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
        raw.wait = wait


def _wait(target: File, seconds: float | None) -> float:
    if seconds is None:
        return target.timeout
    return min(target.timeout, max(LEAST_WAIT, seconds - MARGIN))


def execute(raw, sql: str, values: dict):
    """SQLite counts no row that an INSTEAD OF trigger changes; and each statement of the trigger,
    and of the triggers behind it, in the total. So the rows are returned, where it can."""
    table = sql.partition('"')[2].partition('"')[0]
    if not sql.startswith(("UPDATE ", "DELETE ")) or not _is_view(raw, table):
        return raw.execute(sql, values)
    if RETURNS:
        return Changed(len(raw.execute(f"{sql} RETURNING 1", values).fetchall()))
    before = raw.total_changes
    raw.execute(sql, values)
    return Changed(raw.total_changes - before)


def _is_view(raw, table: str) -> bool:
    if raw.views is None:
        raw.views = frozenset(name.lower() for name, in raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'view'"))
    return table.lower() in raw.views


def in_transaction(raw) -> bool:
    return raw.in_transaction


def interrupt(raw, target) -> None:
    raw.interrupt()


# {a part of its text: what to do then}
BROKEN = {**dict.fromkeys(("malformed", "not a database"),
                          "it is damaged, or it is not the database: restore your backup"),
          "disk is full": "make room on its disk, or in your quota",
          "disk I/O error": "its disk is full or failing: make room, or ask your host"}
# {a part of SQLite's text: what is raised}. Python before 3.11 gives no error code.
KINDS = {
    "is locked": Busy, "UNIQUE constraint failed": Duplicate, "constraint failed": NotTaken,
    "readonly database": ReadOnly, "no such table": Missing, "no such column": Missing,
    " has no column named ": Missing, **dict.fromkeys(BROKEN, Broken),
}


def translated(error: sqlite3.Error, target: File) -> DatabaseError:
    """The driver's error in our words."""
    text = str(error)
    kind = next((kind for part, kind in KINDS.items() if part in text), DatabaseError)
    if kind is Busy:
        text = f"another process was writing for more than {target.timeout:g} s"
    elif kind is Missing:
        text += MIGRATE
    elif kind is ReadOnly or "unable to open" in text:
        text += f": {_cause(target.path)}"
    elif kind is Broken:
        text += f": {next(words for part, words in BROKEN.items() if part in text)}"
    return kind(f"the database {target.path}: {text}")


def _cause(path: str) -> str:
    """Why a file cannot be used: SQLite has one text for all."""
    for each in (path, f"{path}-wal", f"{path}-shm"):
        if os.path.isfile(each) and not os.access(each, os.R_OK | os.W_OK):
            return f"{each} cannot be used: {owner_words(each)}"
    try:
        open(path, "rb").close()
    except OSError as error:
        return error.strerror or str(error)
    return "this user cannot write to its folder, or no more files can be opened"


# SQL

# IMMEDIATE takes the write lock at once: who reads first may find it taken, and cannot wait any
# more. BEGIN alone takes nothing yet: the first that is read fixes the moment.
begin = "BEGIN IMMEDIATE"
snapshot = ("BEGIN", "SELECT 1 FROM sqlite_master LIMIT 1")
# without WAL nobody can commit while somebody reads
blocks_writers = "SELECT journal_mode <> 'wal' FROM pragma_journal_mode"


def conflict(keys: list, updates: list) -> str:
    """What an INSERT does when its row is there already."""
    columns = ", ".join(map(quote, keys))
    return f"ON CONFLICT ({columns}) DO " + ("UPDATE SET " + ", ".join(updates) if updates
                                             else "NOTHING")


# Templates: they are called with what belongs into them.
literal = str
mark = ":{}".format
quote = '"{}"'.format
excluded_value = 'excluded."{}"'.format
word = "COALESCE({}, '')".format
later = "DATETIME({}, '+{} seconds')".format
# DATE() alone would say the 3rd of March for the 31st of February, and take a number for a day.
day = ("CASE WHEN DATE({0}) = SUBSTR({0}, 1, 10) THEN DATE({0}) ELSE COALESCE("
       "MIN(DATE(SUBSTR({0}, 1, 10)), DATE(SUBSTR({0}, 1, 8) || '01', '+1 month', '-1 day')), "
       "DATE(SUBSTR({0}, 1, 5) || MAX(SUBSTR({0}, 6, 2), '01') || '-01', '-1 day')) END").format

tables = ("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
          " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")
# An index has the column's own collation, unless it says another. table_info leaves out generated
# columns.
catalogue = ("SELECT m.name AS table_name, c.name AS name, LOWER(c.type) AS type, "
             "LOWER(c.type) AS whole, NULL AS longest, "
             "m.type = 'view' AS is_view, "
             "COALESCE((SELECT 'COLLATE ' || x.coll FROM pragma_index_list(m.name) l, "
             "pragma_index_xinfo(l.name) x WHERE x.seqno = 0 AND x.name = c.name), '') "
             "AS collation "
             "FROM sqlite_master m, pragma_table_xinfo(m.name) c"
             " WHERE m.name COLLATE NOCASE IN (:names) AND m.type IN ('table', 'view')")
# Foreign keys are enforced for those who ask for it, so nothing is done ON DELETE; and a view
# deletes nothing but by a trigger that says what.
foreign_keys = views = ""
indexes = ("SELECT l.name AS name, i.name AS column_name, l.\"unique\" AS is_unique "
           "FROM pragma_index_list(:name) l,"
           " pragma_index_info(l.name) i ORDER BY l.name, i.seqno")
