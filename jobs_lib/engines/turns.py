"""Whose rows a claim takes: owners take turns, the one that was served longest ago first.

The owners stand in a ring, in the order of their ids; nobody's rows are an owner's as well. A claim
goes on behind the owner that was served last, takes a few rows of each, and mixes them, so that any
limit that cuts the claim short cuts all owners alike. Where the ring stands is kept in
`queue_turns`, for the claims and runs to come.

It costs the same whatever waits. A claim first reads the rows that are due longest, a window of
some hundred: if these are all, they are put in order here. If there are more, it steps from owner
to owner by an index: an owner with many rows costs one step, as one with few does, and after a
number of steps the claim takes what it has found, filled up from the window. (docs/decisions.md,
"Owners take turns")
"""
from __future__ import annotations

from collections import namedtuple
from itertools import groupby, takewhile

from .rows import UNCLAIMED

URGENT, NORMAL, LOW = 0, 1, 2        # of notices, as `priority` holds them
WINDOW = 300                # rows: if fewer are due, they are all that is due
TURN = 10                   # an owner gets one row in so many of a claim, while others wait
# entries of the index that a step reads: few where owners have many rows
FEWEST, MOST = 20, 500
# what a claim may spend on its walk; a query costs 1, and each 100 entries 1 more
STEPS = 150.0
# entries that are looked at to pass owners with nothing due, and how many it has to pass
STRIDE, WORTH_IT = 5000, 10
BEGINNING = ("",)           # the place before all owners

Rank = namedtuple("Rank", "priority wait", defaults=(None, None))
Rank.__doc__ = """Rows that go together.

priority  the value of that column; None where the queue has none
wait      only rows that have been due for so long; None: all
"""


class Turns:
    """The ring of a queue's owners, one for each priority."""

    def __init__(self, worker) -> None:
        self.worker, self.db, self.queue = worker, worker.db, worker.queue
        self._crowded: set = set()          # ranks with more due rows than the window holds
        self._places: dict | None = None    # {priority: the owner that was served last}
        self._moved: set = set()            # the priorities of which that has changed in this run
        # the claim's: {priority: {owner: where the ring stands once it was served}}
        self._order: dict = {}

    def choose(self, most: int, without: frozenset) -> list[int]:
        """The ids of at most so many due rows, in the order in which they are to be served: a
        claim."""
        ids: dict = {}
        self._order = {}
        for rank in self.queue.ranks:
            if len(ids) < most:
                ids.update(dict.fromkeys(self._of_rank(rank, most - len(ids), without, ids)))
        return list(ids)

    def _of_rank(self, rank: Rank, most: int, without: frozenset, taken) -> list[int]:
        if not self.queue.in_turns:
            rule, values = self.worker.of(rank.priority)
            rows = self.worker.select(self.worker.kinds(rank.wait), most,
                                      rule + self.worker.owner_may, **values)
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
        """This row is begun: the ring stands behind its owner, unless it was further already."""
        priority = row.get("priority") if self._ranked else None
        order = self._order.get(priority, {})
        while row.get("user_id") in order:
            self._move(priority, order.pop(next(iter(order))))

    def keep(self) -> None:
        """Store where the ring stands. All that has changed in the run: what was stored before may
        be rolled back."""
        for priority in self._moved:
            place = self._place_of()[priority]
            self.db.upsert("queue_turns", {"queue": self.queue.table, "priority": priority or 0},
                           {"last_owner": None if place is None else str(place)})

    def _move(self, priority, place) -> None:
        self._place_of()[priority] = place
        self._moved.add(priority)

    @property
    def _ranked(self) -> bool:
        return self.queue.ranks[0].priority is not None

    def _place_of(self) -> dict:
        if self._places is None:
            rows = self.db.query("SELECT priority, last_owner FROM {queue_turns} "
                                 "WHERE queue = :queue", queue=self.queue.table)
            self._places = {row["priority"] if self._ranked else None: _owner(row["last_owner"])
                            for row in rows}
        return self._places

    # All that is due

    def _window(self, rank: Rank, most: int) -> list[dict]:
        rule, values = self.worker.of(rank.priority)
        return self.worker.select(self.worker.kinds(rank.wait), most, rule, **values)

    def _allowed(self, rows: list[dict], without: frozenset) -> list[dict]:
        barred = self.worker.suspended({row["owner"] for row in rows}) | without
        return [row for row in rows if row["owner"] not in barred]

    def _with_window(self, rank: Rank, most: int, without: frozenset, found: dict,
                     ring: dict) -> tuple[dict, dict]:
        """What a walk has found, filled up with the rows that are due longest."""
        rows = self._window(rank, WINDOW)
        whole = len(rows) < WINDOW
        if whole:
            self._crowded.discard(rank)
        elif rank not in self._crowded:
            self._crowded.add(rank)
            found, ring = self._walk(rank, most, without)
        if sum(map(len, found.values())) < most:
            window: dict = {}
            for row in self._allowed(rows, without):
                window.setdefault(row["owner"], []).append(row["id"])
            place = self._place_of().get(rank.priority, BEGINNING) if len(window) > 1 else BEGINNING
            for owner in sorted(window, key=lambda owner: (_at(owner) <= _at(place), _at(owner))):
                found.setdefault(owner, window[owner])
        return found, {**dict(zip(found, found)), **ring} if whole else ring

    # From owner to owner

    def _walk(self, rank: Rank, most: int, without: frozenset) -> tuple[dict, dict]:
        """({owner: ids of due rows}, {owner: where the ring stands once it was served}), from the
        owner that was served last on, once round at most."""
        walk = _Walk(self, rank, most, without, self._place_of().get(rank.priority, BEGINNING))
        walk.run()
        ring = dict(zip(walk.found, walk.found))
        if not ring:
            self._move(rank.priority, walk.at)
        else:
            ring[list(ring)[-1]] = walk.at          # those behind the last one had nothing
        return walk.found, ring


class _Walk:
    """One walk along the ring."""

    def __init__(self, turns: Turns, rank: Rank, most: int, without: frozenset, place) -> None:
        self.turns, self.worker, self.db = turns, turns.worker, turns.db
        self.rank, self.most, self.without = rank, most, without
        self.place, self.at = place, place
        self.found: dict = {}
        self.left, self.size, self.turn = STEPS, FEWEST, max(most // TURN, 1)
        self.wrapped, self.strides = place == BEGINNING, True
        rule, self.values = self.worker.of(rank.priority)
        self.where = f"FROM {self.worker.table} WHERE status = 'pending'{rule}"
        self.kinds = self.worker.kinds(rank.wait)

    def run(self) -> None:
        """Go on until enough is found, the ring is through, or the steps are used up."""
        while self.left > 0 and not self._enough():
            if self.at == BEGINNING:
                self._nobodys()
            elif not self._step():
                if self.wrapped:
                    return
                self.wrapped, self.at = True, BEGINNING

    def _enough(self) -> bool:
        return sum(min(len(ids), self.turn) for ids in self.found.values()) >= self.most

    def _over(self, owner) -> bool:
        """Whether the walk has come round to where it began."""
        return self.wrapped and self.place != BEGINNING and _at(owner) > _at(self.place)

    def _nobodys(self) -> None:
        self.at = None
        if not self._over(None):
            self._take({None: self._of(None)})

    def _step(self) -> bool:
        """The next owners. False at the end of the ring."""
        rows = self._entries()
        groups = [(owner, list(group)) for owner,
                  group in groupby(rows, key=lambda row: row["owner"])]
        whole = len(rows) < self.size
        self.size = max(FEWEST, min(MOST, self.size * 4 if len(groups) * 4 >= self.size
                                    else self.size // 2))
        due: dict = {}
        number = 0
        for place, (owner, group) in enumerate(groups, 1):
            if self._over(owner):
                self._take(due)
                return False
            self.at = owner
            if owner not in self.without:
                due[owner] = self._due_of(owner, group, whole or place < len(groups))
                number += min(len(due[owner]), self.turn)
                if number >= self.most:         # the rest is for the next claim
                    whole = False
                    break
        self._take(due)
        if self.strides and not (whole or number):
            self._stride()
        return not whole

    def _stride(self) -> None:
        """Pass owners with nothing due, many at once, by the index alone. Of the last one it may
        show a part only."""
        _, never_tried = self.kinds
        rows = self.db.query(
            "SELECT owner, MAX(is_due) AS is_due, COUNT(*) AS number FROM (SELECT user_id AS owner,"
            f" CASE WHEN next_attempt_at <= :until OR ({never_tried.rule}) THEN 1 ELSE 0 END AS "
            f"is_due {self.where}"
            " AND user_id > :owner ORDER BY user_id, next_attempt_at, created_at, id "
            "LIMIT :most) entries"
            " GROUP BY owner ORDER BY owner", owner=self.at, most=STRIDE, **self.values, **{
                **self.kinds[0].values, **never_tried.values})
        self.left -= 1 + sum(row["number"] for row in rows) / 1000
        passed = list(takewhile(lambda row: not row["is_due"] and not self._over(row["owner"]),
                                rows[:-1]))
        self.at = passed[-1]["owner"] if passed else self.at
        self.strides = len(passed) >= WORTH_IT or any(row["is_due"] for row in rows)

    def _due_of(self, owner, group: list[dict], whole: bool) -> list[int]:
        """An owner's due rows, of whom `group` are the first entries, or all."""
        if whole:
            return self._ids([row for row in group if row["is_due"]])
        return self._of(owner) if self._may_have_due(group) else []

    def _entries(self) -> list[dict]:
        """Entries of the owners behind the one that we are at, each owner's own in the order in
        which they are due."""
        after, value = "user_id > :owner", self.at
        if self.at is None:
            # MIN takes an index and knows no NULL; `IS NOT NULL` takes none in SQLite.
            after, value = "user_id >= :owner", self.db.value("SELECT MIN(user_id) AS first "
                                                              f"{self.where}", **self.values)
            if value is None:
                return []
        scheduled, never_tried = self.kinds
        fresh = " AND attempts = 0" if self.worker.only_first_attempts else ""
        rows = self.db.query(
            "SELECT id, user_id AS owner, next_attempt_at AS scheduled, created_at AS created,"
            f" CASE WHEN {UNCLAIMED}{fresh} AND (({scheduled.rule}) "
            f"OR ({never_tried.rule})) THEN 1 ELSE 0 END"
            f" AS is_due {self.where} AND {after} "
            "ORDER BY user_id, next_attempt_at, created_at, id LIMIT :most",
            owner=value, most=self.size, **self.values,
            **{**never_tried.values, **scheduled.values})
        self.left -= 1 + len(rows) / 100
        return rows

    @staticmethod
    def _may_have_due(group: list[dict]) -> bool:
        """Whether an owner of whom we have seen a part may have rows that are due: what has waited
        longest stands first, those never tried before the others."""
        return any(row["is_due"] for row in group) or group[-1]["scheduled"] is None

    def _of(self, owner) -> list[int]:
        """The rows of one owner that are due longest."""
        self.left -= 2
        rule, _ = self.worker.of(self.rank.priority)
        if owner is None:
            return self._ids(self.worker.select(self.kinds, self.most,
                                                f"{rule} AND user_id IS NULL", **self.values))
        return self._ids(self.worker.select(self.kinds, self.most, f"{rule} AND user_id = :owner",
                                            owner=owner, **self.values))

    def _ids(self, rows: list[dict]) -> list[int]:
        return [row["id"] for row in sorted(map(self.worker.dated, rows),
                                            key=lambda row: (row["due"], row["id"]))]

    def _take(self, due: dict) -> None:
        due = {owner: ids for owner, ids in due.items() if ids}
        barred = self.worker.suspended(due)
        self.found.update((owner, ids) for owner, ids in due.items() if owner not in barred)


def mixed(lists: list[list]) -> list:
    """The first of each, then the second of each, and so on."""
    longest = max(map(len, lists), default=0)
    return [each[at] for at in range(longest) for each in lists if at < len(each)]


def _at(owner) -> tuple:
    """Where an owner stands in the ring: in the order of both engines' indexes."""
    if owner == BEGINNING:
        return (0,)
    if owner is None:
        return (1,)
    return (2, owner) if isinstance(owner, (int, float)) else (3, str(owner))


def _owner(text):
    """The owner behind what was stored of it."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        return text
