"""The words of MariaDB 10.3 and MySQL 5.7 and later, spoken by PyMySQL."""
from __future__ import annotations

import os
import select
import socket

from jobs_lib.errors import (
    Busy,
    Conflict,
    DatabaseError,
    Duplicate,
    Lost,
    Missing,
    NotGranted,
    NotInstalled,
    NotTaken,
    ReadOnly,
)
from jobs_lib.folders import way_to
from jobs_lib.records import namedtuple

from .base import Batches

try:
    import pymysql
except ImportError:
    raise NotInstalled("a mysql:// database needs PyMySQL, which is not installed: "
                       + way_to("PyMySQL", "mysql")) from None
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from .mysql_sign_in import sign_in
from .urls import server as parse_server

name = "mysql"
package = "PyMySQL"
Error = pymysql.MySQLError
for_update = " FOR UPDATE"
explain = "EXPLAIN "
transactional_ddl = False
adds_now = True                      # to a table with rows: a column that begins with the time
named_locks = True                   # GET_LOCK
table_options = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
# Row locks: few writers meet them. In short batches InnoDB cleans up while they run. `least`, so
# that a commit which is slow by itself is not taken for too many rows.
batches = Batches(seconds=0.030, least=500, most=20_000, pause=0.001, share=0.03)
before_batches = ""
after_batch = ""

Target = namedtuple("Target", "user password host port socket ca tls database timeout connect")
LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Where a server on the same machine listens, if `localhost` is all that the URL says: as the C
# client, we prefer the socket, since many hosts grant `user@localhost` only and listen on no port.
# Never one in a folder where anybody may make one.
SOCKETS = ("/var/lib/mysql/mysql.sock", "/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock")

# exact and short: fits any index, compares byte by byte
_KEY = "CHARACTER SET ascii COLLATE ascii_bin"
types = {
    "id": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    "ref": "BIGINT", "int": "INT", "big": "BIGINT", "flag": "TINYINT", "real": "DOUBLE",
    "word": f"VARCHAR(64) {_KEY}", "hash": f"VARCHAR(64) {_KEY}", "label": f"VARCHAR(190) {_KEY}",
    "path": f"VARCHAR(500) {_KEY}",
    "address": "VARCHAR(254)", "name": "VARCHAR(255)", "line": "VARCHAR(2000)",
    "text": "MEDIUMTEXT", "json": "MEDIUMTEXT", "blob": "MEDIUMBLOB",
    "date": "DATE", "time": "DATETIME", "now": "DATETIME",
}

MODE = ("STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
        "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
        "PIPES_AS_CONCAT")                           # `||` joins text, as in SQLite
# What else a server's defaults, or its init_connect, may change in what a statement means. The time
# limit of one statement has another name on each; a comment hides it from the other. A text of ours
# that has the collation `_bin` can be compared with one of any other, as in a view of the app's.
MEANING = ("autocommit = 1, completion_type = 0, time_zone = '+00:00', character_set_client = "
           "utf8mb4, character_set_results = utf8mb4, character_set_connection = utf8mb4, "
           "collation_connection = utf8mb4_bin, sql_safe_updates = 0, "
           "sql_select_limit = 18446744073709551615, sql_big_selects = 1, "
           "sql_auto_is_null = 0, foreign_key_checks = 1, unique_checks = 1/*!50708 , "
           "max_execution_time = 0 *//*M!100101 , max_statement_time = 0 */")
CONNECT_SECONDS = 10.0
KILL_SECONDS = 2.0           # to sign in only to end our own statement
# for an answer, where no run with a limit of its own waits: a server may be frozen
READ_SECONDS = 300.0
LEAST_SECONDS = 0.5          # however little time is left
LATER_SECONDS = 1.0          # after that time: the alarm of the run comes first
# then the server ends a connection, and frees the rows of a host that vanished
IDLE_SECONDS = 900
SCHEMA_WAIT_SECONDS = 30     # for an ALTER to end, or to begin; the server's default is a day


def now_default(db) -> str:
    """What gives a row the present second in UTC when its writer does not.

    CURRENT_TIMESTAMP would be in the writer's own time zone. MySQL before 8.0.13 takes no other:
    there the writer must give the time, which is better than to store a wrong one.
    """
    version = db.value("SELECT VERSION()")
    numbers = tuple(int(number) for number in version.partition("-")[0].split(".")[:3])
    known = "mariadb" in version.lower() or numbers >= (8, 0, 13)
    return "DEFAULT (UTC_TIMESTAMP())" if known else ""


# The connection

def parse(url: str, base: str, timeout: float) -> Target:
    """`mysql://user:password@host:3306/name`; a password may hold `@`, `/` and `:` as they are.

    After it `?unix_socket=/path`, or `?ssl_ca=/path` and `?tls=`: verify (the server's certificate
    and its name, by that CA or the system's), ca (by that CA, whatever its name), on (encrypted,
    nothing verified) or off. Elsewhere than on this machine, and with a CA, it is verify unless
    set otherwise; here it is off.
    """
    found = parse_server(url)
    host, path, ca, tls = found.host or "localhost", found.socket, found.ca, found.tls
    if host == "localhost" and not (path or found.port or ca or tls):
        path = next((each for each in SOCKETS if os.path.exists(each)), "")
    if path:
        ca, tls = "", "off"
    elif not tls:
        tls = "off" if host in LOOPBACK and not ca else "verify"
    return Target(found.user, found.password, host, found.port or 3306, path or None, ca or None,
                  tls, found.database, timeout, CONNECT_SECONDS)


def connect(target: Target, readonly: bool, create: bool):
    """A connection in autocommit with our settings, whatever the server's own are."""
    raw = sign_in(target, target.connect, _CONVERT)
    wait = max(1, int(target.timeout))
    with raw.cursor() as cursor:
        cursor.execute(f"SET SESSION sql_mode = '{MODE}', innodb_lock_wait_timeout = {wait},"
                       f" lock_wait_timeout = {SCHEMA_WAIT_SECONDS}, wait_timeout = "
                       f"{IDLE_SECONDS}, {MEANING}")
        # READ COMMITTED: a batch locks the rows that it deletes, not the gaps between, where others
        # insert.
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ "
                       + ("ONLY" if readonly else "WRITE"))
    return raw


def within(target: Target, seconds: float) -> Target:
    return target._replace(connect=min(target.connect, max(LEAST_SECONDS, seconds)))


def limit(raw, target: Target, seconds: float | None) -> None:
    """PyMySQL looks at these before each read and write."""
    wait = READ_SECONDS if seconds is None else max(LEAST_SECONDS, seconds + LATER_SECONDS)
    raw._read_timeout = raw._write_timeout = wait


def close(raw) -> None:
    raw.close()


def execute(raw, sql: str, values: dict):
    cursor = raw.cursor()
    cursor.execute(sql, values)
    return cursor


def stale(raw) -> bool:
    """Whether the server ended the idle connection: there is something to read that nobody asked
    for."""
    if raw._sock is None or not select.select([raw._sock], [], [], 0)[0]:
        return False
    try:
        raw.ping(reconnect=False)
    except Error:
        return True
    return False


def alive(raw) -> None:
    raw.ping(reconnect=False)


def in_transaction(raw) -> bool:
    return raw.open


def interrupt(raw, target) -> None:
    """KILL, by a second connection: a server ends, and commits, a statement whose client is
    gone."""
    other = sign_in(target, KILL_SECONDS, _CONVERT)
    try:
        other.query(f"KILL {raw.thread_id()}")
    finally:
        other.close()


# What comes back: times stay text, as SQLite has them; a SUM() of whole numbers is a whole number
# again.

def _number(text: str):
    return float(text) if "." in text else int(text)


_TIMES = (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATE, FIELD_TYPE.TIME)
_CONVERT = {kind: convert for kind, convert in conversions.items() if kind not in _TIMES}
_CONVERT[FIELD_TYPE.DECIMAL] = _CONVERT[FIELD_TYPE.NEWDECIMAL] = _number


# Errors. Codes: https://mariadb.com/kb/en/mariadb-error-codes/ and MySQL's errmsg.

UNSENT = (0, 2006)                       # found dead before anything was sent
# shutdown, killed, lost while waiting, ended for being idle
LOST = (1053, 1927, 2013, 2055, 4031)
UNREACHABLE = (2002, 2003)
# their text quotes what was stored or sent: personal data
WITH_VALUES = (1064, 1292, 1366, 1411, 1525)
NO_ACCESS = (DatabaseError, ("the database server {where} refuses the user {user!r}: wrong name or "
             "password in [core] database, or no access from this host"))
NO_CONNECTION = (Busy, "the database server {where} has no connection left for us ({code})")
READ_ONLY = (ReadOnly, ("the database {database} cannot be written: it is opened for reading "
             "({code})"))
OTHER = (DatabaseError, "database {database}: {text} ({code})")
# code: (what is raised, what it says); `text` is the server's own
SENTENCES = {
    1020: (Conflict, "another transaction changed a row that we had read ({code})"),
    1205: (Conflict, "another transaction held rows that we need for too long ({code})"),
    1213: (Conflict, "another transaction and ours waited for each other ({code})"),
    1317: (Conflict, "the database server ended a statement of ours ({code})"),
    1969: (Conflict, "a statement took longer than the database server allows ({code})"),
    3024: (Conflict, "a statement took longer than the database server allows ({code})"),
    1062: (Duplicate, "a row with this unique key is there already: {key}"),
    1146: (Missing, "{text}: run `jobs.py migrate`"),
    1054: (Missing, "{text}: compare the table with docs/data-model.md"),
    1451: (DatabaseError, ("a foreign key keeps these rows: {reference}. Nothing of this batch was "
           "deleted: give it ON DELETE SET NULL (or CASCADE, where its own rows are to be deleted, "
           "too), or switch this job off")),
    1045: NO_ACCESS, 1698: NO_ACCESS,
    1049: (DatabaseError, "the database server {where} has no database {named!r}"),
    1044: (DatabaseError, ("the user {user!r} may not use the database {named!r}: give it "
                           "access at the host")),
    **dict.fromkeys((1142, 1143), (
        NotGranted, "{text}: GRANT that to the user of [core] database ({code})")),
    1130: (DatabaseError, "the database server {where} accepts no connection from this host"),
    1040: NO_CONNECTION, 1203: NO_CONNECTION, 1226: NO_CONNECTION,
    1290: READ_ONLY, 1792: READ_ONLY, 1836: READ_ONLY,
    # NULL, a number, a time, a text, a CHECK
    **dict.fromkeys((1048, 1264, 1265, 1292, 1364, 1366, 1406, 3819, 4025),
                    (NotTaken, OTHER[1])),
}


def retry_lossy(raw, error: pymysql.MySQLError) -> bool:
    """Nothing: text is read with marks from the start (mysql_sign_in.py)."""
    return False


def translated(error: pymysql.MySQLError, target: Target) -> DatabaseError:
    """The driver's error in our words; never with a password, or with a value of a row."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[-1]) if error.args else ""
    if code in UNSENT:
        return Lost("the connection to the database server is gone", sent=False)
    if code in LOST or code is None:     # PyMySQL gives no code when the answers are out of step
        return Lost("the connection to the database server was lost")
    if code in UNREACHABLE:
        return _unreachable(getattr(error, "original_exception", None), target)
    if code in WITH_VALUES:
        text = text.partition("'")[0].strip() + " ..." + _column(text)
    kind, sentence = SENTENCES.get(code, OTHER)
    return kind(sentence.format(
        code=code, text=text, user=target.user, database=target.database,
        named=text.rpartition(" database '")[2].rstrip("'") or target.database,
        where=target.socket or f"{target.host}:{target.port}", key=text.rpartition("for key ")[2],
        reference=text.partition("(")[2].rstrip(")")))


def _column(text: str) -> str:
    """The column that a text with a value names at its end; "" where it names none."""
    import re
    named = re.search(r" for column [`'][\w`.]+[`'] at row \d+$", text)
    return named[0] if named else ""


def _unreachable(cause, target: Target) -> DatabaseError:
    if target.socket:
        return DatabaseError(f"no database server listens on the socket {target.socket}")
    if isinstance(cause, socket.gaierror):
        return DatabaseError(f"unknown host {target.host!r} in [core] database")
    why = "does not answer" if isinstance(cause, socket.timeout) else f"cannot be reached ({cause})"
    return DatabaseError(f"the database server {target.host}:{target.port} {why}")


# SQL

def begin(readonly: bool) -> str:
    return "START TRANSACTION"


# For this one transaction: under READ COMMITTED each statement would see a moment of its own.
snapshot = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT")


def snapshot_blocks_writers(raw) -> bool:
    """InnoDB keeps what a reader still sees beside what is new."""
    return False


def mark(value: str) -> str:
    return f"%({value})s"


def literal(text: str) -> str:
    return text.replace("%", "%%")


def quote(identifier: str) -> str:
    return f"`{identifier}`"

def conflict(keys: list, updates: list) -> str:
    """What an INSERT does when its row is there already."""
    return "ON DUPLICATE KEY UPDATE " + ", ".join(updates
                                                  or [f"{quote(keys[0])} = {quote(keys[0])}"])


def drop_index(index: str, table: str) -> str:
    """The statement that drops an index."""
    return f"DROP INDEX {quote(index)} ON {quote(table)}"


def excluded_value(column: str) -> str:
    """In such an update: the value that the INSERT brought."""
    return f"VALUES({quote(column)})"


def word(column: str) -> str:
    """Text as a column of type `word` takes it: 64 characters of it, '' for NULL, '?' for
    characters of several octets. Nothing is converted here: an ASCII column may hold any octet, and
    converting that is an error."""
    return (f"CASE WHEN {column} IS NULL THEN '' WHEN LENGTH({column}) = CHAR_LENGTH({column})"
            f" THEN LEFT({column}, 64) ELSE '?' END")


def later(column: str, seconds: int) -> str:
    """The time so many seconds after the one in a column; NULL where that is none."""
    return f"({column} + INTERVAL {seconds} SECOND)"


def day(column: str) -> str:
    """The day in whose range a time lies: the last day before it where it is none, as the 31st
    of February or a day 0 that MySQL keeps for an app that lets it; NULL for what is no time at
    all."""
    return (f"COALESCE(LEAST(DATE({column}), LAST_DAY({column})), MAKEDATE(YEAR({column}), 1)"
            f" + INTERVAL GREATEST(MONTH({column}), 1) - 1 MONTH - INTERVAL 1 DAY)")


# `folds`: the server stores the names of tables in lower case, or compares them so
tables = ("SELECT table_name AS name, @@lower_case_table_names > 0 AS folds, engine AS engine"
          " FROM information_schema.tables WHERE table_schema = DATABASE()")
columns = ("SELECT table_name AS table_name, column_name AS name "
               "FROM information_schema.columns"
               " WHERE table_schema = DATABASE() AND table_name IN (:names)")
catalogue = ("SELECT c.table_name AS table_name, c.column_name AS name, LOWER(c.data_type) AS type,"
             " c.column_type AS whole, c.character_maximum_length AS longest,"
             " CASE WHEN c.collation_name IS NULL THEN ''"
             " ELSE CONCAT('CHARACTER SET ', c.character_set_name, ' COLLATE ', c.collation_name)"
             " END AS collation, t.table_type LIKE '%VIEW%' AS is_view"
             " FROM information_schema.columns c JOIN information_schema.tables t"
             " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
             " WHERE c.table_schema = DATABASE() AND c.table_name IN (:names)")
foreign_keys = ("SELECT constraint_name AS name, table_name AS child,"
                " referenced_table_name AS parent, delete_rule AS on_delete"
                " FROM information_schema.referential_constraints"
                " WHERE constraint_schema = DATABASE() AND unique_constraint_schema = DATABASE()"
                " AND (LOWER(referenced_table_name) IN (:names) OR LOWER(table_name) IN (:names))"
                " ORDER BY table_name, constraint_name")
views = ("SELECT table_name AS name, view_definition AS text,"
         " is_updatable = 'YES' AS is_updatable FROM information_schema.views"
         " WHERE table_schema = DATABASE()")
any_type = False                     # a column takes values of its type
# A unique one over the beginning of a text alone (`sub_part`) also refuses what differs only after
# it.
indexes = ("SELECT index_name AS name, column_name AS column_name, non_unique = 0 "
           "AND sub_part IS NULL AS is_unique"
           " FROM information_schema.statistics"
           " WHERE table_schema = DATABASE() AND table_name = :name "
           "ORDER BY index_name, seq_in_index")
