"""The statements that make what a database lacks of a table of database/schema/tables.py, in one
dialect's words."""
from __future__ import annotations

from . import keys
from .tables import NO_DEFAULT


def missing(db, table, there) -> list[str]:
    """All that it lacks. `there`: its columns, if it is there."""
    if not there:
        return create_table(db, table)
    columns = [column for column in table.columns if column.name not in there]
    return [*(add_column(db, table, column) for column in columns),
            *missing_indexes(db, table)]


def missing_indexes(db, table) -> list[str]:
    """The indexes that it lacks; their names do not matter."""
    indexes = table.indexes
    if table.name in db.name.mapped:
        # An app may keep two rows alike, such as a deleted alias beside a new one: no job relies
        # on it, and the app's own inserts would fail.
        indexes = [index._replace(unique=False) for index in indexes]
    there = db.indexes(table.name)
    return [_create_index(db, table, index) for index in indexes
            if not any(_serves(index, *each) for each in there)]


def _serves(index, columns: list, is_unique: bool) -> bool:
    """Whether one with these columns does for it."""
    wanted = list(index.columns)
    if index.unique:
        return is_unique and columns == wanted
    return columns[:len(wanted)] == wanted


def create_table(db, table) -> list[str]:
    """The table with its indexes; in one statement on MySQL."""
    quote = db.dialect.quote
    inside = [f"{quote(column.name)} {_type(db, column)}" for column in table.columns]
    if table.columns[0].type != "id":
        inside.append(f"PRIMARY KEY ({_list(db, table.key)})")
    if not db.dialect.transactional_ddl:
        inside += [f"{_index(db, index)} ({_list(db, index.columns)})"
                   for index in table.indexes]
    body = ",\n  ".join(inside)
    create = f"CREATE TABLE {quote(db.name(table.name))} (\n  {body}\n) {db.dialect.table_options}"
    statements = [create.rstrip()]
    if db.dialect.transactional_ddl:
        statements += [_create_index(db, table, index) for index in table.indexes]
    return statements


def add_column(db, table, column) -> str:
    """One column by itself. Rows that are there get NULL unless it has a default."""
    quote = db.dialect.quote
    if column.type == "now" and db.dialect.transactional_ddl:
        # SQLite adds no column that begins with the time to a table with rows
        column = column._replace(type="time", null=True)
    if column.default is NO_DEFAULT and column.type != "now":
        column = column._replace(null=True)
    return (f"ALTER TABLE {quote(db.name(table.name))} "
            f"ADD COLUMN {quote(column.name)} {_type(db, column)}")


def _create_index(db, table, index) -> str:
    place = db.dialect.quote(db.name(table.name))
    return f"CREATE {_index(db, index)} ON {place} ({_list(db, index.columns)})"


def _index(db, index) -> str:
    name = db.dialect.quote(db.name.prefix + index.name)
    return f"UNIQUE INDEX {name}" if index.unique else f"INDEX {name}"


def _list(db, names) -> str:
    return ", ".join(map(db.dialect.quote, names))


def _type(db, column) -> str:
    text = keys.column_type(db, column)
    words = text or db.dialect.types[column.type]
    if column.type == "id":
        return words
    if column.null:
        return f"{words} NULL"
    if column.type == "now":
        return f"{words} NOT NULL {db.dialect.now_default}".rstrip()
    if column.default is NO_DEFAULT:
        return f"{words} NOT NULL"
    is_number = isinstance(column.default, int) and not text
    value = column.default if is_number else "''" if text else f"'{column.default}'"
    return f"{words} NOT NULL DEFAULT {value}"
