"""The mail port: what is handed over, what came of it, and who carries it.

A transport never raises for what a server or a message does: everything that can happen to one message is a
`Result`. Neither `smtplib` nor `ssl` is loaded before a transport is opened.
"""
from __future__ import annotations

from collections import namedtuple

# sender "" is the null reverse-path `<>` (RFC 5321 4.5.5)
Envelope = namedtuple("Envelope", "sender recipient")

# path: the raw message; head: bytes put before it (our trace header), ending with a line end
Message = namedtuple("Message", "path head")

# code: the three digits of the reply, or None when there was none; enhanced: `5.7.1` or ""; text: at most 512
# printable characters, never empty
Result = namedtuple("Result", "outcome code enhanced text")

SENT = "sent"                # accepted by the relay
RETRY = "retry"              # refused for now: this message has used an attempt
FINAL = "final"              # refused for good
RELAY = "relay"              # connecting, TLS, authentication or quota: no message pays, the relay is paused
LOST = "lost"                # the connection broke before this message could begin: it has used no attempt
UNCERTAIN = "uncertain"      # the connection broke after the final dot: delivered or not, nobody knows

# A message is not begun with less time than this (seconds) before the hard limit: the caller looks.
MESSAGE_MINIMUM = 60

# Replies that speak of the sending account or domain and not of this recipient: each further message would get
# the same one, so the relay rests. Compared without case, anywhere in the text. A full mailbox of the recipient
# ("quota exceeded", 5.2.2) must never match, so each pattern names what only a relay says of its customer.
DEFAULT_PAUSE_PATTERNS = (
    "max emails per hour",
    "max defers and failures per hour",
)


def open_transport(mail, stop=None):
    """The transport that the `[mail]` section asks for; nothing is connected before the first message.

    `stop`: a function that is asked before a connection is made; when it says True the message is given back.
    """
    if mail.transport == "maildir":
        from jobs_lib.ports.maildir import MaildirTransport
        return MaildirTransport(mail)
    from jobs_lib.ports.smtp import SmtpTransport
    return SmtpTransport(mail, stop)
