"""A session with the relay: connected, encrypted, introduced, signed in, and one message after
another, each phase within its limit in time.

With PIPELINING (RFC 2920) MAIL, RCPT and DATA go in one write, which saves two round trips a
message.
"""
from __future__ import annotations

import smtplib
import ssl
import time
from contextlib import suppress
from typing import Any

from jobs_lib.errors import JobsError
from jobs_lib.ports import deadline
from jobs_lib.ports.outcomes import FINAL

from . import Envelope, reasons
from .content import Content, Unsendable
from .replies import CLOSING, Reply

# Seconds for each phase. Up to DATA (the 354) they are shorter than RFC 5321 4.5.3.2's, which are
# for a queue runner that can wait; from the content on (each block of it), where giving up costs
# more, they are the RFC's. margin: to store the result before the hard limit.
LIMITS = {"connect": 30, "TLS": 30, "greeting": 60, "EHLO": 30, "AUTH": 60,
          "RSET": 60, "MAIL": 60, "RCPT": 60, "DATA": 60, "content": 180, "dot": 600,
          "QUIT": 2, "margin": 5}


class Session(smtplib.SMTP):
    """smtplib's commands, none of which waits longer than its phase allows. An OSError, ValueError
    or JobsError says that it is over, and `phase` where. It may be opened again.

    last: the monotonic second that nothing may outlast        sock: None where it is not open
    """

    sock: Any
    phase, last, needs_reset = "", 0.0, False

    def __init__(self, mail, step=None) -> None:
        super().__init__(local_hostname="localhost")  # without one smtplib asks DNS
        self.section, self.limits = mail, LIMITS
        self.step = step or (lambda name, answer=None: None)

    def within(self, phase: str) -> float:
        """A phase begins, or the next block of the content; until when it may take."""
        if phase not in (self.phase, "dot", "QUIT"):
            self.step(phase)
        self.phase = phase
        until = min(self.last, time.monotonic() + self.limits[phase])
        if self.sock is not None:
            self.sock.allow(until)
        return until

    def getreply(self) -> tuple:
        """As smtplib, but for what is no reply (RFC 5321 4.2): that ends the connection."""
        try:
            code, text = super().getreply()
        except smtplib.SMTPResponseException:  # a line without an end
            code = -1
        if not 200 <= code < 600:
            self.close()
            raise smtplib.SMTPServerDisconnected("the server's answer is not SMTP")
        return code, text

    def has_spoken(self) -> bool:
        """Whether something lies here unasked: a reply, or the end."""
        try:
            self.sock.allow(None)
            self.sock.settimeout(0)
            return bool(self.file and self.file.peek(1)) or self.sock.ended
        except OSError as error:
            # TLS has bytes of its own, which may come at any time
            return not isinstance(error, ssl.SSLWantReadError)

    # Open

    def open(self) -> None:
        """Connect, and make it ready for MAIL, as the section asks for."""
        mail, until = self.section, self.within("connect")
        self.local_hostname, self.needs_reset = ehlo_name(mail), False
        self.sock = deadline.connect(deadline.look_up(mail.host, mail.port, until), until)
        self.step("connect", f"{mail.host}:{mail.port} ({self.sock.getpeername()[0]})")
        if mail.security == "tls":  # before a word in clear: RFC 8314 3.3
            self._encrypt()
        self.within("greeting")
        self._expect(220, self._reply())
        self._introduce()
        if mail.security == "starttls":
            self.within("TLS")
            if not self.has_extn("starttls"):
                raise JobsError("the relay does not offer STARTTLS, which [mail] security = "
                                "starttls asks for")
            self._expect(220, self.docmd("STARTTLS"))
            if self.has_spoken():
                # they would be read as if they had come encrypted
                raise JobsError("the relay sent plain data after agreeing to STARTTLS")
            self._encrypt()
            self._introduce()
        if mail.username:
            self._sign_in()

    @staticmethod
    def _expect(code: int, answer: tuple) -> None:
        if answer[0] != code:
            raise smtplib.SMTPResponseException(*answer)

    def _encrypt(self) -> None:
        """TLS; what came before it is forgotten (RFC 3207 4.2)."""
        self.within("TLS")
        context = deadline.tls_context("[mail] ca_file", self.section.ca_file)
        self.sock = deadline.encrypted(self.sock, context, self.section.host)
        self.file = None
        self.step("TLS", f"{self.sock.version()}, with a valid certificate for {self.section.host}")

    def _introduce(self) -> None:
        self.within("EHLO")
        self.ehlo_resp = self.helo_resp = None
        self.ehlo_or_helo_if_needed()
        offers = ", ".join(sorted(name.upper() for name in self.esmtp_features)) or "no extension"
        self.step("EHLO", f"we are {self.local_hostname}; the relay offers {offers}")

    def _sign_in(self) -> None:
        """AUTH; a password goes in clear only to this very machine."""
        self.within("AUTH")
        name, password = self.section.username, self.section.password or ""
        if not isinstance(self.sock, ssl.SSLSocket) and not is_loopback(self.sock.getpeername()[0]):
            raise JobsError("with [mail] security = none the password would be sent unencrypted: "
                            "set starttls or tls")
        if not (name + password).isascii():  # smtplib knows nothing else
            raise JobsError("[mail] username and password: only ASCII characters can be sent")
        self.login(name, password)
        self.step("AUTH", f"signed in as {name}")

    # Send

    def transact(self, envelope: Envelope, content: Content) -> Reply:
        """The reply that decides over a message. Where it leaves the connection out of step, that
        is closed."""
        commands = self._commands(*envelope, content)
        if self.needs_reset:
            # without it the next MAIL is "nested": the last message's refusal would become this
            # one's
            commands = {"RSET": "RSET", **commands}
        self.needs_reset = True
        together = self.has_extn("pipelining")
        for number, (phase, line) in enumerate(commands.items(), 1):
            self.within(phase)
            if together and number == 1:
                self.send("".join(f"{each}\r\n" for each in commands.values()).encode())
            elif not together:
                self.send(f"{line}\r\n".encode())
            reply = self._reply()
            if reply.code != 354 if phase == "DATA" else reply.code // 100 != 2:
                if phase == "RSET":
                    raise smtplib.SMTPServerDisconnected("the relay refused RSET")
                if reply.code < 400 or reply.code == CLOSING:  # neither yes nor no
                    self.close()
                elif together:
                    self._pass_over(len(commands) - number)
                return reply
        return self._send_content(content)

    def _commands(self, sender: str, recipient: str, content: Content) -> dict[str, str]:
        """{phase: line} of MAIL, RCPT and DATA for this message, in the words of this relay.
        Unsendable if the relay cannot take it."""
        mail = f"MAIL FROM:<{sender}>"
        if self.has_extn("size"):
            limit = self.esmtp_features["size"].split(" ")[0]
            if limit.isdecimal() and 0 < int(limit) < content.size:
                raise Unsendable(FINAL, reasons.TOO_LARGE, size=content.size, limit=limit)
            mail += f" SIZE={content.size}"  # RFC 1870
        if content.eight_bit:
            if not self.has_extn("8bitmime"):
                raise Unsendable(FINAL, reasons.EIGHT_BIT)
            mail += " BODY=8BITMIME"  # RFC 6152
        if not (sender + recipient).isascii():
            if not self.has_extn("smtputf8"):
                raise Unsendable(FINAL, reasons.NOT_ASCII)
            mail += " SMTPUTF8"  # RFC 6531
        return {"MAIL": mail, "RCPT": f"RCPT TO:<{recipient}>", "DATA": "DATA"}

    def _pass_over(self, replies: int) -> None:
        """So many, to what was sent in the same write as what was refused. The relay may wait for
        content all the same (RFC 2920 3.1): we hang up, since a dot could deliver an empty
        message. The refusal is valid, whatever becomes of the rest."""
        with suppress(OSError):  # which has closed it
            codes = [self.getreply()[0] for _ in range(replies)]
            if CLOSING in codes or any(code < 400 for code in codes[-1:]):
                self.close()

    def _send_content(self, content: Content) -> Reply:
        self.within("content")
        for block in content.blocks():
            if self.has_spoken():
                # the relay will not wait for the rest: a refusal ahead of time, or the end
                self.within("content")
                reply = self._reply()
                self.close()
                return reply
            if time.monotonic() >= self.last:
                raise smtplib.SMTPServerDisconnected("no time is left for an answer to the dot")
            self.within("content")
            self.send(block)
        # only now: as long as a write fails, the dot was never sent
        self.within("dot")
        reply = self._reply()
        self.needs_reset = reply.code // 100 != 2
        if reply.code == CLOSING or 300 <= reply.code < 400:
            self.close()
        return reply

    def _reply(self) -> Reply:
        reply = Reply(*self.getreply())
        self.step("content" if self.phase == "dot" else self.phase, reply)
        return reply


def ehlo_name(mail) -> str:
    """The name for EHLO: the service's domain, never what DNS thinks of this host."""
    name = mail.domain
    return name if name.isascii() else name.encode("idna").decode()


def is_loopback(address: str) -> bool:
    """Whether a connected address is this very machine."""
    return address == "::1" or address.startswith(("127.", "::ffff:127."))
