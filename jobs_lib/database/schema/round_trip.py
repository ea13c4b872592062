"""What jobs write into a column for which an expression stands has to be read back as the same.
Both parts of the expression are tried in the database with each such value, and without any row.

One wrong word in a `write`, such as 'delivered' for `sent`, would store what reads as `pending`,
and a message would be sent again and again.
"""
from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

TIME = "2026-11-24 15:05:07"
HEX = "0123456789abcdef"
NUMBERS = (0, 1, 2)
COMPARED = {"time": (TIME,), "now": (TIME,), "date": (TIME[:10],), "flag": (0, 1), "int": NUMBERS,
            "big": NUMBERS}
CLAIMS = {"claim_token": (2 * HEX,), "claim_run": (HEX,)}
# texts, which an app may cut off: these are tried, and not compared
TRIED = {**dict.fromkeys(("hash", "label", "path", "name", "line", "text"), (2 * HEX,)),
         "json": ("{}",)}
# of the words that a column has, those that jobs write, where they do not write all
SOME_WORDS = {"users.status": ("deleted",), "audit_logs.severity": ("info", "warning")}
INTEGERS, TEXTS = re.compile("int|year"), re.compile("char|text|clob")
WHOLE = re.compile(r"-?\d+(\.\d+)?")


def look(db, table: str, ours, words: list, there: dict) -> tuple:
    """The first value that does not come back: ("differs", what is written, the columns, what they
    hold then, what is read), or ("gives_null", what is written, a column that is NOT NULL); () when
    all do. DatabaseError when the database does not take the `write`.

    `words`: all that the column has, as its description lists them; `there`: {column of the app's,
    in lower case: facts}, as Database.catalogue has them.
    """
    expression = db.name.expression(table, ours.name)
    compared = (SOME_WORDS.get(f"{table}.{ours.name}", words) or CLAIMS.get(ours.name)
                or COMPARED.get(ours.type, ()))
    values = [*(compared or TRIED.get(ours.type, ())), *([None] if ours.null else [])]
    for value in values:
        if found := _of_value(db, expression, there, value, bool(compared)):
            return found
    return ()


def _of_value(db, expression, there: dict, value, compared: bool) -> tuple:
    names = [column for column, _ in expression.writes]
    stored = _written(db, expression, value)
    if expression.reads_to_write:
        return ()                       # it depends on the row: that it is taken is all to be seen
    facts = [there[name.lower()] for name in names]
    for name, each, of_column in zip(names, stored, facts):
        if each is None and not of_column["nullable"]:
            return "gives_null", _shown(value), name
    is_whole = ({name.lower() for name in expression.read_columns}
                <= {name.lower() for name in names})
    if not (compared and is_whole):
        return ()                       # another column has a part in what is read
    held = [_as_held(each, of_column) for each, of_column in zip(stored, facts)]
    back = _read(db, expression, dict(zip(names, held)))
    if _is_same(value, back):
        return ()
    return "differs", _shown(value), ",".join(names), ",".join(map(_shown, held)), _shown(back)


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


def _as_held(value, facts: dict):
    """A value as a column of that type stores it."""
    if isinstance(value, Decimal):
        value = int(value) if value == int(value) else float(value)
    kind = facts["type"]
    if value is None or isinstance(value, bytes):
        return value
    if INTEGERS.search(kind) and WHOLE.fullmatch(str(value)):
        return int(Decimal(str(value)).quantize(Decimal(1), ROUND_HALF_UP))
    if kind == "enum" and isinstance(value, int):
        words = re.findall(r"'([^']*)'", facts["whole"])
        return words[value - 1] if 0 < value <= len(words) else ""
    return str(value) if TEXTS.search(kind) else value


def _is_same(value, back) -> bool:
    if value is None or back is None:
        return value is back
    if isinstance(value, int):
        return not isinstance(back, (str, bytes)) and value == back
    text = back.decode(errors="replace") if isinstance(back, bytes) else str(back)
    # a fraction of a second is fine
    return text == value or (value == TIME and text[:len(TIME)] == value)


def _shown(value) -> str:
    return "NULL" if value is None else (str(value) if str(value) else "''")
