"""Working off a queue in the database so that a kill at any instruction loses nothing.

Forwards, webhooks and notifications share it. A row goes `pending` -> `sending` -> done or
`failed`, or back to `pending` with its next due time. Each step is one commit:

    claim     one conditional UPDATE takes a batch for this run (token, run, lease)
    begin     the row becomes `sending`, its attempt counted and its next due time set
    (the caller acts on the outside world)
    settle    the result is stored, in the same commit that begins the next row

A run that dies leaves claims behind, and each names its run: once that run is known to be dead they
are free at once. A row lost in `sending` is *uncertain*: the other side may have it or not. It is
tried once more in the next run, after all others, as the same attempt; if that is lost too, it
waits for its schedule.

Whose rows a claim takes is for turns.py to say, and what a row may hold for rows.py.
"""
from __future__ import annotations

import os
from collections import namedtuple
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database.statement import MOST_BOUND
from jobs_lib.errors import DatabaseError, Duplicate, Missing

from .rows import UNCLAIMED, count_unknown_status, invalid, lost
from .turns import Rank, Turns

CLAIM = 50                          # rows a batch: few enough to give back, many enough to be cheap
COUNTED, EVERY_ONE = 10_000, 2 ** 62            # due rows that are counted; there may be more
LEASE_MARGIN = timedelta(minutes=2)
PATIENCE = timedelta(hours=1)       # after which an uncertain row no longer waits behind the others
# the longest wait besides the schedule: what another server may ask for
LONGEST_ASKED = timedelta(days=1)
# so much later than any schedule allows is no clock of another host
CLOCKS_DIFFER = timedelta(hours=1)
SURE, TRY_AGAIN, TRIED_AGAIN = 0, 1, 2          # the column `uncertain`
FIRST = "first_attempt_at"          # a column of queues whose messages we write ourselves
AT_ONCE = 500                       # rows put right in one statement
# seconds before the hard limit after which no result is stored any more
STORE_MARGIN = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0           # seconds between two tries to store one

Queue = namedtuple("Queue",
                   "table done delays first_due columns lifetime ranks in_turns untold second",
                   defaults=((Rank(),), False, (), "created_at"))
Queue.__doc__ = """What the engine knows of one queue.

table      with status, attempts, next_attempt_at, claim_token, claim_run, lease_until, uncertain, ...
done       the status of success: `sent` or `delivered`
delays     timedeltas: before each attempt, counted from the one before
first_due  (SQL, values): when a row with no `next_attempt_at` is due
columns    what the caller needs of a row, besides the engine's own
lifetime   a retry after this age is the last, or None
ranks      rows of the first go before those of the second, and so on
in_turns   whether owners take turns (turns.py); else the longest due goes first
second     what the index of due rows is ordered by behind `next_attempt_at`
untold     columns that get the present time when a row is found invalid: nobody is to be notified of it
"""
Kind = namedtuple("Kind", "rule values column order")
Kind.__doc__ = """One of the ways to be due. column: when, but for a delay; order: of the index that serves it."""

Settled = namedtuple("Settled", "status outcome next_attempt_at stored", defaults=(None, True))
# stored: False when the row was no longer ours, such as after a COMMIT whose answer was lost


def until_stored(ctx, work):
    """`work()` in one transaction, tried again until it is stored, and its result.

    For the result of what was handed over: to lose it is to send it twice. So neither a locked file
    nor a server that restarts or a full disk ends the tries, only the hard limit. `work` may run
    again after a COMMIT that came through although its answer was lost, so each of its statements
    is guarded, as `settle` is by the claim's token.
    """
    pause, failed = FIRST_PAUSE, False
    while True:
        try:
            return ctx.db.batch(work)
        except (Missing, Duplicate):
            raise                       # no database gets over this by waiting
        except DatabaseError as error:
            left = ctx.hard_limit - ctx.monotonic() - STORE_MARGIN
            if left <= 0:
                raise
            if not failed:
                ctx.log.warning("result not stored yet", error=str(error), seconds_left=int(left))
            failed = True
        ctx.wait(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)


class Worker:
    """The steps above for one run. Rows are dicts."""

    def __init__(self, ctx, queue: Queue) -> None:
        self.ctx, self.db, self.queue = ctx, ctx.db, queue
        self.token = os.urandom(16).hex()
        self.table = "{" + queue.table + "}"
        self.owner_may = (" AND NOT EXISTS (SELECT 1 FROM {users} "
                          f"WHERE {{users}}.id = {self.table}.user_id"
                           " AND {users}.status = 'suspended')")
        self.turns = Turns(self)
        self.only_fresh = False         # rows that have failed before wait
        self.has_claims = False
        self.counts: dict = {}          # of the run

    # Before the work

    def recover(self, counts: dict) -> None:
        """Free the claims of dead runs; rows lost in `sending` become uncertain, and are logged and
        counted so.

        Also put right what no claim would find: a priority that is none, and a time that no
        schedule leads to.
        """
        self.counts = counts
        self.count_unknown_status()
        self._free_dead_claims()
        self._clamp_priorities()
        self._bring_back()

    def count_unknown_status(self) -> None:
        """Rows that nothing will ever take are counted, so that somebody sees them."""
        count_unknown_status(self.ctx, self.queue.table, ("pending", "sending", self.queue.done,
                                                          "failed"))

    def _free_dead_claims(self) -> None:
        columns = f"SELECT id, status, claim_run, lease_until, uncertain FROM {self.table}"
        # Not `IS NOT NULL`, for which SQLite takes no index. One that is `sending` for nobody was
        # lost too.
        rows = (self.db.query(f"{columns} WHERE claim_run > :mine OR claim_run < :mine",
                              mine=self.ctx.run_id)
                + self.db.query(f"{columns} WHERE status = 'sending' AND claim_run IS NULL"))
        if not rows:
            return
        alive = {row["run_id"] for row in self.db.query(
            "SELECT run_id FROM {job_runs} WHERE run_id IN (:runs) AND status = 'running'",
            runs=[run for run in {row["claim_run"] for row in rows}
                  if isinstance(run, str)][:MOST_BOUND])}
        now = clock.text(self.ctx.now)
        dead = [row for row in rows if row["claim_run"] not in alive
                or str(row["lease_until"] or "") < now]
        rule, values = lost(self.queue.table, now)
        for row in dead:
            self.db.execute(
                f"UPDATE {self.table} SET status = 'pending', claim_token = NULL, claim_run = NULL,"
                " lease_until = NULL, uncertain = :uncertain, next_attempt_at = CASE WHEN :again = "
                "1 THEN :now"
                f" ELSE next_attempt_at END WHERE id = :id AND status = :status AND {rule}",
                id=row["id"], status=row["status"], now=now, **values, **self._after_loss(row))
        in_flight = sum(row["status"] == "sending" for row in dead)
        if in_flight:
            self.counts["uncertain"] = in_flight
            self.ctx.log.warning("lost in flight", rows=in_flight, what="a run was killed while "
                                 "these were being sent")

    @staticmethod
    def _after_loss(row: dict) -> dict:
        if row["status"] != "sending":
            return {"uncertain": row["uncertain"], "again": 0}
        if row["uncertain"] == SURE:
            return {"uncertain": TRY_AGAIN, "again": 1}
        return {"uncertain": TRIED_AGAIN, "again": 0}

    def _clamp_priorities(self) -> None:
        """An app's own priorities become ours, by ranges of the index, so that each claim asks for
        one value alone."""
        classes = sorted({rank.priority for rank in self.queue.ranks if rank.priority is not None})
        if not classes:
            return
        between = [f"priority > {one} AND priority < {another}" for one,
                   another in zip(classes, classes[1:])]
        for rule, clamped in ((f"priority < {classes[0]}", classes[0]),
                              (f"priority > {classes[-1]}", classes[-1]),
                              *((rule, classes[1]) for rule in (*between, "priority IS NULL"))):
            self._put_right(f"priority = {clamped}", rule)

    def _bring_back(self) -> None:
        """What is due later than any schedule leads to was stored under a wrong clock: it is due
        now."""
        for priority in self.priorities():
            rule, values = self.of(priority)
            for kind in self._ahead():
                self._put_right("next_attempt_at = :now", f"{kind.rule}{rule}", now=self.ctx.now,
                                **kind.values, **values)

    def _put_right(self, change: str, rule: str, **values) -> None:
        """In short statements, and without any where there is nothing: an idle run does not
        write."""
        while not self.ctx.should_stop():
            ids = [row["id"] for row in self.db.query(
                f"SELECT id FROM {self.table} WHERE status = 'pending' AND {rule} AND {UNCLAIMED}"
                f" LIMIT {AT_ONCE}", **values)]
            # `+`: by the ids, as in `_take`.
            if not ids or not self.db.execute(f"UPDATE {self.table} SET {change} WHERE id IN (:ids)"
                                              f" AND +status = 'pending' AND {UNCLAIMED}", ids=ids,
                                              **values):
                return

    # Which rows are due

    @property
    def horizon(self):
        """The latest time that a schedule may lead to."""
        return self.ctx.now + max(*self.queue.delays, LONGEST_ASKED) + CLOCKS_DIFFER

    def priorities(self) -> list:
        """The values of the column, urgent ones first; [None] where there is none."""
        return list(dict.fromkeys(rank.priority for rank in self.queue.ranks))

    @staticmethod
    def of(priority) -> tuple[str, dict]:
        """(SQL, values) of the rows with a priority, to be put behind a condition."""
        return ("", {}) if priority is None else (" AND priority = :priority",
                                                  {"priority": priority})

    def kinds(self, wait=None, second: str = "") -> tuple[Kind, Kind]:
        """The two ways to be due: on schedule, and never tried. `wait`: and that for so long.
        `second`: of the order, where another index serves it."""
        first, values = self.queue.first_due
        until, second = self.ctx.now - (wait or timedelta(0)), second or self.queue.second
        waiting = "" if wait is None else " AND created_at <= :until"
        # In the order of the index, without which an engine sorts the whole backlog at each claim.
        return (Kind(f"next_attempt_at <= :until AND (uncertain <> {TRY_AGAIN} "
                     "OR next_attempt_at <= :long_ago)", {"until": until, "long_ago": self.ctx.now
                                                          - PATIENCE}, "next_attempt_at",
                     f"next_attempt_at, {second}, id"),
                Kind(f"next_attempt_at IS NULL AND {first}{waiting}",
                     {**values, **({} if wait is None else {"until": until})}, "created_at",
                     f"{second}, id"))

    def uncertain_kind(self) -> Kind:
        """Lost in flight within the last hour: they go last."""
        return Kind("next_attempt_at > :long_ago AND next_attempt_at <= :until "
                    f"AND uncertain = {TRY_AGAIN}", {"until": self.ctx.now, "long_ago": self.ctx.now
                                                     - PATIENCE}, "next_attempt_at",
                    f"next_attempt_at, {self.queue.second}, id")

    def select(self, kinds: tuple, most: int, rule: str = "", **values) -> list[dict]:
        """At most so many rows of each kind that nobody has claimed, the longest due first: id,
        owner and due."""
        rows: list[dict] = []
        for kind in kinds:
            rows += self.db.query(
                "SELECT id, user_id AS owner, next_attempt_at AS scheduled, created_at AS "
                "created, attempts"
                f" FROM {self.table} WHERE status = 'pending'{rule} AND {kind.rule} AND {UNCLAIMED}"
                f" ORDER BY {kind.order} LIMIT :most", most=most, **{**kind.values, **values})
        if self.only_fresh:
            # among those that were read: not through a whole backlog of repeats
            rows = [row for row in rows if row["attempts"] == 0]
        return sorted(map(self.dated, rows), key=lambda row: (row["due"], row["id"]))

    def dated(self, row: dict) -> dict:
        """The row with the time since when it is due."""
        if row["scheduled"] is None:
            return {**row, "due": _later(row["created"], self.queue.delays[0])}
        # what is no time must not stop the sorting
        return {**row, "due": str(row["scheduled"])}

    def suspended(self, owners) -> set:
        """Those of the owners whose rows wait where they are. The users are read at each claim
        anew."""
        ids = [owner for owner in owners if isinstance(owner, int)]
        return {row["id"] for row in self.db.query(
            "SELECT id FROM {users} WHERE id IN (:ids) AND status = 'suspended'",
            ids=ids)} if ids else set()

    # Claims

    def claim(self, most: int = CLAIM, only: tuple | None = None, uncertain: bool | None = None,
              without: frozenset = frozenset()) -> list[dict]:
        """Take a batch of due rows that nobody else has, owners in turn, uncertain ones last.

        `only`: (SQL, values) of the rows that are meant, the longest due first. `uncertain`: True
        takes the uncertain ones alone, False all but them: for a caller that parts the queue and
        keeps them last by itself. `without`: owners whose rows are left alone.
        """
        while ids := self._only(most, only, uncertain) if only else self._due(most, uncertain,
                                                                              without):
            self.has_claims = True

            def take(ids=ids) -> int:
                self.turns.keep()
                return self._take(ids)
            if self.db.batch(take):
                rows = self._judged(self._rows(ids,
                                               " AND claim_token = :token AND +status = 'pending'",
                                               token=self.token))
                if rows or self.ctx.should_stop():      # else all of them were invalid
                    return rows
        # had another taken them all meanwhile, we would have asked again
        return []

    def due(self, most: int, without: frozenset = frozenset()) -> list[dict]:
        """The rows that `claim` would take, for a dry run: nothing is changed."""
        ids = self._due(most, None, without)
        for priority in self.priorities() if len(ids) < most and not without else ():
            rule, values = self.of(priority)
            ids += [row["id"] for row in self.select(self._ahead(), most - len(ids), rule,
                                                     **values)]
        return self._rows(ids)

    def _ahead(self) -> tuple[Kind, ...]:
        """Stored under a clock that was ahead: later than any schedule leads to, or not even failed
        yet."""
        never = Kind("next_attempt_at IS NULL AND created_at > :tomorrow",
                     {"tomorrow": self.ctx.now + LONGEST_ASKED}, "created_at", "created_at, id")
        put_off = Kind("next_attempt_at > :horizon", {"horizon": self.horizon}, "next_attempt_at",
                       f"next_attempt_at, {self.queue.second}, id")
        return (put_off, never) if "created_at" in self.queue.first_due[0] else (put_off,)

    def due_values(self, columns: str, most: int, uncertain: bool,
                   only: tuple = ("1 = 1", {})) -> list[dict]:
        """These columns of due rows, so many at most, in no order: for a caller that parts the
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

    def _rows(self, ids: list[int], rule: str = "", **values) -> list[dict]:
        columns = ", ".join(["id", "user_id", "status", "attempts", "next_attempt_at", "created_at",
                             "uncertain", *self.queue.columns])
        found = {row["id"]: row for row in self.db.query(
            f"SELECT {columns} FROM {self.table} WHERE id IN (:ids){rule}", ids=ids, **values)}
        return [found[id] for id in ids if id in found]

    def _judged(self, rows: list[dict]) -> list[dict]:
        """The rows that can be worked on. The others end, whatever they hold: none may stop the
        rest."""
        reasons = invalid(self.queue.table, rows)
        if not reasons:
            return rows
        now = self.ctx.clock()

        def work() -> None:
            for id, reason in reasons.items():
                self.cancel({"id": id}, last_error=f"invalid: {reason}",
                            **dict.fromkeys(self.queue.untold, now))
        self.db.batch(work)
        self.counts["invalid"] = self.counts.get("invalid", 0) + len(reasons)
        for id, reason in reasons.items():
            self.ctx.log.warning("invalid row", table=self.queue.table, id=id, reason=reason)
        return [row for row in rows if row["id"] not in reasons]

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
        for priority in self.priorities():
            rule, values = self.of(priority)
            for kind in (*self.kinds(), self.uncertain_kind(), *self._ahead()):
                number, first = self._count(kind, most, rule, values, without)
                since = str(first or clock.text(self.ctx.now))
                if {"horizon", "tomorrow"} & kind.values.keys():
                    since = clock.text(self.ctx.now)
                elif kind.column == "created_at" and first:
                    since = _later(first, self.queue.delays[0])
                yield number, since

    def _count(self, kind: Kind, most: int, rule: str, values: dict, without) -> tuple[int, object]:
        """(how many rows are due in this way, the first time in the kind's column), of `most` that
        are looked at."""
        ids = [owner for owner in without if isinstance(owner, int)]
        row = self.db.row(
            # A time that is none, such as 0000-00-00, must not hide since when the others wait.
            "SELECT COUNT(*) AS looked_at, COUNT({users}.id) AS barred,"
            " MIN(CASE WHEN {users}.id IS NULL AND found.due >= :dawn THEN found.due END) AS since"
            f" FROM (SELECT user_id AS owner, {kind.column} AS due FROM {self.table}"
            f" WHERE status = 'pending'{rule} AND {kind.rule} ORDER BY {kind.order} LIMIT :most) found"
            " LEFT JOIN {users} ON {users}.id = found.owner AND ({users}.status = 'suspended' OR {users}.id IN (:ids))",
            most=most, dawn=clock.FIRST, ids=ids or [-1], **{**kind.values, **values})
        if row["barred"] and row["looked_at"] == most:
            return self._count_by_owners(kind, most, rule, values, without)
        return row["looked_at"] - row["barred"], row["since"]

    def _count_by_owners(self, kind: Kind, most: int, rule: str, values: dict,
                         without) -> tuple[int, object]:
        """The same where those left out have most of what is due: the others are looked up in the
        index of turns, so that it costs what there are of owners and of their due rows."""
        total, since, owners = 0, [], [None]
        while owners and total < most:
            barred = self.suspended(owners) | set(without)
            allowed = [owner for owner in owners if owner not in barred]
            whose = "user_id IS NULL" if owners == [None] else "user_id IN (:owners)"
            row = allowed and self.db.row(
                "SELECT COUNT(*) AS number, MIN(CASE WHEN due >= :dawn THEN due END) AS since "
                "FROM (SELECT"
                f" {kind.column} AS due FROM {self.table} WHERE status = 'pending'{rule} "
                f"AND {whose} AND {kind.rule}"
                " LIMIT :most) found", most=most - total, dawn=clock.FIRST, owners=allowed,
                **{**kind.values, **values})
            if row:
                total += row["number"]
                since += [row["since"]] if row["since"] else []
            owners = [row["owner"] for row in self.db.query(
                f"SELECT DISTINCT user_id AS owner FROM {self.table} "
                f"WHERE status = 'pending'{rule} AND user_id > :at"
                " ORDER BY user_id LIMIT :owners", at=owners[-1] if owners[-1] is not None else
                -2 ** 63,
                owners=AT_ONCE, **values)]
        return total, min(since, key=str, default=None)

    def _due(self, most: int, only_uncertain: bool | None, without: frozenset) -> list[int]:
        ids = dict.fromkeys(self.turns.choose(most, without) if not only_uncertain else ())
        if not ids and only_uncertain is not False:
            for priority in self.priorities():
                rule, values = self.of(priority)
                rows = self.select((self.uncertain_kind(),), most, rule, **values)
                barred = self.suspended({row["owner"] for row in rows}) | without
                ids.update(dict.fromkeys(row["id"] for row in rows if row["owner"] not in barred))
        return list(ids)[:most]

    def _only(self, most: int, only: tuple, uncertain: bool | None) -> list[int]:
        rule, values = only
        kinds = () if uncertain else self.kinds(second="created_at")
        rows = self.select(kinds, most, f" AND {rule}{self.owner_may}", **values)
        if not rows and uncertain is not False:
            rows = self.select((self.uncertain_kind(),), most, f" AND {rule}{self.owner_may}",
                               **values)
        return [row["id"] for row in rows][:most]

    def _take(self, ids: list[int]) -> int:
        return self.db.execute(
            f"UPDATE {self.table} SET claim_token = :token, claim_run = :run, lease_until = :lease"
            # `+`: by the ids. SQLite would go through all that is pending, as long as nobody has
            # run ANALYZE.
            f" WHERE id IN (:ids) AND +status = 'pending' AND {UNCLAIMED}",
            token=self.token, run=self.ctx.run_id, ids=ids,
            lease=self.ctx.clock() + timedelta(seconds=self.ctx.hard_limit - self.ctx.monotonic()) + LEASE_MARGIN)

    def release(self) -> None:
        """Give back, untouched, what was claimed and not begun."""
        if not self.has_claims:
            return
        self.turns.keep()
        self.db.execute(f"UPDATE {self.table} "
                        "SET claim_token = NULL, claim_run = NULL, lease_until = NULL"
                        " WHERE claim_run = :run AND claim_token = :token AND status = 'pending'",
                        run=self.ctx.run_id, token=self.token)

    # One row. Each of these is called inside a transaction.

    def begin(self, row: dict) -> bool:
        """Mark it `sending`. False when it is no longer ours (released, cancelled or deleted
        meanwhile)."""
        # an uncertain one repeats the attempt that was lost
        counts = row["uncertain"] != TRY_AGAIN
        now, attempt = self.ctx.clock(), row["attempts"] + counts
        row["attempt"] = attempt
        self.turns.served(row)
        first = {}
        if FIRST in self.queue.columns:
            # a COMMIT whose answer was lost begins it once more
            row.setdefault("dated_before", row[FIRST])
            row[FIRST] = row[FIRST] or clock.text(now)
            first = {FIRST: row[FIRST]}
        return self.db.execute(
            f"UPDATE {self.table} SET status = 'sending', attempts = :attempt, last_attempt_at = :now,"
            f"{''.join(f' {name} = :{name},' for name in first)}"
            " next_attempt_at = :next, uncertain = :uncertain"
            # A row of ours that is `sending` already was begun in a COMMIT whose answer was lost.
            " WHERE id = :id AND claim_token = :token AND status IN ('pending', 'sending')",
            id=row["id"], token=self.token, attempt=attempt, now=now, next=self._next(attempt, now),
            uncertain=row["uncertain"] if counts else TRIED_AGAIN, **first) == 1

    def settle(self, row: dict, outcome: str, **stored) -> Settled:
        """Store what came of it. outcome: done, retry, final, uncertain, or back (it used no
        attempt)."""
        now = self.ctx.clock()
        result = self._judge(row, outcome, now)
        finished = result.status != "pending"
        values = {"status": result.status, "claim_token": None, "claim_run": None,
                  "lease_until": None, "next_attempt_at": result.next_attempt_at, **stored}
        if finished:
            values["finished_at"] = now
        if outcome == "back":
            values["attempts"], values["uncertain"] = row["attempts"], row["uncertain"]
            if FIRST in self.queue.columns:
                values[FIRST] = row["dated_before"]         # this attempt has sent nothing
        elif outcome == "uncertain":
            values["uncertain"] = TRY_AGAIN if row["uncertain"] == SURE else TRIED_AGAIN
        sets = ", ".join(f"{name} = :{name}" for name in values)
        stored_now = self.db.execute(f"UPDATE {self.table} SET {sets} WHERE id = :id "
                                     "AND claim_token = :token", id=row["id"], token=self.token,
                                     **values)
        return result._replace(next_attempt_at=values["next_attempt_at"], stored=stored_now == 1)

    def _judge(self, row: dict, outcome: str, now) -> Settled:
        if outcome == "done":
            return Settled(self.queue.done, "sent")
        if outcome == "final":
            return Settled("failed", "failed")
        if outcome == "back":
            return Settled("pending", "back", clock.parse_any(row["next_attempt_at"]))
        if outcome == "uncertain" and row["uncertain"] == SURE:
            return Settled("pending", "uncertain", max(now, self.ctx.now + timedelta(seconds=1)))
        if self.is_old(row) or self._is_last(row):
            return Settled("failed", "failed")
        return Settled("pending", outcome, self._next(row["attempt"], now))

    def _is_last(self, row: dict) -> bool:
        """By the schedule, which a clock in doubt may have run through too early: then there is one
        attempt more."""
        most = len(self.queue.delays)
        return row["attempt"] > most or (row["attempt"] == most and self.ctx.may_expire())

    def is_old(self, row: dict) -> bool:
        """Whether an attempt now is the row's last, whatever its schedule says."""
        life, created = self.queue.lifetime, clock.parse_any(row["created_at"])
        return life is not None and (created is None or self.ctx.clock() - created
                                     >= life) and self.ctx.may_expire()

    def cancel(self, row: dict, **stored) -> bool:
        """End a row that nobody waits for any more, without an attempt."""
        sets = "".join(f", {name} = :{name}" for name in stored)
        return self.db.execute(
            f"UPDATE {self.table} "
            "SET status = 'failed', finished_at = :now, claim_token = NULL, claim_run = NULL,"
            f" lease_until = NULL, next_attempt_at = NULL{sets}"
            " WHERE id = :id AND claim_token = :token AND status = 'pending'",
            id=row["id"], token=self.token, now=self.ctx.clock(), **stored) == 1

    def _next(self, attempt: int, now):
        delays = self.queue.delays
        return now + delays[min(attempt, len(delays) - 1)]


def _later(value, delay: timedelta) -> str:
    """So long after a time of the database; what is no time comes last."""
    moment = clock.parse_any(value)
    try:
        return clock.text(moment + delay) if moment else "9999"
    except OverflowError:
        return "9999"
