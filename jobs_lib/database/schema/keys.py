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
import re
from contextlib import suppress

from jobs_lib.errors import Missing, Unfit

from . import app_tables, own_tables, references
from .tables import column_names
from .version import APP_TABLES, TEXT_KEYS, complete, seen_all, text_keys

UUID = "uuid"            # MariaDB's: 16 octets that are read as text
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
    found = _found(db)
    for name, _ in unfit(db):
        raise Unfit(f"the table {db.name(name)} takes other keys than those of the app: "
                    "run `jobs.py migrate --own-tables`")
    if found != text_keys(_stored(db).get(TEXT_KEYS)):
        db.upsert("meta", {"name": TEXT_KEYS}, {"value": " ".join(
            f"{name}:nocase" if folds else name for name, folds in found.items())})
    db.text_keys = found


def known(db) -> dict[str, bool]:
    """What was noted of them; what the catalogue says while that was under other names, or a table
    was missing."""
    with suppress(Missing):
        stored = _stored(db)
        if seen_all(complete(db.name), stored.get(APP_TABLES)):
            return text_keys(stored.get(TEXT_KEYS))
    return _found(db)


def _found(db) -> dict[str, bool]:
    return {name: folds(words) or is_uuid(db, words) for name, words in types(db).items()}


def _stored(db) -> dict[str, str]:
    return {row["name"]: row["value"] for row in db.query(
        "SELECT name, value FROM {meta} WHERE name IN (:names)", names=[TEXT_KEYS, APP_TABLES])}


def column_type(db, name: str, column: str) -> str | None:
    """The type, in SQL, of a column that refers to text keys; None of any other column."""
    text = [types(db)[target] for target in references.targets(name, column)
            if target in types(db)]
    if not text:
        return None
    # no row is compared with these, or not by an index
    is_apart = (name, column) in references.PAST_KEYS or (
        (name, column) in references.WITH_NONE and is_uuid(db, text[0]))
    return db.dialect.types["label"] if is_apart else text[0]


def is_uuid(db, words: str | None) -> bool:
    """Whether a type is MariaDB's UUID: '' is no value of it, and each is read in lower case."""
    return words == UUID and not db.dialect.any_type


def or_none(text_keys, target: str, column: str) -> str:
    """SQL: a column that refers to a table, or what stands for no row of it where that is NULL. As
    text, since MariaDB would make a UUID of the '' beside one."""
    return (f"COALESCE({column} || '', '')" if target in text_keys
            else f"COALESCE({column}, 0)")


def unfit(db) -> list[tuple[str, str]]:
    """(table, column) of our own columns that refer to keys that are text, and take none, find no
    UUID by an index, or compare them in another way."""
    if not types(db):
        return []
    there = db.catalogue(own_tables.TABLES)
    return [(name, column) for name, columns in there.items() for column in column_names(name)
            if column in columns and (words := column_type(db, name, column))
            and (not is_text(columns[column])
                 or is_uuid(db, words) != is_uuid(db, columns[column]["whole"])
                 or (not db.dialect.any_type and not is_uuid(db, words)
                     and _folding(words) != _folding(columns[column]["collation"])))]


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
    if is_uuid(db, facts["whole"]) != is_uuid(db, key["whole"]):
        return False            # no index serves to find a text by a UUID
    return is_text(facts) and (not facts["collation"] or not key["collation"]
                               or _folding(facts["collation"]) == _folding(key["collation"]))


def _folding(words: str) -> str:
    """Which keys that are not the same a collation takes for equal, as a name for that; "": none.
    Of several that mind no case, each has its own letters with accents."""
    return re.sub("^utf8(mb3)?_", "utf8mb4_", words.rpartition(" ")[2]) if folds(words) else ""


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
