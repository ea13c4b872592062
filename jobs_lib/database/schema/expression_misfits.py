"""What is wrong with the expressions that stand for columns of an app's table
(database/expressions.py): what they name that does not do, and what the database makes of them."""
from __future__ import annotations

from jobs_lib.errors import Busy, DatabaseError, Lost, NotGranted, ReadOnly

from . import round_trip
from .tables import is_flag, words_of

TIMES = ("time", "now", "date")
LOOKED_AT = 20              # rows that are looked at, where no type says what they hold
SEARCHED = 10_000           # rows among which those are that are not NULL


def look(db, name: str, ours: dict, columns: dict, work) -> list[tuple]:
    """(column, kind, the rest) of each finding, as misfits.py makes a code of it. `columns`: what
    the catalogue has of the table; `work`: the Work of all jobs on it."""
    there = {facts["name"].lower(): facts for facts in columns.values()}
    found: list[tuple] = []
    for column, expression in db.name.expressions[name].items():
        lacks = [each for each in expression.columns if each.lower() not in there]
        if lacks:
            found.append((column, "lacks", ",".join(lacks)))
            continue
        found += [(column, "touches", each) for each in expression.columns
                  if there[each.lower()]["touched"]]
        found += [(column, "computes", each) for each, _ in expression.writes
                  if there[each.lower()]["computed"]]
        if not expression.writes:
            found.append((column, "read_only"))
        elif work.inserts and expression.reads_to_write:
            found.append((column, "row_needed"))
        tried = _tried(db, name, ours[column])
        if not tried and expression.writes and column in work.written:
            tried = _written_and_read(db, name, ours[column], there)
        found += tried
    return found


def _tried(db, name: str, ours) -> list[tuple]:
    """What the database says to an expression, and what that returns."""
    sql = db.as_text(f"SELECT held FROM (SELECT {ours.name} AS held FROM {{{name}}} LIMIT "
                     f"{SEARCHED}) AS looked_at WHERE held IS NOT NULL LIMIT {LOOKED_AT}")
    try:
        rows, of_type = db.query(sql), db.numbers(sql)
    except (Busy, Lost, NotGranted, ReadOnly):
        return []                       # that says nothing of the expression
    except DatabaseError as error:
        return [(ours.name, "wrong", str(error))]
    is_number = any(of_type) or any(isinstance(row["held"], (int, float)) for row in rows)
    if ours.type in TIMES:
        return [(ours.name, "numbers")] if is_number else []
    if words := words_of(ours):
        return [(ours.name, "number_for_word", ",".join(words), words[0])
                ] if is_number else []
    # without a row, only a server's types tell
    is_text = ((not is_number and not db.dialect.any_type)
               or any(isinstance(row["held"], str) for row in rows))
    return [(ours.name, "text_for_flag")] if is_flag(ours) and is_text else []


def _written_and_read(db, name: str, ours, there: dict) -> list[tuple]:
    """What the database says to the `write` of an expression, and whether it is read as written."""
    try:
        found = round_trip.look(db, name, ours, there)
    except (Busy, Lost, ReadOnly):
        return []                       # that says nothing of the expression
    except DatabaseError as error:
        return [(ours.name, "wrong_write", str(error))]
    return [(ours.name, *found)] if found else []
