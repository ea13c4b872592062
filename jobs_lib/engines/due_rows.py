"""Which rows of a queue are due: found for a claim, shown in a dry run, counted for `status`.

A row is due on schedule (`next_attempt_at` has come) or because it was never tried
(`next_attempt_at` is NULL and its first time has come). One that was lost in flight within the last
hour is due as well, but goes last. A time that no schedule leads to was stored under a wrong clock:
it is due now.

Nothing here writes. Each condition is in the order of an index, without which an engine would sort
the whole backlog each time.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import keys_in
from jobs_lib.records import namedtuple

from .old_turns import Rank
from .rows import UNCLAIMED
from .work_queue import COUNTED

EVERY_ONE = 2 ** 62
LIFETIME = timedelta(days=7)        # an attempt at a row that is older is its last
OWNERS_AT_ONCE = 500                # looked up in one statement
PATIENCE = timedelta(hours=1)       # after which an uncertain row no longer waits behind the others
# the longest wait besides the schedule: what another server may ask for
LONGEST_ASKED = timedelta(days=1)
# a time further ahead than a schedule and this allow is not from another host's clock
CLOCKS_DIFFER = timedelta(hours=1)
SURE, TRY_AGAIN, TRIED_AGAIN = 0, 1, 2          # the column `uncertain`

Queue = namedtuple("Queue",
                   "table done delays first_due columns ranks in_turns notified second",
                   defaults=((Rank(),), False, (), "created_at"))
Queue.__doc__ = """What the engine knows of one queue.

table      with status, attempts, next_attempt_at, claim_token, claim_run, lease_until, uncertain
done       the status of success: `sent` or `delivered`
delays     timedeltas: before each attempt, counted from the one before
first_due  (SQL, values): when a row with no `next_attempt_at` is due
columns    what the caller needs of a row, besides the engine's own
ranks      rows of the first go before those of the second, and so on
in_turns   whether owners take turns (turns.py); else the longest due goes first
notified   columns that get the present time when a row is cancelled: its owner is not notified
second     what the index of due rows is ordered by behind `next_attempt_at`
"""
Kind = namedtuple("Kind", "rule values column order")
Kind.__doc__ = """One of the ways to be due.

rule, values  the SQL condition            column  when, but for a delay
order         of the index that serves it
"""


class DueRows:
    """The due rows of a queue. `ctx` needs no more than `db`, `now` and `options` of a run's."""

    only_first_attempts = False         # rows that have failed before wait

    def __init__(self, ctx, queue: Queue) -> None:
        self.ctx, self.db, self.queue = ctx, ctx.db, queue
        self.table = "{" + queue.table + "}"
        suspended = (f"EXISTS (SELECT 1 FROM {{users}} WHERE {{users}}.id = {self.table}.user_id"
                     " AND {users}.status = 'suspended')")
        self.owner_may = f" AND NOT {suspended}"

    # The ways to be due

    def priorities(self) -> list:
        """The values of the column, urgent ones first; [None] where there is none."""
        return list(dict.fromkeys(rank.priority for rank in self.queue.ranks))

    @staticmethod
    def of(priority) -> tuple[str, dict]:
        """(SQL, values) of the rows with a priority, to be put behind a condition."""
        if priority is None:
            return "", {}
        return " AND priority = :priority", {"priority": priority}

    def kinds(self, wait=None, second: str = "") -> tuple[Kind, Kind]:
        """On schedule, and never tried. `wait`: and due for so long. `second`: of the order, where
        another index serves it."""
        first, values = self.queue.first_due
        until, second = self.ctx.now - (wait or timedelta(0)), second or self.queue.second
        on_schedule = Kind(
            f"next_attempt_at <= :until AND (COALESCE(uncertain, 0) <> {TRY_AGAIN} "
            "OR next_attempt_at <= :long_ago)",
            {"until": until, "long_ago": self.ctx.now - PATIENCE},
            "next_attempt_at", f"next_attempt_at, {second}, id")
        never_tried = Kind(f"next_attempt_at IS NULL AND {first}", values,
                           "created_at", f"{second}, id")
        if wait is not None:
            never_tried = never_tried._replace(
                rule=f"{never_tried.rule} AND created_at <= :until",
                values={**values, "until": until})
        return on_schedule, never_tried

    def uncertain_kind(self) -> Kind:
        """Lost in flight within the last hour: they go last."""
        return Kind("next_attempt_at > :long_ago AND next_attempt_at <= :until "
                    f"AND uncertain = {TRY_AGAIN}",
                    {"until": self.ctx.now, "long_ago": self.ctx.now - PATIENCE},
                    "next_attempt_at", f"next_attempt_at, {self.queue.second}, id")

    def ahead_kinds(self) -> tuple[Kind, ...]:
        """Stored under a clock that was ahead: later than any schedule leads to, or not even failed
        yet."""
        put_off = Kind("next_attempt_at > :horizon", {"horizon": self.horizon()},
                       "next_attempt_at", f"next_attempt_at, {self.queue.second}, id")
        if "created_at" not in self.queue.first_due[0]:
            return (put_off,)
        return put_off, Kind("next_attempt_at IS NULL AND created_at > :tomorrow",
                             {"tomorrow": self.ctx.now + LONGEST_ASKED}, "created_at",
                             "created_at, id")

    def later_kinds(self, at_first: tuple) -> tuple[Kind, ...]:
        """Not due yet: never claimed, but listed. `at_first`: (SQL, values) of those that have no
        `next_attempt_at`."""
        rule, values = at_first
        on_schedule = Kind("next_attempt_at > :until AND next_attempt_at <= :horizon",
                           {"until": self.ctx.now, "horizon": self.horizon()}, "next_attempt_at",
                           f"next_attempt_at, {self.queue.second}, id")
        never_tried = Kind(f"next_attempt_at IS NULL AND {rule}", values, "created_at",
                           f"{self.queue.second}, id")
        return on_schedule, never_tried

    def horizon(self):
        """The latest time that a schedule, or another server, leads to."""
        return self.ctx.now + max(*self.queue.delays, LONGEST_ASKED) + CLOCKS_DIFFER

    # Rows

    def select(self, kinds: tuple, most: int, rule: str = "", **values) -> list[dict]:
        """At most `most` rows of each kind that nobody has claimed, the longest due first: id,
        owner and due."""
        rows: list[dict] = []
        for kind in kinds:
            rows += self.db.query(
                "SELECT id, user_id AS owner, next_attempt_at AS scheduled, created_at AS "
                "created, attempts"
                f" FROM {self.table} WHERE status = 'pending'{rule} AND {kind.rule} AND {UNCLAIMED}"
                f" ORDER BY {kind.order} LIMIT :most", most=most, **{**kind.values, **values})
        if self.only_first_attempts:
            # among those that were read: not through a whole backlog of repeats
            rows = [row for row in rows if not row["attempts"]]
        return sorted(map(self.dated, rows), key=lambda row: (row["due"], row["id"]))

    def dated(self, row: dict) -> dict:
        """The row with the time since when it is due."""
        if row["scheduled"] is None:
            return {**row, "due": _later(row["created"], self.queue.delays[0])}
        # what is no time must not stop the sorting
        return {**row, "due": str(row["scheduled"])}

    def suspended(self, owners) -> set:
        """Those of the owners whose rows wait where they are. The users are read again at each
        claim."""
        ids, key = keys_in(owners), partial(self.db.key, "users")
        found = {key(row["id"]) for row in self.db.query(
            "SELECT id FROM {users} WHERE id IN (:ids) AND status = 'suspended'",
            ids=ids)} if ids else ()
        return {owner for owner in ids if key(owner) in found} if found else set()

    def due_values(self, columns: str, most: int, uncertain: bool,
                   only: tuple = ("1 = 1", {})) -> list[dict]:
        """These columns of due rows, at most `most`, in no order: for a caller that parts the
        queue by itself."""
        rule, values = only
        found: list = []
        for kind in (self.uncertain_kind(),) if uncertain else self.kinds():
            found += self.db.query(f"SELECT {columns} FROM {self.table} WHERE status = 'pending' "
                                   f"AND {rule} AND"
                                   f" {kind.rule} AND {UNCLAIMED}{self.owner_may} LIMIT :most",
                                   most=most - len(found), **kind.values,
                                   **values) if len(found) < most else []
        return found

    # How many

    def count_due(self, most: int = EVERY_ONE, without=()) -> int:
        """How many rows are due now, those of suspended owners and of the ones in `without` left
        out; `most` of each priority and kind are counted, since that takes as long as there are."""
        return sum(number for number, _ in self._backlog(most, without))

    def oldest_due(self, most: int = COUNTED) -> tuple[int, str | None]:
        """(how many rows are due now, since when the oldest is), likewise."""
        found = list(self._backlog(most))
        oldest = min((since for number, since in found if number), default=None)
        return min(sum(number for number, _ in found), most), oldest

    def _backlog(self, most: int, without=()):
        """(number, since when) of each way to be due, in each priority."""
        now = clock.text(self.ctx.now)
        for priority in self.priorities():
            for kind in (*self.kinds(), self.uncertain_kind()):
                number, first = self._count(kind, most, priority, without)
                if first and kind.column == "created_at":
                    first = _later(first, self.queue.delays[0])
                yield number, str(first or now)
            for kind in self.ahead_kinds():
                yield self._count(kind, most, priority, without)[0], now

    def _count(self, kind: Kind, most: int, priority, without) -> tuple[int, object]:
        """(how many rows are due in this way, the first time in the kind's column), of `most` that
        are looked at."""
        rule, values = self.of(priority)
        values = {**kind.values, **values, "most": most, "earliest": clock.FIRST}
        row = self.db.row(
            # A time that is none, such as 0000-00-00, must not hide since when the others wait.
            "SELECT COUNT(*) AS looked_at, COUNT({users}.id) AS blocked,"
            " MIN(CASE WHEN {users}.id IS NULL AND found.due >= :earliest THEN found.due END)"
            " AS since"
            f" FROM (SELECT user_id AS owner, {kind.column} AS due FROM {self.table}"
            f" WHERE status = 'pending'{rule} AND {kind.rule} ORDER BY {kind.order} LIMIT :most)"
            " found LEFT JOIN {users} ON {users}.id = found.owner"
            " AND ({users}.status = 'suspended' OR {users}.id IN (:ids))",
            ids=keys_in(without), **values)
        if row["blocked"] and row["looked_at"] == most:
            return self._count_by_owners(kind, rule, values, without)
        return row["looked_at"] - row["blocked"], row["since"]

    def _count_by_owners(self, kind: Kind, rule: str, values: dict,
                         without) -> tuple[int, object]:
        """The same where those left out have most of what is due: the others are looked up in the
        index of turns, so that it costs what there are of owners and of their due rows."""
        most = values["most"]
        total, since, owners = 0, [], [None]
        while owners and total < most:
            blocked = self.suspended(owners) | set(without)
            allowed = [owner for owner in owners if owner not in blocked]
            whose = "user_id IS NULL" if owners == [None] else "user_id IN (:owners)"
            row = allowed and self.db.row(
                "SELECT COUNT(*) AS number, MIN(CASE WHEN due >= :earliest THEN due END) AS since "
                f"FROM (SELECT {kind.column} AS due FROM {self.table}"
                f" WHERE status = 'pending'{rule} AND {whose} AND {kind.rule}"
                " LIMIT :most) found", owners=allowed, **{**values, "most": most - total})
            if row:
                total += row["number"]
                since += [row["since"]] if row["since"] else []
            owners = self._owners_after(owners[-1], rule, values)
        return total, min(since, key=str, default=None)

    def _owners_after(self, owner, rule: str, values: dict) -> list:
        where, behind = f"FROM {self.table} WHERE status = 'pending'{rule}", ">"
        if owner is None:           # from the first one on
            behind, owner = ">=", self.db.value(f"SELECT MIN(user_id) AS first {where}", **values)
        return [row["owner"] for row in self.db.query(
            f"SELECT DISTINCT user_id AS owner {where} AND user_id {behind} :at "
            "ORDER BY user_id LIMIT :owners", owners=OWNERS_AT_ONCE, **{**values, "at": owner})]


def _later(value, delay: timedelta) -> str:
    """So long after a time of the database; what is no time comes last."""
    moment = clock.parse_any(value)
    try:
        return clock.text(moment + delay) if moment else "9999"
    except OverflowError:
        return "9999"
