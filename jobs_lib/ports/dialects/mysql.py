"""The words of MariaDB 10.3 and MySQL 5.7 and later, spoken by PyMySQL."""
from __future__ import annotations

import os
import sys
from collections import namedtuple
from urllib.parse import parse_qsl, unquote

from ...errors import Busy, DatabaseError, Duplicate, ReadOnly
from . import Conflict, Lost

try:
    import pymysql
except ImportError:
    raise DatabaseError("a mysql:// database needs PyMySQL, which is not installed: "
                        f"run `{sys.executable} -m pip install PyMySQL`") from None
from pymysql.constants import CLIENT, FIELD_TYPE
from pymysql.converters import conversions

name = "mysql"
Error = pymysql.MySQLError
for_update = " FOR UPDATE"
explain = "EXPLAIN "
transactional_ddl = False
create_view = "CREATE SQL SECURITY INVOKER VIEW"     # no DEFINER: a restored dump may lack that user
table_options = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
quotes = "`"

Target = namedtuple("Target", "user password host port socket database timeout")

_KEY = "CHARACTER SET ascii COLLATE ascii_bin"
types = {
    "id": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    "ref": "BIGINT", "int": "INT", "big": "BIGINT", "flag": "TINYINT", "real": "DOUBLE",
    "word": f"VARCHAR(64) {_KEY}", "hash": f"VARCHAR(64) {_KEY}", "label": f"VARCHAR(190) {_KEY}",
    "path": f"VARCHAR(500) {_KEY}", "address": "VARCHAR(254)", "name": "VARCHAR(255)", "line": "VARCHAR(2000)",
    "text": "MEDIUMTEXT", "json": "MEDIUMTEXT", "blob": "MEDIUMBLOB", "date": "DATE", "time": "DATETIME",
    "now": "DATETIME",
}

MODE = ("STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
        "NO_ENGINE_SUBSTITUTION,PIPES_AS_CONCAT")     # || joins text, as everywhere else


def _number(text: str):
    return float(text) if "." in text else int(text)


# Times stay text, as SQLite has them; SUM() of whole numbers is a DECIMAL and becomes a whole number again.
_CONVERT = {**conversions, FIELD_TYPE.DECIMAL: _number, FIELD_TYPE.NEWDECIMAL: _number}
for _kind in (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATE, FIELD_TYPE.TIME, FIELD_TYPE.NEWDATE):
    _CONVERT.pop(_kind, None)


def now_default(db) -> str:
    """`DEFAULT ...` that gives the present second in UTC; CURRENT_TIMESTAMP would follow the writer's own zone."""
    return "DEFAULT (UTC_TIMESTAMP())"


def parse(url: str, base: str, timeout: float) -> Target:
    """`mysql://user:password@host:3306/name?unix_socket=/path`; a password may hold `@`, `/` and `:`."""
    rest, _, parameters = url.partition("://")[2].rpartition("@")[2].partition("?")
    login = url.partition("://")[2].rpartition("@")[0]
    user, _, password = login.partition(":")
    host, _, database = rest.partition("/")
    host, _, port = host.partition(":")
    options = dict(parse_qsl(parameters))
    return Target(unquote(user), unquote(password), host or "localhost", int(port or 3306),
                  options.get("unix_socket"), unquote(database), timeout)


def connect(target: Target, readonly: bool, create: bool):
    """A connection in autocommit with our session settings, whatever the server's defaults are."""
    raw = pymysql.connect(user=target.user, password=target.password, host=target.host, port=target.port,
                          unix_socket=target.socket, database=target.database, charset="utf8mb4", autocommit=True,
                          client_flag=CLIENT.FOUND_ROWS, conv=_CONVERT, connect_timeout=10, sql_mode=MODE)
    with raw.cursor() as cursor:
        cursor.execute(f"SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = {max(1, int(target.timeout))}, "
                       "lock_wait_timeout = 60")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
                       + (", READ ONLY" if readonly else ""))
    return raw


def execute(raw, sql: str, values: dict):
    cursor = raw.cursor()
    cursor.execute(sql, values)
    return cursor


def begin(readonly: bool) -> str:
    return "START TRANSACTION"


def in_transaction(raw) -> bool:
    return raw.open


def interrupt(raw) -> None:
    """PyMySQL has nothing for this."""


def alive(raw) -> None:
    raw.ping(reconnect=False)


def mark(value: str) -> str:
    return f"%({value})s"


def literal(text: str) -> str:
    return text.replace("%", "%%")


def quote(identifier: str) -> str:
    return f"`{identifier}`"


def conflict(keys: list, updates: list) -> str:
    """What an INSERT does when the row is there."""
    return "ON DUPLICATE KEY UPDATE " + ", ".join(updates or [f"{quote(keys[0])} = {quote(keys[0])}"])


LOST = {2006, 2013, 2055, 1927, 4031, 1053, 0}
AGAIN = {1020, 1205, 1213}


def trouble(error: pymysql.MySQLError, target: Target) -> DatabaseError:
    """The driver's error as one of ours."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else -1
    words = str(error.args[-1]) if error.args else ""
    if code in LOST:
        return Lost(f"lost the connection to the database server ({code})")
    if code in AGAIN:
        return Conflict(f"another transaction holds these rows ({code})")
    if code == 1062:
        return Duplicate("a row with this unique key is there already: " + words.rpartition("for key ")[2])
    if code in (1792, 1290, 1836):
        return ReadOnly("the database is opened for reading only: nothing was written")
    return DatabaseError(f"database {target.database}: {words} ({code})")


tables = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()"
columns = ("SELECT column_name AS name FROM information_schema.columns "
           "WHERE table_schema = DATABASE() AND table_name = :name")
indexes = ("SELECT index_name AS name, column_name AS column_name FROM information_schema.statistics "
           "WHERE table_schema = DATABASE() AND table_name = :name ORDER BY index_name, seq_in_index")
