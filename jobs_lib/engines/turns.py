"""Owners take turns: around all of them in the order of their ids, from one run to the next.

One pointer a ring is kept, the owner that had the last turn, stored in the commit that begins a
row: whoever comes after a killed run goes on behind the same owner. Within an owner urgent rows go
first, then the longest due. Urgent rows of all owners have a ring of their own, ahead of the other.

Owners are found among the due rows. Where these fit in one page, what is due later costs nothing,
however much it is; where they do not, one step along an index leads to the next owner, past all
rows of the one before.
"""
from __future__ import annotations

from itertools import groupby, islice, zip_longest

from jobs_lib.database.values import fitted, ordered
from jobs_lib.records import namedtuple

from .due import stopped

PAGE = 300          # due rows that are read at once
AHEAD = 20          # turns that are looked for at once, where there are more due rows
MOST_LEFT = 2000    # rows that a run may leave where they are
URGENT = 0
LONGEST = 64        # characters of an owner's id that is kept
START: object = object()        # the ring's beginning: rows of nobody (NULL), then all owners

Turn = namedtuple("Turn", "id owner urgent ring")
Turn.__doc__ = """One row's turn: `owner` moves to the pointer of `ring` when the row is begun."""


class Ring:
    """One ring of a queue, as one run (queue.Work) goes along it.

    ahead    urgent rows alone
    passed   owners whose rows are left where they are
    left     ids of rows that were taken and not begun: none is taken twice, unless it is given
             back by taking it out of this set
    """

    def __init__(self, work, ahead: bool = False) -> None:
        self.db, self.queue, self.work, self.ahead = work.db, work.queue, work, ahead
        self.name = self.queue.kind + (":urgent" if ahead else "")
        self.passed: set = set()
        self.left: set = set()
        self._begun: set = set()                # what is put back is for the next run
        self._behind = self._stored = last(self.db, self.name)
        self._waiting: list[Turn] = []

    def take(self, most: int) -> list[Turn]:
        """The next turns, `most` at most; [] when nobody has a row that is due."""
        if not self._waiting and len(self.left) < MOST_LEFT:
            self._waiting = self._look()
        turns, self._waiting = self._waiting[:most], self._waiting[most:]
        self.left.update(turn.id for turn in turns)
        if turns:
            self._behind = turns[-1].owner
        return turns

    def forget(self) -> None:
        """Look again at the next `take`, behind who was served last: owners and rows may have come
        or gone."""
        self._behind, self._waiting = self._stored, []

    def move(self, turn: Turn) -> None:
        """The row is begun, in the open transaction: its owner had the last turn."""
        if turn.owner != self._stored or self._stored is START:
            text = None if turn.owner is None else fitted(str(turn.owner), LONGEST)
            self.db.upsert("queue_turns", {"ring": self.name}, {"last_owner": text})
            self._stored = turn.owner
        self.left.discard(turn.id)
        self._begun.add(turn.id)

    def _look(self) -> list[Turn]:
        lists, most = None if self.ahead else self._page(), PAGE
        if lists is None:
            lists, most = self._steps(), AHEAD
        going = islice((rows for owner, rows in lists if owner not in self.passed), most)
        # the first of each owner, then the second of each, and so on
        in_turn = (row for lap in zip_longest(*going) for row in lap
                   if row and row["id"] not in self._begun)
        return [Turn(row["id"], row["user_id"], row["priority"] == URGENT, self)
                for row in islice(in_turn, most)]

    def _page(self) -> list[tuple] | None:
        """[(owner, its rows)] of all that is due, the owner behind the last turn first; None when
        it is more than a page."""
        rows = self._due(f"ORDER BY {self.queue.time} LIMIT {PAGE}")
        if len(rows) == PAGE:
            return None
        rows.sort(key=lambda row: [ordered(row[name]) for name in (
            "user_id", "priority", self.queue.time, "id")])
        lists = _by_owner(rows)
        if self._behind is not START:
            lists.sort(key=lambda found: ordered(found[0]) <= ordered(self._behind))
        return lists

    def _steps(self):
        """(owner, its first rows) from the one behind the last turn on, each once. They are all its
        rows, or AHEAD."""
        met: set = set()
        order = f"user_id, {'priority, ' * (self.queue.priority and not self.ahead)}"
        for behind in dict.fromkeys((self._behind, START)):
            is_last = False
            while not is_last:
                rule = "" if behind is START else "AND user_id > :behind "
                if behind is None:      # of everybody: nobody's rows come first
                    rule = "AND user_id IS NOT NULL "
                rows = self._due(f"{rule}ORDER BY {order}{self.queue.time}, id LIMIT {AHEAD}",
                                 behind=behind)
                found, is_last = _by_owner(rows), len(rows) < AHEAD
                if not is_last and len(found) > 1:
                    found.pop()                         # it may have more of them
                for behind, theirs in found:
                    if behind in met:
                        return
                    met.add(behind)
                    yield behind, theirs

    def _due(self, end: str, **values) -> list[dict]:
        """Rows that are due and may be taken."""
        rule, bound = self.work.due_rule()
        rule += f" AND priority = {URGENT}" if self.ahead else ""
        rule += " AND id NOT IN (:left)" if self.left else ""
        priority = "priority" if self.queue.priority else "1 AS priority"
        return self.db.query(
            f"SELECT id, user_id, {priority}, {self.queue.time} FROM {self.work.table} WHERE "
            f"{self.work.pending} AND {rule} AND NOT {stopped(self.queue)} {end}",
            left=list(self.left), **bound, **values)


def _by_owner(rows: list[dict]) -> list[tuple]:
    """[(owner, its rows), ...] of rows in the order of their owners."""
    return [(owner, list(theirs)) for owner, theirs in groupby(rows, lambda row: row["user_id"])]


def last(db, ring: str):
    """The owner that had the last turn, or START."""
    row = db.row("SELECT last_owner FROM {queue_turns} WHERE ring = :ring", ring=ring)
    if row is None:
        return START
    text = row["last_owner"]
    is_number = text and "users" not in db.text_keys and text.lstrip("-").isdecimal()
    return int(text) if is_number else text
