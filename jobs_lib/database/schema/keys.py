"""What kind of key each table of the app's has: whole numbers that grow, or text, such as a UUID or
a ULID.

The catalogue says it. It is asked by `migrate`, and by a run that looks at the app's tables anyway.
They write down in `meta` which tables have text for a key; each run reads that with the version of
the schema, as `text_keys` of its database. Rows with numbers are read and deleted by ranges, those
with text by lists of keys: little else depends on it.

A column that refers to a text key has the type of that key, with its length, character set and
collation. So two keys are equal in our own tables just where they are in the app's.
"""
from __future__ import annotations

import os

from jobs_lib.errors import Unfit

from . import app_tables, own_tables, references
from .tables import column_names
from .version import TEXT_KEYS

LONGEST = 255                # characters: an index over several such columns takes no more
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"      # the digits of a ULID
TEXTS = ("char", "text", "clob", "uuid", "guid", "ulid")     # in the name of a type


def types(db) -> dict[str, str]:
    """{table of the app's: the type of its key, in SQL} of those whose key is text. The catalogue
    is asked once, until `forget`."""
    if db.key_types is None:
        db.key_types = {name: _words(columns["id"]) for name, columns in db.catalogue(
            app_tables.TABLES).items() if "id" in columns and is_text(columns["id"])}
    return db.key_types


def forget(db) -> None:
    """Ask the catalogue again: tables may have been made or changed."""
    db.key_types = None


def note(db) -> None:
    """Ask, and write down which keys are text. Unfit where one of our own columns takes no such
    key."""
    forget(db)
    found = {name: folds(words) for name, words in types(db).items()}
    for name, _ in unfit(db):
        raise Unfit(f"the table {db.name(name)} takes numbers for keys of the app, which are text: "
                    "run `jobs.py migrate --own-tables`")
    if found != db.text_keys:
        db.upsert("meta", {"name": TEXT_KEYS}, {"value": " ".join(
            f"{name}:nocase" if folds else name for name, folds in found.items())})
        db.text_keys = found


def column_type(db, name: str, column: str) -> str | None:
    """The type, in SQL, of a column that refers to text keys; None of any other column."""
    text = [types(db)[target] for target in references.targets(name, column)
            if target in types(db)]
    if text and (name, column) in references.PAST_KEYS:     # no row is compared with these
        return db.dialect.types["label"]
    return text[0] if text else None


def none_of(text_keys, target: str) -> str:
    """SQL: what stands for no row of a table in a column that cannot be NULL."""
    return "''" if target in text_keys else "0"


def unfit(db) -> list[tuple[str, str]]:
    """(table, column) of our own columns that are numbers and refer to keys that are text."""
    if not types(db):
        return []
    there = db.catalogue(own_tables.TABLES)
    return [(name, column) for name, columns in there.items() for column in column_names(name)
            if column in columns and column_type(db, name, column)
            and not is_text(columns[column])]


def is_text(facts: dict) -> bool:
    """Whether a column, as the catalogue has it, holds text."""
    return any(word in facts["whole"] for word in TEXTS)


def folds(words: str) -> bool:
    """Whether keys of this type are equal that differ in case: by the name of the collation."""
    collation = words.rpartition("COLLATE ")[2] if "COLLATE" in words else "binary"
    return not collation.lower().endswith(("_bin", "_cs", "binary"))


def are_alike(db, facts: dict, key: dict) -> bool:
    """Whether a column compares keys as the column does that they are from. SQLite does not say how
    one without an index compares; MySQL takes the text `7x` for the number 7."""
    if not is_text(key):
        return db.dialect.any_type or not is_text(facts)
    return is_text(facts) and (not facts["collation"] or not key["collation"]
                               or folds(facts["collation"]) == folds(key["collation"]))


def new(like, now) -> str:
    """A key for a row of ours in a table of the app's, in the form of another key: a ULID where
    that has 26 characters, else a UUID, or as much of one."""
    like = like if isinstance(like, str) else ""
    if len(like) == 26:
        number = int(now.timestamp() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
        made = "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
    else:
        from uuid import uuid4
        made = str(uuid4()) if "-" in like or not like else uuid4().hex[:len(like)]
    return made.upper() if like.isupper() else made.lower()


def _words(facts: dict) -> str:
    """A text without a limit, such as that of a view, gets one: MySQL has no other keys."""
    size = facts["longest"]
    kind = facts["whole"] if size is None or size <= LONGEST else f"VARCHAR({LONGEST})"
    return f"{kind} {facts['collation']}".rstrip()
