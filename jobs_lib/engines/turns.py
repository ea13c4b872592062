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
from itertools import groupby, zip_longest

from jobs_lib.database.values import keys_in, ordered
from jobs_lib.records import namedtuple

PAGE = 300          # due rows that are read at once
MOST_LEFT = 2000    # rows that a run may leave where they are
AHEAD = 100         # turns that are looked for at once, where there are more due rows
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
        self._owners: list = []         # all that have due rows, once a whole lap has found them
        self._is_over = False           # nobody has any more

    def take(self, most: int) -> list[Turn]:
        """The next turns, `most` at most; [] when nobody has a row that is due."""
        if not self._waiting and not self._is_over:
            if len(self.left) >= MOST_LEFT:
                self.work.ctx.log.warning("too many rows were left", table=self.queue.table)
                return []
            self._waiting = self._look()
            self._is_over = not self._waiting
        turns, self._waiting = self._waiting[:most], self._waiting[most:]
        self.left.update(turn.id for turn in turns)
        if turns:
            self._behind = turns[-1].owner
        return turns

    def forget(self) -> None:
        """Look again at the next `take`, behind who was served last: owners and rows may have come
        or gone."""
        self._behind = self._stored
        self._waiting, self._owners, self._is_over = [], [], False

    def move(self, turn: Turn) -> None:
        """The row is begun, in the open transaction: its owner had the last turn."""
        if turn.owner != self._stored or self._stored is START:
            keep(self.db, self.name, turn.owner)
            self._stored = turn.owner
        self.left.discard(turn.id)
        self._begun.add(turn.id)

    def _look(self) -> list[Turn]:
        rows = None if self.ahead else self._page()
        lists = self._by_steps() if rows is None else self._by_owner(rows)
        turns = [Turn(row["id"], row["user_id"], row["priority"] == URGENT, self)
                 for row in _mixed(lists)]
        if again := self._begun.intersection(turn.id for turn in turns):
            # an app's trigger, or its expression: without end it would be sent again and again
            self.left.update(again)
            self.work.ctx.log.warning("ended rows are pending again", table=self.queue.table,
                                      ids=sorted(again, key=ordered)[:5])
        return [turn for turn in turns if turn.id not in again]

    def _page(self) -> list[dict] | None:
        """All rows that are due; None when there are more than a page."""
        rule, values = self.work.due_rule()
        rows = self.db.query(f"{self._select(rule)} ORDER BY {self.queue.time} LIMIT {PAGE}",
                             **values, **self.values)
        return rows if len(rows) < PAGE else None

    def _by_owner(self, rows: list[dict]) -> list[list[dict]]:
        """The rows of each owner that may go, the one behind the last turn first."""
        rows = [row for row in self._allowed(rows) if row["id"] not in self.left]
        rows.sort(key=lambda row: (ordered(row["user_id"]), ordered(row["priority"])))
        lists = [list(group) for _, group in groupby(rows, key=lambda row: row["user_id"])]
        return self._from_here(lists, lambda theirs: theirs[0]["user_id"])

    def _from_here(self, items: list, owner) -> list:
        if self._behind is START:
            return items
        return sorted(items, key=lambda item: ordered(owner(item)) <= ordered(self._behind))

    def _by_steps(self) -> list[list[dict]]:
        """The first rows of the next owners; of few owners several of each."""
        if not self._owners:
            firsts, is_whole = self._next_owners()
            if not is_whole:
                return [[row] for row in firsts]
            self._owners = sorted((row["user_id"] for row in firsts), key=ordered)
        lists, each = [], AHEAD // max(1, len(self._owners)) + 1
        for owner in self._from_here(self._owners, lambda owner: owner):
            rule = " AND user_id IS NULL" if owner is None else " AND user_id = :owner"
            lists.append(self._first(rule, {"owner": owner}, each))
        if not any(lists):
            self._owners = []
        return lists

    def _next_owners(self) -> tuple[list[dict], bool]:
        """(the first row of each of the next owners, whether these are all there are)."""
        found: dict = {}
        before: set = set()             # what a lap that began elsewhere has found up to its end
        behind, size, is_last = self._behind, 2, self._behind is START
        while len(found) < AHEAD:
            rows = self._first(*self._rule_behind(behind), size)
            for row in self._allowed(rows):
                if row["user_id"] in before:
                    return list(found.values()), True
                found.setdefault(row["user_id"], row)
            if len(rows) == size:
                behind = rows[-1]["user_id"]
                size = min(AHEAD, 2 * len({row["user_id"] for row in rows}) + 2)
            elif is_last:
                return list(found.values()), True
            else:
                behind, is_last, before = START, True, set(found)
        return list(found.values()), False

    def _rule_behind(self, owner) -> tuple[str, dict]:
        if owner is START:
            return "", {}
        if owner is None:               # of everybody: nobody's rows come first
            return (f" AND user_id >= (SELECT MIN(user_id) FROM {self.work.table} "
                    f"WHERE {self.work.pending})"), {}
        return " AND user_id > :owner", {"owner": owner}

    def _first(self, rule: str, values: dict, most: int) -> list[dict]:
        due, bound = self.work.due_rule()
        left = " AND id NOT IN (:left)" if self.left else ""
        priority = "priority, " if self.queue.priority and not self.ahead else ""
        return self.db.query(f"{self._select(due)}{rule}{left} ORDER BY user_id, {priority}"
                             f"{self.queue.time} LIMIT :most", left=list(self.left), most=most,
                             **bound, **values, **self.values)

    def _select(self, due: str) -> str:
        priority = "priority" if self.queue.priority else "1 AS priority"
        return (f"SELECT id, user_id, {priority} FROM {self.work.table} "
                f"WHERE {self.work.pending} AND {due}{self.also}")

    def _allowed(self, rows: list[dict]) -> list[dict]:
        """Those whose owner is not suspended, nor passed by the caller."""
        owners = {row["user_id"] for row in rows}
        passed = suspended(self.db, owners) | self.passed if owners else ()
        return [row for row in rows if row["user_id"] not in passed]


def suspended(db, owners) -> set:
    """Those of the owners whose rows wait where they are."""
    ids, key = keys_in(owners), partial(db.key, "users")
    found = {key(row["id"]) for row in db.query(
        "SELECT id FROM {users} WHERE id IN (:ids) AND status = 'suspended'",
        ids=ids)} if ids else ()
    return {owner for owner in ids if key(owner) in found} if found else set()


def last(db, ring: str):
    """The owner that had the last turn, or START."""
    row = db.row("SELECT last_owner FROM {queue_turns} WHERE ring = :ring", ring=ring)
    if row is None:
        return START
    text = row["last_owner"]
    is_number = text and "users" not in db.text_keys and text.lstrip("-").isdecimal()
    return int(text) if is_number else text


def keep(db, ring: str, owner) -> None:
    """Remember who had the last turn. An owner that is no key is not kept."""
    text = None if owner is None else str(owner)
    if isinstance(owner, (int, str, type(None))) and len(text or "") <= LONGEST and (
            text or "").isascii():
        db.upsert("queue_turns", {"ring": ring}, {"last_owner": text})


def _mixed(lists) -> list:
    """The first of each, then the second of each, and so on."""
    return [item for turn in zip_longest(*lists, fillvalue=_NONE) for item in turn
            if item is not _NONE]
