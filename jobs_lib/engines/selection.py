"""The rows that a purge is about: one filter, fixed at the start, the same for counting, showing
and deleting.

Each rule is one or two branches: conditions with one `=` or IS NULL a column and then one range of
times, which an index serves from end to end. Never COALESCE: no index would serve it.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple

Branch = namedtuple("Branch", "sql age")
Branch.__doc__ = "A condition, and the column that its rows are ordered by, mostly one of times."


class Selection(namedtuple("Selection", "table branches values cutoffs invalid listed counted",
                           defaults=((), (), False, ""))):
    """The rows of a table that any of the `branches` finds, with their `values`.

    cutoffs  the times before which rows are deleted     invalid  SQL: rows whose time is none
    listed   they are deleted by the ids that were read, and never by a range of ids
    counted  a name under which they are counted, too
    """

    __slots__ = ()

    @property
    def sql(self) -> str:
        """The condition. Each DELETE carries all of it: a row that changed meanwhile is judged
        again."""
        return _any(self.branches)

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

    def count_invalid(self, db) -> int:
        """How many rows have a time that is none, where one decides."""
        return sum(db.value(f"SELECT COUNT(*) FROM {{{self.table}}} WHERE {sql}", **self.values)
                   for sql in dict.fromkeys(self.invalid))


def select(ctx, table: str, rules, limits: dict) -> Selection:
    """What the rules delete, if rows are kept as long as the `limits` say: {option: timedelta, None
    for ever}."""
    # an empty text, a number, 1970-01-01 or MySQL's 0000-00-00 is no time: such a row stays
    values: dict = {"earliest": clock.FIRST}
    branches, cutoffs, invalid = [], [], []
    for number, rule in enumerate(rules):
        keep = limits[rule.option] if rule.option else timedelta(0)
        if keep is None:
            continue
        cutoffs.append(ctx.now - keep - rule.later)
        values[f"before{number}"] = cutoffs[-1]
        only = []
        for column, value in rule.only.items():
            if value is None or value is rule.PRESENT:
                only.append(f"{column} IS {'NOT ' if value is rule.PRESENT else ''}NULL")
            else:
                values[f"only{number}_{column}"] = value
                only.append(f"{column} = :only{number}_{column}")
        also = ""
        if rule.also:
            condition, more = rule.also(ctx, keep)
            also = f" AND ({condition})"
            values.update(more)
        for age, missing in ((rule.age, ()), (rule.fallback, (f"{rule.age} IS NULL",))):
            if age:
                which = "".join(f"{each} AND " for each in (*only, *missing))
                branches.append(Branch(f"{which}{age} >= :earliest AND {age} < :before{number}"
                                       f"{also}", age))
                invalid.append(f"{which}{age} < :earliest")
    return Selection(table, branches, values, cutoffs, invalid)


def _any(branches) -> str:
    return "(" + " OR ".join(f"({branch.sql})" for branch in branches) + ")"
