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

from jobs_lib.database.stored import fitted, ordered
from jobs_lib.records import namedtuple

from .due import stopped

PAGE = 300          # due rows that are read at once
AHEAD = 20          # where there are more: of the next owners, or of one
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
    left     ids of rows that were taken and not begun: none is taken twice, unless it is given back
    """

    def __init__(self, work, ahead: bool = False) -> None:
        self.db, self.queue, self.work, self.ahead = work.db, work.queue, work, ahead
        self.name = self.queue.kind + (":urgent" if ahead else "")
        self.passed: set = set()
        self.left: set = set()
        self._begun: set = set()                # what is put back is for the next run
        self._behind = self._stored = _last(self.db, self.name)

    def take(self, most: int) -> list[Turn]:
        """The next turns, `most` at most: the first row of each of the next owners, then the second
        of each, and so on. [] when nobody has a row that is due."""
        if len(self.left) >= MOST_LEFT:
            return []
        lists = ([row for row in rows if row["id"] not in self._begun]
                 for rows in (self._steps() if self.ahead else self._page()))
        going = islice((rows for rows in lists
                        if rows and rows[0]["user_id"] not in self.passed), most)
        in_turn = (row for lap in zip_longest(*going) for row in lap if row)
        turns = [Turn(row["id"], row["user_id"], row["priority"] == URGENT, self)
                 for row in islice(in_turn, most)]
        self.left.update(turn.id for turn in turns)
        if turns:
            self._behind = turns[-1].owner
        return turns

    def give_back(self, turn: Turn) -> None:
        """It was taken, and is to be looked at once more: go on behind who was served last."""
        self.left.discard(turn.id)
        self._behind = self._stored

    def move(self, turn: Turn) -> None:
        """The row is begun, in the open transaction: its owner had the last turn."""
        if turn.owner != self._stored or self._stored is START:
            text = None if turn.owner is None else fitted(str(turn.owner), LONGEST)
            self.db.upsert("queue_turns", {"ring": self.name}, {"last_owner": text})
            self._stored = turn.owner
        self.left.discard(turn.id)
        self._begun.add(turn.id)

    def _page(self):
        """Each owner's rows, the owner behind the last turn first; by steps where all that is due
        is more than a page."""
        rows, behind = self._due(self.queue.time, PAGE), self._behind
        if len(rows) == PAGE:
            return self._steps()
        rows.sort(key=lambda row: [
            behind is not START and ordered(row["user_id"]) <= ordered(behind),
            *(ordered(row[name]) for name in ("user_id", "priority", self.queue.time, "id"))])
        return _by_owner(rows)

    def _steps(self):
        """The first rows of each owner, from the one behind the last turn on."""
        met: set = set()
        order = f"user_id, {'priority, ' * (self.queue.priority and not self.ahead)}"
        for behind in dict.fromkeys((self._behind, START)):
            while rows := self._due(f"{order}{self.queue.time}, id", AHEAD, behind):
                lists = _by_owner(rows)
                for theirs in lists[:-1] or lists:      # the last owner may have more of them
                    behind = theirs[0]["user_id"]
                    if behind in met:
                        return
                    met.add(behind)
                    yield theirs

    def _due(self, order: str, most: int, behind=START) -> list[dict]:
        """Rows that are due and may be taken, of owners behind that one."""
        # `+`: not by the index of times, where owners are looked for
        by = "" if order == self.queue.time else "+"
        rule, bound = self.work.due_rule(by)
        rule += f" AND priority = {URGENT}" if self.ahead else ""
        rule += " AND id NOT IN (:left)" if self.left else ""
        if behind is not START:
            # nobody's rows come first, before those of everybody
            rule += " AND user_id IS NOT NULL" if behind is None else " AND user_id > :behind"
        priority = "priority" if self.queue.priority else "1 AS priority"
        return self.db.query(
            f"SELECT id, user_id, {priority}, {self.queue.time} FROM {self.work.table} WHERE "
            f"{self.work.pending} AND {rule} AND NOT {stopped(self.queue)} ORDER BY {order} "
            f"LIMIT {most}", left=list(self.left), behind=behind, **bound)


def _by_owner(rows: list[dict]) -> list[list]:
    """The rows of each owner, of rows in the order of their owners."""
    return [list(theirs) for _, theirs in groupby(rows, lambda row: row["user_id"])]


def _last(db, ring: str):
    """The owner that had the last turn, or START."""
    row = db.row("SELECT last_owner FROM {queue_turns} WHERE ring = :ring", ring=ring)
    if row is None:
        return START
    text = row["last_owner"]
    is_number = text and text.isdecimal() and "users" not in db.text_keys
    return int(text) if is_number else text
