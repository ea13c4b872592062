"""From our names of tables and columns to those in the database, as `[core] prefix`, `[tables]` and
`[columns]` say."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError

from .schema import NAMES


class Names:
    """`names("users")` is what our table is called; `columns` holds {table: {ours: theirs}}, of
    renamed ones only."""

    def __init__(self, prefix: str = "", mapped: dict | None = None, columns: dict
                 | None = None) -> None:
        self.prefix, self.mapped, self.columns = prefix, mapped or {}, columns or {}
        for name in (prefix + "x", *self.mapped.values()):
            if not is_word(name):
                raise DatabaseError(f"{name!r} cannot be a table: expected ASCII letters, digits "
                                    "and _")
        for name in (*self.mapped, *self.columns):
            self._known(name)
        for table, renamed in self.columns.items():
            for theirs in renamed.values():
                if not is_word(theirs):
                    raise DatabaseError(f"{theirs!r} cannot be a column of {table}: expected ASCII "
                                        "letters, digits and _")

    def __call__(self, table: str) -> str:
        """The name in the database; DatabaseError for a table that is not ours."""
        self._known(table)
        return self.mapped.get(table) or self.prefix + table

    def column(self, table: str, name: str) -> str:
        """What a column of ours is called there."""
        renamed = self.columns.get(table)
        return renamed.get(name, name) if renamed else name

    def ours(self, table: str) -> dict:
        """{theirs, in lower case: ours} of the renamed columns.

        A column of the app's that has by chance one of our names, and another meaning, is `app_`
        and that name.
        """
        renamed = self.columns.get(table) or {}
        return {**{name: f"app_{name}" for name in renamed},
                **{theirs.lower(): name for name, theirs in renamed.items()}}

    @staticmethod
    def _known(table: str) -> None:
        if table not in NAMES:
            raise DatabaseError(f"there is no table {table!r} in the schema")


def is_word(name: str) -> bool:
    """Whether it can be a name in SQL without quotes."""
    return name.isascii() and name.isidentifier()
