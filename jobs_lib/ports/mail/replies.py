"""What a relay's reply means for one message, and its text made fit to store and show."""
from __future__ import annotations

import re

from jobs_lib.ports.outcomes import AT_MAIL, FINAL, LOST, RETRY, SENT, UNCERTAIN
from jobs_lib.records import namedtuple
from jobs_lib.text import masking

from . import Result

MAX_TEXT = 512
CLOSING = 421  # the relay hangs up, whatever it was asked (RFC 5321 3.8)
NOT_LET_IN = (530, 534, 535, 538)  # authentication or encryption is missing (RFC 4954 6)
# Of the relay alone. What follows may be the answer of a destination, which it quotes.
ABOUT_US = "MAIL"
# What a broken or silent connection means for the message in hand, by the phase, and how it is
# told. Before these it is the relay's failure; before the content it uses no attempt.
WHEN_LOST = {**{phase: (LOST, f"at {phase}") for phase in ("RSET", "MAIL", "RCPT", "DATA")},
             "content": (RETRY, "while the content was sent"),
             "dot": (UNCERTAIN, "after the final dot")}

# Refusals of MAIL that this message can be the cause of: its size and our room for it (RFC 1870
# 6.1), a parameter that it needs (SMTPUTF8, BODY), a local part too long or odd. But 5.1.8 is about
# the domain, which is ours.
OF_THE_MESSAGE = (452, 500, 501, 552, 555)
OF_THE_MESSAGE_ENHANCED = ("4.3.1", "5.2.3", "5.3.4", "5.5.4", "5.6.7")
OF_THE_DOMAIN_ENHANCED = "5.1.8"

# Denied: the account may not send at all until somebody sees to it; no waiting helps.
DENIED_PATTERNS = (
    # not signed in, or no longer: no recipient would be taken (Postfix, Exim, Sendmail)
    "relay access denied", "relay not permitted", "relaying denied",
    # cPanel: "Domain x has an outgoing mail suspension. Message discarded."
    "outgoing mail suspension", "outgoing mail hold",
    # Amazon SES, and Mailgun for a domain that it has not verified or has closed
    "sending paused for this account", "sending suspended for this account",
    "is not allowed to send",
)

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")  # RFC 2034

Reply = namedtuple("Reply", "code text")  # text: bytes, the lines joined by newlines


def judge(reply: Reply, phase: str, sender: str, pause_patterns) -> Result:
    """The Result behind the reply that decided over a message (RFC 5321 4.2.1). phase: what it
    answered; pause_patterns: of `[mail]`."""
    code, enhanced, text = digest(reply)
    if code // 100 == 2 and phase == "dot":
        outcome = SENT
    elif code < 400:
        outcome = UNCERTAIN if phase == "dot" else RETRY
        text = plain(f"unexpected answer to {phase}: {text}")
    elif phase == ABOUT_US and (code in (*NOT_LET_IN, CLOSING)
                                or speaks_of(text, (*pause_patterns, *DENIED_PATTERNS))):
        outcome = AT_MAIL
    elif phase == ABOUT_US and sender and not _can_be_the_message(code, enhanced):
        # every message bears a sender in our own domain: the domain is wrong, or the relay not set
        # up for it
        outcome = AT_MAIL
        answer = " ".join(filter(None, (str(code), enhanced, text)))
        text = plain(f"the relay refuses our sender <{masking.text(sender)}>: {answer}")
    else:
        outcome = FINAL if code >= 500 else RETRY
    return Result(outcome, code, enhanced, text)


def _can_be_the_message(code: int, enhanced: str) -> bool:
    """Whether MAIL was refused for what this message is, and not for our sender."""
    return enhanced != OF_THE_DOMAIN_ENHANCED and (
        code in OF_THE_MESSAGE or enhanced in OF_THE_MESSAGE_ENHANCED)


def speaks_of(text: str, patterns) -> bool:
    """Whether one of the patterns is in the text, in whatever case."""
    lower = text.lower()
    return any(pattern.lower() in lower for pattern in patterns if pattern)


def digest(reply: Reply) -> tuple:
    """(code, enhanced status code or "", the rest of the text made harmless) of a reply."""
    lines = reply.text.decode("utf-8", "replace").split("\n")
    match = _ENHANCED.match(lines[0])
    enhanced = match[1] if match else ""
    # some repeat it on every line
    lines = [line[len(enhanced):].lstrip() if line.startswith(enhanced) else line for line in lines]
    return reply.code, enhanced, plain(" ".join(lines))


def plain(text: str) -> str:
    """At most 512 printable characters, never none."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in text[:MAX_TEXT])
    return shown.strip() or "(no text)"
