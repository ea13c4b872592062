"""The SMTP transport: one message after another over one connection, and what came of each.

`smtplib` speaks, over a socket that keeps a deadline. MAIL, RCPT, DATA and the content are sent by
hand, so that the phase is always known in which a connection broke: before DATA was accepted that
proves that nothing was delivered; once the final dot is out nobody can tell.
"""
from __future__ import annotations

import contextlib
import smtplib
import ssl
import time

from jobs_lib.errors import JobsError
from jobs_lib.ports.outcomes import FINAL, GIVEN_BACK, LOST, RELAY, is_exhausted

from . import reasons
from .content import Content, Transport, Unsendable
from .message import Envelope, Message, Result
from .replies import WHEN_LOST, Reply, digest, judge, judge_loss, plain
from .session import LIMITS, Session, in_words

RECONNECT_MINIMUM = 10       # seconds that a second try over a new connection needs


class SmtpTransport(Transport):
    """Sends over one connection, made at the first message and again when it has broken."""

    def __init__(self, mail, step=None) -> None:
        self.mail, self.limits = mail, LIMITS
        self.step = step or (lambda name, answer=None: None)
        self.session: Session | None = None
        self.pause_patterns = [pattern.lower() for pattern in mail.pause_patterns if pattern]

    def deliver(self, envelope: Envelope, message: Message, deadline: float,
                item_id: object) -> Result:
        """Send one message. Every phase ends a margin before the deadline, so that the result can
        still be stored."""
        with Content(message) as content:
            return self._deliver((*envelope, content), deadline - self.limits["margin"])

    def close(self) -> None:
        """QUIT, politely and briefly; whatever comes of it changes nothing."""
        if self.session is not None:
            self.session.last = time.monotonic() + self.limits["QUIT"]
            with contextlib.suppress(OSError):
                self.session.within("QUIT")
                self.session.docmd("QUIT")
            self._drop()

    def _drop(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            with contextlib.suppress(OSError):
                session.close()

    def _deliver(self, outgoing: tuple, deadline: float) -> Result:
        """Over the open session; once more over a new one when the open one turns out to be
        dead. outgoing: sender, recipient, Content."""
        session = self.session
        if session is not None and session.has_spoken():
            self._drop()                  # it closed meanwhile, or is out of step with us
        elif session is not None:
            result = self.over_session(deadline, outgoing)
            # refused at MAIL, perhaps it is only the end of the old connection, such as a limit of
            # messages for each: a new one is asked before the relay is paused
            if result.outcome != LOST and (result.outcome, session.phase) != (RELAY, "MAIL"):
                return result
            self._drop()
            if deadline - time.monotonic() < RECONNECT_MINIMUM:
                return result._replace(outcome=LOST)
        if deadline <= time.monotonic():
            return Result(LOST, None, "", reasons.NO_TIME)
        return self.over_session(deadline, outgoing)

    def over_session(self, deadline: float, outgoing: tuple | None = None):
        """The Result of a message over the session, which is opened where there is none. Without a
        message: the Result of a session that cannot be opened, else None."""
        is_open = self.session is not None
        session = self.session = self.session or Session(self.mail, self.limits, self.step)
        session.last, session.phase = deadline, ""
        try:
            if not is_open:
                session.open()
            if outgoing is None:
                return None
            reply = session.transact(commands_for(session, *outgoing), outgoing[-1])
        except Unsendable:
            if session.phase == "content":
                self._drop()              # without its end, the message is none
            raise
        except (JobsError, OSError, ValueError) as error:       # SMTPException is an OSError
            self._drop()
            return self._failed(error, session.phase)
        except BaseException:
            self._drop()                  # stopped in mid-command: the connection is out of step
            raise
        if session.unusable:
            self._drop()
        return judge(reply, session.phase, outgoing[0], self.pause_patterns)

    def _failed(self, error: Exception, phase: str) -> Result:
        """What it means for the message in hand."""
        why = in_words(error, phase)
        if phase in WHEN_LOST:
            return judge_loss(why, phase)
        if is_exhausted(error):
            return Result(GIVEN_BACK, None, "", plain(reasons.EXHAUSTED.format(error=why)))
        text = f"{self.mail.host}:{self.mail.port}: {why}"
        if not isinstance(error, smtplib.SMTPResponseException):
            return Result(RELAY, None, "", plain(text))
        code, enhanced, said = digest(Reply(error.smtp_code, error.smtp_error))
        return Result(RELAY, code, enhanced, plain(f"{text}: {said}"))


def probe(mail, deadline: float) -> tuple[str, str]:
    """(why no message could be sent, or ""; `TLSv1.3`, or ""): a session as for sending, without a
    message, for `jobs.py doctor`. deadline: monotonic seconds."""
    transport = SmtpTransport(mail)
    failure = transport.over_session(deadline)
    if transport.session is None:
        return failure.text, ""
    sock = transport.session.sock
    tls = sock.version() if isinstance(sock, ssl.SSLSocket) else None
    transport.close()
    return "", tls or ""


def commands_for(session: Session, sender: str, recipient: str, content) -> list[tuple[str, str]]:
    """(phase, line) of MAIL, RCPT and DATA for this message, in the words of this relay. Unsendable
    if the relay cannot take it."""
    mail = f"MAIL FROM:<{sender}>"
    if session.has_extn("size"):
        limit = session.esmtp_features["size"].split(" ")[0]
        if limit.isdecimal() and 0 < int(limit) < content.size:
            raise Unsendable(FINAL, reasons.TOO_LARGE, size=content.size, limit=limit)
        mail += f" SIZE={content.size}"             # RFC 1870
    if content.eight_bit:
        if not session.has_extn("8bitmime"):
            raise Unsendable(FINAL, reasons.EIGHT_BIT)
        mail += " BODY=8BITMIME"                    # RFC 6152
    if not (sender + recipient).isascii():
        if not session.has_extn("smtputf8"):
            raise Unsendable(FINAL, reasons.NOT_ASCII)
        mail += " SMTPUTF8"                         # RFC 6531
    return [("MAIL", mail), ("RCPT", f"RCPT TO:<{recipient}>"), ("DATA", "DATA")]
