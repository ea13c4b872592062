"""The database of an app that was there before: its tables have other names."""
from __future__ import annotations

import re
from functools import lru_cache

from tests.support.product import app_tables, connect, ddl, fit, table

TABLES = {name: f"app_{name}" for name in app_tables.TABLES}


def make(url: str, lacking: tuple = ()) -> str:
    """Make the app's tables, all but the tables and `table.column`s that it lacks; the URL."""
    db = connect(url, create=True, tables=TABLES)
    for name in TABLES:
        if name in lacking:
            continue
        whole = table(name)
        there = tuple(column for column in whole.columns if f"{name}.{column.name}" not in lacking)
        has = {column.name for column in there}
        indexes = tuple(index for index in whole.indexes if has.issuperset(index.columns))
        for sql in ddl.create_table(db, whole._replace(columns=there, indexes=indexes)):
            db.execute(sql)
    db.close()
    return url


CHANGES = re.compile(r"\s*(UPDATE|INSERT INTO|DELETE FROM) \{(\w+)\}(.*)", re.DOTALL)


@lru_cache(None)
def _named(sql: str) -> frozenset[str]:
    return frozenset(re.findall(r"\{(\w+)\}", sql)) & TABLES.keys()


@lru_cache(None)
def _changed(sql: str) -> tuple:
    """(table, mark of a job's `tables`, columns that are written) of a statement that changes an
    app's rows; () of others."""
    found = CHANGES.match(sql)
    if not found or found[2] not in TABLES:
        return ()
    what, name, rest = found.groups()
    if what != "UPDATE":
        return name, "-" if what == "DELETE FROM" else "+", ()
    names, depth, text = set(), 0, rest.partition(" SET ")[2]
    for piece in re.split(r"([(),]| WHERE |CASE | END)", text):
        depth += (piece in ("(", "CASE ")) - (piece in (")", " END"))
        if piece == " WHERE " and not depth:
            break
        if not depth and (named := re.match(r"\s*[`\"\[]?(\w+)[`\"\]]?\s*=", piece)):
            names.add(named[1])
    return name, "=", tuple(names)


def is_probe(statements) -> bool:
    """Whether a look at the app's tables was among them (schema/probe.py): that asks for all."""
    return any(re.match(r"UPDATE \{\w+\} SET (\w+ = :value WHERE|.* WHERE 1 = 0$)", sql)
               for sql in statements)


def works_on(statements) -> set[str]:
    """`users`, `users=` and the like of the app's tables that these statements name and change."""
    return {name for sql in statements for name in (*_named(sql), "".join(_changed(sql)[:2]))
            if name}


def declared(job) -> set[str]:
    """The same of what the job says itself."""
    return {f"{name}{mark}" for name, marks in fit.works(job.tables).items() if name in TABLES
            for mark in ("", *marks)}


def written(statements) -> set[str]:
    """The columns of the app's that these statements change."""
    return {f"{changed[0]}.{column}" for sql in statements if (changed := _changed(sql))
            for column in changed[2]}
