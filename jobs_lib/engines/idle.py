"""Whether a queue has nothing for a run to do, by one statement: asked before anything is loaded
that works. Most runs end here.
"""
from __future__ import annotations


def is_idle(ctx, table: str, finished: tuple[str, ...]) -> bool:
    """Whether each row of the queue has one of the `finished` statuses. Rows of an unknown status
    are something to do: a run counts them."""
    return not ctx.db.query(any_of(table, of_other_status(ctx.db, table, finished)), most=1)


def of_other_status(db, table: str, statuses) -> list[str]:
    """Rules for the rows of none of these statuses; NULL is none of any."""
    return [*db.dialect.others(table, "status", statuses), "status IS NULL"]


def any_of(table: str, rules: list[str]) -> str:
    """The ids of rows that one of the rules finds, `:most` of each. A search for each rule: of one
    condition with OR an engine may make a search through all rows."""
    parts = [f"SELECT id FROM (SELECT id FROM {{{table}}} WHERE {rule} LIMIT :most) part_{number}"
             for number, rule in enumerate(rules)]
    return " UNION ALL ".join(parts)
