"""Some rows of an app's table, from either end of it, for what only rows show."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError


def sampled_rows(db, table: str, columns: dict[str, str], most: int,
                 key: str = "id") -> list[dict]:
    """The first `most` rows and the last, each once; none where the database does not answer, which
    is reported with the schema. `columns`: {name in the result: SQL}, in the app's names; `key`:
    the column that the table is in the order of."""
    key = db.dialect.exact(db.name.column(table, key))
    rows: dict = {}
    read = ", ".join(f"{sql} AS {db.dialect.quote(name)}" for name, sql in columns.items())
    for order in ("DESC", "ASC") if columns else ():
        try:
            found = db.query(f"SELECT {key} AS row_key, {read} FROM "
                             f"{db.dialect.quote(db.name(table))} ORDER BY {key} {order} "
                             f"LIMIT {most}")
        except DatabaseError:
            return []
        rows.update((row["row_key"], row) for row in found)
        if len(found) < most:
            break
    return list(rows.values())


def read_as(db, table: str, column: str) -> str:
    """SQL for what the jobs read of a column of ours, in the app's names."""
    expression = db.name.expression(table, column)
    return (expression.text(db.dialect) if expression
            else db.dialect.exact(db.name.column(table, column)))
