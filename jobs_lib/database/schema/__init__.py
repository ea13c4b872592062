"""The tables of the database, and the steps that make them. Here only their names, ours and those
in the database, as `[core] prefix` and `[tables]` say: each run needs these."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError

from . import app_tables, own_tables

# name -> its description, for database/schema/tables.py
NAMES = {**app_tables.TABLES, **own_tables.TABLES}


class Names:
    """`names("users")` is what our table is called; `mapped` holds those that have a name of their
    own."""

    def __init__(self, prefix: str = "", mapped: dict | None = None) -> None:
        self.prefix, self.mapped = prefix, mapped or {}

    def __call__(self, table: str) -> str:
        """The name in the database; DatabaseError for a table that is not ours."""
        if table not in NAMES:
            raise DatabaseError(f"there is no table {table!r} in the schema")
        return self.mapped.get(table) or self.prefix + table
