"""Very many rows, in one statement."""
from __future__ import annotations

DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))


def fill(db, table: str, row: dict, number: int, **changing: str) -> None:
    """Insert so many rows like this one, a power of ten; `changing`: SQL for a column, in which `n`
    is 0, 1, ..."""
    places = range(len(str(number)) - 1)
    n = " + ".join(f"{10 ** place} * t{place}.d" for place in places)
    joined = ", ".join(f"({DIGITS}) AS t{place}" for place in places)
    row = {name: value for name, value in row.items() if name not in changing}
    db.execute(f"INSERT INTO {{{table}}} ({', '.join([*row, *changing])}) SELECT "
               f"{', '.join([*(f':{name}' for name in row), *changing.values()])} "
               f"FROM (SELECT {n} AS n FROM {joined}) AS numbers", **row)
