"""CREATE statements for a table of database/schema/tables.py, in one dialect's words."""
from __future__ import annotations

from jobs_lib.records import namedtuple

from . import keys
from .tables import NO_DEFAULT

Difference = namedtuple("Difference", "table kind name purpose statements")
Difference.__doc__ = """Something of ours that a database lacks.

table       as in database/schema/tables.py, or None for the view
kind        table, column, index, unique index or view
name        in the database
purpose     what it is for, in words, as far as that is written
statements  what to run, in this order; none where a view lacks a column
"""

# characters of a TEXT that belong to an index: several have to fit into one
WORD_PREFIX, TEXT_PREFIX = 64, 191
LARGEST_MESSAGE = 2 ** 40        # bytes; 8 million of these can be added up in one column
# of message_logs, in the view


def create_table(db, table) -> list:
    """The table with its indexes: one statement on MySQL, which cannot take back half of it.
    A column for which an expression stands is none of it."""
    quote, table = db.dialect.quote, _without_expressions(db, table)
    inside = [f"{_list(db, table, [column.name])} {_type(db, table, column)}"
              for column in table.columns]
    if table.columns[0].type != "id":
        inside.append(f"PRIMARY KEY ({_list(db, table, table.key)})")
    if not db.dialect.transactional_ddl:
        inside += [f"{'UNIQUE ' if index.unique else ''}INDEX {quote(db.name.prefix + index.name)}"
                   f" ({_list(db, table, index.columns)})" for index in table.indexes]
    body = ",\n  ".join(inside)
    create = f"CREATE TABLE {quote(db.name(table.name))} (\n  {body}\n) {db.dialect.table_options}"
    statements = [create.rstrip()]
    if db.dialect.transactional_ddl:
        statements += [create_index(db, table, index) for index in table.indexes]
    return statements


def missing(db, table) -> list:
    """The statements that bring a table up to ours; an index of another name with our columns
    counts."""
    return [sql for difference in differences(db, table) for sql in difference.statements]


def differences(db, table) -> list:
    """What the database lacks of a table, as Difference; what it has besides is none of our
    business."""
    there, table = db.columns(table.name), _without_expressions(db, table)
    if not there:
        return [Difference(table, "table", db.name(table.name), table.about,
                           tuple(create_table(db, table)))]
    found = [Difference(table, "column", db.name.column(table.name, column.name), column.about,
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
    names = _list(db, table, index.columns)
    if db.dialect.transactional_ddl or index.unique or table.owner != "app":
        return names
    there = db.catalogue([table.name]).get(table.name, {})
    words = {column.name for column in table.columns if column.type in ("word", "hash")}
    return ", ".join(
        f"{name}({WORD_PREFIX if column in words else TEXT_PREFIX})"
        if "text" in there.get(column, {"type": ""})["type"] else name
        for column, name in zip(index.columns, names.split(", ")))


def drop_index(db, table, name: str) -> list:
    """The statement that takes away an index of an older version, if it is there; `name` without
    the prefix."""
    name = db.name.prefix + name
    return [db.dialect.drop_index(name,
                                  db.name(table.name))] if name in db.indexes(table.name) else []


def add_column(db, table, column) -> str:
    """One column by itself. Rows that are there get NULL unless it has a default."""
    quote = db.dialect.quote
    if column.type == "now" and not db.dialect.adds_now:
        column = column._replace(type="time", null=True)
    if column.default is NO_DEFAULT and column.type != "now":
        column = column._replace(null=True)
    return (f"ALTER TABLE {quote(db.name(table.name))} "
            f"ADD COLUMN {_list(db, table, [column.name])} {_type(db, table, column)}")


def fit_keys(db, table) -> list:
    """The statements after which a table of ours takes the keys of the app's where they are text.
    SQLite changes no column, so there the table is made again; none has many rows yet."""
    wanting = [column for name, column in keys.unfit(db) if name == table.name]
    if not wanting:
        return []
    quote, name = db.dialect.quote, db.name(table.name)
    if not db.dialect.transactional_ddl:
        fitted = [column for column in table.columns if column.name in wanting]
        # MariaDB makes no UUID of a number, and of NULL neither, but of a text that is one
        steps = [db.dialect.types["label"], None] if any(
            keys.is_uuid(db, keys.column_type(db, table.name, column.name))
            for column in fitted) else [None]
        return [f"ALTER TABLE {quote(name)} " + ", ".join(
            f"MODIFY COLUMN {_list(db, table, [column.name])} {_type(db, table, column, words)}"
            for column in fitted) for words in steps]
    kept, there = quote(f"{name}_before"), db.columns(table.name)
    columns = _list(db, table, [column.name for column in table.columns if column.name in there])
    return [f"CREATE TABLE {kept} AS SELECT {columns} FROM {quote(name)}",
            f"DROP TABLE {quote(name)}", *create_table(db, table),
            f"INSERT INTO {quote(name)} ({columns}) SELECT {columns} FROM {kept}",
            f"DROP TABLE {kept}"]


def is_size(column: str) -> str:
    """The condition that a number of bytes can be a message's. MySQL adds up no further than 2 **
    63, SQLite neither, and one row that says as much must not stop the sums of all."""
    return f"({column} BETWEEN 0 AND {LARGEST_MESSAGE} AND {column} = ROUND({column}))"


def size(column: str) -> str:
    """The bytes of a message; 0 where what is stored can be none."""
    return f"CASE WHEN {is_size(column)} THEN {column} ELSE 0 END"


def for_clients(db, statements: list) -> list:
    """The same for an operator's client, where `||` may mean OR."""
    joins = db.dialect.joining if any("||" in sql for sql in statements) else ""
    return [joins, *statements] if joins else statements


def _without_expressions(db, table):
    """The table with what can be columns of it, and indexes over these."""
    stands_for = db.name.expressions.get(table.name)
    if not stands_for:
        return table
    return table._replace(
        columns=tuple(column for column in table.columns if column.name not in stands_for),
        indexes=tuple(index for index in table.indexes if not stands_for.keys() & index.columns))


def _list(db, table, names) -> str:
    """Columns of a table, by what they are called in the database."""
    return ", ".join(db.dialect.quote(db.name.column(table.name, name)) for name in names)


def _type(db, table, column, text: str | None = None) -> str:
    """`text`: what holds a text key, where that is not as it will be in the end."""
    text = text or keys.column_type(db, table.name, column.name)
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
