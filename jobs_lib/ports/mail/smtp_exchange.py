"""One message over one session: MAIL, RCPT, DATA and the content, by hand, so that the phase is
always known.

Before DATA was accepted a lost connection proves that nothing was delivered; once the final dot is
out nobody can tell. With PIPELINING (RFC 2920) the commands go in one write, which saves two round
trips a message.
"""
from __future__ import annotations

import time

from jobs_lib.ports.outcomes import FINAL
from jobs_lib.records import namedtuple

from . import reasons
from .message import Result
from .replies import CLOSING, Disconnected, Reply

Outgoing = namedtuple("Outgoing", "sender recipient content")
Outgoing.__doc__ = """A message with both its addresses checked, and its Content."""


def unsendable(features: dict, outgoing: Outgoing) -> Result | None:
    """The final Result of a message that this relay cannot take, or None. features: of EHLO."""
    sender, recipient, content = outgoing
    limit = features.get("size", "").split(" ")[0]
    if limit.isdecimal() and 0 < int(limit) < content.size:
        text = reasons.TOO_LARGE.text(size=content.size, limit=limit)
    elif content.eight_bit and "8bitmime" not in features:
        text = reasons.EIGHT_BIT.text()
    elif not (sender + recipient).isascii() and "smtputf8" not in features:
        text = reasons.NOT_ASCII.text()
    else:
        return None
    return Result(FINAL, None, "", text)


def commands_for(features: dict, outgoing: Outgoing) -> list[str]:
    """MAIL, RCPT and DATA for this message, in the words of this relay."""
    sender, recipient, content = outgoing
    mail = f"MAIL FROM:<{sender}>"
    if "size" in features:
        mail += f" SIZE={content.size}"             # RFC 1870
    if content.eight_bit:
        mail += " BODY=8BITMIME"                    # RFC 6152
    if not (sender + recipient).isascii():
        mail += " SMTPUTF8"                         # RFC 6531
    return [mail, f"RCPT TO:<{recipient}>", "DATA"]


class MailTransaction:
    """`run` gives the reply that decides; `phase` says what it answered, or where the connection
    was lost."""

    def __init__(self, session, limits, deadline: float, reused: bool, step) -> None:
        self.reused, self.step = reused, step
        self.session = session
        self.connection = session.connection
        self.limits = limits
        self.deadline = deadline
        self.phase = "MAIL"
        self.connection.total = deadline

    def run(self, commands: list[str], content) -> Reply:
        """Sends the message; `commands` are from `commands_for`. Raises Disconnected; then the
        session is of no use, nor when it is `unusable`."""
        reply = self._begin(self._steps(commands)) or self._content(content)
        accepted = self.phase == "dot" and reply.code // 100 == 2
        self.session.needs_reset = not accepted
        if not accepted and reply.code < 400:
            self.session.unusable = True         # neither yes nor no: out of step with us
        return reply

    def _steps(self, commands: list[str]) -> list:
        """(phase, line, seconds) of what goes before the content."""
        limits = self.limits
        steps = list(zip(("MAIL", "RCPT", "DATA"), commands,
                         (limits.mail, limits.rcpt, limits.data)))
        if self.session.needs_reset:
            # without it the next MAIL is "nested": the last message's refusal would become this
            # one's
            steps.insert(0, ("RSET", "RSET", limits.mail))
        if self.reused:
            phase, line, seconds = steps[0]
            steps[0] = (phase, line, min(seconds, limits.again))
        return steps

    def _begin(self, steps: list) -> Reply | None:
        """None when the relay waits for the content, else the first refusal."""
        pipelining = "pipelining" in self.session.esmtp_features
        refusal, accepted = None, set()
        for number, (phase, line, seconds) in enumerate(steps):
            try:
                if refusal is None:
                    self.phase = phase
                if not pipelining:
                    self._write(line, seconds)
                elif number == 0:
                    self._write("\r\n".join(line for _, line, _ in steps), seconds)
                reply = self._answer(seconds)
                self.step(phase, reply)
            except Disconnected:
                if refusal is None:
                    raise
                # the refusal is valid, whatever became of the connection
                self.session.unusable = True
                return refusal
            if (reply.code == 354) if phase == "DATA" else (reply.code // 100 == 2):
                accepted.add(phase)
            elif phase == "RSET":
                raise Disconnected("the relay refused RSET")
            else:
                refusal = refusal or reply
            if reply.code == CLOSING or (refusal and not pipelining):
                return refusal
        if refusal and "DATA" in accepted:
            self._back_out("RCPT" in accepted)
        return refusal

    def _back_out(self, recipient_accepted: bool) -> None:
        """The relay waits for content although it refused before (RFC 2920 3.1): a lone dot ends
        it.

        With a recipient accepted the dot could deliver an empty message: then we hang up instead.
        """
        self.session.unusable = recipient_accepted
        if recipient_accepted:
            return
        try:
            self._write(".", self.limits.data)
            self._answer(self.limits.data)
        except Disconnected:
            self.session.unusable = True

    def _content(self, content) -> Reply:
        self.phase = "content"
        for block, is_last in content.blocks():
            if self.connection.has_spoken():
                # the relay will not wait for the rest: a refusal ahead of time, or the end
                self.session.unusable = True
                return self._answer(self.limits.data)
            if is_last and self._dot_seconds() <= 0:
                raise Disconnected("no time is left for an answer to the final dot")
            self.connection.allow(self.limits.block)
            self.connection.write(block)
        # only now: as long as a write fails, its end with the dot was never sent
        self.phase = "dot"
        reply = self._answer(self._dot_seconds())
        self.step("content", reply)
        return reply

    def _dot_seconds(self) -> float:
        return min(self.limits.dot, self.deadline - time.monotonic())

    def _write(self, lines: str, seconds: float) -> None:
        self.connection.allow(seconds)
        self.connection.write(lines.encode() + b"\r\n")

    def _answer(self, seconds: float) -> Reply:
        self.connection.allow(seconds)
        reply = self.connection.reply()
        if reply.code == CLOSING:
            self.session.unusable = True
        return reply
