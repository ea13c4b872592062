"""The SMTP transport: one message after another over one connection, and what came of each.

MAIL, RCPT and DATA are driven by hand to know the phase in which something went wrong: before DATA was accepted a
lost connection proves that nothing was delivered, after the final dot nobody can tell.
"""
from __future__ import annotations

import re
import time

from jobs_lib.addresses import AddressError, check
from jobs_lib.ports.content import Content, Unsendable
from jobs_lib.ports.mail import (DEFAULT_PAUSE_PATTERNS, FINAL, LOST, RELAY, RETRY, SENT, UNCERTAIN, Result)
from jobs_lib.ports.smtp_session import LIMITS, RelayTrouble, open_session
from jobs_lib.ports.wire import Lost, Reply

MAX_TEXT = 512
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")      # RFC 2034
_NOT_LET_IN = (530, 534, 535, 538)       # authentication or encryption is missing (RFC 4954 6): no message's fault


class SmtpTransport:
    """Sends over one connection, made at the first message and again when it has broken."""

    def __init__(self, mail, stop=None, limits=LIMITS) -> None:
        self.mail = mail
        self.stop = stop
        self.limits = limits
        self.session = None
        patterns = mail.pause_patterns
        self.pause_patterns = [p.lower() for p in (DEFAULT_PAUSE_PATTERNS if patterns is None else patterns)]

    def send(self, envelope, message, deadline: float, item_id) -> Result:
        """One message to one recipient, ended by `deadline` (monotonic seconds) whatever the relay does."""
        try:
            sender = check(envelope.sender) if envelope.sender else ""
            recipient = check(envelope.recipient)
            with Content(message) as content:
                return self._deliver(sender, recipient, content, deadline)
        except AddressError as error:
            return Result(FINAL, None, "", plain(str(error)))
        except Unsendable as error:
            return Result(error.outcome, None, "", plain(error.text))

    def close(self) -> None:
        """QUIT, politely and shortly; whatever it answers changes nothing."""
        session, self.session = self.session, None
        if session is None:
            return
        try:
            session.wire.total = time.monotonic() + self.limits.quit
            session.wire.allow(self.limits.quit)
            session.docmd("QUIT")
        except Lost:
            pass
        finally:
            session.close()

    def _drop(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def _deliver(self, sender: str, recipient: str, content, deadline: float) -> Result:
        """Over the open session, and once more over a new one when the open one turns out to be dead."""
        while True:
            reused = self.session is not None
            if reused and self.session.wire.has_spoken():
                self._drop()                  # it has said goodbye meanwhile, or is out of step
                reused = False
            if self.session is None:
                if self.stop and self.stop():
                    return Result(LOST, None, "", "stopped before connecting")
                try:
                    self.session = open_session(self.mail, self.limits, deadline)
                except RelayTrouble as trouble:
                    return self._relay(trouble)
            transaction = Transaction(self.session, self.limits, deadline)
            try:
                reply = transaction.run(sender, recipient, content)
                result = reply if isinstance(reply, Result) else self._judge(reply, transaction)
            except Lost as lost:
                self._drop()
                if transaction.phase in BEGINNING and reused and deadline - time.monotonic() > 1:
                    continue
                return lost_result(lost, transaction.phase, reused)
            except BaseException:
                self._drop()
                raise
            if self.session.spoilt:
                self._drop()
            return result

    def _judge(self, reply, transaction) -> Result:
        """What the decisive reply means for this message (RFC 5321 4.2.1)."""
        code, enhanced, text = digest(reply)
        first = code // 100
        if first in (4, 5) and (code in _NOT_LET_IN or self._pauses(text)):
            outcome = RELAY
        elif code == 421 and transaction.phase == "MAIL":
            outcome = RELAY
        elif first == 2 and transaction.phase == "dot":
            outcome = SENT
        elif first == 5:
            outcome = FINAL
        elif first == 4:
            outcome = RETRY
        else:
            outcome = UNCERTAIN if transaction.phase == "dot" else RETRY
        return Result(outcome, code, enhanced, text)

    def _pauses(self, text: str) -> bool:
        lower = text.lower()
        return any(pattern in lower for pattern in self.pause_patterns)

    def _relay(self, trouble) -> Result:
        if trouble.reply is None:
            return Result(RELAY, None, "", plain(trouble.text))
        code, enhanced, text = digest(trouble.reply)
        return Result(RELAY, code, enhanced, plain(f"{trouble.text}: {text}"))


BEGINNING = ("RSET", "MAIL", "RCPT", "DATA")       # the phases that prove that nothing was delivered


class Transaction:
    """One message over one session. `phase` says how far it came."""

    def __init__(self, session, limits, deadline: float) -> None:
        self.session = session
        self.wire = session.wire
        self.limits = limits
        self.deadline = deadline
        self.phase = "MAIL"
        self.wire.total = deadline

    def run(self, sender: str, recipient: str, content):
        """The reply that decides: the first refusal, or the answer to the final dot."""
        features = self.session.esmtp_features
        mail = f"MAIL FROM:<{sender}>"
        if "size" in features:
            mail += f" SIZE={content.size}"
        if content.eight_bit and "8bitmime" in features:
            mail += " BODY=8BITMIME"
        reply = self._begin(mail, f"RCPT TO:<{recipient}>")
        return reply or self._content(content)

    def _begin(self, mail: str, rcpt: str):
        """None when the relay waits for the content, or the refusal."""
        steps = [("MAIL", mail, self.limits.mail), ("RCPT", rcpt, self.limits.rcpt), ("DATA", "DATA", self.limits.data)]
        for phase, line, limit in steps:
            self.phase = phase
            self.wire.allow(limit)
            self.wire.write(line.encode() + b"\r\n")
            reply = self.wire.reply()
            if reply.code // 100 != (3 if phase == "DATA" else 2):
                return reply
        return None

    def _content(self, content):
        self.phase = "content"
        for block, is_last in content.blocks():
            self.phase = "dot" if is_last else "content"
            self.wire.allow(self.limits.block)
            self.wire.write(block)
        self.wire.allow(min(self.limits.dot, self.deadline - self.limits.margin - time.monotonic()))
        return self.wire.reply()


def lost_result(lost, phase: str, reused: bool) -> Result:
    """What a broken connection means for the message in hand."""
    text = plain(f"{lost.text} at {phase}")
    if phase == "dot":
        return Result(UNCERTAIN, None, "", text)
    if phase in BEGINNING and (reused or not lost.silent):
        return Result(LOST, None, "", text)
    return Result(RETRY, None, "", text)


def digest(reply):
    """(code, enhanced status code or "", the rest of the text made harmless) of a reply."""
    lines = reply.text.decode("utf-8", "replace").split("\n")
    match = _ENHANCED.match(lines[0])
    enhanced = match.group(1) if match else ""
    if enhanced:
        lines = [line[len(match.group(0)):] if line.startswith(enhanced) else line for line in lines]
    return reply.code, enhanced, plain(" ".join(lines)) 


def plain(text: str) -> str:
    """At most 512 printable characters; whatever else was in it is a question mark."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in text[:MAX_TEXT])
    return shown.strip() or "(no text)"
