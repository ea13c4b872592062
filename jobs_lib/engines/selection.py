"""The rows that a purge is about: one filter, fixed at the start, the same for counting, showing
and deleting.

Each rule is one or two branches: conditions with one `=` or IS NULL a column and then one range of
times, which an index serves from end to end. All branches joined by OR are the filter that each
DELETE carries, so that a row which changed meanwhile is judged again. Never COALESCE: no index
would serve it.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.records import namedtuple

Branch = namedtuple("Branch", "sql age")
Branch.__doc__ = "A condition, and the column of times that its rows are ordered by."


class Selection:
    """`rules` is a list of (Rule, the time before which its rows go); `ctx` is for what a rule's
    `also` asks.

    What else is deleted like this has `branches`, `values`, `sql` and these two:
    listed   only rows that were read go, by their ids, and never a range of ids
    counted  the name under which the rows are counted too
    """

    listed, counted = False, ""

    def __init__(self, table: str, rules: list, ctx) -> None:
        self.table, self.cutoffs = table, [cutoff for _, cutoff in rules]
        self.branches: list[Branch] = []
        # an empty text, a number or MySQL's 0000-00-00 is no time: such a row stays
        self.values: dict = {"earliest": clock.FIRST}
        for number, (rule, cutoff) in enumerate(rules):
            before = f"before{number}"
            self.values[before] = cutoff
            only = [self._equal(rule, column, f"only{number}_{column}") for column in rule.only]
            more = self._also(rule, ctx)
            for age, missing in ((rule.age, ()), (rule.fallback, (f"{rule.age} IS NULL",))):
                if age:
                    past = f"{age} >= :earliest AND {age} < :{before}"
                    self.branches.append(Branch(" AND ".join([*only, *missing, past, *more]), age))
        self.sql = _any(self.branches)

    def count(self, db) -> int:
        """How many rows that is. Each branch is counted by its index, without the rows of the
        branches before it."""
        number = 0
        for at, branch in enumerate(self.branches):
            others = (f" AND CASE WHEN {_any(self.branches[:at])} THEN 0 ELSE 1 END = 1"
                      if at else "")
            number += db.value(f"SELECT COUNT(*) FROM {{{self.table}}} WHERE {branch.sql}{others}",
                               **self.values)
        return number

    def _also(self, rule, ctx) -> list[str]:
        if rule.also is None:
            return []
        sql, values = rule.also(ctx)
        self.values.update(values)
        return [f"({sql})"]

    def _equal(self, rule, column: str, name: str) -> str:
        value = rule.only[column]
        if value is None:
            return f"{column} IS NULL"
        if value is rule.PRESENT:
            return f"{column} IS NOT NULL"
        self.values[name] = value
        return f"{column} = :{name}"


def _any(branches: list[Branch]) -> str:
    return "(" + " OR ".join(f"({branch.sql})" for branch in branches) + ")"
