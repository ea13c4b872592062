"""CREATE statements for a table of database/schema/tables.py, in one dialect's words."""
from __future__ import annotations

from jobs_lib.records import namedtuple

from . import keys
from .tables import NO_DEFAULT

Difference = namedtuple("Difference", "table kind name purpose statements")
Difference.__doc__ = """Something of ours that a database lacks.

table       as in database/schema/tables.py
kind        table, column, index or unique index
name        in the database
purpose     what it is for, in words, as far as that is written
statements  what to run, in this order
"""

# characters of a TEXT that belong to an index: several have to fit into one
WORD_PREFIX, TEXT_PREFIX = 64, 191


def create_table(db, table) -> list:
    """The table with its indexes: one statement on MySQL, which cannot take back half of it."""
    quote = db.dialect.quote
    inside = [f"{quote(column.name)} {_type(db, table, column)}" for column in table.columns]
    if table.columns[0].type != "id":
        inside.append(f"PRIMARY KEY ({_list(db, table.key)})")
    if not db.dialect.transactional_ddl:
        inside += [f"{'UNIQUE ' if index.unique else ''}INDEX {quote(db.name.prefix + index.name)}"
                   f" ({_list(db, index.columns)})" for index in table.indexes]
    body = ",\n  ".join(inside)
    create = f"CREATE TABLE {quote(db.name(table.name))} (\n  {body}\n) {db.dialect.table_options}"
    statements = [create.rstrip()]
    if db.dialect.transactional_ddl:
        statements += [create_index(db, table, index) for index in table.indexes]
    return statements


def differences(db, table) -> list:
    """What the database lacks of a table, as Difference; what it has besides is none of our
    business. An index of another name with the columns that we need is as good as ours."""
    there = db.columns(table.name)
    if not there:
        return [Difference(table, "table", db.name(table.name), table.about,
                           tuple(create_table(db, table)))]
    found = [Difference(table, "column", column.name, column.about,
                        (add_column(db, table, column),))
             for column in table.columns if column.name not in there]
    indexes = db.indexes(table.name)
    unique = db.indexes(table.name, unique=True).values()
    for index in table.indexes:
        if table.name in db.name.mapped:
            # an app may keep two rows alike, such as a deleted alias beside a new one: no job
            # relies on it, and the app's own inserts would fail
            index = index._replace(unique=False)
        wanted, name = list(index.columns), db.name.prefix + index.name
        if not (wanted in unique if index.unique else any(has[:len(wanted)] == wanted
                                                          for has in indexes.values())):
            # One of that name that is not as it should be has to make room.
            room = (db.dialect.drop_index(name, db.name(table.name)),) if name in indexes else ()
            found.append(Difference(table, "unique index" if index.unique else "index", name,
                                    index.purpose,
                                    (*room, create_index(db, table, index))))
    return found


def create_index(db, table, index) -> str:
    """The statement that creates this index."""
    quote = db.dialect.quote
    return (f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {quote(db.name.prefix + index.name)}"
            f" ON {quote(db.name(table.name))} ({_parts(db, table, index)})")


def _parts(db, table, index) -> str:
    """Its columns. Of one that an app has made a TEXT, MySQL wants to know how much belongs to the
    index; what is unique has to be whole."""
    if db.dialect.transactional_ddl or index.unique or table.owner != "app":
        return _list(db, index.columns)
    there = db.catalogue([table.name]).get(table.name, {})
    words = {column.name for column in table.columns if column.type in ("word", "hash")}
    return ", ".join(
        f"{db.dialect.quote(column)}({WORD_PREFIX if column in words else TEXT_PREFIX})"
        if "text" in there.get(column, {"type": ""})["type"] else db.dialect.quote(column)
        for column in index.columns)


def add_column(db, table, column) -> str:
    """One column by itself. Rows that are there get NULL unless it has a default."""
    quote = db.dialect.quote
    if column.type == "now" and not db.dialect.adds_now:
        column = column._replace(type="time", null=True)
    if column.default is NO_DEFAULT and column.type != "now":
        column = column._replace(null=True)
    return (f"ALTER TABLE {quote(db.name(table.name))} "
            f"ADD COLUMN {quote(column.name)} {_type(db, table, column)}")


def _list(db, names) -> str:
    return ", ".join(map(db.dialect.quote, names))


def _type(db, table, column) -> str:
    text = keys.column_type(db, table.name, column.name)
    words = text or db.dialect.types[column.type]
    if column.type == "id":
        return words
    if column.null:
        return f"{words} NULL"
    if column.type == "now":
        return f"{words} NOT NULL {db.dialect.now_default(db)}".rstrip()
    if column.default is NO_DEFAULT:
        return f"{words} NOT NULL"
    value = "''" if text else (column.default if isinstance(column.default, int)
                               else f"'{column.default}'")
    return f"{words} NOT NULL DEFAULT {value}"
