"""Working off a queue in the database so that a kill at any instruction loses nothing.

Forwards, webhooks and notifications share it. A row goes `pending` -> `sending` -> done or
`failed`, or back to `pending` with its next due time. Each step is one commit:

    claim     one conditional UPDATE takes a batch for this run (token, run, lease)
    begin     the row becomes `sending`, its attempt counted and its next due time set
    (the caller acts on the outside world)
    settle    what came of it is stored

What a killed run leaves behind is for recovery.py, whose rows a claim takes for turns.py, which
rows are due for due_rows.py, and what a row may hold for rows.py.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.errors import DatabaseError, Duplicate, Missing
from jobs_lib.ports.outcomes import FINAL, SENT, UNCERTAIN, meanings
from jobs_lib.records import namedtuple

from .attempts import Tried, record
from .due_rows import LIFETIME, SURE, TRIED_AGAIN, TRY_AGAIN, DueRows, Queue
from .old_turns import Turns
from .rows import SHOWN, UNCLAIMED, invalid

CLAIM = 50                          # rows a batch: few enough to give back, many enough to be cheap
LEASE_MARGIN = timedelta(minutes=2)
FIRST = "first_attempt_at"          # a column of queues whose messages we write ourselves
# seconds before the hard limit after which no result is stored any more
STORE_MARGIN = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0           # seconds between two tries to store one
# after which it is asked again whether anybody waits for what is claimed
RECHECK_SECONDS = 5
CLAIM_COLUMNS = ("claim_token", "claim_run", "lease_until")
# a row that the app has ended while we had it stays so
UNFINISHED = " AND status IN ('pending', 'sending')"
ENDED_BY_APP = "ended by the app"       # in the log: or deleted

Settled = namedtuple("Settled", "meaning next_attempt_at stored over")
Settled.__doc__ = """What a row has become.

meaning          of its outcome (ports/outcomes.py): a refusal for now may have been the last
next_attempt_at  aware UTC, or None
stored           False when it was no longer ours, such as after a COMMIT whose answer was lost
over             the app has ended or deleted it meanwhile, and it was not sent: nothing came of it
"""


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


class QueueClaims(DueRows):
    """The rows of a queue that one run claims, and the steps above for them. Rows are dicts."""

    def __init__(self, ctx, queue: Queue) -> None:
        super().__init__(ctx, queue)
        self.token = os.urandom(16).hex()
        self.turns = Turns(self)
        self.meanings = meanings(queue.done)
        self.has_claims = False
        self.ended: set = set()         # ids of the rows that this run has ended

    # Claims

    def claim(self, most: int = CLAIM, only: tuple | None = None, uncertain: bool | None = None,
              without: frozenset = frozenset()) -> list[dict]:
        """Take a batch of due rows that nobody else has, owners in turn, uncertain ones last. None
        any more once one that this run has ended is due again.

        `only`: (SQL, values) of the rows that are meant, the longest due first. `uncertain`: True
        takes the uncertain ones alone, False all but them: for a caller that parts the queue and
        keeps them last by itself. `without`: owners whose rows are left alone.
        """
        while ids := self._ids(most, only, uncertain, without):
            if again := self.ended.intersection(ids):
                # an app's trigger, or its expression: without end it would be sent again and again
                self.ctx.log.warning("ended rows are pending again", table=self.queue.table,
                                     ids=sorted(again)[:SHOWN])
                return []
            self.has_claims = True

            def take(ids=ids) -> int:
                self.turns.keep()
                return self._take(ids)
            if self.db.batch(take):
                taken = self._rows(ids, " AND claim_token = :token AND +status = 'pending'",
                                   token=self.token)
                rows = self._valid(taken)
                if rows or self.ctx.should_stop():      # else all of them were invalid
                    return rows
        # had another taken them all meanwhile, we would have asked again
        return []

    def due(self, most: int) -> list[dict]:
        """The rows that `claim` would take, for a dry run: nothing is changed."""
        ids, kinds = self._ids(most), self.ahead_kinds()
        for priority in self.priorities():
            if len(ids) < most:
                rule, values = self.of(priority)
                ids += [row["id"] for row in self.select(kinds, most - len(ids),
                                                         rule + self.owner_may, **values)]
        return self._rows(ids[:most])

    def _ids(self, most: int, only: tuple | None = None, uncertain: bool | None = None,
             without: frozenset = frozenset()) -> list[int]:
        if only:
            return self._only(most, only, uncertain)
        ids = [] if uncertain else self.turns.choose(most, without)
        if not ids and uncertain is not False:
            for priority in self.priorities():
                rule, values = self.of(priority)
                rows = self.select((self.uncertain_kind(),), most, rule, **values)
                blocked = self.suspended({row["owner"] for row in rows}) | without
                ids += [row["id"] for row in rows if row["owner"] not in blocked]
        return ids[:most]

    def _only(self, most: int, only: tuple, uncertain: bool | None) -> list[int]:
        rule, values = f" AND {only[0]}{self.owner_may}", only[1]
        kinds = () if uncertain else self.kinds(second="created_at")
        rows = self.select(kinds, most, rule, **values)
        if not rows and uncertain is not False:
            rows = self.select((self.uncertain_kind(),), most, rule, **values)
        return [row["id"] for row in rows][:most]

    def _take(self, ids: list[int]) -> int:
        left = timedelta(seconds=self.ctx.hard_limit - self.ctx.monotonic())
        return self.db.execute(
            f"UPDATE {self.table} SET claim_token = :token, claim_run = :run, lease_until = :lease"
            # `+`: by the ids. SQLite would go through all that is pending, as long as nobody has
            # run ANALYZE.
            f" WHERE id IN (:ids) AND +status = 'pending' AND {UNCLAIMED}",
            token=self.token, run=self.ctx.run_id, ids=ids,
            lease=self.ctx.clock() + left + LEASE_MARGIN)

    def _rows(self, ids: list[int], rule: str = "", **values) -> list[dict]:
        """These rows as a run works on them, in the order of the ids."""
        columns = ", ".join(["id", "user_id", "status", "attempts", "next_attempt_at", "created_at",
                             "uncertain", *self.queue.columns])
        found = {row["id"]: row for row in self.db.query(
            f"SELECT {columns} FROM {self.table} WHERE id IN (:ids){rule}", ids=ids, **values)}
        return [found[id] for id in ids if id in found]

    def _valid(self, rows: list[dict]) -> list[dict]:
        """The rows that can be worked on. The others end, whatever they hold: none may stop the
        rest."""
        reasons = invalid(self.db, self.queue.table, rows)

        def work() -> None:
            for id, reason in reasons.items():
                self.cancel({"id": id}, last_error=f"invalid: {reason}")
                self.ctx.count("invalid")
                self.ctx.log.warning("invalid row", table=self.queue.table, id=id, reason=reason)
        if reasons:
            self.db.batch(work)
        return [row for row in rows if row["id"] not in reasons]

    def release(self) -> None:
        """Give back, untouched, what was claimed and not begun."""
        if not self.has_claims:
            return
        self.turns.keep()
        freed = ", ".join(f"{name} = NULL" for name in CLAIM_COLUMNS)
        self.db.execute(f"UPDATE {self.table} SET {freed}"
                        " WHERE claim_run = :run AND claim_token = :token AND status = 'pending'",
                        run=self.ctx.run_id, token=self.token)

    # One row. Each of these is called inside a transaction.

    def begin(self, row: dict) -> bool:
        """Mark it `sending`. False when it is no longer ours (released, cancelled or deleted
        meanwhile)."""
        repeats = row["uncertain"] == TRY_AGAIN     # the attempt that was lost
        now, attempt = self.ctx.clock(), row["attempts"] + (not repeats)
        row["attempt"], row["began_at"] = attempt, now
        self.turns.served(row)
        values = {"attempts": attempt, "last_attempt_at": now,
                  "next_attempt_at": self._next(attempt, now),
                  "uncertain": TRIED_AGAIN if repeats else row["uncertain"]}
        if FIRST in self.queue.columns:
            # a COMMIT whose answer was lost begins it once more
            row.setdefault("dated_before", row[FIRST])
            values[FIRST] = row[FIRST] = row[FIRST] or clock.text(now)
        # A row of ours that is `sending` already was begun in a COMMIT whose answer was lost.
        return self._update(row, "sending", values, UNFINISHED)

    def settle(self, row: dict, outcome: str, tried: Tried | None = None, **stored) -> Settled:
        """Store what came of it (ports/outcomes.py), and `stored` with it; the attempt, too, unless
        nothing was `tried`."""
        now = self.ctx.clock()
        outcome = self._or_final(row, outcome)
        meaning, first_loss = self.meanings[outcome], row["uncertain"] == SURE
        values: dict = {"next_attempt_at": None, **dict.fromkeys(CLAIM_COLUMNS)}
        if meaning.status != "pending":
            values["finished_at"] = now
        elif not meaning.uses_attempt:
            values.update({name: row[name] for name in ("attempts", "uncertain")},
                          next_attempt_at=clock.parse_any(row["next_attempt_at"]))
            if FIRST in self.queue.columns:
                values[FIRST] = row["dated_before"]         # this attempt has sent nothing
        elif outcome == UNCERTAIN and first_loss:
            values.update(uncertain=TRY_AGAIN,
                          next_attempt_at=max(now, self.ctx.now + timedelta(seconds=1)))
        else:
            values["next_attempt_at"] = self._next(row["attempt"], now)
        values.update(stored)
        # that it was sent is true whatever the app has made of it since
        is_ours = self._update(row, meaning.status, values, "" if outcome == SENT else UNFINISHED)
        if is_ours and tried:
            record(self.db, self.queue.table, row, run_id=self.ctx.run_id, began=row["began_at"],
                   outcome=meaning.logged if meaning.uses_attempt else outcome, tried=tried)
        # a COMMIT whose answer was lost has stored it
        row["stored"] = is_ours or row.get("stored", False)
        return Settled(meaning, values["next_attempt_at"], is_ours,
                       outcome != SENT and not row["stored"])

    def _or_final(self, row: dict, outcome: str) -> str:
        """FINAL in place of a failure that was the row's last attempt."""
        repeats = outcome == UNCERTAIN and row["uncertain"] == SURE     # the same attempt
        if outcome == SENT or repeats or not self.meanings[outcome].uses_attempt:
            return outcome
        return FINAL if self.is_old(row) or self._is_last(row) else outcome

    def _is_last(self, row: dict) -> bool:
        """By the schedule, which a clock in doubt may have run through too early: then there is one
        attempt more."""
        most = len(self.queue.delays)
        return row["attempt"] > most or (row["attempt"] == most and self.ctx.may_expire())

    def is_old(self, row: dict) -> bool:
        """Whether an attempt now is the row's last, whatever its schedule says."""
        created = clock.parse_any(row["created_at"])
        if created and self.ctx.clock() - created < LIFETIME:
            return False
        return self.ctx.may_expire()

    def cancel(self, row: dict, **stored) -> bool:
        """End a row that nobody waits for any more, without an attempt. False when it is no longer
        ours, or another account's than it was: why its owner does not wait is no reason then."""
        now, owner = self.ctx.clock(), row.get("user_id")
        whose = "" if owner is None else " AND user_id = :owner"
        return self._update(row, "failed", {
            "finished_at": now, "next_attempt_at": None, **dict.fromkeys(CLAIM_COLUMNS),
            **dict.fromkeys(self.queue.notified, now), **stored},
            f" AND status = 'pending'{whose}", **({"owner": owner} if whose else {}))

    def _update(self, row: dict, status: str, values: dict, rule: str = "", **bound) -> bool:
        """Change a row, if it is still ours and the rule, with what is bound in it, holds."""
        changes = "".join(f", {name} = :{name}" for name in values)
        is_ours = self.db.execute(
            f"UPDATE {self.table} SET status = '{status}'{changes} "
            f"WHERE id = :id AND claim_token = :token{rule}",
            id=row["id"], token=self.token, **values, **bound) == 1
        if is_ours and status not in ("pending", "sending"):
            self.ended.add(row["id"])
        return is_ours

    def _next(self, attempt: int, now):
        delays = self.queue.delays
        return now + delays[min(attempt, len(delays) - 1)]
