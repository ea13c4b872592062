"""One message over one session: MAIL, RCPT, DATA and the content, by hand, so that the phase is
always known.

Before DATA was accepted a lost connection proves that nothing was delivered; once the final dot is
out nobody can tell. With PIPELINING (RFC 2920) the commands go in one write, which saves two round
trips a message. A third one is saved by sending them behind the content of the message before, as
RFC 2920 3.1 allows: their answers are read when their message's turn has come. Until then it has no
content, so to hang up undoes them.
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

    def run(self, commands: list[str], content, following: list[str]) -> Reply:
        """Sends the message. Raises Disconnected; then the session is of no use, nor when it is
        `unusable`.

        commands   from `commands_for`; those that were sent ahead are not sent again
        following  the next message's, to be sent ahead, or []
        """
        were_sent, self.session.sent_ahead = bool(self.session.sent_ahead), []
        steps = self._steps(commands)
        refusal = self._take_up(steps) if were_sent else self._begin(steps)
        reply = refusal or self._content(content, following)
        accepted = self.phase == "dot" and reply.code // 100 == 2
        # the next transaction may be under way: then the relay has ended this one by itself
        self.session.needs_reset = not (accepted or self.session.sent_ahead)
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

    def _take_up(self, steps: list) -> Reply | None:
        """The same for commands that were sent ahead: their answers are read now.

        An answer too many or too few would become another message's. So only three that fit
        together are believed, and MAIL has to be accepted: a new connection is asked about the
        rest.
        """
        replies: list[Reply] = []
        for phase, _, seconds in steps:
            self.phase = phase
            replies.append(self._answer(seconds))
            self.step(phase, replies[-1])
            if replies[-1].code == CLOSING or replies[0].code // 100 != 2:
                raise Disconnected("the relay did not take commands that were sent ahead")
        _, recipient, data = replies
        if recipient.code >= 400 and data.code >= 400:
            self.phase = "RCPT"
            return recipient
        if recipient.code // 100 == 2 and data.code >= 400:
            return data
        if recipient.code // 100 != 2 or data.code != 354 or self.connection.has_spoken():
            raise Disconnected("the relay got out of step by commands that were sent ahead")
        return None

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

    def _content(self, content, following: list[str]) -> Reply:
        self.phase = "content"
        for block, is_last in content.blocks():
            if self.connection.has_spoken():
                # the relay will not wait for the rest: a refusal ahead of time, or the end
                self.session.unusable = True
                return self._answer(self.limits.data)
            if is_last and self._dot_seconds() <= 0:
                raise Disconnected("no time is left for an answer to the final dot")
            self.connection.allow(self.limits.block)
            if is_last and following:
                self._write_with(block, following)
            else:
                self.connection.write(block)
        # only now: as long as a write fails, its end with the dot was never sent
        self.phase = "dot"
        reply = self._answer(self._dot_seconds())
        if self.session.sent_ahead:
            self.connection.acknowledge()
        self.step("content", reply)
        return reply

    def _write_with(self, last_block: bytes, following: list[str]) -> None:
        """The end of the content and the next message's commands in one write, so that the relay
        finds them together and answers them together."""
        self.phase = "dot"              # if this fails, nobody knows whether the dot was sent
        self.connection.write(last_block + "".join(f"{line}\r\n" for line in following).encode())
        self.session.sent_ahead, self.session.sent_ahead_at = following, time.monotonic()

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
