"""Which rows of a claimed queue (claimed_queue.py) an operator asks for, each question by the index
that serves it."""
from __future__ import annotations

from jobs_lib.database.values import keys_in

from .work_queue import DUE, FAILED, WAITING, Wanted, since_rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .due_rows import DueRows

PAGE, PAGES = 500, 20           # rows that are looked at when only some since a time are wanted


class Search:
    """One question. `wanted`: what is asked for."""

    def __init__(self, queue, ctx, wanted: Wanted) -> None:
        self.queue, self.ctx, self.db, self.table = queue, ctx, ctx.db, queue.table
        self.age, self.added = queue.age, queue.added
        self.state, self.owners, self.since, self.most = wanted
        self.rule, self.values = since_rule(wanted, queue.added)

    def ids(self) -> list[int]:
        """What waits by when it is due, the longest due first; else the newest first."""
        if self.owners is not None and self.state not in (DUE, WAITING):
            return self._of_owners()
        if self.state == FAILED:
            return self._failed()
        if self.owners is None and self.since is not None:
            return self._since()
        return self._waiting()

    def _of_owners(self) -> list[int]:
        """By the owner's index, which has the rows in the order of their ids."""
        rule = self.rule + (" AND +status = 'failed'" if self.state == FAILED else "")
        return _ids_of(self.db.query(
            f"SELECT id FROM {{{self.table}}} WHERE {_theirs(self.owners)}{rule} "
            "ORDER BY id DESC LIMIT :most", owners=self.owners, most=self.most,
            owner=self.owners[0], **self.values))

    def _failed(self) -> list[int]:
        rule = self.rule
        if rule and self.age[0] != self.added:
            rule += f" AND {self.age[0]} >= :came_in"      # it failed later than it came in
        order = ", ".join(f"{column} DESC" for column in (*self.age, "id"))
        return _ids_of(self.db.query(
            f"SELECT id FROM {{{self.table}}} WHERE status = 'failed'{rule} ORDER BY {order} "
            "LIMIT :most", most=self.most, **self.values))

    def _waiting(self) -> list[int]:
        """What is not finished: what is being sent, what is due, what is not yet due."""
        rows = self.queue.due_rows(self.ctx)
        rule, values = self.rule, self.values
        if self.owners is not None:
            rule = f" AND {_theirs(self.owners)}{rule}"
            values = {**values, "owners": self.owners, "owner": self.owners[0]}
        ids: list[int] = []
        if self.state is None:
            ids += _ids_of(self.db.query(
                f"SELECT id FROM {{{self.table}}} WHERE status = 'sending'{rule} "
                "ORDER BY id LIMIT :most", most=self.most, **values))
        due = (*rows.kinds(), rows.uncertain_kind(), *rows.ahead_kinds())
        later = rows.later_kinds(self.queue.later_at_first(self.ctx, rows.queue))
        parts = {None: ((due, ""), (later, "")), DUE: ((due, rows.owner_may),),
                 WAITING: ((later, ""), (due, rows.owner_suspended))}[self.state]
        for kinds, owner in parts:
            if len(ids) < self.most:
                ids += self._of_kinds(rows, kinds, rule + owner, values)
        if self.state is None and self.owners is None and len(ids) < self.most:
            from .rows import of_unknown_status
            ids += of_unknown_status(self.db, self.table, self.queue.statuses())
        return list(dict.fromkeys(ids))[:self.most]      # an invalid row may be of two kinds

    def _of_kinds(self, rows: DueRows, kinds: tuple, rule: str, values: dict) -> list[int]:
        """Pending rows of these kinds, claimed ones too, the longest due first."""
        found: list[dict] = []
        for priority in rows.priorities():
            of, more = rows.of(priority)
            for kind in kinds:
                found += rows.db.query(
                    "SELECT id, next_attempt_at AS scheduled, created_at AS created "
                    f"FROM {{{self.table}}} WHERE status = 'pending'{of}{rule} AND {kind.rule} "
                    f"ORDER BY {kind.order} LIMIT :most", most=self.most,
                    **{**kind.values, **values, **more})
        found = sorted(map(rows.dated, found), key=lambda row: (row["due"], row["id"]))
        return _ids_of(found)

    def _since(self) -> list[int]:
        """What is not finished and came in since then, the newest first, by the index of ages: in
        it `finished_at` is NULL, where that comes before. Of those in one state at most the newest
        PAGES * PAGE rows are looked at."""
        empty = "".join(f" AND {column} IS NULL" for column in self.age if column != self.added)
        size = PAGE if self.state else self.most
        found: list[tuple] = []
        for status in ("pending",) if self.state else ("sending", "pending"):
            behind = ""
            last: dict = {}
            for _ in range(PAGES):
                rows = self.db.query(
                    f"SELECT {self.queue.columns()} FROM {{{self.table}}} "
                    f"WHERE status = :status{empty} "
                    f"AND {self.added} >= :since{behind} ORDER BY {self.added} DESC, id DESC "
                    "LIMIT :most", status=status, since=self.since, most=size, **last)
                states = {item.id: item.state for item in self.queue.describe(self.ctx, rows)
                          } if self.state else {}
                found += [(str(row[self.added]), row["id"]) for row in rows
                          if not states or states[row["id"]] == self.state]
                if not states or len(rows) < size or len(found) >= self.most:
                    break
                behind = (f" AND {self.added} <= :before AND ({self.added} < :before "
                          "OR id < :last)")
                last = {"before": rows[-1][self.added], "last": rows[-1]["id"]}
        return [id for _, id in sorted(found, reverse=True)][:self.most]


def failed_pages(queue, ctx, size: int, *, owners=None, since=None):
    """The ids of all that has failed, in lists: of some owners, that came in since then."""
    rule, values = since_rule(Wanted(None, owners, since), queue.added)
    values = {**values, "owners": owners}
    failed, keys, (first, *_) = "status = 'failed'", (*queue.age, "id"), queue.age
    if owners is not None:
        ways = [(f"{_theirs(owners)} AND +{failed}", ("id",))]
        values["owner"] = owners[0]
    elif first == queue.added:
        ways = [(failed, keys)]
    else:
        reached = f" AND {first} >= :came_in" if rule else f" AND {first} IS NOT NULL"
        # and those whose end an app has not noted
        ways = [(failed + reached, keys), (f"{failed} AND {first} IS NULL", keys[1:])]
    for where, key in ways:
        for rows in ctx.db.pages(f"SELECT {', '.join(key)} FROM {{{queue.table}}} "
                                 f"WHERE {where}{rule}", key=key, size=size, **values):
            yield _ids_of(rows)


def waiting_pages(queue, ctx, size: int, *, owners=None, before=None):
    """The ids of all that waits, in lists: of some owners, that came in before then."""
    where, values = "status = 'pending'", {}
    if owners is not None:
        where = f"{_theirs(owners)} AND +{where}"
        values = {"owners": owners, "owner": owners[0]}
    if before is not None:
        where += f" AND {queue.added} < :before"
        values["before"] = before
    for rows in ctx.db.pages(f"SELECT id FROM {{{queue.table}}} WHERE {where}", size=size,
                             **values):
        yield _ids_of(rows)


def _theirs(owners: list[int]) -> str:
    """The condition for their rows. Those of one lie in the index in the order of their ids."""
    return "user_id = :owner" if len(owners) == 1 else "user_id IN (:owners)"


def _ids_of(rows: list[dict]) -> list[int]:
    return keys_in(row["id"] for row in rows)
