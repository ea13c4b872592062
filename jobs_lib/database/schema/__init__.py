"""The tables of the database, and the steps that make them. Here only their names, ours and those
in the database, as `[core] prefix` and `[tables]` say: each run needs these."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError

from . import app_tables, own_tables

# name -> its description, for database/schema/tables.py
NAMES = {**app_tables.TABLES, **own_tables.TABLES}


def is_word(name: str) -> bool:
    """Whether it can be a name in SQL without quotes."""
    return name.isascii() and name.isidentifier()


class Names:
    """`names("users")` is what our table is called; `mapped` holds those that have a name of their
    own."""

    def __init__(self, prefix: str = "", mapped: dict | None = None) -> None:
        self.prefix, self.mapped = prefix, mapped or {}
        for name in (prefix + "x", *self.mapped.values()):
            if not is_word(name):
                raise DatabaseError(f"{name!r} cannot be a table: expected ASCII letters, digits "
                                    "and _")
        for name in self.mapped:
            self._known(name)

    def __call__(self, table: str) -> str:
        """The name in the database; DatabaseError for a table that is not ours."""
        self._known(table)
        return self.mapped.get(table) or self.prefix + table

    @staticmethod
    def _known(table: str) -> None:
        if table not in NAMES:
            raise DatabaseError(f"there is no table {table!r} in the schema")
