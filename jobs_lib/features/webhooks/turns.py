"""Which endpoint is next: owners take turns, and so do the endpoints of each owner.

Nobody comes a second time before everybody has come once, and the next run begins behind the owner
that had the last first turn. What this costs does not grow with the backlog: while few rows are
due, one query finds them all; when there are more, the owners and the endpoints of each are looked
for along an index, and only as far as there are free slots for them. Many may have nothing but rows
that are not due yet. So each time that slots are free, only so many queries go by; then what is
known already is begun, and the search goes on when slots are free again.
"""
from __future__ import annotations

from collections import Counter, deque
from typing import Any

from jobs_lib.engines import rotation
from jobs_lib.engines.rows import UNCLAIMED
from jobs_lib.shards import is_mine

from .endpoints import is_failing, with_state

PAGE = 2000                 # due rows that are read to find the endpoints that they are for
# endpoints of an owner that are looked up together, when there are more due rows than that
AT_FIRST = 4
# owners without a turn yet that are looked up ahead, when none of their endpoints is free
FRESH = 1000

QUERIES = 4                 # along the index for each slot that is free
# entries of the index in one of them: more and more as long as nothing is found to be due
FEWEST, MOST = 50, 1000
PAUSE: Any = object()       # in place of what is looked for: a query has gone by
END: Any = object()         # likewise: there is no more

LAST_TRIED = ("SELECT webhook_id FROM {endpoint_state} WHERE user_id = :owner "
              "ORDER BY tried_at DESC, webhook_id DESC LIMIT 1")


def rows_of(owner, id=None) -> tuple[str, dict]:
    """(SQL, values): the deliveries of one owner, to one endpoint or to all."""
    rule = "user_id IS NULL" if owner is None else "user_id = :owner"
    return rule + (" AND webhook_id = :part" if id is not None else ""), {"owner": owner, "part": id}


class Owner:
    """One owner's endpoints with due rows, in two lanes: those that work, and those that fail or
    are slow."""

    def __init__(self, id, more) -> None:
        # more: an iterator over ids of endpoints not looked up yet, and PAUSE
        self.id, self.more = id, more
        self.ended = False                      # whether that is at its end
        self.found: set = set()                 # those that were looked up
        self.lanes: tuple = (deque(), deque())
        # the second lane: when it was last tried, and turns in this run
        self.tried, self.turns = "", 0


class Plan:
    """The endpoints with due rows. An item is (owner, endpoint), a lane False for those that work,
    True for the others.

    `known` is filled with the endpoints as they are looked up.
    """

    def __init__(self, ctx, worker, known: dict, uncertain: bool) -> None:
        self.ctx, self.worker, self.known, self.uncertain = ctx, worker, known, uncertain
        # {id: Owner} without a turn in this run, the next one first
        self.fresh: dict = {}
        self.served: dict = {}
        self.host_of: dict = {}                 # {item in a lane: its host, when it was looked up}
        self.at_host: dict = {}                 # {host: how many items each owner has there}
        self.last = rotation.last(ctx.db, ctx.job.name)
        found = worker.due_values("user_id, webhook_id, next_attempt_at, created_at", PAGE + 1,
                                  uncertain)
        self.total = len(found) if len(found) <= PAGE else None
        self.walk = self._few(found) if self.total is not None else self._many()
        # whether the walk is; how many queries it may still make
        self.ended, self.queries = False, QUERIES
        self.seen: set = set()                  # owners that were looked up
        # {owner: endpoints} of due rows that are known without any search
        self.window: dict = {}
        if self.total is None:
            for row in found:
                self.window.setdefault(row["user_id"], {})[row["webhook_id"]] = None

    # Looking owners up

    def _few(self, rows: list):
        """All owners, when one query has found all due rows; of each, the endpoint with the longest
        due one first."""
        by_owner: dict = {}
        for row in sorted(rows, key=lambda row: str(row["next_attempt_at"] or row["created_at"])):
            by_owner.setdefault(row["user_id"], {})[row["webhook_id"]] = None
        ids = list(dict.fromkeys(row["webhook_id"] for row in rows))
        self._learn(ids)
        for owner in rotation.in_order(by_owner, self.last):
            yield owner, iter(by_owner[owner]), len(by_owner[owner])

    def _many(self):
        """Owners with due rows one by one, along the index: from the one behind the last run's on,
        and around."""
        for page in self._walk("user_id", self.last, "1 = 1"):
            owners = [group.owner for group in page if group.is_due is not False
                      and (group.owner is not None or None in self.window)]
            barred = self.worker.suspended(owners)
            yield from [(owner, self._due_endpoints(owner), AT_FIRST) for owner in owners
                        if owner not in barred]
            yield PAUSE

    def _due_endpoints(self, owner):
        """An owner's endpoints that have due rows, from the one behind the last tried one on, and
        around."""
        tried = self.ctx.db.row(LAST_TRIED, owner=owner)
        place = tried["webhook_id"] if tried else rotation.BEGINNING
        for page in self._walk("webhook_id", place, *rows_of(owner)):
            yield from [group.owner for group in page if group.owner is not None
                        and (group.is_due or (group.is_due is None
                                              and self._has_due(owner, group.owner)))]
            yield PAUSE

    def _has_due(self, owner, id) -> bool:
        self.queries -= 1
        return bool(self.worker.due_values("id", 1, self.uncertain, rows_of(owner, id)))

    def _walk(self, column: str, place, rule: str, values=None):
        """Pages of Groups (engines/rotation.py), along the index, of what is in this column of the
        rows of a rule."""
        kinds = (self.worker.uncertain_kind(),) if self.uncertain else self.worker.kinds()
        values = dict(values or {})
        for kind in kinds:
            values.update(kind.values)
        is_later = "next_attempt_at > :until" if column == "webhook_id" else "1 = 0"
        entries = (f"SELECT {column} AS owner, CASE WHEN {is_later} THEN 1 ELSE 0 END AS is_later,"
                   f" CASE WHEN {UNCLAIMED} AND ({' OR '.join(f'({kind.rule})' for kind in kinds)})"
                   " THEN 1 ELSE 0 END AS is_due FROM {webhook_deliveries}"
                   f" WHERE status = 'pending' AND {rule}")

        def read(behind, up_to, size: int) -> tuple:
            self.queries -= 1
            start = "IS NOT NULL" if behind is None else "> :behind"
            end = "" if up_to is None else f" AND {column} <= :up_to"
            groups, number = rotation.grouped(
                self.ctx.db, f"{entries} AND {column} {start}{end}"
                " ORDER BY user_id, webhook_id, next_attempt_at LIMIT :size", size=size,
                behind=behind, up_to=up_to, **values)
            return groups, number < size
        return rotation.walk(read, place, FEWEST, MOST)

    def search_on(self, free: int = 1) -> None:
        """So many slots are free, for each of which some queries may go by again."""
        self.queries = QUERIES * max(free, 1)

    @property
    def is_searching(self) -> bool:
        """Whether the last search was cut short before it found anything."""
        return self.queries <= 0

    def _may_search(self) -> bool:
        return self.queries > 0 and not self.ctx.should_stop()

    def _next_owner(self) -> Owner | None:
        while self._may_search():
            found = next(self.walk, END)
            if found is END:
                self.ended = True
                return None
            if found is not PAUSE and found[0] not in self.seen and (owner := self._list_owner(*found)):
                return owner
        return None

    def _known_owners(self):
        """Those that have due rows for certain, while the search for the next one is not over."""
        for id in [] if self.ended else rotation.in_order(self.window.keys() - self.seen,
                                                          self.last):
            if len(self.fresh) < FRESH and (owner := self._list_owner(id, self._due_endpoints(id),
                                                                      AT_FIRST)):
                yield owner

    def _list_owner(self, id, more, number: int) -> Owner | None:
        self.seen.add(id)
        owner = self.fresh[id] = Owner(id, more)
        self._look_up(owner, number)
        return self.fresh.get(id)

    def _look_up(self, owner: Owner, most: int) -> list:
        """So many more of an owner's endpoints, into their lanes: their ids. Who has none left is
        out of the plan."""
        mine: list = []
        while not mine and (ids := self._take(owner, most)):
            self._learn([id for id in ids if id not in self.known])
            mine = [id for id in ids if is_mine(self.ctx.shard, self.known[id]["host"])]
            failing = [id for id in mine if is_failing(self.known[id])]
            for id in mine:
                self._list((owner.id, id))
            owner.lanes[False].extend(id for id in mine if id not in failing)
            owner.lanes[True].extend(sorted(failing, key=lambda id: self.known[id]["tried_at"]))
            owner.tried = max([owner.tried, *(self.known[id]["tried_at"] for id in failing)])
        if owner.ended and not any(owner.lanes):
            self.fresh.pop(owner.id, None)
            self.served.pop(owner.id, None)
        return mine

    def _take(self, owner: Owner, most: int) -> list:
        """The ids of so many more of an owner's endpoints with due rows, or fewer. If it has none
        in its lanes and the search for them is cut short, those that are known without one."""
        ids: list = []
        while len(ids) < most and not owner.ended and self._may_search():
            id = next(owner.more, END)
            owner.ended = id is END
            if id not in (PAUSE, END) and id not in owner.found:
                ids.append(id)
        if not (ids or owner.ended or any(owner.lanes)):
            ids = [id for id in self.window.get(owner.id, ()) if id not in owner.found][:most]
        owner.found.update(ids)
        return ids

    def _learn(self, ids: list) -> None:
        if ids:
            self.queries -= 1
            self.known.update(with_state(self.ctx.db, ids))

    # The order

    def candidates(self, failing: bool, may):
        """Items in the order in which they are to be begun, of owners that `may` have one more. The
        caller goes no further than to one that can be begun: what is behind it is not looked up."""
        if failing:
            owners = sorted([*self.fresh.values(), *self.served.values()],
                            key=lambda owner: (owner.turns, owner.tried))
            for owner in owners:
                yield from [(owner.id, id) for id in owner.lanes[True]]
            return
        for owner in list(self.fresh.values()):
            yield from self._items(owner, may)
        while len(self.fresh) < FRESH and (owner := self._next_owner()):
            yield from self._items(owner, may)
        for owner in list(self.served.values()):
            yield from self._items(owner, may)
        for owner in self._known_owners():
            yield from self._items(owner, may)

    def _items(self, owner: Owner, may):
        if not may(owner.id):
            return
        yield from [(owner.id, id) for id in owner.lanes[False]]
        while self._look_up(owner, 1):          # all that are listed are busy
            if owner.lanes[False]:
                yield owner.id, owner.lanes[False][-1]

    def began(self, item: tuple, failing: bool) -> None:
        """One of this owner's requests goes out: the others are next."""
        owner = self._owner(item)
        if failing:
            owner.turns += 1
        elif self.fresh.pop(owner.id, None):
            self.last = owner.id
        else:
            self.served.pop(owner.id, None)
        if not failing:
            self.served[owner.id] = owner

    def over(self, item: tuple) -> None:
        """This endpoint has had its turn: those of its owner that have had none are next."""
        owner, id = self._owner(item), item[1]
        lane = next((lane for lane in owner.lanes if id in lane), None)
        if lane is not None:
            self._look_up(owner, 1)
            lane.remove(id)
            lane.append(id)

    def drop(self, item: tuple) -> None:
        """Nothing more for this endpoint in this run."""
        owner = self._owner(item)
        for lane in owner.lanes:
            if item[1] in lane:
                lane.remove(item[1])
                self._unlist(item)
        if not any(owner.lanes):
            self._look_up(owner, 1)

    def has(self, failing: bool, besides=()) -> bool:
        """Whether there is anything in this lane, of another owner than these: for the first lane
        also if there may be, as the search was cut short."""
        owners = [*self.fresh.values(), *self.served.values()]
        while not any((owner.lanes[failing] or not (failing or any(owner.lanes)))
                      and owner.id not in besides for owner in owners):
            more = None if failing else self._next_owner()
            if more is None:
                return not (failing or self.ended)
            owners = [more]
        return True

    def shares_host(self, owner, host: str) -> bool:
        """Whether anything of another owner waits for this host."""
        owners = self.at_host.get(host, ())
        return len(owners) > (owner in owners)

    def _list(self, item: tuple) -> None:
        host = self.host_of[item] = self.known[item[1]]["host"]
        self.at_host.setdefault(host, Counter())[item[0]] += 1

    def _unlist(self, item: tuple) -> None:
        owners = self.at_host[self.host_of.pop(item)]
        owners[item[0]] -= 1
        if not owners[item[0]]:
            del owners[item[0]]

    def owners(self) -> set:
        """All that were looked up and have something left."""
        return {*self.fresh, *self.served}

    def keep(self) -> None:
        """Remember whose turn it was: the next run goes on behind it."""
        rotation.keep(self.ctx.db, self.ctx.job.name, self.last)

    def _owner(self, item: tuple) -> Owner:
        return self.fresh.get(item[0]) or self.served[item[0]]
