"""The mail port: what is handed over, what came of it, and who carries it.

A transport never raises for what a server or a message does: everything that can happen to one
message is a `Result`. Neither `smtplib` nor `ssl` is loaded before a transport is opened.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

# sender "" is the null reverse-path `<>` (RFC 5321 4.5.5)
Envelope = namedtuple("Envelope", "sender recipient")

# path: the raw message, or IN_MEMORY when all of it is in the head; head: bytes put before it (our
# trace header), ending with a line end
Message = namedtuple("Message", "path head")
IN_MEMORY = object()

# outcome: see ports/outcomes.py; code: the three digits of the reply, or None when there was none;
# enhanced: `5.7.1` or ""; text: at most 512 printable characters, never empty
Result = namedtuple("Result", "outcome code enhanced text")

# A message is not begun with less time than this (seconds) before the hard limit: the caller looks.
MESSAGE_MINIMUM = 60

# Denied: the account may not send at all until somebody sees to it. No message pays either, but the
# operator is notified, whatever `pause_patterns` says: no waiting helps. Compared without
# case, anywhere in the text.
DENIED_PATTERNS = (
    # not signed in, or no longer: no recipient would be taken (Postfix, Exim, Sendmail)
    "relay access denied", "relay not permitted", "relaying denied",
    # cPanel: "Domain x has an outgoing mail suspension. Message discarded."
    "outgoing mail suspension", "outgoing mail hold",
    # Amazon SES, and Mailgun for a domain that it has not verified or has closed
    "sending paused for this account", "sending suspended for this account",
    "is not allowed to send",
)
