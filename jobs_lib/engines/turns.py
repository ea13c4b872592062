"""Owners take turns: around all of them in the order of their ids, from one run to the next.

One pointer a ring is kept, the owner that had the last turn, stored in the commit that begins a
row: whoever comes after a killed run goes on behind the same owner. Within an owner urgent rows go
first, then the longest due. Urgent rows of all owners have a ring of their own, ahead of the other.

Owners are found among the due rows. Where these fit in one page, what is due later costs nothing,
however much it is; where they do not, one step along an index leads to the next owner, past all
rows of the one before.
"""
from __future__ import annotations

from functools import partial
from itertools import groupby, islice, zip_longest

from jobs_lib.database.values import fitted, keys_in, ordered
from jobs_lib.records import namedtuple

PAGE = 300          # due rows that are read at once
AHEAD = 20          # turns that are looked for at once, where there are more due rows
MOST_LEFT = 2000    # rows that a run may leave where they are
URGENT = 0
LONGEST = 64        # characters of an owner's id that is kept
START: object = object()        # the ring's beginning: rows of nobody (NULL), then all owners
_NONE: object = object()

Turn = namedtuple("Turn", "id owner urgent ring")
Turn.__doc__ = """One row's turn: `owner` moves to the pointer of `ring` when the row is begun."""


class Ring:
    """One ring of a queue, as one run (queue.Work) goes along it.

    ahead         urgent rows alone
    also, values  SQL of rows that may be taken, and what is bound in it; may change: then `forget`
    passed        owners whose rows are left where they are
    left          ids of rows that were taken and not begun: none is taken twice, unless it is given
                  back by taking it out of this set
    """

    def __init__(self, work, ahead: bool = False) -> None:
        self.db, self.queue, self.work, self.ahead = work.db, work.queue, work, ahead
        self.name = self.queue.kind + (":urgent" if ahead else "")
        self.also = f" AND priority = {URGENT}" if ahead else ""
        self.values: dict = {}
        self.passed: set = set()
        self.left: set = set()
        self._begun: set = set()
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
            lists, most, steps = {}, AHEAD, self._steps()
            while len(lists) < AHEAD and (more := dict(islice(steps, AHEAD - len(lists)))):
                lists.update(self._allowed(more))
        else:
            lists = self._allowed(lists)
        return [Turn(row["id"], row["user_id"], row["priority"] == URGENT, self)
                for row in islice(_mixed(lists.values()), most)]

    def _page(self) -> dict | None:
        """{owner: rows} of all that is due, the owner behind the last turn first; None when it is
        more than a page."""
        rule, values = self.work.due_rule()
        rows = self.db.query(f"{self._select(rule)} ORDER BY {self.queue.time} LIMIT {PAGE}",
                             **values, **self.values)
        if len(rows) == PAGE:
            return None
        rows.sort(key=lambda row: [ordered(row[name]) for name in (
            "user_id", "priority", self.queue.time, "id")])
        lists = _by_owner(row for row in rows if row["id"] not in self.left)
        if self._behind is not START:
            lists.sort(key=lambda found: ordered(found[0]) <= ordered(self._behind))
        return dict(lists)

    def _steps(self):
        """(owner, its first rows) from the one behind the last turn on, each once. They are all its
        rows, or AHEAD."""
        met: set = set()
        for behind in (START,) if self._behind is START else (self._behind, START):
            is_last = False
            while not is_last:
                rows = self._first(behind)
                lists, is_last = _by_owner(rows), len(rows) < AHEAD
                if not is_last and len(lists) > 1:
                    lists.pop()                         # it may have more of them
                for behind, theirs in lists:
                    if behind in met:
                        return
                    met.add(behind)
                    yield behind, theirs

    def _first(self, behind) -> list[dict]:
        """The first due rows behind an owner."""
        due, values = self.work.due_rule()
        rule = " AND user_id > :behind"
        if behind is START:
            rule = ""
        elif behind is None:            # of everybody: nobody's rows come first
            rule = (f" AND user_id >= (SELECT MIN(user_id) FROM {self.work.table} "
                    f"WHERE {self.work.pending})")
        left = " AND id NOT IN (:left)" if self.left else ""
        priority = "priority, " if self.queue.priority and not self.ahead else ""
        return self.db.query(f"{self._select(due)}{rule}{left} ORDER BY user_id, {priority}"
                             f"{self.queue.time}, id LIMIT {AHEAD}", left=list(self.left),
                             behind=behind, **values, **self.values)

    def _select(self, due: str) -> str:
        priority = "priority" if self.queue.priority else "1 AS priority"
        return (f"SELECT id, user_id, {priority}, {self.queue.time}, {self.queue.after_deletion} "
                f"AS to_deleted FROM {self.work.table} WHERE {self.work.pending} AND {due}"
                f"{self.also}")

    def _allowed(self, lists: dict) -> dict:
        """The rows of owners that are not suspended or deleted, nor passed by the caller."""
        stopped, found = stopped_owners(self.db, lists), {}
        for owner, rows in lists.items():
            # what was begun and is pending again, by an app's trigger, would be sent without end
            rows = [row for row in rows if row["id"] not in self._begun and (
                owner not in stopped or (stopped[owner] == "deleted" and row["to_deleted"]))]
            if rows and owner not in self.passed:
                found[owner] = rows
        return found


def stopped_owners(db, owners) -> dict:
    """{owner: `suspended` or `deleted`} of those whose rows wait where they are."""
    ids, key = keys_in(owners), partial(db.key, "users")
    found = {key(row["id"]): row["status"] for row in db.query(
        "SELECT id, status FROM {users} WHERE id IN (:ids) AND status IN ('suspended', 'deleted')",
        ids=ids)} if ids else {}
    return {owner: found[key(owner)] for owner in ids if key(owner) in found}


def last(db, ring: str):
    """The owner that had the last turn, or START."""
    row = db.row("SELECT last_owner FROM {queue_turns} WHERE ring = :ring", ring=ring)
    if row is None:
        return START
    text = row["last_owner"]
    is_number = text and "users" not in db.text_keys and text.lstrip("-").isdecimal()
    return int(text) if is_number else text


def _by_owner(rows) -> list[tuple]:
    """[(owner, its rows), ...] of rows in the order of their owners."""
    return [(owner, list(theirs)) for owner, theirs in groupby(rows, lambda row: row["user_id"])]


def _mixed(lists):
    """The first of each, then the second of each, and so on."""
    return (item for turn in zip_longest(*lists, fillvalue=_NONE) for item in turn
            if item is not _NONE)
