"""What kind of key the app's tables have: whole numbers that grow, or one kind of text for the
whole database, such as a UUID or a ULID.

`migrate` asks the catalogue, and writes down in `meta` which tables have text for a key. Each run
reads that with the version of the schema. Rows with numbers are read and deleted by ranges, those
with text by lists of keys.

A column of ours that refers to a text key has the type of that key, with its length, character set
and collation. So two keys are equal in our own tables just where they are in the app's.
"""
from __future__ import annotations

from . import app_tables, own_tables
from .tables import NO_DEFAULT, PAST, table
from .version import TEXT_KEYS

UUID = "uuid"  # MariaDB's type: 16 octets that are read as text
LONGEST = 255  # characters: an index over several such columns takes no more
TEXTS = ("char", "text", "clob", "uuid", "guid", "ulid")  # in the name of a type


def look(db, there: dict) -> None:
    """Find the types of the keys that are text, in SQL. `there`: what the catalogue says."""
    db.key_types = {name: _words(there[name]["id"]) for name in app_tables.TABLES
                    if "id" in there.get(name, ()) and is_text(there[name]["id"])}


def note(db) -> None:
    """Write down which keys are text."""
    db.text_keys = frozenset(db.key_types)
    db.upsert("meta", {"name": TEXT_KEYS}, {"value": " ".join(sorted(db.text_keys))})


def unfit(db, there: dict) -> list[tuple[str, str]]:
    """(table, column) of our own columns that were made for keys of another kind."""
    return [(name, column.name) for name, columns in there.items()
            if name in own_tables.TABLES for column in table(name).columns
            if column.target and column.goes != PAST and column.name in columns
            and is_text(columns[column.name]) != bool(column_type(db, column))]


def column_type(db, column) -> str | None:
    """The type, in SQL, of a column that refers to text keys; None of any other column."""
    any_table = next(iter(db.key_types.values()), None)
    text = any_table if column.target == "*" else db.key_types.get(column.target)
    # no row is compared with these, or not by an index; `''` is no UUID
    is_apart = column.goes == PAST or (column.default is not NO_DEFAULT and text == UUID)
    return db.dialect.types["label"] if text and is_apart else text


def is_text(facts: dict) -> bool:
    """Whether a column, as the catalogue has it, holds text."""
    return any(word in facts["whole"] for word in TEXTS)


def _words(facts: dict) -> str:
    """A text without a limit, such as that of a view, gets one: MySQL has no other keys."""
    size = facts["longest"]
    kind = facts["whole"] if size is None or size <= LONGEST else f"VARCHAR({LONGEST})"
    return f"{kind} {facts['collation']}".rstrip()
