"""Which rows of a claimed queue (claimed_queue.py) an operator asks for, each question by the index
that serves it."""
from __future__ import annotations

from jobs_lib.database.values import keys_in

from .work_queue import Wanted, since_rule


class Search:
    """One question. `wanted`: what is asked for."""

    def __init__(self, queue, ctx, wanted: Wanted) -> None:
        self.queue, self.ctx, self.db, self.table = queue, ctx, ctx.db, queue.table
        self.age, self.added = queue.age, queue.added
        self.failed, self.owners, self.since, self.most = wanted
        self.rule, self.values = since_rule(wanted, queue.added)

    def ids(self) -> list[int]:
        """What waits by when it is due, the longest due first; else the newest first."""
        if self.owners is not None:
            return self._of_owners()
        if self.failed:
            return self._failed()
        return self._waiting() if self.since is None else self._since()

    def _of_owners(self) -> list[int]:
        """By the owner's index, which has the rows in the order of their ids."""
        rule = self.rule + (" AND +status = 'failed'" if self.failed else "")
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
        ids = _ids_of(self.db.query(f"SELECT id FROM {{{self.table}}} WHERE status = 'sending' "
                                    "ORDER BY id LIMIT :most", most=self.most))
        ids += self.queue.due(self.ctx).ids(self.most)
        if len(ids) < self.most:            # not due, or a suspended owner's
            ids += _ids_of(self.db.query(
                f"SELECT id FROM {{{self.table}}} WHERE status = 'pending' "
                "ORDER BY next_attempt_at, id LIMIT :most", most=self.most + len(ids)))
            from .rows import of_unknown_status
            ids += of_unknown_status(self.db, self.table, self.queue.statuses())
        return list(dict.fromkeys(ids))[:self.most]

    def _since(self) -> list[int]:
        """What is not finished and came in since then, the newest first, by the index of ages: in
        it `finished_at` is NULL, where that comes before."""
        empty = "".join(f" AND {column} IS NULL" for column in self.age if column != self.added)
        found: list[tuple] = []
        for status in ("sending", "pending"):
            found += [(str(row[self.added]), row["id"]) for row in self.db.query(
                f"SELECT id, {self.added} FROM {{{self.table}}} WHERE status = :status{empty} "
                f"AND {self.added} >= :since ORDER BY {self.added} DESC, id DESC LIMIT :most",
                status=status, since=self.since, most=self.most)]
        return [id for _, id in sorted(found, reverse=True)][:self.most]


def failed_pages(queue, ctx, size: int, *, owners=None, since=None):
    """The ids of all that has failed, in lists: of some owners, that came in since then."""
    rule, values = since_rule(Wanted(True, owners, since), queue.added)
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
