"""The SMTP transport: one message after another over one connection, and what came of each.

`smtplib` speaks, over a socket that keeps a deadline. MAIL, RCPT, DATA and the content are sent by
hand, so that the phase is always known in which a connection broke: before DATA was accepted that
proves that nothing was delivered; once the final dot is out nobody can tell.
"""
from __future__ import annotations

import smtplib
import socket
import time
from contextlib import suppress

from jobs_lib.errors import JobsError
from jobs_lib.ports import deadline
from jobs_lib.ports.outcomes import AT_MAIL, GIVEN_BACK, LOST, RELAY, is_exhausted

from . import Envelope, Result, reasons
from .content import Content, Transport, Unsendable
from .replies import WHEN_LOST, Reply, digest, judge, plain
from .session import Session

RECONNECT_MINIMUM = 10  # seconds that a second try over a new connection needs
# what ends a session; an SMTPException is an OSError
ENDS = (JobsError, OSError, ValueError)
# what a refusal in a phase is about
ABOUT = {"greeting": "the connection", "TLS": "STARTTLS", "AUTH": "the username or password"}


class SmtpTransport(Transport):
    """Sends over one connection, made at the first message and again when it has broken.

    step: is called as each step of a session begins, with its name, and as it ends, with what was
    answered, too: a text, or the Reply
    """

    def __init__(self, mail, step=None) -> None:
        self.session = Session(mail, step)

    def deliver(self, envelope: Envelope, head: bytes, file, until: float,
                item_id: object) -> Result:
        """Send one message: over the open session, or over a new one where that turns out to be
        dead. Every phase ends a margin before `until`."""
        session, content = self.session, Content(head, file)
        session.last = until - session.limits["margin"]
        if session.sock is not None and session.has_spoken():
            session.close()  # it closed meanwhile, or is out of step with us
        if session.sock is not None:
            result = self._attempt(envelope, content)
            # refused at MAIL, it may be only the end of the old connection: a new one is asked
            if result.outcome not in (LOST, AT_MAIL):
                return result
            session.close()
            if session.last - time.monotonic() < RECONNECT_MINIMUM:
                return result._replace(outcome=LOST)
        if session.last <= time.monotonic():
            return Result(LOST, None, "", reasons.NO_TIME)
        return self._attempt(envelope, content)

    def _attempt(self, envelope: Envelope, content: Content) -> Result:
        session = self.session
        try:
            if session.sock is None:
                session.open()
            reply = session.transact(envelope, content)
        except ENDS as error:
            session.close()
            return failure(session, error)
        except BaseException as error:
            # stopped in mid-command, or a content that must not end: it is out of step, but not by
            # a message that was never offered
            if not isinstance(error, Unsendable) or session.phase == "content":
                session.close()
            raise
        return judge(reply, session.phase, envelope.sender, session.section.pause_patterns)

    def close(self) -> None:
        """QUIT, politely and briefly; whatever comes of it changes nothing."""
        session = self.session
        if session.sock is not None:
            session.last = time.monotonic() + session.limits["QUIT"]
            with suppress(OSError):
                session.within("QUIT")
                session.docmd("QUIT")
            session.close()


def failure(session: Session, error: Exception) -> Result:
    """What the end of a session means for the message in hand."""
    why, code, enhanced = in_words(error, session.phase), None, ""
    if session.phase in WHEN_LOST:
        outcome, where = WHEN_LOST[session.phase]
        return Result(outcome, None, "", plain(f"{why} {where}"))
    if is_exhausted(error):
        return Result(GIVEN_BACK, None, "", plain(reasons.EXHAUSTED.format(error=why)))
    text = f"{session.section.host}:{session.section.port}: {why}"
    if isinstance(error, smtplib.SMTPResponseException):
        code, enhanced, said = digest(Reply(error.smtp_code, error.smtp_error))
        text += f": {said}"
    return Result(RELAY, code, enhanced, plain(text))


def in_words(error: BaseException, phase: str) -> str:
    """What went wrong with a connection, or a session, for the operator."""
    if isinstance(error, smtplib.SMTPServerDisconnected):
        error = error.__context__ or error  # smtplib puts it in the place of each OSError
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the relay refused {ABOUT.get(phase, 'us')}"
    if phase == "connect" and isinstance(error, socket.timeout):
        return "no connection in time"
    return deadline.in_words(error)


def probe(mail, until: float) -> str:
    """Why no message could be sent, or "": a session as for sending, without a message, for
    `jobs.py doctor`. until: monotonic seconds."""
    transport = SmtpTransport(mail)
    session = transport.session
    session.last = until
    try:
        session.open()
    except ENDS as error:
        session.close()
        return failure(session, error).text
    transport.close()
    return ""
