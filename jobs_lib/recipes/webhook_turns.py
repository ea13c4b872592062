"""Which endpoint is next: owners take turns, and so do the endpoints of each owner.

Nobody comes a second time before everybody has come once, and the next run begins behind the owner that had the last
first turn. What this costs does not grow with the backlog: while few rows are due, one query finds them all; when there
are more, the owners and the endpoints of each are looked up one by one, by seeks in an index, and only as far as there
are free slots for them.
"""
from __future__ import annotations

from collections import Counter, deque

from ..shards import is_mine
from . import rotation
from .webhooks import endpoints, states

PAGE = 2000                 # due rows that are read to find the endpoints that they are for
AT_FIRST = 4                # endpoints of an owner that are looked up together, when there are more due rows than that
FRESH = 1000                # owners without a turn yet that are looked up ahead, when none of their endpoints is free

NEXT_OWNER = ("SELECT user_id FROM {webhook_deliveries} WHERE status = 'pending'%s ORDER BY user_id LIMIT 1")
NEXT_ENDPOINT = ("SELECT webhook_id FROM {webhook_deliveries} WHERE status = 'pending' AND user_id = :owner%s"
                 " ORDER BY webhook_id LIMIT 1")
LAST_TRIED = ("SELECT webhook_id FROM {endpoint_state} WHERE user_id = :owner ORDER BY tried_at DESC, webhook_id DESC"
              " LIMIT 1")


def rows_of(item: tuple) -> tuple[str, dict]:
    """(SQL, values): the deliveries of one owner to one endpoint."""
    owner, id = item
    if owner is None:
        return "user_id IS NULL AND webhook_id = :part", {"part": id}
    return "user_id = :owner AND webhook_id = :part", {"owner": owner, "part": id}


class Owner:
    """One owner's endpoints with due rows, in two lanes: those that work, and those that fail or are slow."""

    def __init__(self, id, more) -> None:
        self.id, self.more = id, more           # more: an iterator over the ids of endpoints not looked up yet
        self.lanes: tuple = (deque(), deque())
        self.tried, self.turns = "", 0          # the second lane: when it was last tried, and turns in this run


class Plan:
    """The endpoints with due rows. An item is (owner, endpoint), a lane False for those that work, True for the others.

    `known` is filled with the endpoints as they are looked up.
    """

    def __init__(self, ctx, worker, known: dict, uncertain: bool) -> None:
        self.ctx, self.worker, self.known, self.uncertain = ctx, worker, known, uncertain
        self.fresh: dict = {}                   # {id: Owner} without a turn in this run, the next one first
        self.served: dict = {}
        self.host_of: dict = {}                 # {item in a lane: its host, when it was looked up}
        self.at_host: dict = {}                 # {host: how many items each owner has there}
        self.last = rotation.last(ctx)
        found = worker.due_values("user_id, webhook_id, next_attempt_at, created_at", PAGE + 1, uncertain)
        self.total = len(found) if len(found) <= PAGE else None
        self.walk = self._few(found) if self.total is not None else self._many()

    # Looking owners up

    def _few(self, rows: list):
        """All owners, when one query has found all due rows; of each, the endpoint with the longest due one first."""
        by_owner: dict = {}
        for row in sorted(rows, key=lambda row: str(row["next_attempt_at"] or row["created_at"])):
            by_owner.setdefault(row["user_id"], {})[row["webhook_id"]] = None
        ids = list(dict.fromkeys(row["webhook_id"] for row in rows))
        self._learn(ids)
        for owner in rotation.in_order(by_owner, self.last):
            yield owner, iter(by_owner[owner]), len(by_owner[owner])

    def _many(self):
        """Owners one by one, each by a seek: from the one behind the last run's on, and around."""
        for owner in rotation.around(self.ctx.db, NEXT_OWNER, "user_id", self.last):
            yield owner, self._due_endpoints(owner), AT_FIRST

    def _due_endpoints(self, owner):
        """An owner's endpoints that have due rows, from the one behind the last tried one on."""
        last = self.ctx.db.value(LAST_TRIED, owner=owner)
        for id in rotation.around(self.ctx.db, NEXT_ENDPOINT, "webhook_id", last, owner=owner):
            if self.worker.due_values("id", 1, self.uncertain, rows_of((owner, id))):
                yield id

    def _next_owner(self) -> Owner | None:
        for id, more, number in self.walk:
            owner = Owner(id, more)
            if self._look_up(owner, number):
                self.fresh[id] = owner
                return owner
        return None

    def _look_up(self, owner: Owner, most: int) -> list:
        """So many more of an owner's endpoints, into their lanes: their ids."""
        while ids := [id for _, id in zip(range(most), owner.more)]:
            self._learn([id for id in ids if id not in self.known])
            mine = [id for id in ids if is_mine(self.ctx.shard, self.known[id]["host"])]
            failing = [id for id in mine if is_failing(self.known[id])]
            for id in mine:
                self._list((owner.id, id))
            owner.lanes[False].extend(id for id in mine if id not in failing)
            owner.lanes[True].extend(sorted(failing, key=lambda id: self.known[id]["tried_at"]))
            owner.tried = max([owner.tried, *(self.known[id]["tried_at"] for id in failing)])
            if mine:
                return mine
        return []

    def _learn(self, ids: list) -> None:
        if ids:
            found, state = endpoints(self.ctx.db, ids), states(self.ctx.db, ids)
            for id in ids:
                self.known[id] = {**NO_ENDPOINT, "id": id, **found.get(id, {}), **state.get(id, {})}

    # The order

    def candidates(self, failing: bool, may):
        """Items in the order in which they are to be begun, of owners that `may` have one more. The caller goes no
        further than to one that can be begun: what is behind it is not looked up."""
        if failing:
            owners = sorted([*self.fresh.values(), *self.served.values()], key=lambda owner: (owner.turns, owner.tried))
            for owner in owners:
                yield from [(owner.id, id) for id in owner.lanes[True]]
            return
        for owner in list(self.fresh.values()):
            yield from self._items(owner, may)
        while len(self.fresh) < FRESH and (owner := self._next_owner()):
            yield from self._items(owner, may)
        for owner in list(self.served.values()):
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
            lane.remove(id)
            self._look_up(owner, 1)
            lane.append(id)

    def drop(self, item: tuple) -> None:
        """Nothing more for this endpoint in this run."""
        owner = self._owner(item)
        for lane in owner.lanes:
            if item[1] in lane:
                lane.remove(item[1])
                self._unlist(item)
        if not any(owner.lanes) and not self._look_up(owner, 1):
            self.fresh.pop(owner.id, None)
            self.served.pop(owner.id, None)

    def has(self, failing: bool, besides=()) -> bool:
        """Whether there is anything in this lane, of another owner than this one."""
        owners = [*self.fresh.values(), *self.served.values()]
        while not any(owner.lanes[failing] and owner.id not in besides for owner in owners):
            more = None if failing else self._next_owner()
            if more is None:
                return False
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
        rotation.keep(self.ctx, self.last)

    def _owner(self, item: tuple) -> Owner:
        return self.fresh.get(item[0]) or self.served[item[0]]


NO_STATE = {"slow": 0, "tried_at": ""}
NO_ENDPOINT = {"id": None, "host": "", "server": ("", 0), "failing_since": None, "user_id": None, **NO_STATE}


def is_failing(endpoint: dict) -> bool:
    """Whether it is for the lane of those that hold a slot for long: it has been failing, or was slow at last."""
    return bool(endpoint["failing_since"] or endpoint["slow"])
