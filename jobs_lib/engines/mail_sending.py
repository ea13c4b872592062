"""Sending mail from a queue over one connection, until nothing is due or the run has to stop.

    take      the next rows, owners in turn, urgent ones ahead
    begin     if the relay's limits have room: claim the row and put the attempt on record
    send      hand the message to the relay
    store     what came of it, at once

What differs between forwards and notices is their source's.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.errors import JobsError
from jobs_lib.ports import outcomes
from jobs_lib.ports.mail import MESSAGE_MINIMUM, Result, reasons
from jobs_lib.text import words
from jobs_lib.text.addresses import AddressError

from . import attempts, relay
from .attempts import POSTPONED, REFUSED, RETRY, SENT
from .queue import Work, until_stored
from .relay import FAILURES, MINUTE, Limits, Refusal
from .turns import Ring

AT_ONCE = 20                    # rows that are read together
RECHECK_SECONDS = 5             # after which it is asked again what is due, and for room
LOST_AGAIN = 2                  # connections lost in a row before DATA: the relay's failure
LOST_DELAY = timedelta(minutes=15)
NOBODY_PAID = "No message has lost an attempt"


class MailSender:
    """The loop over the due rows of one queue.

    `others_wait()`: whether mail is due in the other queue of mail. The `source` of one kind has

    event, to      what a message is called in the log; the column with its recipient
    prepare(row)   (Envelope, Message) of a row that has begun, or the Result of one that cannot be
                   sent; an exception is that message's alone
    why_not(row)   for a dry run: why it can only fail, or None
    sent(row)      what else changes with one that was sent, in the same transaction
    """

    def __init__(self, work: Work, source, others_wait) -> None:
        self.work, self.source, self.ctx = work, source, work.ctx
        work.needs = MESSAGE_MINIMUM
        self.limits = Limits(work.db, self.ctx.section("mail"), self.ctx.clock, work.queue.kind,
                             others_wait)
        self.rings = [Ring(work, ahead=True)] if work.queue.priority else []
        self.rings.append(Ring(work))
        self.look_again_at = self.ctx.monotonic() + RECHECK_SECONDS
        self.failures_reached = ""              # why only first attempts go on, once they do
        self.lost_in_a_row = 0
        self.failure: JobsError | None = None   # why mail could not be sent

    def send_due(self) -> JobsError | None:
        """Try every due row once. Why mail could not be sent, if so: no message lost an attempt."""
        while rows := self.take():
            self.ctx.mail()     # what it cannot load is no message's error
            self.send_rows(rows)
        if self.failures_reached:
            self.ctx.stop(self.failures_reached)
        if self.ctx.counts["sent"]:
            relay.works(self.ctx.db, self.ctx.clock())
        try:
            self.work.finish()
        except JobsError as error:
            self.failure = self.failure or error
        return self.failure

    def take(self) -> list[dict]:
        """The next rows, if there are any and the run may go on."""
        most = self.ctx.within_limit(AT_ONCE, self.work.begun)
        # perhaps by another process, meanwhile
        paused = relay.paused(self.ctx.db, self.ctx.clock())
        if (most == 0 or paused) and self.work.due.any():
            self.ctx.stop(f"the relay is paused {paused}; `jobs.py mail test ADDRESS` tries it now"
                          if paused else "limit")
        if most == 0 or paused or self.ctx.should_stop():
            return []
        if self.ctx.monotonic() >= self.look_again_at:
            self.work.schedule()
            # from now: giving times may take as long as the rows may go without a look
            self.look_again_at = self.ctx.monotonic() + RECHECK_SECONDS
        return next(filter(None, (self.work.take(ring, most) for ring in self.rings)), [])

    def send_rows(self, rows: list[dict]) -> None:
        """Begin, send, store; one at least before a new look, however slow the database is."""
        waiting = iter(rows)
        for row in waiting:
            if self.ctx.should_stop():
                return
            if row["unneeded"]:
                self._cancel(row, row["unneeded"])
            elif row["turn"].ring in self.rings and self._begin(row):
                self.ctx.progress(self.work.begun)
                self._send(row)
            if self.ctx.monotonic() >= self.look_again_at:
                break
        # urgent rows may have come in, owners been suspended: these are taken again
        for row in waiting:
            row["turn"].ring.give_back(row["turn"])

    # Begin

    def _begin(self, row: dict) -> bool:
        """Make the row ours. False when it may not go now, or another run has it."""
        address = words(row[self.source.to]).lower()
        row.update(domain=address.rpartition("@")[2][:254] or None,
                   recipient=self.ctx.keyed(address))
        found = self.work.begin(row, self._room)
        if not isinstance(found, Refusal):
            return found
        self._refused(row["turn"], found)
        return False

    def _room(self, row: dict) -> Refusal | None:
        return self.limits.room(row["turn"].urgent, row["turn"].ring.ahead,
                                row["attempts"] > 0 or bool(self.work.delays[0]))

    def _refused(self, turn, refusal: Refusal) -> None:
        """Wait for a minute's room; else end the run, but for what the refusal leaves alone."""
        if refusal.limit == FAILURES:
            if not self.failures_reached:
                self.work.also += relay.not_failed(self.work.delays)
            self.failures_reached = refusal.words
        elif turn.ring.ahead:                   # urgent rows take their owners' turns from now on
            self.rings.remove(turn.ring)
        elif refusal.limit == MINUTE:
            self.ctx.sleep(RECHECK_SECONDS)
            turn.ring.give_back(turn)
        else:
            self.ctx.stop(refusal.words)

    def _cancel(self, row: dict, reason: str) -> None:
        if self.ctx.db.batch(lambda: self.work.end(row, f"cancelled: {reason}")):
            self.ctx.count("cancelled")
            self.ctx.log.event(self.source.event, id=row["id"], outcome="cancelled", reason=reason)

    # Send

    def _send(self, row: dict) -> None:
        """Hand the message over, store what came of it, and see what it means for the others."""
        result = self._hand_over(row)
        until_stored(self.ctx, lambda: self._store(row, result))
        self.lost_in_a_row = (
            self.lost_in_a_row + 1 if result.outcome == outcomes.LOST else 0)
        if result.outcome in (outcomes.GIVEN_BACK, outcomes.UNREADABLE):
            self.failure = self.failure or JobsError(
                f"{self.source.event} {row['id']}: {result.text}. {NOBODY_PAID}")
            if result.outcome == outcomes.GIVEN_BACK:       # so would be the next
                self.ctx.stop("this host cannot send")
        elif (result.outcome in (outcomes.RELAY, outcomes.AT_MAIL)
              or self.lost_in_a_row >= LOST_AGAIN):
            self._pause_relay(result)

    def _hand_over(self, row: dict) -> Result:
        """Whatever goes wrong with a message is its own result."""
        item = f"{self.source.event}-{row['id']}"
        try:
            prepared = self.source.prepare(row)
            if isinstance(prepared, Result):
                return prepared
            return self.ctx.mail().send(*prepared, self.ctx.hard_limit, item)
        except AddressError as error:
            return Result(outcomes.FINAL, None, "5.1.3", str(error))
        except Exception as error:      # noqa: BLE001  (an error of ours stops no other message)
            why = type(error).__name__
            if isinstance(error, ValueError):       # its content: text that is none, and the like
                why += f": {error}"
            else:
                self.ctx.defect(error, f"{self.source.event} {row['id']}")
            return Result(outcomes.RETRY, None, "", reasons.DEFECT.format(error=why))

    def _pause_relay(self, result: Result) -> None:
        """Pause all mail. The run fails, but by the relay's own limit."""
        from jobs_lib.text import masking  # only where something is wrong: it would slow others
        failure = masking.text(f"{result.code or ''} {result.text}".strip())
        until = clock.text(relay.pause(self.ctx.db, self.ctx.clock(), failure,
                                       has_worked=self.ctx.counts["sent"] > 0))
        self.ctx.log.warning("relay paused", until=until, reason=failure)
        self.ctx.stop(f"the relay's own limit, paused until {until} UTC: {failure}")
        patterns = self.ctx.section("mail").pause_patterns
        if not any(pattern.lower() in failure.lower() for pattern in patterns):
            self.failure = JobsError(
                f"the relay cannot be used: {failure.rstrip('.')}. {NOBODY_PAID}; mail is "
                "paused (`jobs.py status` says until when), and `jobs.py mail test ADDRESS` ends "
                "the pause once it succeeds. Check [mail] in config.ini")

    def _store(self, row: dict, result: Result) -> None:
        """Inside a transaction. May run again after a COMMIT whose answer was lost."""
        from jobs_lib.text import masking  # only where something was tried

        outcome, later, again = attempts.said(result), None, False
        if outcome == REFUSED:
            again = not relay.is_final(self.ctx.db, self.work.queue.kind, row, self.ctx.clock())
        elif outcome == POSTPONED and result.outcome in (
                outcomes.AT_MAIL, outcomes.LOST, outcomes.UNREADABLE):
            # it may be this message that the relay cannot stand: it goes behind the others
            if self.work.is_old(row):           # not for ever
                outcome = RETRY
            else:
                later = self.ctx.clock() + LOST_DELAY
        answer = f"{result.enhanced} {result.text}".strip()
        word = self.work.settle(row, outcome, result.code, answer, later=later, again=again)
        if outcome == SENT:
            self.source.sent(row)
        if word:
            self.ctx.count(word)
        self.ctx.log.event(self.source.event, "info" if outcome == SENT else "warning",
                           id=row["id"], attempt=row["attempt"], outcome=word or "ended by the app",
                           code=result.code, enhanced=result.enhanced,
                           to=masking.text(row[self.source.to]),
                           next_attempt_at=row["next_attempt_at"])
