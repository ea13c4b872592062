"""The words of MariaDB 10.3 and MySQL 8.0 and later, spoken by PyMySQL."""
from __future__ import annotations

import select

from jobs_lib import errors
from jobs_lib.folders import way_to_packages

from . import MIGRATE, TYPES, Batches, Server

try:
    import pymysql
    if pymysql.VERSION < (1, 2):
        # it would go on in clear where a server offers no TLS
        raise ImportError
except ImportError:
    raise errors.NotInstalled("a mysql:// database needs PyMySQL 1.2 or newer, which is not "
                              f"installed: {way_to_packages()}") from None
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from .mysql_sign_in import sign_in

name = "mysql"
Error = (pymysql.MySQLError, RuntimeError)  # that is raised where it asks for a file of ours
for_update = " FOR UPDATE"
transactional_ddl = False
any_type = False  # a column takes values of its type
named_locks = True  # GET_LOCK
table_options = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
# Row locks: few writers meet them. `least`: a commit may be slow by itself.
batches = Batches(seconds=0.030, least=500, most=20_000, pause=0.001, share=0.03)
before_batches = ""
after_batch = ""

types = {
    **TYPES, "text": "MEDIUMTEXT", "json": "MEDIUMTEXT", "blob": "MEDIUMBLOB",
    "id": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    # exact and short: fits any index, compares byte by byte
    **{kind: f"{TYPES[kind]} CHARACTER SET ascii COLLATE ascii_bin"
       for kind in ("word", "hash", "label", "path")},
}
# The second in UTC, of a row whose writer gives none: CURRENT_TIMESTAMP would be in the writer's
# own time zone.
now_default = "DEFAULT (UTC_TIMESTAMP())"

# MySQL compares with no date that the mode forbids, even if a row has it.
MODE = ("STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,"
        "PIPES_AS_CONCAT")  # `||` joins text, as in SQLite
# What else a server's defaults, or its init_connect, may change. A statement's time limit has
# another name on each. A text with the collation `_bin` can be compared with any other.
MEANING = ("autocommit = 1, completion_type = 0, time_zone = '+00:00', character_set_client = "
           "utf8mb4, character_set_results = utf8mb4, character_set_connection = utf8mb4, "
           "collation_connection = utf8mb4_bin, sql_safe_updates = 0, "
           "sql_select_limit = 18446744073709551615, sql_big_selects = 1, "
           "sql_auto_is_null = 0, foreign_key_checks = 1, unique_checks = 1/*!50708 , "
           "max_execution_time = 0 *//*M!100101 , max_statement_time = 0 */")
CONNECT_SECONDS = 10.0
KILL_SECONDS = 2.0  # to sign in only to end our own statement
# for an answer, where no run with a limit of its own waits: a server may be frozen
READ_SECONDS = 300.0
LEAST_SECONDS = 0.5  # however little time is left
LATER_SECONDS = 1.0  # after that time: the alarm of the run comes first
# then the server ends a connection, and frees the rows of a host that vanished
IDLE_SECONDS = 900
SCHEMA_WAIT_SECONDS = 30  # for an ALTER to end, or to begin; the server's default is a day


# The connection

def connect(target: Server, readonly: bool, create: bool, seconds: float | None = None):
    """A connection in autocommit with our settings, whatever the server's are; it takes no
    longer than so many seconds to sign in."""
    most = CONNECT_SECONDS if seconds is None else max(LEAST_SECONDS, seconds)
    raw = sign_in(target, min(most, CONNECT_SECONDS), _CONVERT)
    wait = max(1, int(target.timeout))
    with raw.cursor() as cursor:
        cursor.execute(f"SET SESSION sql_mode = '{MODE}', innodb_lock_wait_timeout = {wait},"
                       f" lock_wait_timeout = {SCHEMA_WAIT_SECONDS}, wait_timeout = "
                       f"{IDLE_SECONDS}, {MEANING}")
        # a batch locks the rows that it deletes, not the gaps between, where others insert
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ "
                       + ("ONLY" if readonly else "WRITE"))
    return raw


def is_open(raw) -> bool:
    """Whether it can be used. What can be read between two statements nobody has asked for: the
    server has ended the connection."""
    return raw.open and not select.select([raw._sock], [], [], 0)[0]


def limit(raw, target: Server, seconds: float | None) -> None:
    """PyMySQL looks at these before each read and write."""
    wait = READ_SECONDS if seconds is None else max(LEAST_SECONDS, seconds + LATER_SECONDS)
    raw._read_timeout = raw._write_timeout = wait


def execute(raw, sql: str, values: dict):
    cursor = raw.cursor()
    cursor.execute(sql, values)
    return cursor


def in_transaction(raw) -> bool:
    return raw.open


def interrupt(raw, target) -> None:
    """KILL: a server goes on with a statement whose client is gone."""
    other = sign_in(target, KILL_SECONDS, _CONVERT)
    try:
        other.query(f"KILL {raw.thread_id()}")
    finally:
        other.close()


# What comes back: times stay text, as in SQLite; a SUM() of whole numbers is a whole number
# again.

def _number(text: str):
    return float(text) if "." in text else int(text)


_TIMES = (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATE, FIELD_TYPE.TIME)
_CONVERT = {kind: convert for kind, convert in conversions.items() if kind not in _TIMES}
_CONVERT[FIELD_TYPE.DECIMAL] = _CONVERT[FIELD_TYPE.NEWDECIMAL] = _number


# Errors. Codes: https://mariadb.com/kb/en/mariadb-error-codes/ and MySQL's errmsg.

# closed by ourselves, shutdown, killed, gone, lost while waiting, ended for being idle; none: the
# answers are out of step
LOST = (None, 0, 1053, 1927, 2006, 2013, 2055, 4031)
# their text quotes what was stored or sent: personal data
WITH_VALUES = (1064, 1292, 1366, 1411, 1525)
KINDS = {
    # a row that changed, lock waits, deadlocks, KILL, time limits
    **dict.fromkeys((1020, 1205, 1213, 1317, 1969, 3024), errors.Conflict),
    **dict.fromkeys((1040, 1203, 1226), errors.Busy),  # no connection is left
    **dict.fromkeys((1054, 1146), errors.Missing),
    **dict.fromkeys((1290, 1792, 1836), errors.ReadOnly),
    # NULL, a number, a time, a text, a CHECK
    **dict.fromkeys((1048, 1264, 1265, 1292, 1364, 1366, 1406, 3819, 4025), errors.NotTaken),
}
TLS = ": see ?ssl_ca= and ?tls= in docs/security.md"
ADVICE = {2026: TLS, 1142: ": grant this right (docs/install.md, MySQL or MariaDB)"}


def translated(error: Exception, target: Server) -> errors.DatabaseError:
    """The driver's error in our words; never with a password or a row's value."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[-1]) if error.args else ""
    if code in LOST:
        return errors.Lost("the connection to the database server was lost")
    if code == 1062:
        return errors.Duplicate("a row with this unique key already exists: "
                                + text.rpartition("for key ")[2])
    if code in WITH_VALUES:
        text = text.partition("'")[0] + "..."
    where = target.socket or f"{target.host}:{target.port}"
    kind = KINDS.get(code, errors.DatabaseError)
    if code in ADVICE or "CERTIFICATE_VERIFY_FAILED" in text:
        text += ADVICE.get(code, TLS)
    elif kind is errors.Missing:
        text += MIGRATE
    return kind(f"database {target.database} on {where}: {text} ({code})")


# SQL

begin = "START TRANSACTION"
# For this one transaction: under READ COMMITTED each statement would see a moment of its own.
snapshot = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT")
blocks_writers = "SELECT 0"  # InnoDB keeps what a reader still sees beside what is new


def literal(text: str) -> str:
    """As the driver wants what is no value."""
    return text.replace("%", "%%")


def conflict(keys: list, updates: list) -> str:
    """What an INSERT does to a row that is there."""
    return "ON DUPLICATE KEY UPDATE " + ", ".join(updates
                                                  or [f"{quote(keys[0])} = {quote(keys[0])}"])


# Templates: called with what belongs into them.
mark = "%({})s".format
quote = "`{}`".format
excluded_value = "VALUES(`{}`)".format
# 64 characters, '' for NULL, '?' for characters of several octets. Nothing is converted: an
# ASCII column may hold any octet.
word = ("CASE WHEN {0} IS NULL THEN '' WHEN LENGTH({0}) = CHAR_LENGTH({0})"
        " THEN LEFT({0}, 64) ELSE '?' END").format
# MySQL keeps the 31st of February, or a day 0, for an app that lets it; to a 0 it adds nothing.
later = ("CASE WHEN YEAR({0}) * MONTH({0}) * DAY({0}) > 0 AND DATE({0}) <= LAST_DAY({0})"
         " THEN {0} + INTERVAL {1} SECOND END").format
day = ("CASE WHEN MONTH({0}) * DAY({0}) > 0 THEN LEAST(DATE({0}), LAST_DAY({0})) ELSE MAKEDATE("
       "YEAR({0}), 1) + INTERVAL GREATEST(MONTH({0}), 1) - 1 MONTH - INTERVAL 1 DAY END").format

tables = ("SELECT table_name AS name, engine AS engine"
          " FROM information_schema.tables WHERE table_schema = DATABASE()")
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
# A unique one over the beginning of a text alone (`sub_part`) also refuses what differs after
# it.
indexes = ("SELECT index_name AS name, column_name AS column_name, non_unique = 0 "
           "AND sub_part IS NULL AS is_unique"
           " FROM information_schema.statistics"
           " WHERE table_schema = DATABASE() AND table_name = :name "
           "ORDER BY index_name, seq_in_index")
