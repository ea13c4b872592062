"""Working off a queue in the database so that a kill at any instruction loses nothing.

Forwards, webhooks and notifications share it. A row goes `pending` -> `sending` -> done or `failed`, or back
to `pending` with its next due time. Each step is one commit:

    claim     one conditional UPDATE takes a batch for this run (token, run, lease)
    begin     the row becomes `sending`, its attempt counted and its next due time set
    (the caller acts on the outside world)
    settle    the result is stored, in the same commit that begins the next row

A run that dies leaves claims behind, and each names its run: once that run is known to be dead they are free
at once. A row lost in `sending` is *uncertain*: the other side may have it or not. It is tried once more in the
next run, after all others, as the same attempt; if that is lost too, it waits for its schedule.
"""
from __future__ import annotations

import os
from collections import namedtuple
from datetime import timedelta
from functools import partial

from .. import clock
from ..errors import DatabaseError, Duplicate
from ..ports.dialects import Missing

CLAIM = 50                          # rows a batch: few enough to give back, many enough to be cheap
LEASE_MARGIN = timedelta(minutes=2)
PATIENCE = timedelta(hours=1)       # after which an uncertain row no longer waits behind the others
SURE, TRY_AGAIN, TRIED_AGAIN = 0, 1, 2          # the column `uncertain`
STORE_MARGIN = 3.0                  # seconds before the hard limit after which no result is stored any more
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0           # seconds between two tries to store one
NEVER_TRIED = 1                     # which of Worker._rules() is for rows without `next_attempt_at`

Queue = namedtuple("Queue", "table done delays first_due columns lifetime ranks", defaults=((("1 = 1", {}),),))
Queue.__doc__ = """What the engine knows of one queue.

table      with status, attempts, next_attempt_at, claim_token, claim_run, lease_until, uncertain, ...
done       the status of success: `sent` or `delivered`
delays     timedeltas: before each attempt, counted from the one before
first_due  (SQL, values): when a row with no `next_attempt_at` is due
columns    what the caller needs of a row, besides the engine's own
lifetime   a retry after this age is the last, or None
ranks      [(SQL, values)]: rows of the first go before those of the second, and so on; each row is in one of them
"""

Settled = namedtuple("Settled", "status outcome next_attempt_at stored", defaults=(None, True))
# stored: False when the row was no longer ours, such as after a COMMIT whose answer was lost


def until_stored(ctx, work):
    """`work()` in one transaction, tried again until it is stored, and its result.

    For the result of what was handed over: to lose it is to send it twice. So neither a locked file nor a server that
    restarts or a full disk ends the tries, only the hard limit. `work` may run again after a COMMIT that came through
    although its answer was lost, so each of its statements is guarded, as `settle` is by the claim's token.
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
        self._owner_may = (f" AND NOT EXISTS (SELECT 1 FROM {{users}} WHERE {{users}}.id = {self.table}.user_id"
                           " AND {users}.status = 'suspended')")
        self.has_claims = False

    # Before the work

    def recover(self, counts: dict) -> None:
        """Free the claims of dead runs; rows lost in `sending` become uncertain, and are logged and counted so."""
        columns = f"SELECT id, status, claim_run, lease_until, uncertain FROM {self.table}"
        # Not `IS NOT NULL`, for which SQLite takes no index. One that is `sending` for nobody was lost too.
        rows = (self.db.query(f"{columns} WHERE claim_run > :mine OR claim_run < :mine", mine=self.ctx.run_id)
                + self.db.query(f"{columns} WHERE status = 'sending' AND claim_run IS NULL"))
        if not rows:
            return
        alive = {row["run_id"] for row in self.db.query(
            "SELECT run_id FROM {job_runs} WHERE run_id IN (:runs) AND status = 'running'",
            runs=sorted({row["claim_run"] or "" for row in rows}))}
        now = clock.text(self.ctx.now)
        dead = [row for row in rows if row["claim_run"] not in alive or (row["lease_until"] or "") < now]
        for row in dead:
            self.db.execute(
                f"UPDATE {self.table} SET status = 'pending', claim_token = NULL, claim_run = NULL,"
                " lease_until = NULL, uncertain = :uncertain, next_attempt_at = CASE WHEN :again = 1 THEN :now"
                " ELSE next_attempt_at END WHERE id = :id AND COALESCE(claim_run, '') = :run AND status = :status",
                id=row["id"], run=row["claim_run"] or "", status=row["status"], now=now, **self._after_loss(row))
        lost = sum(row["status"] == "sending" for row in dead)
        if lost:
            counts["uncertain"] = lost
            self.ctx.log.warning("lost in flight", rows=lost, what="a run was killed while these were being sent")

    @staticmethod
    def _after_loss(row: dict) -> dict:
        if row["status"] != "sending":
            return {"uncertain": row["uncertain"], "again": 0}
        if row["uncertain"] == SURE:
            return {"uncertain": TRY_AGAIN, "again": 1}
        return {"uncertain": TRIED_AGAIN, "again": 0}

    # Claims

    def claim(self, most: int = CLAIM, only: tuple | None = None, uncertain: bool | None = None) -> list[dict]:
        """Take a batch of due rows that nobody else has, longest due first, uncertain ones last.

        `only`: (SQL, values) of the rows that are meant, instead of all ranks. `uncertain`: True takes the uncertain
        ones alone, False all but them: for a caller that parts the queue and keeps them last by itself.
        """
        ranks = (only,) if only else self.queue.ranks
        while ids := self._due(most, ranks, uncertain):
            self.has_claims = True
            if self.db.batch(partial(self._take, ids)):
                return self._rows(ids, " AND claim_token = :token AND status = 'pending'", token=self.token)
        return []                   # had another taken them all meanwhile, we would have asked again

    def due(self, most: int) -> list[dict]:
        """The rows that `claim` would take, for a dry run: nothing is changed."""
        return self._rows(self._due(most, self.queue.ranks, None))

    def due_values(self, columns: str, most: int, uncertain: bool, only: tuple = ("1 = 1", {})) -> list[dict]:
        """These columns of due rows, so many at most, in no order: for a caller that parts the queue by itself."""
        on_schedule, never_tried, lost = self._rules()
        sql, more = only
        found: list = []
        for rule, values in (lost,) if uncertain else (on_schedule, never_tried):
            found += self.db.query(f"SELECT {columns} FROM {self.table} WHERE status = 'pending' AND {sql} AND {rule}"
                                   f" AND claim_token IS NULL{self._owner_may} LIMIT :most", most=most - len(found),
                                   **values, **more) if len(found) < most else []
        return found

    def _rows(self, ids: list[int], rule: str = "", **values) -> list[dict]:
        columns = ", ".join(["id", "user_id", "status", "attempts", "next_attempt_at", "created_at", "uncertain",
                             *self.queue.columns])
        found = {row["id"]: row for row in self.db.query(
            f"SELECT {columns} FROM {self.table} WHERE id IN (:ids){rule}", ids=ids, **values)}
        return [found[id] for id in ids if id in found]

    def count_due(self) -> int:
        """How many rows are due now, those of suspended owners left out."""
        return sum(number for number, _ in self._backlog())

    def oldest_due(self) -> tuple[int, str | None]:
        """(how many rows are due now, since when the oldest is), those of suspended owners left out."""
        found = list(self._backlog())
        return sum(number for number, _ in found), min((since for number, since in found if number), default=None)

    def _backlog(self):
        for at, (rule, values) in enumerate(self._rules()):
            column, wait = ("created_at", self.queue.delays[0]) if at == NEVER_TRIED else ("next_attempt_at", None)
            for rank, more in self.queue.ranks:
                row = self.db.row(f"SELECT COUNT(*) AS number, MIN({column}) AS since FROM {self.table}"
                                  f" WHERE status = 'pending' AND {rank} AND {rule}{self._owner_may}",
                                  **values, **more)
                yield row["number"], _later(row["since"], wait) if wait else str(row["since"])

    def _due(self, most: int, ranks: tuple, only_uncertain: bool | None) -> list[int]:
        on_schedule, never_tried, uncertain = self._rules()
        ids: list[int] = []
        for rank in ranks if not only_uncertain else ():
            rows = self._select(rank, on_schedule, "next_attempt_at", most)
            for row in self._select(rank, never_tried, "created_at", most):
                rows.append({"id": row["id"], "due": _later(row["due"], self.queue.delays[0])})
            ids += [row["id"] for row in sorted(rows, key=lambda row: (str(row["due"]), row["id"]))]
            if len(ids) >= most:
                break
        for rank in ranks if not ids and only_uncertain is not False else ():
            ids += [row["id"] for row in self._select(rank, uncertain, "next_attempt_at", most)]
        return ids[:most]

    def _select(self, rank: tuple, rule: tuple, due: str, most: int) -> list[dict]:
        # A suspended owner's rows wait where they are. The users are read with the rows, at each claim anew.
        first, more = rank
        sql, values = rule
        # In the order of the index, without which MariaDB sorts the whole backlog at each claim.
        order = f"{due}, created_at, id" if due != "created_at" else "created_at, id"
        return self.db.query(f"SELECT id, {due} AS due FROM {self.table} WHERE status = 'pending' AND {first} AND {sql}"
                             f" AND claim_token IS NULL{self._owner_may} ORDER BY {order} LIMIT :most",
                             most=most, **values, **more)

    def _rules(self):
        """(SQL, values) of the three kinds of due rows: on schedule, never tried, uncertain."""
        first, values = self.queue.first_due
        # ctx.now is fixed: a row that this run has tried is due later than that, so it gets one attempt a run.
        return ((f"next_attempt_at <= :now AND (uncertain <> {TRY_AGAIN} OR next_attempt_at <= :long_ago)",
                 {"now": self.ctx.now, "long_ago": self.ctx.now - PATIENCE}),
                (f"next_attempt_at IS NULL AND {first}", values),
                (f"next_attempt_at <= :now AND uncertain = {TRY_AGAIN}", {"now": self.ctx.now}))

    def _take(self, ids: list[int]) -> int:
        return self.db.execute(
            f"UPDATE {self.table} SET claim_token = :token, claim_run = :run, lease_until = :lease"
            " WHERE id IN (:ids) AND status = 'pending' AND claim_token IS NULL",
            token=self.token, run=self.ctx.run_id, ids=ids,
            lease=self.ctx.clock() + timedelta(seconds=self.ctx.hard_limit - self.ctx.monotonic()) + LEASE_MARGIN)

    def release(self) -> None:
        """Give back, untouched, what was claimed and not begun."""
        if not self.has_claims:
            return
        self.db.execute(f"UPDATE {self.table} SET claim_token = NULL, claim_run = NULL, lease_until = NULL"
                        " WHERE claim_run = :run AND claim_token = :token AND status = 'pending'",
                        run=self.ctx.run_id, token=self.token)

    # One row. Each of these is called inside a transaction.

    def begin(self, row: dict) -> bool:
        """Mark it `sending`. False when it is no longer ours (released, cancelled or deleted meanwhile)."""
        counts = row["uncertain"] != TRY_AGAIN          # an uncertain one repeats the attempt that was lost
        now, attempt = self.ctx.clock(), row["attempts"] + counts
        row["attempt"] = attempt
        return self.db.execute(
            f"UPDATE {self.table} SET status = 'sending', attempts = :attempt, last_attempt_at = :now,"
            " next_attempt_at = :next, uncertain = :uncertain"
            " WHERE id = :id AND claim_token = :token AND status = 'pending'",
            id=row["id"], token=self.token, attempt=attempt, now=now, next=self._next(attempt, now),
            uncertain=row["uncertain"] if counts else TRIED_AGAIN) == 1

    def settle(self, row: dict, outcome: str, **stored) -> Settled:
        """Store what came of it. outcome: done, retry, final, uncertain, or back (it used no attempt)."""
        now = self.ctx.clock()
        result = self._judge(row, outcome, now)
        finished = result.status != "pending"
        values = {"status": result.status, "claim_token": None, "claim_run": None, "lease_until": None,
                  "next_attempt_at": result.next_attempt_at, **stored}
        if finished:
            values["finished_at"] = now
        if outcome == "back":
            values["attempts"], values["uncertain"] = row["attempts"], row["uncertain"]
        elif outcome == "uncertain":
            values["uncertain"] = TRY_AGAIN if row["uncertain"] == SURE else TRIED_AGAIN
        sets = ", ".join(f"{name} = :{name}" for name in values)
        stored_now = self.db.execute(f"UPDATE {self.table} SET {sets} WHERE id = :id AND claim_token = :token",
                                     id=row["id"], token=self.token, **values)
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
        if self.is_old(row) or row["attempt"] >= len(self.queue.delays):
            return Settled("failed", "failed")
        return Settled("pending", outcome, self._next(row["attempt"], now))

    def is_old(self, row: dict) -> bool:
        """Whether an attempt now is the row's last, whatever its schedule says."""
        life, created = self.queue.lifetime, clock.parse_any(row["created_at"])
        return life is not None and (created is None or self.ctx.clock() - created >= life)

    def cancel(self, row: dict, **stored) -> bool:
        """End a row that nobody waits for any more, without an attempt."""
        sets = ", ".join(f"{name} = :{name}" for name in stored)
        return self.db.execute(
            f"UPDATE {self.table} SET status = 'failed', finished_at = :now, claim_token = NULL, claim_run = NULL,"
            f" lease_until = NULL, next_attempt_at = NULL, {sets}"
            " WHERE id = :id AND claim_token = :token AND status = 'pending'",
            id=row["id"], token=self.token, now=self.ctx.clock(), **stored) == 1

    def _next(self, attempt: int, now):
        delays = self.queue.delays
        return now + delays[min(attempt, len(delays) - 1)]


def _later(value, delay: timedelta) -> str:
    """So long after a time of the database; what is no time comes last."""
    moment = clock.parse_any(value)
    return clock.text(moment + delay) if moment else "9999"
