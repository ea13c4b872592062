"""What the app's own tables lack, or have in a way that the jobs cannot work with. It is found out
once, and noted in `meta` for the runs that follow.

The note names what is missing, as `users` or `users.email`, and what does not fit, as misfits.py
has it, after the schema, the version and the names that it was found under. A long one goes on in
further rows.
"""
from __future__ import annotations

from contextlib import suppress

from jobs_lib.errors import DatabaseError, NotGranted
from jobs_lib.text import did_you_mean

from . import NAMES, app_tables, compare, further, keys, misfits, rights
from .tables import NO_DEFAULT, table
from .version import APP_TABLES, complete
from .works_on import of_all

LONGEST = 2000               # of a value in `meta`
ROWS = f"name LIKE '{APP_TABLES}%'"


def lacking(db) -> list[str]:
    """The tables, and the columns of the others, that the app's part of the database lacks, and
    what does not fit a job."""
    works, there = of_all(), db.catalogue(app_tables.TABLES)
    return [*missing(db.name, there), *(code for code in misfits.look(db, works, there)
                               if misfits.concerns(code, works[misfits.parts(code)[0]])),
            *rights.look(db, works, there), *further.look(db)]


def missing(names, there: dict) -> list[str]:
    """The tables, and the columns of the others, that the app's part of the database lacks.
    `there`: {table: its columns}. What an expression lacks is found by misfits.py."""
    tables = [name for name in app_tables.TABLES if name not in there]
    return tables + [f"{name}.{column.name}" for name in app_tables.TABLES if name in there
                     for column in table(name).columns if column.name not in there[name]
                     and not names.expression(name, column.name)]


def note(db) -> list[str]:
    """Look, write down what was found, and return it."""
    keys.note(db)
    names = lacking(db)
    text = " ".join([complete(db.name), *names])
    if noted(db) != text:
        db.batch(lambda: _write(db, text))
    return names


def _write(db, text: str) -> None:
    rows = {f"{APP_TABLES}_{begin // LONGEST:03}" if begin else APP_TABLES:
            text[begin:begin + LONGEST] for begin in range(0, len(text), LONGEST)}
    for name, value in rows.items():
        db.upsert("meta", {"name": name}, {"value": value})
    db.execute(f"DELETE FROM {{meta}} WHERE {ROWS} AND name NOT IN (:names)", names=list(rows))


def noted(db) -> str:
    """What `meta` says about the app's tables; "" when nothing."""
    return "".join(row["value"] for row in db.query(
        f"SELECT value FROM {{meta}} WHERE {ROWS} ORDER BY name"))


def known(db) -> list[str] | None:
    """What the last look found; None where it was for other names or by another version, or left
    what this one cannot read: then only another look tells."""
    first, *names = noted(db).split() or [""]
    is_current = first == complete(db.name) and all(misfits.is_readable(db.name, name)
                                                    for name in names)
    return names if is_current else None


def forget(db) -> None:
    """The next run looks again: a statement found no such table or column, or another type."""
    with suppress(DatabaseError):
        db.execute(f"DELETE FROM {{meta}} WHERE {ROWS}")


def is_needed(db, difference, works: dict) -> bool:
    """Whether jobs need what is missing. `works`: {table: the Work of these jobs on it,
    together}."""
    each = difference.table
    if each is None or each.owner == "bundle":
        return True
    work = works[each.name]
    if difference.kind == "table":
        return bool(work.columns or work.inserts or work.deletes)
    if difference.kind == "column":
        return any(db.name.column(each.name, column) == difference.name
                   for column in work.columns)
    # one over a column that is not there, and that no job needs, cannot be made
    there = work.columns | db.columns(each.name)
    return bool(work.columns) and any(difference.name == db.name.prefix + index.name
                                      and there.issuperset(index.columns)
                                      for index in each.indexes)


def statements(db, planned=(), differences=None) -> list[str]:
    """What the app's tables need, indexes too, each statement as a line or more, with remarks; but
    for `planned`. `differences`: what is wanted of compare.differences, or None for all.

    Last the tables that the app has not at all, which a job needs if only empty.
    """
    found: list[str] = []
    whole: list[str] = []
    for difference in compare.differences(db) if differences is None else differences:
        each = difference.table
        if each is None or each.owner != "app":
            continue
        if difference.kind == "column" and difference.name == db.name.column(each.name, "id"):
            found.append(f"-- {db.name(each.name)} needs a key of one column, a whole number or "
                         f"a text: name it by [columns] {each.name}.id")
            continue
        if not difference.statements:
            found.append(f"-- the view {db.name(each.name)} has no {difference.name}: add it to "
                         "the view")
        if near := nearest(db, difference):
            (whole if difference.kind == "table" else found).append(
                f"-- [{difference.kind}s] names {difference.name}, which is not there{near}")
        if difference.kind == "table" and "." in db.name(each.name):
            whole.append(f"-- {db.name(each.name)}: if it is there, the user of [core] database "
                         "may not see it: GRANT it SELECT, INSERT, UPDATE and DELETE on that table")
        for sql in difference.statements:
            if sql not in planned:
                (whole if difference.kind == "table" else found).append(
                    sql + ";" + _remark(db, difference))
    return found + whole


def bare(db, works: dict) -> list[str]:
    """The app's tables that have our names, where `prefix` gives the jobs others that [tables] does
    not name, while the jobs' own table of that kind is missing or empty. `works`: {table: the Work
    of the jobs that are on}."""
    there = db.tables() - {*db.name.mapped.values()} if db.name.prefix else set()
    return [name for name in app_tables.TABLES
            if name in there and name not in db.name.mapped and works[name].columns
            and _is_empty(db, name)]


def _is_empty(db, name: str) -> bool:
    """Whether a table is missing, or has no rows; not known of one that may not be read."""
    try:
        return not (db.columns(name) and db.query(db.as_text(
            f"SELECT 1 AS one FROM {{{name}}} LIMIT 1")))
    except NotGranted:
        return False


def in_words(names, bare: list[str]) -> str:
    """What `bare` has found."""
    is_one = len(bare) == 1
    return (f"there {'is a table' if is_one else 'are tables'} {', '.join(bare)}, and the jobs use "
            f"{', '.join(map(names, bare))}: if {'it is' if is_one else 'they are'} your app's, "
            f"name {'it' if is_one else 'them'} in [tables], "
            f"{', '.join(f'{name} = {name}' for name in bare)}")


def nearest(db, difference) -> str:
    """`; did you mean 'members'?` for a table or column that [tables] or [columns] names, and that
    is not there; "" where there is none like it."""
    table, name = difference.table, difference.name
    if table is None or table.owner != "app":
        return ""
    if difference.kind == "table":
        if table.name not in db.name.mapped:
            return ""
        there = db.tables() - set(map(db.name, NAMES))
    elif difference.kind == "column":
        if name not in db.name.columns.get(table.name, {}).values():
            return ""
        there = {*db.column_names(db.name(table.name))} - {*db.name.columns[table.name].values()}
    else:
        return ""
    return did_you_mean(name, sorted(there))


def _added(db, difference):
    """The column of ours that a difference adds, or None."""
    table = difference.table
    return next((column for column in table.columns
                 if difference.kind == "column" and difference.statements
                 and db.name.column(table.name, column.name) == difference.name),
                None) if table is not None and table.owner == "app" else None


def _remark(db, difference) -> str:
    """Of a column that no writer may leave out."""
    column = _added(db, difference)
    if column is None:
        return ""
    given = column.type == "now" and db.dialect.adds_now
    needed = column.default is NO_DEFAULT and not (column.null or given)
    # the default is no address
    needed = needed or (difference.table.name, column.name) == ("users", "email")
    return "   -- your app has to fill it" if needed else ""
