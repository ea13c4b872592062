"""Whose rows a claim takes: owners take turns, the one that was served longest ago first.

The owners form a ring, in the order of their ids (rotation.py); rows of nobody are an owner's as
well. A claim goes on behind the owner that was served last, takes a few rows of each, and mixes
them, so that any limit that cuts the claim short cuts all owners alike.

It costs the same whatever waits. A claim first reads the rows that are due longest, a window of
some hundred: if these are all, they are put in order here. If there are more, it walks from owner
to owner by an index: an owner with many rows costs one step, as one with few does, and after a
number of steps the claim takes what it has found, filled up from the window. (docs/decisions.md,
"Owners take turns")
"""
from __future__ import annotations

from functools import partial
from itertools import groupby
from operator import itemgetter

from jobs_lib.records import namedtuple

from . import rotation
from .rotation import Group, mixed
from .rows import UNCLAIMED

URGENT, NORMAL, LOW = 0, 1, 2        # of notices, as `priority` holds them
WINDOW = 300                # rows: if fewer are due, they are all that is due
TURN = 10                   # rows of a claim of which an owner gets one, while others wait
# entries of the index in one step: few where owners have many rows, more where nothing is due
FEWEST, MOST = 20, 5000
LISTED = 500                # of so many each is looked at; of more, by the index alone
# what a claim may spend on its walk; a query costs 1, and so do 100 entries, or 1,000 by the index
STEPS = 150.0

Rank = namedtuple("Rank", "priority wait", defaults=(None, None))
Rank.__doc__ = """Rows that go together.

priority  the value of that column; None where the queue has none
wait      only rows that have been due for so long; None: all
"""


class Turns:
    """The ring of a queue's owners, one for each priority."""

    def __init__(self, claims) -> None:
        self.claims, self.db, self.queue = claims, claims.db, claims.queue
        self._crowded: set = set()          # ranks with more due rows than the window holds
        self._places: dict = {}             # {priority: the owner that was served last}
        self._moved: set = set()            # the priorities of which that has changed in this run
        # the claim's: {priority: {owner: the ring's place once it is served}}
        self._order: dict = {}
        self._left = STEPS                  # what the walk of this claim may still spend

    def choose(self, most: int, without: frozenset) -> list[int]:
        """The ids of at most `most` due rows, in the order in which they are to be served: a
        claim."""
        ids: dict = {}
        self._order = {}
        for rank in self.queue.ranks:
            if len(ids) < most:
                ids.update(dict.fromkeys(self._of_rank(rank, most - len(ids), without, ids)))
        return list(ids)

    def _of_rank(self, rank: Rank, most: int, without: frozenset, taken) -> list[int]:
        if not self.queue.in_turns:
            rule, values = self.claims.of(rank.priority)
            rows = self.claims.select(self.claims.kinds(rank.wait), most,
                                      rule + self.claims.owner_may, **values)
            return [row["id"] for row in rows if row["owner"] not in without
                    and row["id"] not in taken][:most]
        found, ring = self._walk(rank, most, without) if rank in self._crowded else ({}, {})
        if sum(map(len, found.values())) < most:
            found, ring = self._with_window(rank, most, without, found, ring)
        if len(found) > 1 or any(owner != place for owner, place in ring.items()):
            # An owner alone moves nothing, but for a walk that went on behind it.
            order = self._order.setdefault(rank.priority, {})
            for owner, place in ring.items():
                order.setdefault(owner, place)
        return mixed([[id for id in ids if id not in taken] for ids in found.values()])[:most]

    def served(self, row: dict) -> None:
        """This row is begun: the ring moves behind its owner, unless it was further already."""
        priority = row.get("priority") if self._ranked else None
        order = self._order.get(priority, {})
        while row.get("user_id") in order:
            self._move(priority, order.pop(next(iter(order))))

    def keep(self) -> None:
        """Store the ring's places, all that have changed in the run: what was stored before may be
        rolled back."""
        for priority in self._moved:
            rotation.keep(self.db, self.queue.table, self._places[priority], priority or 0)

    def _move(self, priority, place) -> None:
        self._places[priority] = place
        self._moved.add(priority)

    @property
    def _ranked(self) -> bool:
        return self.queue.ranks[0].priority is not None

    def _place(self, priority):
        """The owner that was served last."""
        if priority not in self._places:
            self._places[priority] = rotation.last(self.db, self.queue.table, priority or 0)
        return self._places[priority]

    # All that is due

    def _with_window(self, rank: Rank, most: int, without: frozenset, found: dict,
                     ring: dict) -> tuple[dict, dict]:
        """What a walk has found, filled up with the rows that are due longest."""
        rule, values = self.claims.of(rank.priority)
        rows = self.claims.select(self.claims.kinds(rank.wait), WINDOW, rule, **values)
        whole = len(rows) < WINDOW
        if whole:
            self._crowded.discard(rank)
        elif rank not in self._crowded:
            self._crowded.add(rank)
            found, ring = self._walk(rank, most, without)
        if sum(map(len, found.values())) < most:
            blocked = self.claims.suspended({row["owner"] for row in rows}) | without
            window: dict = {}
            for row in rows:
                if row["owner"] not in blocked:
                    window.setdefault(row["owner"], []).append(row["id"])
            place = self._place(rank.priority) if len(window) > 1 else rotation.BEGINNING
            for owner in rotation.in_order(window, place):
                found.setdefault(owner, window[owner])
        return found, {**dict(zip(found, found)), **ring} if whole else ring

    # From owner to owner

    def _walk(self, rank: Rank, most: int, without: frozenset) -> tuple[dict, dict]:
        """({owner: ids of due rows}, {owner: the ring's place once it is served}), from the
        owner that was served last on, once round at most."""
        at, found = None, {}
        self._left, turn = STEPS, max(most // TURN, 1)
        for at, ids in self._owners(rank, most, without):
            if ids:
                found[at] = ids
            if sum(min(len(ids), turn) for ids in found.values()) >= most:
                break                           # the rest is for the next claim
        if not found:
            self._move(rank.priority, at)
        ring = dict(zip(found, found))
        if ring:
            ring[list(ring)[-1]] = at           # those behind the last one had nothing
        return found, ring

    def _owners(self, rank: Rank, most: int, without: frozenset):
        """Each owner that the walk passes, with the ids of its rows that are due longest."""
        place = self._place(rank.priority)
        for page in rotation.walk(partial(self._read, rank), place, FEWEST, MOST):
            due = {group.owner for group in page if group.is_due is not False} - without
            due -= self.claims.suspended(due)
            for group in page:
                yield group.owner, self._due_of(rank, group, most) if group.owner in due else []
            if self._left <= 0:
                return

    def _due_of(self, rank: Rank, group: Group, most: int) -> list[int]:
        rows = group.rows
        if rows is None:
            self._left -= 2
            rule, values = self.claims.of(rank.priority)
            whose = "IS NULL" if group.owner is None else "= :owner"
            rows = self.claims.select(self.claims.kinds(rank.wait), most,
                                      f"{rule} AND user_id {whose}", owner=group.owner, **values)
        return [row["id"] for row in sorted(map(self.claims.dated, rows),
                                            key=itemgetter("due", "id"))]

    def _read(self, rank: Rank, behind, up_to, size: int) -> tuple[list[Group], bool]:
        """(the owners of that many entries, whether these are the last): each owner's own in the
        order in which they are due."""
        rule, values = self.claims.of(rank.priority)
        where, after = f"FROM {self.claims.table} WHERE status = 'pending'{rule}", ">"
        if behind is None:
            # MIN takes an index and knows no NULL; `IS NOT NULL` takes none in SQLite.
            after, behind = ">=", self.db.value(f"SELECT MIN(user_id) AS first {where}", **values)
        end = "" if up_to is None else " AND user_id <= :up_to"
        scheduled, never_tried = self.claims.kinds(rank.wait)
        values = {**values, **scheduled.values, **never_tried.values, "behind": behind,
                  "up_to": up_to, "size": size}
        columns = ("SELECT user_id AS owner, CASE WHEN next_attempt_at > :until THEN 1 ELSE 0 END"
                   " AS is_later, CASE WHEN %s THEN 1 ELSE 0 END AS is_due")
        tail = (f"{where} AND user_id {after} :behind{end}"
                " ORDER BY user_id, next_attempt_at, created_at, id LIMIT :size")
        if size > LISTED:
            is_due = f"next_attempt_at <= :until OR ({never_tried.rule})"
            groups, number = rotation.grouped(self.db, f"{columns % is_due} {tail}", **values)
            self._left -= 1 + number / 1000
            return groups, number < size
        fresh = " AND COALESCE(attempts, 0) = 0" if self.claims.only_first_attempts else ""
        is_due = f"{UNCLAIMED}{fresh} AND (({scheduled.rule}) OR ({never_tried.rule}))"
        rows = self.db.query(f"{columns % is_due}, id, next_attempt_at AS scheduled,"
                             f" created_at AS created {tail}", **values)
        self._left -= 1 + len(rows) / 100
        return [_group(owner, list(rows)) for owner, rows
                in groupby(rows, itemgetter("owner"))], len(rows) < size


def _group(owner, rows: list[dict]) -> Group:
    due = [row for row in rows if row["is_due"]]
    return Group(owner, bool(due), bool(rows[-1]["is_later"]), due)
