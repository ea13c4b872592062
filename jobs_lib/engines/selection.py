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
Branch.__doc__ = "A condition, and the column that its rows are ordered by, mostly one of times."


class Filter:
    """Rows that are deleted by conditions: `branches`, joined by OR in `sql`, with their `values`.

    listed    only rows that were read are deleted, by their ids, and never a range of ids
    counted   the name under which the rows are counted too
    cutoffs   the times before which rows are deleted
    """

    def __init__(self, table: str, branches: list, values: dict, cutoffs: list, *,
                 listed: bool = False, counted: str = "") -> None:
        self.table, self.branches, self.values, self.cutoffs = table, branches, values, cutoffs
        self.listed, self.counted, self.sql = listed, counted, _any(branches)

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


class Selection(Filter):
    """The rows of `rules`, a list of (Rule, the time before which its rows are deleted); `ctx` is
    for what a rule's `also` asks."""

    def __init__(self, table: str, rules: list, ctx) -> None:
        # an empty text, a number, 1970-01-01 or MySQL's 0000-00-00 is no time: such a row stays
        values: dict = {"earliest": clock.FIRST}
        branches, self._invalid = [], []
        for number, (rule, cutoff) in enumerate(rules):
            before = f"before{number}"
            values[before] = cutoff
            only = []
            for column, value in rule.only.items():
                if value is None or value is rule.PRESENT:
                    only.append(f"{column} IS {'NOT ' if value is rule.PRESENT else ''}NULL")
                else:
                    values[f"only{number}_{column}"] = value
                    only.append(f"{column} = :only{number}_{column}")
            also, more = rule.also(ctx) if rule.also else ("", {})
            values.update(more)
            for age, missing in ((rule.age, ()), (rule.fallback, (f"{rule.age} IS NULL",))):
                if age:
                    which = [*only, *missing]
                    past = [f"{age} >= :earliest AND {age} < :{before}"]
                    branches.append(Branch(" AND ".join(
                        [*which, *past, *([f"({also})"] if also else [])]), age))
                    self._invalid.append(" AND ".join([*which, f"{age} < :earliest"]))
        super().__init__(table, branches, values, [cutoff for _, cutoff in rules])

    def count_invalid(self, db) -> int:
        """How many rows have a time that is none, where one decides."""
        return sum(db.value(f"SELECT COUNT(*) FROM {{{self.table}}} WHERE {sql}", **self.values)
                   for sql in dict.fromkeys(self._invalid))


def _any(branches: list[Branch]) -> str:
    return "(" + " OR ".join(f"({branch.sql})" for branch in branches) + ")"
