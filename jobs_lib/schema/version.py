"""Which schema this bundle was written for, and whether the database has it: one query in each run."""
from __future__ import annotations

from ..errors import DatabaseError
from ..ports.dialects import Missing

SCHEMA_VERSION = 3           # the last of the migrations


def found(db) -> int:
    """The schema that the database has; 0 before the first `migrate`."""
    try:
        return db.value("SELECT MAX(version) FROM {schema_migrations}") or 0
    except Missing:
        return 0


def check(db) -> None:
    """Raise DatabaseError, in one sentence, unless the schema is the one that this bundle was written for."""
    version = found(db)
    if version == SCHEMA_VERSION:
        return
    if version > SCHEMA_VERSION:
        raise newer(version)
    if version == 0:
        raise DatabaseError("the database has no tables of this bundle yet: run `jobs.py migrate`")
    raise DatabaseError(f"the database is at schema {version}, this bundle needs {SCHEMA_VERSION}:"
                        " run `jobs.py migrate`")


def newer(version: int) -> DatabaseError:
    """The refusal of a database that a newer bundle has upgraded."""
    return DatabaseError(f"the database is at schema {version}, newer than this bundle knows"
                         f" ({SCHEMA_VERSION}): install the newer bundle again")
