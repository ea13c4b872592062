"""A relay that refuses, drips, hangs or hangs up at any phase, as told, and records every byte.

    with Relay(RCPT=[b"550 5.1.1 no", OK], QUIT=HANG) as relay: ...

A phase is given one answer for always, or a list that is used up over all connections, after which
it is OK. Left alone it behaves like Postfix: a nested MAIL gets 503, DATA without a recipient 554.
"""
from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections import namedtuple

from tests.servers.listener import Listener

OK = b""                                   # what a well-behaved relay answers
DROP = "close the connection"
RESET = "reset the connection"
HANG = "say nothing for ever"
Drip = namedtuple("Drip", "reply pause")   # the reply a byte at a time
Bye = namedtuple("Bye", "reply")           # the reply, then the end of the connection
Extra = namedtuple("Extra", "reply")       # the usual answer, and more that nobody asked for

USUAL = {"greeting": b"220 relay.example ESMTP", "RSET": b"250 2.0.0 Ok", "MAIL": b"250 2.1.0 Ok",
         "RCPT": b"250 2.1.5 Ok", "DATA": b"354 End with a dot", "dot": b"250 2.0.0 Ok: queued as "
         b"1", "QUIT": b"221 2.0.0 Bye", "STARTTLS": b"220 2.0.0 Ready", "AUTH": b"235 2.7.0 Ok"}


class Relay(Listener):
    """latency: seconds a round trip; eager: 354 though every RCPT failed.

    linger: after a Bye read on until the other side closes.
    tls: a server's TLS context; with STARTTLS among the extensions it waits for that.
    """

    def __init__(self, extensions=("PIPELINING", "SIZE 0", "8BITMIME", "SMTPUTF8",
                                   "ENHANCEDSTATUSCODES"), latency: float = 0, eager: bool = False,
                 linger: bool = False, tls=None, **answers) -> None:
        self.extensions, self.latency, self.eager, self.linger = extensions, latency, eager, linger
        self.answers, self.tls = answers, tls
        self.received = []                 # the bytes of each connection
        self.contents = []                 # the bytes from DATA to the end of the dot, each time
        self.accepted = []                 # (sender, recipients, content as the relay keeps it)
        self.stopping = threading.Event()
        self.open = []
        super().__init__()

    def serve(self, connection) -> None:
        record = bytearray()
        self.open.append(connection)
        self.received.append(record)
        Conversation(self, connection, record).run()

    def answer(self, phase: str):
        """What the script says next for this phase."""
        given = self.answers.get(phase, OK)
        if isinstance(given, list):
            return given.pop(0) if given else OK
        return given

    def commands(self) -> list:
        """The command words of all connections, in the order they came."""
        words = []
        for stream in self.received:
            text = re.sub(rb"(?s)(DATA\r\n)(?=.*\r\n\.\r\n).*?\r\n\.\r\n", rb"\1", bytes(stream))
            words += [line.split(b" ")[0].split(b":")[0].decode() for line in text.split(b"\r\n")
                      if line]
        return words

    def __exit__(self, *how) -> None:
        self.stopping.set()
        super().__exit__(*how)
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class Gone(Exception):
    """This connection is over."""


class Conversation:
    """One connection."""

    def __init__(self, relay: Relay, connection, record: bytearray) -> None:
        self.relay, self.connection, self.record = relay, connection, record
        self.buffer = b""
        self.sender, self.recipients = None, []
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        with contextlib.suppress(Gone, OSError), contextlib.ExitStack() as stack:
            stack.callback(lambda: self.connection.close())
            if self.relay.tls and "STARTTLS" not in self.relay.extensions:
                self.secure()
            self.say("greeting")
            while True:
                line = self.read_until(b"\r\n")
                verb = line.split(b" ")[0].split(b":")[0].upper().decode("ascii", "replace")
                getattr(self, "on_" + verb.lower(), self.on_other)(line, verb)

    def secure(self) -> None:
        self.connection = self.relay.tls.wrap_socket(self.connection, server_side=True)
        self.buffer = b""

    def read_until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            self.receive()
            if self.relay.latency and end in self.buffer:
                time.sleep(self.relay.latency)
        found, _, self.buffer = self.buffer.partition(end)
        return found

    def receive(self) -> None:
        data = self.connection.recv(65536)
        if not data:
            raise Gone
        self.record += data
        self.buffer += data

    def say(self, phase: str, usual: bytes = b"", first=None) -> bool:
        """Answer as the script says, after `first()` if that is good; whether it is."""
        answer = self.relay.answer(phase)
        usual = usual or USUAL.get(phase, b"250 2.0.0 Ok")
        reply = answer if isinstance(answer, bytes) else getattr(answer, "reply", b"")
        good = isinstance(answer, Extra) or answer == OK or reply[:1] in (b"2", b"3")
        if good and first:
            first()
        if answer == HANG:
            self.relay.stopping.wait()
            raise Gone
        if answer == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer in (DROP, RESET):
            raise Gone
        if isinstance(answer, Drip):
            for each in answer.reply:
                self.connection.sendall(bytes([each]))
                time.sleep(answer.pause)
        elif isinstance(answer, Extra):
            self.connection.sendall(usual + b"\r\n" + answer.reply)
        elif isinstance(answer, Bye):
            self.connection.sendall(answer.reply + b"\r\n")
            self.connection.shutdown(socket.SHUT_WR)
            while self.relay.linger and self.connection.recv(65536):
                pass                       # closing with unread data would take the reply back
            raise Gone
        else:
            self.connection.sendall((answer or usual) + b"\r\n")
        return good

    def on_ehlo(self, line: bytes, verb: str) -> None:
        *lines, last = "relay.example", *self.relay.extensions
        self.say("EHLO", "".join(f"250-{word}\r\n" for word in lines).encode()
                 + b"250 " + last.encode())

    def on_mail(self, line: bytes, verb: str) -> None:
        if self.sender is not None:
            self.connection.sendall(b"503 5.5.1 nested MAIL command\r\n")
        elif self.say("MAIL"):
            self.sender = re.match(rb"(?i)MAIL FROM:<(.*?)>", line)[1]

    def on_rcpt(self, line: bytes, verb: str) -> None:
        if self.sender is None and not self.relay.eager:
            self.connection.sendall(b"503 5.5.1 need MAIL\r\n")
        elif self.say("RCPT"):
            self.recipients.append(re.match(rb"(?i)RCPT TO:<(.*?)>", line)[1])

    def on_data(self, line: bytes, verb: str) -> None:
        if not self.recipients and not self.relay.eager:
            self.connection.sendall(b"554 5.5.1 no valid recipients\r\n")
            return
        if not self.say("DATA"):
            return
        if self.relay.answers.get("content"):
            self.receive()
            self.say("content")
            raise Gone
        self.buffer = b"\r\n" + self.buffer          # a dot may be all
        raw = (self.read_until(b"\r\n.\r\n") + b"\r\n")[2:]
        self.relay.contents.append(raw + b".\r\n")
        taken = (self.sender, self.recipients, re.sub(rb"(?m)^\.", b"", raw))
        self.sender, self.recipients = None, []
        if not taken[1]:
            self.connection.sendall(b"554 5.5.1 no valid recipients\r\n")
        else:
            self.say("dot", first=lambda: self.relay.accepted.append(taken))

    def on_rset(self, line: bytes, verb: str) -> None:
        self.sender, self.recipients = None, []
        self.say("RSET")

    def on_quit(self, line: bytes, verb: str) -> None:
        self.say("QUIT")
        raise Gone

    def on_starttls(self, line: bytes, verb: str) -> None:
        if self.say("STARTTLS") and self.relay.tls:
            self.secure()

    def on_auth(self, line: bytes, verb: str) -> None:
        if b" LOGIN " in line:                      # the password comes in a line of its own
            self.connection.sendall(b"334 UGFzc3dvcmQ6\r\n")
            self.read_until(b"\r\n")
        self.say("AUTH")

    def on_other(self, line: bytes, verb: str) -> None:
        self.say(verb, USUAL.get(verb, b"502 5.5.2 not known"))
