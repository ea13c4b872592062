"""Words in the status columns of an app's tables that no job knows: a row that has one is passed
over, so it is not sent, and an account of such a status gets no notice.

Only some rows of each table are looked at, and never by a run.
"""
from __future__ import annotations

from collections import Counter

from jobs_lib import masking
from jobs_lib.database.schema import app_tables, tables
from jobs_lib.database.schema.column_types import listed
from jobs_lib.database.values import one_line
from jobs_lib.records import namedtuple

from .sampled_rows import read_as, sampled_rows

LOOKED_AT = 2000            # rows of a table, from either end
SHOWN = 5                   # words of a column
LONGEST = 30                # characters of a word
# {column: what its job takes for a row to be worked on}. An expression for one gives rows that the
# app works on itself a word that no job knows (docs/adoption.md): that is no mistake.
WAITING = {"failed_emails.status": "pending", "webhook_deliveries.status": "pending",
           "export_requests.status": "queued"}
# what becomes of a row with another word, where it is not passed over
OF_OTHERS = {"users.status": "With another word the account's mail and webhooks are sent as those "
             "of an active one, and it gets no notice; its domains are not checked."}

Found = namedtuple("Found", "column shown source words rows known")
Found.__doc__ = """What is in one column.

column  ours, such as users.status
shown   as its operator knows it        source  the app's column; "" of an expression
words   {word that no job knows, None for NULL: rows that have it}, the most frequent first
rows    that were looked at
known   those that the jobs know
"""


def look(db, works: dict) -> list:
    """One Found for each such column that has any. `works`: {table: the Work of the jobs that are
    enabled}."""
    found = []
    for name, there in db.columns_of(app_tables.TABLES).items():
        known = {column.name: words for column in tables.table(name).columns
                 if column.name in there & works[name].columns
                 and (words := tables.words_of(column))}
        rows = sampled_rows(db, name, {column: read_as(db, name, column) for column in known},
                            LOOKED_AT)
        for column, words in known.items():
            is_read = db.name.expression(name, column) is not None
            is_meant = is_read and f"{name}.{column}" in WAITING
            # numbers in the place of words are a matter of misfits.py
            counts = Counter(row[column] for row in rows if row[column] not in words
                             and not isinstance(row[column], (int, float))
                             and not (is_meant and row[column]))
            if counts:
                found.append(Found(f"{name}.{column}", db.name.shown(name, column),
                                   "" if is_read else db.name.column(name, column),
                                   dict(counts.most_common()), len(rows), tuple(words)))
    return found


def in_enums(db, works: dict, besides: list) -> list[tuple[str, str, str]]:
    """The same as `in_words` of each ENUM with values that no job knows, where no row shows one
    (`besides`: those Found)."""
    found = []
    for name, columns in db.catalogue(app_tables.TABLES).items():
        ours = {column.name: column for column in tables.table(name).columns}
        for column, facts in columns.items():
            known = tables.words_of(ours[column]) if column in works[name].columns else []
            others = [word for word in listed(facts) if word not in known]
            shown = db.name.shown(name, column)
            if known and others and shown not in [each.shown for each in besides]:
                then = OF_OTHERS.get(f"{name}.{column}",
                                     "A row with such a value is left alone, or counted apart.")
                what = f"{shown} is an ENUM with {', '.join(others)}, which no job knows"
                fix = ("If that is the same by another name, let [columns] read it as one of these:"
                       f" {', '.join(known)} (docs/adoption.md, Expressions).")
                found.append((what, then, fix))
    return found


def in_words(found) -> tuple[str, str, str]:
    """(what there is, what that means, what to do)."""
    shown = [f"{_shown(word)} in {number:,}" for word, number in found.words.items()]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    what = (f"{found.shown} {'has' if found.source else 'reads as'} words that no job knows: "
            f"{', '.join(shown[:SHOWN])}{more} of {found.rows:,} rows that were looked at")
    what_then = OF_OTHERS.get(found.column, "A row with another word is passed over, or counted "
                              "apart: nothing is sent for it.")
    why = f"The jobs know {', '.join(found.known)}. {what_then}"
    return what, why, _fix(found)


def _fix(found) -> str:
    if not found.source:
        return ("Where that is the same by another name, let the expression return the one that "
                "the jobs know: docs/adoption.md, Expressions.")
    word = next(iter(found.words))
    # of mail that waits there is no example: it would be sent
    one = found.known[0] if found.column == "users.status" else "..."
    case = (f"COALESCE({found.source}, '{one}')" if word is None else
            f"CASE {found.source} WHEN {_shown(word)} THEN '{one}' ELSE {found.source} END")
    return ("Where that is the same by another name, let [columns] read it as one, such as "
            f"{found.column} = {case}, with a line `write` where jobs write it: docs/adoption.md, "
            "Expressions.")


def _shown(word) -> str:
    """As a text of SQL."""
    if word is None:
        return "NULL"
    return "'" + masking.text(one_line(word, LONGEST)).replace("'", "''") + "'"
