"""How many rows will become due, now and on each of the coming days: what `adopt` shows.

Counted with the conditions that the jobs themselves select by, so that an index serves each. A
count ends at MOST rows, and a day is counted only while there is time: then the numbers are the
least that it will be.
"""
from __future__ import annotations

from itertools import islice

from jobs_lib.records import namedtuple

from .purge import by_age, cutoffs
from .rules import Purge
from .selection import Selection

MOST = 100_000

# acts by which an owner gets a notice, at once or when it is done
NOTIFIES = ("notify of", "remind of", "warn of", "deactivate", "make", "close")

Coming = namedtuple("Coming", "act what purge later dates owners",
                    defaults=(None, None, None, None))
Coming.__doc__ = """Something that a job will do as time passes.

act, what  in words: "delete", "rows of sessions"; "warn of", "aliases that end"
purge      Purge: its rules say what is due, whether or not it is then deleted
later      the rules for the coming days; None: those of the purge by age alone, since what else
           they ask for is not known yet
dates      instead of a purge: function of the Context -> the times at which items become due
owners     and another -> the ids of the users whose items are due now; of a purge, they are in
           its rows
"""
Outlook = namedtuple("Outlook", "now held_back days whole")
Outlook.__doc__ = """The numbers of a Coming.

now        due at the first moment
held_back  old enough at that moment, and still kept by another condition
days       a number for each step of time
whole      False: there may be more, counting was cut short
"""


def deletes(purge) -> Coming:
    """What a Purge will do."""
    return Coming("delete", f"rows of {purge.table}", purge)


def rows(act: str, what: str, table: str, *rules, owners=None) -> Coming:
    """What is due by these rules, now and later."""
    return Coming(act, what, Purge(table, rules), rules, owners=owners)


class Counter:
    """Counts over `moments`: now, the end of the first step, of the second, ...

    `has_time()` is asked before each step.
    """

    def __init__(self, ctx, moments: list, has_time) -> None:
        self.ctx, self.moments, self.has_time = ctx, moments, has_time
        self._whole = True

    def outlook(self, coming: Coming) -> Outlook | None:
        """The numbers; None where all its rules are off."""
        self._whole = True
        if coming.dates:
            return self._by_dates(coming.dates(self.ctx))
        purge, first = coming.purge, self.moments[0]
        timed = cutoffs(purge, self.ctx.options, first)
        if not timed:
            return None
        now = self._count(purge.table, timed)
        aged = now if all(rule.also is None for rule, _ in timed) else self._count(
            purge.table, by_age(timed))
        return Outlook(now, max(0, aged - now), self._by_days(coming), self._whole)

    def owners(self, coming: Coming, most: int) -> list:
        """The ids of the users whose items are due now, each once, `most` at most."""
        if coming.owners:
            return list(islice(dict.fromkeys(coming.owners(self.ctx)), most))
        column = coming.purge and _owner_column(coming.purge.table)
        timed = column and cutoffs(coming.purge, self.ctx.options, self.moments[0])
        if not timed:
            return []
        chosen = Selection(coming.purge.table, timed, self.ctx)
        return [row["owner"] for row in self.ctx.db.query(
            f"SELECT DISTINCT {column} AS owner FROM {{{coming.purge.table}}} WHERE {chosen.sql} "
            "LIMIT :most", **chosen.values, most=most)]

    def _by_dates(self, dates) -> Outlook:
        days = [0] * len(self.moments)
        for moment in dates:
            step = sum(moment > end for end in self.moments)
            if step < len(days):
                days[step] += 1
        return Outlook(days[0], 0, days[1:], True)

    def _by_days(self, coming: Coming) -> list[int]:
        steps = [self._rules(coming, moment) for moment in self.moments]
        if self._count(coming.purge.table, steps[-1], steps[0], most=1) == 0:
            return [0] * (len(steps) - 1)
        days = []
        for earlier, later in zip(steps, steps[1:]):
            if not self.has_time():
                self._whole = False
                break
            days.append(self._count(coming.purge.table, later, earlier))
        return days + [0] * (len(steps) - 1 - len(days))

    def _rules(self, coming: Coming, moment) -> list:
        if coming.later is None:
            return by_age(cutoffs(coming.purge, self.ctx.options, moment))
        return cutoffs(coming.purge._replace(rules=coming.later), self.ctx.options, moment)

    def _count(self, table: str, timed: list, earlier: list | None = None,
               most: int | None = None) -> int:
        """How many rows are due by these rules and, if those are given, were not by the earlier
        ones. Each branch is counted by its index, without the rows of the branches before it."""
        most = most or MOST
        chosen = Selection(table, timed, self.ctx, [before for _, before in earlier or []])
        values, others = chosen.values, []
        if earlier and len(chosen.branches) > 1:
            past = Selection(table, earlier, self.ctx, mark="_past")
            values, others = {**past.values, **values}, [past.sql]
        number = 0
        for branch in chosen.branches:
            conditions = [branch.sql, *map(_not, others)]
            found = self.ctx.db.value(
                f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM {{{table}}} "
                f"WHERE {' AND '.join(conditions)} LIMIT :most) found", **values, most=most)
            self._whole &= found < most or most < MOST
            number += found
            others.append(f"({branch.sql})")
        return number


def _owner_column(table: str) -> str:
    """Which column of a table has the id of a user; "" where none has."""
    from jobs_lib.database.schema.tables import column_names
    return "id" if table == "users" else "user_id" if "user_id" in column_names(table) else ""


def _not(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 0 ELSE 1 END = 1"
