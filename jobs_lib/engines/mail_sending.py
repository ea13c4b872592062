"""Sending mail from a queue. Five verbs, row by row, over one connection:

    take      the next rows, owners in turn, urgent ones ahead
    room      learn whether the relay's limits let one more go now
    begin     claim its row and put the attempt on record, in the same commit
    send      hand it to the relay
    settle    store what came of it, in the commit that begins the next one

Forwards and notices go this way. What differs between them, such as where a message comes from, is
a `MailSource`'s; the loop and what a failure of the relay means are here, the queue in queue.py,
the limits in limits.py.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.addresses import AddressError, mask
from jobs_lib.database.values import words
from jobs_lib.errors import JobsError
from jobs_lib.ports import outcomes
from jobs_lib.ports.mail import reasons
from jobs_lib.ports.mail.message import MESSAGE_MINIMUM, Envelope, Message, Result

from . import refusals, relay
from .attempts import POSTPONED, REFUSED, RETRY, SAID, SENT, UNCERTAIN, UNUSABLE, Tried
from .limits import FAILURES, MINUTE, RESERVE, Limits, Refusal
from .queue import Work, until_stored
from .turns import Ring

AT_ONCE = 20                    # rows that are read together
MOST_SHOWN = 1000               # due rows that are counted, to say how much is left
# seconds after which it is asked again what is due, and whether anybody waits for it
RECHECK_SECONDS = 5
# connections lost in a row before DATA: the relay's problem, not a message's
LOST_AGAIN = 2
LOST_DELAY = timedelta(minutes=15)
# seconds to wait for room under a limit a minute; for more, the run ends
LONGEST_WAIT = 65.0
ENDED_BY_APP = "ended by the app"       # in the log: or deleted
COUNTED_AS = {SENT: "sent", UNCERTAIN: "uncertain", POSTPONED: "given_back"}


class RelayFailure(JobsError):
    """The relay could not be used; no message paid for it."""


class HostFailure(JobsError):
    """This host could not send; neither relay nor messages are to blame."""


class Unreadable(JobsError):
    """Stored messages that we are not allowed to read."""


class MailSource:
    """What the loop asks of one kind of mail. Rows are dicts; each has `user_id` and the columns of
    the queue."""

    event = ""                      # what a message is called in the log
    to = ""                         # the column with the recipient's address
    has_first_attempts = False      # whether there are rows that have not failed before

    def reasons_to_cancel(self, rows: list[dict]) -> dict:
        """{row id: why nobody waits for it any more}, read again every few seconds."""
        raise NotImplementedError

    def prepare(self, row: dict) -> tuple[Envelope, Message] | Result:
        """The message that is sent for a row that has begun, or the Result of one that cannot be
        sent. An exception is that message's alone. It changes nothing but the dict."""
        raise NotImplementedError

    def why_not(self, row: dict) -> str | None:
        """For a dry run: why this row can only fail."""


def send_due(work: Work, source: MailSource, other) -> JobsError | None:
    """Try every due row once, owners in turn, until all are done or the run has to stop. `other()`:
    what is due in the other queue of mail.

    Returns what is wrong with the relay, if it does not work; the messages keep their attempts.
    """
    time_to_begin(work.ctx)
    sender = MailSender(work, source, other)
    try:
        sender.send_all()
    finally:
        sender.store()
    return sender.finish()


def time_to_begin(ctx) -> float:
    """For so many seconds a run begins messages. JobsError when it has the time for none."""
    budget, grace = (span.total_seconds() for span in (ctx.options.budget,
                                                       ctx.section("core").grace))
    if budget + grace <= MESSAGE_MINIMUM:
        raise JobsError(f"[{ctx.job.name}] budget and [core] grace together are "
                        f"{budget + grace:.0f} seconds, and no message is begun with less than "
                        f"{MESSAGE_MINIMUM}: make the budget longer")
    return min(budget, budget + grace - MESSAGE_MINIMUM)


class MailSender:
    """The loop over the due rows of one queue."""

    def __init__(self, work: Work, source: MailSource, other) -> None:
        self.work, self.source, self.ctx, queue = work, source, work.ctx, work.queue
        self.mail, self.queue = self.ctx.section("mail"), queue
        self.due, self.limits = work.due(), Limits(self.ctx, queue.kind, other)
        self.rings = [Ring(self.work, ahead=True)] if queue.priority else []
        self.rings.append(Ring(self.work))
        self.checked_at = self.ctx.monotonic()
        self.done = 0
        self.total: int | None = None
        self.in_hand: tuple | None = None       # a row and its Result, which is not stored yet
        self.cancelled: dict = {}               # {id of a row that was taken: why nobody waits}
        # once the limit on failures is reached: only first attempts go on
        self.failures_reached: Refusal | None = None
        self.lost_in_a_row = 0
        self.relay_failure = self.host_failure = self.unreadable = ""

    def send_all(self) -> None:
        """Take, ask for room and begin, send, until nothing is due or the run has to stop. One at
        least is sent before a new look, however slow the database is."""
        while rows := self._take():
            for number, row in enumerate(rows):
                if not self._may_go_on():
                    return
                if number and self.ctx.monotonic() - self.checked_at >= RECHECK_SECONDS:
                    self._look_again(rows[number:])
                    break
                if row["turn"].ring in self.rings and self._begin(row):
                    self.ctx.progress(self.done, self.total)
                    self.in_hand = row, self._send(row, rows[number + 1:])
                    self.done += 1
            self.store()

    def finish(self) -> JobsError | None:
        """Report why the run ends before all is sent, and share the relay's state with the other
        processes. Returns what is wrong with it, or None."""
        if self.ctx.within_limit(1, self.done) == 0 and self.due.any():
            self.ctx.stop("limit")
        if self.failures_reached:
            self.ctx.stop(self.failures_reached.words)
        now = self.ctx.clock()
        if self.ctx.counts["sent"]:
            relay.works(self.ctx.db, now)
        failure = self._pause_relay(now) if self.relay_failure else None
        if self.host_failure:
            failure = HostFailure(f"{self.host_failure}. No message has lost an attempt; the next "
                                  "run tries again")
        try:
            self.work.finish()
        except JobsError as error:
            failure = failure or error
        if self.unreadable and not failure:
            failure = Unreadable(f"{self.unreadable}. No message has lost an attempt; let the mail "
                                 "hook write its files so that this user can read them")
        return failure

    # Take

    def _take(self) -> list[dict]:
        """The next rows, if there are any and the run may go on."""
        most = self.ctx.within_limit(AT_ONCE, self.done)
        if most == 0 or not self._may_go_on():
            return []
        # perhaps by another process, meanwhile
        if paused := relay.paused(self.ctx.db, self.ctx.clock()):
            self._stop_if_due(f"the relay is paused {paused}")
            return []
        rows: list[dict] = []
        for ring in self.rings:
            rows = rows or self.work.take(ring, most)
        if rows and self.total is None:
            due_now = self.ctx.within_limit(self.due.backlog(MOST_SHOWN)[0])
            self.total = due_now if due_now < MOST_SHOWN else None
        self._find_cancelled(rows)
        return rows

    def _look_again(self, rows: list[dict]) -> None:
        """Urgent rows may have come in, owners may have been suspended: these rows, which were
        taken, are looked at once more."""
        self.store()
        self.checked_at = self.ctx.monotonic()
        self.work.schedule()
        for row in rows:
            row["turn"].ring.left.discard(row["id"])
        for ring in self.rings:
            ring.forget()

    def _may_go_on(self) -> bool:
        if self.relay_failure or self.host_failure or self.ctx.should_stop():
            return False
        if self.ctx.hard_limit - self.ctx.monotonic() < MESSAGE_MINIMUM:
            self._stop_if_due("budget")
            return False
        return True

    def _stop_if_due(self, reason: str) -> None:
        if self.due.any():
            self.ctx.stop(reason)

    def _find_cancelled(self, rows: list[dict]) -> None:
        self.cancelled = self.source.reasons_to_cancel(rows) if rows else {}

    # Room and begin

    def _begin(self, row: dict) -> bool:
        """Make the row ours and store the result in hand, in one commit. False when it may not go
        now, or another run has it."""
        if row["id"] in self.cancelled:
            self.ctx.db.batch(lambda: self._cancel(row, self.cancelled[row["id"]]))
            return False
        address = words(row[self.source.to]).lower()
        row.update(domain=address.rpartition("@")[2][:254] or None,
                   recipient=self.ctx.keyed(address))
        while True:
            found = self.work.begin(row, self._room, self._store if self.in_hand else None)
            self.in_hand = None
            if not isinstance(found, Refusal):
                return found
            if not self._may_try_again(row, found):
                return False

    def _room(self, row: dict) -> Refusal | None:
        failed_before = row["attempts"] > 0 or not self.source.has_first_attempts
        return self.limits.room(row["turn"].urgent, row["turn"].ring.ahead, failed_before)

    def _cancel(self, row: dict, reason: str) -> None:
        if self.work.end(row, f"cancelled: {reason}"):
            self.ctx.count("cancelled")
            self.ctx.log.event(self.source.event, id=row["id"], outcome="cancelled", reason=reason)

    def _may_try_again(self, row: dict, refusal: Refusal) -> bool:
        """Whether to ask for room once more, after a wait. Else the run ends, but for the rows that
        the refusal leaves alone."""
        if refusal.kind == RESERVE:             # urgent rows take their owners' turns from now on
            self.rings.remove(row["turn"].ring)
            return False
        if refusal.kind == FAILURES and self.source.has_first_attempts:
            if not self.failures_reached:
                self.failures_reached = refusal
                for ring in self.rings:
                    ring.also += " AND COALESCE(attempts, 0) = 0"
                    ring.forget()
            return False
        longest = min(LONGEST_WAIT, self.ctx.seconds_left())
        if refusal.window == MINUTE and 0 < refusal.seconds <= longest:
            self.ctx.sleep(refusal.seconds)
        else:
            self.ctx.stop(refusal.words)
        return self._may_go_on()

    # Send

    def _send(self, row: dict, rows_after: list[dict]) -> Result:
        """Hand the message over. Whatever goes wrong with this one is this one's result."""
        began = self.ctx.monotonic()
        try:
            result = self._hand_over(row, rows_after)
        except AddressError as error:
            result = Result(outcomes.FINAL, None, "5.1.3", str(error))
        except ValueError as error:     # so its content is: text that is none, and the like
            text = f"{type(error).__name__}: {error}"
            self.ctx.log.error("message failed", id=row["id"], error=_masked(text))
            result = Result(outcomes.RETRY, None, "", text)
        except Exception as error:      # noqa: BLE001  (an error of ours stops no other message)
            self.ctx.defect(error, f"{self.source.event} {row['id']}")
            result = Result(outcomes.RETRY, None, "",
                            reasons.DEFECT.text(error=type(error).__name__))
        row["took_ms"] = int(1000 * (self.ctx.monotonic() - began))
        self._watch_relay(result)
        return result

    def _hand_over(self, row: dict, rows_after: list[dict]) -> Result:
        prepared = self.source.prepare(row)
        if isinstance(prepared, Result):
            return prepared
        envelope, message = prepared
        return self.ctx.mail().send(envelope, message, self.ctx.hard_limit,
                                    f"{self.source.event}-{row['id']}",
                                    lambda: self._expected(rows_after))

    def _expected(self, rows: list[dict]) -> tuple[Envelope, Message] | None:
        """What is sent next, as far as can be known before it has begun; None for nothing. A far
        relay is asked early whether it takes it."""
        row = next((row for row in rows if row["id"] not in self.cancelled), None)
        if row is None or self.ctx.should_stop() or self.failures_reached:
            return None
        first = self.queue.first            # as `begin` will date it
        dated = {first: row[first] or clock.text(self.ctx.clock())} if first else {}
        try:
            prepared = self.source.prepare({**row, **dated})
        except Exception:       # noqa: BLE001  (it is met again, and reported, when it has begun)
            return None
        return None if isinstance(prepared, Result) else prepared

    def _watch_relay(self, result: Result) -> None:
        """Note what concerns the messages that follow as well."""
        is_lost = result.outcome == outcomes.LOST
        self.lost_in_a_row = self.lost_in_a_row + 1 if is_lost else 0
        if result.outcome == outcomes.GIVEN_BACK:
            self.host_failure = result.text
        if result.outcome == outcomes.UNREADABLE:
            self.unreadable = self.unreadable or result.text
        if result.outcome == outcomes.RELAY or self.lost_in_a_row >= LOST_AGAIN:
            code = f"{result.code} " if result.code else ""
            self.relay_failure = _masked(code + result.text)

    def _is_quota(self, text: str) -> bool:
        return any(pattern.lower() in text.lower() for pattern in self.mail.pause_patterns)

    def _pause_relay(self, now) -> JobsError | None:
        """Pause all mail. What the run fails with; None for the relay's own limit, which passes by
        itself."""
        failure, quota = self.relay_failure, self._is_quota(self.relay_failure)
        until = clock.text(relay.pause(self.ctx.db, now, failure, quota))
        self.ctx.log.warning("relay paused", until=until, reason=failure)
        if quota:
            self.ctx.stop(f"the relay's own limit, paused until {until} UTC: {failure}")
            return None
        where = f"{self.mail.host}:{self.mail.port}"
        if self.mail.transport == "maildir":
            where = self.mail.maildir
        named = failure if where in failure else f"{where}: {failure}"
        return RelayFailure(f"the relay cannot be used: {named.rstrip('.')}. No message has lost "
                            f"an attempt; the next try is after {until} UTC. Check [mail] in "
                            "config.ini")

    # Settle

    def store(self) -> None:
        """Store the result in hand, whatever ends the run: what was handed over must not be sent
        again."""
        if self.in_hand:
            until_stored(self.ctx, self._store)
            self.in_hand = None
            self.ctx.progress(self.done, self.total)

    def _store(self) -> None:
        """Inside a transaction. May run again after a COMMIT whose answer was lost."""
        assert self.in_hand
        row, result = self.in_hand
        now, later = self.ctx.clock(), None
        outcome = SAID[result.outcome]
        if outcome == REFUSED and not result.code:
            outcome = UNUSABLE                  # the relay never saw it
        if outcome == POSTPONED and (result.outcome in (outcomes.LOST, outcomes.UNREADABLE)
                                     or result.code):
            # It may be this message that the relay cannot stand: it goes behind the others, and not
            # for ever.
            if self.work.is_old(row):
                outcome = RETRY
            else:
                later = now + (relay.LONGEST_PAUSE if self._is_quota(result.text) else LOST_DELAY)
        tried = Tried(result.code, f"{result.enhanced} {result.text}".strip(), row.get("took_ms"))
        again = outcome == REFUSED and not refusals.is_final(self.ctx.db, self.queue.kind, row, now)
        settled = self.work.settle(row, outcome, tried, later=later, again=again)
        named = "failed" if settled.status == "failed" else COUNTED_AS.get(outcome, "retried")
        if not settled.over:
            self.ctx.count(named)
        due_at = None if settled.over else settled.next_attempt_at
        self.ctx.log.event(self.source.event, "info" if outcome == SENT else "warning",
                           id=row["id"], attempt=row["attempt"],
                           outcome=ENDED_BY_APP if settled.over else
                           {"retried": "retry", "given_back": "back"}.get(named, named),
                           code=result.code, enhanced=result.enhanced,
                           to=mask(row[self.source.to]),
                           next_attempt_at=due_at and clock.text(due_at))


def _masked(text: str) -> str:
    """Text for the log and for cron's mail, without anybody's address."""
    from jobs_lib import masking  # only where something is wrong: it would slow every idle run
    return masking.text(text)
