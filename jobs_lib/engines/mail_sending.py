"""Sending mail from a queue. Five verbs, row by row, over one connection:

    claim     take a batch of due rows, owners in turn
    reserve   count the message under the relay's limits, or learn why it may not go now
    begin     mark its row `sending`, in the same commit
    send      hand it to the relay
    settle    store what came of it, before the next one's content is sent

Forwards and notices go this way. What differs between them, such as where a message comes from, is
a `MailSource`'s; the loop and what a failure of the relay means are here, the limits in
relay_limits.py, and which owner waits for which in fair_share.py.
"""
from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.addresses import AddressError, mask
from jobs_lib.errors import DatabaseError, JobsError
from jobs_lib.ports.mail import reasons
from jobs_lib.ports.mail.message import MESSAGE_MINIMUM, Envelope, Message, Result
from jobs_lib.ports.outcomes import FINAL, LOST, RELAY, RETRY, SENT, UNREADABLE
from jobs_lib.text import counted

from .attempts import Tried
from .fair_share import FairShare
from .old_queue import (
    CLAIM,
    ENDED_BY_APP,
    FIRST,
    RECHECK_SECONDS,
    QueueClaims,
    until_stored,
)
from .relay_limits import FAILURES, HALF, QUOTA_PAUSE, URGENT_HALF, Refusal, Relay
from .work_queue import COUNTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .claimed_queue import ClaimedQueue

# connections lost in a row before DATA: the relay's problem, not a message's
LOST_AGAIN = 2
LOST_DELAY = timedelta(minutes=15)
# seconds to wait for room under a limit a minute; for more, the run ends
LONGEST_WAIT = 65.0
ERROR_LENGTH = 512


class RelayFailure(JobsError):
    """The relay could not be used; no message paid for it."""


class Unreadable(JobsError):
    """Stored messages that we are not allowed to read."""


class MailSource:
    """What the loop asks of one kind of mail. Rows are dicts; each has `user_id` and what
    `queue.columns` names."""

    event = ""                      # what a message is called in the log
    to = ""                         # the column with the recipient's address
    has_first_attempts = False      # whether there are rows that have not failed before
    when_cancelled: dict = {}       # what is stored with a row that is cancelled

    def reasons_to_cancel(self, rows: list[dict]) -> dict:
        """{row id: why nobody waits for it any more}, read again at each claim."""
        raise NotImplementedError

    def is_urgent(self, row: dict) -> bool:
        """Whether it may use the share of the limits that is kept for urgent mail."""
        return False

    def failed_before(self, row: dict) -> bool:
        """Whether an earlier attempt was refused: such rows wait when the failures of an hour are
        used up."""
        return True

    def prepare(self, row: dict) -> tuple[Envelope, Message] | Result:
        """The message that is sent for a row that has begun, or the Result of one that cannot be
        sent. An exception is that message's alone. It changes nothing but the dict."""
        raise NotImplementedError

    def when_sent(self, now) -> dict:
        """What is stored with a row that was sent, besides the reply."""
        return {}


def send_due(ctx, claims: QueueClaims, source: MailSource) -> JobsError | None:
    """Try every due row once, longest due first, until all are done or the run has to stop.

    Returns what is wrong with the relay, if it does not work; the messages keep their attempts.
    """
    sender = MailSender(ctx, claims, source)
    try:
        sender.send_all()
    finally:
        claims.release()
    return sender.finish()


class MailSender:
    """The loop over the due rows of one queue."""

    def __init__(self, ctx, claims: QueueClaims, source: MailSource) -> None:
        self.ctx, self.claims, self.source = ctx, claims, source
        self.mail = ctx.section("mail")
        self.relay = Relay(ctx.db, self.mail)
        self.share = FairShare(ctx, claims, self.relay)
        self.done = 0
        self.total: int | None = None
        self.claimed: list[dict] = []
        self.cancelled: dict = {}               # {id of a claimed row: why nobody waits for it}
        self.suspended: set = set()             # owners that were suspended since the claim
        self.checked_at = ctx.now               # when both were asked
        # once the limit on failures is reached: only first attempts go on
        self.failures_reached: Refusal | None = None
        self.lost_in_a_row = 0
        self.relay_failure = self.unreadable = ""

    def send_all(self) -> None:
        """Claim, reserve and begin, send, settle, until nothing is due or the run has to stop."""
        while self._claim():
            for number, row in enumerate(self.claimed):
                if self._may_go_on() and self._begin(row):
                    self._settle(row, self._send(row, self.claimed[number + 1:]))
                    self.done += 1
                    self.ctx.progress(self.done, self.total)

    def finish(self) -> JobsError | None:
        """Report why the run ends before all is sent, and share the relay's state with the other
        processes. Returns what is wrong with it, or None."""
        if self.ctx.within_limit(1, self.done) == 0 and self.claims.due(1):
            self.ctx.stop("limit")
        if self.failures_reached:
            self.share.stop(self.failures_reached)
        now = self.ctx.clock()
        if self.ctx.counts["sent"]:
            self.relay.works(now)
            if self.ctx.clock_in_doubt is None:
                self.relay.forget(now)
        if self.relay_failure:
            return self._pause_relay(now)
        return Unreadable(f"{self.unreadable}. No message has lost an attempt; let the mail hook "
                          "write its files so that this user can read them"
                          ) if self.unreadable else None

    # Claim

    def _claim(self) -> bool:
        """Take the next rows, if there are any and the run may go on."""
        most = self.ctx.within_limit(CLAIM, self.done)
        if most == 0 or not self._may_go_on():
            return False
        # perhaps by another process, meanwhile
        if paused := self.relay.paused(self.ctx.clock()):
            self._stop_if_due(f"the relay is paused {paused}")
            return False
        self.claimed = self.share.claim(most)
        if self.claimed and self.total is None:
            self.total = self._count_total()
        self._find_cancelled()
        return bool(self.claimed)

    def _may_go_on(self) -> bool:
        if self.relay_failure or self.ctx.should_stop():
            return False
        if self.ctx.hard_limit - self.ctx.monotonic() < MESSAGE_MINIMUM:
            self._stop_if_due("budget")
            return False
        return True

    def _stop_if_due(self, reason: str) -> None:
        if self.claims.count_due(COUNTED):
            self.ctx.stop(reason)

    def _count_total(self) -> int | None:
        """How many messages this run may have to send, as far as that is known without counting
        them all."""
        due = self.claims.count_due(COUNTED)
        within = self.ctx.within_limit(due)
        return within if within < COUNTED else None

    def _find_cancelled(self) -> None:
        self.checked_at = self.ctx.clock()
        self.cancelled = self.source.reasons_to_cancel(self.claimed) if self.claimed else {}

    # Reserve and begin

    def _begin(self, row: dict) -> bool:
        """Reserve room under the relay's limits and mark the row `sending`, in one commit. What may
        not go stays claimed and untouched until the end, or until its owner's turn comes."""
        while not self.share.defers(row):
            begun, refusal = self.ctx.db.batch(lambda: self._reserve_and_begin(row))
            if refusal is None:
                return begun
            if not self._may_try_again(row, refusal):
                break
        return False

    def _reserve_and_begin(self, row: dict) -> tuple[bool, Refusal | None]:
        """(whether it began, why the limits refuse it)."""
        if (self.ctx.clock() - self.checked_at).total_seconds() >= RECHECK_SECONDS:
            self._find_cancelled()
            self.suspended = self.claims.suspended({row["user_id"] for row in self.claimed})
        if row["id"] in self.cancelled:
            self._cancel(row, self.cancelled[row["id"]])
            return False, None
        if row["user_id"] in self.suspended:
            return False, None          # given back at the end
        asked = self.share.asked(row, self.source.failed_before(row), self.source.is_urgent(row))
        found = self.relay.reserve(self.ctx.clock(), asked)
        if isinstance(found, Refusal):
            return False, found
        row["reserved"] = found
        if self.claims.begin(row):
            return True, None
        self.relay.correct(found, self.ctx.clock(), handed_over=False)
        return False, None

    def _cancel(self, row: dict, reason: str) -> None:
        if self.claims.cancel(row, last_error=f"cancelled: {reason}", **self.source.when_cancelled):
            self.ctx.count("cancelled")
            self.ctx.log.event(self.source.event, id=row["id"], outcome="cancelled", reason=reason)

    def _may_try_again(self, row: dict, refusal: Refusal) -> bool:
        """Whether to ask for room once more: after a wait, or since the other queue needs less."""
        if refusal.kind in (HALF, URGENT_HALF):
            self.share.aside[row["user_id"]] = refusal
            return True
        if refusal.kind == FAILURES and self.source.has_first_attempts:
            self.claims.only_first_attempts, self.failures_reached = True, refusal
            return False
        if not (self.share.leaves_more(refusal) or self._waits_for(refusal)):
            self.share.stop(refusal)
        return self._may_go_on()

    def _waits_for(self, refusal: Refusal) -> bool:
        """Whether there is room soon: then it has been waited for."""
        soon = 0 < refusal.seconds <= min(LONGEST_WAIT, self.ctx.seconds_left())
        if soon:
            self.ctx.sleep(refusal.seconds)
        return soon

    # Send

    def _send(self, row: dict, rows_after: list[dict]) -> Result:
        """Hand the message over. Whatever goes wrong with this one is this one's result."""
        began = self.ctx.monotonic()
        try:
            result = self._hand_over(row, rows_after)
        except AddressError as error:
            result = Result(FINAL, None, "5.1.3", str(error))
        except ValueError as error:     # so its content is: text that is none, and the like
            text = f"{type(error).__name__}: {error}"
            self.ctx.log.error("message failed", id=row["id"], error=_masked(text))
            result = Result(RETRY, None, "", text)
        except Exception as error:      # noqa: BLE001  (an error of ours stops no other message)
            self.ctx.defect(error, f"{self.source.event} {row['id']}")
            result = Result(RETRY, None, "", reasons.DEFECT.text(error=type(error).__name__))
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
        row = None if self.ctx.should_stop() else next(filter(self._may_follow, rows), None)
        if row is None:
            return None
        try:
            # as `begin` will date it
            prepared = self.source.prepare(
                {**row, FIRST: row.get(FIRST) or clock.text(self.ctx.clock())})
        except Exception:       # noqa: BLE001  (it is met again, and reported, when it has begun)
            return None
        return None if isinstance(prepared, Result) else prepared

    def _may_follow(self, row: dict) -> bool:
        owner = row["user_id"]
        if row["id"] in self.cancelled or owner in self.suspended or self.share.must_wait(owner):
            return False
        return not (self.failures_reached and self.source.failed_before(row))

    def _watch_relay(self, result: Result) -> None:
        """Note what concerns the messages that follow as well."""
        self.lost_in_a_row = self.lost_in_a_row + 1 if result.outcome == LOST else 0
        if result.outcome == UNREADABLE:
            self.unreadable = self.unreadable or result.text
        if result.outcome == RELAY or self.lost_in_a_row >= LOST_AGAIN:
            code = f"{result.code} " if result.code else ""
            self.relay_failure = _masked(code + result.text)

    def _is_quota(self, text: str) -> bool:
        return any(pattern.lower() in text.lower() for pattern in self.mail.pause_patterns)

    def _pause_relay(self, now) -> JobsError | None:
        """Pause all mail. What the run fails with; None for the relay's own limit, which passes by
        itself."""
        failure, quota = self.relay_failure, self._is_quota(self.relay_failure)
        until = clock.text(self.relay.pause(now, failure, quota))
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

    def _settle(self, row: dict, result: Result) -> None:
        """Store what came of it, whatever ends the run: what was handed over must not be sent
        again."""
        def store() -> None:
            self._store(row, result)
        try:
            until_stored(self.ctx, store)
        except BaseException:           # a signal, or no memory, in the midst of it
            with suppress(DatabaseError):
                self.ctx.db.batch(store)
            raise

    def _store(self, row: dict, result: Result) -> None:
        """May run again after a COMMIT whose answer was lost: then the row is no longer ours."""
        now, outcome = self.ctx.clock(), result.outcome
        stored = self.source.when_sent(now) if outcome == SENT else {}
        if outcome in (LOST, UNREADABLE) or (outcome == RELAY and result.code):
            # It may be this message that the relay cannot stand: it goes behind the others, and not
            # for ever.
            if self.claims.is_old(row):
                outcome = RETRY
            else:
                wait = QUOTA_PAUSE if self._is_quota(result.text) else LOST_DELAY
                stored["next_attempt_at"] = now + wait
        uses_attempt = self.claims.meanings[outcome].uses_attempt
        reply = f"{result.enhanced} {result.text}".strip()
        if uses_attempt:
            error = None if outcome == SENT else reply[:ERROR_LENGTH]
            stored.update(last_code=result.code, last_error=error)
        else:
            stored["last_attempt_at"] = row["last_attempt_at"]
        tried = Tried(result.code, reply, row.get("took_ms"))
        settled = self.claims.settle(row, outcome, tried, **stored)
        if settled.stored:
            refused_by_us = outcome == FINAL and not result.code    # the relay never saw it
            self.relay.correct(row["reserved"], now,
                               handed_over=uses_attempt and not refused_by_us,
                               failed=outcome in (RETRY, FINAL) and bool(result.code))
        self._report(row, result, settled)

    def _report(self, row: dict, result: Result, settled) -> None:
        """Count and log it; both become final with the commit."""
        due = None if settled.over else settled.next_attempt_at
        if not settled.over:
            self.ctx.count(settled.meaning.counted)
        self.ctx.log.event(self.source.event, "info" if result.outcome == SENT else "warning",
                           id=row["id"], attempt=row["attempt"],
                           outcome=ENDED_BY_APP if settled.over else settled.meaning.logged,
                           code=result.code, enhanced=result.enhanced,
                           to=mask(row[self.source.to]),
                           next_attempt_at=due and clock.text(due))


def preview(ctx, queue: ClaimedQueue, source: MailSource) -> None:
    """A dry run: what would be sent."""
    from . import queue_preview

    paused = Relay(ctx.db, ctx.section("mail")).paused(ctx.now)
    transport = ctx.section("mail").transport
    queue_preview.preview(ctx, queue, source.reasons_to_cancel,
                          lambda number, _: f"send {counted(number, 'due message')} by {transport}",
                          f"not now: the relay is paused {paused}" if paused else "")


def _masked(text: str) -> str:
    """Text for the log and for cron's mail, without anybody's address."""
    from jobs_lib import masking  # only where something is wrong: it would slow every idle run
    return masking.text(text)
