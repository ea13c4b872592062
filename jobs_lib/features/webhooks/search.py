"""Looking up owners with due deliveries, and their endpoints.

What it costs does not grow with the backlog: while few rows are due, one query finds them all; when
there are more, the owners and the endpoints of each are looked for along an index, and only as far
as there are free slots for them. Many may have nothing but rows that are not due yet. So each time
that slots are free, only a few queries are made; then what is known already is begun, and the
search goes on when slots are free again.
"""
from __future__ import annotations

from jobs_lib.engines import rotation
from jobs_lib.engines.rows import UNCLAIMED

PAGE = 2000                 # due rows that are read to find the endpoints that they are for
QUERIES = 4                 # along the index for each slot that is free
# entries of the index in one of them: more and more as long as nothing is found to be due
FEWEST, MOST = 50, 1000
# endpoints of an owner that are looked up together, when there are more due rows than PAGE
AT_FIRST = 4
# in place of what is looked for: a query was made; there is no more
PAUSE, END = object(), object()

LAST_TRIED = ("SELECT webhook_id FROM {endpoint_state} WHERE user_id = :owner "
              "ORDER BY tried_at DESC, webhook_id DESC LIMIT 1")


def rows_of(owner, id=None) -> tuple[str, dict]:
    """(SQL, values): the deliveries of one owner, to one endpoint or to all."""
    rule = "user_id IS NULL" if owner is None else "user_id = :owner"
    part = " AND webhook_id = :part" if id is not None else ""
    return rule + part, {"owner": owner, "part": id}


class Search:
    """The search of one run.

    total    how many rows are due, if that is known       owners   (owner, its endpoints, how many
    queries  that may go by still                                   to take at first) and PAUSEs
    certain  {owner: endpoints} of due rows that are known without any search
    all      the endpoints, where one query has found all that is due
    """

    def __init__(self, ctx, claims, place, uncertain: bool) -> None:
        self.ctx, self.claims, self.place, self.uncertain = ctx, claims, place, uncertain
        self.queries, self.certain, self.all = QUERIES, {}, []
        rows = claims.due_values("user_id, webhook_id, next_attempt_at, created_at", PAGE + 1,
                                 uncertain)
        found: dict = {}
        # of each owner, the endpoint with the longest due row first
        for row in sorted(rows, key=lambda row: str(row["next_attempt_at"] or row["created_at"])):
            found.setdefault(row["user_id"], {})[row["webhook_id"]] = None
        if len(rows) > PAGE:
            self.total, self.certain, self.owners = None, found, self._along_the_index()
        else:
            self.total, self.all = len(rows), list({row["webhook_id"]: None for row in rows})
            self.owners = iter([(owner, iter(found[owner]), len(found[owner]))
                                for owner in rotation.in_order(found, place)])

    def go_on(self, free: int = 1) -> None:
        """So many slots are free, for each of which some queries may go by again."""
        self.queries = QUERIES * max(free, 1)

    def may_go_on(self) -> bool:
        """Whether another query may go by."""
        return self.queries > 0 and not self.ctx.should_stop()

    def take(self, found, most: int) -> tuple[list, bool]:
        """(so many more of what is looked for, or fewer, whether there are no more)."""
        taken: list = []
        while len(taken) < most and self.may_go_on():
            item = next(found, END)
            if item is END:
                return taken, True
            if item is not PAUSE:
                taken.append(item)
        return taken, False

    def _along_the_index(self):
        """Owners that have due rows, or may have some, from the one behind the last run's on, and
        around."""
        for page in self._walk("user_id", self.place, "1 = 1"):
            owners = [group.owner for group in page if group.is_due is not False
                      and (group.owner is not None or None in self.certain)]
            blocked = self.claims.suspended(owners)
            yield from [(owner, self.due_endpoints(owner), AT_FIRST) for owner in owners
                        if owner not in blocked]
            yield PAUSE

    def due_endpoints(self, owner):
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
        return bool(self.claims.due_values("id", 1, self.uncertain, rows_of(owner, id)))

    def _walk(self, column: str, place, rule: str, values=None):
        """Pages of Groups (engines/rotation.py), along the index, of what is in this column of the
        rows of a rule."""
        kinds = (self.claims.uncertain_kind(),) if self.uncertain else self.claims.kinds()
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
