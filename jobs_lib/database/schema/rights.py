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
    return (f"{user} may not write the jobs' own tables: " + rights.format(
        quoted=f"`{db.value('SELECT DATABASE()')}`.*", account=account(user)))


def look(db, works: dict, catalogue: dict) -> list[str]:
    """The codes. `works`: {table: the Work of all jobs on it, together}; `catalogue`: {table:
    {column: facts}}, as Database.catalogue has them."""
    if not db.dialect.user or own(db):
        return []                   # a user that cannot write our own tables runs no job
    found = []
    for name, columns in catalogue.items():
        work = works[name]
        there = {facts["name"].lower() for facts in columns.values() if not facts["computed"]}
        written = {column: names for column in sorted(work.written)
                   if (names := db.name.written(name, column)) and there.issuperset(
                       map(str.lower, names))}
        if work.deletes and _is_denied(db, db.as_text(f"DELETE FROM {{{name}}} WHERE 1 = 0")):
            found.append(f"{name}:may_not_delete:{packed(_user(db))}")
        for kind, does in (("may_not_update", True), ("may_not_insert", work.inserts)):
            found += [f"{place}:{kind}:{packed(_user(db))}"
                      for place in (_denied(db, name, written, kind) if does else ())]
    for each in db.name.also:
        table, _ = each.where(db)
        # one that may not even be seen is named by further.py
        if db.facts(each.table) and _is_denied(db, f"DELETE FROM {table} WHERE 1 = 0"):
            found.append(f"further:may_not_delete:{each.table}:{packed(_user(db))}")
    return found


def _denied(db, name: str, written: dict, kind: str) -> list[str]:
    """The table where no column may be written, or else each `table.column` that may not be.
    `written`: {our column: those of the app's that are written for it}."""
    def is_denied(columns) -> bool:
        names = dict.fromkeys(theirs for column in columns for theirs in written[column])
        return _is_denied(db, WRITES[kind](db.dialect.quote(db.name(name)),
                                           [*map(db.dialect.exact, names)]))

    if not written or not is_denied(written):
        return []
    denied = [column for column in written if is_denied([column])]
    return [name] if denied == [*written] else [f"{name}.{column}" for column in denied]


def _update(table: str, columns: list) -> str:
    nothing = ", ".join(f"{column} = NULL" for column in columns)
    return f"UPDATE {table} SET {nothing} WHERE 1 = 0"


def _insert(table: str, columns: list) -> str:
    nothing = ", ".join("NULL" for _ in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {nothing} FROM DUAL WHERE 1 = 0"


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
