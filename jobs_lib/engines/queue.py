"""A queue in a table: nothing is lost, whatever kills a run, and nothing is sent twice but what was
in flight at that moment.

    pending --begin--> sending, in the name of a run --settle--> done | failed | pending

A run goes through it in this order:

    recover    what dead runs were sending is uncertain
    schedule   each pending row gets the time at which it is due
    take       the next rows, owners in turn (turns.py), read and judged
    begin      one commit claims a row, counts its attempt and puts it on record (attempts.py)
    settle     one commit stores what came of it, repeated until it is stored
    finish     rows that cannot be worked on end, once a good one proves that it is their own fault

What was sent while its run was killed is uncertain: the other side has it or not. It is sent once
more, with the same bytes, as the same attempt. Which rows are due is for due.py.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.errors import Busy, DatabaseError, Duplicate, JobsError, Lost, Missing

from . import attempts, guard
from .attempts import POSTPONED, REFUSED, RETRY, SENT, UNCERTAIN, UNUSABLE
from .due import IN_HAND, Due, Queue, due, has_status, invalid, lacks, pending, stopped, unneeded

SURE, AGAIN, REPEATED = 0, 1, 2         # the column `uncertain`: to be repeated, was repeated
SOON = timedelta(minutes=5)             # after its loss was found, an uncertain row is repeated
LIFETIME = timedelta(days=7)            # an attempt at a row that is older is its last
EVERY_ONE = 2 ** 62
AT_ONCE = 500           # rows that are changed in one commit
CHANGING = 5.0          # seconds, to change many
MOST_LOST = 1_000       # rows of dead runs, in one run
MOST_UNUSABLE = 5       # so many unusable rows and no usable one: the fault is ours
ERROR_LENGTH = 512
STORE_MARGIN = 3.0      # seconds before the hard limit after which no result is stored any more
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0   # seconds between two tries to store one


class CannotStore(JobsError):
    """What a run has to store of a row is refused by the database, or stored as something else."""


def until_stored(ctx, work):
    """`work()` in one transaction, tried again until it is stored, and its result.

    For the result of what was handed over: to lose it is to send it twice. So neither a locked file
    nor a server that restarts or a full disk ends the tries, only the hard limit. `work` may run
    again after a COMMIT that came through although its answer was lost, so each of its statements
    is guarded.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return ctx.db.batch(work)
        except (Missing, Duplicate):
            raise                       # no database gets over this by waiting
        except DatabaseError as error:
            seconds = ctx.hard_limit - ctx.monotonic() - STORE_MARGIN
            if seconds <= 0:
                raise
            if pause == FIRST_PAUSE:
                ctx.log.warning("result not stored yet", error=str(error),
                                seconds_left=int(seconds))
        ctx.wait(min(pause, seconds))
        pause = min(2 * pause, LONGEST_PAUSE)


def work_if_due(ctx, queue: Queue, kind: type[Work] | None = None):
    """A run's Work, or the `kind` of it that its feature has, once what dead runs left is settled
    and each row has its time; None where nothing is due."""
    work = (kind or Work)(ctx, queue)
    work.recover()
    work.schedule()
    return work if work.due.any() else None


class Work:
    """One run's work on a queue. Rows are dicts; one that was taken has its `turn`, and in `seen`
    the time that it has in the table."""

    needs = 0.0         # seconds before the hard limit, without which no row is begun
    also = ""           # SQL: a further rule of rows that are taken

    def __init__(self, ctx, queue: Queue, due_now: Due | None = None) -> None:
        self.ctx, self.db, self.queue = ctx, ctx.db, queue
        self.table, self.pending = f"{{{queue.table}}}", pending(queue)
        self.still = "+" + self.pending.lstrip("+")     # of rows that are found by their ids
        self.delays = queue.delays(ctx.options)
        self.due = due_now or due(ctx, queue)
        self.untimed = self.due.untimed     # what `schedule` gives a time
        self.begun = 0                  # rows that this run has begun
        self.unusable: dict = {}        # {row id: what is wrong with it}
        self.refused: list = []         # CannotStore of rows that were passed over
        self.values: dict = {}          # of `also`

    # Before the first row

    def recover(self) -> None:
        """Settle what dead runs were sending, each row in the name of its run."""
        queue = self.queue
        if not queue.works:
            return
        dead = self.db.query(
            f"SELECT id, user_id, attempts, uncertain, {queue.added}, claim_run FROM "
            f"{self.table} WHERE {has_status(queue.works)} AND claim_run > '' AND NOT {IN_HAND} "
            f"LIMIT {MOST_LOST}", now=self.ctx.clock())
        for row in dead:
            number = row["attempts"]
            # what is no number ends as unusable when it is taken
            row["attempt"] = number if type(number) is int and number > 0 else 0
            row["repeats"] = row["uncertain"] == REPEATED
            self.db.batch(lambda row=row: self._give_up(row))
        if dead:
            self.ctx.log.warning("lost in flight", rows=len(dead))

    def _give_up(self, row: dict) -> None:
        word = self.settle(row, UNCERTAIN, None, attempts.LOST, dead=row["claim_run"])
        self.ctx.count("uncertain", bool(word))
        self.ctx.count("failed", word == "failed")

    def schedule(self) -> None:
        """Give each pending row a time that it can be due at."""
        for rule, time in self.untimed:
            self.change(rule, f"{self.queue.time} = {time}", **self.due.values)
        self.due.untimed = ()           # from now on each has its time

    def change(self, rule: str, sets: str, counted: str = "", **values) -> None:
        """Change the waiting rows that the rule is about, AT_ONCE in a commit, until none is left
        or the time is up: of a million the rest is for later. `counted`: as what."""
        end, changed = self.ctx.monotonic() + CHANGING, 1
        while changed and self.ctx.monotonic() <= end:
            ids = [row["id"] for row in self.db.query(
                f"SELECT id FROM {self.table} WHERE {self.pending} AND {rule} LIMIT {AT_ONCE}",
                **values)]
            changed = self._store_each(ids, lambda ids: self.db.execute(
                # `+`: by the ids, and not through all that is pending
                f"UPDATE {self.table} SET {sets} WHERE id IN (:ids) AND {self.still} "
                f"AND ({rule}) + 0 = 1", ids=ids, **values)) if ids else 0
            if changed and counted:
                self.ctx.count(counted, changed)

    def _store_each(self, ids: list, change) -> int:
        """`change(ids)` in one transaction: how many were changed. Where the database refuses one
        of them, the others are."""
        try:
            return self.db.batch(lambda: change(ids))
        except (Busy, Lost):
            raise
        except DatabaseError as error:
            if len(ids) > 1:
                return sum(self._store_each([id], change) for id in ids)
            self.ctx.log.warning("row not changed", table=self.queue.table, id=ids[0],
                                 error=str(error))
            return 0

    def due_rule(self, by: str = "") -> tuple[str, dict]:
        """(SQL, values): the condition for rows to be taken now."""
        # a dry run has given no row its time
        rule = f"{self.due.when} <= :now" if self.ctx.dry_run else f"{by}{self.due.timed}"
        return rule + self.also, {**self.due.values, **self.values}

    # One row

    def take(self, ring, most: int) -> list[dict]:
        """The next rows of a ring (turns.py), `most` at most, that can be worked on; [] when none
        is left. Nothing is written: other runs may take the same ones, until one begins them."""
        while turns := ring.take(most):
            if found := self.usable(turns):
                return found
        return []

    def usable(self, turns: list) -> list[dict]:
        """The rows of these turns that still wait and can be worked on, but what is held back."""
        rows = self.read([turn.id for turn in turns])
        reasons = invalid(self.db, self.queue.table, list(rows.values()))
        self.unusable.update(reasons)
        found = [{**rows[turn.id], "turn": turn} for turn in turns
                 if turn.id in rows and turn.id not in reasons]
        if any(row["lacks"] for row in found) and guard.stops(self.ctx, guard.QUEUED, self.queue):
            self._hold_missing()
            found = [row for row in found if not row["lacks"] or self.is_old(row)]
        return found

    def _hold_missing(self) -> None:
        """The rows whose owner, alias or endpoint is missing are so many that the guard holds them
        back: none is taken from now on before it is old."""
        rule = f" AND NOT (({lacks(self.queue)}) AND {self.queue.added} > :too_young)"
        self.also += "" if rule in self.also else rule
        self.values["too_young"] = (clock.text(self.ctx.now - LIFETIME)
                                    if self.ctx.may_expire() else clock.FIRST)

    def read(self, ids: list) -> dict[object, dict]:
        """{id: row} of those that still wait, as a run works on them; none of a stopped owner."""
        queue = self.queue
        counted = ("attempts", "uncertain") if queue.works else ()
        columns = dict.fromkeys(("id", "user_id", *counted, queue.time, queue.added, queue.tried,
                                 *queue.columns))
        reasons = [why for why, _ in queue.missing]
        return {row["id"]: {**row, "seen": row[queue.time],
                            "lacks": row["unneeded"] in reasons}
                for row in self.db.query(
                    f"SELECT {', '.join(columns)}, {unneeded(queue)} AS unneeded FROM {self.table} "
                    f"WHERE id IN (:ids) AND {self.still} AND NOT {stopped(queue)}", ids=ids)}

    def begin(self, row: dict, room=None):
        """Make a row this run's: True when it is; False when another had it first, the time for it
        is up, or the database refuses it; else what `room(row)`, asked in the same commit, has
        against it."""
        def work():
            # the database may have kept it waiting
            seconds = min(self.ctx.seconds_left(), self.ctx.hard_limit - self.ctx.monotonic()
                          - self.needs)
            if seconds < 0:
                self.ctx.stop("budget")
            return seconds >= 0 and self._begin(row, room)
        try:
            found = until_stored(self.ctx, work)
        except CannotStore as error:
            self.refused.append(error)
            self.ctx.log.warning("row passed over", table=self.queue.table, id=row["id"],
                                 error=str(error))
            return False
        self.begun += found is True
        return found

    def _begin(self, row: dict, room):
        now, queue = self.ctx.clock(), self.queue
        row["repeats"] = repeats = row["uncertain"] == AGAIN
        row["attempt"] = row["attempts"] + (not repeats)
        if "began_at" in row and self.is_ours(row):     # a COMMIT whose answer was lost
            return True
        row["began_at"] = clock.text(now)
        if room and (refusal := room(row)):
            return refusal
        values = {"attempts": row["attempt"], "uncertain": REPEATED if repeats else SURE,
                  "claim_run": self.ctx.run_id, queue.tried: row["began_at"],
                  "next_attempt_at": clock.text(self.next_time(row["attempt"], now))}
        try:
            if not self._update(row, queue.works, values,
                                f"status = '{queue.waits}' AND next_attempt_at = :seen",
                                seen=row["seen"]):
                return False
            if not self.begun:
                self._rehearse(row)
            row["attempt_id"] = attempts.begin(self.db, queue.kind, row, self.ctx.run_id)
            row["turn"].ring.move(row["turn"])
        except (Busy, Lost):
            raise
        except DatabaseError as error:
            raise CannotStore(f"{queue.table}, id {row['id']}: {error}") from None
        return True

    def is_ours(self, row: dict) -> bool:
        """Whether this run has it, and nobody has ended it meanwhile; it stays so until the
        COMMIT."""
        return bool(self.db.query(
            f"SELECT id FROM {self.table} WHERE id = :id AND status = '{self.queue.works}' "
            f"AND claim_run = :run AND attempts = :n{self.db.for_update}", id=row["id"],
            run=self.ctx.run_id, n=row["attempt"]))

    def settle(self, row: dict, outcome: str, code: int | None, answer: str, *, later=None,
               again: bool = False, dead=None, **stored) -> str:
        """Store what came of it, and `stored` with it, inside a transaction. In a word: the status
        of what is over, else `retried`, `uncertain` or `postponed`; "" where the app has ended it
        meanwhile, and nothing came of it. In the row is when it is due next.

        `later`: when it is due again, where the other side has said so, or where what was postponed
        must not be the first again. `again`: what was refused is asked for again, by its schedule.
        `dead`: the run that began it, if that is no more.
        """
        now, run = self.ctx.clock(), dead or self.ctx.run_id
        attempts.complete(self.db, self.queue.kind, row, run, outcome, code, answer, now)
        status, values = self._changes(row, RETRY if again else outcome, code, answer, later)
        rule, bound = f"claim_run = :run AND status = '{self.queue.works}'", {"run": run}
        if outcome == SENT:     # whatever an app or another run has made of the row meanwhile
            rule, bound = f"attempts = :n AND status <> '{status}'", {"n": row["attempt"]}
        elif dead is not None:
            rule, bound = f"NOT {IN_HAND} AND status = '{self.queue.works}'", {"now": now}
        if self._update(row, status, {**values, **stored}, rule, **bound):
            row["is_stored"] = True     # also where the answer of this COMMIT is lost
        is_stored = outcome == SENT or "is_stored" in row
        row["next_attempt_at"] = values["next_attempt_at"] if is_stored else None
        if not is_stored:
            return ""
        if status != self.queue.waits:
            return status
        return outcome if outcome in (UNCERTAIN, POSTPONED) else "retried"

    def _changes(self, row: dict, outcome: str, code: int | None, answer: str,
                 later=None) -> tuple[str, dict]:
        """(the status, the columns to set) that an outcome makes of a row that is being sent."""
        queue, now = self.queue, self.ctx.clock()
        values: dict = {"claim_run": None}
        if outcome == POSTPONED:                            # as it was before
            names = ("attempts", "uncertain", queue.time, queue.tried)
            values.update((name, row[name]) for name in names)
            if later:
                values[queue.time] = clock.text(later)
            return queue.waits, values
        values[queue.error] = None if outcome == SENT else answer[:ERROR_LENGTH]
        if queue.code:
            values[queue.code] = code
        if outcome == UNCERTAIN and not row["repeats"]:     # the same attempt once more
            values.update(uncertain=AGAIN, next_attempt_at=clock.text(now + SOON))
        elif outcome in (SENT, REFUSED, UNUSABLE) or self.is_last(row):
            end = clock.text(max(now, self.ctx.trusted))
            values.update(next_attempt_at=None, finished_at=end)
            if outcome == SENT:
                return queue.done, {**values, **queue.when_done(end)}
            return "failed", values
        else:
            next_time = later or self.next_time(row["attempt"], now)
            values["next_attempt_at"] = clock.text(next_time)
        return queue.waits, values

    def is_last(self, row: dict) -> bool:
        """Whether this attempt is, by the schedule or by its age. A clock in doubt may have run
        through both too early."""
        most = len(self.delays)
        return (row["attempt"] > most or (row["attempt"] == most and self.ctx.may_expire())
                or self.is_old(row))

    def is_old(self, row: dict) -> bool:
        """Whether an attempt now is the row's last, whatever its schedule says."""
        created = clock.parse_any(row[self.queue.added])
        if created and self.ctx.clock() - created < LIFETIME:
            return False
        return self.ctx.may_expire()

    def next_time(self, attempt: int, now):
        """When the attempt after this one is due."""
        return now + self.delays[min(attempt, len(self.delays) - 1)]

    def _rehearse(self, row: dict) -> None:
        """Before a run sends anything: each outcome is stored on the row in hand, read back,
        compared and rolled back, so that a column, a trigger or a missing right shows first."""
        self.db.execute("SAVEPOINT rehearsal")
        for outcome in (SENT, REFUSED, RETRY, UNCERTAIN, POSTPONED):
            status, values = self._changes(row, outcome, 100, "x" * ERROR_LENGTH)
            self._update(row, status, values, f"status = '{self.queue.works}'")
            values["status"] = status
            found = self.db.row(f"SELECT {', '.join(values)} FROM {self.table} WHERE id = :id",
                                id=row["id"])
            wrong = [name for name, value in values.items()
                     if not found or _whole(found[name]) != _whole(value)]
            if wrong:
                raise CannotStore(f"{self.queue.table}, id {row['id']}: {', '.join(wrong)} is not "
                                  f"stored as written when it is `{status}`: look at the column, "
                                  "and at triggers")
            self.db.execute("ROLLBACK TO SAVEPOINT rehearsal")

    # Rows that are not sent

    def end(self, row: dict, reason: str, is_wanted: bool = False) -> bool:
        """End a row that nobody waits for any more, or that is wanted and cannot be worked on,
        inside a transaction: without an attempt. False when it is no longer as it was, or another
        account's: that is no reason then."""
        now = clock.text(max(self.ctx.clock(), self.ctx.trusted))
        over = {} if is_wanted else self.queue.when_over(now)
        return self._update(
            row, "failed", {"finished_at": now, "next_attempt_at": None,
                            self.queue.error: reason, **over},
            f"status = '{self.queue.waits}' AND (user_id = :owner OR :owner IS NULL)",
            owner=row.get("user_id"))

    def finish(self) -> None:
        """End the rows that cannot be worked on; a dry run only counts them. JobsError where
        nothing proves that it is their own fault: then none ends."""
        if not self.begun and self.refused:
            raise self.refused[0]
        for id, reason in self.unusable.items():
            self.ctx.count("invalid")
            self.ctx.log.warning("invalid row", table=self.queue.table, id=id, reason=reason)
            if self.begun and not self.ctx.dry_run:
                self._store_each([id], lambda ids, why=f"invalid: {reason}": self.end(
                    {"id": ids[0]}, why, is_wanted=True))
        if not self.begun and len(self.unusable) >= MOST_UNUSABLE:
            id, reason = next(iter(self.unusable.items()))
            raise JobsError(f"none of {len(self.unusable)} due rows of {self.queue.table} can be "
                            f"processed, such as {id}: {reason}. All are kept")

    def _update(self, row: dict, status: str, values: dict, rule: str, **bound) -> bool:
        changes = "".join(f", {name} = :{name}" for name in values)
        return self.db.execute(
            f"UPDATE {self.table} SET status = '{status}'{changes} WHERE id = :id AND {rule}",
            id=row["id"], **values, **bound) == 1


def _whole(value) -> str:
    """A time without the zeros that a finer column adds."""
    return str(value).partition(".")[0]
