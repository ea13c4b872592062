"""The SMTP transport: one message after another over one connection, and what came of each."""
from __future__ import annotations

import time

from jobs_lib.addresses import AddressError, check
from jobs_lib.ports.outcomes import FINAL, LOST, RELAY

from . import reasons
from .content import Content, Unsendable
from .message import Envelope, Message, Result
from .replies import Disconnected, judge, judge_loss, judge_no_session, plain
from .smtp_exchange import MailTransaction, Outgoing, commands_for, unsendable
from .smtp_session import LIMITS, NoSession, SmtpSession, open_session, unseen

RECONNECT_MINIMUM = 10       # seconds that a second try over a new connection needs


class SmtpTransport:
    """Sends over one connection, made at the first message and again when it has broken."""

    def __init__(self, mail, stop=None, limits=LIMITS, step=unseen) -> None:
        self.mail = mail
        self.stop = stop
        self.step = step
        self.limits = limits
        self.session: SmtpSession | None = None
        self.pause_patterns = [pattern.lower() for pattern in mail.pause_patterns if pattern]

    def send(self, envelope: Envelope, message: Message, deadline: float,
             item_id: object) -> Result:
        """One message to one recipient, whatever the relay does. deadline: monotonic seconds. Every
        phase ends a margin before it, so that the result can still be stored."""
        deadline -= self.limits.margin
        try:
            sender, recipient = _checked(envelope)
            with Content(message) as content:
                return self._deliver(Outgoing(sender, recipient, content), deadline)
        except AddressError as error:
            return Result(FINAL, None, "5.1.3", plain(str(error)))
        except Unsendable as error:
            return Result(error.outcome, None, "", plain(error.text))

    def close(self) -> None:
        """QUIT, politely and briefly; whatever comes of it changes nothing."""
        session = self.session
        if session is None:
            return
        try:
            session.connection.total = time.monotonic() + self.limits.quit
            session.connection.allow(self.limits.quit)
            session.docmd("QUIT")
        except Disconnected:
            pass
        finally:
            self._drop()

    def _drop(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def _deliver(self, outgoing: Outgoing, deadline: float) -> Result:
        """Over the open session; once more over a new one when the open one turns out to be
        dead."""
        session = self.session
        if session is not None and session.connection.has_spoken():
            self._drop()                  # it closed meanwhile, or is out of step with us
        elif session is not None:
            result = self._try(session, outgoing, deadline, reused=True)
            if result.outcome != LOST or deadline - time.monotonic() < RECONNECT_MINIMUM:
                return result
        if self.stop and self.stop():
            return Result(LOST, None, "", reasons.STOPPED.text())
        if deadline <= time.monotonic():
            return Result(LOST, None, "", reasons.NO_TIME.text())
        try:
            self.session = session = open_session(self.mail, self.limits, deadline,
                                                  self.step)
        except NoSession as failure:
            return judge_no_session(failure)
        return self._try(session, outgoing, deadline, reused=False)

    def _try(self, session: SmtpSession, outgoing: Outgoing, deadline: float,
             reused: bool) -> Result:
        """The Result over this session; `lost` when the message had not begun and may try
        another."""
        refusal = unsendable(session.esmtp_features, outgoing)
        if refusal is not None:
            return refusal
        transaction = MailTransaction(session, self.limits, deadline, reused, self.step)
        try:
            reply = transaction.run(commands_for(session.esmtp_features, outgoing),
                                    outgoing.content)
        except Disconnected as lost:
            self._drop()
            return judge_loss(lost, transaction.phase)
        except BaseException:
            self._drop()                  # stopped in mid-command: the connection is out of step
            raise
        if session.unusable:
            self._drop()
        result = judge(reply, transaction.phase, outgoing.sender, self.pause_patterns)
        if reused and transaction.phase == "MAIL" and result.outcome == RELAY:
            # Perhaps only the end of the old connection, such as a limit of messages for each: a
            # new one is asked before the relay is paused.
            self._drop()
            return result._replace(outcome=LOST)
        return result


def _checked(envelope: Envelope) -> tuple[str, str]:
    """Sender and recipient, fit for the wire."""
    return check(envelope.sender) if envelope.sender else "", check(envelope.recipient)
