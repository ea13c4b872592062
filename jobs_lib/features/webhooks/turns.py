"""Which endpoint is next: owners take turns, and so do the endpoints of each owner.

Nobody comes a second time before everybody has come once, and the next run begins behind the owner
that had the last first turn. Endpoints that fail, or were slow at last, wait in a lane of
their own: among those, the one tried longest ago is next.
"""
from __future__ import annotations

from collections import Counter, deque

from jobs_lib.engines import rotation

from .endpoints import is_failing, with_state
from .search import AT_FIRST, Search

# owners without a turn yet that are looked up ahead, when none of their endpoints is free
FRESH = 1000


class Owner:
    """One owner's endpoints with due rows, in two lanes: those that work, and those that fail or
    are slow."""

    def __init__(self, id, more) -> None:
        self.id, self.more = id, more           # more: endpoints, as Search.take() takes them
        self.ended = False                      # whether there are no more
        self.found: set = set()                 # those that were looked up
        self.lanes: tuple = (deque(), deque())
        # the second lane: when it was last tried, and turns in this run
        self.tried, self.turns = "", 0


class Plan:
    """The endpoints with due rows. An item is (owner, endpoint), a lane False for those that work,
    True for the others.

    `known` is filled with the endpoints as they are looked up.
    """

    def __init__(self, ctx, claims, known: dict, uncertain: bool) -> None:
        self.ctx, self.known, self.uncertain = ctx, known, uncertain
        self.last = rotation.last(ctx.db, ctx.job.name)
        self.search = Search(ctx, claims, self.last, uncertain)
        # {id: Owner} without a turn in this run, the next one first; and those that had one
        self.fresh: dict = {}
        self.served: dict = {}
        self.host_of: dict = {}                 # {item in a lane: its host, when it was looked up}
        self.at_host: dict = {}                 # {host: how many items each owner has there}
        self.ended = False                      # whether no more owners are to be found
        self.seen: set = set()                  # those that were looked up
        self._learn(self.search.all)

    # Looking owners up

    def _learn(self, ids: list) -> None:
        if unknown := [id for id in ids if id not in self.known]:
            self.search.queries -= 1
            self.known.update(with_state(self.ctx.db, unknown))

    def _next_owner(self) -> Owner | None:
        while not self.ended:
            found, self.ended = self.search.take(self.search.owners, 1)
            if not found:
                return None
            if found[0][0] not in self.seen and (owner := self._list_owner(*found[0])):
                return owner
        return None

    def _certain_owners(self):
        """Those that have due rows for certain, while the search for the next one is not over."""
        for id in [] if self.ended else rotation.in_order(self.search.certain.keys() - self.seen,
                                                          self.last):
            more = self.search.due_endpoints(id)
            if len(self.fresh) < FRESH and (owner := self._list_owner(id, more, AT_FIRST)):
                yield owner

    def _list_owner(self, id, more, number: int) -> Owner | None:
        self.seen.add(id)
        owner = self.fresh[id] = Owner(id, more)
        self._look_up(owner, number)
        return self.fresh.get(id)

    def _look_up(self, owner: Owner, most: int) -> list:
        """So many more of an owner's endpoints, into their lanes: their ids. Who has none left is
        out of the plan."""
        ids = self._take(owner, most)
        if ids:
            self._learn(ids)
            failing = [id for id in ids if is_failing(self.known[id])]
            for id in ids:
                host = self.host_of[owner.id, id] = self.known[id]["host"]
                self.at_host.setdefault(host, Counter())[owner.id] += 1
            owner.lanes[False].extend(id for id in ids if id not in failing)
            owner.lanes[True].extend(sorted(failing, key=lambda id: self.known[id]["tried_at"]))
            owner.tried = max([owner.tried, *(self.known[id]["tried_at"] for id in failing)])
        if owner.ended and not any(owner.lanes):
            self.fresh.pop(owner.id, None)
            self.served.pop(owner.id, None)
        return ids

    def _take(self, owner: Owner, most: int) -> list:
        """The ids of `most` more of an owner's endpoints with due rows, or fewer. If it has none
        in its lanes and the search for them is cut short, those that are known without one."""
        ids: list = []
        while len(ids) < most and not owner.ended and self.search.may_go_on():
            more, owner.ended = self.search.take(owner.more, most - len(ids))
            ids += [id for id in more if id not in owner.found]
        if not (ids or owner.ended or any(owner.lanes)):
            ids = [id for id in self.search.certain.get(owner.id, ())
                   if id not in owner.found][:most]
        owner.found.update(ids)
        return ids

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
        for owner in self._certain_owners():
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
            return
        if self.fresh.pop(owner.id, None):
            self.last = owner.id
        self.served.pop(owner.id, None)
        self.served[owner.id] = owner               # behind the others

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
                self.at_host[self.host_of.pop(item)][owner.id] -= 1
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
        return any(number and other != owner
                   for other, number in self.at_host.get(host, {}).items())

    def owners(self) -> set:
        """All that were looked up and have something left."""
        return {*self.fresh, *self.served}

    def keep(self) -> None:
        """Remember whose turn it was: the next run goes on behind it."""
        rotation.keep(self.ctx.db, self.ctx.job.name, self.last)

    def _owner(self, item: tuple) -> Owner:
        return self.fresh.get(item[0]) or self.served[item[0]]
