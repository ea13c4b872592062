"""Sending mail from a queue: claim, begin, send, settle; one commit a message, one connection for
all.

Forwards and notices go this way. What differs between them, such as where a message comes from, is
an `Items` object's; the loop, the limits and what a relay's trouble means are here.
"""
from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.addresses import AddressError, mask
from jobs_lib.errors import DatabaseError, JobsError
from jobs_lib.ports.mail.message import (
    FINAL,
    LOST,
    MESSAGE_MINIMUM,
    RELAY,
    RETRY,
    SENT,
    UNCERTAIN,
    Result,
)

from .mail_queues import NOTICES, waiting
from .queue import CLAIM, COUNTED, Worker, until_stored
from .relay_limits import (
    FAILURES,
    HALF,
    QUOTA_PAUSE,
    RESERVED,
    URGENT_HALF,
    WINDOWS,
    Asked,
    Refusal,
    Relay,
)
from .rows import invalid
from .turns import mixed

# connections lost in a row before DATA: the relay's trouble, not a message's
LOST_AGAIN = 2
LOST_DELAY = timedelta(minutes=15)
GONE_FOR = 5                         # seconds after which who is gone is asked again
# seconds to wait for room under a limit a minute; for more, the run ends
LONGEST_WAIT = 65.0
LONGER = WINDOWS[1:]                 # of which runs do not wait for the next one
ERROR_LENGTH = 512
LOOKED_AT, SHOWN = 1000, 10          # rows that a dry run judges one by one, and shows
# the stored file is there, but not for us: the host's trouble, not a message's
UNREADABLE = "unreadable"
SETTLED_AS = {SENT: "done", RETRY: "retry", FINAL: "final", UNCERTAIN: "uncertain", RELAY: "back",
              LOST: "back", UNREADABLE: "back"}
COUNTED_AS = {"retry": "retried", "back": "given_back"}


class RelayTrouble(JobsError):
    """The relay could not be used; no message paid for it."""


class Unreadable(JobsError):
    """Stored messages that we are not allowed to read."""


def masked(words: str) -> str:
    """Words for the log and for cron's mail, without anybody's address."""
    from jobs_lib.masking import text  # only where something is wrong: it would slow every idle run
    return text(words)


class Items:
    """What the loop asks of one kind of mail. Rows are dicts; each has `user_id` and what
    `queue.columns` names."""

    # what a message is called in the log, and in the name of its item
    event = ""
    to = ""                         # the column with the recipient's address
    has_fresh = False               # whether there are rows that have not failed before

    def gone(self, rows: list[dict]) -> dict:
        """{row id: why it is cancelled}, read anew at each claim."""
        raise NotImplementedError

    def cancelled(self, row: dict, now) -> dict:
        """What is stored with a row that is cancelled, besides the reason."""
        return {}

    def urgent(self, row: dict) -> bool:
        """Whether it may use the share of the limits that is kept for urgent mail."""
        return False

    def failed_before(self, row: dict) -> bool:
        """Whether an earlier attempt was refused: such rows wait when the failures of an hour are
        used up."""
        return True

    def send(self, row: dict) -> Result:
        """Hand the message over. An exception is that message's alone."""
        raise NotImplementedError

    def settled(self, row: dict, result: Result, now) -> dict:
        """What is stored with the result, besides the reply."""
        return {}


def send_due(ctx, counts: dict, queue, items: Items) -> JobsError | None:
    """Try every due row once, longest due first, until all are done or the run has to stop.

    Returns what is wrong with the relay, if it does not work; the messages keep their attempts.
    """
    longest = ctx.options.budget + ctx.section("core").grace
    if longest.total_seconds() <= MESSAGE_MINIMUM:
        raise JobsError(f"[{ctx.job.name}] budget and [core] grace together are {longest.seconds} "
                        f"seconds, and no message is begun with less than {MESSAGE_MINIMUM}: make "
                        "the budget longer")
    worker, relay = Worker(ctx, queue), Relay(ctx.db, ctx.section("mail"))
    worker.recover(counts)
    resting = relay.paused(ctx.now)
    if resting:
        if worker.count_due(COUNTED):
            ctx.stop(f"the relay is paused {resting}")
        return None
    sending = Sending(ctx, worker, relay, counts, items)
    try:
        sending.all()
    finally:
        worker.release()
    if ctx.limit and sending.done >= ctx.limit and worker.due(1):
        ctx.stop("limit")
    return sending.end()


class Sending:
    """The loop over claimed rows."""

    def __init__(self, ctx, worker: Worker, relay: Relay, counts: dict, items: Items) -> None:
        self.ctx, self.worker, self.relay, self.counts, self.items = ctx, worker, relay, counts, items
        self.mail = ctx.section("mail")
        self.held: tuple | None = None          # (row, Result): sent, not yet stored
        self.done, self.lost, self.trouble, self.unreadable = 0, 0, "", ""
        self.total: int | None = None
        # the limit on failures, once it is reached: only fresh ones go on
        self.used_up: Refusal | None = None
        self.aside: dict = {}                   # {owner that has had half of a limit: the refusal}
        self.put_off: list[dict] = []           # their rows in our hands
        # the windows of which an owner gets half: not while it is alone
        self.halves: tuple = WINDOWS
        # due rows of the other queue at most; counted when that matters
        self.others: int | None = None
        self.claimed: list[dict] = []
        self.gone: dict = {}
        self.asked_at = ctx.now

    def all(self) -> None:
        """Send row by row. What is in hand is stored before anything else happens, whatever ends
        the loop."""
        try:
            for row in self._rows():
                if not (self._may_go_on() and self._begin(row)):
                    continue
                self.held = (row, self._send(row))
                self._watch(self.held[1])
                self.done += 1
                self.ctx.progress(self.done, self.total)
        except BaseException:
            # the next row could not be begun: this one was sent all the same
            with suppress(DatabaseError):
                self._store_held()
            raise
        self._store_held()

    def end(self) -> JobsError | None:
        """Tell the other processes how the relay is, and what is wrong when it does not work."""
        if self.used_up:
            self._stop(self.used_up)
        if self.counts["sent"]:
            self.relay.works(self.ctx.clock())
            if self.ctx.clock_in_doubt is None:
                self.relay.forget(self.ctx.clock())
        if not self.trouble:
            return Unreadable(f"{self.unreadable}. No message has lost an attempt; let the mail hook write its files "
                              "so that this user can read them") if self.unreadable else None
        quota = self._is_quota(self.trouble)
        until = clock.text(self.relay.pause(self.ctx.clock(), self.trouble, quota))
        self.ctx.log.warning("relay paused", until=until, reason=self.trouble)
        if quota:
            self.ctx.stop(f"the relay's own limit, paused until {until} UTC: {self.trouble}")
            return None
        where = self.mail.maildir if self.mail.transport == "maildir" else f"{self.mail.host}:{self.mail.port}"
        named = self.trouble if where in self.trouble else f"{where}: {self.trouble}"
        return RelayTrouble(f"the relay cannot be used: {named.rstrip('.')}. No message has lost "
                            f"an attempt; the next try is after {until} UTC. Check [mail] in "
                            "config.ini")

    def _stop(self, refusal: Refusal) -> None:
        self.ctx.stop(self.relay.in_words(refusal, self.worker.queue.table))

    def _is_quota(self, text: str) -> bool:
        return any(words.lower() in text.lower() for words in self.mail.pause_patterns)

    def _rows(self):
        while self._may_go_on():
            resting = self.claimed and self.relay.paused(self.ctx.clock())
            if resting:
                # another process has met the relay's trouble meanwhile
                self.ctx.stop(f"the relay is paused {resting}")
                return
            rows = self._claim()
            if not rows:
                return
            if self.total is None:
                self.total = self._due_now()
            self.claimed = rows
            self._ask_who_is_gone()
            yield from rows
            self._store_held()

    def _claim(self) -> list[dict]:
        """The next rows: of owners that have had half of a minute's limit only when no other in
        this queue has any, and with half of an hour's or a day's only when none in the other queue
        has any either."""
        most = min(CLAIM, self.ctx.limit - self.done) if self.ctx.limit else CLAIM
        self.others = None
        for self.halves in (WINDOWS, LONGER, ()):
            barred = frozenset(filter(self._has_had_half, self.aside))
            rows = self._put_off(most) or self.worker.claim(most, without=barred)
            if rows or not barred:
                return rows
            if self.halves == LONGER and self._count_others():
                self._stop(self.aside[next(iter(barred))])
                break
        return []

    def _put_off(self, most: int) -> list[dict]:
        """Rows that were put off and may go now, of their owners in turn."""
        whose: dict = {}
        for row in self.put_off:
            if not self._has_had_half(row["user_id"]):
                whose.setdefault(row["user_id"], []).append(row)
        rows = mixed(list(whose.values()))[:most]
        self.put_off = [row for row in self.put_off if row not in rows]
        return rows

    def _has_had_half(self, owner) -> bool:
        return owner in self.aside and self.aside[owner].window in self.halves

    def _count_others(self) -> int:
        """How many rows are due in the other queue of mail that may go."""
        table, now = self.worker.queue.table, self.ctx.clock()
        if table == NOTICES and self.relay.failures_full(now):      # each forward has failed before
            return 0
        return waiting(self.ctx, table, self.relay.had_half(now))

    def _due_now(self) -> int | None:
        """How many messages this run may have to send, as far as that can be told without counting
        them all."""
        due = self.worker.count_due(COUNTED)
        if self.ctx.limit and self.ctx.limit <= due:
            return self.ctx.limit
        return due if due < COUNTED else None

    def _ask_who_is_gone(self) -> None:
        self.gone, self.asked_at = self.items.gone(self.claimed), self.ctx.clock()

    def _may_go_on(self) -> bool:
        if self.trouble or self.ctx.should_stop() or (self.ctx.limit and self.done
                                                      >= self.ctx.limit):
            return False
        if self.ctx.hard_limit - self.ctx.monotonic() < MESSAGE_MINIMUM:
            if self.worker.count_due(COUNTED):
                self.ctx.stop("budget")
            return False
        return True

    def _begin(self, row: dict) -> bool:
        """Store what is in hand and begin this row, once there is room under the relay's limits.
        What may not go stays claimed and untouched until the end, or until its owner's turn
        comes."""
        while True:
            if self._has_had_half(row["user_id"]):
                self.put_off.append(row)
                return False
            begun, refusal = self._commit(row)
            if refusal is None:
                return begun
            if refusal.kind in (HALF, URGENT_HALF):
                self.aside[row["user_id"]] = refusal
            elif refusal.kind == FAILURES and self.items.has_fresh:
                self.worker.only_fresh, self.used_up = True, refusal
                return False
            elif not self._is_room_after(refusal):
                self._stop(refusal)
                return False
            elif not self._may_go_on():
                return False

    def _is_room_after(self, refusal: Refusal) -> bool:
        """Whether it is worth another try, after a wait or another look at what the other queue has
        due."""
        if refusal.kind == RESERVED:
            before, self.others = self.others, self._count_others()
            return before is None or self.others < before
        if refusal.seconds > min(LONGEST_WAIT, self.ctx.seconds_left()):
            return False
        self.ctx.sleep(refusal.seconds)
        return True

    def _commit(self, row: dict) -> tuple[bool, Refusal | None]:
        """One commit: the result in hand, and the start of `row`. (whether it began, why the limits
        refuse it)."""
        held = self.held

        def work():
            return self._settle(*held) if held else None, *self._start(row)
        settled, begun, refusal = self.ctx.db.batch(work)
        self._done_with_held(settled)
        if row["id"] in self.gone:
            self.counts["cancelled"] = self.counts.get("cancelled", 0) + 1
            self.ctx.log.event(self.items.event, id=row["id"], outcome="cancelled",
                               reason=self.gone[row["id"]])
        return begun, refusal

    def _store_held(self) -> None:
        """The result in hand, by itself."""
        if self.held:
            self._done_with_held(until_stored(self.ctx, lambda: self._settle(*self.held)))

    def _done_with_held(self, settled) -> None:
        held, self.held = self.held, None
        if held:
            self._report(held[0], held[1], settled)

    def _start(self, row: dict) -> tuple[bool, Refusal | None]:
        if (self.ctx.clock() - self.asked_at).total_seconds() >= GONE_FOR:
            self._ask_who_is_gone()
        reason = self.gone.get(row["id"])
        if reason:
            self.worker.cancel(row, last_error=f"cancelled: {reason}", **self.items.cancelled(row, self.ctx.clock()))
            return False, None
        found = self.relay.reserve(self.ctx.clock(), Asked(
            self.items.failed_before(row), self.items.urgent(row), row["user_id"],
            self.worker.queue.table, self.halves,
            self.others))
        if isinstance(found, Refusal):
            return False, found
        row["reserved"] = found
        if not self.worker.begin(row):
            self._give_back(row)
            return False, None
        return True, None

    def _give_back(self, row: dict) -> None:
        self.relay.give_back(row["reserved"])
        if self.items.failed_before(row):
            self.relay.succeeded(row["reserved"].when)

    def _send(self, row: dict) -> Result:
        """Hand the message over. Whatever goes wrong with this one is this one's result."""
        try:
            return self.items.send(row)
        except AddressError as error:
            return Result(FINAL, None, "5.1.3", str(error))
        except ValueError as error:     # so its content is: text that is none, and the like
            self.ctx.log.error("message failed", id=row["id"],
                               error=masked(f"{type(error).__name__}: {error}"))
            return Result(RETRY, None, "", f"{type(error).__name__}: {error}")
        except Exception as error:      # noqa: BLE001  (an error of ours fails the run, and stops no other message)
            self.ctx.defect(error, f"{self.items.event} {row['id']}")
            return Result(RETRY, None, "",
                          f"it could not be sent: an error of ours ({type(error).__name__})")

    def _watch(self, result: Result) -> None:
        self.lost = self.lost + 1 if result.outcome == LOST else 0
        if result.outcome == UNREADABLE:
            self.unreadable = self.unreadable or result.text
        if result.outcome == RELAY or self.lost >= LOST_AGAIN:
            self.trouble = masked(f"{result.code} {result.text}" if result.code else result.text)

    def _settle(self, row: dict, result: Result):
        outcome, stored = SETTLED_AS[result.outcome], {}
        if result.outcome in (LOST, UNREADABLE) or (result.outcome == RELAY and result.code):
            # It may be this message that the relay cannot stand: it goes behind the others, and not
            # for ever.
            if self.worker.is_old(row):
                outcome = "retry"
            else:
                wait = QUOTA_PAUSE if self._is_quota(result.text) else LOST_DELAY
                stored["next_attempt_at"] = self.ctx.clock() + wait
        if outcome == "back":
            stored["last_attempt_at"] = row["last_attempt_at"]
        else:
            said = f"{result.enhanced} {result.text}".strip()[:ERROR_LENGTH]
            stored.update(last_code=result.code, last_error=None if outcome == "done" else said)
        settled = self.worker.settle(row, outcome, **stored, **self.items.settled(row, result,
                                                                                  self.ctx.clock()))
        if settled.stored:              # else it was stored before, with what follows
            self._count(row, result, outcome)
        return settled

    def _count(self, row: dict, result: Result, outcome: str) -> None:
        """Put right what was counted when the row was begun."""
        if outcome == "back":
            self._give_back(row)
            return
        if result.outcome == FINAL and not result.code:
            # refused by ourselves: the relay never saw it
            self.relay.give_back(row["reserved"])
        self._count_failure(row, failed=outcome != "done" and outcome != "uncertain"
                            and bool(result.code))

    def _count_failure(self, row: dict, failed: bool) -> None:
        before = self.items.failed_before(row)
        if failed and not before:
            self.relay.failed(self.ctx.clock())
        elif before and not failed:
            self.relay.succeeded(row["reserved"].when)

    def _report(self, row: dict, result: Result, settled) -> None:
        name = COUNTED_AS.get(settled.outcome, settled.outcome)
        self.counts[name] = self.counts.get(name, 0) + 1
        due = settled.next_attempt_at
        self.ctx.log.event(self.items.event, "info" if settled.outcome == "sent" else "warning",
                           id=row["id"], attempt=row["attempt"], outcome=settled.outcome,
                           code=result.code, enhanced=result.enhanced, to=mask(row[self.items.to]),
                           next_attempt_at=due and clock.text(due))


def preview(ctx, queue, items: Items) -> dict:
    """A dry run: what would be sent, with a sample, judged on the state now."""
    worker, relay = Worker(ctx, queue), Relay(ctx.db, ctx.section("mail"))
    worker.count_unknown_status()
    due = worker.count_due()
    due = min(due, ctx.limit) if ctx.limit else due
    rows = worker.due(min(due, LOOKED_AT))
    wrong = invalid(queue.table, rows)
    cancelled = {**items.gone([row for row in rows if row["id"] not in wrong]),
                 **{id: f"invalid: {reason}" for id, reason in wrong.items()}}
    resting = relay.paused(ctx.now)
    ctx.show(f"send {due - len(cancelled):,} due messages by {ctx.section('mail').transport}",
             [row for row in rows if row["id"] not in cancelled][:SHOWN],
             f"not now: the relay is paused {resting}" if resting else "")
    if cancelled:
        ctx.show(f"cancel {len(cancelled):,}: {', '.join(sorted(set(cancelled.values())))}",
                 [row for row in rows if row["id"] in cancelled][:SHOWN])
    return {**ctx.counts, "sent": due - len(cancelled), "cancelled": len(cancelled) - len(wrong),
            **({"invalid": len(wrong)} if wrong else {})}
