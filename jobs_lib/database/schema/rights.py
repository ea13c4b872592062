"""What the user of the jobs may not do with an app's tables, asked of the server without doing it:
EXPLAIN asks for the rights of the statement that it explains. A table that the user may not even
read looks as if it were not there.

Each finding is a code of misfits.py, with the user: `users:may_not_delete:jobs@localhost`.
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
        names = ", ".join(written)
        tries = {}
        if written:
            same = ", ".join(f"{column} = {column}" for column in written)
            tries["may_not_update"] = f"UPDATE {{{name}}} SET {same} WHERE 1 = 0"
        if work.deletes:
            tries["may_not_delete"] = f"DELETE FROM {{{name}}} WHERE 1 = 0"
        if written and work.inserts:
            tries["may_not_insert"] = (f"INSERT INTO {{{name}}} ({names}) SELECT {names} "
                                       f"FROM {{{name}}} WHERE 1 = 0")
        found += [f"{name}:{kind}:{packed(_user(db))}" for kind, sql in tries.items()
                  if _is_denied(db, db.as_text(sql))]
    for each in db.name.also:
        table, _ = each.where(db)
        if _is_denied(db, f"DELETE FROM {table} WHERE 1 = 0"):
            found.append(f"further:may_not_delete:{each.table}:{packed(_user(db))}")
    return found


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
