"""Words in the status columns of tables that an app writes, which no job knows: a row that has one
is passed over, so it is not sent, and an account of such a status gets no notice.

Only some rows of each table are looked at, and never by a run.
"""
from __future__ import annotations

from collections import Counter

from jobs_lib import masking
from jobs_lib.errors import DatabaseError

from .tables import table, words_of

LOOKED_AT = 2000            # rows of a table, from either end
SHOWN = 5                   # words of a column
LONGEST = 30                # characters of a word
PASSED_OVER = "A row with another word is passed over, or counted apart: nothing is sent for it."
# what becomes of a row with another word, where it is not passed over
OF_OTHERS = {"users.status": "With another word the account's mail and webhooks are sent as those "
             "of an active one, and it gets no notice; its domains are not checked."}
FIX = ("Where that is the same by another name, let your app write the one that the jobs know, or "
       "a view show it.")


def look(db, names) -> list[tuple[str, str, str]]:
    """(what there is, what that means, what to do) for each column of these tables that has any."""
    found = []
    for name, there in db.columns_of({*names, "notifications"}).items():     # these it may write
        known = {column.name: words for column in table(name).columns
                 if column.name in there and (words := words_of(column))}
        rows = _some(db, name, list(known)) if known and "id" in there else []
        for column, words in known.items():
            # numbers in the place of words are a matter of fit.py
            counts = Counter(row[column] for row in rows if row[column] not in words
                             and not isinstance(row[column], (int, float)))
            if counts:
                found.append(_in_words(db, f"{name}.{column}", counts, len(rows), words))
    return found


def _some(db, name: str, columns: list) -> list[dict]:
    """The first rows and the last, each once; none where the database does not answer, which is
    reported with the schema."""
    rows: dict = {}
    for order in ("DESC", "ASC"):
        try:
            found = db.query(f"SELECT id, {', '.join(columns)} FROM {{{name}}} ORDER BY id {order} "
                             f"LIMIT {LOOKED_AT}")
        except DatabaseError:
            return []
        rows.update((row["id"], row) for row in found)
        if len(found) < LOOKED_AT:
            break
    return list(rows.values())


def _in_words(db, column: str, counts: Counter, rows: int, known: list) -> tuple[str, str, str]:
    name, _, short = column.partition(".")
    shown = [f"{_shown(word)} in {number:,}" for word, number in counts.most_common()]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    what = (f"{db.name(name)}.{short} has words that no job knows: "
            f"{', '.join(shown[:SHOWN])}{more} of {rows:,} rows that were looked at")
    return what, f"The jobs know {', '.join(known)}. {OF_OTHERS.get(column, PASSED_OVER)}", FIX


def _shown(word) -> str:
    """As a text of SQL."""
    return "NULL" if word is None else "'" + masking.text(str(word))[:LONGEST] + "'"
