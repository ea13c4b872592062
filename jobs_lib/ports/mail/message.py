"""The mail port: what is handed over, what came of it, and who carries it.

A transport never raises for what a server or a message does: everything that can happen to one
message is a `Result`. Neither `smtplib` nor `ssl` is loaded before a transport is opened.
"""
from __future__ import annotations

from collections import namedtuple

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

# Quota: replies that speak of the sending account's limit and not of this recipient. Every further
# message would get the same, so all mail is paused until it passes, which it does by itself.
# Compared without case, anywhere in the text. A recipient's full mailbox ("quota exceeded", 5.2.2)
# must never match, so each pattern holds words that only a relay says to its customer.
DEFAULT_PAUSE_PATTERNS = (
    # cPanel with Exim: "Domain x has exceeded the max emails per hour (125/100 (125%)) allowed"
    "max emails per hour", "max defers and failures per hour",
    # Postfix: "450 4.7.1 Error: too much mail from 192.0.2.1"
    "error: too much mail from", "error: too many recipients from",
    # Mailgun: "421 Domain x is not allowed to send: recipient limit exceeded, try again after ..."
    "is not allowed to send: recipient limit exceeded",
    # Amazon SES: "454 Throttling failure: Daily message quota exceeded"
    "throttling failure",
    # Gmail: "550 5.4.5 Daily user sending limit exceeded"; its relay: "Peak SMTP relay limit
    # exceeded"
    "daily user sending", "daily sending quota exceeded", "smtp relay limit exceeded",
    # Microsoft 365, SendGrid, GoDaddy
    "submissionquotaexceeded", "concurrent connections limit exceeded", "maximum credits exceeded",
    "24-hour sending limit",
)

# Denied: the account may not send at all until somebody sees to it. No message pays either, but the
# operator is notified, whatever `pause_patterns` says: no waiting helps. Compared in the same way.
DENIED_PATTERNS = (
    # not signed in, or no longer: no recipient would be taken (Postfix, Exim, Sendmail)
    "relay access denied", "relay not permitted", "relaying denied",
    # cPanel: "Domain x has an outgoing mail suspension. Message discarded."
    "outgoing mail suspension", "outgoing mail hold",
    # Amazon SES, and Mailgun for a domain that it has not verified or has closed
    "sending paused for this account", "sending suspended for this account",
    "is not allowed to send",
)
