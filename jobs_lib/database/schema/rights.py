"""What the user of the jobs may not do with an app's tables, asked of the server without doing it:
EXPLAIN asks for the rights of the statement that it explains. A table that the user may not even
read looks as if it were not there.

Each finding is a code of misfits.py, with the user: `users:may_not_delete:jobs@localhost`; where
rights are granted by column, `users.status:may_not_update:jobs@localhost`. None of the statements
reads a column, so that a right to SELECT that is missing is not taken for another.
"""
from __future__ import annotations

from jobs_lib.errors import DatabaseError, NotGranted

from .misfits import GRANT, account, packed

OWN = "UPDATE {meta} SET value = value WHERE 1 = 0"


def own(db) -> str:
    """That the user may not write the jobs' own tables, as a sentence, or ""."""
    if not db.dialect.user or not _is_denied(db, db.as_text(OWN)):
        return ""
    user, rights = _user(db), GRANT.format("SELECT, INSERT, UPDATE, DELETE")
    return (f"{user} may not write the jobs' own tables: let its administrator " + rights.format(
        quoted=f"`{db.value('SELECT DATABASE()')}`.*", account=account(user)))


def look(db, works: dict, catalogue: dict) -> list[str]:
    """The codes. `works`: {table: the Work of all jobs on it, together}; `catalogue`: {table:
    {column: facts}}, as Database.catalogue has them."""
    if not db.dialect.user or own(db):
        return []                   # who may not write our own tables cannot run any job
    found = []
    for name, columns in catalogue.items():
        work = works[name]
        written = sorted(column for column in work.written
                         if column in columns and not columns[column]["computed"])
        if work.deletes and _is_denied(db, db.as_text(f"DELETE FROM {{{name}}} WHERE 1 = 0")):
            found.append(f"{name}:may_not_delete:{packed(_user(db))}")
        for kind, does in (("may_not_update", True), ("may_not_insert", work.inserts)):
            found += [f"{place}:{kind}:{packed(_user(db))}"
                      for place in (_denied(db, name, written, kind) if does else ())]
    for each in db.name.also:
        table, _ = each.where(db)
        if _is_denied(db, f"DELETE FROM {table} WHERE 1 = 0"):
            found.append(f"further:may_not_delete:{each.table}:{packed(_user(db))}")
    return found


def _denied(db, name: str, columns: list, kind: str) -> list[str]:
    """The table where no column may be written, or else each `table.column` that may not be."""
    def is_denied(columns: list) -> bool:
        return _is_denied(db, db.as_text(WRITES[kind](name, columns)))

    if not columns or not is_denied(columns):
        return []
    denied = [column for column in columns if is_denied([column])]
    return [name] if denied == columns else [f"{name}.{column}" for column in denied]


def _update(name: str, columns: list) -> str:
    nothing = ", ".join(f"{column} = NULL" for column in columns)
    return f"UPDATE {{{name}}} SET {nothing} WHERE 1 = 0"


def _insert(name: str, columns: list) -> str:
    nothing = ", ".join("NULL" for _ in columns)
    return f"INSERT INTO {{{name}}} ({', '.join(columns)}) SELECT {nothing} FROM DUAL WHERE 1 = 0"


WRITES = {"may_not_update": _update, "may_not_insert": _insert}


def _is_denied(db, sql: str) -> bool:
    try:
        db.explain(sql)
    except NotGranted:
        return True
    except DatabaseError:                   # that says nothing of a right
        return False
    return False


def _user(db) -> str:
    return db.value(db.dialect.user)
