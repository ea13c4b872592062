"""Words in the status columns of an app's tables that no job knows: a row that has one is passed
over, so its mail is not sent, and an account of such a status gets no notice.

Only some rows of each table are looked at, and never by a run.
"""
from __future__ import annotations

from collections import Counter

from jobs_lib import masking
from jobs_lib.database.schema import app_tables, tables
from jobs_lib.database.values import one_line
from jobs_lib.errors import DatabaseError
from jobs_lib.records import namedtuple

LOOKED_AT = 2000            # rows of a table, from either end
SHOWN = 5                   # words of a column
LONGEST = 30                # characters of a word

Found = namedtuple("Found", "column source table words rows known")
Found.__doc__ = """What is in one column.

column  ours, such as users.status      source  theirs, or the first that its expression reads
table   the app's
words   {word that no job knows, None for NULL: rows that have it}, the most frequent first
rows    that were looked at
known   those that the jobs know
"""


def look(db) -> list:
    """One Found for each such column that has any."""
    found = []
    for name, there in db.columns_of(app_tables.TABLES).items():
        known = {column.name: words for column in tables.table(name).columns
                 if column.name in there and (words := tables.words_of(column))}
        rows = _some_rows(db, name, list(known))
        for column, words in known.items():
            # numbers in the place of words are a matter of misfits.py
            counts = Counter(row[column] for row in rows if row[column] not in words
                             and not isinstance(row[column], (int, float)))
            if counts:
                expression = db.name.expression(name, column)
                source = next(iter(expression.read_columns), column
                              ) if expression else db.name.column(name, column)
                found.append(Found(f"{name}.{column}", source, db.name(name),
                                   dict(counts.most_common()), len(rows), tuple(words)))
    return found


def in_words(found) -> tuple[str, str, str]:
    """(what there is, what that means, what to do)."""
    shown = [f"{_shown(word)} in {number:,}" for word, number in found.words.items()]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    word = next(iter(found.words))
    # of mail that waits there is no example: it would be sent
    one = found.known[0] if found.column == "users.status" else "..."
    case = (f"COALESCE({found.source}, '{one}')" if word is None else
            f"CASE {found.source} WHEN {_shown(word)} THEN '{one}' ELSE {found.source} END")
    what = (f"{found.table}.{found.source} has words that no job knows: {', '.join(shown[:SHOWN])}"
            f"{more} of {found.rows:,} rows that were looked at")
    why = (f"The jobs know {', '.join(found.known)}. A row with another word is passed over, or "
           "counted apart: nothing is sent for it, and an account with one gets no notice")
    fix = ("Where that is the same by another name, let [columns] read it as one, such as "
           f"{found.column} = {case}, with a line `write` where jobs write it: docs/adoption.md, "
           "Expressions.")
    return what, f"{why}.", fix


def _shown(word) -> str:
    return "NULL" if word is None else repr(masking.text(one_line(word, LONGEST)))


def _some_rows(db, name: str, columns: list) -> list[dict]:
    rows: list[dict] = []
    for order in ("DESC", "ASC") if columns else ():
        try:
            rows += db.query(db.as_text(f"SELECT {', '.join(columns)} FROM {{{name}}} ORDER BY id "
                                        f"{order} LIMIT {LOOKED_AT}"))
        except DatabaseError:
            return []                   # what does not fit is said by misfits.py
        if len(rows) < LOOKED_AT:
            break
    return rows
