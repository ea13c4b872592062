"""What jobs write into a column for which an expression stands has to be read back as the same.
Both parts of the expression are tried in the database with each such value, and without any row.

One wrong word in a `write`, such as 'delivered' for `sent`, would store what reads as `pending`,
and a message would be sent again and again.
"""
from __future__ import annotations

from . import checks, written
from .column_types import named, stored, takes


def look(db, table: str, ours, there: dict) -> tuple:
    """The first value that does not come back: ("differs", what is written, the columns, what they
    hold then, what is read), ("not_taken", what is stored, a column that does not take it, its
    type) or ("gives_null", what is written, a column that is NOT NULL); () when all do.
    DatabaseError when the database does not take the `write`.

    `there`: {column of the app's, in lower case: facts}, as Database.catalogue has them.
    """
    expression, certain = db.name.expression(table, ours.name), written.certain(table, ours)
    for value in written.values(table, ours):
        if found := _of_value(db, expression, there, value,
                              value is None or written.has_to_be_read(ours), value in certain):
            return found
    return ()


def _of_value(db, expression, there: dict, value, compared: bool,
              certain: bool) -> tuple:
    names = [column for column, _ in expression.writes]
    values = _written(db, expression, value)
    if expression.reads_to_write:
        return ()                       # it depends on the row: that it is taken is all to be seen
    facts = [there[name.lower()] for name in names]
    for name, each, of_column in zip(names, values, facts):
        if each is None and not of_column["nullable"]:
            return "gives_null", named(value), name
        if not takes(each, of_column):
            return "not_taken", named(each), name, of_column["whole"]
        if certain and (check := checks.refusing(db, stored(each, of_column), of_column)):
            return "not_taken", named(each), name, f"CHECK {checks.short(check)}"
    is_whole = ({name.lower() for name in expression.read_columns}
                <= {name.lower() for name in names})
    if not (compared and is_whole):
        return ()                       # another column has a part in what is read
    held = [stored(each, of_column) for each, of_column in zip(values, facts)]
    back = _read(db, expression, dict(zip(names, held)))
    if _is_same(value, back):
        return ()
    return "differs", named(value), ",".join(names), ",".join(map(named, held)), named(back)


def _written(db, expression, value) -> list:
    """What each `write` makes of a value; a column that it names is NULL."""
    writes = ", ".join(f"{sql} AS written_{number}" for number, sql in enumerate(
        expression.texts_of_writes(db.dialect)))
    row = ", ".join(["1 AS one_row", *(f"NULL AS {db.dialect.exact(name)}"
                                       for name in expression.reads_to_write)])
    return list(db.row(f"SELECT {writes} FROM (SELECT {row}) AS tried", value=value).values())


def _read(db, expression, held: dict):
    row = ", ".join(f":held_{number} AS {db.dialect.exact(name)}"
                    for number, name in enumerate(held))
    return db.value(f"SELECT {expression.text(db.dialect)} AS back FROM (SELECT {row}) AS tried",
                    **{f"held_{number}": value for number, value in enumerate(held.values())})


def _is_same(value, back) -> bool:
    if value is None or back is None:
        return value is back
    if isinstance(value, int):
        return not isinstance(back, (str, bytes)) and value == back
    text = back.decode(errors="replace") if isinstance(back, bytes) else str(back)
    # a fraction of a second is fine
    return text == value or (value == written.TIME and text.startswith(value))
