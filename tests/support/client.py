"""What an operator or an app runs: a client of the database with no settings of ours."""
from __future__ import annotations

import re
import sqlite3

from tests.support.product import target


def run(url: str, sql: str) -> None:
    """Statements, each ending with `;` at the end of a line; lines of remarks are left out."""
    found = target(url, ".")
    if url.startswith("sqlite"):
        raw = sqlite3.connect(found.path)
        raw.executescript(sql)
        raw.close()
        return
    import pymysql
    raw = pymysql.connect(user=found.user, password=found.password, database=found.database,
                          unix_socket=found.socket, autocommit=True)
    with raw.cursor() as cursor:
        for one in re.split(r";\s*(?:\n|\Z)", re.sub(r"(?m)^ *--.*$", "", sql)):
            if one.strip():
                cursor.execute(one)
    raw.close()
