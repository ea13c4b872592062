"""From our names of tables and columns to those in the database, as `[core] prefix`, `[tables]` and
`[columns]` say."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError

from .schema import NAMES, is_name, is_word


class Names:
    """`names("users")` is what our table is called; `columns` holds {table: {ours: theirs}}, of
    renamed ones only, and `expressions` {table: {ours: Expression}} of those among them for which
    an expression stands (expressions.py). `also`: Furthers, of the app's tables that no job knows
    (schema/further.py)."""

    def __init__(self, prefix: str = "", mapped: dict | None = None, columns: dict
                 | None = None, also: tuple = ()) -> None:
        self.prefix, self.mapped, self.columns = prefix, mapped or {}, columns or {}
        self.also = also
        for name in (prefix + "x", *self.mapped.values()):
            if not all(is_word(part) for part in name.split(".", 1)):
                raise DatabaseError(f"{name!r} cannot be a table: expected ASCII letters, digits "
                                    "and _")
        for name in (*self.mapped, *self.columns):
            self._known(name)
        # other databases of the server that hold tables of the app's
        self.schemas = list(dict.fromkeys(name.partition(".")[0] for name in (
            *self.mapped.values(), *(each.table for each in also)) if "." in name))
        self.expressions: dict = {}
        for table, renamed in self.columns.items():
            if found := _expressions(table, renamed):
                self.expressions[table] = found

    def __call__(self, table: str) -> str:
        """The name in the database, as `database.table` where it is in another one of the server;
        DatabaseError for a table that is not ours."""
        self._known(table)
        return self.mapped.get(table) or self.prefix + table

    def by_schema(self, tables) -> dict:
        """{another database of the server, or None: {their name there, in lower case: our table}}.
        """
        found: dict = {}
        for table in tables:
            schema, _, name = self(table).rpartition(".")
            found.setdefault(schema or None, {})[name.lower()] = table
        return found

    def column(self, table: str, name: str) -> str:
        """What a column of ours is called there; the text of an expression."""
        renamed = self.columns.get(table)
        return renamed.get(name, name) if renamed else name

    def expression(self, table: str, name: str):
        """The Expression that stands for a column of ours, or None."""
        found = self.expressions.get(table)
        return found.get(name) if found else None

    def written(self, table: str, name: str) -> list[str]:
        """The columns there that are written for one of ours; none where it can only be read."""
        expression = self.expression(table, name)
        return ([column for column, _ in expression.writes] if expression
                else [self.column(table, name)])

    def shown(self, table: str, name: str) -> str:
        """A column of ours as its operator knows it."""
        if self.expression(table, name):
            return f"[columns] {table}.{name}"
        return f"{self(table)}.{self.column(table, name)}"

    def ours(self, table: str) -> dict:
        """{theirs, in lower case: ours} of the renamed columns.

        A column of the app's that has by chance one of our names, and another meaning, is `app_`
        and that name.
        """
        renamed = self.columns.get(table) or {}
        return {**{name: f"app_{name}" for name in renamed},
                **{theirs.lower(): name for name, theirs in renamed.items()
                   if not self.expression(table, name)}}

    def spellings(self) -> dict[str, str]:
        """{the name of a table of ours in lower case: as we spell it}."""
        return {name.lower(): name for name in map(self, NAMES)}

    @staticmethod
    def _known(table: str) -> None:
        if table not in NAMES:
            raise DatabaseError(f"there is no table {table!r} in the schema")


def _expressions(table: str, renamed: dict) -> dict:
    """{ours: Expression} of those that are no names."""
    found = {}
    for name, theirs in renamed.items():
        if not is_name(theirs):
            from .expressions import parse
            try:
                found[name] = parse(theirs)
            except ValueError as error:
                raise DatabaseError(f"{theirs!r} cannot be the column {name} of {table}: {error}"
                                    ) from None
    return found


def in_schema(name: str, schema: str | None) -> str:
    """A table's name, with the database that it is in, if that is another one."""
    return f"{schema}.{name}" if schema else name
